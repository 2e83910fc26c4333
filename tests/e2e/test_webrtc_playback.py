"""A recording over WebRTC in Chromium: it starts, pauses, seeks and speeds as the manual says."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from playwright.async_api import BrowserContext, Page

from h5sup.base.clock import from_us
from tests.e2e.screen import READ, look, watch_each
from tests.e2e.server import Server
from tests.e2e.webrtc import SPY, figures, free_port
from tests.fakes.clips import Clips
from tests.fakes.mediastore import put_recording

FPS = 25
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]

MAKE = """([begintime, endtime]) => {
  const video = document.createElement('video');
  video.muted = true;
  document.body.replaceChildren(video);
  globalThis.heard = [];
  const callback = (text) => heard.push(JSON.parse(text));
  globalThis.player = new H5sPlayerRTC({videodom: video, token: 'front',
    pbconf: {begintime, endtime, serverpb: 'true', callback}});
  player.connect();
}"""
# When a picture first is on the screen, of those from one number to another, and which it is.
FIRST_OF = f"""([low, high]) => new Promise((resolve) => {{
  const began = performance.now();
  const read = {READ};
  const video = document.querySelector('video');
  const next = () => {{
    const shown = read();
    if (shown && shown.index >= low && shown.index <= high)
      resolve({{index: shown.index, tookMs: performance.now() - began}});
    else video.requestVideoFrameCallback(next);
  }};
  video.requestVideoFrameCallback(next);
}})"""


async def first_shown(page: Page, command: str, low: int, high: int) -> dict[str, Any]:
    """Give a command; return the first picture of a range that is shown, and how soon."""
    script = f"(range) => {{ {command}; return ({FIRST_OF})(range); }}"
    async with asyncio.timeout(10):
        found: dict[str, Any] = await page.evaluate(script, [low, high])
    return found


async def test_a_recording_plays_pauses_seeks_and_speeds(
    browser: BrowserContext, clips: Clips, ffmpeg: str, tmp_path: Path
) -> None:
    source = {"token": "front", "type": "file", "url": "none.mp4", "connect": "ondemand"}
    server = Server(tmp_path, sources=[source], auth={"enabled": False}, rtc={"port": free_port()})
    server.add_media(clips["h264_mute"], "none.mp4")
    file = await put_recording(clips["h264_mute"], ffmpeg, tmp_path, "front")
    times = [from_us(at).isoformat() for at in (file.start_us, file.end_us)]
    async with server:
        page = await browser.new_page()
        await page.add_init_script(SPY)
        await page.goto(f"{server.base}/rtc.html")
        await page.evaluate(MAKE, times)
        await first_shown(page, "player.start()", 0, 25)
        await page.evaluate("player.pause()")
        await asyncio.sleep(0.4)
        stands = await look(page)
        await asyncio.sleep(0.8)
        assert stands is not None
        assert await look(page) == stands | {"now": ANY, "time": ANY}
        scrubbed = await first_shown(page, "player.seek(3)", 75, 199)
        assert scrubbed["index"] == 75
        back = await first_shown(page, f"player.seek({stands['index'] / FPS})", 0, 74)
        assert back["index"] <= stands["index"]
        await asyncio.sleep(0.2)
        after = stands["index"] + 1
        assert (await first_shown(page, "player.resume()", after, 199))["index"] <= after + 12
        there = await first_shown(page, "player.seek(5.5)", 137, 199)
        assert there["index"] <= 140  # a busy browser leaves some out
        assert there["tookMs"] < 500
        back = await first_shown(page, "player.seek(1)", 25, 60)
        assert back["index"] <= 28
        await first_shown(page, "player.speed(2)", 30, 199)
        fast = await watch_each(page, 1)
        assert 40 <= fast[-1]["index"] - fast[0]["index"] <= 56
        carried = await figures(page)
        assert (carried["peers"], carried["lost"], carried["plis"]) == (1, 0, 0)
        heard = await page.evaluate("heard")
        assert heard[0]["type"] == "H5S_EVENT_PB_SESSION"
        moments = [datetime.fromisoformat(one["pbTime"]["strExactTime"]) for one in heard[1:]]
        begin = from_us(file.start_us)
        assert moments[0] == begin
        assert begin + timedelta(seconds=1) in moments  # told with the seek
        assert server.ffmpegs() == []
