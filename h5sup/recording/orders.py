"""Recordings that run until somebody or their time ends them: kept over a restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from h5sup.base.errors import UnavailableError
from h5sup.recording.recording import Order, Recording

logger = logging.getLogger(__name__)


class OrderStore(Protocol):
    """Where orders are kept."""

    async def recordings(self) -> list[dict[str, Any]]:
        """Return them as they were saved."""

    async def save_recording(self, raw: Mapping[str, Any]) -> None:
        """Keep one, in place of one with the same key."""

    async def delete_recording(self, key: str) -> None:
        """Forget one."""


class OrderBook:
    """All orders, and when they end. Used from the event loop; `close()` comes last."""

    def __init__(
        self, store: OrderStore, wall: Callable[[], float], end: Callable[[Recording], None]
    ) -> None:
        """Take what ends a recording whose time is over."""
        self._store = store
        self._wall = wall
        self._end = end
        self._timers: dict[str, asyncio.TimerHandle] = {}  # by the order's key
        self._forgetting: set[asyncio.Task[None]] = set()

    async def load(self) -> list[Order]:
        """Return what ran when h5sup stopped and still has time."""
        orders = [_read(raw) for raw in await self._store.recordings()]
        now_us = self._wall() * 1e6
        for order in orders:
            if order.ends_us <= now_us:
                self.forget(order)
        return [order for order in orders if order.ends_us > now_us]

    async def keep(self, order: Order) -> None:
        """Have it go on after a restart."""
        try:
            await self._store.save_recording(_write(order))
        except UnavailableError as error:
            logger.warning("recording %s will not outlive a restart: %s", order.name, error)

    def time(self, recording: Recording) -> None:
        """End the recording when its time is over."""
        order = recording.order
        if order.key in self._timers:
            self._timers[order.key].cancel()
        left_s = max(0.0, order.ends_us / 1e6 - self._wall())
        loop = asyncio.get_running_loop()
        self._timers[order.key] = loop.call_later(left_s, self._end, recording)

    async def lengthen(self, recording: Recording, more_s: float, most_s: float) -> None:
        """Have it end so much later, but no later than `most_s` from now."""
        order = recording.order
        latest_us = round((self._wall() + most_s) * 1e6)
        ends_us = min(order.ends_us + round(more_s * 1e6), latest_us)
        recording.order = replace(order, ends_us=ends_us)
        self.time(recording)
        await self.keep(recording.order)

    def forget(self, order: Order) -> None:
        """It has ended, or never will begin."""
        if (timer := self._timers.pop(order.key, None)) is not None:
            timer.cancel()
        task = asyncio.create_task(self._delete(order), name="forget recording")
        self._forgetting.add(task)
        task.add_done_callback(self._forgetting.discard)

    async def close(self) -> None:
        """End nothing any more; what is being forgotten is."""
        for timer in self._timers.values():
            timer.cancel()
        await asyncio.gather(*self._forgetting, return_exceptions=True)

    async def _delete(self, order: Order) -> None:
        try:
            await self._store.delete_recording(order.key)
        except UnavailableError as error:
            logger.warning("recording %s may go on after a restart: %s", order.name, error)


def _write(order: Order) -> dict[str, Any]:
    return {
        "key": order.key,
        "token": order.token,
        "form": order.form,
        "name": order.name,
        "path": order.path,
        "ends_us": order.ends_us,
    }


def _read(raw: Mapping[str, Any]) -> Order:
    return Order(
        token=raw["token"],
        trigger="manual",
        form=raw["form"],
        name=raw["name"],
        path=raw.get("path", ""),
        ends_us=raw["ends_us"],
        goes_on=True,
    )
