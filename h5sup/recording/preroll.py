"""What was seen a moment ago, for recordings that begin now."""

from __future__ import annotations

from collections import deque

from h5sup.recording.gop import Gop


class PreRoll:
    """The newest whole GOPs: at least so many seconds of them, at most so many bytes."""

    def __init__(self, limit_bytes: int) -> None:
        self.size_bytes = 0
        self._limit_bytes = limit_bytes
        self._gops: deque[Gop] = deque()
        self._duration_s = 0.0

    def add(self, gop: Gop, keep_s: float) -> None:
        """Keep the GOP, and let go of what `keep_s` seconds don't need."""
        if self._gops and self._gops[-1].init.data != gop.init.data:
            self.clear()  # one file can't hold both
        self._gops.append(gop)
        self._duration_s += gop.duration_s
        self.size_bytes += gop.size_bytes
        while self._gops and self._is_too_much(keep_s):
            self._drop()

    def gops(self) -> tuple[Gop, ...]:
        """Return what is kept, oldest first."""
        return tuple(self._gops)

    def clear(self) -> None:
        """Forget all of it."""
        self._gops.clear()
        self.size_bytes = 0
        self._duration_s = 0.0

    def _is_too_much(self, keep_s: float) -> bool:
        is_spare = self._duration_s - self._gops[0].duration_s >= keep_s
        return is_spare or self.size_bytes > self._limit_bytes

    def _drop(self) -> None:
        gop = self._gops.popleft()
        self._duration_s -= gop.duration_s
        self.size_bytes -= gop.size_bytes
