"""What recordings take, how fast they grow, and for how long there is room."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from h5sup.base.errors import UnavailableError
from h5sup.base.tasks import end_tasks, start_task
from h5sup.config.model import RecordingConfig
from h5sup.recording.volume import Volume
from h5sup.store.media_index import MediaIndex
from h5sup.store.media_records import StoredFile, Total
from h5sup.store.media_schema import DAY_US, SECOND_US

REFRESH_S = 30.0
DAYS = 7  # what growth is measured over
SHORTEST_US = 600 * SECOND_US  # of less nothing can be said
FURTHEST_DAYS = 36_500.0  # a date beyond says nothing

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one source has in mediastore, all kinds together."""

    token: str
    files: int = 0
    size_bytes: int = 0
    bytes_per_day: int = 0
    """Over the last week, or since its oldest recording; 0 while that can't be told."""
    days_left: float | None = None
    """Until its oldest recordings go for want of room; None: they go by age before, or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """The same of all sources, as of a moment."""

    shares: tuple[Share, ...] = ()
    files: int = 0
    size_bytes: int = 0
    bytes_per_day: int = 0
    days_left: float | None = None
    full_at: datetime | None = None
    """When the disk, or what it may hold, is full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What recordings are held to."""

    free_bytes: int
    """What may still be written to the disk."""
    max_bytes: int
    max_days: int
    by_source: Mapping[str, int]
    """Each 0 for none."""


class Forecast:
    """Looks at the index from `start()` to `close()`; `newest` is what it saw last."""

    def __init__(
        self,
        index: MediaIndex,
        volume: Volume,
        config: RecordingConfig,
        limits: Callable[[], Mapping[str, int]],
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self.newest = Outlook()
        self._index = index
        self._volume = volume
        self._config = config
        self._limits = limits
        self._wall_s = wall_s
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._looking = start_task(self._look_on(), "recording: outlook")

    async def close(self) -> None:
        """Look no more."""
        await end_tasks(self._looking)

    async def _look_on(self) -> None:
        while True:
            try:
                await self.look()
            except UnavailableError as error:
                logger.warning("what recordings take is not known: %s", error)
            await asyncio.sleep(REFRESH_S)

    async def look(self) -> None:
        """Look now."""
        totals = await self._index.find_totals()
        begins_us = {}
        for token in {total.token for total in totals if total.kind == "record"}:
            for file in await self._index.find_oldest("record", token=token, limit=1):
                begins_us[token] = file.start_us
        bounds = Bounds(
            free_bytes=max(0, self._volume.free_bytes - self._volume.wanted_bytes),
            max_bytes=self._config.max_bytes,
            max_days=self._config.max_days,
            by_source=self._limits(),
        )
        now_us = int(self._wall_s() * SECOND_US)
        self.newest = build_outlook(totals, self._index.growing(), begins_us, bounds, now_us)


def build_outlook(
    totals: Iterable[Total],
    growing: Iterable[StoredFile],
    begins_us: Mapping[str, int],
    bounds: Bounds,
    now_us: int,
) -> Outlook:
    """Return how things stand; `begins_us` tells of each source's oldest finished recording."""
    sums: dict[str, _Sum] = {}
    since_day = now_us // DAY_US - DAYS
    for total in totals:
        one = sums.setdefault(total.token, _Sum())
        one.add(total.size_bytes, total.files, is_new=total.day >= since_day)
    begins = dict(begins_us)
    for file in growing:
        sums.setdefault(file.token, _Sum()).add(file.size_bytes, 1, is_new=True)
        begins[file.token] = min(file.start_us, begins.get(file.token, file.start_us))
    rates = {}
    for token, one in sums.items():
        since_us = max(begins.get(token, now_us), since_day * DAY_US)
        passed_us = now_us - since_us
        rates[token] = one.new_bytes * DAY_US // passed_us if passed_us >= SHORTEST_US else 0
    size_bytes, rate = sum(one.size_bytes for one in sums.values()), sum(rates.values())
    room_bytes = bounds.free_bytes
    if bounds.max_bytes:
        room_bytes = min(room_bytes, max(0, bounds.max_bytes - size_bytes))
    days_left = count_days(size_bytes, room_bytes, rate, bounds.max_days)
    shares = []
    for token, one in sorted(sums.items()):
        own_days = days_left
        if limit_bytes := bounds.by_source.get(token, 0):
            own_room = max(0, limit_bytes - one.size_bytes)
            own = count_days(one.size_bytes, own_room, rates[token], bounds.max_days)
            own_days = min((days for days in (own, days_left) if days is not None), default=None)
        shares.append(
            Share(
                token=token,
                files=one.files,
                size_bytes=one.size_bytes,
                bytes_per_day=rates[token],
                days_left=own_days,
            )
        )
    return Outlook(
        shares=tuple(shares),
        files=sum(one.files for one in sums.values()),
        size_bytes=size_bytes,
        bytes_per_day=rate,
        days_left=days_left,
        full_at=_date(now_us, days_left),
    )


@dataclass(slots=True)
class _Sum:
    files: int = 0
    size_bytes: int = 0
    new_bytes: int = 0

    def add(self, size_bytes: int, files: int, *, is_new: bool) -> None:
        self.files += files
        self.size_bytes += size_bytes
        self.new_bytes += size_bytes * is_new


def count_days(
    size_bytes: int, room_bytes: int, bytes_per_day: int, max_days: int
) -> float | None:
    """Return after how many days the room is used up; None when age makes room before."""
    if not bytes_per_day:
        return None
    if max_days and size_bytes + room_bytes >= bytes_per_day * max_days:
        return None
    days = room_bytes / bytes_per_day
    return days if days < FURTHEST_DAYS else None


def _date(now_us: int, days: float | None) -> datetime | None:
    if days is None:
        return None
    return datetime.fromtimestamp(now_us / SECOND_US, UTC) + timedelta(days=days)
