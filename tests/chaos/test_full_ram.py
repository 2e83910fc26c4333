"""A RAM folder that fills up: HLS v1 alone suffers, is told of, and comes back."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.e2e.client import Client, Viewer, find_skips
from tests.e2e.server import Server, Settings, has_new_ffmpeg, until
from tests.fakes.clips import CLIPS, Clips, decode_frame_indexes
from tests.fakes.rtsp_camera import RtspCamera

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

SIZE = "4m"
SAYS_FULL = "is full ("
SAYS_ROOM = "there is room in the RAM folder again"
# The mount lives in a namespace of the server's own and goes with it, however the server ends.
OWN_MOUNTS = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]


def server_in(folder: Path, *sources: Settings, size: str = SIZE) -> Server:
    """Return a server whose RAM folder lies in a small tmpfs."""
    small = folder / "small"
    small.mkdir()
    mount = f'mount -t tmpfs -o size={size} none "{small}" && exec "$@"'
    return Server(
        folder,
        sources=sources,
        prefix=[*OWN_MOUNTS, "sh", "-c", mount, "sh"],
        auth={"enabled": False},
        paths={"ram": str(small)},
        hls={"segment_s": 0.5},
    )


def as_server_sees(server: Server, path: Path) -> Path:
    """Return where a path of the server's own mounts can be reached from here."""
    return Path(f"/proc/{server.pid}/root{path}")


@asynccontextmanager
async def filled(folder: Path) -> AsyncIterator[None]:
    """Keep a file system full: what is freed is taken at once."""
    path = folder / "ballast"
    taken = asyncio.Event()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)

    async def fill() -> None:
        while True:
            with suppress(OSError):
                while os.write(fd, bytes(4096)):
                    pass
            taken.set()
            await asyncio.sleep(0.005)

    filling = asyncio.create_task(fill())
    try:
        await taken.wait()
        yield
    finally:
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)
        os.close(fd)
        path.unlink()


async def newest_segment(client: Client, token: str) -> bytes:
    """Return the last segment of the HLS v1 playlist; nothing when there is none."""
    status, playlist = await client.get(f"/hls/v1/{token}/hls.m3u8")
    names = [line for line in playlist.decode().splitlines() if line.startswith("s")]
    if status != 200 or not names:
        return b""
    status, segment = await client.get(f"/hls/v1/{token}/{names[-1].partition('?')[0]}")
    return segment if status == 200 else b""


async def until_hls_plays(client: Client, token: str) -> None:
    """Wait until a new segment holds a whole GOP of pictures that follow each other."""
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(has_whole_gop, await newest_segment(client, token)):
            await asyncio.sleep(0.2)


def has_whole_gop(segment: bytes) -> bool:
    """Return whether a second of pictures is in it; what the full folder left over is broken."""
    try:
        indexes = decode_frame_indexes(segment)
    except (ValueError, subprocess.CalledProcessError):
        return False
    return len(indexes) >= 25 and not find_skips(indexes, CLIPS["h264_aac"].frames)


async def assert_plays_on(viewer: Viewer, pictures: int) -> None:
    await viewer.until_pictures(viewer.pictures + pictures)
    assert viewer.breaks == []


async def test_live_goes_on_and_hls_comes_back(clips: Clips, tmp_path: Path) -> None:
    async with RtspCamera(clips, ["h264_aac"]) as camera:
        source = {"token": "front", "type": "rtsp", "url": camera.url("h264_aac")}
        server = server_in(tmp_path, source)
        async with server, Client(server) as client, client.watch("front") as viewer:
            await assert_plays_on(viewer, 30)
            assert await newest_segment(client, "front")
            ffmpegs = server.ffmpegs()
            async with filled(as_server_sees(server, tmp_path / "small")):
                await until(lambda: SAYS_FULL in server.log, "the sentence")
                await assert_plays_on(viewer, 100)
                assert (await client.source("front"))["strState"] == "RUNNING"
            await until(lambda: SAYS_ROOM in server.log, "the second sentence")
            await until_hls_plays(client, "front")
            await assert_plays_on(viewer, 10)
            assert server.ffmpegs() == ffmpegs
            assert server.log.count(SAYS_FULL) == server.log.count(SAYS_ROOM) == 1
            assert find_skips(await viewer.indexes(), CLIPS["h264_aac"].frames) == []
    mounts = [one.mountpoint for one in psutil.disk_partitions(all=True)]
    assert str(tmp_path / "small") not in mounts


async def test_a_source_restarts_while_the_folder_is_full(clips: Clips, tmp_path: Path) -> None:
    server = server_in(tmp_path, {"token": "demo", "type": "file", "url": "clip.mp4"})
    server.add_media(clips["h264_aac"], "clip.mp4")
    async with server, Client(server) as client, client.watch("demo") as viewer:
        await assert_plays_on(viewer, 30)
        async with filled(as_server_sees(server, tmp_path / "small")):
            await assert_plays_on(viewer, 30)
            (old,) = server.ffmpegs()
            os.kill(old, signal.SIGKILL)
            await until(partial(has_new_ffmpeg, server, old), "another ffmpeg")
            new = server.ffmpegs()
            async with client.watch("demo") as again:
                await assert_plays_on(again, 100)
            assert server.ffmpegs() == new
        await until_hls_plays(client, "demo")
        assert server.log.count("next try in") == 1


async def test_a_folder_without_any_room_stops_nobody_who_needs_none(
    clips: Clips, tmp_path: Path
) -> None:
    async with RtspCamera(clips, ["h264_aac"]) as camera:
        sources = [
            {"token": "front", "type": "rtsp", "url": camera.url("h264_aac")},
            {"token": "demo", "type": "file", "url": "clip.mp4"},
        ]
        server = server_in(tmp_path, *sources, size="8k")
        server.add_media(clips["h264_aac"], "clip.mp4")
        async with server, Client(server) as client, client.watch("front") as viewer:
            await assert_plays_on(viewer, 75)
            await client.until_state("demo", "BACKOFF", "the RAM folder is full")
            assert find_skips(await viewer.indexes(), CLIPS["h264_aac"].frames) == []
