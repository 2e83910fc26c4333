"""h5swsapi on real sockets: what players receive, and what bad clients can't do."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import ClientWebSocketResponse, TCPConnector, WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer

from h5sup.base.errors import NotFoundError, UnavailableError
from h5sup.bus.channel import Channel
from h5sup.bus.ingest import Ingest
from h5sup.bus.playback import Playback, PlaybackRequest
from h5sup.formats.isobmff.fragment import ParsedFragment, parse_fragment
from h5sup.formats.isobmff.init_segment import parse_init
from h5sup.outputs.ws import fanout as fanout_module
from h5sup.outputs.ws.output import WsOutput
from h5sup.outputs.ws.viewer import Viewer
from h5sup.web.tls import load_pair
from tests.fakes.authority import Authority
from tests.fakes.mp4 import AUDIO_SCALE, VIDEO_SCALE, Camera

Client = TestClient[web.Request, web.Application]


class NoRecordings:
    """An opener for those who watch live."""

    async def open(self, request: PlaybackRequest) -> Playback:
        raise NotFoundError(f"nothing of {request.token} was recorded")


class HeldChannel:
    """A lease on the one channel there is."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.holders = 0
        self.asked: list[dict[str, Any]] = []

    def lease(self, token: str, *, profile: str = "main", hevc: bool = False) -> HeldChannel:
        self.asked.append({"token": token, "profile": profile, "hevc": hevc})
        self.holders += 1
        return self

    async def ready(self, timeout_s: float) -> Channel:
        await self.channel.wait_ready(timeout_s)
        return self.channel

    def release(self) -> None:
        self.holders -= 1


class Rig:
    """A WsOutput behind a real server, fed by a camera made by hand."""

    def __init__(self, client: Client, output: WsOutput, held: HeldChannel) -> None:
        self.client = client
        self.output = output
        self.held = held
        self.channel = held.channel
        self.camera = Camera()
        self.ingest = Ingest(held.channel)

    def start(self) -> None:
        self.ingest.open()
        self.ingest.feed(self.camera.data, asyncio.get_running_loop().time())

    def play(self, fragments: list[bytes]) -> None:
        for data in fragments:
            self.ingest.feed(data, asyncio.get_running_loop().time())

    async def join(self, **query: str) -> Player:
        socket = await self.client.ws_connect("/ws", params={"token": "front", **query})
        return Player(socket, self.camera)

    async def join_raw(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Join as a client that may then write any bytes."""
        url = self.client.make_url("/ws")
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(
            b"GET /ws?token=front HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        connections = self.output.connections
        await reader.readuntil(b"\r\n\r\n")
        await self.until_connections(connections + 1)
        return reader, writer

    async def until_connections(self, count: int) -> None:
        """Wait until so many viewers are connected."""
        async with asyncio.timeout(5):
            while self.output.connections != count:
                await asyncio.sleep(0.001)


class Player:
    """Takes what a browser would, and checks the rules of a socket's timeline on the way."""

    def __init__(self, socket: ClientWebSocketResponse, camera: Camera) -> None:
        self.socket = socket
        self.events: list[dict[str, Any]] = []
        self.fragments: list[ParsedFragment] = []
        self._init = camera.init
        self.mime = ""

    async def start(self) -> None:
        message = await self.socket.receive(timeout=5)
        self.mime = message.data.decode("ascii")
        init = await self.socket.receive_bytes(timeout=5)
        self._init = parse_init(init)
        assert self._init.mime == self.mime

    async def take(self, count: int) -> None:
        """Take so many fragments."""
        while count:
            message = await self.socket.receive(timeout=5)
            if message.type is WSMsgType.TEXT:
                self.events.append(json.loads(message.data))
                continue
            assert message.type is WSMsgType.BINARY, message
            self.fragments.append(parse_fragment(message.data, self._init))
            count -= 1

    def assert_timeline(self) -> None:
        """One piece, from near 0, starting with a key frame."""
        first = self.fragments[0].video
        assert first is not None
        assert first.has_sync_sample
        for kind, scale in (("video", VIDEO_SCALE), ("audio", AUDIO_SCALE)):
            expected = None
            for fragment in self.fragments:
                run = getattr(fragment, kind)
                if run is None:
                    continue
                if expected is None:
                    assert 0 <= run.dts < 0.5 * scale
                assert expected in (None, run.dts)
                expected = run.dts + run.duration

    @property
    def end_s(self) -> float:
        """Return where the video ends on this socket's timeline."""
        run = next(one.video for one in reversed(self.fragments) if one.video)
        return (run.dts + run.duration) / VIDEO_SCALE


def transport_of(player: Player) -> asyncio.ReadTransport:
    """Return the client's own side of its socket, to let it stop reading."""
    connection = player.socket._conn
    assert connection is not None
    assert isinstance(connection.transport, asyncio.ReadTransport)
    return connection.transport


@asynccontextmanager
async def rig(
    *,
    viewers: int = 10,
    viewer_bytes: int = 4_000_000,
    start: bool = True,
    authority: Authority | None = None,
) -> AsyncIterator[Rig]:
    channel = Channel("front", "main", "copy", gop_bytes=8_000_000)
    held = HeldChannel(channel)
    output = WsOutput(held, NoRecordings(), viewers=viewers, viewer_bytes=viewer_bytes)

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await output.handle(request)
        except UnavailableError as error:
            return web.json_response({"strCode": str(error)}, status=503)

    app = web.Application()
    app.router.add_get("/ws", handle)
    server, connector = TestServer(app), None
    if authority is not None:
        issued = authority.issue()
        server_context = (await asyncio.to_thread(load_pair, issued.cert, issued.key)).context
        await server.start_server(ssl=server_context)
        connector = TCPConnector(ssl=authority.client())
    async with TestClient(server, connector=connector) as client:
        made = Rig(client, output, held)
        if start:
            made.start()
        yield made
        await output.close()


async def test_mime_first_then_init_then_the_gop_then_live() -> None:
    async with rig() as made:
        made.play(made.camera.gop())
        player = await made.join()
        await player.start()
        assert player.mime == 'video/mp4; codecs="avc1.4D002A, mp4a.40.2"'
        await player.take(1)
        replayed = player.fragments[0].video
        assert replayed is not None
        assert len(replayed.samples) == 25
        made.play(made.camera.gop())
        await player.take(25)
        player.assert_timeline()


async def test_a_viewer_of_a_long_gop_is_at_the_live_edge_at_once() -> None:
    async with rig() as made:
        made.play(made.camera.gop(250))
        player = await made.join()
        await player.start()
        await player.take(1)
        assert player.end_s < 0.5


async def test_viewers_that_join_at_different_times_have_timelines_of_their_own() -> None:
    async with rig() as made:
        players = []
        for _ in range(4):
            made.play(made.camera.gop(40))
            players.append(await made.join())
            await players[-1].start()
        made.play(made.camera.gop(40))
        for index, player in enumerate(players):
            await player.take(1 + 40 * (4 - index))
            player.assert_timeline()
        ends = [player.end_s for player in players]
        assert ends == sorted(ends, reverse=True)
        assert ends[0] > ends[-1] + 4


async def test_a_viewer_before_the_first_key_frame_starts_with_it() -> None:
    async with rig(viewers=10) as made:
        made.play(made.camera.gop())
        made.channel.cache.clear()
        player = await made.join()
        await player.start()
        made.play([made.camera.fragment(), *made.camera.gop()])
        await player.take(25)
        player.assert_timeline()


async def test_live_time_is_said_each_second() -> None:
    async with rig() as made:
        made.play(made.camera.gop())
        player = await made.join()
        await player.start()
        made.play(made.camera.gop())
        await player.take(26)
        event = player.events[0]
        assert event["type"] == "H5S_EVENT_LIVE_TIME"
        assert event["liveTime"]["strTime"].endswith("Z")
        assert 0 <= event["liveTime"]["nMediaTime"] < 1.2


async def test_parameters_reach_the_sources_and_unknown_ones_do_not_matter() -> None:
    async with rig() as made:
        made.play(made.camera.gop())
        player = await made.join(profile="sub", hevc="true", nonsense="1")
        await player.start()
        assert made.held.asked == [{"token": "front", "profile": "sub", "hevc": True}]


async def test_the_source_is_let_go_when_the_viewer_leaves() -> None:
    async with rig() as made:
        made.play(made.camera.gop())
        player = await made.join()
        await player.start()
        assert made.held.holders == made.output.connections == made.channel.viewers == 1
        await player.socket.close()
        async with asyncio.timeout(5):
            while made.held.holders or made.output.connections or made.channel.viewers:
                await asyncio.sleep(0.01)


async def test_a_new_generation_closes_the_socket_with_the_reason() -> None:
    async with rig() as made:
        made.play(made.camera.gop())
        player = await made.join()
        await player.start()
        await player.take(1)
        made.channel.end("the camera closed the connection")
        message = await player.socket.receive(timeout=5)
        assert message.type is WSMsgType.CLOSE
        assert message.extra == "the camera closed the connection"
        made.start()
        made.play(made.camera.gop())
        again = await made.join()
        await again.start()
        await again.take(1)
        again.assert_timeline()


async def test_a_source_without_a_picture_closes_the_socket_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("h5sup.outputs.ws.output.MIME_WITHIN_S", 0.05)
    async with rig(start=False) as made:
        made.channel.set_state("BACKOFF", "the camera refuses the password")
        player = await made.join()
        message = await player.socket.receive(timeout=5)
        assert message.type is WSMsgType.CLOSE
        assert "refuses the password" in str(message.extra)


async def test_one_viewer_too_many_is_refused() -> None:
    async with rig(viewers=1) as made:
        made.play(made.camera.gop())
        player = await made.join()
        await player.start()
        async with made.client.get("/ws", params={"token": "front"}) as answer:
            assert answer.status == 503
            assert "limits.viewers" in (await answer.json())["strCode"]


@pytest.mark.parametrize("words", ["{", "keepalive", '{"cmd":"H5_KEEPALIVE"}', "\x00\ufffd", "[]"])
async def test_whatever_a_client_says_changes_nothing(words: str) -> None:
    async with rig() as made:
        made.play(made.camera.gop())
        player = await made.join()
        await player.start()
        await player.socket.send_str(words)
        await player.socket.send_bytes(words.encode())
        made.play(made.camera.gop())
        await player.take(26)
        player.assert_timeline()


async def test_a_huge_message_closes_that_socket_alone() -> None:
    async with rig() as made:
        made.play(made.camera.gop())
        bad, good = await made.join(), await made.join()
        await bad.start()
        await good.start()
        await bad.socket.send_str("x" * 100_000)
        async with asyncio.timeout(5):
            while made.output.connections > 1:
                await asyncio.sleep(0.01)
        made.play(made.camera.gop())
        await good.take(26)
        good.assert_timeline()


async def test_a_flood_closes_the_socket() -> None:
    async with rig() as made:
        made.play(made.camera.gop())
        player = await made.join()
        await player.start()
        for _ in range(200):
            await player.socket.send_str("keepalive")
        async with asyncio.timeout(5):
            while made.output.connections:
                await asyncio.sleep(0.01)


async def test_a_client_that_leaves_in_the_middle_of_a_frame_is_forgotten() -> None:
    async with rig() as made:
        made.play(made.camera.gop())
        _, writer = await made.join_raw()
        writer.write(b"\x81\xfe\x10\x00\x01\x02")  # 4096 bytes are announced, two come
        await writer.drain()
        writer.transport.abort()
        async with asyncio.timeout(5):
            while made.output.connections or made.channel.viewers:
                made.play([made.camera.fragment()])
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "garbage",
    [
        bytes(range(256)) * 8,
        b"\x83\x80\x00\x00\x00\x00",  # an opcode that means nothing (RFC 6455 §5.2)
        b"\xf1\x80\x00\x00\x00\x00",  # reserved bits
        b"\x89\xfe\xff\xff" + bytes(70_000),  # a ping larger than a control frame may be
        b"\x82\xff\x7f" + b"\xff" * 7 + bytes(4),  # 2^63 bytes are announced
        b"\x01\xfe\x3f\xff" + bytes(4 + 16_383) + b"\x00\xfe\x3f\xff" + bytes(4 + 16_383),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["bytes", "opcode", "reserved", "long ping", "2^63", "without end", "http"],
)
async def test_garbage_closes_that_socket_alone(garbage: bytes) -> None:
    async with rig() as made:
        made.play(made.camera.gop())
        good = await made.join()
        await good.start()
        reader, writer = await made.join_raw()
        writer.write(garbage)
        await made.until_connections(1)
        with suppress(ConnectionResetError):  # what it did not read of ours makes it one
            async with asyncio.timeout(5):
                await reader.read()
        writer.close()
        made.play(made.camera.gop())
        await good.take(26)
        good.assert_timeline()


async def test_two_hundred_that_join_and_leave_leave_nothing_behind() -> None:
    async with rig() as made:
        made.play(made.camera.gop())
        stays = await made.join()
        await stays.start()
        me = psutil.Process()
        await come_and_go(made, 40)  # by then pools and caches have their size
        descriptors, memory = me.num_fds(), me.memory_info().rss
        for _ in range(4):
            await come_and_go(made, 50)
        gc.collect()
        assert (made.held.holders, made.channel.viewers) == (1, 1)
        (fan,) = made.output._fanouts.values()
        assert (fan.viewers, len(fan._timelines)) == (1, 1)
        assert sum(isinstance(one, Viewer) for one in gc.get_objects()) == 1
        assert me.num_fds() <= descriptors
        assert me.memory_info().rss - memory < 4_000_000
        await stays.take(1 + 240 // 2 + 5 * 25)
        stays.assert_timeline()


async def come_and_go(made: Rig, count: int) -> None:
    """Have viewers join, take some media, and leave with a goodbye or without."""
    for number in range(count):
        if number % 2:
            player = await made.join()
            await player.start()
            await player.socket.close()
            continue
        reader, writer = await made.join_raw()
        made.play([made.camera.fragment()])
        await reader.readexactly(100)
        writer.transport.abort()
    await made.until_connections(1)
    made.play(made.camera.gop())


async def test_a_slow_viewer_resumes_at_a_key_fragment_with_its_times_closed_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fanout_module, "SETTLING_S", 0.0)
    async with rig(viewer_bytes=300_000) as made:
        made.play(made.camera.gop())
        slow, quick = await made.join(), await made.join()
        await slow.start()
        await quick.start()
        await slow.take(1)
        await quick.take(1)
        transport = transport_of(slow)
        tcp = transport.get_extra_info("socket")
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        transport.pause_reading()
        big = [
            made.camera.fragment(key=not n % 50, picture_bytes=40_000, sounds=[1024] * 2)
            for n in range(300)
        ]
        for data in big:
            made.play([data])
            await quick.take(1)
        fan = next(iter(made.output._fanouts.values()))
        assert fan.dropped_fragments > 100
        transport.resume_reading()
        last = made.camera.video_dts
        reading = asyncio.create_task(slow.take(50))
        async with asyncio.timeout(20):
            while not reading.done():
                made.play([made.camera.fragment(key=True, sounds=[1024] * 2)])
                await quick.take(1)
                await asyncio.sleep(0.002)
        await reading
        slow.assert_timeline()
        quick.assert_timeline()
        assert made.camera.video_dts > last
        assert quick.end_s > slow.end_s + 3


@pytest.mark.parametrize("is_tls", [False, True])
async def test_a_viewer_that_never_reads_is_cut_off(
    is_tls: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(fanout_module, "BEHIND_LIMIT_S", 0.2)
    monkeypatch.setattr(fanout_module, "SETTLING_S", 0.0)
    authority = Authority(tmp_path) if is_tls else None
    async with rig(viewer_bytes=300_000, authority=authority) as made:
        made.play(made.camera.gop())
        player = await made.join()
        await player.start()
        transport_of(player).pause_reading()
        assert made.output.dropped_fragments == 0
        most_bytes = 0
        async with asyncio.timeout(20):
            while made.output.connections:
                made.play([made.camera.fragment(picture_bytes=50_000)])
                most_bytes = max(most_bytes, made.output.unsent_bytes)
                await asyncio.sleep(0.001)
        assert made.channel.viewers == 0
        assert 300_000 < most_bytes < 600_000  # what it may have, a fragment and TLS's share
        assert made.output.unsent_bytes == 0
        assert made.output.dropped_fragments > 1  # and they are still counted
        transport_of(player).close()  # or closing the client would wait for a goodbye
