"""Why something does not lie in mediastore: the gaps of the index."""

from __future__ import annotations

import sqlite3
from dataclasses import fields

from h5sup.store.database import Database
from h5sup.store.media_queries import MAX_ROWS, insert, list_names, overlapping
from h5sup.store.media_records import Gap

GAP_COLUMNS = tuple(field.name for field in fields(Gap))


class GapIndex:
    """The gaps of one media.db. Owned by the MediaIndex; methods raise as its do."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, token: str, start_us: int, *, cause: str, reason: str) -> int:
        """Note that a source is not recorded from now on, and return the gap's id."""
        gap = Gap(token=token, start_us=start_us, end_us=None, cause=cause, reason=reason)
        return await self.add(gap)

    async def add(self, gap: Gap) -> int:
        """Keep a gap and return its id."""
        return await self._database.write(lambda one: insert(one, "gaps", GAP_COLUMNS, gap))

    async def close(self, number: int, end_us: int, *, cause: str = "") -> None:
        """Say when a gap ended; one that ends before it began is taken out."""
        await self._database.write(lambda one: _close_gap(one, number, end_us, cause))

    async def move(self, number: int, start_us: int) -> None:
        """Correct when a gap began; one that has ended before that is taken out."""
        await self._database.write(lambda one: _move_gap(one, number, start_us))

    async def find(
        self, token: str, begin_us: int, end_us: int, *, limit: int = MAX_ROWS
    ) -> list[Gap]:
        """Return the gaps between two moments, oldest first; one that lasts reaches any end."""
        sql, values = overlapping("gaps", GAP_COLUMNS, {"token": token}, begin_us, end_us, limit)
        found = await self._read(sql, *values) if begin_us < end_us else []
        return [
            one
            for one in found
            if one.start_us < end_us and (one.end_us is None or one.end_us > begin_us)
        ][:limit]

    async def find_open(self) -> list[Gap]:
        """Return the gaps that last, or did when an earlier run died."""
        return await self._read(
            f"SELECT {list_names(GAP_COLUMNS)} FROM gaps WHERE end_us IS NULL ORDER BY id"
        )

    async def delete(self, before_us: int) -> None:
        """Forget gaps that ended before a moment."""
        sql = "DELETE FROM gaps WHERE end_us < ?"
        await self._database.write(lambda one: one.execute(sql, (before_us,)))

    async def _read(self, sql: str, *values: str | int) -> list[Gap]:
        return await self._database.read(
            lambda one: [
                Gap(**dict(zip(GAP_COLUMNS, row, strict=True))) for row in one.execute(sql, values)
            ]
        )


def _close_gap(connection: sqlite3.Connection, number: int, end_us: int, cause: str) -> None:
    connection.execute("DELETE FROM gaps WHERE id = ? AND start_us >= ?", (number, end_us))
    connection.execute(
        "UPDATE gaps SET end_us = ?, cause = iif(? = '', cause, ?) WHERE id = ?",
        (end_us, cause, cause, number),
    )


def _move_gap(connection: sqlite3.Connection, number: int, start_us: int) -> None:
    connection.execute("UPDATE gaps SET start_us = ? WHERE id = ?", (start_us, number))
    connection.execute("DELETE FROM gaps WHERE id = ? AND end_us <= start_us", (number,))
