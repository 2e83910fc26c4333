"""H.265 NAL units (ITU-T H.265), alone and in RTP payloads (RFC 7798)."""

from __future__ import annotations

from dataclasses import dataclass

from h5sup.base.errors import MediaFormatError
from h5sup.formats.bits import BitReader, unescape

# Table 7-1
NAL_TYPE_TRAIL_R = 1
NAL_TYPE_BLA_W_LP = 16
NAL_TYPE_IDR_W_RADL = 19
NAL_TYPE_IDR_N_LP = 20
NAL_TYPE_CRA = 21
NAL_TYPE_VPS = 32
NAL_TYPE_SPS = 33
NAL_TYPE_PPS = 34
NAL_TYPE_AUD = 35
IRAP_TYPES = range(NAL_TYPE_BLA_W_LP, NAL_TYPE_CRA + 1)
# RFC 7798 §4.4
NAL_TYPE_AP = 48
NAL_TYPE_FU = 49
NAL_HEADER_LENGTH = 2  # §7.3.1.2
NAL_TYPE_MASK = 0x3F
FU_START_BIT = 0x80  # RFC 7798 §4.4.3
KEY_TYPES = frozenset({*IRAP_TYPES, NAL_TYPE_VPS, NAL_TYPE_SPS})
MAX_SIDE = 16384  # a larger picture is damage
# §7.3.3: what each sub-layer's profile and level take
SUB_LAYER_PROFILE_BITS = 88
SUB_LAYER_LEVEL_BITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sps:
    """What a sequence parameter set says of its pictures."""

    profile_space: int
    is_high_tier: bool
    profile_idc: int
    compatibility_flags: int
    constraint_flags: int
    level_idc: int
    chroma_format_idc: int
    bit_depth: int
    width: int
    height: int

    @property
    def codec(self) -> str:
        """Return the codec as ISO/IEC 14496-15 §E.3 writes it, e.g. `hvc1.1.6.L93.B0`."""
        space = ("", "A", "B", "C")[self.profile_space]
        reversed_flags = int(f"{self.compatibility_flags:032b}"[::-1], 2)
        tier = "H" if self.is_high_tier else "L"
        constraints = self.constraint_flags.to_bytes(6).rstrip(b"\x00")
        parts = ["hvc1", f"{space}{self.profile_idc}", f"{reversed_flags:X}"]
        parts.append(f"{tier}{self.level_idc}")
        return ".".join([*parts, *(f"{byte:X}" for byte in constraints)])


def nal_type(nal: bytes | memoryview) -> int:
    """Return the type of a NAL unit (§7.3.1.2); raises MediaFormatError when it is cut."""
    if len(nal) < NAL_HEADER_LENGTH:
        raise MediaFormatError("a NAL unit ends inside its header")
    return (nal[0] >> 1) & NAL_TYPE_MASK


def payload_types(payload: bytes | memoryview) -> tuple[int, ...]:
    """Return the types of the NAL units that begin in an RTP payload (RFC 7798 §4.4).

    A fragment of a NAL unit that began in an earlier packet gives none. Payloads with decoding
    order numbers (sprop-max-don-diff above 0) are not for live video and not read.
    """
    kind = nal_type(payload)
    if kind == NAL_TYPE_FU:
        return _fragment_types(payload)
    if kind == NAL_TYPE_AP:
        return _aggregate_types(payload)
    if kind > NAL_TYPE_AP:
        raise MediaFormatError(f"RTP payload structure {kind} is unknown")
    return (kind,)


def begins_key(payload: bytes | memoryview) -> bool:
    """Return whether a VPS, an SPS or an IRAP slice begins in an RTP payload."""
    return not KEY_TYPES.isdisjoint(payload_types(payload))


def parse_sps(nal: bytes) -> Sps:
    """Read a sequence parameter set, NAL header included (§7.3.2.2.1)."""
    if nal_type(nal) != NAL_TYPE_SPS:
        raise MediaFormatError(f"NAL unit type {nal_type(nal)} is not an SPS")
    reader = BitReader(unescape(nal[NAL_HEADER_LENGTH:]), "an SPS")
    reader.skip(4)  # sps_video_parameter_set_id
    sub_layers = reader.bits(3)
    reader.skip(1)  # sps_temporal_id_nesting_flag
    profile_space, is_high_tier, profile_idc = reader.bits(2), reader.flag(), reader.bits(5)
    compatibility_flags, constraint_flags = reader.bits(32), reader.bits(48)
    level_idc = reader.bits(8)
    _skip_sub_layers(reader, sub_layers)
    reader.golomb()  # sps_seq_parameter_set_id
    chroma = _read_chroma_format(reader)
    width, height = _read_size(reader, chroma)
    return Sps(
        profile_space=profile_space,
        is_high_tier=is_high_tier,
        profile_idc=profile_idc,
        compatibility_flags=compatibility_flags,
        constraint_flags=constraint_flags,
        level_idc=level_idc,
        chroma_format_idc=chroma,
        bit_depth=8 + reader.golomb(),
        width=width,
        height=height,
    )


def _fragment_types(payload: bytes | memoryview) -> tuple[int, ...]:
    if len(payload) < NAL_HEADER_LENGTH + 1:
        raise MediaFormatError("an FU payload ends before its header")
    fu_header = payload[NAL_HEADER_LENGTH]
    return (fu_header & NAL_TYPE_MASK,) if fu_header & FU_START_BIT else ()


def _aggregate_types(payload: bytes | memoryview) -> tuple[int, ...]:
    """Read an aggregation packet: 16-bit sizes, each before its NAL unit (RFC 7798 §4.4.2)."""
    kinds = []
    at = NAL_HEADER_LENGTH
    while at < len(payload):
        size = int.from_bytes(payload[at : at + 2])
        end = at + 2 + size
        if size < NAL_HEADER_LENGTH or end > len(payload):
            raise MediaFormatError(f"an AP payload holds a NAL unit of impossible size {size}")
        kinds.append((payload[at + 2] >> 1) & NAL_TYPE_MASK)
        at = end
    if not kinds:
        raise MediaFormatError("an AP payload is empty")
    return tuple(kinds)


def _skip_sub_layers(reader: BitReader, count: int) -> None:
    """Pass over the sub-layers' part of profile_tier_level() (§7.3.3)."""
    if not count:
        return
    present = [(reader.flag(), reader.flag()) for _ in range(count)]
    reader.skip(2 * (8 - count))  # reserved_zero_2bits
    for has_profile, has_level in present:
        reader.skip(SUB_LAYER_PROFILE_BITS * has_profile + SUB_LAYER_LEVEL_BITS * has_level)


def _read_chroma_format(reader: BitReader) -> int:
    chroma = reader.golomb()
    if chroma > 3:
        raise MediaFormatError(f"an SPS has impossible chroma format {chroma}")
    if chroma == 3:
        reader.skip(1)  # separate_colour_plane_flag
    return chroma


def _read_size(reader: BitReader, chroma: int) -> tuple[int, int]:
    """Return width and height within the conformance window (§7.4.3.2.1)."""
    width, height = reader.golomb(), reader.golomb()
    if reader.flag():  # conformance_window_flag
        left, right, top, bottom = (reader.golomb() for _ in range(4))
        width -= (left + right) * (2 if chroma in (1, 2) else 1)
        height -= (top + bottom) * (2 if chroma == 1 else 1)
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise MediaFormatError(f"an SPS has the impossible size {width} x {height}")
    return width, height
