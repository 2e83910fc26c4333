"""Tasks that live as long as their owner, and whose crash is not kept quiet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

logger = logging.getLogger(__name__)


class Work:
    """A few tasks of one owner, who calls `close()`."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Begin something that runs until close()."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_report)
        self._tasks.append(task)

    async def close(self) -> None:
        """End all of it, and wait for that."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _report(task: asyncio.Task[None]) -> None:
    """Log a bug when it ends a task: nobody waits for one that runs for ever."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        logger.error("%s has crashed", task.get_name(), exc_info=error)
