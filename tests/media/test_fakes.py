"""The fakes themselves: a camera that misbehaves only when told makes the other tests mean it."""

from __future__ import annotations

import asyncio
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.fakes.broken_rtsp import BrokenRtsp, Fault
from tests.fakes.clips import CLIPS, Clips, decode_frame_indexes
from tests.fakes.http_ts import HttpTs
from tests.fakes.rtmp_server import RtmpServer
from tests.fakes.rtsp_camera import RtspCamera

pytestmark = pytest.mark.media

LIVE = ["-rtsp_transport", "tcp", "-timeout", "3000000", "-fpsprobesize", "0"]


@asynccontextmanager
async def running(ffmpeg: str, *args: str) -> AsyncIterator[Process]:
    argv = [ffmpeg, "-hide_banner", "-nostdin", "-loglevel", "error", "-y", *args]
    process = await asyncio.create_subprocess_exec(*argv, stdout=PIPE, stderr=PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await asyncio.gather(process.stdout.read(), process.stderr.read())
        await process.wait()


@asynccontextmanager
async def packets(ffmpeg: str, url: str, track: str) -> AsyncIterator[asyncio.StreamReader]:
    """Yield a reader with one line per packet of `track` (v or a) of the camera at `url`."""
    output = ["-map", f"0:{track}:0", "-c", "copy", "-f", "framecrc", "-flush_packets", "1", "-"]
    async with running(ffmpeg, *LIVE, "-i", url, *output) as process:
        assert process.stdout is not None
        async with asyncio.timeout(15):
            while not (await process.stdout.readline()).startswith(b"0,"):
                pass
        yield process.stdout


async def flow(lines: asyncio.StreamReader) -> None:
    """Return when packets come; those already under way don't count."""
    loop = asyncio.get_running_loop()
    asked = loop.time()
    async with asyncio.timeout(5):
        while loop.time() < asked + 0.5:
            assert await lines.readline()


async def stop(lines: asyncio.StreamReader) -> None:
    """Return when packets have stopped coming, though the connection stands."""
    async with asyncio.timeout(5):
        while await has_line(lines, within_s=0.6):
            pass


async def has_line(lines: asyncio.StreamReader, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            line = await lines.readline()
    except TimeoutError:
        return False
    assert line, "the client has ended"
    return True


MOUNTS = [name for name, recipe in CLIPS.items() if recipe.suffix in (".mp4", ".mov")]


async def test_camera_shows_the_frame_of_the_hour(
    clips: Clips, ffmpeg: str, tmp_path: Path
) -> None:
    mounts = [*MOUNTS, "h264_aac-nosp"]
    mounts.remove("h264_gop10")  # as the others, and 10 s longer
    async with (
        RtspCamera(clips, mounts) as camera,
        asyncio.timeout(60),
        asyncio.TaskGroup() as all_,
    ):
        for mount in mounts:
            all_.create_task(check_mount(camera, mount, ffmpeg, tmp_path / f"{mount}.mkv"))


async def check_mount(camera: RtspCamera, mount: str, ffmpeg: str, file: Path) -> None:
    recipe = CLIPS[mount.removesuffix("-nosp")]
    # Long enough for a whole picture whatever the moment of joining.
    seconds = str(recipe.gop_s + 2)
    output = ["-map", "0", "-c", "copy", "-t", seconds, str(file)]
    async with running(ffmpeg, *LIVE, "-i", camera.url(mount), *output) as client:
        assert await client.wait() == 0
    shown = int(time.time() * recipe.fps) % recipe.frames
    seen = (await asyncio.to_thread(decode_frame_indexes, file))[-1]
    assert (shown - seen) % recipe.frames < 2 * recipe.fps, mount


async def test_camera_asks_for_its_password(clips: Clips, ffmpeg: str) -> None:
    user, password = "ad min", "p@ss:w/rd"
    async with RtspCamera(clips, ["h264_mute"], user=user, password=password) as camera:
        for url in (camera.url("h264_mute"), camera.url("h264_mute", user, "wrong")):
            async with running(ffmpeg, *LIVE, "-i", url, "-f", "null", "-") as client:
                assert client.stderr is not None
                assert b"401 Unauthorized" in await client.stderr.read()
        async with packets(ffmpeg, camera.url("h264_mute", user, password), "v") as video:
            await flow(video)


async def test_camera_switches(clips: Clips, ffmpeg: str) -> None:
    mount = "h264_aac"
    async with RtspCamera(clips, [mount]) as camera:
        url = camera.url(mount)
        async with packets(ffmpeg, url, "v") as video, packets(ffmpeg, url, "a") as audio:
            assert await camera.clients(mount) == 2
            await camera.stop_video(mount)
            await asyncio.gather(stop(video), flow(audio))
            await camera.resume(mount)
            await camera.stop_audio(mount)
            await asyncio.gather(flow(video), stop(audio))
            await camera.stall(mount)
            await asyncio.gather(stop(video), stop(audio))
            await camera.resume(mount)
            await asyncio.gather(flow(video), flow(audio))
            await camera.kick(mount)
            async with asyncio.timeout(5):
                await asyncio.gather(video.read(), audio.read())  # both end
                while await camera.clients(mount):
                    await asyncio.sleep(0.01)


async def test_a_killed_camera_refuses_connections(clips: Clips) -> None:
    async with RtspCamera(clips, ["h264_mute"]) as camera:
        await camera.kill()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", camera.port)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.NOT_FOUND, b"404 Not Found"),
        (Fault.UNAUTHORIZED, b"401 Unauthorized"),
        (Fault.GARBAGE, b"Invalid data"),
        (Fault.SILENT, b"Invalid data"),
        (Fault.CLOSES, b"Invalid data"),
    ],
)
async def test_broken_servers_fail_as_cameras_do(fault: Fault, words: bytes, ffmpeg: str) -> None:
    async with BrokenRtsp(fault) as server:
        url = server.url("admin", "secret")
        async with running(ffmpeg, *LIVE, "-i", url, "-f", "null", "-") as client:
            assert client.stderr is not None
            async with asyncio.timeout(10):
                assert words in await client.stderr.read()
        assert server.connections > 0


async def test_http_ts_goes_on_past_the_end_of_its_clip(clips: Clips, ffmpeg: str) -> None:
    output = ["-map", "0:v", "-c", "copy", "-t", "3", "-f", "framecrc", "-"]
    async with (
        HttpTs(clips["h264_ts_short"], ffmpeg) as server,
        running(ffmpeg, "-i", server.url(), *output) as client,
    ):
        assert client.stdout is not None
        async with asyncio.timeout(15):
            lines = (await client.stdout.read()).splitlines()
    times = [int(line.split(b",")[1]) for line in lines if line.startswith(b"0,")]
    assert len(times) > 50
    assert times == sorted(set(times))


async def test_rtmp_serves_one_player_after_the_other(clips: Clips, ffmpeg: str) -> None:
    output = ["-map", "0:v", "-c", "copy", "-t", "0.5", "-f", "framecrc", "-"]
    async with RtmpServer(clips["h264_flv"], ffmpeg) as server:
        for _ in range(2):
            await server.wait_listening()
            async with (
                running(ffmpeg, "-i", server.url(), *output) as client,
                asyncio.timeout(10),
            ):
                assert client.stdout is not None
                lines = (await client.stdout.read()).splitlines()
            assert sum(line.startswith(b"0,") for line in lines) > 5
