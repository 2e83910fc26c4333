"""RTP packets (RFC 3550 §5) and their retransmission (RFC 4588), as cheap functions on bytes.

The packet ring handles hundreds of packets a second for each camera, so nothing here makes an
object per packet unless asked to.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from h5sup.base.errors import MediaFormatError

RTP_VERSION = 2
RTP_HEADER_LENGTH = 12  # §5.1, without CSRC list and extension
PADDING_BIT = 0x20
EXTENSION_BIT = 0x10
CSRC_COUNT_MASK = 0x0F
MARKER_BIT = 0x80
PAYLOAD_TYPE_MASK = 0x7F
SEQUENCE_MASK = 0xFFFF
TIMESTAMP_MASK = 0xFFFFFFFF

HEADER = Struct("!BBHII")
HALF_WORDS = Struct("!HH")


@dataclass(frozen=True, slots=True, kw_only=True)
class RtpHeader:
    """What stands before a packet's payload."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    is_marked: bool = False
    csrcs: tuple[int, ...] = ()
    extension_profile: int | None = None
    extension: bytes = b""


def payload_bounds(packet: bytes | memoryview) -> tuple[int, int]:
    """Return where the payload starts and ends (§5.1, §5.3.1); raises MediaFormatError."""
    size = len(packet)
    if size < RTP_HEADER_LENGTH:
        raise MediaFormatError(f"an RTP packet of {size} bytes is shorter than its header")
    first = packet[0]
    if first >> 6 != RTP_VERSION:
        raise MediaFormatError(f"RTP version {first >> 6} is not 2")
    start = RTP_HEADER_LENGTH + 4 * (first & CSRC_COUNT_MASK)
    if first & EXTENSION_BIT:
        if size < start + HALF_WORDS.size:
            raise MediaFormatError("an RTP packet ends inside its header extension")
        start += HALF_WORDS.size + 4 * HALF_WORDS.unpack_from(packet, start)[1]
    end = size
    if first & PADDING_BIT:
        padding = packet[-1]
        if not padding:
            raise MediaFormatError("an RTP packet announces padding of no length")
        end -= padding
    if start > end:
        raise MediaFormatError("an RTP packet ends before its payload")
    return start, end


def parse_header(packet: bytes) -> RtpHeader:
    """Return the header of `packet`; raises MediaFormatError."""
    payload_bounds(packet)
    first, second, sequence, timestamp, ssrc = HEADER.unpack_from(packet)
    at = RTP_HEADER_LENGTH
    csrc_count = first & CSRC_COUNT_MASK
    csrcs = tuple(int.from_bytes(packet[at + 4 * i : at + 4 * i + 4]) for i in range(csrc_count))
    at += 4 * csrc_count
    profile, extension = None, b""
    if first & EXTENSION_BIT:
        profile, words = HALF_WORDS.unpack_from(packet, at)
        extension = packet[at + 4 : at + 4 + 4 * words]
    return RtpHeader(
        payload_type=second & PAYLOAD_TYPE_MASK,
        sequence=sequence,
        timestamp=timestamp,
        ssrc=ssrc,
        is_marked=bool(second & MARKER_BIT),
        csrcs=csrcs,
        extension_profile=profile,
        extension=extension,
    )


def build_header(header: RtpHeader) -> bytes:
    """Return the bytes of `header`; the payload follows them."""
    first = RTP_VERSION << 6 | len(header.csrcs)
    parts = [csrc.to_bytes(4) for csrc in header.csrcs]
    if header.extension_profile is not None:
        first |= EXTENSION_BIT
        parts.append(HALF_WORDS.pack(header.extension_profile, len(header.extension) // 4))
        parts.append(header.extension)
    second = header.payload_type | (MARKER_BIT if header.is_marked else 0)
    fixed = HEADER.pack(first, second, header.sequence, header.timestamp, header.ssrc)
    return b"".join([fixed, *parts])


def build_rtx(packet: bytes, *, payload_type: int, ssrc: int, sequence: int) -> bytes:
    """Return `packet` for sending again beside its sequence: its number, then its payload.

    The rest of the header stays, but padding goes (RFC 4588 §4); raises MediaFormatError.
    """
    start, end = payload_bounds(packet)
    first, second, number, timestamp, _ = HEADER.unpack_from(packet)
    second = second & MARKER_BIT | payload_type
    fixed = HEADER.pack(first & ~PADDING_BIT, second, sequence, timestamp, ssrc)
    parts = (fixed, packet[RTP_HEADER_LENGTH:start], number.to_bytes(2), packet[start:end])
    return b"".join(parts)


def sequence_distance(newer: int, older: int) -> int:
    """Return how far `newer` is ahead of `older` across the 16-bit wrap: -32768 to 32767."""
    return ((newer - older + 0x8000) & SEQUENCE_MASK) - 0x8000


def timestamp_distance(newer: int, older: int) -> int:
    """Return how far `newer` is ahead of `older` across the 32-bit wrap."""
    return ((newer - older + 0x80000000) & TIMESTAMP_MASK) - 0x80000000
