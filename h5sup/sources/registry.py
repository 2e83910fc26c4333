"""All sources: those of config.json and those the API added."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from h5sup.base.errors import ConfigError, ConflictError, NotFoundError
from h5sup.bus.channel import Channel
from h5sup.config.loading import parse_source
from h5sup.config.model import SourceConfig
from h5sup.events.hub import Hub
from h5sup.sources.feed import Workshop
from h5sup.sources.locate import locate_file
from h5sup.sources.onvif import Cameras
from h5sup.sources.source import Lease, Source, Transcodes

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
    """Owns every Source. Used from the event loop alone."""

    def __init__(
        self,
        workshop: Workshop,
        media_root: Path,
        store: SourceStore,
        hub: Hub,
        cameras: Cameras,
    ) -> None:
        self._workshop = workshop
        self._media_root = media_root
        self._store = store
        self._hub = hub
        self._cameras = cameras
        self._sources: dict[str, Source] = {}
        self.transcodes = Transcodes(workshop.limits.transcodes)
        """What bounds conversions, those of recordings among them."""
        self._changing = asyncio.Lock()
        self._followers: list[Callable[[], None]] = []

    async def start(self, configured: Iterable[SourceConfig]) -> None:
        """Start what is configured and what the API added before."""
        await self.apply(configured)
        for raw in await self._store.sources():
            try:
                config = parse_source(raw)
                await self._check(config)
            except ConfigError as error:
                logger.warning("stored source %s is left out: %s", raw.get("token"), error)
                continue
            if config.token in self._sources:
                logger.warning("source %s stands in config.json, which wins", config.token)
                continue
            self._open(config, from_file=False)
        self._tell_change()

    async def aclose(self) -> None:
        """Stop every source."""
        sources, self._sources = list(self._sources.values()), {}
        await asyncio.gather(*(source.aclose("the server stops") for source in sources))

    async def apply(self, configured: Iterable[SourceConfig]) -> None:
        """Make config.json's sources so; what has not changed is not touched."""
        wanted = {config.token: config for config in configured}
        for config in wanted.values():
            await self._check(config)
        async with self._changing:
            for token, source in list(self._sources.items()):
                if source.from_file and wanted.get(token) != source.config:
                    del self._sources[token]
                    await source.aclose("the source was changed in config.json")
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

    def sources(self) -> list[Source]:
        """Return all sources, in the order they were added."""
        return list(self._sources.values())

    def get(self, token: str) -> Source:
        """Return one source; raises NotFoundError."""
        try:
            return self._sources[token]
        except KeyError:
            raise NotFoundError("there is no source with this token") from None

    def find_channel(self, token: str) -> Channel:
        """Return the channel of a source's main input, running or not; raises NotFoundError."""
        return self.get(token).main.channel

    async def add(self, config: SourceConfig) -> None:
        """Add, keep and start a source; raises ConflictError, ConfigError."""
        await self._check(config)
        if config.type == "file":
            await asyncio.to_thread(self._check_exists, config)
        async with self._changing:
            if config.token in self._sources:
                raise ConflictError(f"there is a source with the token {config.token!r} already")
            await self._store.save_source(msgspec.to_builtins(config))
            self._open(config, from_file=False)
            self._tell_change()

    async def delete(self, token: str) -> None:
        """Stop and forget a source; raises NotFoundError, ConflictError."""
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

    def _open(self, config: SourceConfig, *, from_file: bool) -> None:
        source = Source(
            config,
            self._workshop,
            self._media_root,
            self._hub,
            self._cameras,
            from_file=from_file,
        )
        self._sources[config.token] = source
        source.start()

    def _tell_change(self) -> None:
        for follower in self._followers:
            follower()
