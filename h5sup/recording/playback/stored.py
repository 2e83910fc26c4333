"""Recorded files opened for playing, and what is read of them. All here blocks: it is for threads.

The descriptor is kept open: a file that retention deletes plays on.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from h5sup.base.errors import MediaFormatError
from h5sup.formats.isobmff.boxes import BOX, BOX_HEADER_LENGTH, LARGE_HEADER_LENGTH, U64
from h5sup.formats.isobmff.fragment import parse_fragment
from h5sup.formats.isobmff.gop_table import StoredGop
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.formats.isobmff.reader import MAX_BOX_BYTES, SegmentReader
from h5sup.formats.isobmff.stored import StoredMovie, read_movie
from h5sup.formats.isobmff.track import Track
from h5sup.recording.playback.supply import StoredFragment
from h5sup.store.media_records import StoredFile

READ_BYTES = 512 * 1024  # at once; a piece is larger only if a single fragment is
KEY_BYTES = 128 * 1024  # of a GOP of which the key frame alone is wanted
MAX_GOP_BYTES = 64_000_000  # that are decoded for one picture
SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A file that is being played. `close()` must follow."""

    file: StoredFile
    movie: StoredMovie
    fd: int

    @property
    def number(self) -> int:
        """Return which file it is."""
        return self.file.id

    @property
    def init(self) -> InitSegment:
        """Return what its fragments need."""
        return self.movie.init

    @property
    def video(self) -> Track:
        """Return its video track: every recording has one."""
        assert self.movie.init.video is not None
        return self.movie.init.video

    def duration_us(self, gop: StoredGop) -> int:
        """Return how long a GOP lasts."""
        return gop.duration * SECOND_US // self.video.timescale

    @property
    def end_us(self) -> int:
        """Return when its last GOP ends; 0 without one."""
        gops = self.movie.gops
        return gops[-1].wall_us + self.duration_us(gops[-1]) if gops else 0

    def read_gop(self, root: Path, gop: StoredGop) -> Sequence[bytes]:
        """Return a GOP's fragments, also once it is closed; raises OSError, MediaFormatError."""
        if gop.size > MAX_GOP_BYTES:
            raise MediaFormatError(f"its GOP has {gop.size} bytes")
        fd = os.open(root / self.file.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            return SegmentReader().feed(os.pread(fd, gop.size, gop.offset))
        finally:
            os.close(fd)

    def close(self) -> None:
        """Let go of the descriptor."""
        os.close(self.fd)

    def find(self, at_us: int) -> int | None:
        """Return which GOP shows a moment, or is the first after it; None if all are before."""
        gops = self.movie.gops
        after = bisect_right(gops, at_us, key=_wall_us)
        if after and gops[after - 1].wall_us + self.duration_us(gops[after - 1]) > at_us:
            return after - 1
        return after if after < len(gops) else None


def open_file(root: Path, file: StoredFile, known: StoredMovie | None = None) -> Opened:
    """Open a file of the index; raises OSError, MediaFormatError.

    What is `known` of a growing file is not looked for again: hours of it take seconds.
    """
    fd = os.open(root / file.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return Opened(file, _read(fd, file, known), fd)
    except BaseException:
        os.close(fd)
        raise


def read_init(root: Path, file: StoredFile, known: StoredMovie | None) -> InitSegment:
    """Return the init segment of a file of the index; raises OSError, MediaFormatError."""
    opened = open_file(root, file, known)
    opened.close()
    return opened.movie.init


def refresh(opened: Opened, file: StoredFile) -> Opened:
    """Return a growing file as it is now, with the same descriptor."""
    return replace(opened, file=file, movie=_read(opened.fd, file, opened.movie))


def read_piece(opened: Opened, gop: StoredGop, offset: int) -> tuple[list[StoredFragment], int]:
    """Return some whole fragments of a GOP from an offset in it on, and where the next ones lie.

    Raises OSError, MediaFormatError.
    """
    found, taken = _read_fragments(opened.fd, gop, offset, READ_BYTES)
    return _dated(opened, gop, found), offset + taken


def read_key(opened: Opened, gop: StoredGop) -> StoredFragment:
    """Return a GOP's key fragment alone; raises OSError, MediaFormatError."""
    found, _ = _read_fragments(opened.fd, gop, 0, KEY_BYTES)
    key, *_ = _dated(opened, gop, found)
    return key


def follow(opened: Opened, number: int, most: int) -> tuple[int, int]:
    """Return where some GOPs end that follow each other in time, and how many ticks they last."""
    gops = opened.movie.gops
    ticks = gops[number].duration
    for end in range(number + 1, min(number + most, len(gops))):
        before, gop = gops[end - 1], gops[end]
        if abs(gop.wall_us - before.wall_us - opened.duration_us(before)) > SECOND_US:
            return end, ticks
        ticks += gop.duration
    return min(number + most, len(gops)), ticks


def _read(fd: int, file: StoredFile, known: StoredMovie | None) -> StoredMovie:
    # of a growing file so much as was synced: what lies behind that is being written
    size = file.size_bytes if file.is_growing else os.fstat(fd).st_size
    if known is not None:
        count = bisect_right(known.gops, size, key=_end)
        known = replace(known, gops=known.gops.copy(count))
    return read_movie(lambda at, count: os.pread(fd, count, at), size, known)


def _end(gop: StoredGop) -> int:
    return gop.offset + gop.size


def _wall_us(gop: StoredGop) -> int:
    return gop.wall_us


def _read_fragments(fd: int, gop: StoredGop, offset: int, size: int) -> tuple[list[bytes], int]:
    """Return the whole fragments from an offset on, at least one, and how many bytes they are."""
    left = gop.size - offset
    while True:
        data = os.pread(fd, min(size, left), gop.offset + offset)
        found, taken, wanted = _split(data)
        if found:
            return found, taken
        if wanted > min(left, 2 * MAX_BOX_BYTES) or len(data) < min(size, left):
            raise MediaFormatError("a recorded GOP is cut off")
        size = max(wanted, 2 * size)


def _split(data: bytes) -> tuple[list[bytes], int, int]:
    """Return the whole fragments, how many bytes they are, and how many the next one wants."""
    found: list[bytes] = []
    begin = taken = at = 0
    while len(data) - at >= LARGE_HEADER_LENGTH:
        size, kind = BOX.unpack_from(data, at)
        least = BOX_HEADER_LENGTH
        if size == 1:
            size, least = U64.unpack_from(data, at + BOX_HEADER_LENGTH)[0], LARGE_HEADER_LENGTH
        if size < least:
            raise MediaFormatError("a recorded GOP is damaged")
        if at + size > len(data):
            return found, taken, at + size
        if kind == b"moof":
            begin = at
        at += size
        if kind == b"mdat":
            found.append(data[begin:at])
            taken = at
    return found, taken, at + LARGE_HEADER_LENGTH


def _dated(opened: Opened, gop: StoredGop, found: Sequence[bytes]) -> list[StoredFragment]:
    """Return the fragments with the times at which they were taken."""
    scale = opened.video.timescale
    fragments: list[StoredFragment] = []
    end_us = gop.wall_us
    for data in found:
        parsed = parse_fragment(data, opened.movie.init)
        start_us = end_us
        if (run := parsed.video) is not None:
            start_us = gop.wall_us + (run.dts - gop.dts) * SECOND_US // scale
            end_us = gop.wall_us + (run.dts + run.duration - gop.dts) * SECOND_US // scale
        fragments.append(StoredFragment(data, parsed, start_us, end_us))
    return fragments
