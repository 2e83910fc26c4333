"""A camera that is moved, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from h5sup.devices.model import DeviceError, DeviceFailure, Motion, Preset, Switch
from h5sup.devices.onvif.api import Onvif
from h5sup.devices.onvif.connection import Address
from h5sup.devices.onvif.ptz import OnvifSteering
from tests.fakes.onvif_camera import SERVICE, FakeProfile, OnvifCamera


@pytest.fixture
async def fake() -> AsyncIterator[OnvifCamera]:
    async with OnvifCamera() as camera:
        yield camera


def steering(onvif: Onvif, fake: OnvifCamera, main: str = "") -> OnvifSteering:
    where = Address(
        host="127.0.0.1", port=fake.port, path=SERVICE, user=fake.user, password=fake.password
    )
    return OnvifSteering(onvif.camera(where), main)


@pytest.mark.parametrize(
    ("motion", "reach", "moving"),
    [
        (Motion(pan=1), (-1.0, 1.0), {"PanTilt": (1.0, 0.0)}),
        (Motion(pan=-0.5, tilt=0.25), (-1.0, 1.0), {"PanTilt": (-0.5, 0.25)}),
        (Motion(zoom=-1), (-1.0, 1.0), {"Zoom": (-1.0,)}),
        (Motion(pan=1, zoom=0.5), (-1.0, 1.0), {"PanTilt": (1.0, 0.0), "Zoom": (0.5,)}),
        (Motion(pan=-0.5, tilt=1), (-10.0, 4.0), {"PanTilt": (-5.0, 4.0)}),
        (Motion(focus=0.5), (-2.0, 2.0), {"Focus": (1.0,)}),
    ],
)
async def test_it_moves_at_its_own_speeds_until_it_is_stopped(
    onvif: Onvif,
    fake: OnvifCamera,
    motion: Motion,
    reach: tuple[float, float],
    moving: dict[str, tuple[float, ...]],
) -> None:
    fake.reach = reach
    found = steering(onvif, fake)
    await found.move(motion)
    assert fake.moving == moving
    await found.stop()
    assert fake.moving == {}


async def test_it_stops_by_itself_should_we_die(onvif: Onvif, fake: OnvifCamera) -> None:
    await steering(onvif, fake).move(Motion(pan=1))
    assert fake.own_timeout == "PT12S"


async def test_one_that_takes_no_timeout_is_moved_without(onvif: Onvif, fake: OnvifCamera) -> None:
    fake.takes_no_timeout = True
    found = steering(onvif, fake)
    await found.move(Motion(pan=1))
    assert fake.moving
    fake.asked.clear()
    await found.move(Motion(pan=-1))
    assert fake.asked == ["ContinuousMove"]  # it is remembered, and so is its reach
    assert fake.moving == {"PanTilt": (-1.0, 0.0)}


async def test_presets_are_kept_found_turned_to_and_forgotten(
    onvif: Onvif, fake: OnvifCamera
) -> None:
    found = steering(onvif, fake)
    assert await found.presets() == [Preset("1", "Gate")]
    assert await found.set_preset("yard", "Yard & more") == "2"  # the camera's own token
    assert await found.presets() == [Preset("1", "Gate"), Preset("2", "Yard & more")]
    assert await found.set_preset("1", "Door") == "1"
    assert fake.presets == {"1": "Door", "2": "Yard & more"}
    await found.go_to("2")
    assert fake.at_preset == "2"
    await found.delete_preset("2")
    assert fake.presets == {"1": "Door"}


async def test_a_preset_is_found_though_the_camera_does_not_name_it(
    onvif: Onvif, fake: OnvifCamera
) -> None:
    fake.is_tongue_tied = True
    found = steering(onvif, fake)
    assert await found.set_preset("yard", "Yard") == "2"
    assert await found.set_preset("2", "Court") == "2"


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("Door", {"2": "Yard", "3": "Door"}),
        ("Gate", {"2": "Yard", "3": "Gate"}),
        ("", {"2": "Yard", "3": "Gate"}),
    ],
)
async def test_a_preset_of_a_camera_that_changes_none_is_replaced(
    onvif: Onvif, fake: OnvifCamera, name: str, after: dict[str, str]
) -> None:
    fake.keeps_presets_apart = True
    fake.presets = {"1": "Gate", "2": "Yard"}
    assert await steering(onvif, fake).set_preset("1", name) == "3"
    assert fake.presets == after


async def test_a_preset_that_can_not_be_replaced_stays(onvif: Onvif, fake: OnvifCamera) -> None:
    fake.keeps_presets_apart = True
    fake.presets = {"1": "Gate", "2": "Yard"}
    with pytest.raises(DeviceError, match="refuses SetPreset: the name is empty or there already"):
        await steering(onvif, fake).set_preset("1", "Yard")
    assert fake.presets == {"1": "Gate", "2": "Yard"}


async def test_a_preset_that_is_not_there_is_an_error_with_its_reason(
    onvif: Onvif, fake: OnvifCamera
) -> None:
    with pytest.raises(DeviceError, match="refuses GotoPreset: No token") as caught:
        await steering(onvif, fake).go_to("9")
    assert caught.value.failure is DeviceFailure.NOT_UNDERSTOOD


async def test_wiper_and_light_are_switched_by_the_cameras_own_commands(
    onvif: Onvif, fake: OnvifCamera
) -> None:
    found = steering(onvif, fake)
    await found.switch(Switch.WIPER, on=True)
    await found.switch(Switch.LIGHT, on=False)
    assert fake.auxiliary == ["tt:Wiper|On", "tt:IRLamp|Off"]


async def test_what_it_has_not_got_is_named(onvif: Onvif, fake: OnvifCamera) -> None:
    fake.has_ptz = False
    found = steering(onvif, fake)
    for trial in (found.move(Motion(pan=1)), found.presets(), found.move(Motion(iris=1))):
        with pytest.raises(DeviceError, match="has not got") as caught:
            await trial
        assert caught.value.failure is DeviceFailure.UNSUPPORTED


async def test_the_profile_that_moves_is_found(onvif: Onvif, fake: OnvifCamera) -> None:
    fake.profiles = (FakeProfile("still", has_ptz=False), FakeProfile("moves"))
    await steering(onvif, fake, main="still").move(Motion(tilt=-1))
    assert fake.moving == {"PanTilt": (0.0, -1.0)}


async def test_one_that_tells_no_range_is_moved_in_the_usual_one(
    onvif: Onvif, fake: OnvifCamera
) -> None:
    fake.faults = {
        "GetConfigurationOptions": ("ter:ActionNotSupported", ""),
        "GetMoveOptions": ("ter:NoImagingForSource", ""),
    }
    found = steering(onvif, fake)
    await found.move(Motion(pan=0.5, focus=-0.5))
    assert fake.moving == {"PanTilt": (0.5, 0.0), "Focus": (-0.5,)}


async def test_a_motion_that_is_refused_is_an_error(onvif: Onvif, fake: OnvifCamera) -> None:
    fake.faults = {"ContinuousMove": ("ter:InvalidVelocity", "not so fast")}
    with pytest.raises(DeviceError, match="refuses ContinuousMove: not so fast"):
        await steering(onvif, fake).move(Motion(pan=1))


async def test_a_wiper_that_is_not_there_is_named(onvif: Onvif, fake: OnvifCamera) -> None:
    fake.has_auxiliaries = False
    with pytest.raises(DeviceError, match="has not got a wiper"):
        await steering(onvif, fake).switch(Switch.WIPER, on=True)


async def test_a_preset_that_can_not_be_told_is_an_error(onvif: Onvif, fake: OnvifCamera) -> None:
    fake.is_tongue_tied = fake.forgets_presets = True
    with pytest.raises(DeviceError, match="does not say which place"):
        await steering(onvif, fake).set_preset("yard", "Yard")
