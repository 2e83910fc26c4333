"""A recorder of Hikvision from its dialog to the wall, against a fake of ISAPI and RTSP."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.e2e.browser import complaints_of, open_browser
from tests.e2e.client import Client
from tests.e2e.server import Server
from tests.fakes.clips import Clips
from tests.fakes.hik_recorder import FakeHik, Slot, rtsp_paths
from tests.fakes.rtsp_camera import RtspCamera

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

PLAYS = """() => [...document.querySelectorAll('h5s-tile video')].filter(
  (video) => video.getVideoPlaybackQuality().totalVideoFrames > 5).length === 2"""
SLOTS = [Slot(1, "Till"), Slot(2, "Yard"), Slot(3, "Cellar", is_online=False)]
SLOTS += [Slot(number, f"Spare {number}", is_online=False) for number in range(4, 12)]


async def test_a_recorder_is_added_seen_and_deleted(clips: Clips, tmp_path: Path) -> None:
    hik = FakeHik(ip=SLOTS)
    paths = rtsp_paths([1, 2], "h264_aac", "h264_mute")
    async with (
        RtspCamera(clips, [], user=hik.user, password=hik.password, **paths) as rtsp,
        hik,
        Server(tmp_path) as server,
        Client(server) as client,
        open_browser(tmp_path / "profile") as browser,
    ):
        page = await browser.new_page()
        await page.set_viewport_size({"width": 360, "height": 740})
        await page.goto(server.base)
        await page.wait_for_selector("input[name=user]")
        complaints = complaints_of(page)
        await page.fill("input[name=user]", "admin")
        await page.fill("input[name=password]", "12345")
        await page.keyboard.press("Enter")
        await page.click("header .button.is-primary")
        await page.select_option("select[name=kind]", "hik")
        assert await page.input_value("input[name=recorder-port]") == "8000"
        await page.fill("input[name=recorder-host]", "127.0.0.1")
        await page.locator("summary:visible", has_text="More").click()
        await page.fill("input[name=recorder-http]", str(hik.port))
        await page.fill("input[name=recorder-rtsp]", str(rtsp.port))
        await page.fill("input[name=name]", "Shop 1")
        await page.fill("input[name=camera-user]", hik.user)
        await page.fill("input[name=camera-password]", "wrong")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
        await page.screenshot(path=tmp_path / "dialog.png")
        await page.get_by_role("button", name="Add", exact=True).press("Enter")
        await page.get_by_text("The recorder was added. It is offline: ").wait_for()
        await page.keyboard.press("Escape")

        # it has no tile, but the list of recorders says so and takes another login
        await page.get_by_role("button", name="Recorders, 1 offline").press("Enter")
        await expect(page.locator(".recorders .is-bad")).to_contain_text("refuses the user name")
        await page.get_by_role("button", name="Change the login of Shop 1").press("Enter")
        await expect(page.locator("input[name=recorder-user]")).to_have_value(hik.user)
        for password in ("wrong again", hik.password):
            await page.fill("input[name=recorder-password]", password)
            await page.keyboard.press("Enter")
            if password != hik.password:
                await expect(page.locator("dialog .form-error")).to_contain_text("refuses")
        await page.get_by_text("Online, 2 of 11 channels have a picture").wait_for()
        await page.locator(".recorders summary").press("Enter")
        await expect(page.locator(".recorder-channels li")).to_have_text(
            ["TillOnline", "YardOnline", "CellarOffline"]
            + [f"Spare {number}Offline" for number in range(4, 12)]
        )
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
        await page.screenshot(path=tmp_path / "list.png")
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("button", name="Recorders", exact=True)).to_be_focused()

        await page.locator("h5s-tile", has_text="Shop 1 · Till").wait_for()
        await page.set_viewport_size({"width": 1280, "height": 800})
        await page.wait_for_function(PLAYS)
        await page.get_by_text("The recorder has no picture of this camera").first.wait_for()
        await page.screenshot(path=tmp_path / "wall.png")
        listed = (await client.call("GetDeviceSrc", token="shop-1"))["src"]
        assert [(one["strToken"], one["strName"], one["bOnline"]) for one in listed[:3]] == [
            ("shop-1--1", "Till", True),
            ("shop-1--2", "Yard", True),
            ("shop-1--3", "Cellar", False),
        ]

        find = page.get_by_role("searchbox", name="Find a camera")
        await find.fill("shop yar")
        await expect(page.locator("h5s-tile:visible")).to_have_count(1)
        await expect(page.locator("h5s-tile:visible")).to_contain_text("Yard")
        await find.fill("attic")
        await expect(page.get_by_text("No camera is called “attic”.")).to_be_visible()
        await find.fill("")
        await expect(page.locator("h5s-tile:visible")).to_have_count(11)

        # deleting asks first, from its list as from a channel's tile
        await page.get_by_role("button", name="Recorders", exact=True).click()
        await page.get_by_role("button", name="Delete Shop 1", exact=True).click()
        await page.get_by_role("button", name="Cancel").click()
        await page.keyboard.press("Escape")
        await page.locator("h5s-tile", has_text="Till").hover()
        await page.locator("h5s-tile", has_text="Till").locator(".tile-remove").click()
        await page.get_by_text("The recorder “Shop 1” and all its channels will stop").wait_for()
        await page.get_by_role("button", name="Delete", exact=True).click()
        await page.locator("h5s-tile").first.wait_for(state="detached")
        assert (await client.call("GetDevice"))["dev"] == []
        await expect(page.locator(".recorders-open")).to_be_hidden()
        assert complaints == []
        assert hik.password not in server.log
