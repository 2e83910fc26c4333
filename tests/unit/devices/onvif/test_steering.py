"""Steering from the source's token to the camera, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from h5sup.devices.model import DeviceError, Motion, Preset, Steerable, Switch
from h5sup.devices.onvif.api import Onvif
from h5sup.devices.onvif.connection import Address
from h5sup.devices.onvif.ptz import OnvifSteering
from h5sup.devices.steering import Steering
from h5sup.store.store import Store
from tests.fakes.onvif_camera import SERVICE, OnvifCamera

STILL_S = 0.3
LEFT = Motion(pan=-0.5)


class OneSource:
    """A source for every token."""

    def __init__(self, steering: Steerable) -> None:
        self.steering = steering

    def get(self, token: str) -> OneSource:
        del token
        return self


@pytest.fixture
async def fake() -> AsyncIterator[OnvifCamera]:
    async with OnvifCamera() as camera:
        yield camera


@pytest.fixture
async def steering(onvif: Onvif, fake: OnvifCamera, tmp_path: Path) -> AsyncIterator[Steering]:
    where = Address(
        host="127.0.0.1", port=fake.port, path=SERVICE, user=fake.user, password=fake.password
    )
    store = Store(tmp_path)
    await store.open()
    found = Steering(OneSource(OnvifSteering(onvif.camera(where))), store, still_after_s=STILL_S)
    yield found
    await found.close()
    await store.close()


async def until_still(fake: OnvifCamera) -> None:
    async with asyncio.timeout(5):
        while fake.moving:
            await asyncio.sleep(0.01)


async def test_a_camera_whose_client_has_died_stands_still(
    steering: Steering, fake: OnvifCamera
) -> None:
    await steering.move("front", LEFT)
    assert fake.moving == {"PanTilt": (-0.5, 0.0)}
    await until_still(fake)
    assert fake.asked.count("Stop") == 1


async def test_the_newest_of_many_commands_wins(steering: Steering, fake: OnvifCamera) -> None:
    await steering.move("front", LEFT)
    moves = [steering.move("front", Motion(tilt=number / 10)) for number in range(1, 6)]
    answers = await asyncio.gather(*moves)
    assert answers == [False] * 4 + [True]
    assert fake.moving == {"PanTilt": (0.0, 0.5)}
    await steering.move("front", Motion(zoom=1))
    assert fake.moving == {"Zoom": (1.0,)}  # what it did before is not left going


async def test_the_end_of_the_server_stops_it(steering: Steering, fake: OnvifCamera) -> None:
    await steering.move("front", Motion(focus=1))
    assert fake.moving
    await steering.close()
    assert not fake.moving


async def test_presets_are_set_by_the_clients_token(steering: Steering, fake: OnvifCamera) -> None:
    await steering.set_preset("front", "9", "Yard")
    assert fake.presets == {"1": "Gate", "2": "Yard"}
    assert await steering.presets("front") == [Preset("1", "Gate"), Preset("9", "Yard")]
    await steering.go_to("front", "9")
    assert fake.at_preset == "2"
    await steering.delete_preset("front", "9")
    assert fake.presets == {"1": "Gate"}
    with pytest.raises(DeviceError, match="No token"):
        await steering.go_to("front", "9")


async def test_what_it_has_not_got_is_said(steering: Steering, fake: OnvifCamera) -> None:
    await steering.switch("front", Switch.WIPER, on=True)
    assert fake.auxiliary == ["tt:Wiper|On"]
    with pytest.raises(DeviceError, match="has not got an iris"):
        await steering.move("front", Motion(iris=1))
