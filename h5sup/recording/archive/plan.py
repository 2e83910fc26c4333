"""Which recorded GOPs an archive consists of, and how it is made of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import Enum
from typing import Protocol

from h5sup.base.errors import UnavailableError
from h5sup.formats.isobmff.gop_table import SECOND_US, StoredGop
from h5sup.formats.isobmff.init_segment import InitSegment, track_box
from h5sup.formats.isobmff.stored import StoredMovie
from h5sup.store.media_index import StoredFile

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
    gops: Sequence[StoredGop]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an archive is made of."""

    init: InitSegment
    takes: Sequence[Take]
    way: Way
    speed: int
    begin_us: int
    """What was asked for: the first GOP may begin earlier, as only key pictures can."""
    end_us: int
    first_us: int
    """When its first picture was taken."""
    last_us: int
    size_bytes: int
    """Of what is read."""


def choose(files: Iterable[Opened], begin_us: int, end_us: int) -> list[tuple[Opened, Take]]:
    """Return what shows a stretch of time; of what was recorded twice, one.

    The files come by their beginning. A GOP is taken when most of it is after those before.
    """
    found: list[tuple[Opened, Take]] = []
    until_us = 0
    for opened in files:
        gops: list[StoredGop] = []
        for gop in opened.movie.gops:
            gop_end_us = end_of(gop, opened.movie.init)
            middle_us = (gop.wall_us + gop_end_us) // 2
            if gop.wall_us < end_us and gop_end_us > begin_us and middle_us > until_us:
                gops.append(gop)
                until_us = gop_end_us
        if gops:
            found.append((opened, Take(opened.file.path, gops)))
    return found


def build_plan(request: ArchiveRequest, files: Iterable[Opened], *, span: tuple[int, int]) -> Plan:
    """Return how to make an archive; raises UnavailableError where it can't be one file."""
    begin_us, end_us = span
    chosen = choose(files, begin_us, end_us)
    init = _common_init([opened for opened, _ in chosen])
    way = choose_way(init, request.speed, force_h264=request.force_h264)
    takes = [take for _, take in chosen]
    if way is Way.KEYS:
        takes = _with_keys_inside(takes, begin_us)
    gops = [gop for take in takes for gop in take.gops]
    return Plan(
        init=init,
        takes=takes,
        way=way,
        speed=request.speed,
        begin_us=begin_us,
        end_us=end_us,
        first_us=max(begin_us, gops[0].wall_us),
        last_us=min(end_us, end_of(gops[-1], init)),
        size_bytes=sum(gop.size for gop in gops),
    )


def choose_way(init: InitSegment, speed: int, *, force_h264: bool) -> Way:
    """Return the cheapest way: one core makes H.264 about as fast as it was recorded."""
    assert init.video is not None
    if force_h264 and not init.video.codec.startswith("avc"):
        return Way.ENCODE
    return Way.KEYS if speed >= KEYS_FROM else Way.COPY


def end_of(gop: StoredGop, init: InitSegment) -> int:
    """Return the wall time at which a GOP ends."""
    assert init.video is not None
    return gop.wall_us + gop.duration * SECOND_US // init.video.timescale


def _with_keys_inside(takes: Sequence[Take], begin_us: int) -> list[Take]:
    """Leave out a key picture from before the beginning, unless it is the only one."""
    first = takes[0]
    is_early = first.gops[0].wall_us < begin_us
    if not is_early or sum(len(take.gops) for take in takes) == 1:
        return list(takes)
    rest = Take(first.path, first.gops[1:])
    return [rest, *takes[1:]] if rest.gops else list(takes[1:])


def _common_init(files: Sequence[Opened]) -> InitSegment:
    """Return what describes all files: sound may be missing in some, pictures are alike."""
    fullest = next((one for one in files if one.movie.init.audio), files[0])
    init = fullest.movie.init
    for one in files:
        theirs = one.movie.init
        alike = track_box(theirs, "video") == track_box(init, "video")
        if not alike or (theirs.audio and track_box(theirs, "audio") != track_box(init, "audio")):
            later = max(one, fullest, key=lambda each: each.file.start_us)
            raise UnavailableError(
                "the camera's pictures or sound changed their kind in this time (see the file "
                f"{later.file.filename}): archive what is before and what is after by themselves"
            )
    return init
