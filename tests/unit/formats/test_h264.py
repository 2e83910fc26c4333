from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import MediaFormatError
from h5sup.formats import h264
from h5sup.formats.h264 import (
    Profile,
    Sps,
    begins_key,
    choose_payload_type,
    find_profile,
    nal_type,
    parse_profile_level_id,
    parse_sps,
    payload_types,
    split_annex_b,
)
from h5sup.formats.sdp.parse import parse_description
from tests.fakes.bits import BitWriter

# Of libx264 164, by `ffmpeg -f lavfi -i testsrc2=size=<size> -c:v libx264 ...`
MAIN_384X216 = bytes.fromhex("674d400deca0c0efcb80880000030008000003019078a14cb0")
SAMPLES = [
    (MAIN_384X216, "avc1.4D400D", 384, 216, 1, 8),
    ("6742c028da01e0089f97011000000300100000030320f1832a", "avc1.42C028", 1920, 1080, 1, 8),
    ("676e000ca6cd941419f9f011000003000100000300320f142996", "avc1.6E000C", 320, 180, 1, 10),
    ("67f40015919b282a678f9b011000000300100000030321f1429960", "avc1.F40015", 322, 182, 3, 8),
    ("6764001eacd940a02ff97011000003000100000300320f162d96", "avc1.64001E", 640, 360, 1, 8),
    ("677a000dbcd941519e222f011000000300100000030320f1429960", "avc1.7A000D", 322, 182, 2, 8),
]

SPS_HEADER = b"\x67"
SINGLE_IDR = b"\x65\x88\x84"
SINGLE_SLICE = b"\x41\x9a"
STAP_SPS_PPS = b"\x78\x00\x03\x67\x4d\x40\x00\x02\x68\xee"
STAP_SEI_SLICE = b"\x78\x00\x02\x06\x05\x00\x02\x41\x9a"
FU_IDR_START = b"\x7c\x85\x88"
FU_IDR_MIDDLE = b"\x7c\x05\x88"
FU_IDR_END = b"\x7c\x45\x88"
FU_SLICE_START = b"\x5c\x81\x9a"


def sps(profile_idc: int = 66, level_idc: int = 30) -> BitWriter:
    """Return an SPS written up to and with seq_parameter_set_id."""
    return BitWriter().bits(profile_idc, 8).bits(0, 8).bits(level_idc, 8).golomb(0)


def with_size(writer: BitWriter, width_mbs: int = 20, map_units: int = 12) -> BitWriter:
    """Add reference frames, gaps flag and the size; frames only, no cropping."""
    writer.golomb(1).bits(0, 1).golomb(width_mbs - 1, map_units - 1)
    return writer.bits(1, 1).bits(1, 1).bits(0, 1)


@pytest.mark.parametrize(("data", "codec", "width", "height", "chroma", "depth"), SAMPLES)
def test_parameter_sets_of_an_encoder_are_read(
    data: bytes | str, codec: str, width: int, height: int, chroma: int, depth: int
) -> None:
    found = parse_sps(data if isinstance(data, bytes) else bytes.fromhex(data))
    assert (found.codec, found.width, found.height) == (codec, width, height)
    assert (found.chroma_format_idc, found.bit_depth) == (chroma, depth)


def test_an_sps_says_its_profile() -> None:
    assert parse_sps(MAIN_384X216) == Sps(
        profile_idc=77,
        constraint_flags=0x40,
        level_idc=13,
        chroma_format_idc=1,
        bit_depth=8,
        width=384,
        height=216,
    )


def test_picture_order_type_one_is_passed_over() -> None:
    writer = sps().golomb(0, 1).bits(0, 1).signed_golomb(-7, 3).golomb(2).signed_golomb(5, -5)
    found = parse_sps(with_size(writer).nal(SPS_HEADER))
    assert (found.width, found.height) == (320, 192)


def test_picture_order_type_two_has_no_fields() -> None:
    found = parse_sps(with_size(sps().golomb(0, 2)).nal(SPS_HEADER))
    assert (found.width, found.height) == (320, 192)


def test_scaling_lists_are_passed_over() -> None:
    writer = sps(profile_idc=100).golomb(1, 0, 0).bits(0, 1).bits(1, 1)
    writer.bits(1, 1).signed_golomb(*[1] * 16)  # a whole list
    writer.bits(1, 1).signed_golomb(2, -10)  # 8 + 2 - 10 = 0: the rest repeats the last one
    writer.bits(0, 6)
    found = parse_sps(with_size(writer.golomb(0, 2)).nal(SPS_HEADER))
    assert (found.width, found.height) == (320, 192)


def test_cropping_with_separate_planes_counts_single_lines() -> None:
    writer = sps(profile_idc=244).golomb(3).bits(1, 1).golomb(0, 0).bits(0, 1).bits(1, 1)
    writer.bits(0, 12).golomb(0, 2)  # twelve scaling lists that are not there
    writer.golomb(1).bits(0, 1).golomb(19, 11).bits(1, 1).bits(1, 1)
    nal = writer.bits(1, 1).golomb(1, 2, 3, 4).nal(SPS_HEADER)
    found = parse_sps(nal)
    assert (found.width, found.height) == (317, 185)


def test_fields_double_the_height_and_its_cropping() -> None:
    writer = sps().golomb(0, 2).golomb(1).bits(0, 1).golomb(119, 33)
    nal = writer.bits(0, 1).bits(0, 1).bits(1, 1).bits(1, 1).golomb(0, 0, 0, 2).nal(SPS_HEADER)
    found = parse_sps(nal)
    assert (found.width, found.height) == (1920, 1080)


@pytest.mark.parametrize(
    ("nal", "sentence"),
    [
        (b"", "a NAL unit is empty"),
        (b"\x68\xee", "NAL unit type 8 is not an SPS"),
        (sps(100).golomb(4).nal(SPS_HEADER), "impossible chroma format 4"),
        (
            sps().golomb(0, 1).bits(0, 1).signed_golomb(0, 0).golomb(256).nal(SPS_HEADER),
            "impossible picture order cycle of 256",
        ),
        (with_size(sps().golomb(0, 2), width_mbs=2000).nal(SPS_HEADER), "impossible size 32000"),
        (
            sps().golomb(0, 2, 1).bits(0, 1).golomb(0, 0).bits(7, 3).golomb(0, 0, 4, 4).nal(b"g"),
            "impossible size 16 x 0",
        ),
    ],
)
def test_damaged_parameter_sets_are_refused(nal: bytes, sentence: str) -> None:
    with pytest.raises(MediaFormatError, match=sentence):
        parse_sps(nal)


@pytest.mark.parametrize("length", range(len(MAIN_384X216)))
def test_every_truncation_of_an_sps_is_refused_or_harmless(length: int) -> None:
    if length >= 9:  # only the usability information, which is not read, is cut
        assert parse_sps(MAIN_384X216[:length]) == parse_sps(MAIN_384X216)
        return
    with pytest.raises(MediaFormatError, match=r"ends too early|is empty"):
        parse_sps(MAIN_384X216[:length])


@given(st.binary(max_size=60))
def test_random_parameter_sets_raise_nothing_else(data: bytes) -> None:
    try:
        found = parse_sps(SPS_HEADER + data)
    except MediaFormatError:
        return
    assert found.width > 0
    assert found.codec.startswith("avc1.")


@pytest.mark.parametrize(
    ("payload", "types", "is_key"),
    [
        (SINGLE_IDR, (5,), True),
        (b"\x67\x4d", (7,), True),
        (SINGLE_SLICE, (1,), False),
        (b"\x09\xf0", (9,), False),
        (STAP_SPS_PPS, (7, 8), True),
        (STAP_SEI_SLICE, (6, 1), False),
        (FU_IDR_START, (5,), True),
        (FU_IDR_MIDDLE, (), False),
        (FU_IDR_END, (), False),
        (FU_SLICE_START, (1,), False),
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
        (b"", "a NAL unit is empty"),
        (b"\x00", "structure 0"),
        (b"\x7d\x85", "structure 29"),  # FU-B: interleaved mode
        (b"\x7f", "structure 31"),
        (b"\x7c", "FU-A payload ends"),
        (b"\x78", "STAP-A payload is empty"),
        (b"\x78\x00\x00", "impossible size 0"),
        (b"\x78\x00\x02\x67", "impossible size 2"),
    ],
)
def test_damaged_payloads_are_refused(payload: bytes, sentence: str) -> None:
    with pytest.raises(MediaFormatError, match=sentence):
        payload_types(payload)


@pytest.mark.parametrize("length", range(len(STAP_SPS_PPS)))
def test_every_truncation_of_an_aggregate_is_refused(length: int) -> None:
    if length == 6:  # exactly after the SPS: a smaller aggregate
        assert payload_types(STAP_SPS_PPS[:length]) == (7,)
        return
    with pytest.raises(MediaFormatError, match=r"STAP-A|empty"):
        payload_types(STAP_SPS_PPS[:length])


@given(st.binary(max_size=60))
def test_random_payloads_raise_nothing_else(data: bytes) -> None:
    try:
        types = payload_types(data)
    except MediaFormatError:
        return
    assert all(0 <= kind <= h264.NAL_TYPE_MASK for kind in types)


def test_annex_b_is_split_at_both_start_codes() -> None:
    data = b"junk\x00\x00\x00\x01\x67\x4d\x00\x00\x01\x68\xee\x00\x00\x00\x01\x65\x88\x80\x00\x00"
    assert split_annex_b(data) == [b"\x67\x4d", b"\x68\xee", b"\x65\x88\x80"]


def test_annex_b_without_units_gives_none() -> None:
    assert split_annex_b(b"") == []
    assert split_annex_b(b"\x00\x00\x01\x00\x00\x01") == []


@given(st.lists(st.binary(min_size=1, max_size=30).map(lambda b: b.replace(b"\x00", b"\x01"))))
def test_annex_b_units_come_back(units: list[bytes]) -> None:
    assert split_annex_b(b"".join(b"\x00\x00\x00\x01" + unit for unit in units)) == units


def test_nal_type_masks_the_reference_bits() -> None:
    assert [nal_type(bytes([byte])) for byte in (0x65, 0x25, 0x45)] == [5, 5, 5]


@pytest.mark.parametrize(
    ("text", "profile"),
    [
        ("42e01f", Profile.CONSTRAINED_BASELINE),
        ("42C028", Profile.CONSTRAINED_BASELINE),
        ("4d801f", Profile.CONSTRAINED_BASELINE),
        ("58f01f", Profile.CONSTRAINED_BASELINE),
        ("42001f", Profile.BASELINE),
        ("42a01f", Profile.BASELINE),
        ("58a01f", Profile.BASELINE),
        ("4d001f", Profile.MAIN),
        ("4D400D", Profile.MAIN),
        ("640028", Profile.HIGH),
        ("640c1f", Profile.CONSTRAINED_HIGH),
        ("f4001f", Profile.HIGH_444),
        ("58001f", None),  # Extended
        ("4d201f", None),
        ("64101f", None),
        ("6e001f", None),  # High 10
        ("000000", None),
    ],
)
def test_profiles_are_those_of_rfc_6184(text: str, profile: Profile | None) -> None:
    """§8.1, table 5."""
    profile_idc, constraint_flags, level_idc = parse_profile_level_id(text)
    assert find_profile(profile_idc, constraint_flags) is profile
    assert level_idc == int(text[4:], 16)


@pytest.mark.parametrize("text", ["", "42e01", "42e01f0", "42e01g", " 2e01f", "42\u0660\u06601f"])
def test_a_damaged_profile_level_id_is_refused(text: str) -> None:
    with pytest.raises(MediaFormatError, match="is not a profile-level-id"):
        parse_profile_level_id(text)


def source(profile_idc: int, constraint_flags: int = 0) -> Profile | None:
    """Return the profile of a camera."""
    return find_profile(profile_idc, constraint_flags)


def offer(*ids: str, mode: str = "1") -> dict[int, dict[str, str]]:
    """Return payload types from 100 on with these profile-level-ids."""
    return {
        100 + index: {"packetization-mode": mode, "profile-level-id": one}
        for index, one in enumerate(ids)
    }


@pytest.mark.parametrize(
    ("camera", "chosen"),
    [
        (source(66, 0xC0), "42e01f"),
        (source(66), "42001f"),
        (source(77, 0x40), "4d001f"),
        (source(100), "42e01f"),  # no High in the offer: browsers play it under this
        (source(100, 0x0C), "42e01f"),
        (source(110), "42e01f"),
        (source(244), "f4001f"),
        (None, "42e01f"),
    ],
)
def test_of_chromiums_offer_the_sources_profile_is_chosen(
    camera: Profile | None, chosen: str
) -> None:
    path = Path(__file__).parents[2] / "data/sdp/chromium_offer.sdp"
    video = parse_description(path.read_bytes().decode()).media[0]
    offers = {codec.payload_type: codec.parameters for codec in video.find_codecs("H264")}
    payload_type = choose_payload_type(offers, camera)
    assert payload_type is not None
    assert offers[payload_type]["profile-level-id"] == chosen
    assert offers[payload_type]["packetization-mode"] == "1"


@pytest.mark.parametrize(
    ("ids", "camera", "chosen"),
    [
        (("42e01f", "640028"), source(100), "640028"),
        (("42e01f", "640c28"), source(100), "42e01f"),
        (("42e01f", "640028"), source(100, 0x0C), "640028"),
        (("42e01f", "640028"), source(77), "640028"),
        (("42e01f", "4d001f", "640028"), source(77), "4d001f"),
        (("640028", "4d001f", "42001f"), source(66, 0xC0), "640028"),
        (("4d001f", "42001f"), source(66), "42001f"),
        (("f4001f", "42e01f"), source(100), "42e01f"),
        (("f4001f", "4d001f"), source(100), "f4001f"),
        (("42e01f", "42e029"), source(66, 0xC0), "42e01f"),
        (("nonsense", "42e01f"), source(100), "42e01f"),
        (("nonsense", "58001f"), source(100), "nonsense"),
    ],
)
def test_the_best_offer_is_chosen(
    ids: tuple[str, ...], camera: Profile | None, chosen: str
) -> None:
    payload_type = choose_payload_type(offer(*ids), camera)
    assert payload_type is not None
    assert ids[payload_type - 100] == chosen


def test_mode_one_counts_more_than_the_profile() -> None:
    offers = {96: offer("640028", mode="0")[100], 97: offer("42e01f")[100]}
    assert choose_payload_type(offers, source(100)) == 97
    assert choose_payload_type({96: offers[96]}, source(100)) == 96


def test_what_is_not_said_is_baseline_in_mode_zero() -> None:
    """RFC 6184 §8.1."""
    offers: dict[int, dict[str, str]] = {96: {}, 97: {"profile-level-id": "42e01f"}}
    assert choose_payload_type(offers, source(66)) == 96
    assert choose_payload_type(offers, source(66, 0xC0)) == 97


def test_interleaved_packets_are_never_sent() -> None:
    assert choose_payload_type(offer("42e01f", mode="2"), None) is None
    assert choose_payload_type({}, source(100)) is None
