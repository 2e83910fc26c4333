"""What a person sees: frame numbers read from a playing video's pixels."""

from __future__ import annotations

import asyncio
from typing import Any

from playwright.async_api import Page

# The blocks of tests/fakes/clips.py, read from a canvas; -1 before the first picture.
READ = """() => {
  const video = document.querySelector('video');
  if (!video || !video.videoWidth) return null;
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth; canvas.height = video.videoHeight;
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0);
  const side = Math.floor(canvas.width / 16);
  const lit = (block) => context.getImageData(
    side * block + (side >> 1), side >> 1, 1, 1).data[1] >= 128;
  let index = lit(0) && !lit(1) ? 0 : -1;
  for (let bit = 0; index >= 0 && bit < 12; bit += 1) index = index * 2 + (lit(bit + 2) ? 1 : 0);
  return {
    index, now: Date.now() / 1000, time: video.currentTime, ranges: video.buffered.length,
    frames: video.getVideoPlaybackQuality().totalVideoFrames,
  };
}"""


# Each picture once, at the moment it is shown: a look at any time finds it half a picture later.
SHOWN = f"""(seconds) => new Promise((resolve) => {{
  const read = {READ};
  const video = document.querySelector('video');
  const seen = [];
  const end = performance.now() + seconds * 1000;
  const next = (_, picture) => {{
    const shown = read();
    const at = Date.now() / 1000 + (picture.expectedDisplayTime - performance.now()) / 1000;
    if (shown) seen.push({{ ...shown, now: at }});
    if (performance.now() < end) video.requestVideoFrameCallback(next);
    else resolve(seen);
  }};
  video.requestVideoFrameCallback(next);
}})"""


async def look(page: Page) -> dict[str, Any] | None:
    """Return what the page's video shows now."""
    seen: dict[str, Any] | None = await page.evaluate(READ)
    return seen


async def watch_each(page: Page, seconds: float) -> list[dict[str, Any]]:
    """Return every picture that is shown, with the time at which it is."""
    seen: list[dict[str, Any]] = await page.evaluate(SHOWN, seconds)
    return seen


async def watch(page: Page, seconds: float, every_s: float = 0.2) -> list[dict[str, Any]]:
    """Return what the page's video showed, look by look, from its first picture on."""
    loop = asyncio.get_running_loop()
    seen: list[dict[str, Any]] = []
    async with asyncio.timeout(seconds + 30):
        while not (first := await look(page)) or not first["frames"]:
            await asyncio.sleep(0.05)
        until = loop.time() + seconds
        while loop.time() < until:
            one = await look(page)
            if one is not None:
                seen.append(one)
            await asyncio.sleep(every_s)
    return seen


def behind_s(one: dict[str, Any], fps: int, frames: int) -> float:
    """Return how old the shown picture is by the camera's clock."""
    return float((one["now"] * fps - one["index"]) % frames / fps)
