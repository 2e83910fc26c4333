"""What a device has recorded and this server has not: found, and fetched for one archive.

It is read as a playback of it is, at the pace at which the device sends, into files beside the
archive that are laid out as own recordings are. They last as long as the archive is being made.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from h5sup.base.clock import from_us, to_us
from h5sup.base.errors import MediaFormatError, NotFoundError, UnavailableError
from h5sup.devices.model import DeviceError
from h5sup.formats.isobmff.gop_table import SECOND_US, StoredGop
from h5sup.formats.isobmff.recorded import MovieWriter
from h5sup.recording.archive.feed import (
    NO_ROOM,
    ROOM_EVERY_BYTES,
    ROOM_LOOK_S,
    ROOM_WAIT_S,
    free_bytes,
)
from h5sup.recording.archive.job import DELETED, Studio, clear_folders, explain_os, in_thread
from h5sup.recording.archive.plan import Span
from h5sup.recording.playback.converter import Kit
from h5sup.recording.playback.device_reel import DeviceReel, Patience
from h5sup.recording.playback.stretches import JOIN_US, LEAST_US, DeviceRecordings
from h5sup.recording.playback.supply import Edge, Footage, Piece, StoredFragment
from h5sup.store.media_records import StoredFile

LOOK_S = 20.0  # for all searches: somebody waits for the answer
WINDOW = timedelta(hours=6)  # that is asked for at once
MAX_SEARCHES = 100
MAX_STRETCHES = 100  # each is at least one login and one ffmpeg
MAX_FILES = 200  # one more whenever the device breaks off
MAX_GOP_BYTES = 64_000_000  # that are kept in memory until the next key picture
LATE_US = SECOND_US // 10  # so far off are the times of pictures whose sound begins later
STALL_S = 60.0  # a reading tells so long before that it failed
SILENT = "the device does not answer in time"
TOO_LONG = "the device's list of this time is too long: ask for less of it"


class Fetch:
    """Fetches some stretches. `run()` is called once; `clean()` must follow, however it ends."""

    def __init__(
        self,
        studio: Studio,
        kit: Kit,
        recordings: DeviceRecordings,
        stretches: Sequence[Span],
        token: str,
        path: str,
        *,
        patience: Patience | None = None,
    ) -> None:
        """Take what to fetch for the archive that will lie at `path` below mediastore."""
        self._studio = studio
        self._kit = kit
        self._recordings = recordings
        self._stretches = stretches
        self._token = token
        self._target = studio.root / path
        self._patience = patience
        self._total_us = max(1, sum(one.end_us - one.begin_us for one in stretches))
        self._fetched_us = self._before_us = 0
        self._files: list[StoredFile] = []
        self._paths: list[Path] = []
        self._source: Footage | None = None
        self._gop: StoredGop | None = None
        self._fragments: list[StoredFragment] = []
        self._size_bytes = 0  # of the fragments
        self._unseen_bytes = ROOM_EVERY_BYTES  # written since the disk was looked at
        self._file: BinaryIO | None = None
        self._writer: MovieWriter | None = None

    @property
    def share(self) -> float:
        """Return how much of the time is fetched, 0 to 1."""
        return min(1.0, self._fetched_us / self._total_us)

    async def run(self) -> list[StoredFile]:
        """Return the files, described as those of the index; raises UnavailableError."""
        try:
            for stretch in self._stretches:
                await self._fetch(stretch)
                self._before_us += stretch.end_us - stretch.begin_us
                self._fetched_us = self._before_us
        except OSError as error:
            raise UnavailableError(explain_os(error)) from error
        except MediaFormatError as error:
            raise UnavailableError(f"what the device sends can't be kept: {error}") from error
        return self._files

    def clean(self) -> None:
        """Delete the files. Blocks."""
        if self._file is not None:
            self._file.close()
        for path in self._paths:
            path.unlink(missing_ok=True)
        clear_folders(self._target)

    async def _fetch(self, stretch: Span) -> None:
        is_ready = asyncio.Event()
        reel = DeviceReel(
            self._recordings,
            # addresses know whole seconds; of what was had already, the plan takes one
            from_us(stretch.begin_us - stretch.begin_us % SECOND_US),
            from_us(stretch.end_us + LATE_US),
            self._kit,
            name=self._token,
            is_strict=True,
            patience=self._patience,
        ).handed_to(is_ready.set)
        try:
            while True:
                is_ready.clear()
                found = reel.take()
                if isinstance(found, Edge):
                    break
                if found is None:
                    await _wait(is_ready)
                else:
                    await self._take(found, stretch)
        except NotFoundError:
            pass  # its list promised more than there is
        finally:
            await reel.close()
        await self._write_gop()
        await self._in_thread_close()

    async def _take(self, piece: Piece, stretch: Span) -> None:
        if piece.is_first:
            await self._write_gop()
            if piece.source is not self._source:
                await self._in_thread_close()
                self._source = piece.source
            self._gop = piece.gop
        self._fragments += piece.fragments
        self._size_bytes += sum(len(one.data) for one in piece.fragments)
        if self._size_bytes > MAX_GOP_BYTES:
            raise MediaFormatError(f"{self._size_bytes} bytes without a key picture")
        reached_us = min(stretch.end_us, piece.fragments[-1].end_us) - stretch.begin_us
        self._fetched_us = max(self._fetched_us, self._before_us + reached_us)

    async def _write_gop(self) -> None:
        """Write what has come of a GOP; the end of it may be missing."""
        fragments, self._fragments, self._size_bytes = self._fragments, [], 0
        if not fragments:
            return
        assert self._source is not None
        assert self._gop is not None
        if self._unseen_bytes >= ROOM_EVERY_BYTES:
            await self._wait_for_room()
            self._unseen_bytes = 0
        work = partial(self._append, self._source, fragments, self._gop.wall_us)
        await in_thread(self._studio.threads, work)

    async def _wait_for_room(self) -> None:
        """Wait for retention; raises UnavailableError. The device is held up meanwhile."""
        loop = asyncio.get_running_loop()
        until = loop.time() + ROOM_WAIT_S
        look = partial(free_bytes, self._studio.root)
        while await in_thread(self._studio.threads, look) < self._studio.floor_bytes:
            if loop.time() > until:
                raise UnavailableError(NO_ROOM)
            await asyncio.sleep(ROOM_LOOK_S)

    async def _in_thread_close(self) -> None:
        await in_thread(self._studio.threads, self._close)

    def _append(self, source: Footage, fragments: list[StoredFragment], wall_us: int) -> None:
        if self._writer is None or self._file is None:
            self._writer, self._file = self._open(source)
        if os.fstat(self._file.fileno()).st_nlink == 0:
            raise UnavailableError(DELETED)
        data = b"".join(self._writer.add_gop(fragments, wall_us))
        self._file.write(data)
        self._unseen_bytes += len(data)

    def _open(self, source: Footage) -> tuple[MovieWriter, BinaryIO]:
        if len(self._paths) >= MAX_FILES:
            raise MediaFormatError(f"it was broken off {MAX_FILES} times: ask for less of it")
        writer = MovieWriter(source.init, {"token": self._token})
        self._studio.require()  # or its folders would be made on the disk below
        self._target.parent.mkdir(0o750, parents=True, exist_ok=True)
        path = fetched_of(self._target, len(self._paths))
        self._paths.append(path)
        file = path.open("xb")
        file.write(writer.head)
        return writer, file

    def _close(self) -> None:
        """End a file and note it as the index would."""
        file, writer = self._file, self._writer
        self._file = self._writer = None
        if file is None or writer is None:
            return
        with file:
            closing = writer.close()
            file.write(closing.tail)
            file.seek(closing.patch_at)
            file.write(closing.patch)
        path = self._paths[-1]
        self._files.append(
            StoredFile(
                kind="record",
                token=self._token,
                path=str(path.relative_to(self._studio.root)),
                filename=path.name,
                recording=path.name,
                trigger="manual",
                start_us=writer.gops[0].wall_us,
                end_us=writer.end_us,
                codecs=writer.init.codecs,
            )
        )


def fetched_of(target: Path, number: int) -> Path:
    """Return where something fetched for an archive lies; `find_parts` finds it."""
    return target.with_name(f".{target.name}.{number}.part")


async def find_missing(recordings: DeviceRecordings, holes: Sequence[Span]) -> list[Span]:
    """Return what a device has recorded of some times, which come in their order.

    Raises UnavailableError.
    """
    if not holes:
        return []
    try:
        async with asyncio.timeout(LOOK_S):
            known = await _look(recordings, holes[0].begin_us, holes[-1].end_us)
    except TimeoutError:
        raise UnavailableError(SILENT) from None
    except DeviceError as error:
        raise UnavailableError(str(error)) from error
    missing = _intersect(holes, known)
    if len(missing) > MAX_STRETCHES:
        raise UnavailableError(
            f"more than {MAX_STRETCHES} stretches of this time are on the device alone: "
            "ask for less of it"
        )
    return missing


def _intersect(holes: Sequence[Span], known: Sequence[Span]) -> list[Span]:
    """Return what lies in both; what is shorter than half a second is not worth it."""
    found: list[Span] = []
    first = 0
    for hole in holes:
        while first < len(known) and known[first].end_us <= hole.begin_us:
            first += 1
        for one in islice(known, first, None):
            if one.begin_us >= hole.end_us:
                break
            both = Span(max(one.begin_us, hole.begin_us), min(one.end_us, hole.end_us))
            if both.end_us - both.begin_us >= LEAST_US:
                found.append(both)
    return found


async def _look(recordings: DeviceRecordings, begin_us: int, end_us: int) -> list[Span]:
    """Return what a device has recorded, what follows closely as one."""
    known: list[Span] = []
    at_us = begin_us
    for _ in range(MAX_SEARCHES):
        if at_us >= end_us:
            return known
        until_us = min(end_us, at_us + WINDOW // timedelta(microseconds=1))
        found, is_all = await recordings.search(from_us(at_us), from_us(until_us))
        reached_us = at_us
        for one in sorted(found, key=lambda record: record.begin):
            span = Span(max(to_us(one.begin), at_us), min(to_us(one.end), until_us))
            if span.end_us <= span.begin_us:
                continue
            reached_us = max(reached_us, span.end_us)
            if known and span.begin_us <= known[-1].end_us + JOIN_US:
                span = Span(known[-1].begin_us, max(span.end_us, known.pop().end_us))
            known.append(span)
        at_us = until_us if is_all or reached_us <= at_us else reached_us
    raise UnavailableError(TOO_LONG)


async def _wait(is_ready: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(STALL_S):
            await is_ready.wait()
    except TimeoutError:
        raise UnavailableError(SILENT) from None
