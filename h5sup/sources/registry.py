"""All sources: those of config.json, those the API added, and the channels of recorders."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec

from h5sup.base.errors import ConfigError, ConflictError, NotFoundError
from h5sup.bus.channel import Channel
from h5sup.config.loading import parse_source
from h5sup.config.model import SourceConfig
from h5sup.devices.device import channel_token
from h5sup.devices.registry import IN_FILE
from h5sup.devices.trust import Trust
from h5sup.events.hub import Hub
from h5sup.sources.device import (
    GONE,
    Devices,
    DeviceSource,
    IdleChannel,
    IdleFeed,
    channel_config,
)
from h5sup.sources.feed import Workshop
from h5sup.sources.locate import locate_file
from h5sup.sources.onvif import Cameras
from h5sup.sources.source import Lease, Source, Transcodes

DEVICE_GONE = "its device was deleted or changed"

logger = logging.getLogger(__name__)


class SourceStore(Protocol):
    """Where the sources added by API are kept."""

    async def sources(self) -> list[dict[str, Any]]:
        """Return them as they were saved."""

    async def save_source(self, raw: dict[str, Any]) -> None:
        """Keep one, in place of one with the same token."""

    async def delete_source(self, token: str) -> None:
        """Forget one."""


class Registry:
    """Owns every Source. Used from the event loop alone.

    A channel of a recorder becomes a Source when somebody names it, and stays one until the
    recorder lists it no more and nobody holds it, or until the recorder is gone.
    """

    def __init__(
        self,
        workshop: Workshop,
        media_root: Path,
        store: SourceStore,
        hub: Hub,
        cameras: Cameras,
        devices: Devices,
        *,
        trust: Trust | None = None,
    ) -> None:
        self._workshop = workshop
        self._media_root = media_root
        self._store = store
        self._hub = hub
        self._cameras = cameras
        self._trust = trust or Trust()
        self._devices = devices
        self._sources: dict[str, Source] = {}
        self._channels: dict[str, tuple[DeviceSource, Source]] = {}
        self._idle: dict[str, tuple[DeviceSource, IdleChannel]] = {}
        self._idle_feed = IdleFeed(Channel("", "main", "copy", gop_bytes=0))
        self._closing: set[asyncio.Task[None]] = set()
        self.transcodes = Transcodes(workshop.limits.transcodes)
        """What bounds conversions, those of recordings among them."""
        self._changing = asyncio.Lock()
        self._followers: list[Callable[[], None]] = []

    async def start(self, configured: Iterable[SourceConfig]) -> None:
        """Start what is configured and what the API added before; the recorders are known."""
        self._devices.on_change(self._follow_devices)
        await self.apply(configured)
        for raw in await self._store.sources():
            try:
                config = parse_source(raw)
                await self._check(config)
            except ConfigError as error:
                logger.warning("stored source %s is left out: %s", raw.get("token"), error)
                continue
            if config.token in self._sources or config.token in self._fixed_devices():
                logger.warning("source %s is left out: %s", config.token, IN_FILE)
                continue
            self._open(config, from_file=False)
        self._tell_change()

    async def aclose(self) -> None:
        """Stop every source."""
        sources, self._sources = list(self.opened()), {}
        self._channels.clear()
        self._idle.clear()
        await asyncio.gather(*self._closing)
        await asyncio.gather(*(source.aclose("the server stops") for source in sources))

    async def apply(self, configured: Iterable[SourceConfig]) -> None:
        """Make config.json's sources so; what has not changed is not touched."""
        wanted = {config.token: config for config in configured}
        for config in wanted.values():
            await self._check(config)
        async with self._changing:
            taken = self._fixed_devices()
            for token, source in list(self._sources.items()):
                if not source.from_file and token in taken:
                    logger.warning("source %s is left out: %s", token, IN_FILE)
                    del self._sources[token]
                    await source.aclose("a device of config.json has its token")
                elif source.from_file and wanted.get(token) != source.config:
                    del self._sources[token]
                    await source.aclose("the source was changed in config.json")
                    if token not in wanted:
                        await self._trust.forget(token)
            for token, config in wanted.items():
                present = self._sources.get(token)
                if present is not None and not present.from_file:
                    logger.warning("source %s stands in config.json now, which wins", token)
                    del self._sources[token]
                    await present.aclose("the source was changed in config.json")
                if token not in self._sources:
                    self._open(config, from_file=True)
            self._tell_change()

    def on_change(self, follower: Callable[[], None]) -> None:
        """Have this called whenever a source has been added, changed or deleted."""
        self._followers.append(follower)

    def sources(self) -> list[Source | IdleChannel]:
        """Return all sources, in the order they were added, then the channels of recorders."""
        return [*self._sources.values(), *self._list_channels()]

    def opened(self) -> list[Source]:
        """Return all but the channels that nobody has named yet."""
        return [*self._sources.values(), *(source for _, source in self._channels.values())]

    def get(self, token: str) -> Source:
        """Return one source; raises NotFoundError."""
        found = self._sources.get(token) or self._open_channel(token)
        if found is None:
            raise NotFoundError("there is no source with this token")
        return found

    def find_channel(self, token: str) -> Channel:
        """Return the channel of a source's main input, running or not; raises NotFoundError."""
        return self.get(token).main.channel

    async def add(self, config: SourceConfig) -> None:
        """Add, keep and start a source; raises ConflictError, ConfigError."""
        await self._check(config)
        if config.type == "file":
            await asyncio.to_thread(self._check_exists, config)
        async with self._changing:
            if any(device.config.token == config.token for device in self._devices.devices()):
                raise ConflictError(f"there is a device with the token {config.token!r} already")
            if config.token in self._sources:
                raise ConflictError(f"there is a source with the token {config.token!r} already")
            await self._store.save_source(msgspec.to_builtins(config))
            self._open(config, from_file=False)
            self._tell_change()

    async def delete(self, token: str) -> None:
        """Stop and forget a source; raises NotFoundError, ConflictError."""
        if self._devices.find_channel(token) is not None:
            raise ConflictError("it is a channel of a device: DelDevice takes all of them away")
        async with self._changing:
            source = self.get(token)
            if source.from_file:
                raise ConflictError(
                    f"source {token!r} stands in config.json: take it out there and restart"
                )
            await self._store.delete_source(token)
            del self._sources[token]
            self._tell_change()
        await source.aclose("the source was deleted")
        await self._trust.forget(token)

    def lease(
        self,
        token: str,
        *,
        profile: str = "main",
        hevc: bool = False,
        b_frames: bool = True,
        quiet: bool = False,
    ) -> Lease:
        """Hold a source's channel open for who takes H.265 and B-frames, or not.

        Raises NotFoundError.
        """
        source = self.get(token)
        if profile not in ("main", "sub") and profile not in self._workshop.profiles:
            raise NotFoundError(f"there is no profile {profile!r} in ffmpeg_profiles")
        return Lease(
            source,
            profile,
            hevc=hevc,
            b_frames=b_frames,
            transcodes=self.transcodes,
            quiet=quiet,
        )

    async def _check(self, config: SourceConfig) -> None:
        if config.profile != "auto" and config.profile not in self._workshop.profiles:
            known = ", ".join(sorted(self._workshop.profiles))
            raise ConfigError(
                "profile", f"there is no profile {config.profile!r}; there are: auto, {known}"
            )
        if config.type == "file":
            for url in filter(None, (config.url, config.sub.url)):
                await asyncio.to_thread(locate_file, self._media_root, url)

    def _check_exists(self, config: SourceConfig) -> None:
        if not locate_file(self._media_root, config.url).is_file():
            raise ConfigError("url", "there is no such file in the media folder")

    def _fixed_devices(self) -> set[str]:
        """Return the tokens that recorders of config.json have: it wins over the API."""
        devices = self._devices.devices()
        return {device.config.token for device in devices if device.from_file}

    def _open(self, config: SourceConfig, *, from_file: bool) -> None:
        source = Source(
            config,
            self._workshop,
            self._media_root,
            self._hub,
            self._cameras,
            self._trust,
            from_file=from_file,
        )
        self._sources[config.token] = source
        source.start()

    def _open_channel(self, token: str) -> Source | None:
        """Return a recorder's channel as a Source, made now if it is the first time."""
        if token in self._channels:
            return self._channels[token][1]
        found = self._devices.find_channel(token)
        if found is None:
            return None
        device, channel = found
        idle = self._idle.pop(token, None)
        link = DeviceSource(device, channel.number)
        source = Source(
            idle[1].config if idle else channel_config(device.config, channel),
            self._workshop,
            self._media_root,
            self._hub,
            self._cameras,
            self._trust,
            from_file=device.from_file,
            link=link,
        )
        self._channels[token] = (link, source)
        source.start()
        self._tell_change()
        return source

    def _list_channels(self) -> Iterator[Source | IdleChannel]:
        seen = set()
        for device in self._devices.devices():
            for channel in device.channels:
                token = channel_token(device.config.token, channel.number)
                seen.add(token)
                if token in self._channels:
                    yield self._channels[token][1]
                    continue
                if token not in self._idle:
                    link = DeviceSource(device, channel.number)
                    config = channel_config(device.config, channel)
                    self._idle[token] = (link, IdleChannel(config, link, self._idle_feed))
                yield self._idle[token][1]
        for token, (_, source) in self._channels.items():
            if token not in seen:
                yield source  # gone from its list, and still watched

    def _follow_devices(self) -> None:
        """Take over what has changed at recorders; whoever watches goes on doing so."""
        devices = set(self._devices.devices())
        for token, (link, idle) in list(self._idle.items()):
            channel = link.device.find(link.number) if link.device in devices else None
            if channel is None or channel.name != idle.config.name:
                del self._idle[token]
        has_changed = False
        for token, (link, source) in list(self._channels.items()):
            is_there = link.device in devices
            channel = link.device.find(link.number) if is_there else None
            if channel is not None:
                if channel.name != source.config.name:
                    source.config = msgspec.structs.replace(source.config, name=channel.name)
                    has_changed = True
            elif not is_there or not any(feed.is_running for feed in source.feeds):
                del self._channels[token]
                self._close_later(source, GONE if is_there else DEVICE_GONE)
                has_changed = True
        if has_changed:
            self._tell_change()

    def _close_later(self, source: Source, reason: str) -> None:
        task = asyncio.create_task(source.aclose(reason), name=f"close {source.config.token}")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _tell_change(self) -> None:
        for follower in self._followers:
            follower()
