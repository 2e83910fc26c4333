"""A recorder behind the Recorder protocol, without a wire: what all of them have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from h5sup.config.model import DeviceConfig
from h5sup.devices.device import Pace
from h5sup.devices.model import (
    DeviceChannel,
    DeviceError,
    DeviceFailure,
    DeviceRecord,
    MediaAddress,
    Preset,
    RecordDay,
    Steerable,
)

PASSWORD = "nvr pass:@/ü"
QUICK = Pace(
    poll_s=0.02, confirm_s=0.01, first_pause_s=0.01, longest_pause_s=0.04, locked_pause_s=0.05,
    answer_s=0.5,
)  # fmt: skip


def config(token: str = "nvr", **settings: Any) -> DeviceConfig:
    """Return a recorder as an operator would write it."""
    given: dict[str, Any] = {"type": "hik", "host": "127.0.0.1", "port": 8000, "user": "admin"}
    return DeviceConfig(token=token, **{"password": PASSWORD} | given | settings)


def channels(*numbers: int, offline: Sequence[int] = ()) -> list[DeviceChannel]:
    """Return channels of these numbers."""
    return [
        DeviceChannel(number=one, name=f"Camera {one}", is_online=one not in offline)
        for one in numbers
    ]


class Nvr:
    """A Recorder with switches; what one house's recorders share is its own attributes."""

    def __init__(self, *numbers: int) -> None:
        self.listed: Sequence[DeviceChannel] = channels(*(numbers or (1, 2)))
        self.password = PASSWORD
        self.failure: Exception | None = None
        """Raised by whatever is asked."""
        self.is_silent = False
        self.rtsp_port = 1
        """0: it has not said yet where its media is."""
        self.mounts = ("h264_aac", "h264_mute")
        """What main and sub show."""
        self.records: Sequence[DeviceRecord] = ()
        self.days: Sequence[RecordDay] = ()
        self.is_all = True
        self.asked = 0
        self.made = 0
        self.closed = 0

    def make(self, given: DeviceConfig) -> NvrLink:
        """Return what h5sup holds of it."""
        self.made += 1
        return NvrLink(self, given)

    async def answer(self, given: DeviceConfig) -> None:
        """Answer after a while, or never, or with an error."""
        self.asked += 1
        failure = self.failure  # as it is when it is asked
        if self.is_silent:
            await asyncio.sleep(3600)
        await asyncio.sleep(0)
        if failure is not None:
            raise failure
        if given.password != self.password:
            raise DeviceError(
                DeviceFailure.WRONG_PASSWORD, f"{given.host} refuses the user name or the password"
            )


class NvrLink:
    """One connection to a recorder: a Recorder."""

    def __init__(self, nvr: Nvr, given: DeviceConfig) -> None:
        self._nvr = nvr
        self._given = given

    async def channels(self) -> Sequence[DeviceChannel]:
        listed = self._nvr.listed
        await self._nvr.answer(self._given)
        return listed

    def live(self, channel: int, *, sub: bool) -> MediaAddress:
        del channel
        if not self._nvr.rtsp_port:
            raise DeviceError(DeviceFailure.NO_ANSWER, "its port is not known")
        mount = self._nvr.mounts[sub]
        given = self._given
        url = f"rtsp://{given.host}:{self._nvr.rtsp_port}/{mount}"
        return MediaAddress(url, given.user, given.password)

    def playback(self, channel: int, begin: datetime, end: datetime) -> MediaAddress:
        del begin, end
        return self.live(channel, sub=False)

    def steering(self, channel: int) -> Steerable:
        return NvrSteering(channel)

    async def search(
        self, channel: int, begin: datetime, end: datetime
    ) -> tuple[Sequence[DeviceRecord], bool]:
        del channel
        await self._nvr.answer(self._given)
        found = [one for one in self._nvr.records if one.begin < end and one.end > begin]
        return found, self._nvr.is_all

    async def calendar(self, channel: int, year: int, month: int) -> Sequence[RecordDay]:
        del channel, year, month
        await self._nvr.answer(self._given)
        return self._nvr.days

    async def close(self) -> None:
        self._nvr.closed += 1


class NvrSteering:
    """Moves nothing."""

    def __init__(self, channel: int) -> None:
        self.channel = channel

    async def move(self, motion: object) -> None:
        del motion

    async def stop(self) -> None:
        pass

    async def switch(self, what: object, *, on: bool) -> None:
        del what, on

    async def presets(self) -> Sequence[Preset]:
        return []

    async def go_to(self, preset: str) -> None:
        del preset

    async def set_preset(self, preset: str, name: str) -> str:
        del name
        return preset

    async def delete_preset(self, preset: str) -> None:
        del preset


class MemoryStore:
    """Keeps devices and channels in memory; `error` is raised by saving."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.kept_channels: dict[str, dict[str, Any]] = {}
        self.saved = 0
        self.error: Exception | None = None

    async def devices(self) -> list[dict[str, Any]]:
        return list(self.kept.values())

    async def save_device(self, raw: Any) -> None:
        self.kept[raw["token"]] = dict(raw)

    async def delete_device(self, token: str) -> None:
        self.kept.pop(token, None)

    async def device_channels(self) -> list[dict[str, Any]]:
        return list(self.kept_channels.values())

    async def save_device_channels(self, raw: Any) -> None:
        if self.error is not None:
            raise self.error
        self.saved += 1
        self.kept_channels[raw["token"]] = dict(raw)

    async def delete_device_channels(self, token: str) -> None:
        self.kept_channels.pop(token, None)
