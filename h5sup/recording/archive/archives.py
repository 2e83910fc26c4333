"""All archives: asked for, waiting, being made, finished or failed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from h5sup.base.clock import from_us, to_us
from h5sup.base.errors import H5supError, MediaFormatError, NotFoundError, UnavailableError
from h5sup.ffmpeg.process import Launcher
from h5sup.ffmpeg.tools import Tools
from h5sup.formats.isobmff.recorded import video_track
from h5sup.recording.archive.job import Job, Studio, delete_parts, find_parts, part_of
from h5sup.recording.archive.plan import MAX_PARTS, ArchiveRequest, Plan, Way, build_plan
from h5sup.recording.names import build_name, build_path
from h5sup.recording.playback.stored import open_file
from h5sup.store.media_index import Archive, MediaIndex, StoredFile

MAX_WAITING = 16
MAX_FILES = 4000  # of one archive: a day in pieces of half a minute
SPARE_THREADS = 2  # beside those that feed: for looking into files
ENDED = 100
RESTARTED = "h5sup was started anew before it was finished: ask for it again"
STOPPED = "h5sup was stopped before it was finished: ask for it again"
CANCELLED = "it was called off"
UNREADABLE = "what was recorded in this time can't be read: its files are damaged or gone"

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Making:
    """An archive that waits or is being made."""

    row: Archive
    job: Job
    plan: Plan
    task: asyncio.Task[None] | None = None
    reason: str = CANCELLED
    """Why, if it is cancelled."""


class Archives:
    """Makes archives, `limit` at a time. `start()` comes first, `close()` ends what runs.

    `refusal` says why nothing may be written now, or nothing; `require`, which is for threads,
    raises OSError when the disk is away; while less than `floor_bytes` are
    free they wait for retention. Called from the loop; who may see a source is asked before.
    """

    def __init__(
        self,
        index: MediaIndex,
        root: Path,
        tools: Tools,
        launcher: Launcher,
        *,
        limit: int,
        floor_bytes: int,
        refusal: Callable[[], str],
        require: Callable[[], None],
    ) -> None:
        self._index = index
        self._root = root
        self._refusal = refusal
        self._threads = ThreadPoolExecutor(limit * MAX_PARTS + SPARE_THREADS, "h5sup-archive")
        self._studio = Studio(root, tools, launcher, self._threads, require, floor_bytes)
        self._places = asyncio.Semaphore(limit)
        self._most = limit + MAX_WAITING
        self._making: dict[tuple[str, str], _Making] = {}
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Say of what an earlier run left unfinished that it failed."""
        for row in await self._index.find_unfinished_archives():
            await self._index.set_archive(row, "failed", RESTARTED)
        self._sweeping = asyncio.create_task(self._sweep(), name="sweeping archives")

    async def _sweep(self) -> None:
        """Delete what earlier runs left half made; the disk may be slow to answer."""
        left = await asyncio.to_thread(find_parts, self._root)
        now = {part_of(self._root / one.row.path) for one in self._making.values()}
        await asyncio.to_thread(delete_parts, left - now)

    async def close(self) -> None:
        """End what runs and what waits; the next start knows that it failed."""
        makings = list(self._making.values())
        for making in makings:
            self._cancel(making, STOPPED)
        tasks = [one.task for one in makings if one.task is not None]
        if self._sweeping is not None:
            self._sweeping.cancel()
            tasks.append(self._sweeping)
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._threads.shutdown)

    async def request(self, request: ArchiveRequest) -> StoredFile:
        """Begin an archive and return where it will lie.

        Raises NotFoundError when nothing was recorded in this time, UnavailableError when it
        can't be made.
        """
        if reason := self._refusal():
            raise UnavailableError(reason)
        self._require_place()
        plan = await self._plan(request)
        self._require_place()  # others may have come meanwhile
        filename = build_name("archive", request.token)
        begin = from_us(plan.first_us)
        path = build_path("archive", request.token, begin, filename, request.zone)
        making = _Making(
            Archive(token=request.token, filename=filename, path=path),
            Job(self._studio, plan, path),
            plan,
        )
        self._making[request.token, filename] = making
        try:
            await self._index.add_archive(making.row)
        except BaseException:
            del self._making[request.token, filename]
            raise
        making.task = asyncio.create_task(self._make(making), name=f"archive {filename}")
        await asyncio.sleep(0)  # it begins: a task cancelled before that could note nothing
        return _describe(making, 0)

    async def percentage(self, token: str, filename: str) -> int:
        """Return how far an archive is, 1 to 100.

        Raises NotFoundError for one that nobody asked for, UnavailableError for one that failed.
        """
        making = self._making.get((token, filename))
        if making is not None:
            return making.job.percent
        row = await self._index.find_archive(token, filename)
        if row is not None and row.state != "done":
            raise UnavailableError(row.reason or RESTARTED)
        if not any(
            one.filename == filename
            for one in await self._index.find_recording("archive", token, filename)
        ):
            raise NotFoundError(f"source {token!r} has no archive {filename!r}")
        return ENDED

    async def cancel(self, token: str, filename: str) -> None:
        """Call an archive off that waits or is being made; raises NotFoundError."""
        making = self._making.get((token, filename))
        if making is None or making.task is None:
            raise NotFoundError(f"no archive {filename!r} of source {token!r} is being made")
        self._cancel(making, CANCELLED)
        await asyncio.wait({making.task})

    def _cancel(self, making: _Making, reason: str) -> None:
        making.reason = reason
        if making.task is not None:
            making.task.cancel()

    def _require_place(self) -> None:
        if len(self._making) >= self._most:
            raise UnavailableError(
                f"{MAX_WAITING} archives are waiting to be made: ask again when one is finished"
            )

    async def _plan(self, request: ArchiveRequest) -> Plan:
        begin_us, end_us = to_us(request.begin), to_us(request.end)
        files = await self._index.find_files(
            "record", request.token, begin_us, end_us, limit=MAX_FILES + 1
        )
        if len(files) > MAX_FILES:
            raise UnavailableError(
                f"more than {MAX_FILES} files were recorded in this time: ask for less of it"
            )
        loop = asyncio.get_running_loop()
        plan = await loop.run_in_executor(self._threads, _plan, self._root, request, files)
        if plan is None:
            raise NotFoundError(await self._nothing(request, begin_us, end_us))
        return plan

    async def _nothing(self, request: ArchiveRequest, begin_us: int, end_us: int) -> str:
        """Return that nothing was recorded, and why if that is known."""
        begin, end = (
            one.astimezone(request.zone).isoformat(timespec="seconds")
            for one in (request.begin, request.end)
        )
        sentence = f"nothing of source {request.token!r} was recorded from {begin} to {end}"
        gaps = await self._index.find_gaps(request.token, begin_us, end_us, limit=1)
        return f"{sentence}: {gaps[0].reason}" if gaps else sentence

    async def _make(self, making: _Making) -> None:
        """Wait for a place, make it, and note what became of it."""
        try:
            async with self._places:
                await self._index.set_archive(making.row, "running")
                await making.job.run()
                await self._list(making)
        except asyncio.CancelledError:
            if making.job.size_bytes:  # too late: it is there
                await self._list(making)
            else:
                await self._note_failure(making, making.reason)
            raise
        except H5supError as error:
            logger.warning("archive %s is not made: %s", making.row.filename, error)
            await self._note_failure(making, str(error))
        finally:
            del self._making[making.row.token, making.row.filename]

    async def _list(self, making: _Making) -> None:
        await self._index.add(_describe(making, making.job.size_bytes))
        await self._index.set_archive(making.row, "done")

    async def _note_failure(self, making: _Making, reason: str) -> None:
        try:
            await self._index.set_archive(making.row, "failed", reason)
        except UnavailableError as error:  # the next start says so
            logger.warning("archive %s: %s", making.row.filename, error)


def _plan(root: Path, request: ArchiveRequest, files: list[StoredFile]) -> Plan | None:
    """Look into the files and return what to make of them; those damaged are left out. Blocks."""
    found = []
    for file in files:
        try:
            opened = open_file(root, file)
        except (OSError, MediaFormatError) as error:
            logger.warning("%s is left out of an archive: %s", file.path, error)
            continue
        opened.close()
        found.append(opened)
    if files and not found:
        raise UnavailableError(UNREADABLE)
    return build_plan(request, found)


def _describe(making: _Making, size_bytes: int) -> StoredFile:
    """Return the row of an archive: its time is that of what it shows."""
    plan, row = making.plan, making.row
    init = plan.parts[0].init
    video = video_track(init)
    return StoredFile(
        kind="archive",
        token=row.token,
        path=row.path,
        filename=row.filename,
        recording=row.filename,
        trigger="manual",
        start_us=plan.first_us,
        end_us=plan.last_us,
        size_bytes=size_bytes,
        codecs="" if plan.way is Way.ENCODE else init.codecs,
        width=video.width,
        height=video.height,
    )
