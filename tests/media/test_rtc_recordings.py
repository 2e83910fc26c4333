"""Recordings that a browser can't take as they are: over WebRTC one ffmpeg makes what it can."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

from h5sup.config.profile import VideoRecipe
from h5sup.ffmpeg.process import Launcher
from h5sup.ffmpeg.tools import find_tools
from h5sup.formats.rtp import timestamp_distance
from h5sup.recording.playback.converter import Kit
from h5sup.recording.playback.opener import RecordedPlaybacks
from h5sup.store.media_index import MediaIndex
from tests.conftest import child_processes
from tests.fakes.clips import Clips
from tests.fakes.mediastore import Mediastore
from tests.media.test_rtc_playback import TICKS, Room, frames, open_room, steps, until

pytestmark = [pytest.mark.media, pytest.mark.timeout(60)]

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@asynccontextmanager
async def recorded(clip: Path, folder: Path) -> AsyncIterator[Room]:
    """Have a clip recorded, and a server that plays it."""
    shelf = Mediastore(folder)
    await asyncio.to_thread(shelf.record, clip, NOON, 1, token="cam")
    await shelf.close()
    index = MediaIndex(folder / "data")
    await index.open()
    kit = Kit(
        await find_tools("ffmpeg", "ffprobe"), Launcher(f"test-{folder.name}"), VideoRecipe()
    )
    playbacks = RecordedPlaybacks(index, folder / "mediastore", limit=4, kit=kit)
    try:
        async with open_room(playbacks) as room:
            yield room
    finally:
        await playbacks.close()
        await index.close()


@pytest.mark.parametrize("clip", ["h264_aac", "h264_bframes", "hevc_aac"])
async def test_a_browser_gets_what_it_can_play(clip: str, clips: Clips, tmp_path: Path) -> None:
    async with recorded(clips[clip], tmp_path) as room:
        async with room.client("token=cam&filename=cam-1.mp4") as client:
            await client.command("H5_START")
            await until(lambda: len(client.units()) > 35 and len(client.sound) > 50, 20)
            assert (await frames(client))[:35] == list(range(35))
            assert min(steps(client)) > 0
            assert median(steps(client)) == TICKS  # however busy the machine is
            stamps = [one.header.timestamp for one in client.sound]
            assert median(timestamp_distance(b, a) for a, b in pairwise(stamps)) == 960
            assert len(child_processes()) == 1

            asked_at = asyncio.get_running_loop().time()
            before = len(client.units())
            await client.command("H5_SEEK", nSeekTime=5)
            await until(lambda: len(client.units()) > before + 40)
            seen = await frames(client)
            there = seen.index(125)
            assert seen[there : there + 5] == list(range(125, 130))
            assert client.units()[there][-1].at - asked_at < 1.0  # half of it where others rest
            assert min(steps(client)) > 0
        await until(lambda: not child_processes())
