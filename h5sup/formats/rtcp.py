"""RTCP: reports, losses and wishes about RTP (RFC 3550 §6, RFC 4585, RFC 5104 §4.3.1).

A viewer with a bad network sends many of these, so one call reads a whole compound packet.
Congestion feedback (REMB, transport-wide CC) and all else is passed over: what h5sup relays is
encoded already and can't be made smaller.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from struct import Struct

from h5sup.base.errors import MediaFormatError
from h5sup.formats.rtp import PADDING_BIT, RTP_VERSION, SEQUENCE_MASK, sequence_distance

# RFC 3550 §12.1, RFC 4585 §6.1
RTCP_SENDER_REPORT = 200
RTCP_RECEIVER_REPORT = 201
RTCP_DESCRIPTION = 202
RTCP_BYE = 203
RTCP_TRANSPORT_FEEDBACK = 205
RTCP_PAYLOAD_FEEDBACK = 206
# RFC 5761 §4: what these values of the second byte announce on one port is RTCP, never RTP.
RTCP_TYPES = range(192, 224)
FORMAT_NACK = 1  # of transport feedback: RFC 4585 §6.2.1
FORMAT_PLI = 1  # of payload feedback: RFC 4585 §6.3.1
FORMAT_FIR = 4  # of payload feedback: RFC 5104 §4.3.1
ITEM_CNAME = 1  # RFC 3550 §6.5.1
LARGEST_ITEM_BYTES = 255
COUNT_MASK = 0x1F
NACK_REACH = 16  # RFC 4585 §6.2.1: packets after the first that one entry can name
NTP_FRACTION = 1 << 32
NTP_SHORT_HZ = 1 << 16  # §4: of the middle 32 bits of a NTP time
UNIX_TO_NTP_S = 2_208_988_800  # from 1900 to 1970

RTCP_HEADER = Struct("!BBH")
SENDER_INFO = Struct("!IQIII")  # §6.4.1: SSRC, NTP time, RTP time, packets, octets
REPORT_BLOCK = Struct("!IB3sIIII")  # §6.4.1
SSRC = Struct("!I")
FEEDBACK_HEADER = Struct("!II")  # RFC 4585 §6.1: SSRC of the sender, SSRC of the media
NACK_ENTRY = Struct("!HH")
FIR_ENTRY = Struct("!IB3x")


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderReport:
    """Which wall time belongs to which RTP time (§6.4.1)."""

    ssrc: int
    ntp: int
    """Seconds since 1900 as 32.32 fixed point."""
    timestamp: int
    packets: int = 0
    octets: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBlock:
    """How one sender's packets arrive (§6.4.1)."""

    ssrc: int
    fraction_lost: int = 0
    """Since the report before, of 256."""
    cumulative_lost: int = 0
    """Negative when duplicates outweigh losses."""
    highest_sequence: int = 0
    """With the count of wraps in its upper half."""
    jitter: int = 0
    """In units of the RTP clock."""
    last_report: int = 0
    """Middle 32 bits of the NTP time of the newest sender report; 0 for none."""
    report_delay: int = 0
    """Since that one arrived, in units of 1/65536 s."""


@dataclass(frozen=True, slots=True)
class Nack:
    """Packets of one sender that did not arrive (RFC 4585 §6.2.1)."""

    ssrc: int
    sequences: list[int]


@dataclass(frozen=True, slots=True)
class Feedback:
    """All that one compound packet says of what its sender receives."""

    blocks: list[ReportBlock] = field(default_factory=list)
    nacks: list[Nack] = field(default_factory=list)
    picture_losses: list[int] = field(default_factory=list)
    """SSRCs whose picture is damaged (PLI)."""
    key_requests: list[tuple[int, int]] = field(default_factory=list)
    """SSRCs asked for a key frame (FIR), each with its number; a repeated number asks no more."""
    byes: list[int] = field(default_factory=list)
    """SSRCs that have ended."""


def is_rtcp(data: bytes | memoryview) -> bool:
    """Return whether a datagram among RTP is RTCP, encrypted or not (RFC 5761 §4)."""
    return (
        len(data) >= FEEDBACK_HEADER.size and data[0] >> 6 == RTP_VERSION and data[1] in RTCP_TYPES
    )


def split_rtcp(compound: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield each packet's type, count or format, and body (§6.4); raises MediaFormatError."""
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
        body = compound[at + RTCP_HEADER.size : end]
        yield packet_type, first & COUNT_MASK, _strip(body) if first & PADDING_BIT else body
        at = end


def parse_sender_reports(compound: bytes) -> list[SenderReport]:
    """Return the sender reports of a compound RTCP packet (§6.1); raises MediaFormatError."""
    return [
        _parse_sender_report(body)
        for packet_type, _, body in split_rtcp(compound)
        if packet_type == RTCP_SENDER_REPORT
    ]


def parse_feedback(compound: bytes) -> Feedback:
    """Return what a receiver says in a compound packet (§6.1), also one of reduced size.

    Raises MediaFormatError.
    """
    found = Feedback()
    for packet_type, count, body in split_rtcp(compound):
        if packet_type == RTCP_TRANSPORT_FEEDBACK:
            if count == FORMAT_NACK:
                found.nacks.append(_parse_nack(body))
        elif packet_type == RTCP_PAYLOAD_FEEDBACK:
            _read_payload_feedback(count, body, found)
        elif packet_type == RTCP_RECEIVER_REPORT:
            found.blocks.extend(_parse_blocks(body, SSRC.size, count))
        elif packet_type == RTCP_SENDER_REPORT:
            found.blocks.extend(_parse_blocks(body, SENDER_INFO.size, count))
        elif packet_type == RTCP_BYE:
            found.byes.extend(_parse_bye(body, count))
    return found


def build_rtcp(packet_type: int, count: int, body: bytes) -> bytes:
    """Return one RTCP packet; `body` is what follows the header, a multiple of four bytes."""
    return RTCP_HEADER.pack(RTP_VERSION << 6 | count, packet_type, len(body) // 4) + body


def build_sender_report(report: SenderReport) -> bytes:
    """Return the RTCP packet of a report without reception blocks."""
    body = SENDER_INFO.pack(
        report.ssrc, report.ntp, report.timestamp, report.packets, report.octets
    )
    return build_rtcp(RTCP_SENDER_REPORT, 0, body)


def build_receiver_report(ssrc: int, blocks: Sequence[ReportBlock]) -> bytes:
    """Return the RTCP packet in which `ssrc` tells of up to 31 senders (§6.4.2)."""
    body = SSRC.pack(ssrc) + b"".join(map(_pack_block, blocks))
    return build_rtcp(RTCP_RECEIVER_REPORT, len(blocks), body)


def build_description(ssrc: int, cname: str) -> bytes:
    """Return the RTCP packet that names a sender (§6.5): tracks of one name belong together."""
    name = cname.encode()
    if len(name) > LARGEST_ITEM_BYTES:
        raise MediaFormatError(f"a CNAME has {len(name)} bytes, more than 255")
    chunk = SSRC.pack(ssrc) + bytes([ITEM_CNAME, len(name)]) + name
    return build_rtcp(RTCP_DESCRIPTION, 1, chunk + bytes(4 - len(chunk) % 4))


def build_bye(ssrc: int) -> bytes:
    """Return the RTCP packet that ends a sender (§6.6)."""
    return build_rtcp(RTCP_BYE, 1, SSRC.pack(ssrc))


def build_nack(ssrc: int, media_ssrc: int, sequences: Sequence[int]) -> bytes:
    """Return the RTCP packet in which `ssrc` asks again for packets, named in rising order."""
    entries: list[tuple[int, int]] = []
    for sequence in sequences:
        ahead = sequence_distance(sequence, entries[-1][0]) if entries else 0
        if 1 <= ahead <= NACK_REACH:
            packet_id, bits = entries[-1]
            entries[-1] = packet_id, bits | 1 << ahead - 1
        else:
            entries.append((sequence, 0))
    body = FEEDBACK_HEADER.pack(ssrc, media_ssrc)
    body += b"".join(NACK_ENTRY.pack(*entry) for entry in entries)
    return build_rtcp(RTCP_TRANSPORT_FEEDBACK, FORMAT_NACK, body)


def build_pli(ssrc: int, media_ssrc: int) -> bytes:
    """Return the RTCP packet in which `ssrc` complains of a damaged picture."""
    body = FEEDBACK_HEADER.pack(ssrc, media_ssrc)
    return build_rtcp(RTCP_PAYLOAD_FEEDBACK, FORMAT_PLI, body)


def build_fir(ssrc: int, media_ssrc: int, number: int) -> bytes:
    """Return the RTCP packet in which `ssrc` asks for a key frame; each wish has its number."""
    body = FEEDBACK_HEADER.pack(ssrc, 0) + FIR_ENTRY.pack(media_ssrc, number)
    return build_rtcp(RTCP_PAYLOAD_FEEDBACK, FORMAT_FIR, body)


def ntp_from_unix(unix_s: float) -> int:
    """Return a time since 1970 as seconds since 1900 in 32.32 fixed point (§4)."""
    return int((unix_s + UNIX_TO_NTP_S) * NTP_FRACTION) & (1 << 64) - 1


def round_trip_s(block: ReportBlock, now_ntp: int) -> float | None:
    """Return how long a packet takes there and back (§6.4.1); None before the first report.

    `now_ntp` is when the block came, by the clock of our sender reports.
    """
    if not block.last_report:
        return None
    passed = (now_ntp >> 16) - block.last_report - block.report_delay & NTP_FRACTION - 1
    if passed >= NTP_FRACTION // 2:
        return 0.0  # the receiver's clock runs a little faster than ours
    return passed / NTP_SHORT_HZ


def _strip(body: bytes) -> bytes:
    """Return a body without its padding, whose last byte says how long it is (§6.4.1)."""
    size = body[-1] if body else 0
    if not size or size % 4 or size > len(body):
        raise MediaFormatError(f"an RTCP packet announces padding of {size} bytes")
    return body[:-size]


def _parse_sender_report(body: bytes) -> SenderReport:
    if len(body) < SENDER_INFO.size:
        raise MediaFormatError("an RTCP sender report is too short")
    ssrc, ntp, timestamp, packets, octets = SENDER_INFO.unpack_from(body)
    return SenderReport(ssrc=ssrc, ntp=ntp, timestamp=timestamp, packets=packets, octets=octets)


def _parse_blocks(body: bytes, start: int, count: int) -> Iterator[ReportBlock]:
    """Read `count` blocks; what follows them is a profile's own business (§6.4.3)."""
    end = start + count * REPORT_BLOCK.size
    if end > len(body):
        raise MediaFormatError(f"an RTCP report is too short for its {count} blocks")
    for at in range(start, end, REPORT_BLOCK.size):
        ssrc, fraction, lost, highest, jitter, last, delay = REPORT_BLOCK.unpack_from(body, at)
        yield ReportBlock(
            ssrc=ssrc,
            fraction_lost=fraction,
            cumulative_lost=int.from_bytes(lost, signed=True),
            highest_sequence=highest,
            jitter=jitter,
            last_report=last,
            report_delay=delay,
        )


def _pack_block(block: ReportBlock) -> bytes:
    return REPORT_BLOCK.pack(
        block.ssrc,
        block.fraction_lost,
        block.cumulative_lost.to_bytes(3, signed=True),
        block.highest_sequence,
        block.jitter,
        block.last_report,
        block.report_delay,
    )


def _parse_nack(body: bytes) -> Nack:
    """Read entries of a packet's number and a mask of those after it (RFC 4585 §6.2.1)."""
    ssrc = _media_ssrc(body)
    sequences = []
    for at in range(FEEDBACK_HEADER.size, len(body), NACK_ENTRY.size):
        packet_id, bits = NACK_ENTRY.unpack_from(body, at)
        sequences.append(packet_id)
        while bits:
            lowest = bits & -bits
            sequences.append(packet_id + lowest.bit_length() & SEQUENCE_MASK)
            bits ^= lowest
    return Nack(ssrc, sequences)


def _read_payload_feedback(kind: int, body: bytes, found: Feedback) -> None:
    if kind == FORMAT_PLI:
        found.picture_losses.append(_media_ssrc(body))
    elif kind == FORMAT_FIR:
        _media_ssrc(body)  # which is 0; each entry has its own
        if len(body) % FIR_ENTRY.size:
            raise MediaFormatError("an RTCP key frame request ends inside an entry")
        for at in range(FEEDBACK_HEADER.size, len(body), FIR_ENTRY.size):
            found.key_requests.append(FIR_ENTRY.unpack_from(body, at))


def _media_ssrc(body: bytes) -> int:
    if len(body) < FEEDBACK_HEADER.size:
        raise MediaFormatError("RTCP feedback is too short to say what it is about")
    ssrc: int = SSRC.unpack_from(body, SSRC.size)[0]
    return ssrc


def _parse_bye(body: bytes, count: int) -> list[int]:
    """Read the SSRCs; a reason may follow them (§6.6)."""
    if len(body) < count * SSRC.size:
        raise MediaFormatError(f"an RTCP BYE is too short for its {count} senders")
    return [SSRC.unpack_from(body, at)[0] for at in range(0, count * SSRC.size, SSRC.size)]
