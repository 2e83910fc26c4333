"""The wall without a mouse: what can be reached, how it shows, where the focus goes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page

from tests.e2e.browser import complaints_of, open_browser
from tests.e2e.client import Client
from tests.e2e.server import Server
from tests.fakes.clips import Clips

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(120),
    pytest.mark.asyncio(loop_scope="module"),
]

Scheme = Literal["light", "dark"]

MOST_TABS = 40
HAS_FOCUS = "(selector) => document.activeElement?.matches(selector)"
IS_INSIDE = """(selector) => {
  const here = document.activeElement;
  return here === document.body || here.closest(selector) !== null;
}"""
# The topmost element in the middle of what has the focus is that element or a part of it.
IS_SEEN = """() => {
  const here = document.activeElement;
  const box = here.getBoundingClientRect();
  const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return here.matches(':focus-visible') && here.contains(top);
}"""
LARGE_PLAYS = """() => {
  const video = document.querySelector('dialog video');
  return video.getVideoPlaybackQuality().totalVideoFrames > 5;
}"""
RING = """() => {
  const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(document.activeElement);
  return boxShadow !== 'none' || (outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2);
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """Return a server with two sources, one of them to be deleted; no test deletes it."""
    source = {"token": "yard", "name": "Yard", "type": "file", "url": "clip.mp4"}
    server = Server(tmp_path_factory.mktemp("wall"), sources=[source])
    server.add_media(clips["h264_mute"], "clip.mp4")
    async with server:
        async with Client(server) as client:
            await client.call("AddSrcFile", token="attic", name="Attic", url="clip.mp4")
            await client.until_online("yard", "attic")
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BrowserContext]:
    """Return a Chromium for all tests; each signs in anew."""
    async with open_browser(tmp_path_factory.mktemp("browser") / "profile") as context:
        yield context


@pytest_asyncio.fixture(
    params=[(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")],
    ids=str,
    loop_scope="module",
)
async def wall(
    request: pytest.FixtureRequest, server: Server, browser: BrowserContext
) -> AsyncIterator[Page]:
    """Return a wall to which somebody has signed in by keyboard."""
    width: int
    scheme: Scheme
    width, scheme = request.param
    page = await browser.new_page()
    await page.set_viewport_size({"width": width, "height": 740})
    await page.emulate_media(color_scheme=scheme)
    await page.goto(server.base)
    await page.wait_for_function(HAS_FOCUS, arg="input[name=user]")
    complaints = complaints_of(page)
    await page.keyboard.type("admin")
    await page.keyboard.press("Tab")
    await page.keyboard.type("12345")
    await page.keyboard.press("Enter")
    await page.get_by_text("2 of 2 online").wait_for(state="attached")
    yield page
    assert complaints == []
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    await page.evaluate("localStorage.clear(); sessionStorage.clear()")
    await page.close()
    await browser.clear_cookies()


async def tab_to(page: Page, selector: str) -> None:
    """Press Tab until an element has the focus; whatever has it on the way shows it."""
    for _ in range(MOST_TABS):
        await page.keyboard.press("Tab")
        if await page.evaluate(HAS_FOCUS, selector):
            assert await page.evaluate(IS_SEEN), f"{selector} is hidden"
            assert await page.evaluate(RING), f"{selector} doesn't show its focus"
            return
    raise AssertionError(f"not reached by Tab: {selector}")


async def check_trap(page: Page, selector: str) -> None:
    """Press Tab more often than there is anything to reach, both ways."""
    for key in ["Tab"] * 12 + ["Shift+Tab"] * 12:
        await page.keyboard.press(key)
        assert await page.evaluate(IS_INSIDE, selector), f"{key} left {selector}"


async def test_a_tile_is_enlarged_and_comes_back(wall: Page) -> None:
    for name in ("Yard", "Attic"):
        tile = f".tile-open[aria-label*={name}]"
        await tab_to(wall, tile)
        await wall.keyboard.press("Enter")
        await wall.wait_for_selector(f"dialog.large[aria-label={name}]")
        assert await wall.evaluate(IS_SEEN)
        await wall.wait_for_function(LARGE_PLAYS)
        await check_trap(wall, "dialog.large")
        await wall.keyboard.press("Escape")
        await wall.wait_for_selector("dialog", state="detached")
        assert await wall.evaluate(HAS_FOCUS, tile)
        assert await wall.evaluate(RING)


async def test_adding_is_left_by_escape_and_focus_returns(wall: Page) -> None:
    button = "header .button.is-primary"
    await tab_to(wall, button)
    await wall.keyboard.press("Enter")
    await wall.wait_for_selector("dialog.dialog")
    assert await wall.evaluate(HAS_FOCUS, "dialog input[name=name]")
    await check_trap(wall, "dialog.dialog")
    await wall.keyboard.press("Escape")
    await wall.wait_for_selector("dialog", state="detached")
    assert await wall.evaluate(HAS_FOCUS, button)


async def test_deleting_asks_first_and_offers_the_way_back(wall: Page) -> None:
    button = ".tile-remove"
    await tab_to(wall, button)
    await wall.wait_for_function("() => getComputedStyle(document.activeElement).opacity === '1'")
    await wall.keyboard.press("Enter")
    await wall.wait_for_selector("dialog.dialog")
    assert await wall.evaluate("() => document.activeElement.textContent") == "Cancel"
    await wall.keyboard.press("Enter")
    await wall.wait_for_selector("dialog", state="detached")
    assert await wall.evaluate(HAS_FOCUS, button)
    assert await wall.locator(".tile").count() == 2


async def test_arrow_keys_choose_the_transport(wall: Page) -> None:
    await tab_to_group(wall)
    await wall.keyboard.press("ArrowLeft")
    assert await wall.evaluate("() => document.activeElement.value") == "hls"
    assert await wall.evaluate("() => localStorage.getItem('h5s_transport')") == "hls"
    await wall.keyboard.press("ArrowRight")
    assert await wall.evaluate("() => localStorage.getItem('h5s_transport')") == "ws"


async def tab_to_group(page: Page) -> None:
    """Reach the choice of transport; its ring is drawn on the word beside the input."""
    for _ in range(MOST_TABS):
        await page.keyboard.press("Tab")
        if await page.evaluate(HAS_FOCUS, "input[name=transport]"):
            ring = "() => getComputedStyle(document.activeElement.nextElementSibling).outlineStyle"
            assert await page.evaluate(ring) == "solid"
            return
    raise AssertionError("the choice of transport is not reached by Tab")
