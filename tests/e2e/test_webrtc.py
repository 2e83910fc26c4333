"""H5sPlayerRTC in a real browser, and the wall's way from one transport to the next."""

from __future__ import annotations

from statistics import median

import pytest
from playwright.async_api import BrowserContext, Page

from tests.e2e.browser import complaints_of
from tests.e2e.screen import behind_s, watch
from tests.e2e.server import ROOT, until
from tests.fakes.rtc_sender import FPS, FRAMES, RtcSender

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

WWW = ROOT / "www"
CHIP_TIMEOUT_MS = 40_000
MAKE = """(options) => {
  const video = document.createElement('video');
  document.body.replaceChildren(video);
  globalThis.events = [];
  globalThis.states = [];
  globalThis.player = new H5sPlayerRTC({videodom: video, token: 'front',
    callback: (text) => events.push(text), onState: (...all) => states.push(all), ...options});
  player.connect();
}"""


async def make_player(page: Page, sender: RtcSender) -> None:
    """Play on a bare page that only has the script."""
    await page.goto(f"{sender.base}/rtc.html")
    await page.evaluate(MAKE, {})


async def test_rtc_html_plays_near_live(browser: BrowserContext) -> None:
    async with RtcSender(WWW) as sender:
        page = await browser.new_page()
        complaints = complaints_of(page)
        await page.goto(f"{sender.base}/rtc.html?token=front")
        seen = await watch(page, 5)
        settled = seen[len(seen) // 3 :]
        assert all(one["index"] >= 0 for one in settled)
        assert len({one["index"] for one in settled}) > 5
        assert median(behind_s(one, FPS, FRAMES) for one in settled) < 1
        chip = page.locator(".chip")
        assert await chip.text_content() == "Live · WebRTC"
        assert complaints == []


async def test_signalling_runs_in_order(browser: BrowserContext) -> None:
    async with RtcSender(WWW) as sender:
        page = await browser.new_page()
        await make_player(page, sender)
        await watch(page, 3)
        kinds = [message["type"] for message in sender.heard[0]]
        assert kinds[:2] == ["open", "answer"]
        assert set(kinds[2:]) <= {"remoteice"}
        assert sender.keepalives >= 2


async def test_figures_come_from_the_connection(browser: BrowserContext) -> None:
    async with RtcSender(WWW) as sender:
        page = await browser.new_page()
        await make_player(page, sender)
        await watch(page, 5)
        stats = await page.evaluate("player.stats()")
        assert stats["state"] == "playing"
        assert stats["mime"] == "video/H264"
        assert 5 < stats["fps"] <= FPS + 5
        assert 1 < stats["bitrateKbps"] < 10_000
        assert 0 < stats["lagS"] < 2
        assert stats["lagS"] <= stats["behindLiveS"] < 2
        assert stats["roundTripMs"] < 1000
        assert stats["packetsLost"] == 0
        assert stats["reconnects"] == 0


async def test_it_comes_back_and_says_why_it_was_away(browser: BrowserContext) -> None:
    async with RtcSender(WWW) as sender:
        page = await browser.new_page()
        await make_player(page, sender)
        await watch(page, 1)
        sender.refusal = "the camera sends B-frames"
        await sender.kick()
        await until(lambda: len(sender.heard) >= 3, "two more tries")
        sender.refusal = ""
        await page.wait_for_function("() => player.state === 'playing'")
        before = (await watch(page, 0.5))[-1]["index"]
        assert (await watch(page, 1))[-1]["index"] != before
        states = await page.evaluate("states")
        assert ["waiting", "source lost"] in states
        assert ["waiting", "the camera sends B-frames"] in states


async def test_events_reach_the_page(browser: BrowserContext) -> None:
    async with RtcSender(WWW) as sender:
        page = await browser.new_page()
        await make_player(page, sender)
        await watch(page, 1)
        await sender.say({"type": "H5S_EVENT_PICTURE", "strState": "still"})
        await page.wait_for_function("() => events.length > 0")
        heard = await page.evaluate("events.map((text) => JSON.parse(text).type)")
        assert heard == ["H5S_EVENT_PICTURE"]


async def test_disconnect_ends_the_connection(browser: BrowserContext) -> None:
    async with RtcSender(WWW) as sender:
        page = await browser.new_page()
        await make_player(page, sender)
        await watch(page, 1)
        await page.evaluate("player.disconnect()")
        await until(lambda: sender.viewers == 0, "the viewer is gone")
        assert await page.evaluate("document.querySelector('video').srcObject") is None
        await page.evaluate("player.connect()")
        await watch(page, 1)
        assert len(sender.heard) == 2


async def test_the_wall_takes_webrtc_where_websocket_shows_nothing(
    browser: BrowserContext,
) -> None:
    async with RtcSender(WWW) as sender:
        page = await browser.new_page()
        complaints = complaints_of(page)
        await page.goto(sender.base)
        chip = page.get_by_text("Live · WebRTC instead of WebSocket")
        await chip.wait_for(timeout=CHIP_TIMEOUT_MS)
        assert len({one["index"] for one in await watch(page, 2)}) > 5
        await page.locator(".tile-open").click()
        large = page.locator(".large").get_by_text("Live · WebRTC instead of WebSocket")
        await large.wait_for(timeout=5000)
        assert complaints == []


async def test_a_viewer_chooses_webrtc_on_the_wall(browser: BrowserContext) -> None:
    async with RtcSender(WWW) as sender:
        page = await browser.new_page()
        await page.goto(sender.base)
        await page.locator(".segments label", has_text="WebRTC").click()
        await page.get_by_text("Live · WebRTC", exact=True).wait_for(timeout=CHIP_TIMEOUT_MS)
        await page.reload()
        await page.get_by_text("Live · WebRTC", exact=True).wait_for(timeout=CHIP_TIMEOUT_MS)
        assert await page.locator(".segments input[value=rtc]").is_checked()
