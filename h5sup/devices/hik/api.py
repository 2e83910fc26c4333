"""A recorder, or a lone camera, of Hikvision as the rest of h5sup knows one: a Recorder."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import datetime

from h5sup.config.model import DeviceConfig
from h5sup.devices.hik.camera import HikCamera
from h5sup.devices.hik.connection import HikConnection
from h5sup.devices.hik.messages import (
    ANALOG_CHANNELS,
    IP_CHANNELS,
    IP_STATUS,
    SEARCH,
    STREAMING_CHANNELS,
    DeviceInfo,
    build_calendar,
    build_calendar_path,
    build_live_path,
    build_playback_path,
    build_search,
    merge_channels,
    parse_analog_channels,
    parse_calendar,
    parse_ip_channels,
    parse_online,
    parse_search,
    parse_streaming_channels,
)
from h5sup.devices.hik.moving import Moving
from h5sup.devices.http import FIND_TIMEOUT_S
from h5sup.devices.model import (
    DEVICE_TIMEOUT_S,
    DeviceChannel,
    DeviceError,
    DeviceFailure,
    DeviceRecord,
    MediaAddress,
    RecordDay,
    Steerable,
)
from h5sup.devices.trust import Trust

ASK_AGAIN_S = 3600.0  # for what a device has not: it may get other firmware
MAX_PAGES = 50  # 2000 recordings: a device that is asked for a year must not fill the memory


class HikRecorder:
    """A Recorder, see there.

    One object is for one user name and password: after a change of those, or of the host, make
    another.
    """

    def __init__(
        self,
        config: DeviceConfig,
        *,
        timeout_s: float = DEVICE_TIMEOUT_S,
        find_timeout_s: float = FIND_TIMEOUT_S,
        trust: Trust | None = None,
    ) -> None:
        self._connection = HikConnection(
            config, timeout_s=timeout_s, find_timeout_s=find_timeout_s, trust=trust
        )
        self._cameras: dict[int, HikCamera] = {}
        self._lacks: dict[str, float] = {}
        self._moving = Moving(lambda path: self._connection.ask("GET", path))

    @property
    def info(self) -> DeviceInfo | None:
        """Who it is, once it has answered."""
        return self._connection.info

    async def channels(self) -> Sequence[DeviceChannel]:
        """Return cameras on the network, then those by wire; a lone camera is channel 1."""
        read = self._connection.read
        async with self._connection.in_time():
            await self._connection.open()
            listed = await self._ask_if_had(IP_CHANNELS)
            status = await self._ask_if_had(IP_STATUS) if listed is not None else None
            analog = await self._ask_if_had(ANALOG_CHANNELS)
            on_network: Sequence[DeviceChannel] = ()
            by_wire: Sequence[DeviceChannel] = ()
            if listed is not None:
                online = {} if status is None else await read(parse_online, status)
                on_network = await read(lambda body: parse_ip_channels(body, online), listed)
            if analog is not None:
                by_wire = await read(parse_analog_channels, analog)
            for channel in on_network:
                self._camera(channel.number).is_on_network = True
            if listed is not None and not on_network and not by_wire:
                return ()  # a recorder that no camera has been added to
            found = merge_channels([on_network, by_wire])
            if not found:
                body = await self._connection.ask("GET", STREAMING_CHANNELS)
                found = await read(parse_streaming_channels, body)
            return await self._moving.mark(found, {one.number for one in on_network})

    def live(self, channel: int, *, sub: bool) -> MediaAddress:
        """Return where a channel's picture is had; the port is known once it has answered."""
        return self._connection.address(build_live_path(channel, sub=sub))

    def playback(self, channel: int, begin: datetime, end: datetime) -> MediaAddress:
        """Return where recordings are had; zone and port are known once it has answered."""
        path = build_playback_path(channel, begin, end, self._connection.zone)
        return self._connection.address(path)

    def steering(self, channel: int) -> Steerable:
        """Return what moves a channel's camera."""
        return self._camera(channel)

    async def search(
        self, channel: int, begin: datetime, end: datetime
    ) -> tuple[Sequence[DeviceRecord], bool]:
        """Return what was recorded; what was found in time, when there is too much of it."""
        found: dict[DeviceRecord, None] = {}
        try:
            async with self._connection.in_time():
                await self._connection.open()
                is_all = await self._search(found, channel, begin, end)
        except DeviceError as error:
            if not found or error.failure is not DeviceFailure.NO_ANSWER:
                raise
            is_all = False
        return sorted(found, key=lambda record: record.begin), is_all

    async def calendar(self, channel: int, year: int, month: int) -> Sequence[RecordDay]:
        """Return the days of a month, by the device's clock, with recordings."""
        async with self._connection.in_time():
            body = await self._connection.ask(
                "POST", build_calendar_path(channel), build_calendar(year, month)
            )
            return await self._connection.read(parse_calendar, body)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._connection.close()

    async def _search(
        self, found: dict[DeviceRecord, None], channel: int, begin: datetime, end: datetime
    ) -> bool:
        """Collect page after page; return whether the device says that was all."""
        search_id = str(uuid.uuid4()).upper()
        position = 0
        zone = self._connection.zone
        for _ in range(MAX_PAGES):
            body = build_search(search_id, channel, begin, end, zone, position)
            answer = await self._connection.ask("POST", SEARCH, body)
            page = await self._connection.read(lambda body: parse_search(body, zone), answer)
            had = len(found)
            found.update(dict.fromkeys(page.records))
            if page.is_last:
                return True
            if len(found) == had:  # it turns no page: what it has more can't be had
                return False
            position += page.matches
        return False

    async def _ask_if_had(self, path: str) -> bytes | None:
        """Return an answer, or None from a device that has no such thing; it is asked seldom."""
        now = asyncio.get_running_loop().time()
        if now < self._lacks.get(path, now):
            return None
        try:
            return await self._connection.ask("GET", path)
        except DeviceError as error:
            if error.failure is not DeviceFailure.UNSUPPORTED:
                raise
            self._lacks[path] = now + ASK_AGAIN_S
            return None

    def _camera(self, channel: int) -> HikCamera:
        return self._cameras.setdefault(channel, HikCamera(self._connection, channel))
