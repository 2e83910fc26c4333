"""How late the event loop is: what everything waits for that h5sup does."""

from __future__ import annotations

import asyncio
from collections import deque

from h5sup.base.tasks import end_tasks, start_task

SAMPLE_S = 0.5
WINDOW = 120  # samples: a minute
RECENT = 10  # samples: five seconds


class LoopLag:
    """Sleeps again and again from `start()` to `close()`, and notes how late it woke."""

    def __init__(self, sample_s: float = SAMPLE_S) -> None:
        self._sample_s = sample_s
        self._late_s: deque[float] = deque(maxlen=WINDOW)
        self._sampling: asyncio.Task[None] | None = None

    @property
    def longest_s(self) -> float:
        """Return the longest of the last minute."""
        return max(self._late_s, default=0.0)

    @property
    def mean_s(self) -> float:
        """Return the mean of the last minute."""
        return sum(self._late_s) / len(self._late_s) if self._late_s else 0.0

    @property
    def recent_s(self) -> float:
        """Return the mean of the last five seconds or so."""
        recent = list(self._late_s)[-RECENT:]
        return sum(recent) / RECENT

    def start(self) -> None:
        """Begin to sample."""
        self._sampling = start_task(self._sample(), "loop lag")

    async def close(self) -> None:
        """Stop sampling."""
        await end_tasks(self._sampling)

    async def _sample(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + self._sample_s
            await asyncio.sleep(self._sample_s)
            self._late_s.append(max(0.0, loop.time() - due))
