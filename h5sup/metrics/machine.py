"""How busy this machine is, and how much of that is h5sup with its ffmpegs.

Read in a thread every few seconds: walking through /proc takes milliseconds that the event loop
does not have.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from h5sup.base.errors import UnavailableError
from h5sup.base.tasks import start_task

SAMPLE_S = 5.0
FIRST_SAMPLE_S = 1.0  # the first figures are there soon
WAIT_S = 5.0
LOOPBACK = "lo"
# Their packets are counted at the card that they leave by.
VIRTUAL = ("veth", "docker", "br-", "virbr")
IDLE = ("idle", "iowait")
COUNTED_TWICE = ("guest", "guest_nice")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The counters at one moment; they only grow, but for memory and disk."""

    at_s: float
    busy_s: float
    """Of all cores together, as `all_s`."""
    all_s: float
    own_s: float
    """Processor time of h5sup and its children, those that have ended among them."""
    in_bytes: int
    out_bytes: int
    memory_percent: float
    own_memory_bytes: int
    disk_total_bytes: int
    disk_free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What happened between two readings, and what there is at the second."""

    cpu_percent: float = 0.0
    """Of all cores."""
    own_cpu_percent: float = 0.0
    """Of one core: 150 is one and a half."""
    memory_percent: float = 0.0
    own_memory_bytes: int = 0
    in_kbps: float = 0.0
    out_kbps: float = 0.0
    disk_total_bytes: int = 0
    disk_free_bytes: int = 0


class Machine:
    """Keeps the newest load. `start()` from the event loop, `close()` at the end."""

    def __init__(self, folder: Path, *, every_s: float = SAMPLE_S) -> None:
        self.load = Load()
        self._folder = folder
        self._every_s = every_s
        self._began_s = time.monotonic()
        self._sampling: asyncio.Task[None] | None = None
        self._sampled = asyncio.Event()
        self._is_ill = False

    @property
    def uptime_s(self) -> float:
        """Return how long h5sup has run."""
        return time.monotonic() - self._began_s

    def start(self) -> None:
        """Sample until close()."""
        self._sampling = start_task(self._sample(), "machine")

    async def close(self) -> None:
        """Stop sampling."""
        if self._sampling is not None:
            self._sampling.cancel()
            with suppress(asyncio.CancelledError):
                await self._sampling

    async def sampled(self, wait_s: float = WAIT_S) -> Load:
        """Return the newest load; raises UnavailableError when there is none in time."""
        try:
            async with asyncio.timeout(wait_s):
                await self._sampled.wait()
        except TimeoutError:
            raise UnavailableError("this machine's load can't be read: the log says why") from None
        return self.load

    async def _sample(self) -> None:
        last: Reading | None = None
        pause_s = min(FIRST_SAMPLE_S, self._every_s)
        while True:
            reading = await self._read()
            if reading is not None:
                if last is not None:
                    self.load = compare(last, reading)
                    self._sampled.set()
                last = reading
            await asyncio.sleep(self._every_s if self._sampled.is_set() else pause_s)

    async def _read(self) -> Reading | None:
        try:
            return await asyncio.to_thread(read_counters, self._folder)
        except (OSError, psutil.Error) as error:
            if not self._is_ill:
                logger.warning("this machine's load can't be read: %s", error)
            self._is_ill = True  # said once
            return None


def compare(old: Reading, new: Reading) -> Load:
    """Return the load between two readings."""
    elapsed_s = max(new.at_s - old.at_s, 1e-3)
    all_s = max(new.all_s - old.all_s, 1e-3)
    return Load(
        cpu_percent=_clamp(100 * (new.busy_s - old.busy_s) / all_s),
        own_cpu_percent=max(0.0, 100 * (new.own_s - old.own_s) / elapsed_s),
        memory_percent=new.memory_percent,
        own_memory_bytes=new.own_memory_bytes,
        in_kbps=_kbps(new.in_bytes - old.in_bytes, elapsed_s),
        out_kbps=_kbps(new.out_bytes - old.out_bytes, elapsed_s),
        disk_total_bytes=new.disk_total_bytes,
        disk_free_bytes=new.disk_free_bytes,
    )


def read_counters(folder: Path) -> Reading:
    """Read everything; blocks. `folder` lies on the disk whose room counts."""
    times = psutil.cpu_times()._asdict()
    all_s = sum(value for name, value in times.items() if name not in COUNTED_TWICE)
    in_bytes, out_bytes = _read_network()
    own_s, own_memory_bytes = _read_processes()
    disk = shutil.disk_usage(folder)
    return Reading(
        at_s=time.monotonic(),
        busy_s=all_s - sum(times.get(name, 0.0) for name in IDLE),
        all_s=all_s,
        own_s=own_s,
        in_bytes=in_bytes,
        out_bytes=out_bytes,
        memory_percent=psutil.virtual_memory().percent,
        own_memory_bytes=own_memory_bytes,
        disk_total_bytes=disk.total,
        disk_free_bytes=disk.free,
    )


def _read_processes() -> tuple[float, int]:
    """Return processor time and memory of this process and all below it."""
    this = psutil.Process()
    cpu_s, memory_bytes = 0.0, 0
    for process in (this, *this.children(recursive=True)):
        with suppress(psutil.Error):  # gone meanwhile: its time is counted at its parent then
            times = process.cpu_times()
            cpu_s += times.user + times.system + times.children_user + times.children_system
            # shared pages are divided among those who share them
            memory_bytes += process.memory_full_info().pss
    return cpu_s, memory_bytes


def _read_network() -> tuple[int, int]:
    """Return the bytes that came in and went out by real network cards."""
    cards = psutil.net_io_counters(pernic=True)
    real = [
        counters
        for name, counters in cards.items()
        if name != LOOPBACK and not name.startswith(VIRTUAL)
    ]
    return sum(one.bytes_recv for one in real), sum(one.bytes_sent for one in real)


def _clamp(percent: float) -> float:
    return min(100.0, max(0.0, percent))


def _kbps(grown_bytes: int, elapsed_s: float) -> float:
    return max(0, grown_bytes) * 8 / elapsed_s / 1000
