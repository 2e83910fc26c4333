"""Which stretches of which files make one recording of a time without doubles. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import heappop, heappush

from h5sup.formats.isobmff.gop_table import SECOND_US, StoredGop
from h5sup.formats.isobmff.stored import StoredMovie
from h5sup.store.media_records import StoredFile

STRETCH_US = 6 * SECOND_US  # whole GOPs until it is as long
STRETCH_BYTES = 16_000_000
JOIN_US = 200_000  # files that begin so close to where another ends follow each other
JUMP_US = SECOND_US  # wall time that does not go on in step with the media: there was an outage
FOR_EVER_US = 1 << 62
START_S = Fraction(1, 10)  # no time is below 0, and sound may begin a little before its picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Some GOPs that lie behind each other in one file."""

    file: StoredFile
    span: range
    """Its bytes."""
    begin_us: int
    """When its first picture was taken."""
    start: int
    """Where it begins on the timeline of all stretches, in ticks of its video track."""
    duration_s: float
    is_discontinuous: bool
    """Whether it does not go on where the stretch before it ends, in time or in its file."""


def line_up(
    files: Sequence[StoredFile],
    read: Callable[[StoredFile], StoredMovie | None],
    begin_us: int,
    end_us: int,
) -> list[Stretch]:
    """Return what covers a time, in its order; where files overlap, one of them.

    `read` returns what a file holds, None when it can't be had.
    """
    found: list[Stretch] = []
    total_s = START_S
    for file, at_us in _choose(files, begin_us):
        if at_us >= end_us:
            break
        movie = read(file)
        if movie is None or movie.init.video is None:
            continue
        scale = movie.init.video.timescale
        shift, is_break = None, bool(found)
        for run, is_jump in _runs(movie.gops, scale, at_us, end_us):
            if shift is None or is_jump:  # else as before, so that it never rounds anew
                shift = round(total_s * scale) - run[0].dts
            ticks = sum(gop.duration for gop in run)
            found.append(
                Stretch(
                    file=file,
                    span=range(run[0].offset, run[-1].offset + run[-1].size),
                    begin_us=run[0].wall_us,
                    start=run[0].dts + shift,
                    duration_s=ticks / scale,
                    is_discontinuous=is_break or is_jump,
                )
            )
            total_s += Fraction(ticks, scale)
            is_break = False
    return found


def _choose(files: Sequence[StoredFile], begin_us: int) -> Iterator[tuple[StoredFile, int]]:
    """Yield files and from when each is played; of those that overlap, what lasts longest."""
    coming = sorted(files, key=lambda one: (one.start_us, one.id), reverse=True)
    begun: list[tuple[int, int, StoredFile]] = []
    at_us = begin_us
    while coming or begun:
        while coming and coming[-1].start_us <= at_us + JOIN_US:
            file = coming.pop()
            heappush(begun, (-file.end_us, file.id, file))
        if not begun:
            at_us = coming[-1].start_us
            continue
        file = heappop(begun)[2]
        if file.end_us > at_us:
            yield file, at_us
            at_us = file.end_us


def _runs(
    gops: Sequence[StoredGop], scale: int, begin_us: int, end_us: int
) -> Iterator[tuple[list[StoredGop], bool]]:
    """Yield GOPs of one file that show something of a time, and whether there is a jump before."""
    full_ticks = STRETCH_US * scale // SECOND_US
    run: list[StoredGop] = []
    ticks = size = 0
    is_late = False
    for gop in gops:
        if gop.wall_us >= end_us or gop.wall_us + gop.duration * SECOND_US // scale <= begin_us:
            continue
        is_jump = bool(run) and _is_jump(run[-1], gop, scale)
        if is_jump or ticks >= full_ticks or size >= STRETCH_BYTES:
            yield run, is_late
            run, is_late = [], is_jump
            ticks = size = 0
        run.append(gop)
        ticks += gop.duration
        size += gop.size
    if run:
        yield run, is_late


def _is_jump(before: StoredGop, gop: StoredGop, scale: int) -> bool:
    """Return whether a GOP does not go on where the one before it ends."""
    late_us = gop.wall_us - before.wall_us - before.duration * SECOND_US // scale
    return gop.offset != before.offset + before.size or abs(late_us) > JUMP_US
