"""What lies in mediastore: the index of its files, with their gaps and archives beside them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from h5sup.base.errors import NotFoundError
from h5sup.store.database import Database
from h5sup.store.media_archives import ArchiveIndex
from h5sup.store.media_gaps import GapIndex
from h5sup.store.media_queries import MAX_ROWS, insert, list_names, overlapping
from h5sup.store.media_records import Kind, StoredFile, Total
from h5sup.store.media_schema import SPANS, TABLES, VERSION, find_earliest

FILE_NAME = "media.db"
EXTENSIONS = (".mp4", ".jpg")  # clients may leave them out


FILE_COLUMNS = tuple(field.name for field in fields(StoredFile))


class MediaIndex:
    """The files of one data folder, in `media.db`; `open()` comes first, `close()` last.

    Called from the loop. Each change is one transaction: after a crash it is there or not at all.
    How far a growing file has come is kept in memory alone, as the file itself tells it after a
    crash. Methods raise UnavailableError when the disk below `data` refuses.
    """

    def __init__(self, folder: Path) -> None:
        self.on_loss: Callable[[], None] = _ignore
        """Called when the index had to be begun anew: the files on disk have to be found again."""
        self._growing: dict[int, StoredFile] = {}
        self._database = Database(
            folder / FILE_NAME, script=TABLES, version=VERSION, on_loss=self._lose
        )
        self.gaps = GapIndex(self._database)
        self.archives = ArchiveIndex(self._database)
        self.is_lost = False
        """Whether it was begun anew since the start."""

    @property
    def is_in_memory(self) -> bool:
        """Whether media.db can't be written: all is gone after the end."""
        return self._database.is_in_memory

    async def open(self) -> None:
        """Open media.db; one that can't be used is set aside or passed over, with a log line."""
        await self._database.open()

    async def close(self) -> None:
        """Finish what is being written."""
        await self._database.close()

    @property
    def was_cut_off(self) -> bool:
        """Whether the last run died: its files may have been cut off, and media.db harmed."""
        return self._database.was_cut_off

    async def check(self) -> None:
        """Look for damage, which can take seconds; it is met with a new beginning."""
        await self._database.check()

    async def add(self, file: StoredFile) -> int:
        """Keep a file, in place of one with the same path, and return its id."""
        (number,) = await self.add_all([file])
        return number

    async def add_all(self, files: Sequence[StoredFile]) -> list[int]:
        """Keep files as one change and return their ids."""
        found = await self._database.write(lambda one: [_put_file(one, file) for file in files])
        for number, file in zip(found, files, strict=True):
            if file.is_growing:
                self._growing[number] = replace(file, id=number)
            else:
                self._growing.pop(number, None)
        return found

    def grow(self, number: int, *, end_us: int, size_bytes: int) -> None:
        """Say how far a file has come that was added as growing. Costs nothing."""
        if (file := self._growing.get(number)) is not None:
            self._growing[number] = replace(file, end_us=end_us, size_bytes=size_bytes)

    async def finish(self, number: int, *, end_us: int, size_bytes: int) -> None:
        """Say that a file grows no more."""
        growing = self._growing.get(number)
        if growing is not None:  # the whole row: a new beginning may have lost it
            done = replace(growing, end_us=end_us, size_bytes=size_bytes, is_growing=False)
            await self._database.write(lambda one: _put_file(one, done))
            self._growing.pop(number, None)
            return
        await self._database.write(
            lambda one: one.execute(
                "UPDATE files SET end_us = ?, size_bytes = ?, is_growing = 0 WHERE id = ?",
                (end_us, size_bytes, number),
            )
        )

    def leave(self, number: int) -> None:
        """Say that a file grows no more and could not be closed: healing will look at it."""
        self._growing.pop(number, None)

    async def delete(self, numbers: Iterable[int]) -> None:
        """Forget files, as one change; unknown ones are ignored."""
        gone = [(number,) for number in numbers]
        await self._database.write(
            lambda one: one.executemany("DELETE FROM files WHERE id = ?", gone)
        )
        for (number,) in gone:
            self._growing.pop(number, None)

    async def get(self, number: int) -> StoredFile:
        """Return one file; raises NotFoundError."""
        found = await self._select("WHERE id = ?", number)
        if not found:
            raise NotFoundError(f"there is no file {number} in the index")
        return found[0]

    async def find_path(self, path: str) -> StoredFile | None:
        """Return the file of exactly this path below mediastore."""
        found = await self._select("WHERE path = ?", path)
        return found[0] if found else None

    async def find_files(
        self, kind: Kind, token: str, begin_us: int, end_us: int, *, limit: int = MAX_ROWS
    ) -> list[StoredFile]:
        """Return what has media from `begin_us` up to `end_us`, oldest beginning first.

        A range that is reversed or empty holds nothing.
        """
        sql, values = overlapping(
            "files", FILE_COLUMNS, {"kind": kind, "token": token}, begin_us, end_us, limit
        )
        found = await self._read_files(sql, *values) if begin_us < end_us else []
        return [one for one in found if _overlaps(one, begin_us, end_us)][:limit]

    async def find_days(self, token: str, edges_us: Sequence[int]) -> list[tuple[bool, bool]]:
        """Return for each day between two edges if it has a recording, and one of an alarm."""
        days = list(pairwise(edges_us))
        growing = [
            one for one in self._growing.values() if (one.kind, one.token) == ("record", token)
        ]

        def look(connection: sqlite3.Connection) -> list[tuple[bool, bool]]:
            return [
                (
                    _has_record(connection, token, *day),
                    _has_record(connection, token, *day, "AND \"trigger\" = 'alarm'"),
                )
                for day in days
            ]

        found = await self._database.read(look)
        for number, day in enumerate(days):
            for one in growing:
                if _overlaps(one, *day):
                    found[number] = (True, found[number][1] or one.trigger == "alarm")
        return found

    async def find_recording(self, kind: Kind, token: str, name: str) -> list[StoredFile]:
        """Return all files of a recording in their order, with or without the extension.

        The name may be that of the recording or of any of its files.
        """
        names = (name, *(name + extension for extension in EXTENSIONS))
        values, marks = ", ".join(["(?)"] * len(names)), ", ".join("?" * len(names))
        # one list of names: with an OR all files of the source would be gone through
        called = (
            f"VALUES {values} UNION SELECT recording FROM files "
            f"WHERE kind = ? AND token = ? AND filename IN ({marks})"
        )
        return await self._select(
            f"WHERE kind = ? AND token = ? AND recording IN ({called}) "
            f"ORDER BY start_us, id LIMIT {MAX_ROWS}",
            *(kind, token, *names),
            *(kind, token, *names),
        )

    async def find_below(self, folder: str) -> list[StoredFile]:
        """Return the files whose path begins with `folder` and a slash, in the paths' order."""
        return await self._select(
            f"WHERE path > ? AND path < ? ORDER BY path LIMIT {MAX_ROWS}",
            f"{folder}/",
            f"{folder}0",  # the letter after the slash
        )

    async def find_after(self, number: int, limit: int) -> list[StoredFile]:
        """Return the next files by id, so that all can be gone through piece by piece."""
        return await self._select("WHERE id > ? ORDER BY id LIMIT ?", number, limit)

    async def find_growing(self) -> list[StoredFile]:
        """Return what is marked as growing: by this run, or by one that died."""
        return await self._select("WHERE is_growing = 1 ORDER BY id")

    def is_written(self, number: int) -> bool:
        """Return whether a file grows in this run."""
        return number in self._growing

    async def find_oldest(
        self, kind: Kind, *, token: str = "", before_us: int | None = None, limit: int = 100
    ) -> list[StoredFile]:
        """Return finished files whose end lies furthest back, perhaps only those before a moment.

        Those of one source come by their beginning.
        """
        end_us = before_us if before_us is not None else 2**62
        if not token:
            return await self._select(
                "WHERE kind = ? AND is_growing = 0 AND end_us < ? ORDER BY end_us, id LIMIT ?",
                kind,
                end_us,
                limit,
            )
        each = (
            f"SELECT * FROM (SELECT {list_names(FILE_COLUMNS)} FROM files WHERE kind = ? "
            f"AND token = ? AND span = {span} AND end_us < ? ORDER BY start_us LIMIT ?)"
            for span in SPANS[1:]
        )
        sql = f"{' UNION ALL '.join(each)} ORDER BY start_us, id LIMIT ?"
        values = (kind, token, end_us, limit) * len(SPANS[1:])
        return await self._read_files(sql, *values, limit)

    async def find_totals(self, *, from_day: int = 0) -> list[Total]:
        """Return the sums of finished files by kind, source and day."""
        sql = (
            "SELECT kind, token, day, files, size_bytes, duration_us FROM days "
            "WHERE day >= ? ORDER BY kind, token, day"
        )
        rows = await self._database.read(lambda one: one.execute(sql, (from_day,)).fetchall())
        return [Total(*row) for row in rows]

    async def find_sizes(self) -> dict[tuple[Kind, str], int]:
        """Return how many bytes the finished files of each kind and source take."""
        sql = "SELECT kind, token, sum(size_bytes) FROM days GROUP BY kind, token"
        rows = await self._database.read(lambda one: one.execute(sql).fetchall())
        return {(kind, token): size_bytes for kind, token, size_bytes in rows}

    def growing(self) -> list[StoredFile]:
        """Return what grows in this run, as it is now; not yet in the totals."""
        return list(self._growing.values())

    async def clear_files(self) -> None:
        """Forget all files that don't grow in this run; gaps stay, for no disk tells of them."""
        kept = [(number,) for number in self._growing]
        await self._database.write(lambda one: _clear_files(one, kept))

    async def note(self, name: str, number: int) -> None:
        """Keep a number under a name."""
        sql = "INSERT INTO notes VALUES (?, ?) ON CONFLICT DO UPDATE SET number = excluded.number"
        await self._database.write(lambda one: one.execute(sql, (name, number)))

    async def find_note(self, name: str) -> int | None:
        """Return a number that was noted."""
        sql = "SELECT number FROM notes WHERE name = ?"
        row = await self._database.read(lambda one: one.execute(sql, (name,)).fetchone())
        return None if row is None else int(row[0])

    async def _select(self, rest: str, *values: str | int) -> list[StoredFile]:
        sql = f"SELECT {list_names(FILE_COLUMNS)} FROM files {rest}"
        return await self._read_files(sql, *values)

    async def _read_files(self, sql: str, *values: str | int) -> list[StoredFile]:
        """Return the rows; what grows is as far as it is now."""
        found = await self._database.read(
            lambda one: [_file(row) for row in one.execute(sql, values)]
        )
        return [self._growing.get(one.id, one) for one in found]

    def _lose(self) -> Callable[[sqlite3.Connection], None]:
        self.is_lost = True
        self.on_loss()
        growing = list(self._growing.values())
        return lambda one: _put_files(one, growing)


def _ignore() -> None:
    pass


def _has_record(
    connection: sqlite3.Connection, token: str, begin_us: int, end_us: int, also: str = ""
) -> bool:
    """Return whether a finished recording reaches into a stretch of time."""
    for span in SPANS[1:]:
        sql = (
            "SELECT 1 FROM files WHERE kind = 'record' AND token = ? AND span = ? "
            f"AND start_us < ? AND start_us >= ? AND (start_us >= ? OR end_us > ?) {also} LIMIT 1"
        )
        earliest_us = find_earliest(span, begin_us)
        since_us = -(2**62) if earliest_us is None else earliest_us
        values = (token, span, end_us, since_us, begin_us, begin_us)
        if connection.execute(sql, values).fetchone() is not None:
            return True
    return False


def _overlaps(file: StoredFile, begin_us: int, end_us: int) -> bool:
    """Return whether a file lies in the range; a snapshot is a moment, and has no length."""
    return begin_us <= file.start_us < end_us or file.start_us < begin_us < min(
        file.end_us, end_us
    )


def _file(row: tuple[Any, ...]) -> StoredFile:
    values = dict(zip(FILE_COLUMNS, row, strict=True))
    values["is_growing"] = bool(values["is_growing"])
    return StoredFile(**values)


def _put_file(connection: sqlite3.Connection, file: StoredFile) -> int:
    changes = ", ".join(
        f'"{column}" = excluded."{column}"' for column in FILE_COLUMNS if column != "id"
    )
    return insert(
        connection,
        "files",
        FILE_COLUMNS,
        file,
        f"ON CONFLICT (path) DO UPDATE SET {changes} ON CONFLICT (id) DO UPDATE SET {changes}",
    )


def _put_files(connection: sqlite3.Connection, files: list[StoredFile]) -> None:
    for file in files:
        _put_file(connection, file)


def _clear_files(connection: sqlite3.Connection, kept: list[tuple[int]]) -> None:
    connection.execute("CREATE TEMP TABLE kept (id INTEGER PRIMARY KEY)")
    connection.executemany("INSERT INTO kept VALUES (?)", kept)
    connection.execute("DELETE FROM files WHERE id NOT IN (SELECT id FROM kept)")
    connection.execute("DROP TABLE kept")
