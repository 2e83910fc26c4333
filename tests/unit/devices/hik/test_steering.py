"""A recorder that goes while one of its cameras moves, over real sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path

from h5sup.base.errors import NotFoundError
from h5sup.devices.hik.api import HikRecorder
from h5sup.devices.model import Motion, Steerable
from h5sup.devices.registry import Devices
from h5sup.devices.steering import Steering
from h5sup.events.hub import Hub
from h5sup.store.store import Store
from tests.fakes.hik_recorder import FakeHik, Slot
from tests.fakes.nvr import MemoryStore


class Channel:
    """One of its cameras as a source."""

    def __init__(self, steering: Steerable) -> None:
        self.steering = steering


class Channels:
    """Its cameras as sources."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self._opened: dict[str, Channel] = {}

    def get(self, token: str) -> Channel:
        found = self._devices.find_channel(token)
        if found is None:
            raise NotFoundError("there is no source with this token")
        device, channel = found
        return self._opened.setdefault(token, Channel(device.recorder.steering(channel.number)))


async def test_a_camera_is_stopped_before_its_recorder_is_let_go_of(tmp_path: Path) -> None:
    store, devices = Store(tmp_path), Devices({"hik": HikRecorder}, MemoryStore(), Hub())
    await store.open()
    steering = Steering(Channels(devices), store)
    devices.on_change(steering.follow)
    devices.on_parting(steering.settle)
    async with FakeHik(ip=[Slot(1, "Gate"), Slot(2, "Yard")]) as fake:
        await devices.start([])
        device = await devices.add(fake.config())
        async with asyncio.timeout(5):
            while not device.state.is_online:
                await asyncio.sleep(0.01)
        await steering.move("nvr--2", Motion(pan=-0.5))
        assert fake.moving[2] == (-50, 0, 0)
        await steering.set_preset("nvr--2", "7", "Yard")
        assert fake.presets[2, 7] == "Yard"
        at_close: list[tuple[int, int, int]] = []
        close = device.recorder.close

        async def watched() -> None:
            at_close.append(fake.moving[2])
            await close()

        device.recorder.close = watched  # type: ignore[method-assign]  # to see in which order
        await devices.delete("nvr")
        assert at_close == [(0, 0, 0)]
    await steering.close()
    await devices.aclose()
    await store.close()
