"""A channel fed by hand, and sources that lease it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
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
from tests.fakes.mp4 import AAC_FRAME, AUDIO_SCALE, VIDEO_SCALE, Camera, build_init

Client = TestClient[web.Request, web.Application]


class Feeder:
    """Publishes pictures on the channel's clock, without the wait, as ffmpeg writes them.

    Below 24 a second sound comes in fragments of its own, from 40 on two pictures in one.
    """

    def __init__(
        self, *, token: str = "cam", audio: bool = False, gop: int = 25, fps: float = 25
    ) -> None:
        self.channel = Channel(token, "main", "copy", gop_bytes=8_000_000)
        self.gop = gop
        self.fps = fps
        self.picture_bytes = 100
        self.now = asyncio.get_running_loop().time()
        self._audio = audio
        self._count = 0
        self._sequence = 0
        self._camera = Camera(audio=audio)

    def begin(self, *, audio: bool | None = None) -> None:
        """Start a generation, with a clock that begins anew."""
        self._audio = self._audio if audio is None else audio
        clock = {"video_dts": 10 * VIDEO_SCALE, "audio_dts": 10 * AUDIO_SCALE}
        self._camera = Camera(**clock, audio=self._audio)
        self._count = 0
        self.channel.begin(parse_init(build_init(audio=self._audio)), "the source starts anew")

    def picture(self, duration_s: float = 0.0) -> Fragment:
        """Publish the next picture, a key frame where it is due, and the sound before it."""
        ticks = round((duration_s or 1 / self.fps) * VIDEO_SCALE)
        pictures = [ticks] * (2 if self.fps >= 40 else 1)
        is_key = self._count % self.gop == 0
        self._count += len(pictures)
        end_s = (self._camera.video_dts + sum(pictures)) / VIDEO_SCALE
        sounds = int((end_s * AUDIO_SCALE - self._camera.audio_dts) // AAC_FRAME)
        sounds *= self._audio
        while sounds > 2:
            self._publish(pictures=(), sounds=[AAC_FRAME] * 2)
            sounds -= 2
        self.now += sum(pictures) / VIDEO_SCALE
        return self._publish(pictures=pictures, sounds=[AAC_FRAME] * sounds, is_key=is_key)

    def _publish(
        self, *, pictures: Sequence[int], sounds: Sequence[int], is_key: bool = False
    ) -> Fragment:
        data = self._camera.fragment(
            key=is_key, pictures=pictures, sounds=sounds, picture_bytes=self.picture_bytes
        )
        runs = parse_fragment(data, self._camera.init)
        video, audio = (
            run_of(run, run.dts, run.duration) if run else None for run in (runs.video, runs.audio)
        )
        self._sequence += 1
        fragment = Fragment(self._sequence, data, is_key, video, audio, self.now)
        self.channel.publish(fragment)
        return fragment

    def pictures(self, count: int) -> list[Fragment]:
        """Publish some."""
        return [self.picture() for _ in range(count)]

    def seconds(self, count: float) -> list[Fragment]:
        """Publish seconds of pictures."""
        return self.pictures(round(count * self.fps / (2 if self.fps >= 40 else 1)))


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
    part_s: float = 0.2,
    ts: bool = True,
    viewers: int = 100,
    idle_s: float = 30.0,
) -> AsyncIterator[tuple[Client, HlsOutput]]:
    """Run an HLS output on a free port."""
    config = HlsConfig(ts=ts, segment_s=segment_s, segments=segments, part_s=part_s)
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
