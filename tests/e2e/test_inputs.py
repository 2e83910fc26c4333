"""Other ways in than RTSP, through the whole server to a player's socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.e2e.client import Client, Viewer, find_skips
from tests.e2e.server import Server, Settings
from tests.fakes.clips import CLIPS, Clips
from tests.fakes.http_ts import HttpTs
from tests.fakes.rtmp_server import RtmpServer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def source(token: str, url: str) -> Settings:
    return {"token": token, "type": "rtsp", "url": url}


@asynccontextmanager
async def serving(folder: Path, *sources: Settings) -> AsyncIterator[Client]:
    """Start a server with these sources and sign in."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            Server(folder, sources=sources, auth={"enabled": False})
        )
        yield await stack.enter_async_context(Client(server))


async def assert_plays(viewer: Viewer, clip: str) -> None:
    """Check the rules of a socket's timeline and that no picture is missing."""
    await viewer.until_pictures(75)
    assert viewer.mime.startswith('video/mp4; codecs="avc1.')
    assert viewer.mime.endswith(', mp4a.40.2"')
    assert viewer.starts_with_key
    assert viewer.breaks == []
    indexes = await viewer.indexes()
    assert find_skips(indexes, CLIPS[clip].frames) == [], indexes


async def test_rtmp_plays(clips: Clips, ffmpeg: str, tmp_path: Path) -> None:
    async with (
        RtmpServer(clips["h264_flv"], ffmpeg) as camera,
        serving(tmp_path, source("rtmp", camera.url())) as client,
        client.watch("rtmp") as viewer,
    ):
        await assert_plays(viewer, "h264_flv")


async def test_mpeg_ts_over_http_plays_and_goes_on_after_a_kick(
    clips: Clips, ffmpeg: str, tmp_path: Path
) -> None:
    async with (
        HttpTs(clips["h264_ts"], ffmpeg) as camera,
        serving(tmp_path, source("ts", camera.url())) as client,
    ):
        await client.until_online("ts")
        async with client.watch("ts") as viewer:
            await assert_plays(viewer, "h264_ts")
        camera.kick()
        await client.until_state("ts", "BACKOFF", "closed the connection")
        await client.until_online("ts")
        async with client.watch("ts") as viewer:
            await assert_plays(viewer, "h264_ts")


async def test_addresses_that_lead_nowhere_are_named(
    clips: Clips, ffmpeg: str, tmp_path: Path
) -> None:
    async with (
        HttpTs(clips["h264_ts"], ffmpeg) as camera,
        serving(
            tmp_path,
            source("path", camera.url() + "/no"),
            source("http", "http://127.0.0.1:1/live.ts"),
            source("rtmp", "rtmp://127.0.0.1:1/live/camera"),
            source("host", "rtmp://camera.invalid/live/camera"),
        ) as client,
    ):
        await client.until_state("path", "BACKOFF", "knows no such address")
        await client.until_state("http", "BACKOFF", "refused the connection")
        await client.until_state("rtmp", "BACKOFF", "refused the connection")
        await client.until_state("host", "BACKOFF", "host name is not known")
