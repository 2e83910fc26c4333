"""A stretch of a recorded file on another timeline, without a copy of it.

ISO/IEC 14496-12 §8.8.12: where the decode times of its fragments lie, others are read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from h5sup.base.errors import MediaFormatError
from h5sup.formats.isobmff.boxes import BOX, BOX_HEADER_LENGTH, LARGE_HEADER_LENGTH, U64
from h5sup.formats.isobmff.fragment import ParsedFragment, parse_fragment
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.formats.isobmff.reader import MAX_BOX_BYTES
from h5sup.formats.isobmff.stored import Read

MAX_TIME = (1 << 64) - 1


class Retimed:
    """Reads a file with some 64-bit numbers replaced."""

    def __init__(self, read: Read, times: dict[int, int]) -> None:
        self._read = read
        self._places = sorted(times)
        self._times = times

    def read(self, at: int, size: int) -> bytes:
        """Return so many bytes from an offset on, fewer at the end."""
        data = bytearray(self._read(at, size))
        for place in self._between(at - U64.size, at + len(data)):
            number = U64.pack(self._times[place])
            begin, end = max(place, at), min(place + U64.size, at + len(data))
            data[begin - at : end - at] = number[begin - place : end - place]
        return bytes(data)

    def _between(self, begin: int, end: int) -> list[int]:
        """Return the places behind `begin` and before `end`."""
        first = bisect_right(self._places, begin)
        return self._places[first : bisect_right(self._places, end - 1)]


def find_times(read: Read, span: range, init: InitSegment, start: int) -> dict[int, int]:
    """Return the decode times of a stretch by where they lie, its first picture's at `start`.

    Raises MediaFormatError where there are no whole fragments.
    """
    fragments = list(_fragments(read, span, init))
    first = next((parsed.video for _, parsed in fragments if parsed.video is not None), None)
    if first is None:
        raise MediaFormatError("the stretch has no picture")
    shift = start - first.dts
    times: dict[int, int] = {}
    for at, parsed in fragments:
        for run in filter(None, (parsed.video, parsed.audio)):
            moved = run.dts + round(shift * run.track.timescale / first.track.timescale)
            times[at + run.tfdt_at] = _clamp(moved)
    return times


def _fragments(read: Read, span: range, init: InitSegment) -> Iterator[tuple[int, ParsedFragment]]:
    at = span.start
    while at < span.stop:
        header = read(at, LARGE_HEADER_LENGTH)
        if len(header) < LARGE_HEADER_LENGTH:
            raise MediaFormatError("a recorded fragment is cut off")
        size, kind = BOX.unpack_from(header)
        if size == 1:
            size = U64.unpack_from(header, BOX_HEADER_LENGTH)[0]
        if size < BOX_HEADER_LENGTH or at + size > span.stop:
            raise MediaFormatError("the stretch does not consist of whole fragments")
        if kind == b"moof":
            if size > MAX_BOX_BYTES:
                raise MediaFormatError("a recorded fragment is damaged")
            yield at, parse_fragment(read(at, size), init, span.stop - at)
        at += size


def _clamp(time: int) -> int:
    """Return a time that can be written: the first sound may be older than the first picture."""
    return min(max(time, 0), MAX_TIME)
