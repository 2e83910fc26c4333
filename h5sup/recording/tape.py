"""One file being written: by threads, a GOP at a time, never faster than the disk.

Written here and not by an ffmpeg: only who writes by himself can sync after each GOP, so that a
power cut costs one, and go on in the next file without losing a picture.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from h5sup.base.errors import MediaFormatError, UnavailableError
from h5sup.base.tasks import start_task
from h5sup.formats.isobmff.recorded import Buffer, MovieWriter
from h5sup.formats.isobmff.stored import StoredMovie
from h5sup.recording.gop import Gop
from h5sup.store.media_index import MediaIndex
from h5sup.store.media_records import StoredFile

BUFFERS_AT_ONCE = 1024  # IOV_MAX
T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Queue:
    """What waits for the disk, of all tapes of one source."""

    limit_bytes: int
    size_bytes: int = 0
    dropped_gops: int = 0
    """Of all times."""
    written_bytes: int = 0
    """Of all times."""

    def has_room(self, size_bytes: int) -> bool:
        """Return whether so much more may wait; a single GOP always may."""
        return not self.size_bytes or self.size_bytes + size_bytes <= self.limit_bytes


@dataclass(frozen=True, slots=True)
class Desk:
    """What all tapes are written with."""

    root: Path
    """The folder of mediastore."""
    threads: Executor
    require: Callable[[], None]
    """Raises OSError when the disk is away; for the thread that is about to make a file."""
    index: MediaIndex


class Tape:
    """Takes GOPs until `close()`. Owned by a Take, which is told when the disk refuses.

    Raises MediaFormatError when what the source sends can't be recorded at all.
    """

    def __init__(
        self,
        file: StoredFile,
        first: Gop,
        desk: Desk,
        queue: Queue,
        on_failure: Callable[[Tape, OSError], None],
    ) -> None:
        self.init = first.init
        self.duration_s = 0.0
        """Of what it took, written or not."""
        self.end_us = first.wall_us
        self._file = file
        self._desk = desk
        self._queue = queue
        self._on_failure = on_failure
        note = {"token": file.token, "recording": file.recording, "trigger": file.trigger}
        self._file_on_disk = _GrowingFile(
            desk, file.path, MovieWriter(first.init, note), first.wall_us
        )
        self._waiting: deque[Gop] = deque()
        self._must_work = asyncio.Event()
        self._is_closing = False
        self.is_over = False
        """Whether nothing of it will be written any more."""
        self._working = start_task(self._work(), f"tape {file.token}")

    @property
    def path(self) -> str:
        """Return where the file lies below mediastore."""
        return self._file.path

    @property
    def movie(self) -> StoredMovie:
        """Return what the file holds or soon will, so that nobody need look through it."""
        return self._file_on_disk.movie

    @property
    def written_us(self) -> int:
        """Return the end of the newest picture on the disk."""
        return self._file_on_disk.end_us

    def offer(self, gop: Gop) -> bool:
        """Take a GOP; False when it would have to wait too long for the disk, and is lost."""
        if self.is_over or not self._queue.has_room(gop.size_bytes):
            self._queue.dropped_gops += 1
            return False
        self._queue.size_bytes += gop.size_bytes
        self._waiting.append(gop)
        self.duration_s += gop.duration_s
        self.end_us = max(self.end_us, gop.end_us)
        self._must_work.set()
        return True

    def close(self) -> None:
        """Take no more; what waits is still written."""
        self._is_closing = True
        self._must_work.set()

    async def wait_closed(self, timeout_s: float | None = None) -> None:
        """Return when the file is as it will stay, or after the time."""
        await asyncio.wait({self._working}, timeout=timeout_s)

    async def _work(self) -> None:
        try:
            await self._record()
        finally:
            self.is_over = True
            self._drop(list(self._waiting))
            self._waiting.clear()

    async def _record(self) -> None:
        number, on_disk = 0, self._file_on_disk
        try:
            number = await self._list()  # before the file is there: healing leaves it alone
            await self._in_thread(on_disk.open)
            while self._waiting or not self._is_closing:
                if not self._waiting:
                    self._must_work.clear()
                    await self._must_work.wait()
                    continue
                await self._write(list(self._waiting))
                self._grow(number)
            await self._in_thread(on_disk.finish)
        except OSError as error:
            self.is_over = True
            self._on_failure(self, error)  # before anything more is offered
        except MediaFormatError:
            logger.exception("%s can't be closed", self._file.path)
        finally:
            self.is_over = True
            if on_disk.is_open:
                await self._in_thread(on_disk.abandon)
            await self._close_entry(number)

    async def _write(self, gops: Sequence[Gop]) -> None:
        """Write what waits: one sync for all of it."""
        before = self._file_on_disk.size_bytes
        try:
            await self._in_thread(lambda: self._file_on_disk.append(gops))
        except OSError:
            self._queue.dropped_gops += len(gops)
            raise
        finally:
            for _ in gops:
                self._waiting.popleft()
            self._queue.size_bytes -= sum(gop.size_bytes for gop in gops)
            self._queue.written_bytes += max(0, self._file_on_disk.size_bytes - before)

    def _drop(self, gops: Sequence[Gop]) -> None:
        self._queue.size_bytes -= sum(gop.size_bytes for gop in gops)
        self._queue.dropped_gops += len(gops)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._desk.threads, work)

    # the index: what it can't take down now it finds on the disk at the next start

    async def _list(self) -> int:
        init = self.init
        file = replace(
            self._file,
            is_growing=True,
            codecs=init.codecs,
            width=init.video.width if init.video else 0,
            height=init.video.height if init.video else 0,
        )
        try:
            return await self._desk.index.add(file)
        except UnavailableError as error:
            logger.warning("%s is not in the index: %s", file.path, error)
            return 0

    def _grow(self, number: int) -> None:
        on_disk = self._file_on_disk
        self._desk.index.grow(number, end_us=on_disk.end_us, size_bytes=on_disk.size_bytes)

    async def _close_entry(self, number: int) -> None:
        on_disk, index = self._file_on_disk, self._desk.index
        if not number:
            return
        if on_disk.is_cut_off:
            index.leave(number)
            return
        try:
            if on_disk.has_pictures:
                size_bytes = on_disk.size_bytes
                await index.finish(number, end_us=on_disk.end_us, size_bytes=size_bytes)
            else:
                await index.delete([number])
        except UnavailableError as error:
            logger.warning("%s stays open in the index: %s", self._file.path, error)


class _GrowingFile:
    """The file itself. Its methods block and belong on a thread, one at a time."""

    def __init__(self, desk: Desk, path: str, writer: MovieWriter, start_us: int) -> None:
        self.size_bytes = 0
        self.end_us = start_us
        """Of the newest picture on the disk."""
        self.is_cut_off = False
        """There is a file that could not be closed."""
        self._desk = desk
        self._path = desk.root / path
        self._writer = writer
        self._fd = -1

    @property
    def movie(self) -> StoredMovie:
        """Return what was given to the disk; its newest GOPs may not be there yet."""
        gops = self._writer.gops
        return StoredMovie(self._writer.init, {}, gops.copy(len(gops)), is_finished=False)

    @property
    def is_open(self) -> bool:
        """Return whether it can be written."""
        return self._fd >= 0

    @property
    def has_pictures(self) -> bool:
        """Return whether there is anything to see."""
        return bool(self._writer.gops)

    def open(self) -> None:
        """Make the file and its folders, but not mediastore itself: its disk may be away."""
        self._desk.require()
        try:
            self._fd = self._create()
        except FileNotFoundError:  # retention has just taken away a folder that was empty
            self._fd = self._create()
        _write_all(self._fd, [self._writer.head])
        os.fsync(self._fd)
        _sync_folder(self._path.parent)
        self.size_bytes = len(self._writer.head)

    def _create(self) -> int:
        _make_folder(self._path.parent, self._desk.root)
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def append(self, gops: Sequence[Gop]) -> None:
        """Write GOPs and have the disk keep them."""
        for gop in gops:
            try:
                buffers = self._writer.add_gop(gop.fragments, gop.wall_us)
            except MediaFormatError as error:
                logger.warning("a GOP is not recorded in %s: %s", self._path.name, error)
                continue
            try:
                _write_all(self._fd, buffers)
            except OSError:
                self._writer.take_back()
                raise
            self.end_us = max(self.end_us, gop.end_us)
            self.size_bytes = self._writer.size_bytes
        os.fdatasync(self._fd)

    def finish(self) -> None:
        """Make it an ordinary MP4; one without pictures is taken away again."""
        if not self.has_pictures:
            os.close(self._fd)
            self._fd = -1
            self._path.unlink()
            return
        closing = self._writer.close()
        _write_all(self._fd, [closing.tail])
        os.fdatasync(self._fd)
        os.pwrite(self._fd, closing.patch, closing.patch_at)
        os.fdatasync(self._fd)
        os.close(self._fd)
        self._fd = -1
        self.size_bytes += len(closing.tail)

    def abandon(self) -> None:
        """Leave the file as whole as the disk allows: what is cut off the next start closes."""
        with suppress(OSError, MediaFormatError):
            os.ftruncate(self._fd, self.size_bytes)
            os.lseek(self._fd, 0, os.SEEK_END)
            self.finish()
        if self.is_open:
            self.is_cut_off = True
            with suppress(OSError):
                os.ftruncate(self._fd, self.size_bytes)
            with suppress(OSError):
                os.close(self._fd)
            self._fd = -1


def _write_all(fd: int, buffers: Sequence[Buffer]) -> None:
    """Write all, in as few calls as the system allows."""
    for some in _portions(buffers):
        left = [memoryview(one) for one in some]
        while left:
            written = os.writev(fd, left)
            while left and written >= len(left[0]):
                written -= len(left.pop(0))
            if written:
                left[0] = left[0][written:]


def _portions(buffers: Sequence[Buffer]) -> Iterator[Sequence[Buffer]]:
    for begin in range(0, len(buffers), BUFFERS_AT_ONCE):
        yield buffers[begin : begin + BUFFERS_AT_ONCE]


def _make_folder(folder: Path, root: Path) -> None:
    """Make a folder and those up to the root, so that a power cut can't take them away again."""
    if folder == root or folder.is_dir():
        return
    _make_folder(folder.parent, root)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
