"""Who hears what, and what happens to those who are slow."""

from __future__ import annotations

import asyncio
import json
from typing import get_args

import pytest

from h5sup.config.model import EventName
from h5sup.events.event import AlarmIn, DiskLow, LoginFailed, Motion, Offline, Online, What
from h5sup.events.hub import Hub
from h5sup.events.wire import NAMES, encode


async def test_every_subscriber_hears_what_it_wants_in_order() -> None:
    hub = Hub()
    every = hub.subscribe()
    back = hub.subscribe(lambda event: event.token == "back")
    hub.tell(Online("front"))
    hub.tell(Online("back"))
    hub.tell(Offline("front", "gone"))

    assert [(await every.next()).what for _ in range(3)] == [
        Online("front"),
        Online("back"),
        Offline("front", "gone"),
    ]
    assert (await back.next()).what == Online("back")
    assert len(back) == 0
    assert hub.told == {Online: 2, Offline: 1}


async def test_who_is_slow_loses_the_oldest_and_nobody_else_does() -> None:
    hub = Hub()
    slow, quick = hub.subscribe(limit=3), hub.subscribe(limit=10)
    for number in range(10):
        hub.tell(Online(str(number)))

    assert (len(slow), slow.dropped, quick.dropped, hub.dropped) == (3, 7, 0, 7)
    assert (await slow.next()).token == "7"
    assert (await quick.next()).token == "0"


async def test_waiting_that_is_called_off_loses_nothing() -> None:
    hub = Hub()
    subscription = hub.subscribe()
    waiting = asyncio.create_task(subscription.next())
    await asyncio.sleep(0)
    hub.tell(Online("front"))
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert (await subscription.next()).token == "front"


async def test_who_has_closed_hears_nothing() -> None:
    hub = Hub()
    subscription = hub.subscribe()
    subscription.close()
    subscription.close()
    hub.tell(Online("front"))

    assert (len(subscription), hub.subscribers) == (0, 0)


@pytest.mark.parametrize(
    ("what", "fields"),
    [
        (Online("front"), {"type": "H5S_EVENT_ONLINE", "strToken": "front"}),
        (
            Offline("front", "no answer of rtsp://u:topsecret@host/ for 5 s"),
            {
                "type": "H5S_EVENT_OFFLINE",
                "strToken": "front",
                "strReason": "no answer of rtsp://u:***@host/ for 5 s",
            },
        ),
        (
            DiskLow("ram", 5, 100),
            {
                "type": "H5S_EVENT_DISK_LOW",
                "strToken": "",
                "strDisk": "ram",
                "nFreeBytes": 5,
                "nTotalBytes": 100,
            },
        ),
        (
            Motion("front", is_on=True),
            {"type": "H5S_EVENT_MOTION", "strToken": "front", "strState": "on"},
        ),
        (
            AlarmIn("front", "in1", is_on=False),
            {
                "type": "H5S_EVENT_ALARM_IN",
                "strToken": "front",
                "strInput": "in1",
                "strState": "off",
            },
        ),
        (
            LoginFailed("eve", "192.0.2.1", 3, 7),
            {
                "type": "H5S_EVENT_LOGIN_FAILED",
                "strToken": "",
                "strUser": "eve",
                "strAddress": "192.0.2.1",
                "nFaultTimes": 3,
                "nUnreported": 7,
            },
        ),
    ],
)
async def test_the_wire_has_h5streams_words(what: What, fields: dict[str, object]) -> None:
    hub = Hub()
    subscription = hub.subscribe()
    hub.tell(what)
    event = await subscription.next()

    said = json.loads(encode(event))

    assert said == fields | {"strTime": said["strTime"], "strUUID": event.uuid}
    assert said["strTime"].endswith("Z")


def test_config_knows_the_name_of_every_event() -> None:
    assert set(get_args(EventName)) == set(NAMES.values())
