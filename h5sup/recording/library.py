"""What has been kept and what has not: searches, gaps and days, for the calls and the pages."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import datetime, tzinfo

from h5sup.base.clock import ServerZone, to_us
from h5sup.recording.names import find_path
from h5sup.store.media_index import MediaIndex
from h5sup.store.media_records import Gap, Kind, StoredFile

MAX_FOUND = 10_000  # of one answer, the oldest: a day in pieces of ten seconds is 8,640


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a month, in the library's zone."""

    number: int
    has_recording: bool
    has_alarm: bool


class Library:
    """Finds what lies in mediastore. Called from the loop; who may see it is asked before."""

    def __init__(self, index: MediaIndex, *, zone: tzinfo | None = None) -> None:
        self.zone = zone or ServerZone()
        """Of days, and of times that name none: the server's own."""
        self._index = index

    async def find_files(
        self, kind: Kind, token: str, begin: datetime, end: datetime
    ) -> list[StoredFile]:
        """Return what overlaps a stretch of time, by its beginning: at most MAX_FOUND files."""
        begin_us, end_us = to_us(begin), to_us(end)
        if begin_us >= end_us:
            return []
        return await self._index.find_files(kind, token, begin_us, end_us, limit=MAX_FOUND)

    async def find_recording(self, kind: Kind, token: str, name: str) -> list[StoredFile]:
        """Return all files of a recording by a name of it, with or without extension."""
        return (await self._index.find_recording(kind, token, name))[:MAX_FOUND]

    async def get(self, number: int) -> StoredFile:
        """Return one file; raises NotFoundError."""
        return await self._index.get(number)

    async def find_path(self, text: str) -> StoredFile | None:
        """Return the file that a client's path means, however it is padded."""
        path = find_path(text)
        return None if path is None else await self._index.find_path(str(path))

    async def find_gaps(self, token: str, begin: datetime, end: datetime) -> list[Gap]:
        """Return what was not recorded though it should have been; at most MAX_FOUND gaps."""
        begin_us, end_us = to_us(begin), to_us(end)
        if begin_us >= end_us:
            return []
        return await self._index.gaps.find(token, begin_us, end_us, limit=MAX_FOUND)

    async def find_days(self, token: str, year: int, month: int) -> list[Day]:
        """Return all days of a month, each with whether something was recorded in it."""
        count = calendar.monthrange(year, month)[1]
        following = (year + month // 12, month % 12 + 1, 1)
        dates = [*((year, month, number) for number in range(1, count + 1)), following]
        edges_us = [to_us(datetime(*date, tzinfo=self.zone)) for date in dates]
        found = await self._index.find_days(token, edges_us)
        return [Day(number, *flags) for number, flags in enumerate(found, 1)]
