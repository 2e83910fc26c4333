"""RTP payloads back to NAL units, as a receiver does it (RFC 6184 §5.7-5.8, RFC 7798 §4.4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Kind = Literal["h264", "hevc"]
AGGREGATE: dict[Kind, int] = {"h264": 24, "hevc": 48}
FRAGMENT: dict[Kind, int] = {"h264": 28, "hevc": 49}


def nal_type(codec: Kind, nal: bytes) -> int:
    """Return a NAL unit's type, or a payload's structure."""
    return nal[0] & 31 if codec == "h264" else nal[0] >> 1 & 63


def join(codec: Kind, payloads: Iterable[bytes]) -> list[bytes]:
    """Return the NAL units; fragments out of order fail the test."""
    header = 1 if codec == "h264" else 2
    nals: list[bytes] = []
    open_unit: bytearray | None = None
    for payload in payloads:
        kind = nal_type(codec, payload)
        if kind == FRAGMENT[codec]:
            fu = payload[header]
            assert bool(fu & 0x80) == (open_unit is None)
            assert fu & 0xC0 != 0xC0, "a fragment may not be a whole NAL unit"
            if open_unit is None:
                open_unit = bytearray(_header(codec, payload, fu & (31 if header == 1 else 63)))
            open_unit += payload[header + 1 :]
            if fu & 0x40:
                nals.append(bytes(open_unit))
                open_unit = None
            continue
        assert open_unit is None
        if kind == AGGREGATE[codec]:
            nals += _apart(payload[header:])
        else:
            nals.append(payload)
    assert open_unit is None
    return nals


def _header(codec: Kind, payload: bytes, kind: int) -> bytes:
    if codec == "h264":
        return bytes([payload[0] & 0xE0 | kind])
    return bytes([payload[0] & 0x81 | kind << 1, payload[1]])


def _apart(data: bytes) -> list[bytes]:
    nals = []
    while data:
        size = int.from_bytes(data[:2])
        nals.append(data[2 : 2 + size])
        data = data[2 + size :]
    return nals
