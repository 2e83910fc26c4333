"""An SQLite file that can be made anew: one thread writes, one reads, and damage stops nobody."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from h5sup.base.errors import UnavailableError

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
LOCK_TIMEOUT_S = 10.0  # for another process that looks into the file
CACHE_KIB = 8192
FILE_MODE = 0o600  # it tells when somebody was seen where

logger = logging.getLogger(__name__)


class _Unusable(sqlite3.DatabaseError):
    """The file is sound, but another version's."""


class Database:
    """One file with the tables of `script`. Used from one event loop; `open()` comes first.

    A damaged file, or one of another `version`, is set aside as `<name>.damaged` and begun anew:
    `on_loss` is called in the loop and returns what to write first, and what was being done is
    done again. Where no file can be had at all, on a full or read-only disk, everything is kept in
    memory until the next start.
    """

    def __init__(
        self, path: Path, *, script: str, version: int, on_loss: Callable[[], Work[None]]
    ) -> None:
        self._path = path
        self._script = script
        self._version = version
        self._on_loss = on_loss
        self._writer = _Worker("h5sup-media-write")
        self._reader = _Worker("h5sup-media-read")
        self.is_in_memory = False
        """Whether the file could not be had."""
        self.was_cut_off = False
        """Whether the last run did not close it."""
        self._mending = asyncio.Lock()
        self._losses = 0

    async def open(self) -> None:
        """Open the file or make it."""
        try:
            self.was_cut_off = await asyncio.to_thread(_has_journal, self._path)
            await self._open()
        except (OSError, sqlite3.DatabaseError) as error:
            if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
                await self._begin_anew(error)
            else:
                await self._open_in_memory(error)

    async def close(self) -> None:
        """Finish what is being done and put all into the one file."""
        await self._reader.close()
        await self._writer.close()

    async def read(self, work: Work[T]) -> T:
        """Return what `work` reads; raises UnavailableError."""
        return await self._run(self._writer if self.is_in_memory else self._reader, work)

    async def write(self, work: Work[T]) -> T:
        """Do `work` in one transaction; raises UnavailableError, and then nothing has changed."""
        return await self._run(self._writer, partial(_transact, work=work))

    async def check(self) -> None:
        """Look the whole file over, beside all else; damage is dealt with as always.

        It takes a while, a minute for a large one on a card, and can be cancelled.
        """
        if self.is_in_memory:
            return
        checker = _Worker("h5sup-media-check")
        losses = self._losses
        try:
            await checker.connect(self._path, _prepare_reader)
            await checker.run(_check)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise self._unavailable(error) from error
            await self._mend(error, losses)
        finally:
            checker.interrupt()
            await checker.close()

    async def _run(self, worker: _Worker, work: Work[T]) -> T:
        async with self._mending:
            losses = self._losses
        try:
            return await worker.run(work)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise self._unavailable(error) from error
            await self._mend(error, losses)
        try:
            return await worker.run(work)
        except sqlite3.DatabaseError as error:
            raise self._unavailable(error) from error

    async def _mend(self, error: sqlite3.DatabaseError, losses: int) -> None:
        async with self._mending:
            if losses == self._losses:  # nobody else has met the damage meanwhile
                await self._begin_anew(error)

    def _unavailable(self, error: sqlite3.DatabaseError) -> UnavailableError:
        return UnavailableError(f"{self._path.name} can't be used: {error}")

    async def _begin_anew(self, error: sqlite3.DatabaseError) -> None:
        self._losses += 1
        await self._reader.disconnect()
        await self._writer.disconnect()
        aside = self._path.with_name(self._path.name + ".damaged")
        logger.error(
            "%s can't be used (%s): it is set aside as %s, and the index is built anew from "
            "the files on disk",
            self._path,
            error,
            aside.name,
        )
        try:
            await asyncio.to_thread(_set_aside, self._path, aside)
            await self._open()
        except (OSError, sqlite3.DatabaseError) as problem:
            await self._open_in_memory(problem)
        else:
            await self._writer.run(partial(_transact, work=self._on_loss()))

    async def _open(self) -> None:
        await asyncio.to_thread(self._path.touch, FILE_MODE)
        await self._writer.connect(self._path, self._prepare)
        await self._reader.connect(self._path, _prepare_reader)

    async def _open_in_memory(self, error: Exception) -> None:
        logger.error(
            "%s can't be opened (%s): until the next start the index is kept in memory, built "
            "from the files on disk; make room there, or let h5sup write there",
            self._path,
            error,
        )
        self.is_in_memory = True
        await self._reader.disconnect()
        await self._writer.disconnect()
        await self._writer.connect(Path(":memory:"), self._prepare)
        await self._writer.run(partial(_transact, work=self._on_loss()))

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == self._version:
            return
        if version or connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
            raise _Unusable(f"it is of version {version}, not {self._version}")
        connection.executescript(
            f"BEGIN IMMEDIATE; {self._script} PRAGMA user_version = {self._version}; COMMIT;"
        )


class _Worker:
    """A thread with a connection that nobody else uses."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._connection: sqlite3.Connection | None = None

    async def connect(self, path: Path, prepare: Work[None]) -> None:
        """Open the file."""
        await self._submit(lambda: self._connect(path, prepare))

    async def disconnect(self) -> None:
        """Let go of the file."""
        await self._submit(self._disconnect)

    async def run(self, work: Work[T]) -> T:
        """Return what `work` returns."""
        return await self._submit(lambda: self._work(work))

    def interrupt(self) -> None:
        """Have what runs end soon, with an error."""
        if self._connection is not None:
            self._connection.interrupt()

    async def close(self) -> None:
        """End the thread after what it does."""
        await self.disconnect()
        await asyncio.to_thread(self._thread.shutdown)

    async def _submit(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _connect(self, path: Path, prepare: Work[None]) -> None:
        # one thread uses it; only interrupt() comes from another
        self._connection = sqlite3.connect(
            path, LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        prepare(self._connection)

    def _work(self, work: Work[T]) -> T:
        if self._connection is None:
            raise _Unusable("it is being made anew")
        return work(self._connection)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Return whether the file has to be made anew; a full disk or a lock passes by itself."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest says where it was met
    return isinstance(error, _Unusable) or code in DAMAGE


def _prepare_reader(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")


def _transact(connection: sqlite3.Connection, work: Work[T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.DatabaseError):  # a full disk has it rolled back by itself
            connection.execute("ROLLBACK")
        raise
    return result


def _check(connection: sqlite3.Connection) -> None:
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise _Unusable(found)


def _has_journal(path: Path) -> bool:
    """Return whether changes wait in a journal: who closes the file leaves none."""
    journal = path.with_name(path.name + "-wal")
    return journal.exists() and journal.stat().st_size > 0


def _set_aside(path: Path, aside: Path) -> None:
    if path.exists():
        path.replace(aside)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
