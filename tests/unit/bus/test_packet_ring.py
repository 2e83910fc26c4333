from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.bus.packet_ring import (
    HISTORY_PACKETS,
    PACKET_OVERHEAD_BYTES,
    SHORTEST_STEP_S,
    VIDEO_CLOCK_HZ,
    Anchor,
    Codec,
    PacketRing,
)
from h5sup.formats.rtcp import SenderReport
from h5sup.formats.rtp import (
    RtpHeader,
    build_header,
    parse_header,
    payload_bounds,
    sequence_distance,
    timestamp_distance,
)

FRAME = VIDEO_CLOCK_HZ // 25
DELIMITER = b"\x09\xf0"
PARAMETERS = b"\x78\x00\x03\x67\x4d\x40\x00\x02\x68\xee"  # STAP-A: SPS, PPS
IDR = b"\x65\x88\x84"
IDR_START, IDR_MIDDLE, IDR_END = b"\x7c\x85\x88", b"\x7c\x05\x88", b"\x7c\x45\x88"
SLICE = b"\x41\x9a\x02"
SLICE_START, SLICE_END = b"\x5c\x81\x9a", b"\x5c\x41\x9a"
KEY_UNIT = [PARAMETERS, IDR_START, IDR_MIDDLE, IDR_END]
UNIT = [SLICE_START, SLICE_END]


class FakeFfmpeg:
    """Numbers payloads as one run of ffmpeg does, from a base of its own."""

    def __init__(self, sequence: int = 65533, timestamp: int = 2**32 - 5000, ssrc: int = 7):
        self.header = RtpHeader(
            payload_type=96, sequence=sequence, timestamp=timestamp, ssrc=ssrc, is_marked=False
        )

    def unit(self, payloads: Sequence[bytes]) -> list[bytes]:
        """Return the packets of one access unit."""
        packets = []
        for number, payload in enumerate(payloads, 1):
            header = replace(self.header, is_marked=number == len(payloads))
            packets.append(build_header(header) + payload)
            self.skip(1)
        self.header = replace(self.header, timestamp=(self.header.timestamp + FRAME) & 0xFFFFFFFF)
        return packets

    def skip(self, count: int) -> None:
        """Use up sequence numbers, as packets do that get lost."""
        sequence = (self.header.sequence + count) & 0xFFFF
        self.header = replace(self.header, sequence=sequence)


class Viewer:
    """Keeps what a ring gives."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.batches: list[int] = []
        self.reasons: list[str] = []

    def on_packets(self, packets: Sequence[bytes]) -> None:
        self.packets += packets
        self.batches.append(len(packets))

    def on_close(self, reason: str) -> None:
        self.reasons.append(reason)


class FakeFeeder:
    """Keeps what a ring tells its feeder."""

    def __init__(self) -> None:
        self.calls: list[bool] = []

    def set_watched(self, is_watched: bool) -> None:
        self.calls.append(is_watched)


def open_ring(limit_bytes: int = 1_000_000, codec: Codec = "h264") -> PacketRing:
    ring = PacketRing(limit_bytes)
    ring.begin(codec, FakeFeeder())
    return ring


def payloads(packets: Sequence[bytes]) -> list[bytes]:
    return [packet[12:] for packet in packets]


def timestamps(packets: Sequence[bytes]) -> list[int]:
    return [parse_header(packet).timestamp for packet in packets]


def assert_numbered_without_gap(packets: Sequence[bytes]) -> None:
    numbers = [parse_header(packet).sequence for packet in packets]
    steps = {sequence_distance(after, before) for before, after in pairwise(numbers)}
    assert steps <= {1}


@pytest.mark.parametrize(
    "unit",
    [
        KEY_UNIT,
        [DELIMITER, PARAMETERS, IDR],
        [DELIMITER, b"\x06\x05\x01", b"\x67\x4d", b"\x68\xee", IDR_START, IDR_END],
        [IDR],
        [IDR_START, IDR_END],
        [DELIMITER, IDR_START, IDR_END],
    ],
)
def test_a_gop_begins_with_the_first_packet_of_its_key_unit(unit: list[bytes]) -> None:
    ring, ffmpeg = open_ring(), FakeFfmpeg()
    for _ in range(2):
        ring.extend(ffmpeg.unit(unit), 0)
        ring.extend(ffmpeg.unit(UNIT), 0)
        assert payloads(ring.replay()) == [*unit, *UNIT]
    assert (ring.lost, ring.dropped) == (0, 0)


def test_packet_by_packet_gives_the_same() -> None:
    ring, ffmpeg = open_ring(), FakeFfmpeg()
    for packet in [*ffmpeg.unit([DELIMITER, *KEY_UNIT]), *ffmpeg.unit(UNIT)]:
        ring.extend([packet], 0)
    assert payloads(ring.replay()) == [DELIMITER, *KEY_UNIT, *UNIT]


def test_nothing_is_stored_before_the_first_key_unit() -> None:
    ring, ffmpeg, viewer = open_ring(), FakeFfmpeg(), Viewer()
    ring.subscribe(viewer)
    ring.extend(ffmpeg.unit(UNIT), 0)
    assert (ring.is_waiting, viewer.batches) == (True, [])
    ring.extend([*ffmpeg.unit([b"\x06\x05"]), *ffmpeg.unit(KEY_UNIT)], 0)
    assert payloads(viewer.packets) == KEY_UNIT
    assert (ring.is_waiting, ring.dropped) == (False, 3)


def test_packets_get_our_numbers_and_keep_the_rest() -> None:
    ring, ffmpeg, viewer = open_ring(), FakeFfmpeg(), Viewer()
    ring.subscribe(viewer)
    sent = [*ffmpeg.unit(KEY_UNIT), *ffmpeg.unit(UNIT), *ffmpeg.unit(UNIT)]
    ring.extend(sent, 0)
    assert_numbered_without_gap(viewer.packets)
    shift = timestamp_distance(timestamps(viewer.packets)[0], timestamps(sent)[0])
    for theirs, ours in zip(sent, viewer.packets, strict=True):
        before, after = parse_header(theirs), parse_header(ours)
        assert after.timestamp == (before.timestamp + shift) & 0xFFFFFFFF
        assert after.ssrc == ring.ssrc
        assert after.is_marked == before.is_marked
        assert after.payload_type == 96
        assert ours[12:] == theirs[12:]
    assert ring.last_sequence == parse_header(viewer.packets[-1]).sequence
    assert ring.last_timestamp == parse_header(viewer.packets[-1]).timestamp


def test_a_batch_is_given_at_once() -> None:
    ring, ffmpeg, viewer = open_ring(), FakeFfmpeg(), Viewer()
    ring.subscribe(viewer)
    ring.extend(ffmpeg.unit(KEY_UNIT), 0)
    ring.extend([*ffmpeg.unit(UNIT), *ffmpeg.unit(UNIT)], 0)
    assert viewer.batches == [4, 4]


def test_a_viewer_gets_the_gop_and_then_what_follows() -> None:
    ring, ffmpeg, viewer = open_ring(), FakeFfmpeg(), Viewer()
    ring.extend([*ffmpeg.unit(KEY_UNIT), *ffmpeg.unit(UNIT), *ffmpeg.unit(KEY_UNIT)], 0)
    start = ring.subscribe(viewer)
    ring.extend(ffmpeg.unit(UNIT), 0)
    assert payloads(start) == KEY_UNIT
    assert payloads(viewer.packets) == UNIT
    assert_numbered_without_gap([*start, *viewer.packets])
    ring.unsubscribe(viewer)
    ring.unsubscribe(viewer)
    ring.extend(ffmpeg.unit(UNIT), 0)
    assert len(viewer.packets) == 2
    assert ring.viewers == 0


def test_a_loss_is_counted_and_viewers_go_on_at_the_next_gop() -> None:
    ring, ffmpeg, viewer = open_ring(), FakeFfmpeg(), Viewer()
    ring.subscribe(viewer)
    ring.extend(ffmpeg.unit(KEY_UNIT), 0)
    ffmpeg.skip(3)
    ring.extend(ffmpeg.unit(UNIT), 0)
    assert (ring.lost, ring.is_waiting) == (3, True)
    assert payloads(ring.replay()) == KEY_UNIT
    ring.extend([*ffmpeg.unit(UNIT), *ffmpeg.unit(KEY_UNIT), *ffmpeg.unit(UNIT)], 0)
    assert (ring.lost, ring.dropped, ring.is_waiting) == (3, 4, False)
    assert payloads(viewer.packets) == [*KEY_UNIT, *KEY_UNIT, *UNIT]
    assert_numbered_without_gap(viewer.packets)


def test_half_a_key_picture_is_no_start() -> None:
    ring, ffmpeg = open_ring(), FakeFfmpeg()
    ring.extend([*ffmpeg.unit(KEY_UNIT), *ffmpeg.unit(UNIT)], 0)
    two_slices = ffmpeg.unit([*KEY_UNIT, *KEY_UNIT[1:]])
    ring.extend(two_slices[3:], 0)  # parameter sets and most of the first slice are gone
    assert (ring.is_waiting, payloads(ring.replay())) == (True, [*KEY_UNIT, *UNIT])
    ring.extend(ffmpeg.unit(KEY_UNIT), 0)
    assert (ring.is_waiting, payloads(ring.replay())) == (False, KEY_UNIT)


def test_a_hole_in_a_key_picture_ends_it() -> None:
    ring, ffmpeg, viewer = open_ring(), FakeFfmpeg(), Viewer()
    ring.subscribe(viewer)
    doubled = ffmpeg.unit([*KEY_UNIT, *KEY_UNIT])  # parameter sets before each slice
    ring.extend([*doubled[:2], *doubled[3:]], 0)
    assert (ring.lost, ring.is_waiting) == (1, True)
    assert payloads(viewer.packets) == KEY_UNIT[:2]


def test_a_loss_before_parameter_sets_costs_nothing_more() -> None:
    ring, ffmpeg = open_ring(), FakeFfmpeg()
    ring.extend(ffmpeg.unit(KEY_UNIT), 0)
    ffmpeg.unit(UNIT)
    ring.extend(ffmpeg.unit(KEY_UNIT), 0)
    assert (ring.lost, ring.dropped, ring.is_waiting) == (2, 0, False)
    assert payloads(ring.replay()) == KEY_UNIT


def test_late_packets_and_copies_are_left_out() -> None:
    ring, ffmpeg, viewer = open_ring(), FakeFfmpeg(), Viewer()
    ring.subscribe(viewer)
    unit = ffmpeg.unit(KEY_UNIT)
    ring.extend([*unit, unit[1], unit[3]], 0)
    ring.extend(ffmpeg.unit(UNIT), 0)
    assert payloads(viewer.packets) == [*KEY_UNIT, *UNIT]
    assert ring.lost == 0


def test_a_jump_far_back_is_a_new_count() -> None:
    ring, ffmpeg = open_ring(), FakeFfmpeg()
    ring.extend(ffmpeg.unit(KEY_UNIT), 0)
    ffmpeg.skip(-1000)
    ring.extend([*ffmpeg.unit(UNIT), *ffmpeg.unit(KEY_UNIT)], 0)
    assert (ring.lost, ring.is_waiting) == (0, False)


def test_packets_of_another_sender_are_left_out() -> None:
    ring, ffmpeg, other = open_ring(), FakeFfmpeg(), FakeFfmpeg(sequence=4, ssrc=8)
    ring.extend([*ffmpeg.unit(KEY_UNIT), *other.unit(KEY_UNIT), *ffmpeg.unit(UNIT)], 0)
    assert payloads(ring.replay()) == [*KEY_UNIT, *UNIT]
    assert ring.lost == 0


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x80\x60",
        b"\x40" + bytes(30),  # version 1
        bytes(12),
        b"\x80\x60" + bytes(10),  # no payload
        b"\x80\x60" + bytes(10) + b"\x7c",  # FU-A without its header
        b"\xa0\x60" + bytes(10) + b"\x41\x9a\x30",  # padding beyond the start
    ],
)
def test_damaged_packets_count_as_lost(packet: bytes) -> None:
    ring, ffmpeg = open_ring(), FakeFfmpeg()
    ring.extend([*ffmpeg.unit(KEY_UNIT), packet], 0)
    ffmpeg.skip(1)
    ring.extend(ffmpeg.unit(UNIT), 0)
    assert (ring.lost, ring.is_waiting) == (1, True)


def test_a_damaged_aggregate_begins_no_gop() -> None:
    ring, ffmpeg = open_ring(), FakeFfmpeg()
    ring.extend(ffmpeg.unit([b"\x78\x00\x09\x67", b"\x78", b"\x78\x00\x00"]), 0)
    assert ring.is_waiting


def test_short_nal_units_pass() -> None:
    ring, ffmpeg = open_ring(), FakeFfmpeg()
    ring.extend([*ffmpeg.unit(KEY_UNIT), *ffmpeg.unit([*UNIT, b"\x0a"])], 0)  # end of sequence
    assert payloads(ring.replay()) == [*KEY_UNIT, *UNIT, b"\x0a"]


def test_padding_and_extensions_are_taken_off() -> None:
    ring, ffmpeg = open_ring(), FakeFfmpeg()
    header = replace(ffmpeg.header, csrcs=(1, 2), extension_profile=5, extension=bytes(4))
    padded = bytearray(build_header(header) + IDR + b"\x00\x02")
    padded[0] |= 0x20
    ring.extend([bytes(padded)], 0)
    assert payloads(ring.replay()) == [IDR]
    assert payload_bounds(ring.replay()[0]) == (12, 15)


def test_the_next_ffmpeg_continues_our_numbers() -> None:
    ring, viewer = open_ring(), Viewer()
    ring.subscribe(viewer)
    first, second = FakeFfmpeg(), FakeFfmpeg(sequence=9, timestamp=12345, ssrc=99)
    ring.extend(first.unit(KEY_UNIT), 100.0)
    ring.begin("h264", FakeFeeder())
    assert ring.is_waiting
    ring.extend([*second.unit(UNIT), *second.unit(KEY_UNIT)], 102.5)
    assert payloads(viewer.packets) == [*KEY_UNIT, *KEY_UNIT]
    assert_numbered_without_gap(viewer.packets)
    times = timestamps(viewer.packets)
    assert timestamp_distance(times[-1], times[0]) == 2.5 * VIDEO_CLOCK_HZ + FRAME
    assert ring.lost == 0
    assert viewer.reasons == []


def test_time_never_stands_still_across_a_restart() -> None:
    ring = open_ring()
    ring.extend(FakeFfmpeg().unit(KEY_UNIT), 100.0)
    before = ring.last_timestamp
    ring.begin("h264", FakeFeeder())
    ring.extend(FakeFfmpeg(timestamp=5).unit(KEY_UNIT), 100.0)
    assert timestamp_distance(ring.last_timestamp, before) == SHORTEST_STEP_S * VIDEO_CLOCK_HZ


def test_another_codec_dismisses_the_viewers() -> None:
    ring, viewer, feeder = open_ring(), Viewer(), FakeFeeder()
    ring.subscribe(viewer)
    ring.extend(FakeFfmpeg().unit(KEY_UNIT), 0)
    ring.begin("hevc", feeder)
    assert viewer.reasons == ["the codec has changed"]
    assert (ring.viewers, ring.size_bytes) == (0, 0)
    assert list(ring.replay()) == []
    assert feeder.calls == [False]


def test_ending_forgets_the_packets() -> None:
    ring, viewer, ffmpeg = open_ring(), Viewer(), FakeFfmpeg()
    ring.subscribe(viewer)
    ring.extend(ffmpeg.unit(KEY_UNIT), 0)
    ring.end("the source has stopped")
    assert viewer.reasons == ["the source has stopped"]
    assert list(ring.replay()) == []
    ring.extend([*ffmpeg.unit(UNIT), *ffmpeg.unit(KEY_UNIT)], 0)
    assert payloads(ring.replay()) == KEY_UNIT
    assert len(viewer.packets) == 4


@pytest.mark.parametrize(
    "unit",
    [
        [
            b"\x60\x01\x00\x03\x40\x01\x0c\x00\x03\x42\x01\x01",
            b"\x62\x01\x93\xaf",
            b"\x62\x01\x53",
        ],
        [b"\x46\x01\x50", b"\x40\x01\x0c", b"\x42\x01\x01", b"\x44\x01", b"\x26\x01\xaf"],
        [b"\x62\x01\x95\xaf", b"\x62\x01\x15\xaf", b"\x62\x01\x55\xaf"],  # CRA
    ],
)
def test_h265_gops_begin_at_an_irap(unit: list[bytes]) -> None:
    ring, ffmpeg = open_ring(codec="hevc"), FakeFfmpeg()
    trail = [b"\x62\x01\x81\xd0", b"\x62\x01\x41\xd0"]
    ring.extend([*ffmpeg.unit(trail), *ffmpeg.unit(unit), *ffmpeg.unit(trail)], 0)
    assert payloads(ring.replay()) == [*unit, *trail]
    ffmpeg.skip(1)
    ring.extend(ffmpeg.unit(trail), 0)
    assert ring.is_waiting
    ring.extend(ffmpeg.unit(unit), 0)
    assert payloads(ring.replay()) == unit


def test_a_gop_too_large_is_not_replayed_but_given_on() -> None:
    ring, ffmpeg, viewer = open_ring(limit_bytes=10_000), FakeFfmpeg(), Viewer()
    ring.subscribe(viewer)
    ring.extend(ffmpeg.unit(KEY_UNIT), 0)
    for _ in range(100):
        ring.extend(ffmpeg.unit([SLICE_START + bytes(400), SLICE_END]), 0)
        assert ring.size_bytes <= 10_000
    assert list(ring.replay()) == []
    assert len(viewer.packets) == 204
    assert ring.find(ring.last_sequence) == viewer.packets[-1]
    ring.extend([*ffmpeg.unit(KEY_UNIT), *ffmpeg.unit(UNIT)], 0)
    assert payloads(ring.replay()) == [*KEY_UNIT, *UNIT]


def test_history_goes_before_the_gop_does() -> None:
    ring, ffmpeg = open_ring(limit_bytes=10_000), FakeFfmpeg()
    ring.extend([*ffmpeg.unit(KEY_UNIT), *ffmpeg.unit([SLICE + bytes(8_000)])], 0)
    ring.extend(ffmpeg.unit(KEY_UNIT), 0)
    ring.extend(ffmpeg.unit([SLICE + bytes(4_000)]), 0)
    assert payloads(ring.replay()) == [*KEY_UNIT, SLICE + bytes(4_000)]
    stored = ring.replay()
    assert ring.size_bytes == sum(len(packet) + PACKET_OVERHEAD_BYTES for packet in stored)


def test_a_key_unit_larger_than_the_ring_is_survived() -> None:
    ring, ffmpeg = open_ring(limit_bytes=2_000), FakeFfmpeg()
    for packet in ffmpeg.unit([DELIMITER, *KEY_UNIT[:2], *[IDR_MIDDLE + bytes(900)] * 8, IDR_END]):
        ring.extend([packet], 0)
    assert list(ring.replay()) == []
    ring.extend(ffmpeg.unit([SLICE_START, *[b"\x5c\x01" + bytes(900)] * 4, IDR]), 0)
    assert list(ring.replay()) == []  # the head of that unit has gone already
    ring.extend(ffmpeg.unit(KEY_UNIT), 0)
    assert payloads(ring.replay()) == KEY_UNIT


def test_packets_are_found_by_our_number_until_they_are_old() -> None:
    ring, ffmpeg = open_ring(), FakeFfmpeg()
    ring.extend(ffmpeg.unit(KEY_UNIT), 0)
    oldest = ring.replay()[0]
    for _ in range(HISTORY_PACKETS // 2):
        ring.extend(ffmpeg.unit(UNIT), 0)
    number = parse_header(oldest).sequence
    assert ring.find(number) == oldest
    ring.extend(ffmpeg.unit(KEY_UNIT), 0)
    assert ring.find(number) is None  # more than the history lies before the new GOP
    assert ring.find((number + 4) & 0xFFFF) is not None
    assert ring.find((ring.last_sequence + 1) & 0xFFFF) is None


def test_sender_reports_speak_of_our_time() -> None:
    ring, ffmpeg = open_ring(), FakeFfmpeg()
    report = SenderReport(ssrc=7, ntp=1 << 32, timestamp=ffmpeg.header.timestamp + 3 * FRAME)
    ring.note_report(report)
    assert ring.sender_report() is None  # ffmpeg's first packet is still to come
    ring.extend(ffmpeg.unit(KEY_UNIT), 0)
    found = ring.sender_report()
    assert found is not None
    assert (found.ssrc, found.ntp) == (ring.ssrc, 1 << 32)
    assert timestamp_distance(found.timestamp, ring.last_timestamp) == 3 * FRAME
    ring.note_report(replace(report, ssrc=8))
    assert ring.sender_report() is None
    ring.note_report(report)
    ring.begin("h264", FakeFeeder())
    assert ring.sender_report() is None


def test_the_feeder_knows_whether_somebody_watches() -> None:
    ring, feeder, one, other = PacketRing(1000), FakeFeeder(), Viewer(), Viewer()
    ring.begin("h264", feeder)
    ring.subscribe(one)
    ring.subscribe(other)
    ring.unsubscribe(one)
    assert feeder.calls == [False, True]
    ring.unsubscribe(other)
    assert feeder.calls == [False, True, False]
    ring.subscribe(one)
    successor = FakeFeeder()
    ring.begin("h264", successor)
    assert successor.calls == [True]
    ring.detach(feeder)  # the old one closes later
    ring.end("enough")
    assert successor.calls == [True, False]
    ring.detach(successor)
    ring.subscribe(one)
    ring.unsubscribe(one)
    assert successor.calls == [True, False]


@given(
    st.lists(st.booleans(), min_size=1, max_size=12),
    st.sets(st.integers(1, 40)),
    st.integers(1, 9),
)
def test_whatever_is_lost_a_viewer_can_decode_what_it_gets(
    keys: list[bool], missing: set[int], batch: int
) -> None:
    ring, ffmpeg, viewer = open_ring(), FakeFfmpeg(), Viewer()
    ring.subscribe(viewer)
    zero = ring.last_timestamp + int(SHORTEST_STEP_S * VIDEO_CLOCK_HZ)
    units = [KEY_UNIT if is_key else UNIT for is_key in keys]
    sent = [packet for unit in units for packet in ffmpeg.unit(unit)]
    came = [packet for at, packet in enumerate(sent) if at not in missing]
    for at in range(0, len(came), batch):
        ring.extend(came[at : at + batch], 0)

    assert ring.lost == sent.index(came[-1]) + 1 - len(came)
    assert_numbered_without_gap(viewer.packets)
    whole_before = -1  # the newest unit given without a hole since the GOP's start
    for number, unit in enumerate(units):
        time = (zero + number * FRAME) & 0xFFFFFFFF
        given_of_unit = [p[12:] for p in viewer.packets if parse_header(p).timestamp == time]
        assert given_of_unit == unit[: len(given_of_unit)]
        if given_of_unit:
            assert unit is KEY_UNIT or whole_before == number - 1
        if given_of_unit == unit:
            whole_before = number


@given(st.lists(st.binary(max_size=40), max_size=20), st.sampled_from(["h264", "hevc"]))
def test_random_bytes_do_no_harm(packets: list[bytes], codec: Codec) -> None:
    ring = open_ring(codec=codec)
    ring.extend(packets, 0)
    ring.extend([b"\x80\x60" + packet for packet in packets], 0)
    assert ring.received == 2 * len(packets)


@pytest.mark.parametrize("codec", ["opus", "pcma", "pcmu"])
def test_sound_begins_anywhere_and_goes_on_after_a_loss(codec: Codec) -> None:
    ring, ffmpeg, viewer = open_ring(codec=codec), FakeFfmpeg(), Viewer()
    ring.subscribe(viewer)
    sounds = [bytes([number, 1]) for number in range(256)]
    sent = [packet for sound in sounds for packet in ffmpeg.unit([sound])]
    ring.extend([*sent[:100], *sent[103:]], 0)
    assert payloads(viewer.packets) == [*sounds[:100], *sounds[103:]]
    assert_numbered_without_gap(viewer.packets)
    assert (ring.lost, ring.dropped, ring.is_waiting) == (3, 0, False)
    assert payloads(ring.replay()) == sounds[-1:]
    assert timestamp_distance(timestamps(viewer.packets)[100], timestamps(viewer.packets)[99]) == (
        4 * FRAME
    )


@pytest.mark.parametrize(
    ("codec", "clock_hz"), [("opus", 48_000), ("pcma", 8_000), ("pcmu", 8_000), ("hevc", 90_000)]
)
def test_time_goes_by_each_codecs_own_clock(codec: Codec, clock_hz: int) -> None:
    ring = PacketRing(10_000)
    assert ring.clock_hz == VIDEO_CLOCK_HZ  # until it is known
    ring.begin(codec, FakeFeeder())
    assert ring.clock_hz == clock_hz
    unit = [b"\x26\x01\xaf"] if codec == "hevc" else [b"\x01\x02"]
    ring.extend(FakeFfmpeg().unit(unit), 100.0)
    before = ring.last_timestamp
    ring.begin(codec, FakeFeeder())
    ring.extend(FakeFfmpeg(timestamp=5).unit(unit), 102.0)
    assert timestamp_distance(ring.last_timestamp, before) == 2 * clock_hz


def test_another_codec_of_sound_dismisses_the_listeners() -> None:
    ring, viewer = open_ring(codec="pcma"), Viewer()
    ring.subscribe(viewer)
    ring.extend(FakeFfmpeg().unit([b"\x01"]), 0)
    ring.begin("opus", FakeFeeder())
    assert viewer.reasons == ["the codec has changed"]


def test_an_anchor_holds_for_one_ffmpeg() -> None:
    ring = open_ring(codec="opus")
    ring.extend(FakeFfmpeg(sequence=40).unit([b"\x01\x02"]), 100.0)
    assert ring.began == (40, ring.last_timestamp)
    ring.anchor = Anchor(ring.last_timestamp, 12.0)
    ring.begin("opus", FakeFeeder())
    assert [ring.began, ring.anchor] == [None, None]


@given(st.integers(0, 2**32 - 1), st.floats(0, 1e6), st.floats(-100, 100))
def test_an_anchor_tells_the_time_around_it(
    timestamp: int, media_s: float, ahead_s: float
) -> None:
    anchor = Anchor(timestamp, media_s)
    assert anchor.timestamp_at(media_s, 48_000) == timestamp
    found = timestamp_distance(anchor.timestamp_at(media_s + ahead_s, 48_000), timestamp)
    assert found == pytest.approx(ahead_s * 48_000, abs=1.5)
