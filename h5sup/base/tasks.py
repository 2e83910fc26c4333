"""Tasks that run as long as their owner, and whose crash is not kept quiet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

logger = logging.getLogger(__name__)


def report_crash(task: asyncio.Task[Any]) -> None:
    """Log a bug when it ends a task: nobody waits for one that runs for ever."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        logger.error("%s has crashed", task.get_name(), exc_info=error)


def start_task(running: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """Start what runs as long as its owner; its crash is logged when it happens."""
    task = asyncio.create_task(running, name=name)
    task.add_done_callback(report_crash)
    return task


async def end_tasks(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel tasks and wait until they have ended, however that is; None stands for none."""
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
