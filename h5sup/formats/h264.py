"""H.264 NAL units (ITU-T H.264), alone and in RTP payloads, and what SDP says (RFC 6184)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from h5sup.base.errors import MediaFormatError
from h5sup.formats.bits import BitReader, unescape

# Table 7-1
NAL_TYPE_SLICE = 1
NAL_TYPE_IDR = 5
NAL_TYPE_SEI = 6
NAL_TYPE_SPS = 7
NAL_TYPE_PPS = 8
NAL_TYPE_AUD = 9
# RFC 6184 §5.2
NAL_TYPE_STAP_A = 24
NAL_TYPE_FU_A = 28
NAL_TYPE_MASK = 0x1F
FU_START_BIT = 0x80  # RFC 6184 §5.8
KEY_TYPES = frozenset({NAL_TYPE_IDR, NAL_TYPE_SPS})
START_CODE = re.compile(rb"\x00\x00\x01")  # §B.1
# §7.3.2.1.1: only these profiles carry chroma format, bit depths and scaling lists.
HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
MAX_SIDE = 16384  # a larger picture is damage
MAX_REFERENCES_IN_CYCLE = 255  # §7.4.2.1.1
PROFILE_LEVEL_ID = re.compile(r"[0-9A-Fa-f]{6}")
# RFC 6184 §8.1
DEFAULT_PROFILE_LEVEL_ID = "42000a"
MODE_SINGLE_NAL = "0"
MODE_NON_INTERLEAVED = "1"


class Profile(Enum):
    """What a decoder must be able to do (annex A.2), as far as browsers offer it."""

    CONSTRAINED_BASELINE = auto()
    BASELINE = auto()
    MAIN = auto()
    CONSTRAINED_HIGH = auto()
    HIGH = auto()
    HIGH_444 = auto()


# RFC 6184 §8.1, table 5: profile_idc, which constraint flags count, and what they are
PROFILES = (
    (66, 0x4F, 0x40, Profile.CONSTRAINED_BASELINE),
    (77, 0x8F, 0x80, Profile.CONSTRAINED_BASELINE),
    (88, 0xCF, 0xC0, Profile.CONSTRAINED_BASELINE),
    (66, 0x4F, 0x00, Profile.BASELINE),
    (88, 0xCF, 0x80, Profile.BASELINE),
    (77, 0xAF, 0x00, Profile.MAIN),
    (100, 0xFF, 0x00, Profile.HIGH),
    (100, 0xFF, 0x0C, Profile.CONSTRAINED_HIGH),
    (244, 0xFF, 0x00, Profile.HIGH_444),
)
# Annex A.2: what decoders of a profile play besides. High 4:4:4 would play all, but who offers it
# beside the usual ones gives the usual ones to the hardware.
ALSO_DECODED = {
    Profile.BASELINE: {Profile.CONSTRAINED_BASELINE},
    Profile.MAIN: {Profile.CONSTRAINED_BASELINE},
    Profile.CONSTRAINED_HIGH: {Profile.CONSTRAINED_BASELINE},
    Profile.HIGH: {Profile.CONSTRAINED_BASELINE, Profile.MAIN, Profile.CONSTRAINED_HIGH},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sps:
    """What a sequence parameter set says of its pictures."""

    profile_idc: int
    constraint_flags: int
    level_idc: int
    chroma_format_idc: int
    bit_depth: int
    width: int
    height: int

    @property
    def codec(self) -> str:
        """Return the codec as RFC 6381 §3.3 writes it, e.g. `avc1.4D002A`."""
        return f"avc1.{self.profile_idc:02X}{self.constraint_flags:02X}{self.level_idc:02X}"


def nal_type(nal: bytes | memoryview) -> int:
    """Return the type of a NAL unit (§7.3.1); raises MediaFormatError when it is empty."""
    if not nal:
        raise MediaFormatError("a NAL unit is empty")
    return nal[0] & NAL_TYPE_MASK


def payload_types(payload: bytes | memoryview) -> tuple[int, ...]:
    """Return the types of the NAL units that begin in an RTP payload (RFC 6184 §5.4).

    A fragment of a NAL unit that began in an earlier packet gives none.
    """
    kind = nal_type(payload)
    if kind == NAL_TYPE_FU_A:
        return _fragment_types(payload)
    if kind == NAL_TYPE_STAP_A:
        return _aggregate_types(payload)
    if not 1 <= kind < NAL_TYPE_STAP_A:
        raise MediaFormatError(f"RTP payload structure {kind} is not of packetization mode 1")
    return (kind,)


def begins_key(payload: bytes | memoryview) -> bool:
    """Return whether an SPS or an IDR slice begins in an RTP payload; raises MediaFormatError."""
    return not KEY_TYPES.isdisjoint(payload_types(payload))


def split_annex_b(data: bytes) -> list[bytes]:
    """Return the NAL units between start codes, without trailing zeros (§B.1).

    What stands before the first start code is left out.
    """
    starts = [match.end() for match in START_CODE.finditer(data)]
    ends = [start - 3 for start in starts[1:]] + [len(data)]
    units = (data[a:b].rstrip(b"\x00") for a, b in zip(starts, ends, strict=False))
    return [unit for unit in units if unit]


def parse_sps(nal: bytes) -> Sps:
    """Read a sequence parameter set, NAL header included (§7.3.2.1.1)."""
    if nal_type(nal) != NAL_TYPE_SPS:
        raise MediaFormatError(f"NAL unit type {nal_type(nal)} is not an SPS")
    reader = BitReader(unescape(nal[1:]), "an SPS")
    profile_idc, constraint_flags, level_idc = reader.bits(8), reader.bits(8), reader.bits(8)
    reader.golomb()  # seq_parameter_set_id
    chroma, depth, separate_planes = 1, 8, False
    if profile_idc in HIGH_PROFILES:
        chroma, depth, separate_planes = _read_chroma(reader)
    reader.golomb()  # log2_max_frame_num_minus4
    _skip_picture_order(reader)
    reader.golomb()  # max_num_ref_frames
    reader.skip(1)  # gaps_in_frame_num_value_allowed_flag
    width, height = _read_size(reader, 0 if separate_planes else chroma)
    return Sps(
        profile_idc=profile_idc,
        constraint_flags=constraint_flags,
        level_idc=level_idc,
        chroma_format_idc=chroma,
        bit_depth=depth,
        width=width,
        height=height,
    )


def find_profile(profile_idc: int, constraint_flags: int) -> Profile | None:
    """Return the profile of an SPS or of SDP; None for one that no browser offers."""
    for idc, mask, flags, profile in PROFILES:
        if profile_idc == idc and constraint_flags & mask == flags:
            return profile
    return None


def parse_profile_level_id(text: str) -> tuple[int, int, int]:
    """Return profile_idc, constraint flags and level_idc of `42e01f`; raises MediaFormatError."""
    if not PROFILE_LEVEL_ID.fullmatch(text):
        raise MediaFormatError(f"{text[:80]!r} is not a profile-level-id")
    profile_idc, constraint_flags, level_idc = bytes.fromhex(text)
    return profile_idc, constraint_flags, level_idc


def choose_payload_type(
    offers: Mapping[int, Mapping[str, str]], source: Profile | None
) -> int | None:
    """Return which payload type to send a source under; None when no offer will do.

    `offers` are the fmtp parameters by payload type, the preferred first (RFC 6184 §8.2.2). Mode 1
    counts more than the profile, for large NAL units need fragments. Then it is the source's own
    profile, one whose decoders play it, or Constrained Baseline, under which browsers play the
    others too. Levels don't count: browsers offer 3.1 and play what they can.
    """
    ranks = {}
    for payload_type, parameters in offers.items():
        mode = parameters.get("packetization-mode", MODE_SINGLE_NAL)
        if mode in (MODE_SINGLE_NAL, MODE_NON_INTERLEAVED):
            ranks[payload_type] = mode, _fit(_offered_profile(parameters), source)
    return max(ranks, key=ranks.__getitem__, default=None)


def _offered_profile(parameters: Mapping[str, str]) -> Profile | None:
    try:
        text = parameters.get("profile-level-id", DEFAULT_PROFILE_LEVEL_ID)
        profile_idc, constraint_flags, _ = parse_profile_level_id(text)
    except MediaFormatError:
        return None  # the other payload types may do
    return find_profile(profile_idc, constraint_flags)


def _fit(offered: Profile | None, source: Profile | None) -> int:
    """Return how well an offered profile suits a source; more is better."""
    if offered is None:
        return 0
    if offered is source:
        return 4
    if source in ALSO_DECODED.get(offered, ()):
        return 3
    return 2 if offered is Profile.CONSTRAINED_BASELINE else 1


def _fragment_types(payload: bytes | memoryview) -> tuple[int, ...]:
    if len(payload) < 2:
        raise MediaFormatError("an FU-A payload ends before its header")
    if payload[1] & FU_START_BIT:
        return (payload[1] & NAL_TYPE_MASK,)
    return ()


def _aggregate_types(payload: bytes | memoryview) -> tuple[int, ...]:
    """Read a STAP-A: 16-bit sizes, each before its NAL unit (RFC 6184 §5.7.1)."""
    kinds = []
    at = 1
    while at < len(payload):
        size = int.from_bytes(payload[at : at + 2])
        end = at + 2 + size
        if not size or end > len(payload):
            raise MediaFormatError(f"a STAP-A payload holds a NAL unit of impossible size {size}")
        kinds.append(payload[at + 2] & NAL_TYPE_MASK)
        at = end
    if not kinds:
        raise MediaFormatError("a STAP-A payload is empty")
    return tuple(kinds)


def _read_chroma(reader: BitReader) -> tuple[int, int, bool]:
    """Read what high profiles add: chroma_format_idc, luma bit depth, separate planes."""
    chroma = reader.golomb()
    if chroma > 3:
        raise MediaFormatError(f"an SPS has impossible chroma format {chroma}")
    separate_planes = chroma == 3 and reader.flag()
    depth = 8 + reader.golomb()
    reader.golomb()  # bit_depth_chroma_minus8
    reader.skip(1)  # qpprime_y_zero_transform_bypass_flag
    if reader.flag():  # seq_scaling_matrix_present_flag
        for index in range(12 if chroma == 3 else 8):
            if reader.flag():
                _skip_scaling_list(reader, 16 if index < 6 else 64)
    return chroma, depth, separate_planes


def _skip_scaling_list(reader: BitReader, size: int) -> None:
    """Pass over scaling_list() (§7.3.2.1.1.1)."""
    scale = 8
    for _ in range(size):
        scale = (scale + reader.signed_golomb()) % 256
        if not scale:
            return  # the rest repeats the last one


def _skip_picture_order(reader: BitReader) -> None:
    """Pass over the fields that pic_order_cnt_type governs."""
    kind = reader.golomb()
    if kind == 0:
        reader.golomb()  # log2_max_pic_order_cnt_lsb_minus4
    elif kind == 1:
        reader.skip(1)  # delta_pic_order_always_zero_flag
        reader.signed_golomb()  # offset_for_non_ref_pic
        reader.signed_golomb()  # offset_for_top_to_bottom_field
        count = reader.golomb()
        if count > MAX_REFERENCES_IN_CYCLE:
            raise MediaFormatError(f"an SPS has an impossible picture order cycle of {count}")
        for _ in range(count):
            reader.signed_golomb()  # offset_for_ref_frame


def _read_size(reader: BitReader, chroma_array_type: int) -> tuple[int, int]:
    """Return width and height with the cropping taken off (§7.4.2.1.1)."""
    width = 16 * (reader.golomb() + 1)
    map_units = reader.golomb() + 1
    frames_only = reader.flag()
    fields = 1 if frames_only else 2
    height = 16 * map_units * fields
    if not frames_only:
        reader.skip(1)  # mb_adaptive_frame_field_flag
    reader.skip(1)  # direct_8x8_inference_flag
    if reader.flag():  # frame_cropping_flag
        left, right, top, bottom = (reader.golomb() for _ in range(4))
        width -= (left + right) * (2 if chroma_array_type in (1, 2) else 1)
        height -= (top + bottom) * (2 if chroma_array_type == 1 else 1) * fields
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise MediaFormatError(f"an SPS has the impossible size {width} x {height}")
    return width, height
