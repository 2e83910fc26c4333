"""The same picture found in packets and fragments, and told from another."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from h5sup.bus.anchors import find_sound_anchor, find_video_anchor, first_unit
from h5sup.bus.channel import Channel
from h5sup.bus.ingest import Ingest
from h5sup.bus.packet_ring import Anchor, PacketRing
from h5sup.bus.timeline import CLOCK_START_S
from h5sup.formats.isobmff.build import NewRun, build_fragment
from h5sup.formats.isobmff.fragment import NON_SYNC_FLAGS, SYNC_FLAGS, Sample
from h5sup.formats.rtcp import SenderReport
from h5sup.formats.rtp import RtpHeader, build_header
from tests.fakes.mp4 import PICTURE, VIDEO_SCALE, Camera

DICE = random.Random(5)
SPS, PPS = b"\x67\x4d\x40\x1f" + DICE.randbytes(8), b"\x68\xee\x3c\x80"
SLICE = b"\x65" + DICE.randbytes(3000)
SECOND_SLICE = b"\x65" + DICE.randbytes(700)
SMALL = b"\x65" + DICE.randbytes(40)
NEXT = b"\x41" + DICE.randbytes(300)
FRAME = 3600
FRAGMENT_BYTES = 1000


class Feeder:
    def set_watched(self, is_watched: bool) -> None:
        pass


class Rig:
    """A channel that gets fragments and packets of the same pictures, as ffmpeg sends both."""

    def __init__(self) -> None:
        self.ring = PacketRing(1_000_000)
        self.ring.begin("h264", Feeder())
        self.channel = Channel("front", "main", "copy", gop_bytes=1_000_000, ring=self.ring)
        self.camera = Camera(audio=False)
        self.ingest = Ingest(self.channel)
        self.ingest.open()
        self.ingest.feed(self.camera.data, 0.0)
        self.header = RtpHeader(payload_type=96, sequence=9, timestamp=1_000_000, ssrc=3)
        self.now_s = 0.0

    def publish(self, *pictures: list[bytes], cts: int = 0) -> None:
        """Publish a fragment that begins with a key frame, and one with a picture more."""
        self._fragment(pictures, is_key=True, cts=cts)
        self._fragment(([NEXT],), is_key=False)

    def _fragment(self, pictures: Sequence[list[bytes]], *, is_key: bool, cts: int = 0) -> None:
        assert self.camera.init.video is not None
        payload, samples = b"", []
        for index, nals in enumerate(pictures):
            data = b"".join(len(nal).to_bytes(4) + nal for nal in nals)
            flags = SYNC_FLAGS if is_key and not index else NON_SYNC_FLAGS
            samples.append(Sample(0, len(data), PICTURE, flags, cts))
            payload += data
        run = NewRun(self.camera.init.video, self.camera.video_dts, samples, payload)
        self.camera.video_dts += PICTURE * len(samples)
        self.now_s += 0.04 * len(samples)
        self.ingest.feed(build_fragment(1, run), self.now_s)

    def send(self, *payloads: bytes) -> None:
        """Send the payloads of one picture."""
        packets = []
        for index, payload in enumerate(payloads, 1):
            packets.append(
                build_header(replace(self.header, is_marked=index == len(payloads))) + payload
            )
            self.header = replace(self.header, sequence=self.header.sequence + 1)
        self.header = replace(self.header, timestamp=self.header.timestamp + FRAME)
        self.ring.extend(packets, self.now_s)

    def find(self) -> Anchor | None:
        return find_video_anchor(self.channel)


def aggregated(*nals: bytes) -> bytes:
    """Return a STAP-A (RFC 6184 §5.7.1)."""
    return b"\x78" + b"".join(len(nal).to_bytes(2) + nal for nal in nals)


def fragmented(nal: bytes) -> list[bytes]:
    """Return FU-A payloads (RFC 6184 §5.8)."""
    body = nal[1:]
    pieces = [body[at : at + FRAGMENT_BYTES] for at in range(0, len(body), FRAGMENT_BYTES)]
    found = []
    for index, piece in enumerate(pieces):
        start, end = 0x80 * (not index), 0x40 * (index == len(pieces) - 1)
        found.append(bytes([nal[0] & 0xE0 | 28, start | end | nal[0] & 0x1F]) + piece)
    return found


KEYS: dict[str, tuple[list[bytes], list[bytes]]] = {
    "fragments": ([SPS, PPS, SLICE], [aggregated(SPS, PPS), *fragmented(SLICE)]),
    "whole": ([SPS, PPS, SMALL], [SPS, PPS, SMALL]),
    "aggregate": ([SPS, PPS, SMALL], [aggregated(SPS, PPS, SMALL)]),
    "slices": (
        [SPS, PPS, SLICE, SECOND_SLICE],
        [aggregated(SPS, PPS), *fragmented(SLICE), SECOND_SLICE],
    ),
    "delimiter": ([b"\x09\x10", SPS, PPS, SMALL], [b"\x09\x10", aggregated(SPS, PPS), SMALL]),
}


@pytest.mark.parametrize("name", KEYS)
async def test_the_key_frame_is_found_on_both_clocks(name: str) -> None:
    nals, payloads = KEYS[name]
    rig = Rig()
    rig.publish(nals)
    rig.send(*payloads)
    rig.send(NEXT)
    found = rig.find()
    assert found is not None
    assert found.timestamp == int.from_bytes(rig.ring.replay()[0][4:8])
    assert found.media_s == CLOCK_START_S
    for number in range(1, 4):
        nals = [*nals[:-1], nals[-1][:-20] + bytes([number]) * 20]
        payloads = [*payloads[:-1], payloads[-1][:-20] + bytes([number]) * 20]
        rig.publish(nals)
        rig.send(*payloads)
        rig.send(NEXT)
        again = rig.find()
        assert again is not None
        assert again.media_s == pytest.approx(CLOCK_START_S + 2 * number * PICTURE / VIDEO_SCALE)
        assert again.timestamp == found.timestamp + 2 * number * FRAME & 0xFFFFFFFF


async def test_a_picture_shown_later_than_decoded_is_where_it_is_shown() -> None:
    rig = Rig()
    rig.publish([SPS, PPS, SMALL], cts=2 * PICTURE)
    rig.send(SPS, PPS, SMALL)
    rig.send(NEXT)
    found = rig.find()
    assert found is not None
    assert found.media_s == pytest.approx(CLOCK_START_S + 2 * PICTURE / VIDEO_SCALE)


async def test_other_pictures_beside_it_don_t_matter() -> None:
    rig = Rig()
    rig.publish([SPS, PPS, SLICE], [NEXT], [NEXT[:-9]])
    rig.send(aggregated(SPS, PPS), *fragmented(SLICE))
    rig.send(NEXT)
    found = rig.find()
    assert found is not None
    assert found.media_s == CLOCK_START_S


async def test_packets_that_are_ahead_are_no_match() -> None:
    rig = Rig()
    rig.publish([SPS, PPS, SMALL])
    rig.send(SPS, PPS, SMALL[:-1] + b"\x00")
    rig.send(NEXT)
    assert rig.find() is None


@pytest.mark.parametrize(
    "missing", ["packets", "rest of the picture", "fragments", "init", "ring"]
)
async def test_while_something_is_missing_nothing_is_found(missing: str) -> None:
    rig = Rig()
    if missing != "fragments":
        rig.publish([SPS, PPS, SMALL])
    if missing != "packets":
        rig.send(SPS, PPS, SMALL)
        if missing != "rest of the picture":  # only the next one proves that it is whole
            rig.send(NEXT)
    if missing == "init":
        rig.channel.init = None
    if missing == "ring":
        rig.channel.ring = None
    assert rig.find() is None


async def test_a_picture_too_small_to_tell_from_others_is_none() -> None:
    rig = Rig()
    rig.publish([SPS, PPS, b"\x65\x88\x84\x01"])
    rig.send(SPS, PPS, b"\x65\x88\x84\x01")
    rig.send(NEXT)
    assert rig.find() is None


def test_a_unit_is_whole_when_the_next_one_begins() -> None:
    def packet(timestamp: int) -> bytes:
        return build_header(RtpHeader(payload_type=96, sequence=1, timestamp=timestamp, ssrc=1))

    assert first_unit([]) == []
    assert first_unit([packet(1), packet(1)]) == []
    assert first_unit([packet(1), packet(1), packet(2)]) == [packet(1)] * 2


def test_sound_of_the_same_ffmpeg_is_found_by_its_reports() -> None:
    video, sound = PacketRing(100_000), PacketRing(100_000)
    video.begin("h264", Feeder())
    sound.begin("pcma", Feeder())
    assert find_sound_anchor(video, sound) is None
    for ring, payload, ssrc in ((video, b"\x65\x01\x02", 5), (sound, b"\x55" * 160, 6)):
        header = RtpHeader(payload_type=96, sequence=1, timestamp=4_000_000_000, ssrc=ssrc)
        ring.extend([build_header(header) + payload], 100.0)
    video.anchor = Anchor(video.last_timestamp, 20.0)
    assert find_sound_anchor(video, sound) is None
    second = 1 << 32
    seen = SenderReport(ssrc=5, ntp=50 * second, timestamp=4_000_090_000)
    heard = SenderReport(ssrc=6, ntp=50 * second + second // 2, timestamp=4_000_008_000)
    video.note_report(seen)
    assert find_sound_anchor(video, sound) is None
    sound.note_report(heard)
    found = find_sound_anchor(video, sound)
    assert found is not None
    assert found.timestamp == sound.last_timestamp + 8000 & 0xFFFFFFFF
    assert found.media_s == 21.5  # a second after the anchor, and half of one
