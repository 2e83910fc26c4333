"""Media segments: runs of the bus's fragments, never copies of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
class Segment:
    """What one segment's address stands for."""

    sequence: int
    media_map: MediaMap
    fragments: tuple[Fragment, ...]
    duration_s: float
    begins_at: datetime
    is_independent: bool
    """It begins with a key frame: a player can start here."""
    discontinuities: int
    """How many breaks of the timeline came up to here, its own included."""
    is_discontinuous: bool
    """It does not continue the segment before it."""

    @property
    def size_bytes(self) -> int:
        """Return the length of the body."""
        return sum([len(fragment.data) for fragment in self.fragments])

    def pieces(self) -> Iterator[bytes]:
        """Yield the body fragment by fragment."""
        for fragment in self.fragments:
            yield fragment.data


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
