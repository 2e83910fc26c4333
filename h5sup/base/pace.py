"""How fast a client may talk."""

from __future__ import annotations


class Pace:
    """Counts one client's messages, second by second. Times are of one clock, in seconds."""

    __slots__ = ("_count", "_most_per_s", "_since_s")

    def __init__(self, most_per_s: int) -> None:
        self._most_per_s = most_per_s
        self._since_s = float("-inf")
        self._count = 0

    def is_too_fast(self, now_s: float) -> bool:
        """Count one more message; return whether that is too many in this second."""
        if now_s - self._since_s >= 1.0:
            self._since_s, self._count = now_s, 0
        self._count += 1
        return self._count > self._most_per_s
