"""What processes cost: read in a thread, and only while somebody wants to know."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
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


@dataclass(frozen=True, slots=True)
class JobCost:
    """What processes of one kind take."""

    count: int
    """How many run."""
    cpu_s: float
    """Of all that were ever looked at, up to when each was."""
    pss_bytes: int


Labels = tuple[str, ...]


class Processes:
    """Looks at this process and those that `find` names, from `start()` to `close()`."""

    def __init__(
        self,
        find: Callable[[], Mapping[Labels, int]],
        find_jobs: Callable[[], Iterable[tuple[str, int]]] = lambda: (),
        *,
        sample_s: float = SAMPLE_S,
    ) -> None:
        """Take what returns process ids by their labels, and others by their kind."""
        self._find = find
        self._find_jobs = find_jobs
        self._jobs: dict[str, JobCost] = {}
        self._job_cpu_s: dict[int, float] = {}
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

    @property
    def jobs(self) -> Mapping[str, JobCost]:
        """Return the newest figures of processes by their kind."""
        return self._jobs

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
            found, jobs = dict(self._find()), {pid: kind for kind, pid in self._find_jobs()}
            self._own, self._costs, costs = await asyncio.to_thread(look, found, jobs)
            self._add_up(jobs, costs)
            await asyncio.sleep(self._sample_s)
            if loop.time() > self._wanted_until:
                self._wanted.clear()
                await self._wanted.wait()

    def _add_up(self, kinds: Mapping[int, str], costs: Mapping[int, Cost]) -> None:
        """Note what processes of each kind cost now; kinds of which none runs any more stay."""
        spent = {kind: job.cpu_s for kind, job in self._jobs.items()}
        counts, memory = Counter[str](), Counter[str]()
        for pid, cost in costs.items():
            kind, before_s = kinds[pid], self._job_cpu_s.get(pid, 0.0)
            if before_s > cost.cpu_s:  # another one by the same number
                before_s = 0.0
            spent[kind] = spent.get(kind, 0.0) + cost.cpu_s - before_s
            counts[kind] += 1
            memory[kind] += cost.pss_bytes
        self._job_cpu_s = {pid: cost.cpu_s for pid, cost in costs.items()}
        self._jobs = {
            kind: JobCost(counts[kind], cpu_s, memory[kind]) for kind, cpu_s in spent.items()
        }


def look(
    found: Mapping[Labels, int], jobs: Iterable[int] = ()
) -> tuple[Own, dict[Labels, Cost], dict[int, Cost]]:
    """Read what each costs; those that have ended are left out."""
    pids = {*found.values(), *jobs}
    costs = {pid: cost for pid in pids if (cost := _find_cost(pid)) is not None}
    own = psutil.Process()
    cost = _cost_of(own)
    return (
        Own(cost.cpu_s, cost.pss_bytes, own.num_fds(), own.create_time()),
        {labels: costs[pid] for labels, pid in found.items() if pid in costs},
        {pid: costs[pid] for pid in jobs if pid in costs},
    )


def _find_cost(pid: int) -> Cost | None:
    try:
        return _cost_of(psutil.Process(pid))
    except psutil.Error:
        return None


def _cost_of(process: psutil.Process) -> Cost:
    times = process.cpu_times()
    return Cost(times.user + times.system, process.memory_full_info().pss)
