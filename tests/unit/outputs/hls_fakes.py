"""A channel fed by hand, and sources that lease it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from h5sup.base.errors import NotFoundError
from h5sup.bus.channel import Channel
from h5sup.bus.fragment import Fragment, run_of
from h5sup.config.model import HlsConfig
from h5sup.formats.isobmff.fragment import parse_fragment
from h5sup.formats.isobmff.init_segment import InitSegment, parse_init
from h5sup.outputs.hls.output import HlsOutput
from tests.fakes.mp4 import PICTURE, VIDEO_SCALE, Camera, build_init

Client = TestClient[web.Request, web.Application]


class Feeder:
    """Publishes pictures, 25 a second on the channel's clock, without the wait."""

    def __init__(self, *, token: str = "cam", audio: bool = False, gop: int = 25) -> None:
        self.channel = Channel(token, "main", "copy", gop_bytes=8_000_000)
        self.gop = gop
        self.picture_bytes = 100
        self.now = asyncio.get_running_loop().time()
        self._audio = audio
        self._count = 0
        self._sequence = 0
        self._camera = Camera(audio=audio)

    def begin(self, *, audio: bool | None = None) -> None:
        """Start a generation, with a clock that begins anew."""
        self._audio = self._audio if audio is None else audio
        self._camera = Camera(video_dts=10 * VIDEO_SCALE, audio=self._audio)
        self._count = 0
        self.channel.begin(parse_init(build_init(audio=self._audio)), "the source starts anew")

    def picture(self) -> Fragment:
        """Publish one picture, a key frame where it is due."""
        is_key = self._count % self.gop == 0
        data = self._camera.fragment(key=is_key, picture_bytes=self.picture_bytes)
        parsed = parse_fragment(data, self._camera.init)
        assert parsed.video is not None
        self._count += 1
        self._sequence += 1
        self.now += PICTURE / VIDEO_SCALE
        run = run_of(parsed.video, parsed.video.dts, parsed.video.duration)
        fragment = Fragment(self._sequence, data, is_key, run, None, self.now)
        self.channel.publish(fragment)
        return fragment

    def pictures(self, count: int) -> list[Fragment]:
        """Publish some."""
        return [self.picture() for _ in range(count)]

    def seconds(self, count: float) -> list[Fragment]:
        """Publish seconds of pictures."""
        return self.pictures(round(count * VIDEO_SCALE / PICTURE))


class FakeLease:
    """A hold on a channel, which may come later."""

    def __init__(self, owner: FakeLeases, channel: Channel, folder: Path | None) -> None:
        self._owner = owner
        self._channel = channel
        self._folder = folder
        self._is_released = False
        owner.held += 1

    @property
    def ts_folder(self) -> Path | None:
        return self._folder

    async def ready(self, timeout_s: float) -> Channel:
        await self._channel.wait_ready(timeout_s)
        return self._channel

    def release(self) -> None:
        if not self._is_released:
            self._is_released = True
            self._owner.held -= 1


class FakeLeases:
    """Sources by token: the channel as it comes in, and one of H.264."""

    def __init__(self) -> None:
        self.native: dict[str, Channel] = {}
        self.h264: dict[str, Channel] = {}
        self.folder: Path | None = None
        self.held = 0
        self.asked: list[tuple[str, bool]] = []

    def add(self, channel: Channel, h264: Channel | None = None) -> None:
        self.native[channel.token] = channel
        self.h264[channel.token] = h264 or channel

    def remove(self, token: str) -> None:
        del self.native[token], self.h264[token]

    def lease(self, token: str, *, profile: str = "main", hevc: bool = False) -> FakeLease:
        assert profile == "main"
        self.asked.append((token, hevc))
        channels = self.native if hevc else self.h264
        if token not in channels:
            raise NotFoundError("there is no source with this token")
        return FakeLease(self, channels[token], self.folder)


@asynccontextmanager
async def serve(
    leases: FakeLeases,
    *,
    segment_s: float = 2.0,
    segments: int = 4,
    ts: bool = True,
    viewers: int = 100,
    idle_s: float = 30.0,
) -> AsyncIterator[tuple[Client, HlsOutput]]:
    """Run an HLS output on a free port."""
    config = HlsConfig(ts=ts, segment_s=segment_s, segments=segments)
    output = HlsOutput(leases, config, viewers=viewers, idle_s=idle_s)
    app = web.Application()
    app.router.add_route("*", "/hls/{below:.*}", output.handle)
    app.router.add_get("/api/v1/h5swscmnapi", output.keep_alive)

    async def close(_: web.Application) -> None:
        await output.close()

    app.on_shutdown.append(close)
    async with TestClient(TestServer(app)) as client:
        yield client, output


async def wait_until(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    """Poll until something is so."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)


def replace_codec(init: InitSegment, codec: str) -> InitSegment:
    """Return the init segment as if its video were of another codec."""
    assert init.video is not None
    return InitSegment(init.data, replace(init.video, codec=codec), init.audio)
