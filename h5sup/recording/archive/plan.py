"""Which recorded GOPs an archive consists of, and how it is made of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from enum import Enum
from operator import itemgetter
from typing import NamedTuple, Protocol

from h5sup.base.clock import to_us
from h5sup.base.errors import UnavailableError
from h5sup.formats.isobmff.gop_table import SECOND_US, GopTable, StoredGop
from h5sup.formats.isobmff.init_segment import InitSegment, track_box
from h5sup.formats.isobmff.stored import StoredMovie
from h5sup.store.media_records import StoredFile

ALL_US = 1 << 62  # an end that cuts nothing off
LEAST_HOLE_US = SECOND_US // 2  # less is not worth a login
SAME_US = SECOND_US // 100  # pictures so near to each other, of two cuttings, are one
MAX_PARTS = 8  # each is one more decoder
KEYS_FROM = 4  # times as fast: players could not show all pictures, and nobody needs them


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveRequest:
    """What somebody wants to keep."""

    token: str
    begin: datetime
    end: datetime
    speed: int = 1
    force_h264: bool = False
    zone: tzinfo | None = None
    """Of its path; None for the server's own."""


class Way(Enum):
    """How pictures get into an archive."""

    COPY = "copy"
    """All of them, as they were recorded."""
    KEYS = "keys"
    """Key pictures alone, as they were recorded."""
    ENCODE = "encode"
    """All of them, as H.264."""


class Span(NamedTuple):
    """A stretch of time, in microseconds since 1970."""

    begin_us: int
    end_us: int


class Opened(Protocol):
    """A recording that was opened."""

    @property
    def file(self) -> StoredFile:
        """Its row."""

    @property
    def movie(self) -> StoredMovie:
        """What it holds."""


@dataclass(frozen=True, slots=True)
class Take:
    """Some GOPs of one file, in their order."""

    path: str
    gops: GopTable
    end_us: int = ALL_US
    """Where its last GOP is cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What has pictures of one kind, and sound of one kind or none."""

    init: InitSegment
    takes: Sequence[Take]
    begin_us: int = 0
    """Where it is cut: the first GOP may begin earlier, as only key pictures can."""

    @property
    def first(self) -> StoredGop:
        """Return its first GOP."""
        return self.takes[0].gops[0]

    @property
    def last(self) -> StoredGop:
        """Return its last GOP."""
        return self.takes[-1].gops[-1]

    @property
    def end_us(self) -> int:
        """Return where its last GOP is cut."""
        return self.takes[-1].end_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an archive is made of."""

    parts: Sequence[Part]
    way: Way
    speed: int
    first_us: int
    """When its first picture was taken."""
    last_us: int


def choose(files: Iterable[Opened], begin_us: int, end_us: int) -> list[tuple[Opened, Take]]:
    """Return what shows a stretch of time; of what was recorded twice, one.

    A GOP is taken when most of it is after those before. Another file may fill the hole that one
    has in its middle. What was fetched has GOPs of its own: there the one that comes later begins
    with its key picture, and what is before it ends with the picture before that.
    """
    found: list[tuple[Opened, Take]] = []
    until_us = 0
    runs = [run for opened in files for run in _runs(opened)]
    for _, opened, numbers in sorted(runs, key=itemgetter(0)):
        gops = GopTable()  # a day of them, many times over, may wait to be made
        is_seam = bool(found) and (is_fetched(opened.file) or is_fetched(found[-1][0].file))
        for number in numbers:
            gop = opened.movie.gops[number]
            gop_end_us = end_of(gop, opened.movie.init)
            middle_us = (gop.wall_us + gop_end_us) // 2
            least_us = gop_end_us - SAME_US if is_seam and not gops else middle_us
            if gop.wall_us < end_us and gop_end_us > begin_us and least_us > until_us:
                gops.append(gop)
                until_us = gop_end_us
        if gops:
            if is_seam:
                _cut_off(found, gops[0].wall_us)
            found.append((opened, Take(opened.file.path, gops)))
    return found


def is_fetched(file: StoredFile) -> bool:
    """Return whether a file was fetched from a device for one archive: no index knows it."""
    return file.id == 0


def _cut_off(found: list[tuple[Opened, Take]], end_us: int) -> None:
    """Have what was chosen end before a moment."""
    end_us -= SAME_US
    while found:
        opened, take = found.pop()
        while take.gops and take.gops[-1].wall_us >= end_us:
            take.gops.pop()
        if take.gops:
            is_longer = end_of(take.gops[-1], opened.movie.init) > end_us
            found.append((opened, replace(take, end_us=end_us) if is_longer else take))
            return


def _runs(opened: Opened) -> Iterator[tuple[int, Opened, range]]:
    """Yield which GOPs of a file follow each other without a hole, and when they begin."""
    gops, init = opened.movie.gops, opened.movie.init
    first, begin_us, end_us = 0, 0, 0
    for number, gop in enumerate(gops):
        if number == 0 or gop.wall_us - end_us >= LEAST_HOLE_US:
            if number:
                yield begin_us, opened, range(first, number)
            first, begin_us = number, gop.wall_us
        end_us = end_of(gop, init)
    if gops:
        yield begin_us, opened, range(first, len(gops))


def find_holes(files: Sequence[Opened], begin_us: int, end_us: int) -> list[Span]:
    """Return which stretches of a time the files lack.

    What comes after a file that grows is no hole: it is being recorded.
    """
    holes: list[Span] = []
    at_us = begin_us
    for opened, take in choose(files, begin_us, end_us):
        for gop in take.gops:
            if gop.wall_us - at_us >= LEAST_HOLE_US:
                holes.append(Span(at_us, gop.wall_us))
            at_us = max(at_us, end_of(gop, opened.movie.init))
    is_growing = any(one.file.is_growing for one in files)
    if end_us - at_us >= LEAST_HOLE_US and not is_growing:
        holes.append(Span(at_us, end_us))
    return holes


def build_plan(request: ArchiveRequest, files: Iterable[Opened]) -> Plan | None:
    """Return how to make an archive, None where there is nothing to make it of.

    A day of recordings takes a moment, so this is for threads. Raises UnavailableError where it
    can't be one file.
    """
    begin_us, end_us = to_us(request.begin), to_us(request.end)
    parts = _group(choose(files, begin_us, end_us))
    if not parts:
        return None
    if len(parts) > MAX_PARTS:
        raise UnavailableError(
            "the camera's pictures or sound changed their kind more than "
            f"{MAX_PARTS - 1} times in this time: ask for less of it"
        )
    way = choose_way(parts, request.speed, force_h264=request.force_h264)
    if way is Way.KEYS:
        parts[0] = replace(parts[0], takes=_with_keys_inside(parts[0].takes, begin_us))
    parts[0] = replace(parts[0], begin_us=begin_us)
    *others, last = parts[-1].takes
    parts[-1] = replace(parts[-1], takes=[*others, replace(last, end_us=end_us)])
    return Plan(
        parts=parts,
        way=way,
        speed=request.speed,
        first_us=max(begin_us, parts[0].first.wall_us),
        last_us=min(end_us, end_of(parts[-1].last, parts[-1].init)),
    )


def choose_way(parts: Sequence[Part], speed: int, *, force_h264: bool) -> Way:
    """Return the cheapest way: one core makes H.264 about as fast as it was recorded."""
    video = parts[0].init.video
    assert video is not None
    if len(parts) > 1 or (force_h264 and not video.codec.startswith("avc")):
        return Way.ENCODE
    return Way.KEYS if speed >= KEYS_FROM else Way.COPY


def end_of(gop: StoredGop, init: InitSegment) -> int:
    """Return the wall time at which a GOP ends."""
    assert init.video is not None
    return gop.wall_us + gop.duration * SECOND_US // init.video.timescale


def _with_keys_inside(takes: Sequence[Take], begin_us: int) -> list[Take]:
    """Leave out a key picture from before the beginning, unless it is the only one."""
    first = takes[0]
    if first.gops[0].wall_us >= begin_us or sum(len(take.gops) for take in takes) == 1:
        return list(takes)
    rest = GopTable()
    for gop in first.gops[1:]:
        rest.append(gop)
    return [replace(first, gops=rest), *takes[1:]] if rest else list(takes[1:])


def _group(chosen: Iterable[tuple[Opened, Take]]) -> list[Part]:
    """Return what follows each other and is alike together; sound may be missing in some."""
    parts: list[Part] = []
    for opened, take in chosen:
        init = opened.movie.init
        if parts and _are_alike(parts[-1].init, init):
            last = parts[-1]
            fuller = last.init if last.init.audio else init
            parts[-1] = Part(init=fuller, takes=[*last.takes, take])
        else:
            parts.append(Part(init=init, takes=[take]))
    return parts


def _are_alike(one: InitSegment, other: InitSegment) -> bool:
    if track_box(one, "video") != track_box(other, "video"):
        return False
    sounds = [track_box(init, "audio") for init in (one, other) if init.audio]
    return len(set(sounds)) < 2
