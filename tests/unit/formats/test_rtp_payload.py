from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from aiortc.codecs.h264 import H264PayloadDescriptor
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import MediaFormatError
from h5sup.formats import h264, h265
from h5sup.formats.decoder_config import DecoderConfig
from h5sup.formats.isobmff.track import Track
from h5sup.formats.rtp import parse_header
from h5sup.formats.rtp_payload import (
    PAYLOAD_BYTES,
    H264Payloader,
    H265Payloader,
    Payloader,
    build_packets,
    open_payloader,
)
from tests.fakes.depacketiser import Kind, join
from tests.unit.formats.test_decoder_config import AVCC, HVCC

SPS, PPS, AUD, SEI = b"\x67\x4d\x40", b"\x68\xee", b"\x09\x10", b"\x06\x05\x01\x00"
IDR, SLICE = b"\x65" + bytes(range(250)) * 12, b"\x41" + bytes(range(200)) * 9
HEVC_VPS, HEVC_SPS, HEVC_PPS = b"\x40\x01\x0c", b"\x42\x01\x01", b"\x44\x01\xc1"
HEVC_AUD, HEVC_IDR = b"\x46\x01\x10", b"\x26\x01" + bytes(range(250)) * 12
LAYERED = b"\x27\x0a" + bytes(2000)  # of a layer above 31, sub-layer 2: both bytes count
AVC = DecoderConfig(4, (SPS, PPS))
HEVC = DecoderConfig(4, (HEVC_VPS, HEVC_SPS, HEVC_PPS))


def unit_of(nals: Sequence[bytes], length_size: int = 4) -> bytes:
    return b"".join(len(nal).to_bytes(length_size) + nal for nal in nals)


def through(codec: Kind, nals: Sequence[bytes], *, is_key: bool, most_bytes: int) -> list[bytes]:
    """Return what a receiver has of these NAL units."""
    payloader: Payloader
    if codec == "h264":
        payloader = H264Payloader(AVC, most_bytes)
    else:
        payloader = H265Payloader(HEVC, most_bytes)
    payloads = payloader.split(unit_of(nals), is_key=is_key)
    assert all(0 < len(payload) <= most_bytes for payload in payloads)
    return join(codec, payloads)


@pytest.mark.parametrize("length_size", [1, 2, 4])
def test_small_nal_units_go_as_they_are(length_size: int) -> None:
    payloader = H264Payloader(replace(AVC, length_size=length_size))
    unit = unit_of([SEI, SLICE[:100]], length_size)
    assert payloader.split(unit, is_key=False) == [SEI, SLICE[:100]]


@pytest.mark.parametrize(
    ("codec", "nals", "expected"),
    [
        ("h264", [SEI, IDR], [SPS, PPS, SEI, IDR]),
        ("h264", [AUD, SEI, IDR], [AUD, SPS, PPS, SEI, IDR]),
        ("h264", [b"\x67\x4d\x41", IDR], [PPS, b"\x67\x4d\x41", IDR]),
        ("h264", [SPS, PPS, IDR], [SPS, PPS, IDR]),
        ("h264", [], [SPS, PPS]),
        ("hevc", [HEVC_IDR], [HEVC_VPS, HEVC_SPS, HEVC_PPS, HEVC_IDR]),
        ("hevc", [HEVC_AUD, HEVC_IDR], [HEVC_AUD, HEVC_VPS, HEVC_SPS, HEVC_PPS, HEVC_IDR]),
    ],
)
def test_parameter_sets_go_before_each_key_frame(
    codec: Kind, nals: list[bytes], expected: list[bytes]
) -> None:
    assert through(codec, nals, is_key=True, most_bytes=PAYLOAD_BYTES) == expected
    assert through(codec, nals, is_key=False, most_bytes=PAYLOAD_BYTES) == nals


def test_large_nal_units_are_cut_into_pieces_of_one_size() -> None:
    payloads = H264Payloader(AVC).split(unit_of([IDR]), is_key=False)
    assert [len(payload) for payload in payloads] == [1188, 1188, 630]
    assert [payload[:2] for payload in payloads] == [b"\x7c\x85", b"\x7c\x05", b"\x7c\x45"]
    assert [h264.payload_types(payload) for payload in payloads] == [(5,), (), ()]
    for payload in payloads:  # aiortc reads it as we mean it
        descriptor, restored = H264PayloadDescriptor.parse(payload)
        assert restored.endswith(payload[2:])
        assert descriptor.first_fragment == (payload is payloads[0])


def test_large_nal_units_of_h265_keep_both_bytes_of_their_header() -> None:
    payloads = H265Payloader(HEVC).split(unit_of([LAYERED]), is_key=False)
    assert [payload[:3] for payload in payloads] == [b"\x63\x0a\x93", b"\x63\x0a\x53"]
    assert [h265.payload_types(payload) for payload in payloads] == [(19,), ()]
    assert join("hevc", payloads) == [LAYERED]


@pytest.mark.parametrize("over", [-1, 0, 1, 2])
def test_the_edge_between_one_packet_and_two(over: int) -> None:
    nal = SLICE[: PAYLOAD_BYTES + over]
    payloads = H264Payloader(AVC).split(unit_of([nal]), is_key=False)
    assert len(payloads) == (1 if over <= 0 else 2)
    assert join("h264", payloads) == [nal]


@pytest.mark.parametrize(
    ("payloader", "odd"),
    [
        (H264Payloader(AVC), [b"", b"\x00\x01", b"\x78\x00\x01", b"\x7c\x85\x00", b"\x1f"]),
        (H265Payloader(HEVC), [b"", b"\x60\x01\x00", b"\x62\x01\x93", b"\x7e\x01"]),
    ],
)
def test_what_rtp_has_another_meaning_for_is_left_out(
    payloader: Payloader, odd: list[bytes]
) -> None:
    assert payloader.split(unit_of(odd), is_key=False) == []


@pytest.mark.parametrize("payloader", [H264Payloader(AVC), H265Payloader(HEVC)])
def test_a_cut_access_unit_is_said(payloader: Payloader) -> None:
    unit = unit_of([b"\x26\x01\x02\x03"])
    for size in range(1, len(unit)):
        with pytest.raises(MediaFormatError, match="longer than its access unit"):
            payloader.split(unit[:size], is_key=False)


def test_half_a_header_of_h265_is_said() -> None:
    with pytest.raises(MediaFormatError, match="inside its header"):
        H265Payloader(HEVC).split(unit_of([b"\x26"]), is_key=False)


slices = st.builds(
    lambda kind, body: bytes([0x60 | kind]) + body,
    st.sampled_from([1, 5, 6]),
    st.binary(max_size=200),
)
hevc_slices = st.builds(
    lambda kind, body: bytes([kind << 1, 1]) + body,
    st.sampled_from([1, 19, 39]),
    st.binary(max_size=200),
)


@given(st.lists(slices, max_size=5), st.lists(hevc_slices, max_size=5), st.integers(5, 60))
def test_all_comes_back(avc: list[bytes], hevc: list[bytes], most_bytes: int) -> None:
    assert through("h264", avc, is_key=False, most_bytes=most_bytes) == avc
    assert through("hevc", hevc, is_key=False, most_bytes=most_bytes) == hevc


@given(st.binary(max_size=60), st.booleans())
def test_of_anything_nothing_else_is_raised(unit: bytes, is_key: bool) -> None:
    for payloader in (H264Payloader(replace(AVC, length_size=1)), H265Payloader(HEVC)):
        try:
            payloads = payloader.split(unit, is_key=is_key)
        except MediaFormatError:
            continue
        assert all(payloads)


@pytest.mark.parametrize(
    ("codec", "record", "kind"),
    [
        ("avc1.4D400D", AVCC, H264Payloader),
        ("avc3.4D400D", AVCC, H264Payloader),
        ("hvc1.1.6.L93.B0", HVCC, H265Payloader),
        ("hev1.1.6.L93.B0", HVCC, H265Payloader),
    ],
)
def test_a_track_gets_what_suits_it(codec: str, record: bytes, kind: type[Payloader]) -> None:
    assert type(open_payloader(Track(kind="video", codec=codec, video_config=record))) is kind


@pytest.mark.parametrize("codec", ["mp4v.6C", "avc1", "av01.0.04M.08"])
def test_other_tracks_have_no_form(codec: str) -> None:
    with pytest.raises(MediaFormatError, match="has no form over RTP"):
        open_payloader(Track(kind="video", codec=codec))


def test_packets_are_numbered_and_the_last_is_marked() -> None:
    packets = build_packets(
        [b"\x41a", b"\x41b", b"\x41c"], payload_type=96, sequence=65_535, timestamp=7, ssrc=9
    )
    heads = [parse_header(packet) for packet in packets]
    assert [head.sequence for head in heads] == [65_535, 0, 1]
    assert [head.is_marked for head in heads] == [False, False, True]
    assert {(head.payload_type, head.timestamp, head.ssrc) for head in heads} == {(96, 7, 9)}
    assert [packet[12:] for packet in packets] == [b"\x41a", b"\x41b", b"\x41c"]
    assert build_packets([], payload_type=96, sequence=0, timestamp=0, ssrc=0) == []
