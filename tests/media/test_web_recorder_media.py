"""Pictures of each maker's recorder, live and recorded, read by the commands of h5sup."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from h5sup.config.profile import Profile
from h5sup.devices.model import MediaAddress, Recorder
from h5sup.ffmpeg.command import Legs, build_ingest
from h5sup.ffmpeg.media import Input, Tracks
from h5sup.ffmpeg.probe import probe
from h5sup.ffmpeg.process import Launcher
from h5sup.ffmpeg.tools import Tools, find_tools
from tests.fakes.clips import Clips, decode_frame_indexes
from tests.fakes.recorders import MODULES, make_recorder
from tests.fakes.rtsp_camera import RtspCamera
from tests.fakes.web_recorder import PASSWORD, USER, opened

pytestmark = pytest.mark.media

FPS = 25
STDOUT = 1
# By the fake's clock midnight of the 24th, where a track shows the clip's first picture.
MIDNIGHT = datetime(2026, 11, 23, 16, tzinfo=UTC)


@pytest.fixture(params=["hik", "dahua"])
async def recorder(clips: Clips, request: pytest.FixtureRequest) -> AsyncIterator[Recorder]:
    """Give a recorder with two cameras, whose password is a nuisance in a URL."""
    paths = MODULES[request.param].rtsp_paths([1, 2], "h264_aac", "h264_fps15")
    async with RtspCamera(clips, [], user=USER, password=PASSWORD, **paths) as rtsp:
        fake = make_recorder(request.param, cameras=2, rtsp_port=rtsp.port)
        async with fake, opened(fake) as recorder:
            await recorder.channels()
            yield recorder


@pytest.fixture
async def tools(ffmpeg: str, ffprobe: str) -> Tools:
    return await find_tools(ffmpeg, ffprobe)


@pytest.fixture
def launcher(tmp_path: Path) -> Launcher:
    return Launcher(f"test-{tmp_path}", spawns_per_s=1000, burst=1000)


def to_input(address: MediaAddress) -> Input:
    return Input(kind="rtsp", url=address.url, user=address.user, password=address.password)


async def read(tools: Tools, source: Input, tracks: Tracks, until_bytes: int) -> bytes:
    """Return what the command of a source writes, up to its end or so many bytes."""
    argv = build_ingest(
        tools, source, tracks, Profile(name="copy"), Legs(fmp4_fd=STDOUT), audio=True
    )
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    written = bytearray()
    try:
        async with asyncio.timeout(15):
            while len(written) < until_bytes and (piece := await process.stdout.read(65_536)):
                written += piece
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()
    return bytes(written)


async def test_both_live_pictures_are_played(
    recorder: Recorder, tools: Tools, launcher: Launcher
) -> None:
    main, sub = (to_input(recorder.live(2, sub=which)) for which in (False, True))
    tracks, small = await asyncio.gather(probe(tools, launcher, main), probe(tools, launcher, sub))
    assert (round(tracks.video.fps), round(small.video.fps)) == (FPS, 15)
    assert tracks.audio is not None
    shown = await asyncio.to_thread(
        decode_frame_indexes, await read(tools, main, tracks, 100_000), tools.ffmpeg
    )
    assert shown
    assert all(later == (earlier + 1) % 200 for earlier, later in pairwise(shown))


async def test_a_recording_is_played_from_where_it_was_asked_for(
    recorder: Recorder, tools: Tools, launcher: Launcher
) -> None:
    begin = MIDNIGHT + timedelta(seconds=3)
    source = to_input(recorder.playback(2, begin, begin + timedelta(seconds=1)))
    tracks = await probe(tools, launcher, source)
    written = await read(tools, source, tracks, 10**9)
    shown = await asyncio.to_thread(decode_frame_indexes, written, tools.ffmpeg)
    assert shown[0] == 3 * FPS
    assert shown == list(range(3 * FPS, 3 * FPS + len(shown)))
    assert FPS - 3 <= len(shown) <= FPS + 1
