"""The archives that were asked for, and what became of them."""

from __future__ import annotations

import sqlite3
from dataclasses import fields

from h5sup.store.database import Database
from h5sup.store.media_queries import insert, list_names
from h5sup.store.media_records import Archive, ArchiveState

ARCHIVE_COLUMNS = tuple(field.name for field in fields(Archive))
MAX_ARCHIVES = 1000  # whose fate is kept; files are found without


class ArchiveIndex:
    """The archives of one media.db. Owned by the MediaIndex; methods raise as its do."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, archive: Archive) -> None:
        """Keep an archive that was asked for; the oldest are forgotten."""
        await self._database.write(lambda one: _put_archive(one, archive))

    async def set_state(self, archive: Archive, state: ArchiveState, reason: str = "") -> None:
        """Say what has become of an archive; ids may mean others after a new beginning."""
        sql = "UPDATE archives SET state = ?, reason = ? WHERE token = ? AND filename = ?"
        values = (state, reason, archive.token, archive.filename)
        await self._database.write(lambda one: one.execute(sql, values))

    async def find(self, token: str, filename: str) -> Archive | None:
        """Return the archive of this name."""
        found = await self._read("WHERE token = ? AND filename = ?", token, filename)
        return found[0] if found else None

    async def find_unfinished(self) -> list[Archive]:
        """Return the archives that wait or are being made, or were when an earlier run died."""
        return await self._read("WHERE state IN ('waiting', 'running') ORDER BY id")

    async def _read(self, rest: str, *values: str) -> list[Archive]:
        sql = f"SELECT {list_names(ARCHIVE_COLUMNS)} FROM archives {rest}"
        return await self._database.read(
            lambda one: [
                Archive(**dict(zip(ARCHIVE_COLUMNS, row, strict=True)))
                for row in one.execute(sql, values)
            ]
        )


def _put_archive(connection: sqlite3.Connection, archive: Archive) -> None:
    number = insert(connection, "archives", ARCHIVE_COLUMNS, archive)
    connection.execute("DELETE FROM archives WHERE id <= ?", (number - MAX_ARCHIVES,))
