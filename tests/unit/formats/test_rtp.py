from __future__ import annotations

from dataclasses import replace

import pytest
from aiortc import rtp as reference
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import MediaFormatError
from h5sup.formats.rtp import (
    RtpHeader,
    build_header,
    build_rtx,
    parse_header,
    payload_bounds,
    sequence_distance,
    timestamp_distance,
)

# The first packet of `ffmpeg -f rtp`, cut after 4 payload bytes.
FFMPEG_PACKET = bytes.fromhex("80607a5cd3a1f2b06f1e88d978000e67")
FULL = RtpHeader(
    payload_type=111,
    sequence=65535,
    timestamp=0xFFFFFFFF,
    ssrc=0x12345678,
    is_marked=True,
    csrcs=(1, 0xFFFFFFFF),
    extension_profile=0xBEDE,
    extension=b"\x10\x01\x02\x03",
)

uint16 = st.integers(0, 0xFFFF)
uint32 = st.integers(0, 0xFFFFFFFF)
headers = st.builds(
    RtpHeader,
    payload_type=st.integers(0, 127),
    sequence=uint16,
    timestamp=uint32,
    ssrc=uint32,
    is_marked=st.booleans(),
    csrcs=st.lists(uint32, max_size=15).map(tuple),
    extension_profile=st.just(0x1000),
    extension=st.lists(uint32, max_size=4).map(lambda w: b"".join(x.to_bytes(4) for x in w)),
)


def test_a_packet_of_ffmpeg_is_read() -> None:
    assert parse_header(FFMPEG_PACKET) == RtpHeader(
        payload_type=96, sequence=0x7A5C, timestamp=0xD3A1F2B0, ssrc=0x6F1E88D9
    )
    assert payload_bounds(FFMPEG_PACKET) == (12, 16)


@given(headers)
def test_headers_come_back(header: RtpHeader) -> None:
    data = build_header(header)
    assert parse_header(data) == header
    assert parse_header(data + b"payload") == header
    assert payload_bounds(data + b"payload") == (len(data), len(data) + 7)


def test_a_header_without_extension_is_twelve_bytes() -> None:
    header = RtpHeader(payload_type=96, sequence=1, timestamp=2, ssrc=3)
    assert build_header(header).hex() == "806000010000000200000003"


@pytest.mark.parametrize("length", range(len(build_header(FULL))))
def test_every_truncation_of_a_header_is_refused(length: int) -> None:
    with pytest.raises(MediaFormatError, match="RTP packet"):
        parse_header(build_header(FULL)[:length])


def test_padding_does_not_belong_to_the_payload() -> None:
    padded = bytearray(FFMPEG_PACKET + b"\x00\x00\x03")
    padded[0] |= 0x20
    assert payload_bounds(bytes(padded)) == (12, 16)


@pytest.mark.parametrize(
    ("first", "last", "sentence"),
    [
        (0x40, 0, "RTP version 1 is not 2"),
        (0xA0, 0, "announces padding of no length"),
        (0xA0, 200, "ends before its payload"),
        (0x8F, 0, "ends before its payload"),
    ],
)
def test_damaged_packets_are_refused(first: int, last: int, sentence: str) -> None:
    packet = bytes([first]) + FFMPEG_PACKET[1:-1] + bytes([last])
    with pytest.raises(MediaFormatError, match=sentence):
        payload_bounds(packet)


@given(st.binary(max_size=80))
def test_random_bytes_raise_nothing_else(data: bytes) -> None:
    try:
        parse_header(data)
        start, end = payload_bounds(data)
    except MediaFormatError:
        return
    assert 12 <= start <= end <= len(data)


@given(uint16, st.integers(-32768, 32767))
def test_sequence_distance_crosses_the_wrap(older: int, distance: int) -> None:
    assert sequence_distance((older + distance) & 0xFFFF, older) == distance


@given(uint32, st.integers(-(2**31), 2**31 - 1))
def test_timestamp_distance_crosses_the_wrap(older: int, distance: int) -> None:
    assert timestamp_distance((older + distance) & 0xFFFFFFFF, older) == distance


@given(headers, uint32, uint16)
def test_a_retransmission_carries_the_packet(header: RtpHeader, ssrc: int, number: int) -> None:
    packet = build_header(header) + b"a slice"
    again = build_rtx(packet, payload_type=97, ssrc=ssrc, sequence=number)
    assert parse_header(again) == replace(header, payload_type=97, ssrc=ssrc, sequence=number)
    start, end = payload_bounds(again)
    assert again[start:end] == header.sequence.to_bytes(2) + b"a slice"


@pytest.mark.parametrize("padding", [b"", b"\x00\x00\x03"])
def test_a_reference_unwraps_retransmissions(padding: bytes) -> None:
    packet = bytearray(FFMPEG_PACKET + padding)
    packet[0] |= 0x20 * bool(padding)
    packet[1] |= 0x80
    again = reference.RtpPacket.parse(
        build_rtx(bytes(packet), payload_type=97, ssrc=5, sequence=65535)
    )
    assert (again.payload_type, again.ssrc, again.sequence_number) == (97, 5, 65535)
    first = reference.unwrap_rtx(again, payload_type=96, ssrc=0x6F1E88D9)
    assert first.serialize() == FFMPEG_PACKET[:1] + bytes(packet[1:16])


def test_a_damaged_packet_is_not_sent_again() -> None:
    with pytest.raises(MediaFormatError, match="shorter than its header"):
        build_rtx(FFMPEG_PACKET[:11], payload_type=97, ssrc=1, sequence=1)
