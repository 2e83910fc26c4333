"""Which recorded files a playback consists of, and in which order. Pure, but for what it asks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from h5sup.store.media_records import Kind, StoredFile

JOIN_US = (
    200_000  # files of one source that begin so close to where another ends follow each other
)
LEAST_US = 50_000  # what is not worth the change to another file
FILES_AT_ONCE = 64
LOOK_AHEAD_US = 21_600_000_000  # six hours first: a month has thousands of files
LOOK_BACK_US = 3_600_000_000  # an hour, then longer
MAX_FILES = 100_000
FOR_EVER_US = 1 << 62


class FileIndex(Protocol):
    """Where files are listed."""

    async def find_files(
        self, kind: Kind, token: str, begin_us: int, end_us: int, *, limit: int
    ) -> list[StoredFile]:
        """Return what has media in a range, oldest beginning first."""

    async def find_recording(self, kind: Kind, token: str, name: str) -> list[StoredFile]:
        """Return all files of a recording in their order."""


class Programme:
    """A range of time, or all files of one recording. Asked anew for each file: more may come."""

    def __init__(
        self,
        index: FileIndex,
        token: str,
        *,
        begin_us: int = 0,
        end_us: int = FOR_EVER_US,
        name: str = "",
    ) -> None:
        self.begin_us = begin_us
        self.end_us = end_us
        self._index = index
        self._token = token
        self._name = name

    async def files(self, at_us: int) -> list[StoredFile]:
        """Return the next files that have media after a moment, oldest beginning first."""
        if self._name:
            found = await self._index.find_recording("record", self._token, self._name)
            return [one for one in found if one.end_us > at_us or one.is_growing]
        soon_us = min(self.end_us, at_us + LOOK_AHEAD_US)
        return await self._find(at_us, soon_us) or await self._find(at_us, self.end_us)

    async def all_files(self) -> list[StoredFile]:
        """Return all there is now, oldest beginning first."""
        if self._name:
            return await self.files(0)
        return await self._index.find_files(
            "record", self._token, self.begin_us, self.end_us, limit=MAX_FILES
        )

    async def last(self, before_us: int) -> StoredFile | None:
        """Return the last file of all that begin before a moment."""
        end_us = min(before_us, self.end_us)
        if self._name:
            found = await self.files(0)
            return found[-1] if found else None
        back_us = LOOK_BACK_US
        while True:
            begin_us = max(self.begin_us, end_us - back_us)
            found = await self._index.find_files(
                "record", self._token, begin_us, end_us, limit=MAX_FILES
            )
            if found or begin_us == self.begin_us:
                return max(found, key=_lasting, default=None)
            back_us *= 4

    async def _find(self, begin_us: int, end_us: int) -> list[StoredFile]:
        return await self._index.find_files(
            "record", self._token, begin_us, end_us, limit=FILES_AT_ONCE
        )


def choose(files: Sequence[StoredFile], at_us: int, played: Collection[int]) -> StoredFile | None:
    """Return the file to go on with at a moment, but for those that were played to their end.

    Of several that were recorded at the same time that which lasts longest: of the fewest joins.
    """
    left = [
        one
        for one in files
        if one.id not in played and (one.is_growing or one.end_us > at_us + LEAST_US)
    ]
    covering = [one for one in left if one.start_us <= at_us + JOIN_US]
    if covering:
        return max(covering, key=_lasting)
    return min(left, key=_start, default=None)


def _lasting(file: StoredFile) -> tuple[bool, int]:
    return file.is_growing, file.end_us


def _start(file: StoredFile) -> tuple[int, int]:
    return file.start_us, -file.end_us
