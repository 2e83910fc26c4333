"""What processes cost: read in a thread, and only while somebody wants to know."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import psutil

from h5sup.base.tasks import end_tasks, start_task

SAMPLE_S = 10.0  # the kernel adds up a process's pages for PSS: some milliseconds each
WANTED_S = 120.0  # after a scrape, which comes every minute at the least


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process has taken so far."""

    cpu_s: float
    pss_bytes: int
    """Memory, with what is shared divided among those who share it."""


@dataclass(frozen=True, slots=True)
class Own:
    """What this process has taken so far."""

    cpu_s: float
    pss_bytes: int
    descriptors: int
    started: float
    """Wall time in seconds since 1970."""


Labels = tuple[str, ...]


class Processes:
    """Looks at this process and those that `find` names, from `start()` to `close()`."""

    def __init__(
        self, find: Callable[[], Mapping[Labels, int]], *, sample_s: float = SAMPLE_S
    ) -> None:
        """Take what returns process ids by their labels."""
        self._find = find
        self._sample_s = sample_s
        self._costs: dict[Labels, Cost] = {}
        self._own: Own | None = None
        self._wanted_until = 0.0
        self._wanted = asyncio.Event()
        self._sampling: asyncio.Task[None] | None = None

    @property
    def own(self) -> Own | None:
        """Return the newest figures of this process; None before the first."""
        return self._own

    def want(self) -> Mapping[Labels, Cost]:
        """Return the newest figures and have them kept up to date for a while."""
        self._wanted_until = asyncio.get_running_loop().time() + WANTED_S
        self._wanted.set()
        return self._costs

    def start(self) -> None:
        """Begin to look, once now and then while it is wanted."""
        self._sampling = start_task(self._sample(), "process figures")

    async def close(self) -> None:
        """Stop looking."""
        await end_tasks(self._sampling)

    async def _sample(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            found = dict(self._find())
            self._own, self._costs = await asyncio.to_thread(look, found)
            await asyncio.sleep(self._sample_s)
            if loop.time() > self._wanted_until:
                self._wanted.clear()
                await self._wanted.wait()


def look(found: Mapping[Labels, int]) -> tuple[Own, dict[Labels, Cost]]:
    """Read what each costs; those that have ended are left out."""
    costs = {}
    for labels, pid in found.items():
        try:
            costs[labels] = _cost_of(psutil.Process(pid))
        except psutil.Error:
            continue
    own = psutil.Process()
    cost = _cost_of(own)
    return Own(cost.cpu_s, cost.pss_bytes, own.num_fds(), own.create_time()), costs


def _cost_of(process: psutil.Process) -> Cost:
    times = process.cpu_times()
    return Cost(times.user + times.system, process.memory_full_info().pss)
