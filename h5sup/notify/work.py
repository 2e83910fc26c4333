"""Tasks that live as long as their owner, and whose crash is not kept quiet."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from h5sup.base.tasks import end_tasks, start_task


class Work:
    """A few tasks of one owner, who calls `close()`."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Begin something that runs until close()."""
        task = start_task(work, name)
        self._tasks.append(task)

    async def close(self) -> None:
        """End all of it, and wait for that."""
        tasks, self._tasks = self._tasks, []
        await end_tasks(*tasks)
