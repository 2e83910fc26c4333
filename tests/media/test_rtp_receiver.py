"""The RTP receiver and the packet ring, fed by a real ffmpeg as the ingest command feeds them."""

from __future__ import annotations

import asyncio
import logging
import socket
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from h5sup.base.errors import SourceError
from h5sup.bus.packet_ring import VIDEO_CLOCK_HZ, Codec, PacketRing
from h5sup.formats import h264, h265
from h5sup.formats.rtcp import UNIX_TO_NTP_S, SenderReport, build_sender_report
from h5sup.formats.rtp import (
    RtpHeader,
    build_header,
    parse_header,
    sequence_distance,
    timestamp_distance,
)
from h5sup.sources import rtp_receiver
from h5sup.sources.rtp_receiver import BUFFER_BYTES, RtpReceiver, bind_pair, enlarge_buffer
from tests.fakes.clips import CLIPS, Clips
from tests.fakes.http_ts import HttpTs
from tests.fakes.rtsp_camera import RtspCamera
from tests.fakes.udp_relay import UdpRelay

pytestmark = pytest.mark.media

ANNEX_B = "dump_extra=freq=keyframe"
LENGTHS = "h264_mp4toannexb"  # MP4 and FLV have lengths instead of start codes


class Viewer:
    """Keeps what a ring gives."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def on_packets(self, packets: Sequence[bytes]) -> None:
        self.packets += packets

    def on_close(self, reason: str) -> None:
        raise AssertionError(reason)


@contextmanager
def receiving(ring: PacketRing, codec: Codec = "h264") -> Iterator[RtpReceiver]:
    receiver = RtpReceiver(ring, codec)
    receiver.open()
    try:
        yield receiver
    finally:
        receiver.close()


@asynccontextmanager
async def sending(
    ffmpeg: str, port: int, source: Sequence[str], bsf: str, extra: Sequence[str] = ()
) -> AsyncIterator[None]:
    """Run ffmpeg with the RTP leg of the ingest command."""
    output = ["-map", "0:v:0", "-c", "copy", "-bsf:v", bsf, *extra, "-f", "rtp"]
    argv = [ffmpeg, "-hide_banner", "-nostdin", "-loglevel", "error", *source, *output]
    argv += ["-payload_type", "96", f"rtp://127.0.0.1:{port}?pkt_size=1200"]
    process = await asyncio.create_subprocess_exec(*argv, stdout=DEVNULL)
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def until(condition: Callable[[], bool], timeout_s: float = 15) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)


def units(packets: Sequence[bytes]) -> list[list[bytes]]:
    """Return the packets of each access unit."""
    return [list(unit) for _, unit in groupby(packets, lambda p: parse_header(p).timestamp)]


def nal_types(unit: Sequence[bytes], codec: Codec) -> list[int]:
    """Return what begins in each packet of an access unit, in order."""
    types_of = h264.payload_types if codec == "h264" else h265.payload_types
    return [nal_type for packet in unit for nal_type in types_of(packet[12:])]


def assert_decodable(packets: Sequence[bytes], codec: Codec) -> int:
    """Check numbers, markers and that each key unit has its parameter sets; return the GOPs."""
    numbers = [parse_header(packet).sequence for packet in packets]
    assert all(sequence_distance(after, before) == 1 for before, after in pairwise(numbers))
    gops = 0
    whole = units(packets)[:-1]  # the last one may still be under way
    for unit in whole:
        assert [parse_header(packet).is_marked for packet in unit].count(True) == 1
        assert parse_header(unit[-1]).is_marked
        found = nal_types(unit, codec)
        if codec == "h264" and h264.NAL_TYPE_IDR in found:
            gops += 1
            before = found[: found.index(h264.NAL_TYPE_IDR)]
            assert {h264.NAL_TYPE_SPS, h264.NAL_TYPE_PPS} <= set(before)
        if codec == "hevc" and set(h265.IRAP_TYPES) & set(found):
            gops += 1
            assert {h265.NAL_TYPE_VPS, h265.NAL_TYPE_SPS, h265.NAL_TYPE_PPS} <= set(found)
    return gops


@contextmanager
def sender(port: int) -> Iterator[Callable[[bytes], object]]:
    """Yield what sends a datagram to `port`, always from the same address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("127.0.0.1", port))
        yield out.send


def rtp(number: int, payload: bytes) -> bytes:
    """Return an access unit of one packet."""
    timestamp = 90_000 + (number - 1) * 3600
    header = RtpHeader(
        payload_type=96, sequence=number, timestamp=timestamp, ssrc=2, is_marked=True
    )
    return build_header(header) + payload


class Sources:
    """Opens each kind of input that a camera or file can be."""

    def __init__(self, clips: Clips, ffmpeg: str, folder: Path, stack: AsyncExitStack) -> None:
        self._clips = clips
        self._ffmpeg = ffmpeg
        self._folder = folder
        self._stack = stack

    async def open(self, kind: str, clip: str) -> list[str]:
        """Return the arguments up to the input's address."""
        if kind == "rtsp":
            camera = await self._stack.enter_async_context(RtspCamera(self._clips, [clip]))
            options = ["-rtsp_transport", "tcp", "-fpsprobesize", "0"]
            return [*options, "-i", camera.url(clip)]
        if kind == "http":
            server = await self._stack.enter_async_context(HttpTs(self._clips[clip], self._ffmpeg))
            return ["-i", server.url()]
        playlist = self._folder / "loop.ffconcat"
        lines = ["ffconcat version 1.0", *[f"file '{self._clips[clip]}'"] * 20, ""]
        await asyncio.to_thread(playlist.write_text, "\n".join(lines))
        return ["-re", "-f", "concat", "-safe", "0", "-i", str(playlist)]


@pytest.mark.parametrize(
    ("kind", "clip", "bsf", "codec"),
    [
        ("rtsp", "h264_aac", ANNEX_B, "h264"),
        ("rtsp", "h264_aac-nosp", ANNEX_B, "h264"),
        ("rtsp", "h264_bframes", ANNEX_B, "h264"),
        ("rtsp", "hevc_aac", ANNEX_B, "hevc"),
        ("file", "h264_mute", LENGTHS, "h264"),
        ("file", "h264_flv", LENGTHS, "h264"),
        ("file", "h264_short", LENGTHS, "h264"),
        ("file", "h264_ts_short", ANNEX_B, "h264"),
        ("file", "hevc_aac", "hevc_mp4toannexb", "hevc"),
        ("http", "h264_ts", ANNEX_B, "h264"),
    ],
)
async def test_every_gop_carries_its_parameter_sets(
    kind: str, clip: str, bsf: str, codec: Codec, clips: Clips, ffmpeg: str, tmp_path: Path
) -> None:
    ring, viewer = PacketRing(8_000_000), Viewer()
    ring.subscribe(viewer)
    async with AsyncExitStack() as stack:
        source = await Sources(clips, ffmpeg, tmp_path, stack).open(kind, clip)
        receiver = stack.enter_context(receiving(ring, codec))
        await stack.enter_async_context(sending(ffmpeg, receiver.port, source, bsf))
        recipe = CLIPS[clip.removesuffix("-nosp")]
        is_looped = recipe.duration_s == 1  # such a clip has to survive three loops
        seconds = 4.5 if is_looped else 2.5 * recipe.gop_s
        await until(lambda: _span_s(viewer.packets) > seconds)
    assert assert_decodable(viewer.packets, codec) >= (4 if is_looped else 2)
    assert (ring.lost, ring.dropped, ring.is_waiting) == (0, 0, False)
    start = ring.replay()
    assert viewer.packets[-len(start) :] == start
    key_types = {h264.NAL_TYPE_IDR} if codec == "h264" else set(h265.IRAP_TYPES)
    assert key_types & set(nal_types(units(start)[0], codec))


def _span_s(packets: Sequence[bytes]) -> float:
    """Return how much time the packets cover."""
    if not packets:
        return 0
    first, last = parse_header(packets[0]).timestamp, parse_header(packets[-1]).timestamp
    return timestamp_distance(last, first) / VIDEO_CLOCK_HZ


async def test_losses_are_counted_and_the_next_idr_resumes(
    clips: Clips, ffmpeg: str, tmp_path: Path
) -> None:
    lost_numbers = range(100, 103)
    ring, viewer = PacketRing(8_000_000), Viewer()
    ring.subscribe(viewer)
    async with AsyncExitStack() as stack:
        source = await Sources(clips, ffmpeg, tmp_path, stack).open("file", "h264_2m")
        receiver = stack.enter_context(receiving(ring))
        relay = await stack.enter_async_context(
            UdpRelay(receiver.port, lambda count, _: count in lost_numbers)
        )
        await stack.enter_async_context(sending(ffmpeg, relay.port, source, LENGTHS))
        await until(lambda: ring.lost > 0)
        before = len(viewer.packets)
        assert before == lost_numbers.start
        await until(lambda: len(viewer.packets) > before + 50)
    resumed = viewer.packets[before:]
    assert (ring.lost, relay.lost) == (3, 3)
    assert ring.received == len(viewer.packets) + ring.dropped
    assert ring.dropped > 0
    assert h264.NAL_TYPE_IDR in nal_types(units(resumed)[0], "h264")
    assert assert_decodable(resumed, "h264") >= 1
    numbers = [parse_header(viewer.packets[at]).sequence for at in (before - 1, before)]
    assert sequence_distance(numbers[1], numbers[0]) == 1


async def test_a_second_ffmpeg_continues_the_first(
    clips: Clips, ffmpeg: str, tmp_path: Path
) -> None:
    ring, viewer = PacketRing(8_000_000), Viewer()
    ring.subscribe(viewer)
    loop = asyncio.get_running_loop()
    ends: list[tuple[int, float]] = []
    for _ in range(2):
        async with AsyncExitStack() as stack:
            source = await Sources(clips, ffmpeg, tmp_path, stack).open("file", "h264_mute")
            receiver = stack.enter_context(receiving(ring))
            count = len(viewer.packets)
            await stack.enter_async_context(sending(ffmpeg, receiver.port, source, LENGTHS))
            await until(lambda: len(viewer.packets) > count)  # noqa: B023 (awaited right here)
            ends.append((parse_header(viewer.packets[count]).timestamp, loop.time()))
            await until(lambda: len(viewer.packets) > count + 60)  # noqa: B023
    assert assert_decodable(viewer.packets, "h264") >= 2
    passed_s = timestamp_distance(ends[1][0], ends[0][0]) / VIDEO_CLOCK_HZ
    assert passed_s == pytest.approx(ends[1][1] - ends[0][1], abs=0.3)


async def test_sender_reports_give_wall_time(clips: Clips, ffmpeg: str, tmp_path: Path) -> None:
    ring, viewer = PacketRing(8_000_000), Viewer()
    ring.subscribe(viewer)
    async with AsyncExitStack() as stack:
        source = await Sources(clips, ffmpeg, tmp_path, stack).open("file", "h264_mute")
        receiver = stack.enter_context(receiving(ring))
        await stack.enter_async_context(sending(ffmpeg, receiver.port, source, LENGTHS))
        await until(lambda: ring.sender_report() is not None and ring.received > 20)
    report = ring.sender_report()
    assert report is not None
    assert report.ssrc == ring.ssrc
    assert report.ntp >> 32 > UNIX_TO_NTP_S
    span_s = timestamp_distance(ring.last_timestamp, report.timestamp) / VIDEO_CLOCK_HZ
    assert -1 < span_s < 6  # ffmpeg reports first at once, then every 5 s


async def test_unwatched_packets_wait_and_the_first_viewer_gets_them_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rtp_receiver, "IDLE_S", 3600.0)
    ring = PacketRing(1_000_000)
    with receiving(ring) as receiver, sender(receiver.port) as send:
        send(rtp(1, b"\x65\x88\x84"))
        send(rtp(2, b"\x41\x9a\x02"))
        await asyncio.sleep(0)
        assert ring.received == 0
        start = ring.subscribe(Viewer())
        assert [packet[12:] for packet in start] == [b"\x65\x88\x84", b"\x41\x9a\x02"]


async def test_unwatched_packets_are_taken_before_the_buffer_is_full() -> None:
    ring = PacketRing(50_000_000)
    with receiving(ring) as receiver, sender(receiver.port) as send:
        for number in range(2000):
            send(rtp(number, b"\x65" + bytes(1187)))
        await until(lambda: ring.received == 2000, timeout_s=5)
    assert ring.lost == 0


async def test_only_the_first_sender_is_heard() -> None:
    ring, viewer = PacketRing(1_000_000), Viewer()
    ring.subscribe(viewer)
    with (
        receiving(ring) as receiver,
        sender(receiver.port) as ours,
        sender(receiver.port) as other,
    ):
        other(b"no RTP at all")
        other(build_sender_report(SenderReport(ssrc=1, ntp=1, timestamp=1)))
        ours(rtp(1, b"\x65\x88\x84"))
        await until(lambda: len(viewer.packets) == 1)
        other(rtp(2, b"\x41\x66\x66"))
        ours(rtp(2, b"\x41\x9a\x02"))
        await until(lambda: len(viewer.packets) == 2)
    assert viewer.packets[1][12:] == b"\x41\x9a\x02"
    assert ring.received == 2


async def test_only_reports_of_the_same_sender_count() -> None:
    ring, viewer = PacketRing(1_000_000), Viewer()
    ring.subscribe(viewer)
    with (
        receiving(ring) as receiver,
        sender(receiver.port) as media,
        sender(receiver.port + 1) as control,
    ):
        media(rtp(1, b"\x65\x88\x84"))
        control(b"\x80\xc8\x00")
        control(build_sender_report(SenderReport(ssrc=2, ntp=5, timestamp=90_040)))
        await until(lambda: ring.sender_report() is not None)
        found = ring.sender_report()
        assert found is not None
        assert found.ntp == 5
        assert timestamp_distance(found.timestamp, ring.last_timestamp) == 40
        control(build_sender_report(SenderReport(ssrc=3, ntp=6, timestamp=90_040)))
        await until(lambda: ring.sender_report() is None)


async def test_a_flood_leaves_the_loop_its_turns() -> None:
    ring, viewer = PacketRing(1_000_000), Viewer()
    with receiving(ring) as receiver, sender(receiver.port) as send:
        for number in range(1000):
            send(rtp(number, b"\x65\x88\x84"))
        sizes: list[int] = []
        ring.subscribe(viewer)
        for number in range(1000, 2000):
            send(rtp(number, b"\x65\x88\x84"))
        while ring.received < 2000:
            before = ring.received
            await asyncio.sleep(0)
            sizes.append(ring.received - before)
    assert max(sizes) <= rtp_receiver.BATCH_PACKETS


async def test_closing_takes_what_is_left_and_frees_the_ports() -> None:
    ring = PacketRing(1_000_000)
    with receiving(ring) as receiver, sender(receiver.port) as send:
        port = receiver.port
        send(rtp(1, b"\x65\x88\x84"))
        receiver.close()
        assert ring.received == 1
        receiver.set_watched(True)  # the ring has forgotten it; a late call does no harm
    for number in (port, port + 1):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(("127.0.0.1", number))


async def test_ports_come_in_pairs_though_many_are_taken() -> None:
    with ExitStack() as stack:
        for _ in range(100):
            media, control = map(stack.enter_context, bind_pair())
            port = media.getsockname()[1]
            assert port % 2 == 0
            assert control.getsockname()[1] == port + 1


async def test_no_free_pair_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = OSError(98, "Address already in use")
    real = rtp_receiver._bind

    def refuse(port: int) -> socket.socket:
        if port:
            raise taken
        return real(0)

    monkeypatch.setattr(rtp_receiver, "_bind", refuse)
    with pytest.raises(SourceError, match="no pair of UDP ports is free"):
        RtpReceiver(PacketRing(1_000_000), "h264").open()


class CappedSocket(socket.socket):
    """A socket of a process without CAP_NET_ADMIN on a kernel with the usual cap."""

    def setsockopt(self, level: int, option: int, value: int) -> None:  # type: ignore[override]
        """Do as the kernel does."""
        if option == rtp_receiver.SO_RCVBUFFORCE:
            raise PermissionError(1, "Operation not permitted")
        super().setsockopt(level, option, min(value, 212_992))


def test_a_small_buffer_is_noted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with CappedSocket(socket.AF_INET, socket.SOCK_DGRAM) as media:
        assert enlarge_buffer(media) == 212_992
    assert "raise net.core.rmem_max" in caplog.text


def test_the_buffer_holds_four_megabytes_where_the_kernel_allows_it() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media:
        cap = int(Path("/proc/sys/net/core/rmem_max").read_text())
        assert enlarge_buffer(media) >= min(cap, BUFFER_BYTES)


async def test_with_a_small_buffer_packets_are_taken_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rtp_receiver, "enlarge_buffer", lambda _: 212_992)
    monkeypatch.setattr(rtp_receiver, "IDLE_S", 3600.0)
    ring = PacketRing(1_000_000)
    with receiving(ring) as receiver, sender(receiver.port) as send:
        send(rtp(1, b"\x65\x88\x84"))
        await until(lambda: ring.received == 1)
