"""Where events are told and heard. Telling never waits: who is slow loses the oldest."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable

from h5sup.events.event import Event, What

QUEUE_EVENTS = 100  # of one subscriber; a queue of twenty cameras that fail together is a fifth


class Subscription:
    """The events of one subscriber that it has not taken yet. `close()` must follow."""

    def __init__(
        self, hub: Hub, wants: Callable[[Event], bool], limit: int, on_loss: Callable[[], None]
    ) -> None:
        self.dropped = 0
        self._hub = hub
        self._wants = wants
        self._limit = limit
        self._on_loss = on_loss
        self._events: deque[Event] = deque()
        self._has_some = asyncio.Event()

    def __len__(self) -> int:
        return len(self._events)

    def offer(self, event: Event) -> None:
        """Keep the event if it is wanted. Called by the hub."""
        if not self._wants(event):
            return
        if len(self._events) >= self._limit:
            self._events.popleft()
            self.dropped += 1
            self._on_loss()
        self._events.append(event)
        self._has_some.set()

    async def next(self) -> Event:
        """Return the oldest event, once there is one; none is lost when this is cancelled."""
        while not self._events:
            self._has_some.clear()
            await self._has_some.wait()
        return self._events.popleft()

    def close(self) -> None:
        """Hear nothing any more; twice is harmless."""
        self._hub.forget(self)


class Hub:
    """Hands every event to all who want it. Used from the event loop alone."""

    def __init__(self) -> None:
        self.told: Counter[type[What]] = Counter()
        self.dropped = 0
        """Events that slow subscribers did not get, of all times."""
        self._subscriptions: list[Subscription] = []

    @property
    def subscribers(self) -> int:
        """Return how many listen."""
        return len(self._subscriptions)

    def tell(self, what: What) -> None:
        """Say that something happened, now."""
        event = Event(what)
        self.told[type(what)] += 1
        for subscription in self._subscriptions:
            subscription.offer(event)

    def subscribe(
        self, wants: Callable[[Event], bool] = lambda _: True, *, limit: int = QUEUE_EVENTS
    ) -> Subscription:
        """Hear of what is wanted from now on; at most `limit` events wait."""
        subscription = Subscription(self, wants, limit, self._count_loss)
        self._subscriptions.append(subscription)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        """Tell this one nothing any more."""
        self._subscriptions = [one for one in self._subscriptions if one is not subscription]

    def _count_loss(self) -> None:
        self.dropped += 1
