"""WebRTC for real: ffmpeg's packets, ICE, DTLS and SRTP to clients that look at each packet."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from h5sup.auth.guard import ANONYMOUS
from h5sup.auth.sessions import Sessions
from h5sup.auth.visit import VISIT, Visit
from h5sup.config.model import RtcConfig
from h5sup.formats.rtp import sequence_distance, timestamp_distance
from h5sup.outputs.rtc import burst
from h5sup.outputs.rtc.output import RtcOutput
from h5sup.outputs.rtc.whep import METHODS
from tests.e2e.server import free_port
from tests.fakes.clips import Clips
from tests.fakes.rtc_client import Got, RtcClient
from tests.fakes.rtsp_camera import RtspCamera
from tests.media.conftest import Station, StationMaker

pytestmark = [pytest.mark.media, pytest.mark.timeout(90)]

NAL_SPS, NAL_IDR = 7, 5


@dataclass
class Room:
    """A WebRTC output with sources and a way to reach it."""

    output: RtcOutput
    station: Station
    base: str
    http: aiohttp.ClientSession

    def client(self, token: str = "cam", **options: Any) -> RtcClient:
        return RtcClient(self.base, token, http=self.http, **options)

    async def until(self, condition: Callable[[], object], timeout_s: float = 20.0) -> None:
        await self.station.until(condition, timeout_s)


@asynccontextmanager
async def open_room(
    station: StationMaker, *, segments: bool = True, **limits: Any
) -> AsyncIterator[Room]:
    async with station(**limits) as made:
        output = RtcOutput(
            made.registry, RtcConfig(port=free_port()), viewers=50, segments=segments
        )
        await output.open()

        async def admit(request: web.Request) -> web.StreamResponse:
            request[VISIT] = Visit(ANONYMOUS, Sessions(600))
            return await output.whep(request)

        app = web.Application()
        for method in METHODS:
            app.router.add_route(method, "/whep/{path:.*}", admit)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession() as http:
            try:
                yield Room(output, made, base, http)
            finally:
                await output.close()
                await runner.cleanup()


def nal_types(one: Got) -> set[int]:
    """Return the types of NAL units that begin in a packet of H.264."""
    kind = one.payload[0] & 31
    if kind == 28:
        return {one.payload[1] & 31} if one.payload[1] & 0x80 else set()
    if kind == 24:
        found, at = set(), 1
        while at < len(one.payload):
            size = int.from_bytes(one.payload[at : at + 2])
            found.add(one.payload[at + 2] & 31)
            at += 2 + size
        return found
    return {kind}


def assert_unbroken(got: list[Got]) -> None:
    """The numbers have no gap, and times never go back."""
    for one, other in pairwise(got):
        assert sequence_distance(other.header.sequence, one.header.sequence) == 1
        assert timestamp_distance(other.header.timestamp, one.header.timestamp) >= 0


def is_whole(client: RtcClient) -> bool:
    return not client.missing


async def until_live(client: RtcClient, room: Room, packets: int = 60) -> None:
    await room.until(lambda: len(client.video) >= packets)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"profile": "SRTP_AES128_CM_SHA1_80"},
        {"tcp": True},
        {"address": "::1"},
    ],
    ids=["gcm", "sha1", "tcp", "ipv6"],
)
@pytest.mark.parametrize("segments", [True, False])
async def test_a_viewer_starts_with_a_key_frame_and_gets_every_packet(
    options: dict[str, Any], segments: bool, station: StationMaker, clips: Clips
) -> None:
    async with (
        RtspCamera(clips, ["h264_2m"]) as camera,
        open_room(station, segments=segments) as room,
    ):
        source = await room.station.add("cam", camera.url("h264_2m"))
        await room.until(lambda: source.main.channel.gop)
        async with room.client(**options) as client:
            await until_live(client, room, 400)
            assert client.bad == 0
            assert nal_types(client.video[0]) & {NAL_SPS, 6, 9}
            first = client.video[0].header.timestamp
            opening = [one for one in client.video if one.header.timestamp == first]
            assert any(NAL_IDR in nal_types(one) for one in opening)
            assert_unbroken(client.video)
            expected = options.get("profile", "SRTP_AEAD_AES_256_GCM")
            assert client.srtp_profile == expected
            (figures,) = room.output.figures
            assert figures.is_udp is not options.get("tcp", False)
            assert figures.dropped == 0
        await room.until(lambda: room.output.connections == 0)


async def test_where_the_kernel_refuses_to_cut_packets_are_sent_one_by_one(
    station: StationMaker, clips: Clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(burst, "UDP_SEGMENT", 9999)  # ENOPROTOOPT or EINVAL, as old kernels say
    async with RtspCamera(clips, ["h264_2m"]) as camera, open_room(station) as room:
        source = await room.station.add("cam", camera.url("h264_2m"))
        await room.until(lambda: source.main.channel.gop)
        async with room.client() as client:
            await until_live(client, room, 300)
            assert_unbroken(client.video)
            sockets = room.output._endpoint._sockets.values()
            assert not all(one.segments for one in sockets)


async def test_lost_packets_are_sent_again_and_the_figures_say_so(
    station: StationMaker, clips: Clips
) -> None:
    async with RtspCamera(clips, ["h264_2m"]) as camera, open_room(station) as room:
        source = await room.station.add("cam", camera.url("h264_2m"))
        await room.until(lambda: source.main.channel.gop)
        for rtx in (True, False):
            async with room.client(rtx=rtx) as client:
                await until_live(client, room, 200)
                client.loses = lambda _: secrets.randbelow(10) == 0
                await until_live(client, room, 600)
                client.loses = lambda _: False
                await room.until(partial(is_whole, client))
                again = [one for one in client.video if one.is_again]
                assert bool(again) is rtx
                by_number = {one.header.sequence: one for one in client.video}
                ordered = [by_number[number] for number in sorted(by_number)]
                assert_unbroken(ordered)
                assert room.output.figures[0].resent >= 20


async def test_a_lost_picture_is_played_again_to_that_viewer_alone(
    station: StationMaker, clips: Clips
) -> None:
    async with RtspCamera(clips, ["h264_gop4"]) as camera, open_room(station) as room:
        source = await room.station.add("cam", camera.url("h264_gop4"))
        await room.until(lambda: source.main.channel.gop)
        async with room.client() as one, room.client() as other:
            await until_live(one, room, 40)
            await until_live(other, room, 40)
            before = len(one.video)
            one.ask_picture()
            await room.until(lambda: sorted(f.replays for f in room.output.figures) == [1, 2])
            await room.until(lambda: len(one.video) > before + 60)
            assert_unbroken(one.video)
            assert_unbroken(other.video)
            late = one.video[before - 5 :]
            assert any(NAL_IDR in nal_types(packet) for packet in late)
            for _ in range(20):  # one in half a second at most
                one.ask_picture()
            await asyncio.sleep(0.2)
            assert room.output.figures[0].replays <= 2


async def test_a_source_that_restarts_keeps_its_viewers(
    station: StationMaker, clips: Clips
) -> None:
    async with RtspCamera(clips, ["h264_aac"]) as camera, open_room(station) as room:
        source = await room.station.add("cam", camera.url("h264_aac"))
        await room.until(lambda: source.main.channel.gop)
        async with room.client() as client:
            await until_live(client, room)
            await camera.kick("h264_aac")
            before = len(client.video)
            await room.until(lambda: len(client.video) > before + 50, 30)
            assert_unbroken(client.video)
            assert room.output.connections == 1


async def test_who_falls_silent_is_freed(
    station: StationMaker, clips: Clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("h5sup.outputs.rtc.peer.GONE_AFTER_S", 2.0)
    async with RtspCamera(clips, ["h264_aac"]) as camera, open_room(station) as room:
        source = await room.station.add("cam", camera.url("h264_aac"), connect="ondemand")
        client = room.client()
        await client.signal()
        await client.connect()
        assert source.viewers == room.output.connections == 1
        await client.leave()
        await room.until(lambda: room.output.connections == 0, 10)
        assert source.viewers == 0
        assert room.output._endpoint.agents == room.output._endpoint.paths == 0


async def test_wrong_credentials_and_strangers_get_no_answer(
    station: StationMaker, clips: Clips
) -> None:
    async with RtspCamera(clips, ["h264_aac"]) as camera, open_room(station) as room:
        source = await room.station.add("cam", camera.url("h264_aac"))
        await room.until(lambda: source.main.channel.gop)
        async with room.client() as client:
            await until_live(client, room)
            port = room.output._endpoint.port
            with socket.socket(type=socket.SOCK_DGRAM) as stranger:
                stranger.setblocking(False)
                stranger.bind(("127.0.0.1", 0))
                for data in (b"\x16\xfe\xff" + bytes(60), b"\x80\xc9" + bytes(40), bytes(40), b""):
                    stranger.sendto(data, ("127.0.0.1", port))
                await room.until(lambda: room.output._endpoint.strangers >= 3)
                with pytest.raises(BlockingIOError):
                    stranger.recv(2048)
            paths_before = room.output._endpoint.paths
            client.check(pwd="x" * 24)
            count = len(client.video)
            await room.until(lambda: len(client.video) > count + 40)
            assert room.output._endpoint.paths == paths_before


async def test_garbage_in_the_handshake_ends_nothing_but_itself(
    station: StationMaker, clips: Clips
) -> None:
    async with RtspCamera(clips, ["h264_aac"]) as camera, open_room(station) as room:
        source = await room.station.add("cam", camera.url("h264_aac"))
        await room.until(lambda: source.main.channel.gop)
        client = room.client()
        await client.signal()
        client._remote = ("127.0.0.1", room.output._endpoint.port)
        client.check()
        await room.until(client._checked.is_set)
        for _ in range(200):
            client.send(bytes([22]) + secrets.token_bytes(100))
        await asyncio.sleep(0.1)
        async with room.client() as fine:
            await until_live(fine, room)
        await client.leave()


async def test_sound_and_picture_are_on_one_clock(station: StationMaker, clips: Clips) -> None:
    """Sender reports put both tracks' timestamps where the fragments have them."""
    async with RtspCamera(clips, ["h264_aac"]) as camera, open_room(station) as room:
        source = await room.station.add("cam", camera.url("h264_aac"))
        channel = source.main.channel
        await room.until(lambda: channel.gop)
        async with room.client() as client:
            await room.until(lambda: len(client.sound) > 50)
            await room.until(lambda: channel.ring and channel.ring.anchor is not None)
            sound_ring = source.sound(channel).ring
            await room.until(lambda: sound_ring.anchor is not None)
            client.reports.clear()
            await room.until(lambda: len(client.reports) == 2)
            media = {}
            for ssrc, (report, _) in client.reports.items():
                is_video = ssrc == client._ssrc("video")
                ring = channel.ring if is_video else sound_ring
                assert ring is not None
                assert ring.anchor is not None
                ahead = timestamp_distance(report.timestamp, ring.anchor.timestamp)
                media[is_video] = ring.anchor.media_s + ahead / ring.clock_hz - report.ntp / 2**32
            assert abs(media[True] - media[False]) < 0.005
            # and so they stand to what came when: sound and picture of a moment come together
            last = {}
            for is_video, track in ((True, client.video), (False, client.sound)):
                report, _ = client.reports[track[-1].header.ssrc]
                clock = 90_000 if is_video else 48_000
                ahead = timestamp_distance(track[-1].header.timestamp, report.timestamp)
                last[is_video] = report.ntp / 2**32 + ahead / clock - track[-1].at
            assert abs(last[True] - last[False]) < 0.3


async def test_g711_passes_as_it_comes_where_it_is_offered(
    station: StationMaker, clips: Clips
) -> None:
    async with RtspCamera(clips, ["h264_pcma"]) as camera, open_room(station) as room:
        source = await room.station.add("cam", camera.url("h264_pcma"))
        await room.until(lambda: source.main.channel.gop)
        async with room.client(alaw=True) as client:
            await room.until(lambda: len(client.sound) > 30)
            assert {one.header.payload_type for one in client.sound} == {8}
            step = [
                timestamp_distance(b.header.timestamp, a.header.timestamp)
                for a, b in pairwise(client.sound[1:])
            ]
            sizes = [len(one.payload) for one in client.sound[1:-1]]
            # 8000 samples of a byte each second; where the camera's clip begins anew one is cut
            assert sum(a != b for a, b in zip(step, sizes, strict=True)) <= 1, (step, sizes)
        async with room.client() as client:
            await room.until(lambda: len(client.sound) > 30)
            assert {one.header.payload_type for one in client.sound} == {111}


@pytest.mark.parametrize("mount", ["h264_bframes", "hevc_aac", "mjpeg"])
async def test_what_browsers_cannot_take_is_transcoded_once(
    mount: str, station: StationMaker, clips: Clips
) -> None:
    async with RtspCamera(clips, [mount]) as camera, open_room(station) as room:
        source = await room.station.add("cam", camera.url(mount))
        await room.until(lambda: source.main.channel.gop)
        async with room.client(sound=False) as one, room.client(sound=False) as other:
            await until_live(one, room)
            await until_live(other, room)
            assert_unbroken(one.video)
            assert len(source.feeds) == 2  # the input and one transcoder for both


async def test_answers_that_never_come_are_given_up(
    station: StationMaker, clips: Clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("h5sup.outputs.rtc.peer.CONNECT_WITHIN_S", 0.5)
    async with RtspCamera(clips, ["h264_aac"]) as camera, open_room(station) as room:
        await room.station.add("cam", camera.url("h264_aac"))
        client = room.client()
        await client.signal()
        assert room.output.connections == 1
        await room.until(lambda: room.output.connections == 0, 5)
        await client.leave()
        async with room.http.patch(room.base + client.location) as response:
            assert response.status == 404
