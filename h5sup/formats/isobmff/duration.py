"""How long an MP4 plays, by its movie header (ISO/IEC 14496-12 §8.2.2)."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct, error

from h5sup.base.errors import MediaFormatError
from h5sup.formats.isobmff.boxes import (
    BOX,
    BOX_HEADER_LENGTH,
    LARGE_HEADER_LENGTH,
    U64,
    children,
)

MAX_MOOV_BYTES = 64 << 20  # that of a day at 60 pictures a second has half of it
MVHD = {0: Struct(">12xII"), 1: Struct(">20xIQ")}  # time scale and duration, by version

Read = Callable[[int, int], bytes]
"""Returns so many bytes from an offset on, fewer at the end of the file."""


def read_duration_s(read: Read, size_bytes: int) -> float:
    """Return how long it plays; raises MediaFormatError for what is no whole MP4."""
    at = 0
    while at < size_bytes:
        header = read(at, LARGE_HEADER_LENGTH)
        if len(header) < BOX_HEADER_LENGTH:
            break
        size, kind = BOX.unpack_from(header)
        if size == 1 and len(header) == LARGE_HEADER_LENGTH:
            size = U64.unpack_from(header, BOX_HEADER_LENGTH)[0]
        if size < BOX_HEADER_LENGTH or at + size > size_bytes:
            break
        if kind == b"moov" and size <= MAX_MOOV_BYTES:
            return _parse_duration(read(at, size))
        at += size
    raise MediaFormatError("this is no whole MP4: it has no 'moov' box")


def _parse_duration(moov: bytes) -> float:
    for kind, start, _ in children(moov, 0, len(moov), b"moov"):
        if kind == b"mvhd":
            try:
                scale, duration = MVHD[moov[start]].unpack_from(moov, start)
                return float(duration / scale)
            except (KeyError, error, ZeroDivisionError):
                break
    raise MediaFormatError("the MP4 does not say how long it plays")
