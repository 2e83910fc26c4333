"""Says when the RAM folder is full: HLS v1 then has no room, and ffmpeg keeps that to itself."""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path

from h5sup.base.tasks import end_tasks, start_task
from h5sup.events.event import DiskLow
from h5sup.events.hub import Hub

CHECK_S = 2.0
FULL_BELOW = 0.05  # of the whole; old segments that leave make a little room for a moment
ROOM_ABOVE = 0.1
MEGABYTE = 1_000_000

logger = logging.getLogger(__name__)


class RamWatch:
    """Looks at the folder from `start()` to `close()`. Owned by the Server."""

    def __init__(self, folder: Path, hub: Hub) -> None:
        self._folder = folder
        self._hub = hub
        self._is_full = False
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._watching = start_task(self._watch(), "RAM folder")

    async def close(self) -> None:
        """Stop watching."""
        await end_tasks(self._watching)

    async def _watch(self) -> None:
        while True:
            await self._check()
            await asyncio.sleep(CHECK_S)

    async def _check(self) -> None:
        """Say once that it is full, and once that there is room again."""
        try:
            usage = await asyncio.to_thread(shutil.disk_usage, self._folder)
        except OSError as error:
            logger.warning("the RAM folder %s can't be looked at: %s", self._folder, error)
            return
        free = usage.free / usage.total if usage.total else 1.0
        if not self._is_full and free < FULL_BELOW:
            self._is_full = True
            self._hub.tell(DiskLow("ram", usage.free, usage.total))
            logger.warning(
                "the RAM folder %s is full (%d of %d MB are free): HLS v1 stands still until "
                "there is room, all else goes on; paths.ram in config.json names another place",
                self._folder,
                usage.free // MEGABYTE,
                usage.total // MEGABYTE,
            )
        elif self._is_full and free > ROOM_ABOVE:
            self._is_full = False
            logger.info("there is room in the RAM folder again")
