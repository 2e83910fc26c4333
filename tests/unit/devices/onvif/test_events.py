"""What a camera notices, heard over real sockets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from h5sup.devices.onvif.api import Onvif
from h5sup.devices.onvif.connection import Address
from h5sup.devices.onvif.events import Noticed, OnvifEvents
from tests.fakes.onvif_camera import SERVICE, OnvifCamera

MOTION = "tns1:VideoSource/MotionAlarm"
INPUT = "tns1:Device/Trigger/tnshik:DigitalInput"


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def listening(
    onvif: Onvif,
    fake: OnvifCamera,
    renew_s: float = 60.0,
    brief_s: float = 60.0,
    lacking_pause_s: float = 60.0,
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
        brief_s=brief_s,
        lacking_pause_s=lacking_pause_s,
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
            Noticed("motion", "", is_on=True),
            Noticed("input", "in1", is_on=False),
        ]
    assert fake.subscriptions == 1


ON, OFF = Noticed("motion", "", is_on=True), Noticed("motion", "", is_on=False)


async def test_motion_lasts_as_long_as_any_rule_sees_some(onvif: Onvif) -> None:
    people = "tns1:RuleEngine/MyRuleDetector/PeopleDetect"
    async with OnvifCamera() as fake, listening(onvif, fake) as (told, _):
        fake.tell(people, "State", "false", "Initialized")
        fake.tell(MOTION, "State", "true")
        fake.tell(people, "State", "false")  # somebody else than the motion
        await until(lambda: told == [ON])
        fake.tell(people, "State", "true")
        fake.tell(MOTION, "State", "false")
        fake.tell(INPUT, "LogicalState", "true")  # by which we know that it was heard
        await until(lambda: len(told) == 2)
        fake.tell(people, "State", "false")
        await until(lambda: len(told) == 3)
        assert [told[0], told[2]] == [ON, OFF]


@pytest.mark.parametrize("operation", ["Initialized", "Changed"])
async def test_what_is_on_when_we_come_is_told_whatever_it_is_called(
    onvif: Onvif, operation: str
) -> None:
    async with OnvifCamera() as fake, listening(onvif, fake) as (told, _):
        fake.tell(MOTION, "State", "true", operation)
        await until(lambda: told == [ON])
        fake.tell(MOTION, "State", "true", "Deleted")  # its rule is gone
        await until(lambda: told == [ON, OFF])


async def test_a_line_that_is_crossed_is_motion_for_a_while(onvif: Onvif) -> None:
    crossed = "tns1:RuleEngine/LineDetector/Crossed"
    async with OnvifCamera() as fake, listening(onvif, fake, brief_s=0.3) as (told, _):
        fake.tell(crossed, "ObjectId", "1")
        await until(lambda: told == [ON])
        await until(lambda: told == [ON, OFF])
        fake.tell(crossed, "ObjectId", "3")
        await until(lambda: len(told) == 4)
        assert told == [ON, OFF] * 2


async def test_what_only_happens_ends_with_the_connection(onvif: Onvif) -> None:
    async with OnvifCamera() as fake, listening(onvif, fake) as (told, _):
        for number in ("1", "2"):
            fake.tell("tns1:RuleEngine/LineDetector/Crossed", "ObjectId", number)
            await until(lambda: told == [ON] and not fake.has_news)
        fake.drop_subscriptions()
        await until(lambda: told == [ON, OFF])


async def test_the_place_at_the_camera_is_given_back(onvif: Onvif) -> None:
    async with OnvifCamera() as fake:
        async with listening(onvif, fake):
            await until(lambda: fake.listeners == 1 and "PullMessages" in fake.asked)
        assert fake.listeners == 0


async def test_a_subscription_is_renewed(onvif: Onvif) -> None:
    camera = OnvifCamera(writes_odd_dates=True)
    async with camera as fake, listening(onvif, fake, renew_s=0.0) as (told, _):
        fake.tell(MOTION, "State", "true")
        await until(lambda: fake.renewals and told)


@pytest.mark.parametrize("told", ["", "urn:uuid:1", "http:///onvif/Subscription?id=sub1"])
async def test_an_address_of_no_use_is_only_repeated(onvif: Onvif, told: str) -> None:
    async with OnvifCamera(subscription_address=told) as fake:
        async with listening(onvif, fake) as (heard, _):
            fake.tell(MOTION, "State", "true")
            await until(lambda: heard == [ON])
        assert fake.listeners == 0
        _, *pulled = fake.addressed
        assert set(pulled) == {told or f"http://127.0.0.1:{fake.port}/onvif/Events"}


async def test_a_camera_behind_a_router_is_called_as_it_calls_itself(onvif: Onvif) -> None:
    async with OnvifCamera(lies_about_address=True) as fake:
        async with listening(onvif, fake) as (heard, _):
            fake.tell(MOTION, "State", "true")
            await until(lambda: heard == [ON])
        assert fake.addressed[-1] == "http://10.11.12.13:8899/onvif/Subscription?id=sub1"


async def test_one_that_renews_nothing_gets_another_subscription(onvif: Onvif) -> None:
    async with OnvifCamera(hold_s=0.02) as fake:
        fake.faults["Renew"] = ("ter:ActionNotSupported", "no")
        async with listening(onvif, fake, renew_s=0.01) as (heard, task):
            fake.tell(MOTION, "State", "true")
            await until(lambda: fake.subscriptions == 3)
            assert fake.listeners <= 1  # the ones before were given back
            assert heard == [ON]  # it has not ended meanwhile
            assert not task.done()


async def test_a_camera_that_forgets_us_is_asked_again_and_its_motion_ends(
    onvif: Onvif,
) -> None:
    async with OnvifCamera() as fake, listening(onvif, fake) as (told, _):
        fake.tell(MOTION, "State", "true")
        await until(lambda: told)
        fake.drop_subscriptions()
        await until(lambda: fake.subscriptions == 2)
        assert told == [
            Noticed("motion", "", is_on=True),
            Noticed("motion", "", is_on=False),
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


async def test_a_camera_without_events_is_let_alone_for_long(
    onvif: Onvif, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with OnvifCamera(has_events=False) as fake, listening(onvif, fake):
        await until(lambda: "tells no events" in caplog.text)
        asked = len(fake.asked)
        await asyncio.sleep(0.3)  # several pauses
        assert len(fake.asked) == asked
        assert fake.subscriptions == 0


async def test_events_that_come_with_an_update_are_heard(
    onvif: Onvif, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with (
        OnvifCamera(has_events=False) as fake,
        listening(onvif, fake, lacking_pause_s=0.05),
    ):
        await until(lambda: "tells no events" in caplog.text)
        fake.has_events = True
        await until(lambda: fake.subscriptions == 1)
        assert caplog.text.count("tells no events") == 1


async def test_a_refused_login_makes_no_loop(onvif: Onvif) -> None:
    async with OnvifCamera(password="another") as fake:
        fake_password, fake.password = fake.password, "wrong"
        async with listening(onvif, fake):
            fake.password = fake_password
            await until(lambda: fake.refused)
            await asyncio.sleep(0.3)  # several pauses
            assert fake.refused == 1
