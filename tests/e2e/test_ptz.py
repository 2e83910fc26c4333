"""The pad that moves a camera: a real browser, the whole server, a camera on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, CDPSession, Error, Page, WebSocketRoute, expect

from tests.e2e.browser import complaints_of, open_browser
from tests.e2e.client import Client
from tests.e2e.server import ROOT, Server, until
from tests.fakes.clips import Clips
from tests.fakes.onvif_camera import OnvifCamera
from tests.fakes.rtsp_camera import RtspCamera

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(120),
    pytest.mark.asyncio(loop_scope="module"),
]

CLIP = "h264_aac"
STILL_S = 4.0  # in place of 10 s; pages ask again every 3 s
RUN = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
import h5sup.app.parts
from h5sup.cli import main
h5sup.app.parts.STILL_AFTER_S = {STILL_S}
sys.exit(main(sys.argv[1:], Path({str(ROOT)!r})))
"""
HIDE = """() => {
  Object.defineProperty(document, 'hidden', { value: true, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}"""
USERS = [
    {"name": "olga", "password": "operate it", "role": "Operator"},
    {"name": "vera", "password": "just look", "role": "Viewer"},
    {"name": "admin", "password": "12345", "role": "Administrator"},
]


@dataclass
class Yard:
    """A camera that moves, and the server that shows it."""

    camera: OnvifCamera
    server: Server
    client: Client

    async def until_moving(self, **moving: tuple[float, ...]) -> None:
        """Wait until the camera does this and nothing else; nothing at all without words."""
        await until(lambda: self.camera.moving == moving, f"{moving}", 10)

    async def open(self, page: Page, user: str, password: str) -> None:
        """Open the page of the camera as somebody."""
        answer = await self.client.call("Login", user=user, password=password)
        session = answer["strSession"]
        await page.goto(f"{self.server.base}/ws.html?token=front&session={session}")
        await expect(page.locator(".chip")).to_have_text("Live · WebSocket", timeout=20_000)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def yard(clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Yard]:
    folder = tmp_path_factory.mktemp("yard")
    (folder / "run.py").write_text(RUN)
    camera = OnvifCamera(user="admin", password="camera:@/ü")
    async with (
        RtspCamera(clips, [CLIP, "h264_mute"], user="admin", password=camera.password) as rtsp,
        camera,
    ):
        camera.rtsp_port = rtsp.port
        server = Server(folder, run=folder / "run.py", auth={"users": USERS})
        async with server, Client(server) as client:
            where = {"ip": "127.0.0.1", "port": str(camera.port), "password": camera.password}
            await client.call("AddSrcONVIF", token="front", name="Front", user="admin", **where)
            await client.until_online("front")
            yield Yard(camera, server, client)
            await client.call("AddSrcONVIF", token="last", name="Last", user="admin", **where)
            await client.call("Ptz", token="last", action="right")
            assert camera.moving
        assert not camera.moving  # the end of the server stops it too


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BrowserContext]:
    async with open_browser(tmp_path_factory.mktemp("browser") / "profile") as context:
        yield context


async def test_what_is_held_moves_and_let_go_it_stops(yard: Yard, browser: BrowserContext) -> None:
    page = await browser.new_page()
    complaints = complaints_of(page)
    viewings: list[WebSocketRoute] = []
    await page.route_web_socket("**/h5swsapi*", lambda viewing: watch(viewing, viewings))
    await yard.open(page, "olga", "operate it")
    await page.get_by_role("button", name="Move the camera").click()

    left = page.get_by_role("button", name="Left", exact=True)
    await left.hover()
    await page.mouse.down()
    await yard.until_moving(PanTilt=(-0.5, 0.0))
    await page.mouse.up()
    await yard.until_moving()

    await page.mouse.down()
    await yard.until_moving(PanTilt=(-0.5, 0.0))
    await page.mouse.move(5, 5)  # off the button, which is still held
    await yard.until_moving()
    await page.mouse.up()

    finger = await browser.new_cdp_session(page)
    box = await left.bounding_box()
    assert box is not None
    point = {"x": box["x"] + 10, "y": box["y"] + 10}
    for last in ("touchEnd", "touchMove"):  # lifted, or slid off the button
        await touch(finger, "touchStart", point)
        await yard.until_moving(PanTilt=(-0.5, 0.0))
        await touch(finger, last, *([{"x": 5.0, "y": 5.0}] if last == "touchMove" else []))
        await yard.until_moving()
    await touch(finger, "touchEnd")

    await page.keyboard.down("ArrowUp")
    await page.keyboard.down("ArrowRight")
    await yard.until_moving(PanTilt=(0.5, 0.5))
    await page.keyboard.up("ArrowUp")
    await yard.until_moving(PanTilt=(0.5, 0.0))
    asked = len(yard.camera.asked)
    await until(lambda: "ContinuousMove" in yard.camera.asked[asked:], "a repeat", 5)
    await page.keyboard.press("Escape")
    await yard.until_moving()
    await page.keyboard.up("ArrowRight")

    await page.keyboard.down("+")
    await yard.until_moving(Zoom=(0.5,))
    await page.evaluate("window.dispatchEvent(new Event('blur'))")
    await yard.until_moving()
    await page.keyboard.up("+")

    await page.keyboard.down("ArrowLeft")
    await yard.until_moving(PanTilt=(-0.5, 0.0))
    await viewings[-1].close()  # nobody sees any more where it goes
    await yard.until_moving()
    await page.keyboard.up("ArrowLeft")

    await left.focus()
    for key in ("Space", "Enter"):  # a button that is held by key
        await page.keyboard.down(key)
        await yard.until_moving(PanTilt=(-0.5, 0.0))
        await page.keyboard.up(key)
        await yard.until_moving()

    await page.keyboard.down("ArrowUp")
    await yard.until_moving(PanTilt=(0.0, 0.5))
    await page.evaluate(HIDE)
    await yard.until_moving()
    await page.keyboard.up("ArrowUp")

    await page.get_by_role("button", name="Open the iris").click()
    await expect(page.locator(".pad-said")).to_contain_text("has not got an iris that moves")
    await page.close()
    assert complaints == []


def watch(viewing: WebSocketRoute, viewings: list[WebSocketRoute]) -> None:
    """Let a page watch, and keep what it watches by."""
    viewing.connect_to_server()
    viewings.append(viewing)


async def touch(finger: CDPSession, kind: str, *points: dict[str, float]) -> None:
    """Touch the screen there."""
    await finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(points)})


async def test_a_stop_that_the_network_lost_is_sent_again(
    yard: Yard, browser: BrowserContext
) -> None:
    page = await browser.new_page()
    await yard.open(page, "olga", "operate it")
    await page.get_by_role("button", name="Move the camera").click()
    await page.keyboard.down("ArrowLeft")
    await yard.until_moving(PanTilt=(-0.5, 0.0))
    stops = yard.camera.asked.count("Stop")
    await browser.set_offline(True)
    said = page.locator(".pad-said")
    await expect(said).to_contain_text("The camera stops by itself within 10 s.")
    assert yard.camera.moving, "its network was only lost for a moment"
    await browser.set_offline(False)
    await yard.until_moving()
    assert "is stopped: nobody did" not in yard.server.log  # not by the watchdog
    assert yard.camera.asked.count("Stop") == stops + 1
    await expect(said).to_be_hidden()
    await page.keyboard.up("ArrowLeft")
    await page.close()


async def test_presets_are_kept_turned_to_and_deleted_after_a_question(
    yard: Yard, browser: BrowserContext
) -> None:
    page = await browser.new_page()
    await yard.open(page, "olga", "operate it")
    await page.get_by_role("button", name="Move the camera").click()
    await page.get_by_role("textbox", name="Name of this place").fill("Yard")
    await page.keyboard.press("Enter")
    await expect(page.locator(".pad-go")).to_have_text(["Gate", "Yard"])
    assert yard.camera.presets == {"1": "Gate", "2": "Yard"}

    await page.locator(".pad-go", has_text="Yard").click()
    await until(lambda: yard.camera.at_preset == "2", "the camera looks at the yard", 5)
    await page.get_by_role("button", name="Delete Yard").click()
    await page.get_by_role("button", name="Cancel").click()
    assert "2" in yard.camera.presets
    await page.get_by_role("button", name="Delete Yard").click()
    await page.get_by_role("button", name="Delete", exact=True).click()
    await expect(page.locator(".pad-go")).to_have_text(["Gate"])
    assert yard.camera.presets == {"1": "Gate"}
    await page.close()


async def test_a_page_that_is_closed_or_killed_leaves_no_camera_moving(
    yard: Yard, browser: BrowserContext
) -> None:
    loop = asyncio.get_running_loop()
    page = await browser.new_page()
    await yard.open(page, "olga", "operate it")
    await page.get_by_role("button", name="Move the camera").click()
    await page.keyboard.down("ArrowLeft")
    await yard.until_moving(PanTilt=(-0.5, 0.0))
    begun_s = loop.time()
    await page.goto("about:blank")
    await yard.until_moving()
    assert loop.time() - begun_s < STILL_S / 2  # by its last word, not by the watchdog
    await page.keyboard.up("ArrowLeft")

    await yard.open(page, "olga", "operate it")
    await page.get_by_role("button", name="Move the camera").click()
    await page.keyboard.down("ArrowLeft")
    await yard.until_moving(PanTilt=(-0.5, 0.0))
    begun_s = loop.time()
    killing = asyncio.create_task(kill(browser, page))
    await yard.until_moving()
    assert loop.time() - begun_s > STILL_S / 2
    assert "is stopped: nobody did within 4 s" in yard.server.log
    await killing


async def kill(browser: BrowserContext, page: Page) -> None:
    """End a page's process without a word to it."""
    with suppress(Error, TimeoutError):
        async with asyncio.timeout(3):
            session = await browser.new_cdp_session(page)
            await session.send("Page.crash")


async def test_escape_stops_before_it_closes_the_enlarged_picture(
    yard: Yard, browser: BrowserContext
) -> None:
    page = await browser.new_page()
    answer = await yard.client.call("Login", user="olga", password="operate it")
    await page.goto(f"{yard.server.base}/?session={answer['strSession']}")
    await page.locator(".tile-open").click()
    dialog = page.locator("dialog.large")
    await dialog.get_by_role("button", name="Move the camera").click()
    await page.keyboard.down("ArrowDown")
    await yard.until_moving(PanTilt=(0.0, -0.5))
    await page.keyboard.press("Escape")
    await yard.until_moving()
    await page.keyboard.up("ArrowDown")
    await expect(dialog).to_be_visible()

    await page.keyboard.down("ArrowDown")
    await yard.until_moving(PanTilt=(0.0, -0.5))
    await dialog.get_by_role("button", name="Close", exact=True).click()
    await yard.until_moving()
    await page.keyboard.up("ArrowDown")
    await page.close()


async def test_who_may_only_look_is_offered_nothing_else(
    yard: Yard, browser: BrowserContext
) -> None:
    page = await browser.new_page()
    async with page.expect_response(lambda answer: "GetUserInfo" in answer.url):
        await yard.open(page, "vera", "just look")
    await expect(page.get_by_role("button", name="Full screen")).to_be_visible()
    await expect(page.get_by_role("button", name="Move the camera")).to_be_hidden()

    beside = await browser.new_page()  # a further tab is hers too
    await beside.goto(yard.server.base)
    for anonymous in (False, True):
        await expect(beside.locator("h5s-tile")).to_have_count(1)
        for offered in ("header .is-primary", ".tile-remove", "dialog"):
            await expect(beside.locator(offered)).to_have_count(0)
        button = "Sign in" if anonymous else "Sign out"
        await expect(beside.get_by_role("button", name=button)).to_be_visible()
        if anonymous:
            break
        await page.close()
        yard.server.config["auth"]["anonymous_view"] = True
        await yard.server.stop()
        await yard.server.start()
        await yard.client.sign_in()
        await yard.client.until_online("front")
        await beside.evaluate("sessionStorage.clear()")
        await browser.clear_cookies()
        await beside.reload()
    await beside.locator(".tile-open").click()
    await expect(beside.locator("dialog.large .chip")).to_have_text("Live · WebSocket")
    await expect(beside.get_by_role("button", name="Move the camera")).to_be_hidden()
    await beside.close()


async def test_a_source_that_is_deleted_stands_still(yard: Yard) -> None:
    await yard.client.call("Ptz", token="front", action="zoomout", speed="1")
    assert yard.camera.moving == {"Zoom": (-1.0,)}
    await yard.client.call("DelSrc", token="front")
    await yard.until_moving()
