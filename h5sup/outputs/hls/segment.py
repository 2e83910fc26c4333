"""Media segments and their parts: runs of the bus's fragments, never copies of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from h5sup.bus.fragment import Fragment
from h5sup.formats.isobmff.init_segment import InitSegment

CLOCK_SLACK_S = 1.0  # so far a camera's clock may run off before its dates follow ours again


@dataclass(frozen=True, slots=True, eq=False)
class MediaMap:
    """The init segment that goes before a segment; its number never comes again."""

    number: int
    init: InitSegment


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """What one part's address stands for; every part holds video. Its number never comes again."""

    number: int
    fragments: tuple[Fragment, ...]
    duration_s: float

    @property
    def is_independent(self) -> bool:
        """Return whether its pictures begin with a key frame: a player can start here."""
        return self.first_picture.is_key

    @property
    def first_picture(self) -> Fragment:
        """Return the first fragment that is not sound alone."""
        return next(fragment for fragment in self.fragments if fragment.video is not None)

    @property
    def size_bytes(self) -> int:
        """Return the length of the body."""
        return sum([len(fragment.data) for fragment in self.fragments])

    def pieces(self) -> Iterator[bytes]:
        """Yield the body fragment by fragment."""
        for fragment in self.fragments:
            yield fragment.data


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Opening:
    """What is known of a segment from its first picture on."""

    sequence: int
    media_map: MediaMap
    begins_at: datetime
    is_independent: bool
    """Its pictures begin with a key frame: a player can start here."""
    discontinuities: int
    """How many breaks of the timeline came up to here, its own included."""
    is_discontinuous: bool
    """It does not continue the segment before it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segment:
    """What one segment's address stands for: its parts, one after the other."""

    opening: Opening
    parts: tuple[Part, ...]
    duration_s: float
    size_bytes: int

    @property
    def sequence(self) -> int:
        """Return the media sequence number."""
        return self.opening.sequence

    @property
    def fragments(self) -> list[Fragment]:
        """Return what it is made of."""
        return [fragment for part in self.parts for fragment in part.fragments]

    def pieces(self) -> Iterator[bytes]:
        """Yield the body fragment by fragment."""
        for part in self.parts:
            yield from part.pieces()


@dataclass(slots=True, eq=False)
class Draft:
    """A segment that is being made; players see its parts."""

    opening: Opening
    parts: list[Part] = field(default_factory=list)
    duration_s: float = 0.0
    size_bytes: int = 0

    def add(self, part: Part) -> None:
        """Take the next part."""
        self.parts.append(part)
        self.duration_s += part.duration_s
        self.size_bytes += part.size_bytes

    def finish(self) -> Segment:
        """Return the whole segment."""
        return Segment(
            opening=self.opening,
            parts=tuple(self.parts),
            duration_s=self.duration_s,
            size_bytes=self.size_bytes,
        )


class Dates:
    """The wall time of a generation's decode times.

    Follows the media's clock, which knows no jitter, and ours where the two have parted: then
    it jumps, since a date is only worth something if it is right.
    """

    def __init__(self, timescale: int, wall: datetime, now: float) -> None:
        self._timescale = timescale
        self._wall = wall  # when the event loop's clock said `now`; steps of it don't matter
        self._now = now
        self._anchor: tuple[datetime, int] | None = None

    def seconds(self, ticks: int) -> float:
        """Return ticks of the video's clock as seconds."""
        return ticks / self._timescale

    def find(self, dts: int, arrived: float) -> datetime:
        """Return when the picture at `dts`, which came at `arrived`, was sent."""
        came = self._wall + timedelta(seconds=arrived - self._now)
        if self._anchor is not None:
            date, at = self._anchor
            sent = date + timedelta(seconds=self.seconds(dts - at))
            if abs((came - sent).total_seconds()) <= CLOCK_SLACK_S:
                return sent
        self._anchor = (came, dts)
        return came
