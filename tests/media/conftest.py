"""The sources of h5sup with real ffmpegs, without its HTTP side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from h5sup.bus.channel import Channel
from h5sup.bus.fragment import Fragment
from h5sup.config.loading import load_profiles, parse_source
from h5sup.config.model import HlsConfig, LimitsConfig
from h5sup.devices.onvif.api import Onvif
from h5sup.devices.onvif.soap import Book
from h5sup.devices.registry import Devices
from h5sup.devices.trust import Trust
from h5sup.events.hub import Hub
from h5sup.ffmpeg.process import Launcher
from h5sup.ffmpeg.tools import find_tools
from h5sup.sources.feed import Workshop
from h5sup.sources.registry import Registry
from h5sup.sources.source import Source
from h5sup.store.store import Store
from tests.fakes.nvr import QUICK, Nvr
from tests.fakes.nvr import MemoryStore as DeviceMemory

PROFILES = Path(__file__).resolve().parents[2] / "ffmpeg_profiles"

WSDL = Book()  # each of its files is read once for all tests


class MemoryStore:
    """A store that forgets."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}

    async def sources(self) -> list[dict[str, Any]]:
        return list(self.kept.values())

    async def save_source(self, raw: dict[str, Any]) -> None:
        self.kept[raw["token"]] = raw

    async def delete_source(self, token: str) -> None:
        self.kept.pop(token, None)


@dataclass
class Taker:
    """A subscriber that remembers what it was given."""

    taken: list[Fragment] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def on_fragment(self, fragment: Fragment) -> None:
        self.taken.append(fragment)

    def on_close(self, reason: str) -> None:
        self.closed.append(reason)


class Station:
    """A registry with what tests ask of it."""

    def __init__(
        self,
        registry: Registry,
        ram: Path,
        media_root: Path,
        hub: Hub,
        devices: Devices,
        nvr: Nvr,
    ) -> None:
        self.registry = registry
        self.devices = devices
        self.nvr = nvr
        """What answers for all devices of type hik."""
        self.hub = hub
        self.ram = ram
        self.media_root = media_root

    async def add(self, token: str, url: str, **settings: Any) -> Source:
        """Add a camera, started at once unless it is on demand."""
        await self.registry.add(
            parse_source({"token": token, "url": url, "type": "rtsp"} | settings)
        )
        return self.registry.get(token)

    async def until(self, condition: Callable[[], object], timeout_s: float = 30.0) -> None:
        """Wait for a condition, looking often."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.02)

    async def until_failed(self, source: Source, words: str) -> None:
        """Wait till the source's state says what is wrong in these words."""
        await self.until(lambda: source.state.reason)
        assert words in source.state.reason, source.state

    async def follow(self, channel: Channel, count: int, timeout_s: float = 30.0) -> Taker:
        """Take so many fragments with video from the channel, its cached GOP first."""
        await channel.wait_ready(timeout_s)
        taker = Taker(taken=list(channel.gop))
        channel.subscribe(taker)
        try:
            await self.until(
                lambda: taker.closed or sum(one.video is not None for one in taker.taken) >= count,
                timeout_s,
            )
        finally:
            channel.unsubscribe(taker)
        assert not taker.closed, taker.closed
        return taker


StationMaker = Callable[..., Any]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Return an open store."""
    store = Store(tmp_path)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def station(tmp_path: Path) -> StationMaker:
    """Return a maker of stations; keywords are those of LimitsConfig and what stands below."""
    profiles = load_profiles(PROFILES)
    media_root = tmp_path / "media"
    media_root.mkdir()

    @asynccontextmanager
    async def make(
        *,
        hls: HlsConfig | None = None,
        ffmpeg: str = "ffmpeg",
        trust: Trust | None = None,
        **limits: Any,
    ) -> AsyncIterator[Station]:
        tools = await find_tools(ffmpeg, "ffprobe")
        workshop = Workshop(
            tools=tools,
            launcher=Launcher(f"test-{tmp_path.name}"),
            profiles=profiles,
            hls=hls or HlsConfig(),
            limits=LimitsConfig(**limits),
            ram=tmp_path / "ram",
        )
        hub = Hub()
        onvif = Onvif(timeout_s=2.0, book=WSDL, trust=trust)
        nvr = Nvr()
        devices = Devices({"hik": nvr.make}, DeviceMemory(), hub, pace=QUICK)
        await devices.start(())
        registry = Registry(workshop, media_root, MemoryStore(), hub, onvif, devices, trust=trust)
        try:
            yield Station(registry, workshop.ram, media_root, hub, devices, nvr)
        finally:
            await registry.aclose()
            await devices.aclose()
            await onvif.close()

    return make
