"""The relay against servers that answer as they like, and its own door against strangers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from h5sup.base.errors import Failure, SourceError
from h5sup.devices.model import MediaAddress
from h5sup.devices.rtsp import door as door_module
from h5sup.devices.rtsp.relay import Relay
from h5sup.formats.rtsp import Request, Response, RtspReader, build_request, build_response

AT = 1_795_521_600_000_000
SDP = b"v=0\r\nm=video 0 RTP/AVP 96\r\na=control:t\r\na=rtpmap:96 H264/90000\r\n"

Answer = Callable[[Request], bytes]


def say(asked: Request, status: int = 200, /, *, body: bytes = b"", **headers: str) -> bytes:
    given = {"CSeq": str(asked.sequence)}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    return build_response(status, "So", given, body)


def usual(asked: Request) -> bytes:
    """Answer as a recorder does that knows no login."""
    if asked.method == "DESCRIBE":
        return say(asked, body=SDP)
    if asked.method == "SETUP":
        return say(asked, Transport="RTP/AVP/TCP;interleaved=0-1", Session="5;timeout=60")
    return say(asked)


def packet(timestamp: int, size: int = 100) -> bytes:
    data = b"\x80\x60\x00\x01" + timestamp.to_bytes(4) + bytes(4) + bytes(size)
    return b"$\x00" + len(data).to_bytes(2) + data


class Server:
    """Answers each request as a test says; what it answers may be anything."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.asked: list[Request] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.port = 0
        self.frames = b""
        self.answered: list[Response] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        rtsp = RtspReader()
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                for found in rtsp.feed(data):
                    if isinstance(found, Request):
                        self.asked.append(found)
                        writer.write(self.answers.get(found.method, usual)(found))
                    elif isinstance(found, bytes):
                        self.frames += found
                    else:
                        self.answered.append(found)
        writer.close()

    def address(self, password: str = "secret") -> MediaAddress:
        return MediaAddress(f"rtsp://127.0.0.1:{self.port}/t?a=b", "admin", password)


@asynccontextmanager
async def serving(**answers: Answer) -> AsyncIterator[tuple[Server, Relay]]:
    """Give a server and a relay, which must leave nothing behind."""
    server = Server(**answers)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    relay = Relay(answer_s=0.3)
    try:
        yield server, relay
    finally:
        await relay.close()
        listening.close()
        async with asyncio.timeout(5):
            for writer in server.writers:
                with suppress(ConnectionError):
                    await writer.wait_closed()
            await listening.wait_closed()
            while len(asyncio.all_tasks()) > 1:
                await asyncio.sleep(0.01)


ENDLESS = b"RTSP/1.0 200 OK\r\n" + b"a:b\r\n" * 9999
TOO_LONG = b"RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n"
SOUND = b"v=0\r\nm=audio 0 RTP/AVP 8\r\n"
BAD = Failure.NOT_MEDIA
HOSTILE: dict[str, tuple[str, Answer, Failure]] = {
    "garbage": ("OPTIONS", lambda _: b"\x00garbage", BAD),
    "endless headers": ("OPTIONS", lambda _: ENDLESS, BAD),
    "a hostile length": ("DESCRIBE", lambda _: TOO_LONG, BAD),
    "another CSeq": (
        "DESCRIBE",
        lambda _: build_response(200, "OK", {"CSeq": "999"}, SDP),
        Failure.NO_ANSWER,
    ),
    "silence": ("SETUP", lambda _: b"", Failure.NO_ANSWER),
    "no description": ("DESCRIBE", lambda asked: say(asked, body=b"<html>"), BAD),
    "no pictures": ("DESCRIBE", lambda asked: say(asked, body=SOUND), Failure.NO_VIDEO),
    "a redirect": (
        "DESCRIBE",
        lambda asked: say(asked, 302, Location="rtsp://169.254.169.254/"),
        BAD,
    ),
    "no such address": ("DESCRIBE", lambda asked: say(asked, 404), Failure.NOT_FOUND),
    "an error of its own": ("DESCRIBE", lambda asked: say(asked, 500), BAD),
    "an unknown login": ("OPTIONS", lambda asked: say(asked, 401, WWW_Authenticate="Bear"), BAD),
    "no login at all": ("OPTIONS", lambda asked: say(asked, 401), BAD),
    "not for this user": ("DESCRIBE", lambda asked: say(asked, 403), Failure.WRONG_PASSWORD),
    "UDP alone": ("SETUP", lambda asked: say(asked, 461), BAD),
    "UDP unasked": ("SETUP", lambda asked: say(asked, Transport="RTP/AVP;client_port=1-2"), BAD),
    "no session's name": ("SETUP", lambda asked: say(asked, Session=";", Transport="x"), BAD),
    "no play": ("PLAY", lambda asked: say(asked, 455), BAD),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_server_that_can_not_be_used_is_told_from_others(name: str) -> None:
    method, answer, failure = HOSTILE[name]
    async with serving(**{method: answer}) as (server, relay):
        with pytest.raises(SourceError) as caught:
            async with asyncio.timeout(5):
                await relay.open(server.address(), AT)
        assert caught.value.failure is failure
        assert "secret" not in str(caught.value)


async def test_nobody_there_and_no_address_are_told() -> None:
    for url, failure in (
        ("rtsp://127.0.0.1:1/x", Failure.REFUSED),
        ("rtsp://host.invalid/x", Failure.UNKNOWN_HOST),
        ("rtsp://127.0.0.1:99999/x", Failure.NOT_MEDIA),
        ("rtsps://127.0.0.1/x", Failure.NOT_MEDIA),
    ):
        with pytest.raises(SourceError) as caught:
            await Relay(answer_s=2.0).open(MediaAddress(url, "u", "p"), AT)
        assert caught.value.failure is failure


async def test_a_refused_login_is_sent_once_and_an_old_nonce_made_good() -> None:
    def refuse(asked: Request) -> bytes:
        return say(asked, 401, WWW_Authenticate='Digest realm="r", nonce="n"')

    async with serving(OPTIONS=refuse) as (server, relay):
        with pytest.raises(SourceError, match="refused user name or password"):
            await relay.open(server.address(), AT)
        await relay.close()
        assert [one.find("authorization") is None for one in server.asked] == [True, False]

    def age(asked: Request) -> bytes:
        told = asked.find("authorization") or ""
        if f'nonce="{asked.method}"' in told:
            return usual(asked)
        demand = f'Digest realm="r", nonce="{asked.method}"'
        return say(asked, 401, WWW_Authenticate=demand)

    async with serving(OPTIONS=age, DESCRIBE=age, SETUP=age, PLAY=age) as (server, relay):
        await relay.open(server.address(), AT)
        assert [one.method for one in server.asked] == [
            "OPTIONS", "OPTIONS", "DESCRIBE", "DESCRIBE", "SETUP", "SETUP", "PLAY", "PLAY",
        ]  # fmt: skip


class Reader:
    """What an ffmpeg does, by hand."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.port = int(url.split(":")[2].split("/")[0])
        self.media = b""

    async def connect(self) -> None:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.rtsp = RtspReader()

    async def ask(self, method: str, url: str = "") -> Response:
        self.writer.write(build_request(method, url or self.url, {"CSeq": "4"}))
        async with asyncio.timeout(5):
            while data := await self.reader.read(65536):
                for found in self.rtsp.feed(data):
                    if isinstance(found, Response):
                        return found
        raise EOFError

    async def take(self, size: int) -> None:
        async with asyncio.timeout(5):
            while len(self.media) < size and (data := await self.reader.read(65536)):
                self.media += b"".join(
                    found for found in self.rtsp.feed(data) if isinstance(found, bytes)
                )

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


async def test_one_reader_who_knows_the_path_is_let_in_and_no_other() -> None:
    async with serving() as (server, relay):
        showing = await relay.open(server.address(), AT)
        stranger = Reader(showing.url)
        await stranger.connect()
        wrong = await stranger.ask("DESCRIBE", showing.url[:-1] + "!")
        assert wrong.status == 404
        reader = Reader(showing.url)
        await reader.connect()
        described = await reader.ask("DESCRIBE")
        assert b"127.0.0.1" in described.body
        assert (await reader.ask("SETUP", f"{showing.url}/track0")).status == 200
        assert (await reader.ask("SETUP", f"{showing.url}/track7")).status == 404
        assert (await reader.ask("SETUP", f"{showing.url}/tracks")).status == 404
        assert (await reader.ask("RECORD")).status == 501
        assert (await reader.ask("PLAY")).status == 200
        media = packet(1) + packet(2)
        server.writers[0].write(media)
        await reader.take(len(media))
        assert reader.media == media
        with pytest.raises(ConnectionRefusedError):  # it listens no more
            await Reader(showing.url).connect()
        server.writers[0].close()
        assert await reader.reader.read() == b""  # that there is no more is told
        await reader.close()
        await stranger.close()


async def test_strangers_are_few_and_do_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "STRANGER_S", 0.2)
    async with serving() as (server, relay):
        showing = await relay.open(server.address(), AT)
        strangers = [Reader(showing.url) for _ in range(door_module.MAX_STRANGERS + 1)]
        for one in strangers:
            await one.connect()
        strangers[0].writer.write(packet(1))  # media of a stranger
        strangers[1].writer.write(b"\x00")
        async with asyncio.timeout(5):
            for one in strangers:
                with suppress(ConnectionError):
                    assert await one.reader.read() == b""
                await one.close()


async def test_a_reader_that_takes_nothing_holds_the_device_up_and_may_pause_it() -> None:
    async with serving() as (server, relay):
        showing = await relay.open(server.address(), AT)
        reader = Reader(showing.url)
        await reader.connect()
        await reader.ask("PLAY")
        writer = server.writers[0]
        sent = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while sent < 64_000_000:
                    writer.write(packet(sent, 60_000))
                    sent += 1
                    await writer.drain()
        held = writer.transport.get_write_buffer_size()
        assert held > 0, "it is not read"
        await relay.pause()  # the answer comes behind what was sent
        assert relay.is_paused
        await reader.take(sent * 60_016)
        assert len(reader.media) == sent * 60_016
        await reader.close()


async def test_what_a_device_says_unasked_does_no_harm() -> None:
    async with serving() as (server, relay):
        await relay.open(server.address(), AT)
        writer = server.writers[0]
        writer.write(build_response(200, "OK", {"CSeq": "6"}))
        writer.write(build_response(401, "No", {"CSeq": "6"}))
        writer.write(build_request("REDIRECT", "rtsp://h/", {"CSeq": "77"}))
        async with asyncio.timeout(5):
            while not server.answered:
                await asyncio.sleep(0.01)
        assert [(one.status, one.sequence) for one in server.answered] == [(501, 77)]
        await relay.pause()


async def test_what_the_reader_says_reaches_the_device() -> None:
    async with serving() as (server, relay):
        showing = await relay.open(server.address(), AT)
        reader = Reader(showing.url)
        await reader.connect()
        await reader.ask("PLAY")
        report = b"$\x01\x00\x08\x80\xc9\x00\x01abcd"
        reader.writer.write(report)
        async with asyncio.timeout(5):
            while server.frames != report:
                await asyncio.sleep(0.01)
        assert (await reader.ask("GET_PARAMETER")).status == 200
        await reader.close()
