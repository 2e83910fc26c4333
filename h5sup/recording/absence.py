"""The time in which h5sup did not run, as gaps: until when it ran is noted while it does."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from h5sup.base.errors import UnavailableError
from h5sup.base.tasks import start_task
from h5sup.store.media_index import MediaIndex
from h5sup.store.media_records import StoredFile
from h5sup.store.media_schema import SECOND_US

RESTART = "restart"
REASON = "h5sup did not run"
NOTE = "alive_us"
NOTE_S = 30.0  # what a crash makes a gap too long by, until its recordings have been looked at
FOR_EVER_US = 2**62
BY_ITSELF = ("always", "schedule")  # what is wanted again after a restart

logger = logging.getLogger(__name__)


class Absence:
    """`settle()` comes before anything records, then `start()`, and `close()` at the end."""

    def __init__(self, index: MediaIndex, wall_s: Callable[[], float] = time.time) -> None:
        self._index = index
        self._wall_s = wall_s
        self._gaps: dict[str, int] = {}
        """By source: what was begun here, and is as exact as the note."""
        self._ends_us: dict[str, int] = {}
        self._noting: asyncio.Task[None] | None = None

    async def settle(self) -> None:
        """Divide gaps that lasted when the last run ended, and begin those of what it recorded."""
        try:
            await self._settle()
        except UnavailableError as error:
            logger.warning("the time without h5sup is not noted: %s", error)

    async def _settle(self) -> None:
        alive_us = await self._index.find_note(NOTE)
        if alive_us is None:
            return
        missing = {}
        for gap in await self._index.gaps.find_open():
            if gap.cause != RESTART:  # else a run that ended in order has begun it
                await self._index.gaps.close(gap.id, alive_us)
                missing[gap.token] = max(alive_us, gap.start_us)
        for file in await self._index.find_growing():
            if file.trigger in BY_ITSELF and file.token not in missing:
                missing[file.token] = await self._find_end(file, alive_us)
        for token, start_us in missing.items():
            self._gaps[token] = await self._index.gaps.open(
                token, start_us, cause=RESTART, reason=REASON
            )

    async def _find_end(self, growing: StoredFile, alive_us: int) -> int:
        """Return up to when a source was recorded for sure, its files before this one included."""
        found = await self._index.find_files("record", growing.token, alive_us, FOR_EVER_US)
        return max(alive_us, growing.end_us, *(file.end_us for file in found))

    async def correct(self, file: StoredFile) -> None:
        """Learn how far a recording of the last run has come: its source's gap begins there."""
        number = self._gaps.get(file.token)
        if number is None or file.trigger not in BY_ITSELF:
            return
        if file.end_us > self._ends_us.get(file.token, 0):  # of several the last one counts
            self._ends_us[file.token] = file.end_us
            await self._index.gaps.move(number, file.end_us)

    def start(self) -> None:
        """Begin to note that h5sup runs."""
        self._noting = start_task(self._note_on(), "recording: alive")

    async def close(self) -> None:
        """Note it for the last time."""
        if self._noting is not None:
            self._noting.cancel()
            await asyncio.gather(self._noting, return_exceptions=True)
            await self._note()

    async def _note_on(self) -> None:
        while True:
            await self._note()
            await asyncio.sleep(NOTE_S)

    async def _note(self) -> None:
        try:
            await self._index.note(NOTE, int(self._wall_s() * SECOND_US))
        except UnavailableError as error:
            logger.warning("how long h5sup ran is not noted: %s", error)
