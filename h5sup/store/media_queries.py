"""What the queries of media.db have in common."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from h5sup.store.media_records import Archive, Gap, StoredFile
from h5sup.store.media_schema import ONGOING, SPANS, find_earliest

MAX_ROWS = 100_000  # of one answer; a day in pieces of ten seconds is 8,640
MAX_ONGOING = 1000  # more files than that never grow at once, nor did when a run died


def list_names(columns: Iterable[str]) -> str:
    """Return names of columns for a query."""
    return ", ".join(f'"{column}"' for column in columns)


def overlapping(
    table: str,
    columns: Sequence[str],
    where: dict[str, str],
    begin_us: int,
    end_us: int,
    limit: int,
) -> tuple[str, list[str | int]]:
    """Return the query for what reaches into a stretch of time, and its values.

    Of what has no end yet it finds all that began before: how far it has come is not in the table.
    """
    names = list_names(columns)
    same = " AND ".join(f"{column} = ?" for column in where)
    parts, values = [], list[str | int]()
    for span in SPANS:
        part = f"SELECT {names} FROM {table} WHERE {same} AND span = {span} AND start_us < ?"
        values += [*where.values(), end_us]
        earliest_us = find_earliest(span, begin_us)
        if earliest_us is not None:
            part += " AND start_us >= ?"
            values.append(earliest_us)
        if span != ONGOING:
            part += " AND (start_us >= ? OR end_us > ?)"
            values += [begin_us, begin_us]
        parts.append(part)
    ongoing = MAX_ONGOING  # of those, so many may turn out to have ended before
    return f"{' UNION ALL '.join(parts)} ORDER BY start_us, id LIMIT {limit + ongoing}", values


def insert(
    connection: sqlite3.Connection,
    table: str,
    columns: tuple[str, ...],
    record: StoredFile | Gap | Archive,
    conflict: str = "",
) -> int:
    """Insert all but the id where it is 0, and return the id."""
    used = columns if record.id else tuple(column for column in columns if column != "id")
    values = [getattr(record, column) for column in used]
    marks = ", ".join("?" * len(used))
    sql = f"INSERT INTO {table} ({list_names(used)}) VALUES ({marks}) {conflict} RETURNING id"
    (number,) = connection.execute(sql, values).fetchone()
    return int(number)
