"""Tasks that run as long as their owner, and whose crash is not kept quiet."""

from __future__ import annotations

import asyncio
import logging

logger = logging.getLogger(__name__)


def report_crash(task: asyncio.Task[None]) -> None:
    """Log a bug when it ends a task: nobody waits for one that runs for ever."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        logger.error("%s has crashed", task.get_name(), exc_info=error)
