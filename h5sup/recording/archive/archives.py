"""All archives: asked for, waiting, being made, finished or failed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from h5sup.base.clock import from_us, to_us
from h5sup.base.errors import H5supError, MediaFormatError, NotFoundError, UnavailableError
from h5sup.formats.isobmff.recorded import video_track
from h5sup.recording.archive.feed import GONE
from h5sup.recording.archive.fetch import Fetch, find_missing
from h5sup.recording.archive.job import Job, Studio, delete_parts, find_parts, in_thread
from h5sup.recording.archive.plan import (
    MAX_PARTS,
    ArchiveRequest,
    Plan,
    Span,
    Way,
    build_plan,
    find_holes,
)
from h5sup.recording.names import build_name, build_path
from h5sup.recording.playback.converter import Kit
from h5sup.recording.playback.device_reel import Patience
from h5sup.recording.playback.stored import Opened, open_file
from h5sup.recording.playback.stretches import DeviceRecordings
from h5sup.store.media_index import MediaIndex
from h5sup.store.media_records import Archive, StoredFile

MAX_WAITING = 16
MAX_FILES = 4000  # of one archive: a day in pieces of half a minute
SPARE_THREADS = 2  # beside those that feed: for looking into files
ENDED = 100
FETCHED = 90  # percent are done once all is fetched: it comes no faster than the device sends
RESTARTED = "h5sup was started anew before it was finished: ask for it again"
STOPPED = "h5sup was stopped before it was finished: ask for it again"
CANCELLED = "it was called off"
NOT_PLAYED = "the device lists recordings of this time and plays none of them"
UNREADABLE = "what was recorded in this time can't be read: its files are damaged or gone"

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Making:
    """An archive that waits or is being made."""

    row: Archive
    request: ArchiveRequest
    files: list[StoredFile]
    """Of the index, that it was planned with."""
    plan: Plan | None
    """None while something has to be fetched first."""
    job: Job | None
    fetch: Fetch | None = None
    task: asyncio.Task[None] | None = None
    reason: str = CANCELLED
    """Why, if it is cancelled."""

    @property
    def percent(self) -> int:
        """How far it is, 1 to 99."""
        made = 0 if self.job is None else self.job.percent
        if self.fetch is None:
            return made
        return max(1, int(self.fetch.share * FETCHED + made * (ENDED - FETCHED) / ENDED))


class Archives:
    """Makes archives, `limit` at a time. `start()` comes first, `close()` ends what runs.

    `refusal` says why nothing may be written now, or nothing; `require`, which is for threads,
    raises OSError when the disk is away; while less than `floor_bytes` are
    free they wait for retention. What own recordings lack is fetched from the device that
    `find_device` knows for a token. Called from the loop; who may see a source is asked before.
    """

    def __init__(
        self,
        index: MediaIndex,
        root: Path,
        kit: Kit,
        *,
        limit: int,
        floor_bytes: int,
        refusal: Callable[[], str],
        require: Callable[[], None],
        find_device: Callable[[str], DeviceRecordings | None] = lambda _: None,
        patience: Patience | None = None,
    ) -> None:
        self._index = index
        self._root = root
        self._refusal = refusal
        self._threads = ThreadPoolExecutor(limit * MAX_PARTS + SPARE_THREADS, "h5sup-archive")
        self._kit = kit
        self._find_device = find_device
        self._patience = patience
        self._studio = Studio(root, kit.tools, kit.launcher, self._threads, require, floor_bytes)
        self._places = asyncio.Semaphore(limit)
        self._most = limit + MAX_WAITING
        self._making: dict[tuple[str, str], _Making] = {}
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Say of what an earlier run left unfinished that it failed."""
        for row in await self._index.archives.find_unfinished():
            await self._index.archives.set_state(row, "failed", RESTARTED)
        self._sweeping = asyncio.create_task(self._sweep(), name="sweeping archives")

    async def _sweep(self) -> None:
        """Delete what earlier runs left half made; the disk may be slow to answer."""
        left = await asyncio.to_thread(find_parts, self._root)
        now = tuple(f".{one.row.filename}." for one in self._making.values())
        await asyncio.to_thread(
            delete_parts, [one for one in left if not one.name.startswith(now)]
        )

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
        can't be made, also because its device does not say what it has.
        """
        if reason := self._refusal():
            raise UnavailableError(reason)
        self._require_place()
        making = await self._prepare(request)
        self._require_place()  # others may have come meanwhile
        filename = making.row.filename
        self._making[request.token, filename] = making
        try:
            await self._index.archives.add(making.row)
        except BaseException:
            del self._making[request.token, filename]
            raise
        making.task = asyncio.create_task(self._make(making), name=f"archive {filename}")
        await asyncio.sleep(0)  # it begins: a task cancelled before that could note nothing
        return _describe(making)

    async def percentage(self, token: str, filename: str) -> int:
        """Return how far an archive is, 1 to 100.

        Raises NotFoundError for one that nobody asked for, UnavailableError for one that failed.
        """
        making = self._making.get((token, filename))
        if making is not None:
            return making.percent
        row = await self._index.archives.find(token, filename)
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

    async def _prepare(self, request: ArchiveRequest) -> _Making:
        """Find what there is, here and on the device."""
        files = await self._find_files(request)
        survey = await in_thread(self._threads, partial(_survey, self._root, request, files))
        device = self._find_device(request.token)
        missing = [] if device is None else await find_missing(device, survey.holes)
        if survey.plan is None and not missing:
            if files and not survey.is_readable:
                raise UnavailableError(UNREADABLE)
            raise NotFoundError(await self._nothing(request))
        firsts = [one.begin_us for one in missing[:1]]
        firsts += [] if survey.plan is None else [survey.plan.first_us]
        filename = build_name("archive", request.token)
        path = build_path("archive", request.token, from_us(min(firsts)), filename, request.zone)
        row = Archive(token=request.token, filename=filename, path=path)
        if device is None or not missing:
            assert survey.plan is not None
            job = Job(self._studio, survey.plan, path)
            return _Making(row, request, files, survey.plan, job)
        fetch = Fetch(
            self._studio,
            self._kit,
            device,
            missing,
            request.token,
            path,
            patience=self._patience,
        )
        return _Making(row, request, files, None, None, fetch)

    async def _find_files(self, request: ArchiveRequest) -> list[StoredFile]:
        begin_us, end_us = to_us(request.begin), to_us(request.end)
        files = await self._index.find_files(
            "record", request.token, begin_us, end_us, limit=MAX_FILES + 1
        )
        if len(files) > MAX_FILES:
            raise UnavailableError(
                f"more than {MAX_FILES} files were recorded in this time: ask for less of it"
            )
        return files

    async def _nothing(self, request: ArchiveRequest) -> str:
        """Return that nothing was recorded, and why if that is known."""
        begin_us, end_us = to_us(request.begin), to_us(request.end)
        begin, end = (
            one.astimezone(request.zone).isoformat(timespec="seconds")
            for one in (request.begin, request.end)
        )
        sentence = f"nothing of source {request.token!r} was recorded from {begin} to {end}"
        gaps = await self._index.gaps.find(request.token, begin_us, end_us, limit=1)
        return f"{sentence}: {gaps[0].reason}" if gaps else sentence

    async def _make(self, making: _Making) -> None:
        """Wait for a place, make it, and note what became of it."""
        try:
            async with self._places:
                await self._index.archives.set_state(making.row, "running")
                if making.fetch is not None:
                    await self._fetch(making, making.fetch)
                assert making.job is not None
                await making.job.run()
                await self._list(making)
        except asyncio.CancelledError:
            if making.job is not None and making.job.size_bytes:  # too late: it is there
                await self._list(making)
            else:
                await self._note_failure(making, making.reason)
            raise
        except H5supError as error:
            logger.warning("archive %s is not made: %s", making.row.filename, error)
            await self._note_failure(making, str(error))
        finally:
            try:
                if making.fetch is not None:
                    await in_thread(self._threads, making.fetch.clean)
            except OSError as error:  # the next start deletes it
                logger.warning("what was fetched for %s stays: %s", making.row.filename, error)
            finally:
                del self._making[making.row.token, making.row.filename]

    async def _fetch(self, making: _Making, fetch: Fetch) -> None:
        """Fetch what own recordings lack, and plan anew with both; raises UnavailableError."""
        fetched = await fetch.run()
        files = await self._find_files(making.request)
        if {one.path for one in making.files} - {one.path for one in files}:
            raise UnavailableError(GONE)
        files = sorted([*files, *fetched], key=lambda one: one.start_us)
        survey = await in_thread(
            self._threads, partial(_survey, self._root, making.request, files)
        )
        if survey.plan is None:
            raise UnavailableError(NOT_PLAYED)
        making.plan = survey.plan
        making.job = Job(self._studio, survey.plan, making.row.path)

    async def _list(self, making: _Making) -> None:
        await self._index.add(_describe(making))
        await self._index.archives.set_state(making.row, "done")

    async def _note_failure(self, making: _Making, reason: str) -> None:
        try:
            await self._index.archives.set_state(making.row, "failed", reason)
        except UnavailableError as error:  # the next start says so
            logger.warning("archive %s: %s", making.row.filename, error)


class _Survey(NamedTuple):
    """What own recordings give."""

    plan: Plan | None
    holes: list[Span]
    is_readable: bool


def _survey(root: Path, request: ArchiveRequest, files: list[StoredFile]) -> _Survey:
    """Look into the files and return what to make of them; those damaged are left out. Blocks."""
    found: list[Opened] = []
    for file in files:
        try:
            opened = open_file(root, file)
        except (OSError, MediaFormatError) as error:
            logger.warning("%s is left out of an archive: %s", file.path, error)
            continue
        opened.close()
        found.append(opened)
    holes = find_holes(found, to_us(request.begin), to_us(request.end))
    return _Survey(build_plan(request, found), holes, bool(found))


def _describe(making: _Making) -> StoredFile:
    """Return the row of an archive: its time is that of what it shows, once that is known."""
    plan, row, job = making.plan, making.row, making.job
    described = StoredFile(
        kind="archive",
        token=row.token,
        path=row.path,
        filename=row.filename,
        recording=row.filename,
        trigger="manual",
        start_us=to_us(making.request.begin),
        end_us=to_us(making.request.end),
    )
    if plan is None or job is None:
        return described
    init = plan.parts[0].init
    video = video_track(init)
    return replace(
        described,
        start_us=plan.first_us,
        end_us=plan.last_us,
        size_bytes=job.size_bytes,
        codecs="" if plan.way is Way.ENCODE else init.codecs,
        width=video.width,
        height=video.height,
    )
