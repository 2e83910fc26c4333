"""An event loop whose time passes only while nothing else is left to do: exact and quick."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer once all threads have done what the loop asked of them."""

    def __init__(self) -> None:
        selector = _Selector()
        super().__init__(selector)
        selector.loop = self
        self.now_s = 1000.0
        self.jobs = 0

    def time(self) -> float:
        return self.now_s

    def run_in_executor(  # type: ignore[override]  # typeshed has a *Ts here
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        self.jobs += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._end_job)
        return future

    def _end_job(self, future: asyncio.Future[Any]) -> None:
        del future
        self.jobs -= 1


class _Selector(selectors.DefaultSelector):
    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0 or self.loop.jobs > 0:
            return super().select(timeout if not timeout else min(timeout, 0.01))
        if found := super().select(0):
            return found
        self.loop.now_s += timeout
        return []


def run_virtually(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
