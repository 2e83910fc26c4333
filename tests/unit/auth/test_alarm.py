"""Failed logins are told of, and a flood of them is not."""

from __future__ import annotations

from h5sup.auth.alarm import AT_ONCE, ONE_EVERY_S, LoginAlarm
from h5sup.events.event import LoginFailed
from h5sup.events.hub import Hub, Subscription


async def take(subscription: Subscription) -> list[LoginFailed]:
    taken = [(await subscription.next()).what for _ in range(len(subscription))]
    return [one for one in taken if isinstance(one, LoginFailed)]


async def test_a_flood_is_told_in_a_few_events_that_count_the_rest() -> None:
    now = [0.0]
    hub = Hub()
    subscription = hub.subscribe(limit=1000)
    alarm = LoginAlarm(hub, clock=lambda: now[0])

    for number in range(500):
        alarm.note("eve", "192.0.2.1", number + 1)
    first = await take(subscription)
    now[0] += ONE_EVERY_S
    alarm.note("eve", "192.0.2.1", 501)
    alarm.note("eve", "192.0.2.1", 502)
    later = await take(subscription)

    assert first == [LoginFailed("eve", "192.0.2.1", number + 1, 0) for number in range(AT_ONCE)]
    assert later == [LoginFailed("eve", "192.0.2.1", 501, 500 - AT_ONCE)]


async def test_quiet_time_does_not_save_up_more_than_ten() -> None:
    now = [0.0]
    hub = Hub()
    subscription = hub.subscribe(limit=1000)
    alarm = LoginAlarm(hub, clock=lambda: now[0])
    now[0] = 1e6
    for _ in range(50):
        alarm.note("eve", "192.0.2.1", 1)
    assert len(await take(subscription)) == AT_ONCE
