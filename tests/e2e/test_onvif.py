"""Adding an ONVIF camera on the page, by keyboard and on a small screen."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.async_api import Error, Route, expect

from tests.e2e.browser import complaints_of, open_browser
from tests.e2e.client import Client
from tests.e2e.server import Server, free_port
from tests.fakes.authority import make_self_signed
from tests.fakes.clips import Clips
from tests.fakes.onvif_camera import SERVICE, OnvifCamera
from tests.fakes.rtsp_camera import RtspCamera

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

PLAYS = """() => {
  const video = document.querySelector('h5s-tile video');
  return video && video.getVideoPlaybackQuality().totalVideoFrames > 5;
}"""

LARGE = """() => {
  const video = document.querySelector('dialog video');
  return video?.getVideoPlaybackQuality().totalVideoFrames > 5;
}"""


async def test_a_camera_is_found_asked_added_and_seen(clips: Clips, tmp_path: Path) -> None:
    """It speaks HTTPS alone; tests/e2e/test_ptz.py has one that does not."""
    tls = make_self_signed(tmp_path / "certificates").context
    async with (
        RtspCamera(
            clips, ["h264_aac", "h264_mute"], user="admin", password="pass word:@/ü"
        ) as rtsp,
        OnvifCamera(rtsp_port=rtsp.port, lies_about_address=True, tls=tls) as camera,
        Server(tmp_path) as server,
        Client(server) as client,
        open_browser(tmp_path / "profile") as browser,
    ):
        found: dict[str, object] = {"strIp": "127.0.0.1", "strPort": str(camera.port)}
        found |= {"strOnvifAddr": SERVICE, "strModel": "Front door IPC-1", "bHttps": True}
        other = found | {"strPort": "1", "strModel": "Another"}
        rounds = asyncio.Queue[list[dict[str, object]]]()

        async def answer_search(route: Route) -> None:
            # a search would call into this machine's real networks: tests/fakes/discovery.py has
            # it in one of its own
            with suppress(Error):  # who stops the search hears no answer
                await route.fulfill(body=json.dumps({"device": await rounds.get()}))

        page = await browser.new_page()
        await page.route("**/api/v1/OnvifSearch*", answer_search)
        await page.set_viewport_size({"width": 360, "height": 740})
        await page.goto(server.base)
        await page.wait_for_selector("input[name=user]")
        complaints = complaints_of(page)
        await page.fill("input[name=user]", "admin")
        await page.fill("input[name=password]", "12345")
        await page.keyboard.press("Enter")
        await page.click("header .button.is-primary")
        await page.select_option("select[name=kind]", "onvif")

        await page.get_by_role("button", name="Search the network").press("Enter")
        progress = page.locator(".onvif-search progress")
        await expect(progress).to_be_visible()
        await expect(page.get_by_text("Searching… 0 found")).to_be_visible()
        rounds.put_nowait([found])
        await expect(page.get_by_text("Searching… 1 found")).to_be_visible()
        rounds.put_nowait([other, found])  # who was found before is not found twice
        await expect(page.locator(".onvif-found li")).to_have_count(2)
        await expect(progress).to_have_js_property("value", 2)
        await page.get_by_role("button", name="Front door IPC-1").press("Enter")
        await expect(progress).to_be_hidden()
        assert await page.input_value("input[name=host]") == "127.0.0.1"
        assert await page.input_value("input[name=token]") == "front-door-ipc-1"
        assert await page.is_checked("input[name=https]")
        await page.keyboard.type("admin")  # the focus has gone on to where the login belongs
        ask = page.get_by_role("button", name="Test the connection")
        status = page.locator(".onvif-status.is-bad")
        for password, answer, port, words in (
            ("wrong", None, camera.port, "refuses this user name or password"),
            (camera.password, None, free_port(), "Nothing can be reached at this address."),
            (camera.password, b"<html>", camera.port, "Is ONVIF switched on in the camera?"),
        ):
            camera.answer_with = answer
            await page.fill("input[name=camera-password]", password)
            await page.fill("input[name=port]", str(port))
            await ask.press("Enter")
            await expect(status).to_contain_text(words)
        camera.answer_with = None
        await ask.press("Enter")
        await page.get_by_text("offers 2 pictures").wait_for()
        await page.select_option("select[name=sub]", "Profile_2")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
        await page.screenshot(path=tmp_path / "dialog.png")
        await page.get_by_role("button", name="Add", exact=True).press("Enter")

        await page.wait_for_function(PLAYS)
        (source,) = (await client.call("GetSrc"))["src"]
        assert (source["nType"], source["strOnvifProfileMain"]) == ("H5_ONVIF", "Profile_1")
        assert (source["strOnvifProfileSub"], source["bSub"]) == ("Profile_2", True)
        assert source["strUrl"] == f"rtsp://127.0.0.1:{rtsp.port}/h264_aac"
        assert await rtsp.clients("h264_mute") == 1  # the small tile plays the small picture

        # enlarged it plays the large picture, and says so in its address
        await page.locator(".tile-open").press("Enter")
        await page.wait_for_function(LARGE)
        assert await rtsp.clients("h264_aac") == 1
        await page.reload()
        await page.wait_for_function(LARGE)
        await page.go_back()
        await expect(page.locator("dialog")).to_have_count(0)
        await page.wait_for_function(PLAYS)
        assert "camera=" not in page.url
        assert complaints == []
        assert camera.password not in server.log
