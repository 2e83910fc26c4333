"""The pages in a real browser, fed by real cameras."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from functools import partial
from pathlib import Path
from statistics import median

import aiohttp
import pytest
from playwright.async_api import BrowserContext

from tests.e2e.browser import complaints_of
from tests.e2e.screen import behind_s, watch
from tests.e2e.server import Server, has_new_ffmpeg, until
from tests.fakes.clips import CLIPS, Clips
from tests.fakes.rtsp_camera import RtspCamera

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


def camera_source(camera: RtspCamera, mount: str, **settings: object) -> dict[str, object]:
    return {"token": "front", "type": "rtsp", "url": camera.url(mount)} | settings


async def sign_in(server: Server) -> str:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{server.base}/api/v1/Login?user=admin&password=12345") as answer,
    ):
        session: str = json.loads(await answer.text())["strSession"]
        return session


@pytest.mark.parametrize("mount", ["h264_aac", "h264_mute", "h264_bframes", "h264_gop10"])
async def test_a_camera_plays_near_live_over_websocket(
    mount: str, clips: Clips, tmp_path: Path, browser: BrowserContext
) -> None:
    async with RtspCamera(clips, [mount]) as camera:
        source = camera_source(camera, mount)
        async with Server(tmp_path, sources=[source], auth={"enabled": False}) as server:
            page = await browser.new_page()
            complaints = complaints_of(page)
            await page.goto(f"{server.base}/ws.html?token=front")
            seen = await watch(page, 8)
            settled = seen[len(seen) // 3 :]
            recipe = CLIPS[mount]
            assert all(one["index"] >= 0 for one in settled)
            assert median(behind_s(one, recipe.fps, recipe.frames) for one in settled) < 1
            assert settled[-1]["time"] - settled[0]["time"] > 3
            assert settled[-1]["frames"] - settled[0]["frames"] > 60
            assert complaints == []


@pytest.mark.parametrize("mount", ["hevc_aac", "mjpeg"])
async def test_what_the_browser_cannot_play_is_transcoded(
    mount: str, clips: Clips, tmp_path: Path, browser: BrowserContext
) -> None:
    async with RtspCamera(clips, [mount]) as camera:
        source = camera_source(camera, mount)
        async with Server(tmp_path, sources=[source], auth={"enabled": False}) as server:
            page = await browser.new_page()
            await page.goto(f"{server.base}/ws.html?token=front")
            seen = await watch(page, 6)
            recipe = CLIPS[mount]
            assert seen[-1]["frames"] - seen[0]["frames"] > 60
            late = [behind_s(one, recipe.fps, recipe.frames) for one in seen[len(seen) // 2 :]]
            assert median(late) < 2


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_hls_plays_in_the_page(
    version: str, clips: Clips, tmp_path: Path, browser: BrowserContext
) -> None:
    server = Server(
        tmp_path,
        sources=[{"token": "front", "type": "file", "url": "clip.mp4"}],
        auth={"enabled": False},
    )
    server.add_media(clips["h264_aac"], "clip.mp4")
    async with server:
        page = await browser.new_page()
        complaints = complaints_of(page)
        await page.goto(f"{server.base}/hls.html?token=front&ver={version}")
        seen = await watch(page, 8)
        assert seen[-1]["time"] - seen[0]["time"] > 5
        assert len({one["index"] for one in seen}) > 10
        assert complaints == []


async def test_the_wall_shows_the_source_after_signing_in(
    clips: Clips, tmp_path: Path, browser: BrowserContext
) -> None:
    server = Server(
        tmp_path, sources=[{"token": "demo", "name": "Yard", "type": "file", "url": "clip.mp4"}]
    )
    server.add_media(clips["h264_aac"], "clip.mp4")
    async with server:
        page = await browser.new_page()
        await page.goto(server.base)
        await page.fill("input[type=password]", "wrong")
        await page.fill("input[name=user]", "admin")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("[role=alert]:not(:empty)")
        complaints = complaints_of(page)
        await page.fill("input[type=password]", "12345")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("video")
        seen = await watch(page, 4)
        assert seen[-1]["time"] - seen[0]["time"] > 2
        assert len({one["index"] for one in seen}) > 5
        assert await page.get_by_text("Yard").count()
        await page.set_viewport_size({"width": 360, "height": 740})
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 360
        assert complaints == []


async def test_the_page_comes_back_after_a_restart_of_ffmpeg_and_of_the_server(
    clips: Clips, tmp_path: Path, browser: BrowserContext
) -> None:
    server = Server(
        tmp_path,
        sources=[{"token": "front", "type": "file", "url": "clip.mp4"}],
        auth={"enabled": False},
    )
    server.add_media(clips["h264_aac"], "clip.mp4")
    async with server:
        page = await browser.new_page()
        await page.goto(f"{server.base}/ws.html?token=front")
        await watch(page, 2)
        for _ in range(2):
            before = server.ffmpegs()
            assert len(before) == 1
            os.kill(before[0], signal.SIGKILL)
            await until(partial(has_new_ffmpeg, server, before[0]), "a new ffmpeg")
            seen = await watch(page, 5)
            assert seen[-1]["index"] != seen[-5]["index"]
        await server.stop()
        await server.start()
        await asyncio.sleep(2)
        deadline = asyncio.get_running_loop().time() + 30
        while True:
            seen = await watch(page, 2)
            if len({one["index"] for one in seen}) > 4:
                break
            assert asyncio.get_running_loop().time() < deadline


async def test_an_original_player_that_never_seeks_keeps_one_range(
    clips: Clips, tmp_path: Path, browser: BrowserContext
) -> None:
    """Append everything, never seek, as the players of H5Stream's releases do."""
    async with RtspCamera(clips, ["h264_aac"]) as camera:
        source = camera_source(camera, "h264_aac")
        async with Server(tmp_path, sources=[source], auth={"enabled": False}) as server:
            page = await browser.new_page()
            await page.goto(f"{server.base}/ws.html")
            await page.evaluate(ORIGINAL)
            await watch(page, 4)
            await camera.kick("h264_aac")
            await watch(page, 5)
            await camera.stop_audio("h264_aac")
            seen = await watch(page, 5)
            assert {one["ranges"] for one in seen} == {1}
            assert seen[-1]["time"] - seen[0]["time"] > 3
            assert len({one["index"] for one in seen}) > 10


ORIGINAL = """() => {
  document.body.replaceChildren();
  const video = document.createElement('video');
  video.muted = true; video.autoplay = true;
  document.body.append(video);
  const source = new MediaSource();
  video.src = URL.createObjectURL(source);
  source.addEventListener('sourceopen', () => {
    const socket = new WebSocket(`ws://${location.host}/api/v1/h5swsapi?token=front`);
    socket.binaryType = 'arraybuffer';
    const queue = []; let buffer = null;
    const next = () => { if (buffer && !buffer.updating && queue.length)
      buffer.appendBuffer(queue.shift()); };
    socket.onmessage = ({data}) => {
      if (typeof data === 'string') return;
      if (!buffer) {
        buffer = source.addSourceBuffer(new TextDecoder().decode(data));
        buffer.addEventListener('updateend', next);
        return;
      }
      queue.push(data); next();
    };
  }, {once: true});
}"""


async def test_a_camera_is_added_played_and_deleted_by_api(clips: Clips, tmp_path: Path) -> None:
    async with RtspCamera(clips, ["h264_aac"]) as camera, Server(tmp_path) as server:
        session = await sign_in(server)
        async with aiohttp.ClientSession(server.base) as http:

            async def call(path: str, **query: str) -> dict[str, object]:
                async with http.get(
                    f"/api/v1/{path}", params=query | {"session": session}
                ) as answer:
                    found: dict[str, object] = json.loads(await answer.text())
                    return found

            url = camera.url("h264_aac")
            added = await call("AddSrcRTSP", token="cam", name="Cam", url=url)
            assert added["bStatus"] is True
            assert (await call("AddSrcRTSP", token="cam", name="Cam", url=url))["bStatus"] is False
            async with http.ws_connect(f"/api/v1/h5swsapi?token=cam&session={session}") as socket:
                mime = (await socket.receive(timeout=10)).data
                assert mime.startswith(b'video/mp4; codecs="avc1.')
                assert (await socket.receive_bytes(timeout=5))[4:8] == b"ftyp"
            assert (await call("DelSrc", token="cam"))["bStatus"] is True
            async with http.get("/api/v1/GetSrc") as answer:
                assert answer.status == 401
