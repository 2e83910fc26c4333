"""What goes so that there is room for what comes: the oldest first, and no more than has to.

Files go before their rows: a crash in between leaves rows without a file, which healing takes out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from h5sup.base.errors import UnavailableError
from h5sup.base.tasks import start_task
from h5sup.config.model import RecordingConfig
from h5sup.recording.volume import State, Volume
from h5sup.store.media_index import MediaIndex
from h5sup.store.media_records import Kind, StoredFile
from h5sup.store.media_schema import DAY_US, SECOND_US

RUN_S = 5.0
BATCH = 100  # files at once: a stop waits for no more
STEADY_S = 600.0  # a clock that has jumped may jump back: age counts for nothing meanwhile
JUMP_S = 60.0
GAPS_S = 3600.0
LARGEST_RESERVE = 0.1  # of the disk
SLOWING = 0.9  # of the rate of growth, from run to run; a rise counts at once
KIND_LEVEL = 1  # record, snapshot and archive themselves stay

logger = logging.getLogger(__name__)


class Retention:
    """Deletes from `start()` to `close()`. Owned by the RecordingService.

    Never a file that grows; nothing while there is room; archives only when nothing else is left.
    `limits` tells how many bytes of recordings each source may keep, `is_ready` whether the index
    is whole: of a part of the files the oldest could be the newest of all.
    """

    def __init__(
        self,
        index: MediaIndex,
        volume: Volume,
        config: RecordingConfig,
        limits: Callable[[], Mapping[str, int]],
        *,
        is_ready: Callable[[], bool] = lambda: True,
        wall_s: Callable[[], float] = time.time,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.deleted_files = 0
        self.deleted_bytes = 0
        """Of this run of h5sup."""
        self._index = index
        self._volume = volume
        self._config = config
        self._limits = limits
        self._is_ready = is_ready
        self._wall_s = wall_s
        self._clock_s = clock_s
        self._offset_s: float | None = None
        self._steady_from_s = clock_s()
        self._growth = Growth()
        self._gaps_at_s = clock_s()
        self._was_told = False
        self._running: asyncio.Task[None] | None = None
        self._must_stop = asyncio.Event()

    def start(self) -> None:
        """Begin to look after the room."""
        self._running = start_task(self._run_on(), "retention")

    async def close(self) -> None:
        """End after the files under way."""
        self._must_stop.set()
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)

    async def _run_on(self) -> None:
        while not self._must_stop.is_set():
            try:
                await self.run()
            except UnavailableError as error:
                logger.warning("old recordings are not looked after: %s", error)
            with suppress(TimeoutError):
                async with asyncio.timeout(RUN_S):
                    await self._must_stop.wait()

    async def run(self) -> None:
        """Delete what has to go now, once."""
        is_steady = self._is_steady()
        self._volume.reserve_bytes = self._growth.reserve_bytes(
            self._index.growing(),
            self._clock_s(),
            segment_s=self._config.segment_s,
            most_bytes=int(self._volume.total_bytes * LARGEST_RESERVE),
        )
        if self._volume.state in (State.MISSING, State.READ_ONLY) or not self._is_ready():
            return
        if is_steady:
            await self._by_age("record", self._config.max_days)
            await self._by_age("snapshot", self._config.snapshot_days)
            await self._forget_gaps()
        await self._by_bytes()
        await self._by_space()

    def _is_steady(self) -> bool:
        """Return whether the wall's clock has run evenly for a while."""
        now_s = self._clock_s()
        offset_s = self._wall_s() - now_s
        if self._offset_s is not None and abs(offset_s - self._offset_s) > JUMP_S:
            logger.warning(
                "the clock was set by %+.0f s: no recording goes because of its age for %.0f "
                "minutes",
                offset_s - self._offset_s,
                STEADY_S / 60,
            )
            self._steady_from_s = now_s
        self._offset_s = offset_s
        return now_s - self._steady_from_s >= STEADY_S

    async def _by_age(self, kind: Kind, days: int) -> None:
        if not days:
            return
        before_us = int(self._wall_s() * SECOND_US) - days * DAY_US
        while old := await self._index.find_oldest(kind, before_us=before_us, limit=BATCH):
            if await self._delete(old) < len(old) or self._must_stop.is_set():
                return

    async def _by_bytes(self) -> None:
        """Keep each source, and all of them, within their bytes."""
        sizes = await self._index.find_sizes()
        for file in self._index.growing():
            key = (file.kind, file.token)
            sizes[key] = sizes.get(key, 0) + file.size_bytes
        for token, limit_bytes in self._limits().items():
            excess_bytes = sizes.get(("record", token), 0) - limit_bytes
            if limit_bytes and excess_bytes > 0:
                sizes["record", token] -= await self._make_room(excess_bytes, token)
        excess_bytes = sum(sizes.values()) - self._config.max_bytes
        if self._config.max_bytes and excess_bytes > 0:
            await self._make_room(excess_bytes)

    async def _by_space(self) -> None:
        """Keep the disk free. One look, one amount: a player may hold what was deleted open."""
        await self._volume.check()
        missing_bytes = self._volume.wanted_bytes - self._volume.free_bytes
        if missing_bytes <= 0:
            self._volume.is_exhausted = False
            return
        self._volume.is_exhausted = await self._make_room(missing_bytes) == 0
        await self._volume.check()

    async def _make_room(self, needed_bytes: int, token: str = "") -> int:
        """Delete the oldest until so many bytes are gone; return how many are."""
        gone_bytes = 0
        while gone_bytes < needed_bytes and not self._must_stop.is_set():
            oldest = await self._find_oldest(token)
            chosen = take_bytes(oldest, needed_bytes - gone_bytes)
            before_bytes = self.deleted_bytes
            if not chosen or await self._delete(chosen) < len(chosen):
                return gone_bytes + self.deleted_bytes - before_bytes
            gone_bytes += self.deleted_bytes - before_bytes
        return gone_bytes

    async def _find_oldest(self, token: str) -> Sequence[StoredFile]:
        if token:
            return await self._index.find_oldest("record", token=token, limit=BATCH)
        found = await self._index.find_oldest("record", limit=BATCH)
        found += await self._index.find_oldest("snapshot", limit=BATCH)
        if not found:
            return await self._index.find_oldest("archive", limit=BATCH)
        return sorted(found, key=lambda file: file.end_us)[:BATCH]

    async def _delete(self, files: Sequence[StoredFile]) -> int:
        """Delete files with their rows and return how many could be."""
        gone, error = await asyncio.to_thread(delete_files, self._volume, files)
        await self._index.delete(file.id for file in gone)
        self.deleted_files += len(gone)
        self.deleted_bytes += sum(file.size_bytes for file in gone)
        if error is not None and not self._was_told:
            logger.warning("an old recording can't be deleted: %s", error)
        self._was_told = error is not None
        return len(gone)

    async def _forget_gaps(self) -> None:
        """Forget gaps from before the oldest recording, now and then."""
        if self._clock_s() - self._gaps_at_s < GAPS_S:
            return
        self._gaps_at_s = self._clock_s()
        if oldest := await self._index.find_oldest("record", limit=1):
            await self._index.gaps.delete(oldest[0].start_us - DAY_US)


class Growth:
    """How fast files grow, and what they will still need until they are cut."""

    def __init__(self) -> None:
        self.bytes_per_s = 0.0
        self._sizes: dict[int, int] = {}
        self._at_s: float | None = None

    def reserve_bytes(
        self, growing: Iterable[StoredFile], at_s: float, *, segment_s: float, most_bytes: int
    ) -> int:
        """Return what has to be kept for files that grow now."""
        sizes = {file.id: file.size_bytes for file in growing}
        grown = sum(max(0, size - self._sizes.get(one, 0)) for one, size in sizes.items())
        if self._at_s is not None and at_s > self._at_s:
            rate = grown / (at_s - self._at_s)
            self.bytes_per_s = max(rate, self.bytes_per_s * SLOWING)
        self._sizes, self._at_s = sizes, at_s
        return min(int(self.bytes_per_s * segment_s), most_bytes)


def take_bytes(files: Sequence[StoredFile], needed_bytes: int) -> list[StoredFile]:
    """Return the first files that make up so many bytes, and no more of them."""
    chosen: list[StoredFile] = []
    for file in files:
        if needed_bytes <= 0:
            break
        chosen.append(file)
        needed_bytes -= file.size_bytes
    return chosen


def delete_files(
    volume: Volume, files: Sequence[StoredFile]
) -> tuple[list[StoredFile], OSError | None]:
    """Delete files and the folders they leave empty; return those that are gone. Blocks."""
    gone: list[StoredFile] = []
    folders: set[Path] = set()
    failure: OSError | None = None
    for file in files:
        path = volume.folder / file.path
        try:
            volume.require()  # or files of a disk that is away would count as deleted
            path.unlink(missing_ok=True)
        except OSError as error:
            failure = error
            continue
        gone.append(file)
        folders.add(path.parent)
    remove_empty(volume.folder, folders)
    return gone, failure


def remove_empty(root: Path, folders: Iterable[Path]) -> None:
    """Take away folders below `record` and its like that hold nothing, and those above them."""
    for folder in folders:
        for path in (folder, *folder.parents):
            if path == root or len(path.relative_to(root).parts) <= KIND_LEVEL:
                break
            try:
                path.rmdir()
            except OSError:  # something lies there
                break
