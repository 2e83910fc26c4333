"""RTP packets and RTCP sender reports (RFC 3550), as cheap functions on bytes.

The packet ring handles hundreds of packets a second for each camera, so nothing here makes an
object per packet unless asked to.
"""

from __future__ import annotations

from collections.abc import Iterator
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

RTCP_SENDER_REPORT = 200  # §6.4.1
RTCP_BYE = 203  # §6.6
# RFC 5761 §4: what these values of the second byte announce on one port is RTCP, never RTP.
RTCP_TYPES = range(192, 224)

HEADER = Struct("!BBHII")
HALF_WORDS = Struct("!HH")
RTCP_HEADER = Struct("!BBH")
SENDER_INFO = Struct("!IQIII")  # §6.4.1: SSRC, NTP time, RTP time, packets, octets


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderReport:
    """Which wall time belongs to which RTP time (§6.4.1)."""

    ssrc: int
    ntp: int
    """Seconds since 1900 as 32.32 fixed point."""
    timestamp: int
    packets: int = 0
    octets: int = 0


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


def sequence_distance(newer: int, older: int) -> int:
    """Return how far `newer` is ahead of `older` across the 16-bit wrap: -32768 to 32767."""
    return ((newer - older + 0x8000) & SEQUENCE_MASK) - 0x8000


def timestamp_distance(newer: int, older: int) -> int:
    """Return how far `newer` is ahead of `older` across the 32-bit wrap."""
    return ((newer - older + 0x80000000) & TIMESTAMP_MASK) - 0x80000000


def parse_sender_reports(compound: bytes) -> list[SenderReport]:
    """Return the sender reports of a compound RTCP packet (§6.1); raises MediaFormatError."""
    return [
        _parse_sender_report(body)
        for packet_type, body in split_rtcp(compound)
        if packet_type == RTCP_SENDER_REPORT
    ]


def split_rtcp(compound: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each packet's type and what follows its header (§6.4); raises MediaFormatError."""
    at = 0
    while at < len(compound):
        if len(compound) - at < RTCP_HEADER.size:
            raise MediaFormatError("an RTCP packet ends inside a header")
        first, packet_type, words = RTCP_HEADER.unpack_from(compound, at)
        if first >> 6 != RTP_VERSION:
            raise MediaFormatError(f"RTCP version {first >> 6} is not 2")
        end = at + RTCP_HEADER.size + 4 * words
        if end > len(compound):
            raise MediaFormatError("an RTCP packet is shorter than it says")
        yield packet_type, compound[at + RTCP_HEADER.size : end]
        at = end


def build_rtcp(packet_type: int, count: int, body: bytes) -> bytes:
    """Return one RTCP packet; `body` is what follows the header, a multiple of four bytes."""
    return RTCP_HEADER.pack(RTP_VERSION << 6 | count, packet_type, len(body) // 4) + body


def build_sender_report(report: SenderReport) -> bytes:
    """Return the RTCP packet of a report without reception blocks."""
    body = SENDER_INFO.pack(
        report.ssrc, report.ntp, report.timestamp, report.packets, report.octets
    )
    return build_rtcp(RTCP_SENDER_REPORT, 0, body)


def _parse_sender_report(body: bytes) -> SenderReport:
    if len(body) < SENDER_INFO.size:
        raise MediaFormatError("an RTCP sender report is too short")
    ssrc, ntp, timestamp, packets, octets = SENDER_INFO.unpack_from(body)
    return SenderReport(ssrc=ssrc, ntp=ntp, timestamp=timestamp, packets=packets, octets=octets)
