"""WebRTC viewers when something ends: a source, a page, the server; and other ways to reach it."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.async_api import BrowserContext, Page

from tests.e2e.browser import complaints_of, open_browser
from tests.e2e.client import Client
from tests.e2e.screen import watch
from tests.e2e.server import Server, until
from tests.e2e.webrtc import PLAIN_WHEP, SPY, figures, free_port, until_viewers
from tests.fakes.clips import Clips

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

GONE_WITHIN_S = 30.0
CHIP_TIMEOUT_MS = 60_000

MAKE_PLAYER = """(token) => {
  const video = document.createElement('video');
  document.body.replaceChildren(video);
  globalThis.states = [];
  globalThis.player = new H5sPlayerRTC({videodom: video, token,
    onState: (...all) => states.push(all)});
  player.connect();
}"""


def make_server(clips: Clips, folder: Path, **sections: Any) -> Server:
    """Return a server with two looped files; WebRTC is on unless `sections` say otherwise."""
    sources = [
        {"token": token, "name": token.title(), "type": "file", "url": "clip.mp4"}
        for token in ("yard", "attic")
    ]
    settings: dict[str, Any] = {"auth": {"enabled": False}, "rtc": {"port": free_port()}}
    settings |= sections
    server = Server(folder / "server", sources=sources, **settings)
    server.add_media(clips["h264_aac"], "clip.mp4")
    return server


async def open_page(browser: BrowserContext, address: str) -> Page:
    """Return a page that keeps its connections in `peers`."""
    page = await browser.new_page()
    await page.add_init_script(SPY)
    await page.goto(address)
    return page


def processes_with(words: str) -> list[psutil.Process]:
    """Return the processes with these words among their arguments."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if words in " ".join(process.cmdline()):
                found.append(process)
    return found


def has_other_ffmpeg(server: Server, old: int) -> bool:
    """Return whether an ffmpeg other than the old one reads the yard."""
    return any(one != old for one in server.ffmpegs("/yard/"))


async def until_moving(page: Page, timeout_s: float = 40.0) -> None:
    """Wait until the page's video shows one picture after the other."""
    async with asyncio.timeout(timeout_s):
        while len({one["index"] for one in await watch(page, 1, every_s=0.1)}) < 5:
            pass


async def test_a_source_that_restarts_keeps_its_viewers(
    clips: Clips, tmp_path: Path, browser: BrowserContext
) -> None:
    async with make_server(clips, tmp_path) as server, Client(server) as client:
        page = await open_page(browser, f"{server.base}/rtc.html?token=yard")
        complaints = complaints_of(page)
        await until_moving(page)
        for _ in range(2):
            before = server.ffmpegs("/yard/")
            assert len(before) == 1
            decoded = (await figures(page))["decoded"]
            os.kill(before[0], signal.SIGKILL)
            await until(partial(has_other_ffmpeg, server, before[0]), "a new ffmpeg")
            await until_moving(page)
            assert (await figures(page))["decoded"] > decoded + 10
        found = await figures(page)
        assert (found["peers"], found["state"]) == (1, "connected")
        assert (await client.call("h5srtcapi/Status"))["nConnectCount"] == 1
        assert complaints == []


async def test_a_page_that_is_closed_is_soon_forgotten(
    clips: Clips, tmp_path: Path, browser: BrowserContext
) -> None:
    async with make_server(clips, tmp_path) as server, Client(server) as client:
        pages = [await open_page(browser, f"{server.base}/rtc.html?token=yard") for _ in range(2)]
        for page in pages:
            await until_moving(page)
        await until_viewers(client, 2)
        await pages[0].close()
        await until_viewers(client, 1, GONE_WITHIN_S)
        await until_moving(pages[1])
        assert (await client.source("yard"))["nViewers"] > 0


async def test_a_browser_that_vanishes_is_soon_forgotten(clips: Clips, tmp_path: Path) -> None:
    async with (
        make_server(clips, tmp_path) as server,
        Client(server) as client,
        open_browser(tmp_path / "profile") as browser,
    ):
        page = await open_page(browser, f"{server.base}/rtc.html")
        await page.evaluate(PLAIN_WHEP, "/whep/yard")
        await until_moving(page)
        processes = processes_with(str(tmp_path / "profile"))
        for process in processes:
            process.suspend()  # no goodbye, no more checks: as if a cable were pulled out
        try:
            await until_viewers(client, 0, GONE_WITHIN_S)
        finally:
            for process in processes:
                process.resume()


async def test_the_player_comes_back_after_the_server(
    clips: Clips, tmp_path: Path, browser: BrowserContext
) -> None:
    async with make_server(clips, tmp_path) as server:
        page = await open_page(browser, f"{server.base}/rtc.html?token=yard")
        await until_moving(page)
        await server.stop()
        await server.start()
        await page.wait_for_function("() => peers.length > 1", timeout=CHIP_TIMEOUT_MS)
        await page.wait_for_function(
            "() => peers.at(-1).connectionState === 'connected'", timeout=CHIP_TIMEOUT_MS
        )
        await until_moving(page)


async def test_who_watches_a_deleted_source_is_told_why(
    clips: Clips, tmp_path: Path, browser: BrowserContext
) -> None:
    async with make_server(clips, tmp_path) as server, Client(server) as client:
        await client.call("AddSrcFile", token="shed", name="Shed", url="clip.mp4")
        await client.until_online("shed")
        page = await browser.new_page()
        await page.goto(f"{server.base}/rtc.html")
        await page.evaluate(MAKE_PLAYER, "shed")
        await until_moving(page)
        assert (await client.call("DelSrc", token="shed"))["bStatus"] is True
        await page.wait_for_function("() => states.some(([state]) => state === 'waiting')")
        said = await page.evaluate("states.filter(([state]) => state === 'waiting')[0][1]")
        assert "deleted" in said, said
        await until_viewers(client, 0)


async def test_ipv6_carries_it(clips: Clips, tmp_path: Path, browser: BrowserContext) -> None:
    async with make_server(clips, tmp_path, http={"host": "::"}) as server:
        base = server.base.replace("127.0.0.1", "[::1]")
        page = await open_page(browser, f"{base}/rtc.html?token=yard")
        await until_moving(page)
        assert (await figures(page))["state"] == "connected"


async def test_the_wall_plays_over_webrtc(
    clips: Clips, tmp_path: Path, browser: BrowserContext
) -> None:
    async with make_server(clips, tmp_path) as server, Client(server) as client:
        page = await open_page(browser, server.base)
        complaints = complaints_of(page)
        await page.locator(".segments label", has_text="WebRTC").click()
        chips = page.get_by_text("Live · WebRTC", exact=True)
        await chips.nth(1).wait_for(timeout=CHIP_TIMEOUT_MS)
        await until_viewers(client, 2)
        await until_moving(page)
        await page.locator(".tile-open").first.click()
        large = page.locator(".large").get_by_text("Live · WebRTC", exact=True)
        await large.wait_for(timeout=CHIP_TIMEOUT_MS)
        assert complaints == []


async def test_the_wall_takes_another_way_where_webrtc_is_off(
    clips: Clips, tmp_path: Path, browser: BrowserContext
) -> None:
    async with make_server(clips, tmp_path, rtc={"port": 0}) as server:
        page = await open_page(browser, server.base)
        await page.locator(".segments label", has_text="WebRTC").click()
        await (
            page.get_by_text("Live · WebSocket instead of WebRTC")
            .nth(1)
            .wait_for(timeout=CHIP_TIMEOUT_MS)
        )
        await until_moving(page)


async def test_a_page_for_webrtc_says_that_it_is_off(
    clips: Clips, tmp_path: Path, browser: BrowserContext
) -> None:
    async with make_server(clips, tmp_path, rtc={"port": 0}) as server:
        page = await browser.new_page()
        await page.goto(f"{server.base}/rtc.html")
        await page.evaluate(MAKE_PLAYER, "yard")
        await page.wait_for_function("() => states.some(([state]) => state === 'waiting')")
        said = await page.evaluate("states.filter(([state]) => state === 'waiting')[0][1]")
        assert "rtc.port" in said, said
