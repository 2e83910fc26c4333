"""A byte pipe cut into init segments and fragments."""

from __future__ import annotations

from h5sup.base.errors import MediaFormatError
from h5sup.formats.isobmff.boxes import BOX, BOX_HEADER_LENGTH, LARGE_HEADER_LENGTH, U64

MAX_BOX_BYTES = 64 * 1024 * 1024  # far above a 4K GOP; a larger claim is damage


class SegmentReader:
    """Turns arbitrarily cut chunks into whole init segments and fragments."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0  # bytes of the buffer that are known whole boxes of one segment
        self._wanted = BOX_HEADER_LENGTH  # the buffer is not worth a look before it holds so many

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the segments that `chunk` completed, each `ftyp+moov` or `moof+mdat`."""
        buffer = self._buffer
        buffer += chunk
        segments: list[bytes] = []
        while len(buffer) >= self._wanted:
            size, kind = BOX.unpack_from(buffer, self._scanned)
            header = BOX_HEADER_LENGTH
            if size == 1:
                if len(buffer) < self._scanned + LARGE_HEADER_LENGTH:
                    self._wanted = self._scanned + LARGE_HEADER_LENGTH
                    break
                size = U64.unpack_from(buffer, self._scanned + 8)[0]
                header = LARGE_HEADER_LENGTH
            # size 0 ("to the end of the file") is legal in a file, but a pipe has no end
            if not header <= size <= MAX_BOX_BYTES:
                raise MediaFormatError(f"box {kind!r} claims {size} bytes")
            end = self._scanned + size
            if len(buffer) < end:
                self._wanted = end
                break
            if kind in (b"moov", b"mdat"):
                with memoryview(buffer) as view:
                    segments.append(bytes(view[:end]))
                del buffer[:end]
                self._scanned = 0
            elif kind in (b"ftyp", b"moof"):
                self._scanned = end
            else:  # styp, sidx, free, mfra: nothing a viewer needs
                del buffer[self._scanned : end]
            self._wanted = self._scanned + BOX_HEADER_LENGTH
        return segments


def is_init(segment: bytes) -> bool:
    """Return whether a segment of SegmentReader is an init segment."""
    return segment[4:8] in (b"ftyp", b"moov")
