"""WebRTC over a network that loses packets: they are sent again, and the picture goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import BrowserContext

from tests.e2e.screen import watch
from tests.e2e.server import Server, free_port
from tests.e2e.webrtc import STANDS, through_port
from tests.fakes.clips import Clips
from tests.fakes.lossy_nat import LossyNat

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]

SECONDS = 10


async def test_a_tenth_of_the_packets_lost_costs_hardly_a_picture(
    clips: Clips, tmp_path: Path, browser: BrowserContext
) -> None:
    port = free_port()
    source = {"token": "front", "type": "file", "url": "clip.mp4"}
    server = Server(tmp_path, sources=[source], auth={"enabled": False}, rtc={"port": port})
    server.add_media(clips["h264_2m"], "clip.mp4")
    async with server, LossyNat(port, 0.1) as nat:
        page = await browser.new_page()
        await page.add_init_script(through_port(nat.port))
        await page.goto(f"{server.base}/rtc.html?token=front")
        await watch(page, 2)
        lost = nat.lost
        stands = await page.evaluate(STANDS, SECONDS)
        assert nat.lost - lost > 100  # of some 250 packets a second
        assert len(stands) > SECONDS * 25 / 2  # without repair hardly a picture is whole
        assert max(stands) < 2000  # `tests.bench rtc` says how long it stands in truth
        await page.close()
