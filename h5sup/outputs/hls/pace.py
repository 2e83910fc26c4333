"""How long parts are: fitted to how a camera's pictures come (RFC 8216bis §4.4.3.7, §4.4.4.9).

No part may be longer than PART-TARGET, and none but a segment's last one shorter than 85 % of it.
A picture can't be divided, so the target follows from a whole number of fragments: it leaves room
for jitter on both sides. What no target can meet, a camera that falters or changes its rate, is
met again from the next segment on.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

LEAST_FILL = 0.85
USUAL_FILL = 0.925  # of the target by a part of the usual number of pictures
NEARLY_ONE = 0.1  # of a picture: so much longer than asked for a part may be


class Pace:
    """Tells when a part is complete. Owned by a Muxer; durations are those of its video."""

    def __init__(self, part_s: float) -> None:
        self._part_s = part_s
        self._usual_s = 0.0  # a fragment's duration; 0 until one is known
        self._aim_s = part_s
        self._is_fitted = False

    @property
    def target_s(self) -> float:
        """Return what PART-TARGET should be."""
        return self._aim_s / USUAL_FILL

    def learn(self, durations_s: Sequence[float]) -> None:
        """Learn from fragments that came before."""
        if durations_s:
            self._usual_s = median(durations_s)

    def note(self, duration_s: float) -> None:
        """Follow a camera that changes its rate, within some ten pictures."""
        if not self._usual_s:
            self._usual_s = duration_s
        self._usual_s += (duration_s - self._usual_s) / 8

    def fit(self) -> None:
        """Aim anew where the old aim can't be met: between two segments."""
        usual_s, target_s = self._usual_s, self.target_s
        if not usual_s:
            return
        most = int(target_s / usual_s)
        if self._is_fitted and most * usual_s >= LEAST_FILL * target_s:
            return
        self._is_fitted = True
        self._aim_s = usual_s * max(1, int(self._part_s / usual_s + NEARLY_ONE))

    def is_full(self, length_s: float) -> bool:
        """Return whether a part of this length is complete."""
        is_enough = length_s >= LEAST_FILL * self.target_s
        return is_enough and length_s + self._usual_s / 2 > self._aim_s

    def overflows(self, length_s: float) -> bool:
        """Return whether this is too long for a part."""
        return length_s > self.target_s
