"""Work that runs while somebody holds it, and a little longer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class OnDemand:
    """Runs one coroutine at a time: always, or while it is held. Used from the event loop alone.

    A run that is ending is waited for before the next one begins: they share pipes and rings.
    """

    def __init__(
        self,
        run: Callable[[], Coroutine[Any, Any, None]],
        *,
        name: str,
        linger_s: float,
        always: bool = False,
        on_idle: Callable[[], None] = lambda: None,
    ) -> None:
        """Take what to run until it is cancelled; `on_idle` follows when nobody wants it."""
        self.always = always
        self.holders = 0
        self._run = run
        self._name = name
        self._linger_s = linger_s
        self._on_idle = on_idle
        self._task: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._linger: asyncio.TimerHandle | None = None

    @property
    def is_running(self) -> bool:
        """Return whether it is at work and not about to end."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Run, if it does not run already."""
        self._stay()
        if not self.is_running:
            self._task = asyncio.create_task(self._follow(set(self._ending)), name=self._name)

    def hold(self) -> None:
        """Run at least until the matching release()."""
        self.holders += 1
        self.start()

    def release(self) -> None:
        """Stop a while after the last holder left, unless it always runs."""
        self.holders -= 1
        if self.holders == 0 and not self.always:
            loop = asyncio.get_running_loop()
            self._linger = loop.call_later(self._linger_s, self._stop_idle)

    async def aclose(self) -> None:
        """Stop now."""
        self._stay()
        ending = set(self._ending)  # told already: to tell them twice would break their end off
        self._ending.clear()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            ending.add(task)
        await asyncio.gather(*ending, return_exceptions=True)

    async def _follow(self, before: set[asyncio.Task[None]]) -> None:
        if before:
            await asyncio.wait(before)
        await self._run()

    def _stop_idle(self) -> None:
        self._linger = None
        ending, self._task = self._task, None
        if ending is not None:
            self._ending.add(ending)
            ending.cancel()
            ending.add_done_callback(self._after_idle_stop)

    def _after_idle_stop(self, ended: asyncio.Task[None]) -> None:
        if ended in self._ending:
            self._ending.remove(ended)
            if not self._ending and not self.is_running:
                self._on_idle()

    def _stay(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
