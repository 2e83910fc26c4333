"""The players in a real browser: what they show, how far behind the camera."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest

from tests.e2e.browser import Browser, Screen, moves
from tests.e2e.server import Server
from tests.fakes.clips import Clips
from tests.fakes.rtsp_camera import RtspCamera

pytestmark = pytest.mark.e2e

CAMERAS = ("h264_aac", "h264_mute", "h264_bframes", "h264_gop10")
HEVC_AND_MJPEG = ("hevc_aac", "mjpeg")
WATCH_S = 5.0


async def check_live(screen: Screen, clip: str, *, behind_s: float) -> None:
    """Watch a camera's page: it moves, and shows what the camera shows."""
    await screen.until_playing()
    await screen.watch(2.0)  # a new player finds its distance
    looks = await screen.watch(WATCH_S)
    seen = moves(looks)
    assert 0.8 * WATCH_S < seen["played_s"] < 1.2 * WATCH_S, seen
    assert seen["different"] > 15 * WATCH_S, seen
    assert seen["seeks"] <= 1, seen
    assert seen["waits"] <= 3, seen
    numbered = [look.behind_s(clip) for look in looks if look.index >= 0]
    assert len(numbered) == len(looks)
    print(clip, sorted(round(one, 2) for one in numbered)[:: len(numbered) // 8], seen)
    assert -0.15 < median(numbered) < behind_s, numbered
    assert screen.complaints == []


async def test_websocket_page_shows_the_camera_within_a_second(
    chromium: Browser, clips: Clips, tmp_path: Path
) -> None:
    async with RtspCamera(clips, CAMERAS) as camera:
        sources = [
            {"token": clip, "type": "rtsp", "url": camera.url(clip), "connect": "ondemand"}
            for clip in CAMERAS
        ]
        async with Server(tmp_path, sources=sources) as server:
            await chromium.sign_in(server)
            for clip in CAMERAS:
                screen = await chromium.screen(f"{server.base}/ws.html?token={clip}")
                await check_live(screen, clip, behind_s=1.0)
                assert len(screen.sockets) == 1
                await screen.page.close()
