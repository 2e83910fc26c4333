"""A source that comes and goes is told of once each, with the reason, and without flapping."""

from __future__ import annotations

import asyncio

from h5sup.bus.channel import ChannelState
from h5sup.events.event import Offline, Online, What
from h5sup.events.hub import Hub, Subscription
from h5sup.sources.presence import Presence

GRACE_S = 0.05

RUNNING = ChannelState("RUNNING")
STARTING = ChannelState("STARTING")
STOPPED = ChannelState("STOPPED")


def backoff(reason: str) -> ChannelState:
    return ChannelState("BACKOFF", reason)


def build() -> tuple[Presence, Subscription]:
    hub = Hub()
    return Presence("front", hub, grace_s=GRACE_S), hub.subscribe()


async def told(subscription: Subscription) -> list[What]:
    """Return what has been told once nothing more can come: every grace has passed."""
    loop = asyncio.get_running_loop()
    passed = loop.create_future()
    loop.call_later(2 * GRACE_S, passed.set_result, None)
    await passed
    return [(await subscription.next()).what for _ in range(len(subscription))]


async def test_each_change_is_told_once() -> None:
    presence, subscription = build()
    for state in (STARTING, RUNNING, RUNNING):
        presence.note(state)
    assert await told(subscription) == [Online("front")]
    for state in (backoff("no answer"), STARTING, backoff("refused")):
        presence.note(state)
    assert await told(subscription) == [Offline("front", "refused")]
    presence.note(backoff("refused"))
    assert await told(subscription) == []
    presence.note(RUNNING)
    assert await told(subscription) == [Online("front")]


async def test_one_that_is_back_in_time_was_never_away() -> None:
    presence, subscription = build()
    presence.note(RUNNING)
    for _ in range(20):
        presence.note(backoff("closed"))
        presence.note(STARTING)
        presence.note(RUNNING)
    assert await told(subscription) == [Online("front")]


async def test_one_that_never_came_is_told_of() -> None:
    presence, subscription = build()
    presence.note(STARTING)
    presence.note(backoff("wrong password"))
    assert await told(subscription) == [Offline("front", "wrong password")]


async def test_one_that_gave_up_is_offline() -> None:
    presence, subscription = build()
    presence.note(ChannelState("FATAL", "there is no such file"))
    assert await told(subscription) == [Offline("front", "there is no such file")]


async def test_one_on_demand_that_nobody_watches_is_offline() -> None:
    presence, subscription = build()
    presence.note(STARTING)
    presence.note(STOPPED)  # left before the first picture: there was nothing to see
    assert await told(subscription) == []
    presence.note(RUNNING)
    presence.note(STOPPED)
    assert await told(subscription) == [Online("front"), Offline("front", "nobody watches")]


async def test_one_that_is_deleted_says_so_and_nothing_after() -> None:
    presence, subscription = build()
    presence.note(RUNNING)
    presence.note(backoff("closed"))
    presence.close("the source was deleted")
    presence.note(STOPPED)
    assert await told(subscription) == [
        Online("front"),
        Offline("front", "the source was deleted"),
    ]


async def test_one_that_was_away_and_is_deleted_is_not_told_of_again() -> None:
    presence, subscription = build()
    presence.note(backoff("closed"))
    presence.close("the source was deleted")
    assert await told(subscription) == []
