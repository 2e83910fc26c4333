"""When a picture was taken: a channel's media times against the clock on the wall.

A channel's times have no holes, so what a camera lost shows as arrival that runs ahead of media.
A picture can be late, never early: of all arrivals the least delayed tells how the clocks lie.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

JUMP_S = 1.0  # more than this is a hole or a clock that was set; less is pulled straight
SLEW = 500e-6  # what quartz clocks differ by at most: times then neither jump nor repeat
SETTLE_S = 5.0  # after a start the first arrivals may all have been late ...
SETTLE_SLEW = 0.5  # ... so that more is corrected, yet no picture is placed before the one before
WINDOW_S = 60.0  # in which the least delayed is looked for
BUCKET_S = 5.0
CONFIRM_S = 0.7  # pictures that come late and then at their own pace stand for lost ones
BURST = 1.5  # ... and those that come faster than this were only held up on the way


@dataclass(frozen=True, slots=True)
class Arrival:
    """When media came, on the event loop's clock, and up to which time of the channel it goes."""

    at_s: float
    media_s: float


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a GOP lies on the wall's clock."""

    wall_us: int
    clock_jump_s: float = 0.0
    """How far the machine's clock was set since the GOP before."""


class WallClock:
    """Places one GOP after another. Owned by an Intake; `restart()` when the channel's times do.

    `wall` is seconds since 1970, `monotonic` the event loop's clock.
    """

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._base_s: float | None = None  # wall minus monotonic
        self.restart()

    def restart(self) -> None:
        """Forget how the channel's times lie; the next GOP tells anew."""
        self._offset_s: float | None = None  # wall minus media
        self._began_s = self._last_s = 0.0  # media times
        self._least: deque[tuple[float, float]] = deque()  # (bucket's media time, least offset)
        self._late_since: Arrival | None = None

    def now_us(self) -> int:
        """Return the wall time."""
        return round(self._wall() * 1e6)

    def estimate_us(self, begins_s: float, arrivals: Sequence[Arrival]) -> int:
        """Return where a GOP of which more is to come lies, without learning from it."""
        offset_s = self._offset_s
        if offset_s is None:
            base_s = self._wall() - self._monotonic()
            offset_s = base_s + min(one.at_s - one.media_s for one in arrivals)
        return round((begins_s + offset_s) * 1e6)

    def place(self, begins_s: float, arrivals: Sequence[Arrival]) -> Placement:
        """Place the GOP that begins at a media time, when all of it has come."""
        clock_jump_s = self._follow_clock()
        assert self._base_s is not None
        seen_s = self._base_s + min(one.at_s - one.media_s for one in arrivals)
        if self._offset_s is None:
            self._reset(begins_s, seen_s)
        elif seen_s - self._offset_s > JUMP_S:
            if self._is_lost(arrivals):
                self._reset(begins_s, seen_s)
        elif self._offset_s - seen_s > JUMP_S:  # all before was late
            self._reset(begins_s, seen_s)
        else:
            self._late_since = None
            self._pull(begins_s, seen_s)
        self._last_s = begins_s
        assert self._offset_s is not None
        return Placement(round((begins_s + self._offset_s) * 1e6), clock_jump_s)

    def _follow_clock(self) -> float:
        """Notice that the machine's clock was set, or that the machine slept."""
        base_s = self._wall() - self._monotonic()
        before_s, self._base_s = self._base_s, base_s
        jump_s = 0.0 if before_s is None else base_s - before_s
        if abs(jump_s) <= JUMP_S:
            return 0.0
        if self._offset_s is not None:
            self._offset_s += jump_s
            self._least = deque((begun, least + jump_s) for begun, least in self._least)
        return jump_s

    def _is_lost(self, arrivals: Sequence[Arrival]) -> bool:
        """Tell pictures that were lost from those that were held up and come in a burst."""
        if self._late_since is None:
            self._late_since = arrivals[0]
        passed_s = arrivals[-1].at_s - self._late_since.at_s
        media_s = arrivals[-1].media_s - self._late_since.media_s
        return passed_s >= CONFIRM_S and media_s <= BURST * passed_s

    def _reset(self, media_s: float, offset_s: float) -> None:
        self._offset_s = offset_s
        self._began_s = media_s
        self._least = deque([(media_s, offset_s)])
        self._late_since = None

    def _pull(self, media_s: float, seen_s: float) -> None:
        """Move towards the least delayed of the window, as slowly as clocks drift."""
        assert self._offset_s is not None
        least = self._least
        if media_s - least[-1][0] >= BUCKET_S:
            least.append((media_s, seen_s))
        else:
            least[-1] = (least[-1][0], min(least[-1][1], seen_s))
        while media_s - least[0][0] > WINDOW_S:
            least.popleft()
        rate = SETTLE_SLEW if media_s - self._began_s < SETTLE_S else SLEW
        most_s = rate * (media_s - self._last_s)
        wrong_s = min(offset for _, offset in least) - self._offset_s
        self._offset_s += max(-most_s, min(most_s, wrong_s))
