"""Webhooks against a real receiver that misbehaves."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from h5sup.config.model import EventName, WebhookConfig
from h5sup.events.event import LoginFailed, Offline, Online
from h5sup.events.hub import Hub, Subscription
from h5sup.notify import webhooks
from h5sup.notify.webhooks import TRIES, Webhook, Webhooks
from tests.fakes.webhook_receiver import Delivery, WebhookReceiver

SECRET = "a shared secret"
SHORT_S = 0.3


def hook(receiver: WebhookReceiver, *events: EventName) -> WebhookConfig:
    return WebhookConfig(url=receiver.url, secret=SECRET, events=events)


@asynccontextmanager
async def sending(
    receiver: WebhookReceiver, hub: Hub, *, timeout_s: float = 5.0, limit: int = 100
) -> AsyncIterator[tuple[Webhook, Subscription]]:
    """Run one webhook with short pauses."""
    timeout = aiohttp.ClientTimeout(timeout_s)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        subscription = hub.subscribe(limit=limit)
        one = Webhook(hook(receiver), subscription, http, first_pause_s=0.001)
        running = asyncio.create_task(one.run())
        try:
            yield one, subscription
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def assert_signed(delivery: Delivery) -> None:
    """Check the signature as docs/events.md tells a receiver to."""
    timestamp = delivery.headers["X-H5sup-Timestamp"]
    message = timestamp.encode() + b"." + delivery.body
    expected = hmac.new(SECRET.encode(), message, hashlib.sha256).hexdigest()
    assert delivery.headers["X-H5sup-Signature"] == f"sha256={expected}"
    assert abs(time.time() - int(timestamp)) < 60


async def test_events_arrive_signed_and_in_order() -> None:
    hub = Hub()
    async with WebhookReceiver() as receiver:
        service = Webhooks([hook(receiver)], hub)
        service.start()
        for number in range(20):
            hub.tell(Online(f"camera{number}"))
        await receiver.until_taken(20)
        await service.close()
    assert [one.event["strToken"] for one in receiver.deliveries] == [
        f"camera{number}" for number in range(20)
    ]
    for delivery in receiver.deliveries:
        assert_signed(delivery)
        assert delivery.headers["X-H5sup-Event"] == "ONLINE"
        assert delivery.headers["Content-Type"] == "application/json"
    assert hub.subscribers == 0


async def test_each_hook_gets_the_events_it_names() -> None:
    hub = Hub()
    async with WebhookReceiver() as every, WebhookReceiver() as logins:
        service = Webhooks([hook(every), hook(logins, "LOGIN_FAILED", "DISK_LOW")], hub)
        service.start()
        hub.tell(Offline("front", "gone"))
        hub.tell(LoginFailed("eve", "192.0.2.1", 1, 0))
        await every.until_taken(2)
        await logins.until_taken(1)
        await service.close()
    assert [one.event["type"] for one in logins.deliveries] == ["H5S_EVENT_LOGIN_FAILED"]


@pytest.mark.parametrize("misdeed", [500, 503, 429, "close", "hang"])
async def test_what_may_pass_is_tried_again_and_keeps_the_order(misdeed: int | str) -> None:
    hub = Hub()
    receiver = WebhookReceiver()
    receiver.plan.extend([misdeed, misdeed])
    async with receiver, sending(receiver, hub, timeout_s=SHORT_S) as (one, _):
        hub.tell(Online("first"))
        hub.tell(Online("second"))
        await receiver.until(lambda: one.delivered == 2)
    tokens = [delivery.event["strToken"] for delivery in receiver.deliveries]
    assert tokens == ["first"] * 3 + ["second"]
    assert len({delivery.event["strUUID"] for delivery in receiver.deliveries}) == 2
    for delivery in receiver.deliveries:
        assert_signed(delivery)


@pytest.mark.parametrize("status", [400, 401, 404, 410])
async def test_what_is_refused_for_good_is_given_up_at_once(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    hub = Hub()
    receiver = WebhookReceiver()
    receiver.plan.append(status)
    async with receiver, sending(receiver, hub) as (one, _):
        hub.tell(Online("first"))
        hub.tell(Online("second"))
        await receiver.until(lambda: one.delivered == 1)
    assert one.given_up == 1
    assert [delivery.event["strToken"] for delivery in receiver.deliveries] == ["first", "second"]
    assert f"it answered {status}" in caplog.text


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed_nowhere(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    hub = Hub()
    async with WebhookReceiver() as victim:
        receiver = WebhookReceiver(location=victim.url)
        receiver.plan.append(status)
        async with receiver, sending(receiver, hub) as (one, _):
            hub.tell(Online("first"))
            await receiver.until(lambda: one.given_up == 1)
    assert len(receiver.deliveries) == 1
    assert victim.deliveries == []
    assert f"it redirects ({status}): give the address it leads to" in caplog.text


async def test_an_answer_without_end_is_not_read() -> None:
    hub = Hub()
    receiver = WebhookReceiver()
    receiver.plan.append("endless")
    async with receiver, sending(receiver, hub) as (one, _):
        hub.tell(Online("first"))
        hub.tell(Online("second"))
        await receiver.until(lambda: one.delivered == 2)


async def test_one_that_always_fails_is_given_up_and_the_next_has_its_turn(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hub = Hub()
    receiver = WebhookReceiver()
    receiver.plan.extend([500] * TRIES)
    async with receiver, sending(receiver, hub) as (one, _):
        hub.tell(Online("first"))
        hub.tell(Online("second"))
        await receiver.until(lambda: one.delivered == 1)
    assert (one.given_up, len(receiver.deliveries)) == (1, TRIES + 1)
    assert "is given up" in caplog.text


async def test_a_receiver_that_hangs_costs_a_bounded_queue_and_no_other_hook(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hub = Hub()
    receiver = WebhookReceiver()
    receiver.plan.append("hang")
    async with receiver, WebhookReceiver() as other:
        service = Webhooks([hook(other)], hub)
        service.start()
        async with sending(receiver, hub, timeout_s=SHORT_S, limit=5) as (one, subscription):
            hub.tell(Online("first"))
            await receiver.until_taken(1)
            for number in range(50):
                hub.tell(Online(str(number)))
            assert (len(subscription), subscription.dropped) == (5, 45)
            await other.until_taken(51)
            await receiver.until(lambda: one.delivered == 6)
        await service.close()
    taken = [delivery.event["strToken"] for delivery in receiver.deliveries]
    assert taken == ["first", "first", "45", "46", "47", "48", "49"]
    assert caplog.text.count("is too slow: 45 events were lost") == 1


async def test_an_address_that_nobody_is_at_is_tried_until_somebody_is() -> None:
    hub = Hub()
    receiver = WebhookReceiver()
    async with receiver:
        pass  # to have a port at which nobody listens now
    async with sending(receiver, hub) as (one, subscription):
        hub.tell(Online("first"))
        await receiver.until(lambda: len(subscription) == 0)
        async with receiver:
            await receiver.until(lambda: one.delivered == 1)


async def test_no_secret_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "h5sup")
    hub = Hub()
    receiver = WebhookReceiver()
    receiver.plan.extend([500, "close", 404, 302])
    async with receiver, sending(receiver, hub, timeout_s=SHORT_S) as (one, _):
        hub.tell(Online("first"))
        hub.tell(Online("second"))
        await receiver.until(lambda: one.given_up == 2)
    assert f"webhook http://127.0.0.1:{receiver.port}: it answered 500" in caplog.text
    assert "path-secret" not in caplog.text
    assert SECRET not in caplog.text
    assert SECRET not in repr(hook(receiver))
    assert "path-secret" not in repr(hook(receiver))


async def test_closing_does_not_wait_for_a_receiver_that_hangs() -> None:
    hub = Hub()
    receiver = WebhookReceiver()
    receiver.plan.append("hang")
    async with receiver:
        service = Webhooks([hook(receiver)], hub)
        service.start()
        hub.tell(Online("first"))
        await receiver.until_taken(1)
        async with asyncio.timeout(webhooks.TIMEOUT_S / 2):
            await service.close()
    assert len(receiver.deliveries) == 1


async def test_without_webhooks_nobody_listens() -> None:
    hub = Hub()
    service = Webhooks([], hub)
    service.start()
    assert hub.subscribers == 0
    await service.close()
