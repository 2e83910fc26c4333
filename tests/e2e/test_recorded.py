"""A closed recording in a plain <video>: it plays, and seeks to the very picture."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from aiohttp import web
from playwright.async_api import BrowserContext, Page

from h5sup.formats.isobmff.recorded import MovieWriter
from tests.e2e.screen import look
from tests.fakes.clips import Clips
from tests.fakes.fragments import fragments_of, gops_of
from tests.fakes.recorded import BEGIN_US, close

SEEK = """async (seconds) => {
  const video = document.querySelector('video');
  const sought = new Promise((done) => video.addEventListener('seeked', done, {once: true}));
  video.currentTime = seconds;
  await sought;
}"""
PLAY = """async () => {
  const video = document.querySelector('video');
  const ended = new Promise((done) => video.addEventListener('ended', done, {once: true}));
  video.playbackRate = 4;
  await video.play();
  await ended;
}"""


def record(clip: Path, ffmpeg: str, path: Path) -> float:
    """Write a closed file; returns when its first picture is shown: sound comes before it."""
    init, fragments = fragments_of(clip, ffmpeg)
    writer = MovieWriter(init, {"token": "cam"})
    data = bytearray(writer.head)
    for gop in gops_of(fragments):
        data += b"".join(writer.add_gop(gop, BEGIN_US))
    path.write_bytes(close(bytes(data), writer.close()))
    assert init.video is not None
    return writer.gops[0].dts / init.video.timescale


async def until_shown(page: Page, picture: int) -> None:
    """Wait for a picture: what was sought is painted a moment later."""
    seen = None
    with suppress(TimeoutError):
        async with asyncio.timeout(5):
            while not seen or seen["index"] != picture:
                seen = await look(page)
    assert seen is not None
    assert seen["index"] == picture


async def test_a_closed_recording_plays_and_seeks_in_a_browser(
    browser: BrowserContext, clips: Clips, ffmpeg: str, tmp_path: Path
) -> None:
    begin_s = await asyncio.to_thread(record, clips["h264_aac"], ffmpeg, tmp_path / "cam.mp4")
    (tmp_path / "page.html").write_text("<video src=cam.mp4 muted></video>")
    app = web.Application()
    app.router.add_static("/", tmp_path)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        page = await browser.new_page()
        await page.goto(f"http://127.0.0.1:{runner.addresses[0][1]}/page.html")
        for picture in (130, 26):
            await page.evaluate(SEEK, begin_s + (picture + 0.5) / 25)
            await until_shown(page, picture)
        await page.evaluate(SEEK, 6.0)
        await page.evaluate(PLAY)
        await until_shown(page, 199)
    finally:
        await runner.cleanup()
