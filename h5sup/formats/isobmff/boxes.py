"""Boxes, of which all of an MP4 consists (ISO/IEC 14496-12 §4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from h5sup.base.errors import MediaFormatError

U16 = Struct(">H")
U32 = Struct(">I")
U64 = Struct(">Q")
BOX = Struct(">I4s")  # size, type
BOX_HEADER_LENGTH = 8
LARGE_HEADER_LENGTH = 16  # size 1: a 64-bit size follows the type


def boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, start of the content, end) of the boxes in `data[start:end]`."""
    while start < end:
        if end - start < BOX_HEADER_LENGTH:
            raise MediaFormatError("a box is cut off in its header")
        size, kind = BOX.unpack_from(data, start)
        header = BOX_HEADER_LENGTH
        if size == 1:
            if end - start < LARGE_HEADER_LENGTH:
                raise MediaFormatError("a box is cut off in its header")
            size = U64.unpack_from(data, start + 8)[0]
            header = LARGE_HEADER_LENGTH
        if size < header or start + size > end:
            raise MediaFormatError(f"box {kind!r} claims {size} of {end - start} bytes")
        yield kind, start + header, start + size
        start += size


def children(data: bytes, start: int, end: int, *path: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the boxes inside the first box found along `path`; raises MediaFormatError."""
    for wanted in path:
        for kind, inner, stop in boxes(data, start, end):
            if kind == wanted:
                start, end = inner, stop
                break
        else:
            raise MediaFormatError(f"there is no {wanted.decode()!r} box")
    yield from boxes(data, start, end)
