"""Chromium plays every kind of source over WebRTC: by H5Stream's signalling and over WHEP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page

from tests.e2e.browser import complaints_of, open_browser
from tests.e2e.client import Client
from tests.e2e.screen import behind_s, look, watch
from tests.e2e.server import Server, until
from tests.e2e.webrtc import (
    NPM_WHEP,
    ORIGINAL,
    PLAIN_WHEP,
    SPY,
    WITHOUT_UDP,
    figures,
    free_port,
    listen,
    serve_npm_client,
    until_viewers,
)
from tests.fakes.clips import CLIPS, Clips, Recipe
from tests.fakes.rtsp_camera import RtspCamera

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="module"),
]

MOUNTS = [
    "h264_aac",
    "h264_pcma",
    "h264_mute",
    "h264_bframes",
    "h264_gop10",
    "h264_fps15",
    "h264_fps60",
    "hevc_aac",
    "mjpeg",
]
LOOP = Recipe(audio="aac", duration_s=2)
BARE_PAGE = "/rtc.html"  # without a token it plays nothing
TONE_HZ = 440  # of tests/fakes/clips.py


@dataclass(frozen=True, slots=True)
class Stage:
    """A server with one source of every kind, a browser to watch them."""

    server: Server
    browser: BrowserContext

    async def open(self, address: str, *scripts: str) -> Page:
        """Return a new page at an address of the server."""
        page = await self.browser.new_page()
        for script in (SPY, *scripts):
            await page.add_init_script(script)
        await page.goto(self.server.base + address)
        return page


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Return the server with all sources; those that must be transcoded run on demand."""
    folder = tmp_path_factory.mktemp("webrtc")
    async with RtspCamera(clips, MOUNTS) as camera:
        sources: list[dict[str, Any]] = [
            {"token": mount, "type": "rtsp", "url": camera.url(mount)} for mount in MOUNTS
        ]
        sources += [
            {"token": "demo", "type": "file", "url": "demo.mp4"},
            sources[0] | {"token": "ondemand", "connect": "ondemand"},
        ]
        server = Server(
            folder / "server",
            sources=sources,
            auth={"enabled": False},
            rtc={"port": free_port()},
            limits={"transcodes": 3},
        )
        server.add_media(clips.make(LOOP, "loop"), "demo.mp4")
        async with server, open_browser(folder / "profile") as browser:
            yield Stage(server, browser)


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def nobody_stays(stage: Stage) -> AsyncIterator[None]:
    """Close a test's pages; the server notices that everybody has left."""
    yield
    for page in stage.browser.pages[1:]:
        await page.close()
    async with Client(stage.server) as client:
        await until_viewers(client, 0)


def assert_near_live(seen: list[dict[str, Any]], recipe: Recipe, within_s: float = 1.0) -> None:
    """Every picture is whole, they advance, and they are as old as the network makes them."""
    settled = seen[len(seen) // 3 :]
    assert all(one["index"] >= 0 for one in settled), settled
    assert len({one["index"] for one in settled}) > len(settled) // 2
    late = [behind_s(one, recipe.fps, recipe.frames) for one in settled]
    assert median(late) < within_s, late
    passed_s = settled[-1]["now"] - settled[0]["now"]
    shown = settled[-1]["frames"] - settled[0]["frames"]
    # a browser that decodes beside an encoder on two busy cores leaves pictures out
    assert shown > 0.5 * passed_s * recipe.fps, (shown, passed_s)


@pytest.mark.parametrize(
    "token", ["h264_aac", "h264_pcma", "h264_mute", "h264_fps15", "h264_fps60"]
)
async def test_h264_plays_as_it_comes(stage: Stage, token: str) -> None:
    page = await stage.open(f"/rtc.html?token={token}")
    complaints = complaints_of(page)
    seen = await watch(page, 3)
    assert_near_live(seen, CLIPS[token])
    found = await figures(page)
    assert found["video"] == "video/H264"
    assert found["protocol"] == "udp"
    assert complaints == []


@pytest.mark.parametrize(
    ("token", "codec"), [("h264_aac", "audio/opus"), ("h264_pcma", "audio/PCMA")]
)
async def test_sound_is_heard(stage: Stage, token: str, codec: str) -> None:
    page = await stage.open(f"/rtc.html?token={token}")
    await watch(page, 1)
    heard = await listen(page, 3)
    assert heard["level"] > 0.01, heard
    assert abs(heard["hz"] - TONE_HZ) < 12, heard
    assert (await figures(page))["audio"] == codec


async def test_a_source_without_sound_has_no_track_for_it(stage: Stage) -> None:
    page = await stage.open("/rtc.html?token=h264_mute")
    await watch(page, 0.5)
    kinds = "document.querySelector('video').srcObject.getTracks().map((one) => one.kind)"
    assert await page.evaluate(kinds) == ["video"]


@pytest.mark.parametrize("token", ["h264_bframes", "hevc_aac", "mjpeg"])
async def test_what_webrtc_cannot_carry_is_transcoded(stage: Stage, token: str) -> None:
    page = await stage.open(f"/rtc.html?token={token}")
    seen = await watch(page, 5)
    assert_near_live(seen, CLIPS[token], within_s=2.0)
    found = await figures(page)
    assert found["video"] == "video/H264"
    indexes = [one["index"] for one in seen]
    steps = [(b - a) % CLIPS[token].frames for a, b in pairwise(indexes)]
    assert max(steps) < CLIPS[token].frames // 2, indexes  # no picture before an older one


async def test_joining_in_the_middle_of_a_long_gop_shows_a_picture_at_once(stage: Stage) -> None:
    recipe = CLIPS["h264_gop10"]
    async with Client(stage.server) as client:
        await client.until_online("h264_gop10")
    page = await stage.open(BARE_PAGE)
    # 2 to 3 s after a key frame: who had to wait for the next one would wait 7 s
    await until(lambda: 2 < time.time() % recipe.gop_s < 3, "the middle of a GOP", 11)
    began = time.time()
    await page.goto(f"{stage.server.base}/rtc.html?token=h264_gop10")
    while not (first := await look(page)) or not first["frames"]:
        await asyncio.sleep(0.02)
    assert time.time() - began < 4
    seen = await watch(page, 3)
    assert_near_live(seen, recipe)


async def test_a_looped_file_plays_over_its_end(stage: Stage) -> None:
    page = await stage.open("/rtc.html?token=demo")
    seen = await watch(page, 5, every_s=0.1)
    indexes = [one["index"] for one in seen]
    turns = sum(b < a for a, b in pairwise(indexes))
    assert min(indexes) >= 0
    assert turns >= 2, indexes
    assert seen[-1]["frames"] - seen[0]["frames"] > 0.8 * LOOP.fps * (
        seen[-1]["now"] - seen[0]["now"]
    )


async def test_an_ondemand_source_starts_with_its_viewer(stage: Stage) -> None:
    async with Client(stage.server) as client:
        assert (await client.source("ondemand"))["strState"] == "STOPPED"
        page = await stage.open("/rtc.html?token=ondemand")
        assert_near_live(await watch(page, 3), CLIPS["h264_aac"])
        assert (await client.source("ondemand"))["strState"] == "RUNNING"


@pytest.mark.parametrize("token", [*MOUNTS, "demo"])
async def test_plain_whep_plays_every_source(stage: Stage, token: str) -> None:
    page = await stage.open(BARE_PAGE)
    complaints = complaints_of(page)
    answer = await page.evaluate(PLAIN_WHEP, f"/whep/{token}")
    assert answer == {"status": 201, "text": ""}
    seen = await watch(page, 2)
    recipe = LOOP if token == "demo" else CLIPS[token]
    if token != "demo":
        assert_near_live(seen, recipe, within_s=2.0)
    assert len({one["index"] for one in seen}) > 5
    if recipe.audio:
        heard = await listen(page)
        assert heard["level"] > 0.01
        assert abs(heard["hz"] - TONE_HZ) < 12
    async with Client(stage.server) as client:
        await until_viewers(client, 1)
        assert await page.evaluate("leave()") == 200
        await until_viewers(client, 0, timeout_s=5)
    assert complaints == []


async def test_the_client_of_the_npm_registry_plays_over_whep(stage: Stage) -> None:
    page = await stage.open(BARE_PAGE)
    complaints = complaints_of(page)
    await serve_npm_client(page)
    await page.evaluate(NPM_WHEP, [f"{stage.server.base}/whep/h264_aac", ""])
    assert_near_live(await watch(page, 3), CLIPS["h264_aac"])
    assert (await listen(page))["level"] > 0.01
    async with Client(stage.server) as client:
        await page.evaluate("leave()")
        await until_viewers(client, 0, timeout_s=5)
    assert complaints == []


@pytest.mark.parametrize("tells_candidates", [False, True])
@pytest.mark.parametrize("token", ["h264_aac", "h264_bframes"])
async def test_an_original_player_plays(stage: Stage, token: str, tells_candidates: bool) -> None:
    page = await stage.open(BARE_PAGE)
    complaints = complaints_of(page)
    await page.evaluate(ORIGINAL, [token, tells_candidates])
    assert_near_live(await watch(page, 3), CLIPS[token], within_s=2.0)
    assert await page.evaluate("alerts") == []
    assert (await page.evaluate("heard"))[0] in ("iceserver", "offer")
    assert complaints == []


async def test_tcp_carries_it_where_udp_is_blocked(stage: Stage) -> None:
    page = await stage.open("/rtc.html?token=h264_aac", WITHOUT_UDP)
    assert_near_live(await watch(page, 3), CLIPS["h264_aac"])
    found = await figures(page)
    assert found["protocol"] == "tcp"
