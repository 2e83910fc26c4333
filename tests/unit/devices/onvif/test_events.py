"""What a camera notices, heard over real sockets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from xml.etree import ElementTree

import pytest

from h5sup.devices.onvif.api import Onvif
from h5sup.devices.onvif.connection import Address
from h5sup.devices.onvif.events import Noticed, OnvifEvents, kind_of, read_notices
from tests.fakes.onvif_camera import SERVICE, OnvifCamera

MOTION = "tns1:VideoSource/MotionAlarm"
INPUT = "tns1:Device/Trigger/tnshik:DigitalInput"


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def listening(
    onvif: Onvif, fake: OnvifCamera, renew_s: float = 60.0
) -> AsyncIterator[tuple[list[Noticed], asyncio.Task[None]]]:
    told: list[Noticed] = []
    where = Address(
        host="127.0.0.1", port=fake.port, path=SERVICE, user=fake.user, password=fake.password
    )
    events = OnvifEvents(
        onvif.camera(where),
        told.append,
        logging.getLogger("test"),
        first_pause_s=0.05,
        renew_s=renew_s,
    )
    task = asyncio.create_task(events.run())
    try:
        yield told, task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("lies", [False, True])
async def test_each_change_is_told_once(onvif: Onvif, *, lies: bool) -> None:
    async with OnvifCamera(lies_about_address=lies) as fake, listening(onvif, fake) as (told, _):
        fake.tell(MOTION, "State", "false", "Initialized")
        fake.tell(INPUT, "LogicalState", "true")
        fake.tell("tns1:Device/HardwareFailure/FanFailure", "Failed", "true")
        await until(lambda: len(told) == 1)
        fake.tell(MOTION, "State", "true")
        await until(lambda: len(told) == 2)
        fake.tell(MOTION, "State", "true")
        fake.tell(INPUT, "LogicalState", "false")
        await until(lambda: len(told) == 3)
        assert told == [
            Noticed("input", "in1", is_on=True),
            Noticed("motion", "in1", is_on=True),
            Noticed("input", "in1", is_on=False),
        ]
    assert fake.subscriptions == 1


async def test_the_place_at_the_camera_is_given_back(onvif: Onvif) -> None:
    async with OnvifCamera() as fake:
        async with listening(onvif, fake):
            await until(lambda: fake.listeners == 1 and "PullMessages" in fake.asked)
        assert fake.listeners == 0


async def test_a_subscription_is_renewed(onvif: Onvif) -> None:
    async with OnvifCamera() as fake, listening(onvif, fake, renew_s=0.0) as (told, _):
        fake.tell(MOTION, "State", "true")
        await until(lambda: fake.renewals and told)


async def test_a_camera_that_forgets_us_is_asked_again_and_its_motion_ends(
    onvif: Onvif,
) -> None:
    async with OnvifCamera() as fake, listening(onvif, fake) as (told, _):
        fake.tell(MOTION, "State", "true")
        await until(lambda: told)
        fake.drop_subscriptions()
        await until(lambda: fake.subscriptions == 2)
        assert told == [
            Noticed("motion", "in1", is_on=True),
            Noticed("motion", "in1", is_on=False),
        ]
        fake.tell(MOTION, "State", "true")
        await until(lambda: len(told) == 3)


async def test_a_camera_that_does_not_wait_is_not_asked_in_a_rush(onvif: Onvif) -> None:
    async with OnvifCamera(hold_s=0.0) as fake, listening(onvif, fake):
        await until(lambda: "PullMessages" in fake.asked)
        await asyncio.sleep(0.4)
        assert fake.asked.count("PullMessages") == 1


async def test_a_flood_of_news_is_not_taken(onvif: Onvif) -> None:
    async with OnvifCamera() as fake, listening(onvif, fake) as (told, _):
        await until(lambda: "PullMessages" in fake.asked)
        for _number in range(1000):
            fake.tell(MOTION, "State", "true")
        await until(lambda: fake.subscriptions == 2)  # it begins anew, after a pause
        assert told == []


async def test_a_camera_without_events_is_let_alone(onvif: Onvif) -> None:
    async with OnvifCamera(has_events=False) as fake, listening(onvif, fake) as (_, task):
        await until(task.done)
        assert fake.subscriptions == 0


async def test_a_refused_login_makes_no_loop(onvif: Onvif) -> None:
    async with OnvifCamera(password="another") as fake:
        fake_password, fake.password = fake.password, "wrong"
        async with listening(onvif, fake):
            fake.password = fake_password
            await until(lambda: fake.refused)
            await asyncio.sleep(0.3)  # several pauses
            assert fake.refused == 1


@pytest.mark.parametrize(
    ("topic", "kind"),
    [
        (MOTION, "motion"),
        ("tns1:RuleEngine/CellMotionDetector/Motion", "motion"),
        ("tns1:VideoAnalytics/Motion", "motion"),
        (INPUT, "input"),
        ("tns1:Device/Trigger/DigitalInput", "input"),
        ("tns1:Device/Trigger/Relay", None),
        ("", None),
    ],
)
def test_topics_are_known(topic: str, kind: str | None) -> None:
    assert kind_of(topic) == kind


@pytest.mark.parametrize(
    "inner",
    [
        "",
        "<NotificationMessage/>",
        "<x/><NotificationMessage><Topic/></NotificationMessage>",
        f"<NotificationMessage><Topic>{MOTION}</Topic><Message/></NotificationMessage>",
        f"<NotificationMessage><Topic>{MOTION}</Topic><Message><Message><Data/></Message>"
        "</Message></NotificationMessage>",
    ],
)
def test_what_is_no_notice_is_passed_over(inner: str) -> None:
    assert read_notices(ElementTree.fromstring(f"<a>{inner}</a>")) == []


def test_an_answer_without_notices_is_none() -> None:
    assert read_notices(None) == []
