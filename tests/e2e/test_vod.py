"""A playlist over recordings in a real browser: by itself and by hls.js, over an outage."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import BrowserContext, Page

from tests.e2e.screen import look
from tests.e2e.server import ROOT
from tests.e2e.test_recorded import PLAY, SEEK
from tests.fakes.clips import Clips
from tests.fakes.kept import SECOND_US
from tests.fakes.stored_server import NOON_US, StoredServer

pytestmark = pytest.mark.e2e

NATIVE = """async (url) => {
  const video = document.querySelector('video');
  video.src = url;
  await new Promise((done) => video.addEventListener('loadedmetadata', done, {once: true}));
}"""
SCRIPTED = """async (url) => {
  const video = document.querySelector('video');
  const hls = new Hls({enableWorker: false});
  hls.loadSource(url);
  hls.attachMedia(video);
  await new Promise((done) => video.addEventListener('loadedmetadata', done, {once: true}));
}"""


async def until_near(page: Page, picture: int) -> None:
    """Wait for a picture, or one of its neighbours: players begin a little before or after 0."""
    seen = None
    with suppress(TimeoutError):
        async with asyncio.timeout(5):
            while not seen or abs(seen["index"] - picture) > 3:
                seen = await look(page)
    assert seen is not None
    assert abs(seen["index"] - picture) <= 3


@pytest.mark.parametrize("script", [NATIVE, SCRIPTED], ids=["native", "hls.js"])
async def test_a_playlist_plays_and_seeks_over_files(
    script: str, browser: BrowserContext, clips: Clips, ffmpeg: str, tmp_path: Path
) -> None:
    served = StoredServer(tmp_path)

    async def page_of(request: web.Request) -> web.Response:
        text = "<script src=/hls/hls.min.js></script><video muted></video>"
        return web.Response(text=text, content_type="text/html")

    served.app.router.add_get("/page.html", page_of)
    served.app.router.add_static("/hls", ROOT / "www" / "node_modules" / "hls.js" / "dist")
    async with served.started(clips, ffmpeg):
        page = await browser.new_page()
        await page.goto(str(served.server.make_url("/page.html")))
        await page.evaluate(script, served.range_url(NOON_US, NOON_US + 3600 * SECOND_US))
        assert await page.evaluate("document.querySelector('video').duration") == pytest.approx(
            8, abs=0.2
        )
        for picture in (187, 12, 130, 80):
            await page.evaluate(SEEK, (picture + 0.5) / 25)
            await until_near(page, picture)
        await page.evaluate(PLAY)
        await until_near(page, 199)
        assert await page.evaluate("document.querySelector('video').buffered.length") == 1
