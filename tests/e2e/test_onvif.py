"""Adding an ONVIF camera on the page, by keyboard and on a small screen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.async_api import Route

from tests.e2e.browser import complaints_of, open_browser
from tests.e2e.client import Client
from tests.e2e.server import Server
from tests.fakes.authority import make_self_signed
from tests.fakes.clips import Clips
from tests.fakes.onvif_camera import SERVICE, OnvifCamera
from tests.fakes.rtsp_camera import RtspCamera

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

PLAYS = """() => {
  const video = document.querySelector('h5s-tile video');
  return video && video.getVideoPlaybackQuality().totalVideoFrames > 5;
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

        async def answer_search(route: Route) -> None:
            # a search would call into this machine's real networks: tests/fakes/discovery.py has
            # it in one of its own
            await route.fulfill(body=json.dumps({"device": [found]}))

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
        await page.get_by_role("button", name="Front door IPC-1").press("Enter")
        assert await page.input_value("input[name=host]") == "127.0.0.1"
        assert await page.input_value("input[name=token]") == "front-door-ipc-1"
        assert await page.is_checked("input[name=https]")
        await page.keyboard.type("admin")  # the focus has gone on to where the login belongs
        await page.fill("input[name=camera-password]", "wrong")
        ask = page.get_by_role("button", name="Ask the camera")
        await ask.press("Enter")
        await page.get_by_text("refuses this user name or password").wait_for()
        await page.fill("input[name=camera-password]", camera.password)
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
        assert complaints == []
        assert camera.password not in server.log
