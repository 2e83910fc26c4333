"""The tables of media.db.

What overlaps a stretch of time is found by its beginning, and how far back one has to look depends
on how long things are. So each row carries a class of length, and each class is searched only as
far back as its longest can reach: one day is found as fast beside files of 24 hours as without.
"""

from __future__ import annotations

VERSION = 2  # media.db's user_version; another one's file is set aside and built anew

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
ONGOING = 0  # the class of what has no end yet
REACHES_US = (600 * SECOND_US, 4_200 * SECOND_US, 90_000 * SECOND_US)
"""The longest of the classes from 1 on: what is cut every five minutes, what is cut every hour and
ends with its GOP, what is recorded by hand for a day. One more class has the rest."""
SPANS = range(ONGOING, len(REACHES_US) + 2)


def find_earliest(span: int, begin_us: int) -> int | None:
    """Return the first beginning of a class that can reach `begin_us`; None for any."""
    is_bounded = ONGOING < span <= len(REACHES_US)
    return begin_us - REACHES_US[span - 1] if is_bounded else None


def _span(is_ongoing: str) -> str:
    """Return the column with the class of length."""
    steps = " ".join(
        f"WHEN end_us - start_us <= {reach_us} THEN {span}"
        for span, reach_us in enumerate(REACHES_US, 1)
    )
    return (
        "span INTEGER GENERATED ALWAYS AS "
        f"(CASE WHEN {is_ongoing} THEN {ONGOING} {steps} ELSE {SPANS[-1]} END) VIRTUAL"
    )


def _count(row: str, sign: str) -> str:
    """Return what adds a file to the sums of its day, or takes it out again."""
    return f"""
    INSERT INTO days (kind, token, day, files, size_bytes, duration_us)
    VALUES ({row}.kind, {row}.token, {row}.start_us / {DAY_US},
            {sign}1, {sign}{row}.size_bytes, {sign}max(0, {row}.end_us - {row}.start_us))
    ON CONFLICT DO UPDATE SET files = files + excluded.files,
        size_bytes = size_bytes + excluded.size_bytes,
        duration_us = duration_us + excluded.duration_us;
    """


_FORGET_EMPTY_DAY = f"""
    DELETE FROM days WHERE kind = old.kind AND token = old.token
        AND day = old.start_us / {DAY_US} AND files = 0;
"""

# The sums follow by triggers, so they are right after a crash at any moment.
TABLES = f"""
CREATE TABLE files (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    token TEXT NOT NULL,
    path TEXT NOT NULL UNIQUE,
    filename TEXT NOT NULL,
    recording TEXT NOT NULL,
    "trigger" TEXT NOT NULL,
    start_us INTEGER NOT NULL,
    end_us INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    is_growing INTEGER NOT NULL,
    codecs TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    {_span("is_growing")}
);
CREATE INDEX files_by_time ON files (kind, token, span, start_us);
CREATE INDEX files_by_age ON files (kind, end_us) WHERE is_growing = 0;
CREATE INDEX files_growing ON files (id) WHERE is_growing = 1;
CREATE INDEX files_by_name ON files (kind, token, filename);
CREATE INDEX files_by_recording ON files (kind, token, recording);
CREATE TABLE days (
    kind TEXT NOT NULL,
    token TEXT NOT NULL,
    day INTEGER NOT NULL,
    files INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    PRIMARY KEY (kind, token, day)
) WITHOUT ROWID;
CREATE TRIGGER file_added AFTER INSERT ON files BEGIN {_count("new", "+")} END;
CREATE TRIGGER file_changed AFTER UPDATE ON files BEGIN
    {_count("old", "-")} {_count("new", "+")} {_FORGET_EMPTY_DAY}
END;
CREATE TRIGGER file_deleted AFTER DELETE ON files BEGIN
    {_count("old", "-")} {_FORGET_EMPTY_DAY}
END;
CREATE TABLE gaps (
    id INTEGER PRIMARY KEY,
    token TEXT NOT NULL,
    start_us INTEGER NOT NULL,
    end_us INTEGER,
    cause TEXT NOT NULL,
    reason TEXT NOT NULL,
    {_span("end_us IS NULL")}
);
CREATE INDEX gaps_by_time ON gaps (token, span, start_us);
CREATE INDEX gaps_by_age ON gaps (end_us);
CREATE TABLE archives (
    id INTEGER PRIMARY KEY,
    token TEXT NOT NULL,
    filename TEXT NOT NULL,
    path TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX archives_by_name ON archives (token, filename);
CREATE TABLE notes (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
"""
