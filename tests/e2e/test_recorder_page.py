"""The page of recordings, of a channel of a recorder: what the recorder has, in a real browser."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Page, Route, expect

from tests.e2e.browser import complaints_of, open_browser
from tests.e2e.screen import look
from tests.e2e.server import Server, free_port
from tests.e2e.test_playback_page import IS_PAUSED, SHOWS_PICTURES, tab_to
from tests.fakes.clips import CLIPS, Clips, decode_frame_indexes
from tests.fakes.hik_recorder import FakeHik, Recorded, Slot, rtsp_paths
from tests.fakes.rtsp_camera import RtspCamera

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
FRAMES = CLIPS["h264_mute"].frames
BEGIN = DAY.replace(hour=10)
HAS_PEER = "() => document.querySelector('video').srcObject !== null"


@pytest_asyncio.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    """Return an empty page of a phone; what is opened in it must not complain."""
    async with open_browser(tmp_path / "profile") as context:
        page = await context.new_page()
        await page.set_viewport_size({"width": 360, "height": 740})
        complaints = complaints_of(page)
        yield page
        assert [one for one in complaints if "Failed to load resource" not in one] == []


async def test_what_the_recorder_has_is_found_played_and_kept(
    clips: Clips, tmp_path: Path, page: Page
) -> None:
    hik = FakeHik(ip=[Slot(1, "Till")], streams=[101, 102])
    wall = BEGIN.replace(tzinfo=None) + timedelta(hours=8)  # its clock is that of Shanghai
    hik.recordings[101] = [
        Recorded(wall, wall + timedelta(minutes=20)),
        Recorded(wall + timedelta(hours=1), wall + timedelta(minutes=70), "motion"),
    ]
    paths = rtsp_paths([1], "h264_mute", "h264_mute")
    async with (
        RtspCamera(clips, [], user=hik.user, password=hik.password, **paths) as rtsp,
        hik,
        Server(
            tmp_path,
            auth={"enabled": False},
            rtc={"port": free_port()},
            devices=[msgspec.to_builtins(hik.config(name="Shop", rtsp_port=rtsp.port))],
        ) as server,
    ):
        await until_a_channel(page, server)
        at = BEGIN + timedelta(seconds=20)
        await page.goto(f"{server.base}/playback.html?token=nvr--1&at={quote(at.isoformat())}")
        reason, note = page.locator(".screen-reason"), page.locator(".playback-note")
        choice = page.get_by_label("Whose recordings")

        # this server has none, and says who has
        await expect(reason).to_have_text("Nothing was recorded on this day.")
        await expect(note).to_contain_text("recorded nothing on this day, but the recorder did.")
        await expect(choice).to_have_value("server")
        await tab_to(page, ".playback-note button")
        await page.keyboard.press("Enter")
        await page.wait_for_function(SHOWS_PICTURES)
        await expect(page).to_have_url(re.compile("from=device"))
        await expect(choice).to_have_value("device")
        await expect(page.locator(".deck-time")).to_contain_text("10:00:2")
        await expect(page.locator(".timeline-bar")).to_have_count(2)
        await expect(page.locator(".timeline-bar.is-alarm")).to_have_count(1)
        await expect(note).to_have_text("ContinuousAlarm")
        for title in ("Download the file that is shown", "Record now"):
            await expect(page.get_by_title(title)).to_be_hidden()
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360

        # two seconds become a file
        await page.get_by_title("Export").click()
        await page.get_by_label("From").fill("10:00:02")
        last = page.get_by_label("To", exact=True)
        await last.fill("10:00:04")
        await last.press("Tab")
        await last.press("Enter")
        await expect(page.locator(".export-job progress")).to_be_visible()
        link = page.get_by_role("link", name="Download", exact=True)
        await expect(link).to_be_visible(timeout=20_000)
        data = await page.request.get(f"{server.base}/{await link.get_attribute('href')}")
        assert (await data.body())[4:8] == b"ftyp"
        await page.get_by_label("Close", exact=True).click()
        await page.locator(".timeline-track").focus()

        # a seek, and the picture that it shows
        await page.keyboard.press("n")
        await expect(page.locator(".deck-time")).to_have_text(re.compile("11:00:0[1-9]"))
        await page.keyboard.press("k")
        await page.wait_for_function(IS_PAUSED)
        ahead = [await keep(page, server) for _ in range(2)]
        assert max(ahead) <= 25, ahead  # what has come already, but is not shown yet
        await expect(page.get_by_role("link", name="Open it")).to_be_visible()

        # the same over WebRTC
        await page.get_by_label("Transport").select_option("rtc")
        await page.keyboard.press("k")
        await page.wait_for_function(HAS_PEER)
        await page.wait_for_function(SHOWS_PICTURES)
        await expect(page.locator(".deck-time")).to_have_text(re.compile("11:00:[01]"))
        picture = await look(page)
        assert picture is not None
        assert picture["index"] >= 0

        # the address keeps it; the recorder's days are marked; where not all is told, that is said
        async def tell_little(route: Route) -> None:
            answer = await route.fetch()
            await route.fulfill(json=await answer.json() | {"bFinished": False})

        await page.route("**/SearchDeviceRecordByTime?**", tell_little)
        await page.set_viewport_size({"width": 1280, "height": 860})
        await page.reload()
        await page.wait_for_function(SHOWS_PICTURES)
        await expect(page.get_by_role("heading", name="Shop · Till")).to_be_visible()
        await expect(page.locator(".deck-time")).to_have_text(re.compile("11:00:[0-3]"))
        await expect(page.get_by_label("Transport")).to_have_value("rtc")
        await page.get_by_label("Transport").select_option("ws")
        await expect(choice).to_have_value("device")
        await expect(note).to_contain_text(
            "Not all is shown: the recorder has more than it tells."
        )
        await page.get_by_title("Choose a day").click()
        await expect(page.locator("[aria-current=date]")).to_have_class("calendar-day has-alarm")
        await page.keyboard.press("Escape")

        await page.unroute("**/SearchDeviceRecordByTime?**")

        # by keyboard to this server, and back to a recorder that has another password by now
        await tab_to(page, ".origin-choice")
        await page.keyboard.press("ArrowUp")
        await expect(reason).to_have_text("Nothing was recorded on this day.")
        await expect(page.get_by_title("Record now")).to_be_visible()
        assert "from=" not in page.url
        hik.password = "changed"
        hik.expire_nonces()
        await page.keyboard.press("ArrowDown")
        await expect(reason).to_contain_text("password")


async def keep(page: Page, server: Server) -> int:
    """Keep the picture that is shown; return by how many pictures the kept one is later."""
    async with page.expect_response("**/PbSnapshot?**") as told:
        await page.get_by_title("Keep this picture").click()
    path = (await (await told.value).json())["strUrl"]
    kept = await (await page.request.get(f"{server.base}{path}")).body()
    picture = await look(page)
    assert picture is not None
    (index,) = await asyncio.to_thread(decode_frame_indexes, kept)
    return (index - int(picture["index"])) % FRAMES


async def until_a_channel(page: Page, server: Server) -> None:
    """Wait until the recorder has told its channels."""
    async with asyncio.timeout(10):
        while True:
            answer = await page.request.get(f"{server.base}/api/v1/GetSrc")
            if "nvr--1" in await answer.text():
                return
            await asyncio.sleep(0.05)
