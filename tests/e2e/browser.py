"""A real Chromium on the pages: what it plays, what it complains about."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
from playwright.async_api import BrowserContext, ConsoleMessage, Page, async_playwright

from tests.e2e.server import Server
from tests.fakes.clips import CLIPS

PAGES = Path(__file__).with_name("pages")
START_TIMEOUT_S = 30.0
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]


@dataclass(frozen=True, slots=True)
class Look:
    """What a <video> showed at one moment."""

    at: float
    """Unix time."""
    index: int
    """The number drawn into the picture, -1 for none."""
    time: float
    pictures: int
    width: int
    seeks: int
    waits: int
    ranges: list[list[float]]

    def behind_s(self, clip: str) -> float:
        """Return how far the picture is behind a camera that shows `clip`."""
        recipe = CLIPS[clip]
        late = (self.at * recipe.fps - self.index) % recipe.frames
        if late > recipe.frames - recipe.fps / 2:  # B-frames may come a little early
            late -= recipe.frames
        return late / recipe.fps


class Screen:
    """One page of the browser."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        """Errors on the console, those of the Content-Security-Policy among them."""
        self.sockets: list[str] = []
        """Addresses of the media WebSockets it opened so far."""
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("websocket", lambda socket: self._opened(socket.url))

    async def open(self, url: str) -> Self:
        """Go to an address."""
        await self.page.goto(url)
        return self

    async def look(self) -> Look:
        """Return what the first <video> shows now."""
        return Look(**await self.page.evaluate("probe.look()"))

    async def watch(self, seconds: float) -> list[Look]:
        """Look at the first <video> for a while."""
        found = await self.page.evaluate(f"probe.watch({seconds})")
        return [Look(**one) for one in found]

    async def until(self, condition: str, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until an expression of JavaScript is true; `video` is the first <video>."""
        # a function: expressions are evaluated by eval(), which the pages' policy forbids
        function = (
            f"() => {{ const video = document.querySelector('video'); return {condition}; }}"
        )
        await self.page.wait_for_function(function, timeout=timeout_s * 1000, polling=50)

    async def until_playing(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until half a second has been played."""
        start = await self.page.evaluate("document.querySelector('video')?.currentTime ?? 0")
        await self.until(
            f"video && !video.paused && video.videoWidth && video.currentTime > {start} + 0.5",
            timeout_s,
        )

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} ({message.location.get('url')})")

    def _opened(self, url: str) -> None:
        if "/h5swsapi" in url:
            self.sockets.append(url)


class Browser:
    """Chromium with a fresh profile."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context

    async def sign_in(self, server: Server) -> None:
        """Have the cookie of a session."""
        address = f"{server.base}/api/v1/Login?user=admin&password=12345"
        response = await self.context.request.get(address)
        assert (await response.json())["bStatus"]

    async def screen(self, url: str = "about:blank", **size: int) -> Screen:
        """Open a page of its own."""
        page = await self.context.new_page()
        await page.set_viewport_size({"width": 1000, "height": 640, **size})  # type: ignore[typeddict-item]  # its keys are width and height
        return await Screen(page).open(url)


@asynccontextmanager
async def open_browser(profile: Path) -> AsyncIterator[Browser]:
    """Start Debian's Chromium; it ends with the block."""
    executable = shutil.which("chromium") or pytest.fail("chromium is not installed")
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            profile, executable_path=executable, args=FLAGS, headless=True
        )
        try:
            await context.add_init_script(path=PAGES / "probe.js")
            yield Browser(context)
        finally:
            await context.close()


def moves(looks: list[Look]) -> dict[str, Any]:
    """Return how much moved while the looks were taken, for assertions and their messages."""
    first, last = looks[0], looks[-1]
    return {
        "wall_s": round(last.at - first.at, 2),
        "played_s": round(last.time - first.time, 2),
        "pictures": last.pictures - first.pictures,
        "different": len({look.index for look in looks}),
        "seeks": last.seeks - first.seeks,
        "waits": last.waits - first.waits,
        "ranges": max(len(look.ranges) for look in looks),
    }
