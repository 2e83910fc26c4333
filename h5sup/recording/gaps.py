"""The ledger of what should have been recorded and was not, and why.

Causes, as they stand in the index: OFFLINE, DISK, LOST, RESTART, CLOCK. What nobody wanted
recorded (switched off, outside the hours) is no gap.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from h5sup.base.errors import UnavailableError
from h5sup.base.logs import redact
from h5sup.base.tasks import start_task
from h5sup.store.media_index import MediaIndex
from h5sup.store.media_records import Gap

OFFLINE = "offline"  # the source gave no pictures; the reason is its own
DISK = "disk"  # it was full, read-only, failed, or too slow
LOST = "lost"  # the source was there, and pictures of it did not come
RESTART = "restart"  # h5sup did not run
CLOCK = "clock"  # the machine's clock was set forward: there never was such a time

MAX_WAITING = 10_000  # changes for an index that can't be written

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Open:
    """A gap that lasts."""

    cause: str
    number: int = 0
    """In the index, once it is there."""


class Ledger:
    """All gaps; changes are written in their order, one after another. Never waits.

    `start()` comes first, `close()` last.
    """

    def __init__(self, index: MediaIndex) -> None:
        self._index = index
        self._open: dict[str, _Open] = {}
        self._waiting: deque[Callable[[], Awaitable[None]]] = deque()
        self._has_some = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._is_closing = False

    async def start(self) -> None:
        """Take up the gaps that lasted when h5sup stopped."""
        for gap in await self._index.gaps.find_open():
            if gap.token in self._open:
                await self._index.gaps.close(self._open[gap.token].number, gap.start_us)
            self._open[gap.token] = _Open(gap.cause, gap.id)
        self._writing = start_task(self._write(), "gaps")

    async def close(self) -> None:
        """Write what waits."""
        self._is_closing = True
        self._has_some.set()
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)

    def cause(self, token: str) -> str:
        """Return why a source is not recorded now; empty while it is."""
        gap = self._open.get(token)
        return gap.cause if gap is not None else ""

    def tokens(self) -> list[str]:
        """Return the sources that are not recorded now."""
        return list(self._open)

    def begin(self, token: str, at_us: int, cause: str, reason: str) -> None:
        """Say that a source is not recorded from now on; another cause ends the one before."""
        before = self._open.get(token)
        if before is not None:
            if before.cause == cause:
                return
            self.end(token, at_us)
        gap = self._open[token] = _Open(cause)
        self._later(partial(self._open_gap, gap, token, at_us, redact(reason)))

    def end(self, token: str, at_us: int) -> None:
        """Say that a source is recorded again, or needs not be; twice is harmless."""
        gap = self._open.pop(token, None)
        if gap is not None:
            self._later(partial(self._close_gap, gap, at_us))

    def add(self, token: str, start_us: int, end_us: int, cause: str, reason: str) -> None:
        """Note a gap that is over."""
        gap = Gap(
            token=token, start_us=start_us, end_us=end_us, cause=cause, reason=redact(reason)
        )
        self._later(partial(self._add_gap, gap))

    def _later(self, work: Callable[[], Awaitable[None]]) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
        self._waiting.append(work)
        self._has_some.set()

    async def _write(self) -> None:
        while True:
            while self._waiting:
                work = self._waiting.popleft()
                try:
                    await work()
                except UnavailableError as error:
                    logger.warning("a gap is not noted: %s", error)
            if self._is_closing:
                return
            self._has_some.clear()
            await self._has_some.wait()

    async def _open_gap(self, gap: _Open, token: str, at_us: int, reason: str) -> None:
        gap.number = await self._index.gaps.open(token, at_us, cause=gap.cause, reason=reason)

    async def _close_gap(self, gap: _Open, at_us: int) -> None:
        if gap.number:
            await self._index.gaps.close(gap.number, at_us)

    async def _add_gap(self, gap: Gap) -> None:
        await self._index.gaps.add(gap)
