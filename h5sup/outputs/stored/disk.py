"""Files below mediastore, read in threads of their own: a disk that hangs holds up nobody else."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from io import FileIO
from pathlib import Path
from typing import TypeVar

from h5sup.base.errors import NotFoundError
from h5sup.store.media_records import StoredFile

T = TypeVar("T")

THREADS = 4
GONE = "there is no such file: it has another name, or it went to make room"


class OpenFile:
    """A file that stays readable, also once it is deleted."""

    def __init__(self, file: FileIO) -> None:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            file.close()
            raise NotFoundError(GONE)
        self.size_bytes = facts.st_size
        self.etag = f"{facts.st_mtime_ns:x}-{facts.st_size:x}"
        self._file = file

    def whole_bytes(self, row: StoredFile) -> int:
        """Return how much of it is whole: behind that, a growing file is being written."""
        if row.is_growing and row.size_bytes:
            return min(self.size_bytes, row.size_bytes)
        return self.size_bytes

    def read(self, at: int, size: int) -> bytes:
        """Return so many bytes from an offset on, fewer at the end. Blocks."""
        return os.pread(self._file.fileno(), size, at)

    def close(self) -> None:
        """Let go of it; blocks while a deleted file's room is given back."""
        self._file.close()


class Disk:
    """Opens what lies below one folder, whatever links lie there. `close()` ends its threads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="h5sup-stored")

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, done in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    @asynccontextmanager
    async def opened(self, path: str) -> AsyncIterator[OpenFile]:
        """Open a file by its path in the index; raises NotFoundError."""
        opening = self._threads.submit(open_below, self.root, path)
        try:
            file = await asyncio.wrap_future(opening)
        except asyncio.CancelledError:  # the thread goes on
            opening.add_done_callback(_close_unwanted)
            raise
        try:
            yield file
        finally:
            self._threads.submit(file.close)  # waited for by close(): who reads may be cancelled

    async def close(self) -> None:
        """Finish what is being read."""
        await asyncio.to_thread(self._threads.shutdown)


def _close_unwanted(opening: Future[OpenFile]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def open_below(root: Path, path: str) -> OpenFile:
    """Open a file below `root`, which is resolved; raises NotFoundError. Blocks."""
    try:
        place = (root / path).resolve(strict=True)
        if not place.is_relative_to(root):  # a link leads out of it
            raise NotFoundError(GONE)
        return OpenFile(FileIO(place, opener=_open))
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before 3.13
        raise NotFoundError(GONE) from error


def _open(path: str, flags: int) -> int:
    # a link that was put there meanwhile is not followed, a pipe's other end not waited for
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
