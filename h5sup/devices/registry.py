"""All recorders: those of config.json and those the API added."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import msgspec

from h5sup.base.errors import ConfigError, ConflictError, NotFoundError, UnavailableError
from h5sup.config.loading import parse_device
from h5sup.config.model import DeviceConfig, DeviceType
from h5sup.devices.device import Device, Pace, split_token
from h5sup.devices.model import DeviceChannel, Recorder
from h5sup.devices.recorded import RecordedChannel
from h5sup.devices.trust import Trust
from h5sup.events.hub import Hub

MAX_DEVICES = 1000
ASKED_AT_ONCE = 8
IN_FILE = "its token stands in config.json, which wins; kept for when it is taken out there"

logger = logging.getLogger(__name__)

Maker = Callable[[DeviceConfig], Recorder]
"""Makes what speaks to a recorder; it connects when it is asked first."""


class DeviceStore(Protocol):
    """Where recorders added by API are kept, and the channels of all."""

    async def devices(self) -> list[dict[str, Any]]:
        """Return them as they were saved."""

    async def save_device(self, raw: Mapping[str, Any]) -> None:
        """Keep one, in place of one with the same token."""

    async def delete_device(self, token: str) -> None:
        """Forget one."""

    async def device_channels(self) -> list[dict[str, Any]]:
        """Return the channels of each recorder as they were saved."""

    async def save_device_channels(self, raw: Mapping[str, Any]) -> None:
        """Keep those of one, in place of what was kept of it."""

    async def delete_device_channels(self, token: str) -> None:
        """Forget those of one."""


class KeptChannels(msgspec.Struct, frozen=True):
    """The channels of a recorder as the store has them: known before it answers."""

    token: str
    host: str
    port: int
    channels: list[DeviceChannel]


class Devices:
    """Owns every Device. Used from the event loop alone."""

    def __init__(
        self,
        makers: Mapping[DeviceType, Maker],
        store: DeviceStore,
        hub: Hub,
        *,
        pace: Pace | None = None,
        trust: Trust | None = None,
    ) -> None:
        """Take how recorders of each type are made, and what knows their certificates."""
        self._makers = makers
        self._store = store
        self._hub = hub
        self._pace = pace or Pace()
        self._trust = trust or Trust()
        self._gate = asyncio.Semaphore(ASKED_AT_ONCE)
        self._devices: dict[str, Device] = {}
        self._kept: dict[str, KeptChannels] = {}
        self._changing = asyncio.Lock()
        self._followers: list[Callable[[], None]] = []
        self._partings: list[Callable[[], Awaitable[None]]] = []

    async def start(
        self, configured: Iterable[DeviceConfig], *, taken: Collection[str] = ()
    ) -> None:
        """Ask what is configured and what the API added before, see apply()."""
        self._kept = {
            one.token: one for one in map(_read_kept, await self._store.device_channels()) if one
        }
        await self.apply(configured, taken=taken)
        for raw in await self._store.devices():
            try:
                config = parse_device(raw)
                self._check(config)
            except ConfigError as error:
                logger.warning("stored device %s is left out: %s", raw.get("token"), error)
                continue
            if config.token in self._devices or config.token in taken:
                logger.warning("device %s is left out: %s", config.token, IN_FILE)
                continue
            self._open(config, from_file=False)
        self._tell_change()

    async def aclose(self) -> None:
        """Let go of every recorder."""
        devices, self._devices = list(self._devices.values()), {}
        await asyncio.gather(*(device.aclose("the server stops") for device in devices))

    async def apply(
        self, configured: Iterable[DeviceConfig], *, taken: Collection[str] = ()
    ) -> None:
        """Make config.json's recorders so; what has not changed is not touched.

        `taken` are tokens of config.json's sources: a recorder that the API added goes for those.
        """
        wanted = {config.token: config for config in configured}
        for config in wanted.values():
            self._check(config)
        async with self._changing:
            gone: list[Device] = []
            for token, device in list(self._devices.items()):
                if not device.from_file and (token in wanted or token in taken):
                    logger.warning("device %s is left out: %s", token, IN_FILE)
                elif not device.from_file or wanted.get(token) == device.config:
                    continue
                gone.append(self._devices.pop(token))
            for token, config in wanted.items():
                if token not in self._devices:
                    self._open(config, from_file=True)
            self._tell_change()
            for device in gone:
                await self._part(device, "the device was changed in config.json")
                if device.config.token not in wanted:
                    await self._trust.forget(device.config.token)

    def on_change(self, follower: Callable[[], None]) -> None:
        """Have this called whenever a recorder or a channel comes, changes or goes."""
        self._followers.append(follower)

    def on_parting(self, settle: Callable[[], Awaitable[None]]) -> None:
        """Have this done before a recorder that is gone is let go of: its cameras may move."""
        self._partings.append(settle)

    def devices(self) -> Sequence[Device]:
        """Return all recorders, in the order they were added."""
        return list(self._devices.values())

    def get(self, token: str) -> Device:
        """Return one recorder; raises NotFoundError."""
        try:
            return self._devices[token]
        except KeyError:
            raise NotFoundError("there is no device with this token") from None

    def find_channel(self, token: str) -> tuple[Device, DeviceChannel] | None:
        """Return what a token `<device>--<channel>` names, if there is such."""
        parts = split_token(token)
        device = self._devices.get(parts[0]) if parts else None
        channel = device.find(parts[1]) if device and parts else None
        return (device, channel) if device and channel else None

    def find_recorded(self, token: str) -> RecordedChannel | None:
        """Return what the recorder has of the channel `<device>--<channel>`, if there is such."""
        found = self.find_channel(token)
        return RecordedChannel(found[0], found[1].number) if found else None

    async def add(self, config: DeviceConfig) -> Device:
        """Add, keep and ask a recorder; raises ConflictError, ConfigError, UnavailableError."""
        self._check(config)
        async with self._changing:
            if config.token in self._devices:
                raise ConflictError(f"there is a device with the token {config.token!r} already")
            if len(self._devices) >= MAX_DEVICES:
                raise UnavailableError(f"there are {MAX_DEVICES} devices, which is the most")
            await self._store.save_device(msgspec.to_builtins(config))
            device = self._open(config, from_file=False)
            self._tell_change()
        return device

    async def delete(self, token: str) -> None:
        """Forget a recorder; raises NotFoundError, ConflictError."""
        async with self._changing:
            device = self.get(token)
            if device.from_file:
                raise ConflictError(
                    f"device {token!r} stands in config.json: take it out there and restart"
                )
            await self._store.delete_device(token)
            await self._store.delete_device_channels(token)
            self._kept.pop(token, None)
            del self._devices[token]
            self._tell_change()
        await self._part(device, "the device was deleted")
        await self._trust.forget(token)

    async def change_login(self, token: str, user: str, password: str) -> Device:
        """Have a recorder asked with another login; raises what delete() does.

        What it is known by stays, its certificate and its channels.
        """
        async with self._changing:
            old = self.get(token)
            if old.from_file:
                raise ConflictError(f"device {token!r} stands in config.json: change it there")
            config = msgspec.structs.replace(old.config, user=user, password=password)
            await self._store.save_device(msgspec.to_builtins(config))
            device = self._open(config, from_file=False)
            self._tell_change()
        await self._part(old, "the login of the device was changed")
        return device

    async def _part(self, device: Device, reason: str) -> None:
        for settle in self._partings:
            await settle()
        await device.aclose(reason)

    def _check(self, config: DeviceConfig) -> None:
        if config.type not in self._makers:
            known = ", ".join(sorted(self._makers))
            raise ConfigError("type", f"{config.type!r} is not spoken here; there are: {known}")

    def _open(self, config: DeviceConfig, *, from_file: bool) -> Device:
        kept = self._kept.get(config.token)
        is_same = kept is not None and (kept.host, kept.port) == (config.host, config.port)
        device = Device(
            config,
            self._makers[config.type](config),
            self._hub,
            from_file=from_file,
            gate=self._gate,
            pace=self._pace,
            known=kept.channels if kept and is_same else (),
            on_change=self._follow,
        )
        self._devices[config.token] = device
        device.start()
        return device

    async def _follow(self, device: Device) -> None:
        """Tell of a recorder that has changed, and keep what its channels are called."""
        self._tell_change()
        config = device.config
        channels = [replace(one, is_online=False) for one in device.channels]
        kept = KeptChannels(config.token, config.host, config.port, channels)
        if not channels or self._kept.get(config.token) == kept:
            return
        self._kept[config.token] = kept
        try:
            await self._store.save_device_channels(msgspec.to_builtins(kept))
        except UnavailableError as error:
            logger.warning(
                "the channels of %s are unknown after a restart: %s", config.token, error
            )

    def _tell_change(self) -> None:
        for follower in self._followers:
            follower()


def _read_kept(raw: dict[str, Any]) -> KeptChannels | None:
    try:
        return msgspec.convert(raw, KeptChannels)
    except msgspec.ValidationError as error:
        logger.warning("the kept channels of device %s are left out: %s", raw.get("token"), error)
        return None
