from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import MediaFormatError
from h5sup.formats.h265 import Sps, begins_key, nal_type, parse_sps, payload_types
from tests.fakes.bits import BitWriter

# Of libx265 3.5, by `ffmpeg -f lavfi -i testsrc2=size=<size> -c:v libx265 ...`
MAIN_384X216 = bytes.fromhex(
    "42010101600000030090000003000003003ca00c080d965959a4932bc05a020000030002000003003210"
)
REXT_322X182 = bytes.fromhex(
    "4201010408000003009c0800000300003c90014901739edb2cacd24995e02d010000030001000003001908"
)

SPS_HEADER = b"\x42\x01"
IDR = b"\x26\x01\xaf"
TRAIL = b"\x02\x01\xd0"
AP_PARAMETER_SETS = b"\x60\x01\x00\x03\x40\x01\x0c\x00\x03\x42\x01\x01\x00\x02\x44\x01"
AP_SEI_TRAIL = b"\x60\x01\x00\x02\x4e\x01\x00\x03\x02\x01\xd0"
FU_IDR_START = b"\x62\x01\x93\xaf"
FU_IDR_MIDDLE = b"\x62\x01\x13\xaf"
FU_TRAIL_START = b"\x62\x01\x81\xd0"


def sps(sub_layers: int = 0) -> BitWriter:
    """Return an SPS written up to and with general_level_idc."""
    writer = BitWriter().bits(0, 4).bits(sub_layers, 3).bits(1, 1)
    return writer.bits(0, 2).bits(1, 1).bits(1, 5).bits(0x60000000, 32).bits(0, 48).bits(120, 8)


def test_parameter_sets_of_an_encoder_are_read() -> None:
    found = parse_sps(MAIN_384X216)
    assert (found.width, found.height, found.level_idc) == (384, 216, 60)
    assert (found.chroma_format_idc, found.bit_depth) == (1, 8)
    assert found.codec == "hvc1.1.6.L60.90"


def test_the_conformance_window_is_taken_off() -> None:
    found = parse_sps(REXT_322X182)
    assert (found.width, found.height) == (322, 182)
    assert (found.chroma_format_idc, found.bit_depth) == (3, 10)
    assert found.codec == "hvc1.4.10.L60.9C.8"


def test_profile_space_and_tier_stand_in_the_codec() -> None:
    found = Sps(
        profile_space=2,
        is_high_tier=True,
        profile_idc=2,
        compatibility_flags=0x20000000,
        constraint_flags=0,
        level_idc=153,
        chroma_format_idc=1,
        bit_depth=10,
        width=3840,
        height=2160,
    )
    assert found.codec == "hvc1.B2.4.H153"


def test_sub_layers_are_passed_over() -> None:
    writer = sps(sub_layers=2).bits(0b11_01, 4).bits(0, 12)
    writer.bits(0x123456, 88).bits(90, 8).bits(60, 8)
    nal = writer.golomb(0, 1, 1280, 720).bits(0, 1).golomb(2, 2).nal(SPS_HEADER)
    found = parse_sps(nal)
    assert (found.width, found.height, found.bit_depth) == (1280, 720, 10)
    assert found.is_high_tier


def test_the_window_counts_in_chroma_samples() -> None:
    nal = sps().golomb(0, 1, 1920, 1088).bits(1, 1).golomb(0, 0, 0, 4).golomb(0).nal(SPS_HEADER)
    found = parse_sps(nal)
    assert (found.width, found.height) == (1920, 1080)


@pytest.mark.parametrize(
    ("nal", "sentence"),
    [
        (b"", "ends inside its header"),
        (b"\x42", "ends inside its header"),
        (b"\x40\x01\x0c", "NAL unit type 32 is not an SPS"),
        (sps().golomb(0, 4).nal(SPS_HEADER), "impossible chroma format 4"),
        (sps().golomb(0, 1, 0, 720).bits(0, 1).nal(SPS_HEADER), "impossible size 0 x 720"),
        (
            sps().golomb(0, 0, 64, 20000).bits(1, 1).golomb(0, 0, 0, 0).nal(SPS_HEADER),
            "impossible size 64 x 20000",
        ),
    ],
)
def test_damaged_parameter_sets_are_refused(nal: bytes, sentence: str) -> None:
    with pytest.raises(MediaFormatError, match=sentence):
        parse_sps(nal)


@pytest.mark.parametrize("length", range(len(MAIN_384X216)))
def test_every_truncation_of_an_sps_is_refused_or_harmless(length: int) -> None:
    if length >= 23:  # only what follows the bit depth, which is not read, is cut
        assert parse_sps(MAIN_384X216[:length]) == parse_sps(MAIN_384X216)
        return
    with pytest.raises(MediaFormatError, match=r"ends too early|inside its header"):
        parse_sps(MAIN_384X216[:length])


@given(st.binary(max_size=60))
def test_random_parameter_sets_raise_nothing_else(data: bytes) -> None:
    try:
        found = parse_sps(SPS_HEADER + data)
    except MediaFormatError:
        return
    assert found.width > 0
    assert found.codec.startswith("hvc1.")


@pytest.mark.parametrize(
    ("payload", "types", "is_key"),
    [
        (IDR, (19,), True),
        (b"\x2a\x01\xaf", (21,), True),  # CRA
        (b"\x20\x01\xaf", (16,), True),  # BLA
        (b"\x2c\x01\xaf", (22,), False),  # reserved IRAP
        (b"\x1e\x01\xaf", (15,), False),
        (b"\x40\x01\x0c", (32,), True),
        (b"\x44\x01\xc0", (34,), False),
        (TRAIL, (1,), False),
        (AP_PARAMETER_SETS, (32, 33, 34), True),
        (AP_SEI_TRAIL, (39, 1), False),
        (FU_IDR_START, (19,), True),
        (FU_IDR_MIDDLE, (), False),
        (FU_TRAIL_START, (1,), False),
    ],
)
def test_payloads_tell_what_begins_in_them(
    payload: bytes, types: tuple[int, ...], is_key: bool
) -> None:
    assert payload_types(payload) == types
    assert payload_types(memoryview(payload)) == types
    assert begins_key(payload) is is_key


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (b"\x26", "ends inside its header"),
        (b"\x64\x01\x00", "structure 50"),  # PACI
        (b"\x62\x01", "FU payload ends"),
        (b"\x60\x01", "AP payload is empty"),
        (b"\x60\x01\x00\x01\x40", "impossible size 1"),
        (b"\x60\x01\x00\x03\x40\x01", "impossible size 3"),
    ],
)
def test_damaged_payloads_are_refused(payload: bytes, sentence: str) -> None:
    with pytest.raises(MediaFormatError, match=sentence):
        payload_types(payload)


@pytest.mark.parametrize("length", range(len(AP_PARAMETER_SETS)))
def test_every_truncation_of_an_aggregate_is_refused(length: int) -> None:
    if length in (7, 12):  # exactly after a NAL unit: a smaller aggregate
        whole_units = {7: (32,), 12: (32, 33)}
        assert payload_types(AP_PARAMETER_SETS[:length]) == whole_units[length]
        return
    with pytest.raises(MediaFormatError, match=r"AP payload|inside its header"):
        payload_types(AP_PARAMETER_SETS[:length])


@given(st.binary(max_size=60))
def test_random_payloads_raise_nothing_else(data: bytes) -> None:
    try:
        types = payload_types(data)
    except MediaFormatError:
        return
    assert all(0 <= kind < 64 for kind in types)


def test_nal_type_leaves_out_the_layer() -> None:
    assert nal_type(b"\x27\xf9") == 19
