"""The same picture found in packets and fragments, and told from another."""

from __future__ import annotations

import pytest

from h5sup.bus.anchors import find_sound_anchor, find_video_anchor, first_unit
from h5sup.bus.packet_ring import Anchor, PacketRing
from h5sup.bus.timeline import CLOCK_START_S
from h5sup.formats.rtcp import SenderReport
from h5sup.formats.rtp import RtpHeader, build_header
from tests.fakes.mp4 import PICTURE, VIDEO_SCALE
from tests.fakes.pictures import (
    FRAME,
    NEXT,
    PPS,
    SECOND_SLICE,
    SLICE,
    SMALL,
    SPS,
    Feeder,
    Pictures,
)

FRAGMENT_BYTES = 1000


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
    rig = Pictures()
    rig.publish(nals)
    rig.send(*payloads)
    rig.send(NEXT)
    found = find_video_anchor(rig.channel)
    assert found is not None
    assert found.timestamp == int.from_bytes(rig.ring.replay()[0][4:8])
    assert found.media_s == CLOCK_START_S
    for number in range(1, 4):
        nals = [*nals[:-1], nals[-1][:-20] + bytes([number]) * 20]
        payloads = [*payloads[:-1], payloads[-1][:-20] + bytes([number]) * 20]
        rig.publish(nals)
        rig.send(*payloads)
        rig.send(NEXT)
        again = find_video_anchor(rig.channel)
        assert again is not None
        assert again.media_s == pytest.approx(CLOCK_START_S + 2 * number * PICTURE / VIDEO_SCALE)
        assert again.timestamp == found.timestamp + 2 * number * FRAME & 0xFFFFFFFF


async def test_a_picture_shown_later_than_decoded_is_where_it_is_shown() -> None:
    rig = Pictures()
    rig.publish([SPS, PPS, SMALL], cts=2 * PICTURE)
    rig.send(SPS, PPS, SMALL)
    rig.send(NEXT)
    found = find_video_anchor(rig.channel)
    assert found is not None
    assert found.media_s == pytest.approx(CLOCK_START_S + 2 * PICTURE / VIDEO_SCALE)


async def test_other_pictures_beside_it_don_t_matter() -> None:
    rig = Pictures()
    rig.publish([SPS, PPS, SLICE], [NEXT], [NEXT[:-9]])
    rig.send(aggregated(SPS, PPS), *fragmented(SLICE))
    rig.send(NEXT)
    found = find_video_anchor(rig.channel)
    assert found is not None
    assert found.media_s == CLOCK_START_S


async def test_packets_that_are_ahead_are_no_match() -> None:
    rig = Pictures()
    rig.publish([SPS, PPS, SMALL])
    rig.send(SPS, PPS, SMALL[:-1] + b"\x00")
    rig.send(NEXT)
    assert find_video_anchor(rig.channel) is None


@pytest.mark.parametrize(
    "missing", ["packets", "rest of the picture", "fragments", "init", "ring"]
)
async def test_while_something_is_missing_nothing_is_found(missing: str) -> None:
    rig = Pictures()
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
    assert find_video_anchor(rig.channel) is None


async def test_a_picture_too_small_to_tell_from_others_is_none() -> None:
    rig = Pictures()
    rig.publish([SPS, PPS, b"\x65\x88\x84\x01"])
    rig.send(SPS, PPS, b"\x65\x88\x84\x01")
    rig.send(NEXT)
    assert find_video_anchor(rig.channel) is None


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
