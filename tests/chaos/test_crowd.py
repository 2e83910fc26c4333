"""Sockets that want nothing, or never finish: whoever wants something is served all the same."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.client import Client
from tests.e2e.server import Server, free_port, until
from tests.fakes.authority import Authority
from tests.fakes.clips import Clips

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

IDLE = 1000
SLOW = 200
CALLS = 50
MEMORY_BYTES = (
    200_000_000  # of 1,200 connections, half of them TLS; asyncio's own take 150 MB more
)


@pytest.fixture(autouse=True)
def many_descriptors() -> Iterator[None]:
    """Let this process open a socket for each of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Slow(asyncio.Protocol):
    """Begins a request, and adds a byte every second or never."""

    def __init__(self) -> None:
        self.is_lost = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def send(self, data: bytes) -> None:
        if self.transport is not None and not self.is_lost:
            self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True


@asynccontextmanager
async def crowd(server: Server, authority: Authority) -> AsyncIterator[list[Slow]]:
    """Open all sockets, half of the idle ones over TLS; yield the slow ones."""
    loop = asyncio.get_running_loop()
    trust = authority.client()
    plain, tls = (int(base.rsplit(":", 1)[1]) for base in (server.base, server.tls_base))
    opened: list[Slow] = []
    for number in range(IDLE + SLOW):
        is_tls = number < IDLE and number % 2 == 0
        _, one = await loop.create_connection(
            Slow, "127.0.0.1", tls if is_tls else plain, ssl=trust if is_tls else None
        )
        opened.append(one)
    slow = opened[IDLE:]
    for one in slow:
        one.send(b"GET /api/v1/GetSrc HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    dripping = asyncio.create_task(drip(slow))
    try:
        yield slow
    finally:
        dripping.cancel()
        for one in opened:
            if one.transport is not None:
                one.transport.abort()


async def drip(slow: list[Slow]) -> None:
    while True:
        await asyncio.sleep(1)
        for one in slow:
            one.send(b"x")


async def test_idle_and_slow_sockets_stop_nobody(clips: Clips, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    issued = authority.issue()
    server = Server(
        tmp_path,
        sources=[{"token": "front", "type": "file", "url": "clip.mp4"}],
        http={"tls_port": free_port(), "tls_cert": str(issued.cert), "tls_key": str(issued.key)},
    )
    server.add_media(clips["h264_aac"], "clip.mp4")
    async with server, Client(server) as client, Client(server, trust=authority.client()) as safe:
        await client.until_online("front")
        async with client.watch("front") as viewer:
            await viewer.until_pictures(10)
            before = server.memory_bytes()
            async with crowd(server, authority) as slow:
                for _ in range(CALLS):
                    assert (await client.call("GetSrc"))["src"]
                    assert (await safe.call("GetSrc"))["src"]
                async with safe.watch("front") as late:
                    await late.until_pictures(10)
                assert server.memory_bytes() - before < MEMORY_BYTES
                await until(lambda: all(one.is_lost for one in slow), "the slow ones are cut off")
            pictures = viewer.pictures
            await viewer.until_pictures(pictures + 25)
            assert viewer.breaks == []


async def test_more_than_all_places_lock_nobody_out(tmp_path: Path) -> None:
    server = Server(tmp_path, limits={"connections": 100})
    async with server:
        port = int(server.base.rsplit(":", 1)[1])
        loop = asyncio.get_running_loop()
        opened: list[Slow] = []
        for _ in range(300):
            with suppress(ConnectionError):
                opened.append((await loop.create_connection(Slow, "127.0.0.1", port))[1])
        async with Client(server) as client:
            assert (await client.call("GetSrc"))["src"] == []
        await until(lambda: sum(one.is_lost for one in opened) >= 200, "the oldest gave way")
        for one in opened:
            if one.transport is not None:
                one.transport.abort()
