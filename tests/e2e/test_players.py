"""The players in a real browser: what they show, how far behind the camera."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.e2e.browser import Browser, Screen, moves
from tests.e2e.server import Server
from tests.fakes.clips import Clips
from tests.fakes.rtsp_camera import RtspCamera

pytestmark = pytest.mark.e2e

WATCH_S = 5.0
DEMO = {"token": "demo", "type": "file", "url": "demo.mp4"}


def camera_sources(camera: RtspCamera, mounts: list[str], **settings: Any) -> list[dict[str, Any]]:
    """Return a source for each mount, with its name as the token."""
    return [
        {"token": mount, "type": "rtsp", "url": camera.url(mount)} | settings for mount in mounts
    ]


async def check_moves(screen: Screen, *, waits: int = 1) -> None:
    """Watch for some seconds: time passes and pictures change, smoothly."""
    await screen.until_playing()
    looks = await screen.watch(WATCH_S)
    seen = moves(looks)
    assert 0.8 * WATCH_S < seen["played_s"] < 1.2 * WATCH_S, seen
    assert seen["different"] > 12 * WATCH_S, seen
    assert seen["seeks"] <= 1, seen
    assert seen["waits"] <= waits, seen
    assert screen.complaints == []


async def check_live(screen: Screen, clip: str, *, behind_s: float) -> None:
    """Watch a camera's page: it shows what the camera shows now, for some seconds."""
    await screen.until_playing()
    await screen.watch(2.0)  # a new player finds its distance
    looks = await screen.watch(WATCH_S)
    seen = moves(looks)
    late = [round(look.behind_s(clip), 2) for look in looks]
    assert min(look.index for look in looks) >= 0, looks
    assert -0.15 < median(late) < behind_s, late
    assert 0.8 * WATCH_S < seen["played_s"] < 1.2 * WATCH_S, seen
    assert seen["different"] > 12 * WATCH_S, seen
    assert seen["seeks"] <= 1, seen
    assert seen["waits"] <= 3, seen
    assert screen.complaints == []
    assert len(screen.sockets) == 1


@pytest.mark.parametrize(
    "mounts", [["h264_aac", "h264_mute"], ["h264_bframes", "h264_gop10"]], ids="-".join
)
async def test_websocket_page_shows_the_camera_within_a_second(
    mounts: list[str], chromium: Browser, clips: Clips, tmp_path: Path
) -> None:
    async with RtspCamera(clips, mounts) as camera:
        sources = camera_sources(camera, mounts)
        async with Server(tmp_path, sources=sources) as server:
            await chromium.sign_in(server)
            for mount in mounts:
                screen = await chromium.screen(f"{server.base}/ws.html?token={mount}")
                await check_live(screen, mount, behind_s=1.0)
                await screen.page.close()


async def test_websocket_page_shows_transcoded_cameras(
    chromium: Browser, clips: Clips, tmp_path: Path
) -> None:
    """This Chromium takes neither H.265 nor MJPEG: each is made H.264 for it."""
    mounts = ["hevc_aac", "mjpeg"]
    async with RtspCamera(clips, mounts) as camera:
        sources = camera_sources(camera, mounts, connect="ondemand")
        async with Server(tmp_path, sources=sources) as server:
            await chromium.sign_in(server)
            for mount in mounts:
                screen = await chromium.screen(f"{server.base}/ws.html?token={mount}")
                await check_live(screen, mount, behind_s=2.0)
                assert server.ffmpegs("libx264")
                await screen.page.close()


@pytest.fixture
def demo(clips: Clips, tmp_path: Path) -> Server:
    """Return a server, yet to be started, that loops a clip as the source `demo`."""
    server = Server(tmp_path, sources=[DEMO], hls={"segment_s": 1.0})
    server.add_media(clips["h264_aac"], "demo.mp4")
    return server


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_hls_page_plays_with_hls_js(version: str, chromium: Browser, demo: Server) -> None:
    async with demo as server:
        await chromium.sign_in(server)
        screen = await chromium.screen(f"{server.base}/hls.html?token=demo&ver={version}")
        await check_moves(screen)
        assert await screen.page.evaluate(
            "document.querySelector('video').src.startsWith('blob:')"
        )


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_hls_page_plays_without_hls_js(
    version: str, chromium: Browser, demo: Server
) -> None:
    async with demo as server:
        await chromium.sign_in(server)
        screen = await chromium.screen()
        await screen.page.route(
            "**/vendor/hls.js/*", lambda route: route.fulfill(content_type="text/javascript")
        )
        await screen.open(f"{server.base}/hls.html?token=demo&ver={version}")
        await check_moves(screen)
        source = await screen.page.evaluate("document.querySelector('video').src")
        assert source.endswith(f"/hls/{version}/demo/hls.m3u8")


async def test_players_of_both_kinds_play_side_by_side(chromium: Browser, demo: Server) -> None:
    """The constructors of H5Stream's manual, on a page of someone else's."""
    async with demo as server:
        await chromium.sign_in(server)
        screen = await chromium.screen(f"{server.base}/ws.html")
        await screen.page.add_script_tag(url="/vendor/hls.js/hls.min.js")
        states: Mapping[str, Any] = await screen.page.evaluate(
            """async () => {
              const players = [];
              for (const [kind, hlsver] of [["WS", ""], ["Hls", "v1"], ["Hls", "v2"]]) {
                const video = document.createElement("video");
                video.id = `video${kind}${hlsver}`;
                document.body.append(video);
                const Player = globalThis[`H5sPlayer${kind}`];
                players.push(new Player({
                  videoid: video.id, protocol: location.protocol, host: location.host,
                  rootpath: "/", token: "demo", hlsver, session: "",
                }));
              }
              for (const player of players) player.connect();
              const deadline = performance.now() + 20000;
              while (performance.now() < deadline && players.some((one) => one.video.currentTime < 1))
                await new Promise((resolve) => setTimeout(resolve, 100));
              const playing = players.map((one) => one.state);
              for (const player of players) player.disconnect();
              return { playing, after: players.map((one) => one.state) };
            }"""
        )
        assert states["playing"] == ["playing"] * 3
        assert states["after"] == ["stopped"] * 3
        assert screen.complaints == []
