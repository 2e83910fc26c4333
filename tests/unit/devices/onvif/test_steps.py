"""A camera that can't be told to move until it is stopped, and a lens: over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from h5sup.devices.model import DeviceError, DeviceFailure, Motion
from h5sup.devices.onvif.api import Onvif
from h5sup.devices.onvif.connection import Address
from h5sup.devices.onvif.ptz import OnvifSteering
from tests.fakes.onvif_camera import SERVICE, FakeProfile, OnvifCamera

RELATIVE, ABSOLUTE = frozenset({"Relative"}), frozenset({"Absolute"})
STEP_S = 0.02
LONG_S = 60.0
STILL = (FakeProfile("still", has_ptz=False),)


@asynccontextmanager
async def steered(
    onvif: Onvif, step_s: float = LONG_S, **manners: Any
) -> AsyncIterator[tuple[OnvifCamera, OnvifSteering]]:
    """Yield a camera and what moves it; with the long pause it takes the first step alone."""
    async with OnvifCamera(**manners) as fake:
        where = Address(
            host="127.0.0.1", port=fake.port, path=SERVICE, user=fake.user, password=fake.password
        )
        steering = OnvifSteering(onvif.camera(where), step_s=step_s)
        yield fake, steering
        fake.faults.clear()
        await steering.stop()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("ways", [RELATIVE, ABSOLUTE, RELATIVE | ABSOLUTE], ids=sorted)
@pytest.mark.parametrize(
    ("motion", "place"),
    [
        (Motion(pan=1), {"x": 0.5, "y": 0.0, "zoom": 0.0}),
        (Motion(pan=-0.5, tilt=1), {"x": -0.25, "y": 0.5, "zoom": 0.0}),
        (Motion(zoom=-1, tilt=-1), {"x": 0.0, "y": -0.5, "zoom": -0.5}),
    ],
)
async def test_a_camera_without_speeds_takes_a_step(
    onvif: Onvif, ways: frozenset[str], motion: Motion, place: dict[str, float]
) -> None:
    # the way of a position is from end to end, of a distance from here to one end
    ends = (-10.0, 10.0) if ways != ABSOLUTE else (-5.0, 5.0)
    async with steered(onvif, ways=ways, reach=ends) as (fake, steering):
        await steering.move(motion)
        assert fake.place == pytest.approx(place)
        assert "ContinuousMove" not in fake.asked
        await steering.stop()
        assert fake.asked[-1] == "Stop"


@pytest.mark.parametrize("ways", [RELATIVE, ABSOLUTE], ids=sorted)
async def test_it_goes_on_by_steps_until_it_is_stopped(onvif: Onvif, ways: frozenset[str]) -> None:
    async with steered(onvif, STEP_S, ways=ways, reach=(-10.0, 10.0)) as (fake, steering):
        await steering.move(Motion(pan=0.1))
        await until(lambda: fake.place["x"] >= 0.2)
        await steering.stop()
        there = dict(fake.place)
        await asyncio.sleep(5 * STEP_S)
        assert fake.place == there


async def test_a_new_motion_ends_the_steps_of_the_old_one(onvif: Onvif) -> None:
    async with steered(onvif, STEP_S, ways=RELATIVE, reach=(-10.0, 10.0)) as (fake, steering):
        await steering.move(Motion(pan=0.1))
        await steering.move(Motion(zoom=0.1))
        there = fake.place["x"]
        await until(lambda: fake.place["zoom"] >= 0.2)
        assert fake.place["x"] == there


async def test_steps_end_where_the_way_ends(onvif: Onvif) -> None:
    async with steered(onvif, STEP_S, ways=ABSOLUTE, place={"x": 0.97, "y": 0, "zoom": 0}) as (
        fake,
        steering,
    ):
        await steering.move(Motion(pan=1))
        assert fake.place["x"] == 1.0
        await asyncio.sleep(5 * STEP_S)
        assert fake.asked.count("AbsoluteMove") == 1


async def test_steps_end_when_the_camera_has_enough(
    onvif: Onvif, caplog: pytest.LogCaptureFixture
) -> None:
    async with steered(onvif, STEP_S, ways=RELATIVE) as (fake, steering):
        await steering.move(Motion(pan=0.1))
        fake.faults["RelativeMove"] = ("ter:Busy", "enough")
        await until(lambda: "enough" in caplog.text)


async def test_a_step_that_is_refused_at_first_is_an_error(onvif: Onvif) -> None:
    async with steered(onvif, STEP_S, ways=RELATIVE) as (fake, steering):
        fake.faults["RelativeMove"] = ("ter:Busy", "not now")
        with pytest.raises(DeviceError, match="refuses RelativeMove: not now"):
            await steering.move(Motion(pan=0.1))


async def test_one_that_does_not_say_where_it_looks_is_named(onvif: Onvif) -> None:
    async with steered(onvif, ways=ABSOLUTE, hides_place=True) as (_, steering):
        with pytest.raises(DeviceError, match="does not say where it looks, so it can't"):
            await steering.move(Motion(pan=0.1))


async def test_speeds_that_are_told_but_not_known_are_given_up(onvif: Onvif) -> None:
    async with steered(onvif, ways=RELATIVE | {"Continuous"}) as (fake, steering):
        fake.faults["ContinuousMove"] = ("ter:ActionNotSupported", "no")
        await steering.move(Motion(pan=0.1))
        await steering.move(Motion(pan=0.1, zoom=0.1))
        assert fake.asked.count("ContinuousMove") == 1
        assert fake.asked.count("RelativeMove") == 2


async def test_one_that_can_not_move_at_all_says_so(onvif: Onvif) -> None:
    async with steered(onvif) as (fake, steering):
        fake.faults["ContinuousMove"] = ("ter:ActionNotSupported", "no")
        with pytest.raises(DeviceError, match="does not know ContinuousMove") as caught:
            await steering.move(Motion(pan=0.1))
        assert caught.value.failure is DeviceFailure.UNSUPPORTED


async def test_what_has_no_way_to_move_is_named(onvif: Onvif) -> None:
    both = "<tt:Min>-1</tt:Min><tt:Max>1</tt:Max>"
    turns_alone = (
        "<tptz:GetConfigurationOptionsResponse><tptz:PTZConfigurationOptions><tt:Spaces>"
        "<tt:RelativePanTiltTranslationSpace><tt:URI>u</tt:URI>"
        f"<tt:XRange>{both}</tt:XRange><tt:YRange>{both}</tt:YRange>"
        "</tt:RelativePanTiltTranslationSpace></tt:Spaces>"
        "<tt:PTZTimeout><tt:Min>PT0S</tt:Min><tt:Max>PT60S</tt:Max></tt:PTZTimeout>"
        "</tptz:PTZConfigurationOptions></tptz:GetConfigurationOptionsResponse>"
    )
    async with steered(onvif, ways=RELATIVE) as (fake, steering):
        fake.answers["GetConfigurationOptions"] = turns_alone
        with pytest.raises(DeviceError, match="has not got zoom"):
            await steering.move(Motion(zoom=1))
        await steering.move(Motion(pan=1))
        assert fake.place["x"] == pytest.approx(0.05)


async def test_steps_need_no_stop_that_the_camera_knows(onvif: Onvif) -> None:
    async with steered(onvif, ways=RELATIVE) as (fake, steering):
        fake.faults["Stop"] = ("ter:ActionNotSupported", "no")
        await steering.move(Motion(pan=0.1))
        await steering.stop()
    async with steered(onvif) as (fake, steering):
        fake.faults["Stop"] = ("ter:ActionNotSupported", "no")
        await steering.move(Motion(pan=0.1))
        with pytest.raises(DeviceError, match="does not know Stop"):
            await steering.stop()


@pytest.mark.parametrize(
    ("ways", "share", "place"),
    [(RELATIVE, 1.0, 51.0), (RELATIVE, -0.5, 49.5), (ABSOLUTE, 1.0, 55.0), (ABSOLUTE, -1, 45.0)],
)
async def test_a_lens_without_speeds_focuses_by_steps(
    onvif: Onvif, ways: frozenset[str], share: float, place: float
) -> None:
    async with steered(onvif, lens_ways=ways) as (fake, steering):
        await steering.move(Motion(focus=share))
        assert fake.focus_place == pytest.approx(place)
        assert "Focus" not in fake.moving


async def test_focus_goes_on_until_it_is_stopped_or_at_its_end(onvif: Onvif) -> None:
    async with steered(onvif, STEP_S, lens_ways=ABSOLUTE, focus_place=88.0) as (fake, steering):
        await steering.move(Motion(focus=1))
        await until(lambda: fake.focus_place == 100.0)
        await asyncio.sleep(5 * STEP_S)
        assert fake.asked.count("Move") == 3


@pytest.mark.parametrize(
    ("manners", "words"),
    [
        ({"lens_ways": frozenset()}, "has not got a focus that moves"),
        ({"lens_ways": ABSOLUTE, "hides_place": True}, "does not say where its focus is"),
        ({"lacks": frozenset({"Imaging"})}, "has no imaging service"),
    ],
    ids=str,
)
async def test_a_focus_that_can_not_be_moved_is_named(
    onvif: Onvif, manners: dict[str, Any], words: str
) -> None:
    async with steered(onvif, **manners) as (_, steering):
        with pytest.raises(DeviceError, match=words):
            await steering.move(Motion(focus=1))


@pytest.mark.parametrize(
    ("reach", "iris", "share", "there"),
    [
        ((0.0, 20.0), 10.0, 1.0, 9.0),  # 0 dB is open
        ((0.0, 20.0), 10.0, -0.5, 10.5),
        ((-20.0, 0.0), -10.0, 1.0, -9.0),  # some count below it
        ((0.0, 20.0), 0.3, 1.0, 0.0),
    ],
)
async def test_an_iris_opens_and_closes_by_steps(
    onvif: Onvif, reach: tuple[float, float], iris: float, share: float, there: float
) -> None:
    async with steered(onvif, iris=iris, iris_range=reach) as (fake, steering):
        await steering.move(Motion(iris=share))
        assert fake.iris == pytest.approx(there)
        # nothing else is changed, and nothing is said of what is no exposure
        assert fake.imaging_settings.keys() == {"Mode", "ExposureTime", "Iris"}
        assert float(fake.imaging_settings["ExposureTime"]) == 40000
        await steering.stop()
        assert fake.iris == pytest.approx(there)  # it stays


async def test_an_iris_goes_on_until_it_is_open(onvif: Onvif) -> None:
    async with steered(onvif, STEP_S, iris=2.5) as (fake, steering):
        await steering.move(Motion(iris=1))
        await until(lambda: fake.iris == 0.0)
        await asyncio.sleep(5 * STEP_S)
        assert fake.asked.count("SetImagingSettings") == 3


@pytest.mark.parametrize(
    ("manners", "words"),
    [
        ({}, "has not got an iris that moves"),
        ({"lacks": frozenset({"Imaging"})}, "has not got an iris that moves"),
        ({"iris": 1.0, "iris_range": (3.0, 3.0)}, "has not got an iris that moves"),
        ({"iris": 1.0, "exposure": "AUTO"}, "sets its iris by itself: set its exposure to manual"),
        ({"iris": 1.0, "hides_place": True}, "does not say where its iris is"),
    ],
    ids=str,
)
async def test_an_iris_that_can_not_be_moved_is_named(
    onvif: Onvif, manners: dict[str, Any], words: str
) -> None:
    async with steered(onvif, **manners) as (fake, steering):
        with pytest.raises(DeviceError, match=words):
            await steering.move(Motion(iris=1))
        assert "SetImagingSettings" not in fake.asked


async def test_the_lens_of_a_camera_that_does_not_turn_is_moved(onvif: Onvif) -> None:
    async with steered(onvif, profiles=STILL, iris=5.0) as (fake, steering):
        await steering.move(Motion(focus=1, iris=1))
        assert fake.moving == {"Focus": (1.0,)}
        assert fake.iris == 4.0
        await steering.stop()
        assert not fake.moving
