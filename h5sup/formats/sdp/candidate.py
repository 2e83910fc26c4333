"""ICE candidates as SDP and browsers write them (RFC 8839 §5.1, RFC 6544 §4.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from h5sup.base.errors import MediaFormatError

PREFIX = "candidate:"
MDNS_SUFFIX = ".local"  # RFC 8828 §5.2: browsers hide private addresses behind such names
LARGEST_LENGTH = 1024  # browsers write about 150 characters
FIXED_FIELDS = 8  # up to and with the type
# RFC 8445 §5.1.2.2
HOST_PREFERENCE = 126
LARGEST_LOCAL_PREFERENCE = 65535

FOUNDATION = re.compile(r"[0-9A-Za-z+/=_.-]{1,64}")
ADDRESS = re.compile(r"[0-9A-Za-z.:%_-]{1,255}")
NUMBER = re.compile(r"[0-9]{1,10}")

TcpType = Literal["active", "passive", "so"]
TCP_TYPES: dict[str, TcpType] = {"active": "active", "passive": "passive", "so": "so"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One address at which a peer may be reached."""

    foundation: str = "1"
    component: int = 1
    transport: str = "udp"
    """In small letters: udp or tcp."""
    priority: int
    address: str
    """IPv4, IPv6 or a name."""
    port: int
    kind: str = "host"
    """host, srflx, prflx or relay."""
    tcp_type: TcpType | None = None
    related: tuple[str, int] | None = None
    """The address behind one that is not of a host."""
    ufrag: str = ""
    """Which session of the peer it belongs to, where that is said (RFC 8838 §6)."""

    @property
    def is_mdns(self) -> bool:
        """Return whether the address is a name that only the peer's own network can resolve."""
        return self.address.lower().endswith(MDNS_SUFFIX)


def host_priority(local_preference: int = LARGEST_LOCAL_PREFERENCE) -> int:
    """Return the priority of a host candidate of component 1 (RFC 8445 §5.1.2.1)."""
    return HOST_PREFERENCE << 24 | local_preference << 8 | 255


def parse_candidate(text: str) -> Candidate:
    """Read `candidate:...` as SDP and RTCIceCandidate have it; raises MediaFormatError.

    The empty candidate, by which a browser says that no more will come, is none.
    """
    if len(text) > LARGEST_LENGTH:
        raise MediaFormatError(f"an ICE candidate of {len(text)} characters is too long")
    fields = text.removeprefix("a=").removeprefix(PREFIX).split()
    if len(fields) < FIXED_FIELDS or fields[6] != "typ":
        raise MediaFormatError(f"{text!r} is not an ICE candidate")
    rest = fields[FIXED_FIELDS:]
    more = dict(zip(rest[::2], rest[1::2], strict=False))
    return Candidate(
        foundation=_check(FOUNDATION, fields[0], "foundation"),
        component=_number(fields[1], 256, "component"),
        transport=fields[2].lower(),
        priority=_number(fields[3], 0xFFFFFFFF, "priority"),
        address=_check(ADDRESS, fields[4], "address"),
        port=_number(fields[5], 0xFFFF, "port"),
        kind=fields[7],
        tcp_type=_parse_tcp_type(more.get("tcptype")),
        related=_parse_related(more),
        ufrag=more.get("ufrag", ""),
    )


def build_candidate(candidate: Candidate) -> str:
    """Return `candidate:...`, for a line of SDP and for RTCIceCandidate alike."""
    parts = [
        f"{PREFIX}{candidate.foundation} {candidate.component} {candidate.transport}",
        f"{candidate.priority} {candidate.address} {candidate.port} typ {candidate.kind}",
    ]
    if candidate.related:
        parts.append(f"raddr {candidate.related[0]} rport {candidate.related[1]}")
    if candidate.tcp_type:
        parts.append(f"tcptype {candidate.tcp_type}")
    if candidate.ufrag:
        parts.append(f"ufrag {candidate.ufrag}")
    return " ".join(parts)


def _parse_tcp_type(text: str | None) -> TcpType | None:
    if text is None:
        return None
    if text not in TCP_TYPES:
        raise MediaFormatError(f"an ICE candidate has the unknown tcptype {text!r}")
    return TCP_TYPES[text]


def _parse_related(more: dict[str, str]) -> tuple[str, int] | None:
    if "raddr" not in more or "rport" not in more:
        return None
    address = _check(ADDRESS, more["raddr"], "related address")
    return address, _number(more["rport"], 0xFFFF, "related port")


def _check(form: re.Pattern[str], text: str, what: str) -> str:
    if not form.fullmatch(text):
        raise MediaFormatError(f"an ICE candidate has the impossible {what} {text!r}")
    return text


def _number(text: str, largest: int, what: str) -> int:
    value = int(_check(NUMBER, text, what))
    if value > largest:
        raise MediaFormatError(f"an ICE candidate has the impossible {what} {text!r}")
    return value
