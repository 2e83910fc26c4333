"""Connections on real sockets: who is cut off, who is not, and who gets a place."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from h5sup.base.errors import ConfigError
from h5sup.web.connection import Patience
from h5sup.web.door import Door
from h5sup.web.listeners import Listeners
from h5sup.web.tls import load_pair
from tests.fakes.authority import Authority

CUT_OFF = 0.4
LONG = 3 * CUT_OFF
PATIENCE = Patience(head_s=CUT_OFF, idle_s=60, lingering_s=0.2, unread_s=60)
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Rig:
    """A small application behind Listeners, plain and encrypted."""

    listeners: Listeners

    def __init__(self, door: Door, trust: ssl.SSLContext) -> None:
        self.door = door
        self.trust = trust
        self.plain_port = self.tls_port = 0
        self.release = asyncio.Event()
        self.waiting = 0
        self._writers: list[asyncio.StreamWriter] = []

    def url(self, kind: str) -> str:
        return f"{'https' if kind == 'tls' else 'http'}://127.0.0.1:{self.port(kind)}"

    def port(self, kind: str) -> int:
        return self.tls_port if kind == "tls" else self.plain_port

    async def connect(self, kind: str = "plain") -> Streams:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port(kind), ssl=self.trust if kind == "tls" else None
        )
        self._writers.append(writer)
        return reader, writer

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(20):
                while not condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"not within 20 s: {what}") from None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        match request.path:
            case "/body":
                return web.Response(text=f"{len(await request.read())} bytes")
            case "/wait":
                self.waiting += 1
                await self.release.wait()
                return web.Response(text="waited")
            case "/endless":
                answer = web.StreamResponse()
                await answer.prepare(request)
                while True:
                    await answer.write(bytes(65536))
            case "/socket":
                answer_socket = web.WebSocketResponse()
                await answer_socket.prepare(request)
                async for message in answer_socket:
                    await answer_socket.send_str(str(message.data))
                return answer_socket
            case _:
                return web.Response(text="ok")

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


MakeRig = Callable[..., Awaitable[Rig]]


@pytest.fixture
async def make_rig(tmp_path: Path) -> AsyncIterator[MakeRig]:
    """Return what builds the rig with a given patience and door."""
    opened: list[tuple[Rig, web.AppRunner]] = []
    authority = Authority(tmp_path)
    issued = authority.issue()
    context = (await asyncio.to_thread(load_pair, issued.cert, issued.key)).context

    async def make(patience: Patience = PATIENCE, *, limit: int = 1000) -> Rig:
        app = web.Application()
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        rig = Rig(Door(limit=limit, per_address=0), authority.client())
        app.router.add_route("*", "/{path:.*}", rig.handle)
        await runner.setup()
        assert runner.server is not None
        rig.listeners = Listeners(runner.server, rig.door, patience)
        rig.plain_port = await rig.listeners.open_plain("127.0.0.1", 0)
        rig.tls_port = await rig.listeners.open_tls("127.0.0.1", 0, lambda: context)
        opened.append((rig, runner))
        return rig

    yield make
    for rig, runner in opened:
        rig.listeners.close()
        rig.close()
        rig.release.set()
        await runner.cleanup()


async def ended(reader: asyncio.StreamReader) -> float:
    """Wait for the server to end the connection; return how long that took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(20):
        with suppress(ConnectionError):
            while await reader.read(65536):
                pass
    return loop.time() - began


async def drip(writer: asyncio.StreamWriter, data: bytes = b"x") -> None:
    """Send a little again and again, for ever."""
    with suppress(ConnectionError):
        while True:
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("kind", ["plain", "tls"])
@pytest.mark.parametrize("begin", [b"GET /", b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: "])
async def test_a_head_that_never_ends_is_cut_off(
    kind: str, begin: bytes, make_rig: MakeRig
) -> None:
    rig = await make_rig()
    reader, writer = await rig.connect(kind)
    writer.write(begin)
    dripping = asyncio.create_task(drip(writer))
    assert await ended(reader) > CUT_OFF / 2
    dripping.cancel()
    await rig.until(lambda: rig.door.connections == 0, "the place is free")


@pytest.mark.parametrize("kind", ["plain", "tls"])
async def test_silence_from_the_start_is_cut_off(kind: str, make_rig: MakeRig) -> None:
    rig = await make_rig()
    reader, _ = await rig.connect(kind)
    await ended(reader)


async def test_a_later_head_is_timed_from_its_first_byte(make_rig: MakeRig) -> None:
    rig = await make_rig()
    reader, writer = await rig.connect()
    for _ in range(2):
        writer.write(GET)
        assert b"200 OK" in await reader.readuntil(b"ok")
        await asyncio.sleep(LONG)  # idle between two requests: nothing ends it
    writer.write(GET[:5])
    dripping = asyncio.create_task(drip(writer))
    assert await ended(reader) > CUT_OFF / 2
    dripping.cancel()


@pytest.mark.parametrize("kind", ["plain", "tls"])
async def test_an_idle_connection_is_closed(kind: str, make_rig: MakeRig) -> None:
    rig = await make_rig(replace(PATIENCE, head_s=60, idle_s=CUT_OFF))
    reader, writer = await rig.connect(kind)
    writer.write(GET)
    assert b"200 OK" in await reader.readuntil(b"ok")
    assert await ended(reader) > CUT_OFF / 2


async def test_a_request_in_pieces_and_two_at_once_are_answered(make_rig: MakeRig) -> None:
    rig = await make_rig(replace(PATIENCE, head_s=20))
    reader, writer = await rig.connect()
    for byte in GET:
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(0)
    assert b"200 OK" in await reader.readuntil(b"ok")
    writer.write(GET + GET)
    for _ in range(2):
        assert b"200 OK" in await reader.readuntil(b"ok")


async def test_a_slow_body_and_a_slow_answer_are_not_cut_off(make_rig: MakeRig) -> None:
    """Those who answer have limits of their own: what is timed here is the head alone."""
    rig = await make_rig()
    reader, writer = await rig.connect()
    writer.write(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 24\r\n\r\n")
    for _ in range(24):
        writer.write(b"x")
        await asyncio.sleep(LONG / 24)
    assert b"200 OK" in await reader.readuntil(b"24 bytes")
    writer.write(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(LONG)
    rig.release.set()
    assert b"200 OK" in await reader.readuntil(b"waited")


@pytest.mark.parametrize("kind", ["plain", "tls"])
async def test_a_websocket_is_not_timed(kind: str, make_rig: MakeRig) -> None:
    rig = await make_rig(replace(PATIENCE, idle_s=CUT_OFF))
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{rig.url(kind)}/socket", ssl=rig.trust) as viewer,
    ):
        await asyncio.sleep(LONG)
        await viewer.send_str("still here")
        assert await viewer.receive_str(timeout=10) == "still here"


@pytest.mark.parametrize("kind", ["plain", "tls"])
async def test_a_head_without_measure_is_cut_off(kind: str, make_rig: MakeRig) -> None:
    """aiohttp bounds a line and how many there are, which is a megabyte in all."""
    rig = await make_rig(replace(PATIENCE, head_s=60))
    reader, writer = await rig.connect(kind)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
    sent = 0
    with suppress(ConnectionError):
        for number in range(100):
            writer.write(b"X-%d: %s\r\n" % (number, b"y" * 4000))
            await writer.drain()
            await asyncio.sleep(0.01)
            if reader.at_eof() or writer.is_closing():
                break
            sent += 4000
    await ended(reader)
    assert 40_000 < sent < 200_000


async def test_the_rest_of_a_body_nobody_wants_is_not_waited_for(make_rig: MakeRig) -> None:
    rig = await make_rig()
    reader, writer = await rig.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
    dripping = asyncio.create_task(drip(writer))
    assert b"200 OK" in await reader.readuntil(b"ok")
    await ended(reader)
    dripping.cancel()


async def test_who_takes_nothing_of_an_answer_is_cut_off(make_rig: MakeRig) -> None:
    rig = await make_rig(replace(PATIENCE, unread_s=1.0))
    with socket.create_connection(("127.0.0.1", rig.plain_port)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        await rig.until(lambda: rig.door.connections == 1, "it is in")
        await rig.until(lambda: rig.door.connections == 0, "it is cut off")


async def test_a_handshake_that_never_comes_is_cut_off_and_counted(make_rig: MakeRig) -> None:
    rig = await make_rig(replace(PATIENCE, handshake_s=1))
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.tls_port)
    writer.write(b"\x16\x03\x01")
    await rig.until(lambda: rig.door.connections == 1, "it is in")
    await ended(reader)
    writer.close()
    await rig.until(lambda: rig.door.connections == 0, "the place is free")


async def test_plain_http_to_the_https_port_ends_at_once(make_rig: MakeRig) -> None:
    rig = await make_rig(replace(PATIENCE, head_s=60))
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.tls_port)
    writer.write(GET)
    await ended(reader)
    writer.close()


@pytest.mark.parametrize("kind", ["plain", "tls"])
async def test_when_all_places_are_taken_who_asks_nothing_gives_way(
    kind: str, make_rig: MakeRig
) -> None:
    rig = await make_rig(replace(PATIENCE, head_s=60, idle_s=60), limit=3)
    busy, idle, other = [await rig.connect(kind) for _ in range(3)]
    await rig.until(lambda: rig.door.connections == 3, "all are in")
    busy[1].write(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
    await rig.until(lambda: rig.waiting == 1, "one is being answered")
    new = await rig.connect(kind)
    await ended(idle[0])
    for one in (other, new):
        one[1].write(GET)
        assert b"200 OK" in await one[0].readuntil(b"ok")
    rig.release.set()
    assert b"200 OK" in await busy[0].readuntil(b"waited")
    assert rig.door.connections == 3


async def test_when_all_are_being_served_it_is_said(make_rig: MakeRig) -> None:
    rig = await make_rig(limit=2)
    busy = [await rig.connect() for _ in range(2)]
    for _, writer in busy:
        writer.write(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
    await rig.until(lambda: rig.waiting == 2, "both are being answered")
    reader, _ = await rig.connect()
    async with asyncio.timeout(10):
        said = await reader.read()
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"try again" in body
    with pytest.raises((ConnectionError, ssl.SSLError)):
        await rig.connect("tls")
    assert rig.door.refused == 2
    rig.release.set()
    for reader, _ in busy:
        assert b"200 OK" in await reader.readuntil(b"waited")


async def test_places_are_free_again_when_clients_leave(make_rig: MakeRig) -> None:
    rig = await make_rig()
    for kind in ("plain", "tls"):
        streams = [await rig.connect(kind) for _ in range(10)]
        await rig.until(lambda: rig.door.connections == 10, "all are in")
        for number, (_, writer) in enumerate(streams):
            if number % 2:
                writer.close()
            else:
                writer.transport.abort()
        await rig.until(lambda: rig.door.connections == 0, "all have left")


async def test_a_port_that_is_taken_is_named(make_rig: MakeRig) -> None:
    rig = await make_rig()
    with pytest.raises(ConfigError, match=r"^http\.tls_port: can't listen on 127\.0\.0\.1 port "):
        await rig.listeners.open_tls("127.0.0.1", rig.plain_port, lambda: rig.trust)
