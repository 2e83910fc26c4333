"""Motion by steps, for what a camera can't be told to go on with until it is stopped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from h5sup.base.tasks import report_crash
from h5sup.devices.model import STILL_AFTER_S, DeviceError

STEP_S = 0.5  # what a camera needs to have done one, so that they don't pile up in it
LAST_S = STILL_AFTER_S + 2  # whoever steers ends it before

Step = Callable[[], Awaitable[bool]]
"""Moves by one step and returns whether there is another; raises DeviceError."""


class Stepper:
    """Repeats a step until it is ended. Owned by a Steerable, whose stop() ends it."""

    def __init__(self, logger: logging.Logger, *, step_s: float = STEP_S) -> None:
        self._logger = logger
        self._step_s = step_s
        self._task: asyncio.Task[None] | None = None

    async def begin(self, step: Step) -> None:
        """Take a step now, and more until end(); raises DeviceError if this one fails."""
        await self.end()
        if await step():
            self._task = asyncio.create_task(self._go_on(step), name="steps of a camera")
            self._task.add_done_callback(report_crash)

    async def end(self) -> None:
        """Take no more steps."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _go_on(self, step: Step) -> None:
        try:
            async with asyncio.timeout(LAST_S):
                while True:
                    await asyncio.sleep(self._step_s)
                    if not await step():
                        return
        except TimeoutError:
            self._logger.warning("a motion by steps is ended: nobody did")
        except DeviceError as error:
            self._logger.warning("a motion by steps has ended: %s", error)
