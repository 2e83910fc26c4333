"""When the next media is due. Pure: the clock is the caller's.

A viewer plays what it got, in real time, and stands still at its end: so where it is follows from
what it was sent and when. Media is sent in small runs, since each wake of the loop costs more than
a fragment does.
"""

from __future__ import annotations

REFILL = 2 / 3  # of the lead: below this much the viewer is sent up to the lead again


class Pace:
    """One viewer's play head. Positions are seconds on its timeline, `now` the loop's clock."""

    def __init__(self, lead_s: float) -> None:
        self.end_s = 0.0
        """Up to where the viewer has media."""
        self._lead_s = lead_s
        self._base_s = 0.0
        self._based_at = 0.0
        self._is_filling = True

    def position(self, now: float) -> float:
        """Return where the viewer is: at its media's end when it had nothing more to play."""
        return min(self.end_s, self._base_s + max(0.0, now - self._based_at))

    def due_in(self, now: float) -> float:
        """Return how many seconds from now more may be sent: 0 for at once."""
        ahead_s = self.end_s - self.position(now)
        refill_s = self._lead_s * REFILL
        if ahead_s <= refill_s:
            self._is_filling = True
        elif ahead_s >= self._lead_s:
            self._is_filling = False
        return 0.0 if self._is_filling else ahead_s - refill_s

    def sent(self, end_s: float, now: float) -> None:
        """Note that the viewer has media up to `end_s` now."""
        if self.position(now) >= self.end_s:  # it stood still, and goes on with this
            self._base_s, self._based_at = self.end_s, now
        self.end_s = end_s
