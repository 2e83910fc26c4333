"""Sound and picture over WebRTC belong together: clips that flash and beep at the same instant."""

from __future__ import annotations

import asyncio
from pathlib import Path
from statistics import median

import pytest

from tests.e2e.browser import open_browser
from tests.e2e.client import Client
from tests.e2e.lipsync import measure
from tests.e2e.screen import watch
from tests.e2e.server import Server
from tests.e2e.webrtc import free_port
from tests.fakes.clips import Clips
from tests.fakes.rtsp_camera import RtspCamera

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

MOUNTS = ("flash_aac", "flash_pcma", "flash_hevc")
SETTLED_AFTER_S = 26  # Chromium brings the two together little by little
MEASURED_S = 8
MOST_MEASURED = 5  # on a busy machine that takes longer
MOST_APART_MS = 100  # on a busy machine


async def test_a_beep_is_heard_with_its_flash(clips: Clips, tmp_path: Path) -> None:
    """As AAC that is made Opus for the first listener, as PCMA, and with transcoded pictures."""
    async with RtspCamera(clips, MOUNTS) as camera:
        sources = [{"token": one, "type": "rtsp", "url": camera.url(one)} for one in MOUNTS]
        async with (
            Server(
                tmp_path / "server",
                sources=sources,
                auth={"enabled": False},
                rtc={"port": free_port()},
            ) as server,
            Client(server) as client,
        ):
            await client.until_online(*MOUNTS)

            await asyncio.gather(*(listen(server, mount, tmp_path / mount) for mount in MOUNTS))


async def listen(server: Server, mount: str, profile: Path) -> None:
    """Play in a browser of its own: a tab that nobody looks at shows no pictures."""
    async with open_browser(profile, obeys_policy=False) as browser:
        page = await browser.new_page()
        await page.goto(f"{server.base}/rtc.html?token={mount}")
        await watch(page, SETTLED_AFTER_S, every_s=1)
        found = await measure(page, MEASURED_S)
        for _ in range(MOST_MEASURED - 1):
            if found.beeps_late_ms and abs(median(found.beeps_late_ms)) < MOST_APART_MS:
                break
            found = await measure(page, MEASURED_S)
    assert found.flashes >= MEASURED_S - 2, (mount, found)
    assert len(found.beeps_late_ms) >= MEASURED_S - 2, (mount, found)
    assert abs(median(found.beeps_late_ms)) < MOST_APART_MS, (mount, found)
    print(f"{mount}: beeps are {median(found.beeps_late_ms):.0f} ms late")
