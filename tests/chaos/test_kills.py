"""Processes that die or hang: nothing of them remains, and everything comes back."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.e2e.client import Client
from tests.e2e.server import ROOT, RUN, Server, has_new_ffmpeg, until
from tests.fakes.broken_rtsp import BrokenRtsp, Fault
from tests.fakes.clips import Clips, decode_frame_indexes

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

DEMO = {"token": "demo", "type": "file", "url": "clip.mp4", "stall_timeout_s": 2}


def server_with(clips: Clips, folder: Path) -> Server:
    server = Server(folder, sources=[DEMO], auth={"enabled": False})
    server.add_media(clips["h264_aac"], "clip.mp4")
    return server


async def test_no_ffmpeg_outlives_a_killed_manager_and_the_next_start_is_clean(
    clips: Clips, tmp_path: Path
) -> None:
    server = server_with(clips, tmp_path)
    await server.start()
    await until(server.ffmpegs, "an ffmpeg")
    await server.kill()
    await until(lambda: not server.children(), "the end of all children", 5)
    async with server:
        await until(server.ffmpegs, "an ffmpeg")


async def test_a_killed_ffmpeg_is_replaced_again_and_again(clips: Clips, tmp_path: Path) -> None:
    async with server_with(clips, tmp_path) as server, Client(server) as client:
        await client.until_online("demo")
        descriptors = server.open_descriptors()
        for _ in range(3):  # with pauses of one, two and four seconds
            (old,) = server.ffmpegs()
            os.kill(old, signal.SIGKILL)
            await until(partial(has_new_ffmpeg, server, old), "another ffmpeg")
        await client.until_online("demo")
        await until(lambda: server.open_descriptors() <= descriptors + 2, "descriptors", 5)


async def until_child(server: Server, words: str, other_than: int = 0) -> psutil.Process:
    """Return a child of the server's with these words among its arguments."""
    found: list[psutil.Process] = []

    def looks() -> bool:
        for child in server.children():
            with suppress(psutil.Error):
                if child.pid != other_than and words in " ".join(child.cmdline()):
                    found.append(child)
        return bool(found)

    await until(looks, f"a child with {words!r}", every_s=0.005)
    return found[0]


async def test_a_killed_transcode_is_replaced_and_its_viewers_come_back(
    clips: Clips, tmp_path: Path
) -> None:
    server = Server(tmp_path, sources=[DEMO | {"url": "clip.mov"}], auth={"enabled": False})
    server.add_media(clips["mjpeg"], "clip.mov")
    async with server, Client(server) as client:
        async with client.watch("demo") as viewer:
            await viewer.until_pictures(20)
            transcode = await until_child(server, "libx264")
            reader = (await until_child(server, "copy.ffconcat")).pid
            transcode.kill()
            await until_child(server, "libx264", other_than=transcode.pid)
        async with client.watch("demo") as viewer:
            await viewer.until_pictures(50)
            assert viewer.starts_with_key
            assert viewer.breaks == []
        assert (await until_child(server, "copy.ffconcat")).pid == reader


async def test_a_killed_picture_job_costs_one_picture(clips: Clips, tmp_path: Path) -> None:
    async with server_with(clips, tmp_path) as server, Client(server) as client:
        await client.until_online("demo")
        asking = asyncio.create_task(ask_for_pictures(client))
        async with asyncio.timeout(30):
            while "no picture of demo: ended with exit code -9" not in server.log:
                job = await until_child(server, "frames:v 1")
                with suppress(psutil.NoSuchProcess):  # it was quicker: the next one then
                    job.kill()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await until_picture(client)
        assert len(server.ffmpegs()) == 1


async def ask_for_pictures(client: Client) -> None:
    """Ask again and again; there is always a picture to answer with."""
    while True:
        status, body = await client.get("/api/v1/GetImage", token="demo")
        assert status == 200
        assert body.startswith(b"\xff\xd8")


async def until_picture(client: Client) -> None:
    """Wait until GetImage gives a picture of the source itself."""
    async with asyncio.timeout(10):
        while True:
            _, body = await client.get("/api/v1/GetImage", token="demo")
            indexes = await asyncio.to_thread(find_indexes, body)
            if indexes:
                return
            await asyncio.sleep(0.1)


def find_indexes(jpeg: bytes) -> list[int]:
    """Return the frame number a JPEG shows; none where it is a picture of something else."""
    with suppress(ValueError):
        return decode_frame_indexes(jpeg)
    return []


async def test_a_killed_probe_is_tried_again(tmp_path: Path) -> None:
    async with BrokenRtsp(Fault.SILENT) as camera:
        source = {"token": "cam", "type": "rtsp", "url": camera.url()}
        server = Server(tmp_path, sources=[source], auth={"enabled": False})
        async with server, Client(server) as client:
            probe = await until_child(server, "ffprobe")
            probe.kill()
            await client.until_state("cam", "BACKOFF", "ffmpeg was killed by signal 9")
            await until_child(server, "ffprobe", other_than=probe.pid)


async def test_no_child_of_any_kind_outlives_a_killed_manager(
    clips: Clips, tmp_path: Path
) -> None:
    async with BrokenRtsp(Fault.SILENT) as camera:
        sources: list[dict[str, object]] = [
            DEMO | {"url": "clip.mov"},
            {"token": "cam", "type": "rtsp", "url": camera.url(), "connect": "ondemand"},
        ]
        server = Server(tmp_path, sources=sources, auth={"enabled": False})
        server.add_media(clips["mjpeg"], "clip.mov")
        await server.start()
        async with Client(server) as client, client.watch("demo") as viewer:
            await viewer.until_pictures(20)
            async with client.watch("cam"):
                await until_child(server, "libx264")
                await until_child(server, "copy.ffconcat")
                await until_child(server, "ffprobe")
                await server.kill()
        await until(lambda: not server.children(), "the end of all children", 5)
        async with server, Client(server) as client:
            await client.until_online("demo")
            assert len(server.ffmpegs()) == 1


async def test_an_ffmpeg_that_hangs_is_replaced(clips: Clips, tmp_path: Path) -> None:
    async with server_with(clips, tmp_path) as server, Client(server) as client:
        await client.until_online("demo")
        (old,) = server.ffmpegs()
        os.kill(old, signal.SIGSTOP)
        await until(lambda: old not in server.ffmpegs() and server.ffmpegs(), "another ffmpeg", 40)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"http": {"prot": 1}}', "http.prot: unknown key"),
        ('{"http": {"port": "x"}}', "http.port: expected a whole number"),
        ('{"sources": [{"token": "a/b", "type": "file", "url": "x"}]}', "sources[0].token"),
        ('{"sources": [{"token": "a", "type": "rtsp", "url": "exec:rm"}]}', "sources[0].url"),
        ('{"sources": [{"token":"a","type":"file","url":"x","profile":"no"}]}', "no profile"),
        ("{", "line 1"),
    ],
)
async def test_a_bad_configuration_gets_one_line(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    if "profile" in text:
        (tmp_path / "ffmpeg_profiles").symlink_to(ROOT / "ffmpeg_profiles")
    for option in (["--check"], []):
        process = await asyncio.create_subprocess_exec(
            str(RUN), "--config", str(path), *option, stderr=asyncio.subprocess.PIPE
        )
        _, said = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 1
        assert words in said.decode()
        assert said.count(b"\n") == 1


async def test_a_reload_touches_only_what_changed(clips: Clips, tmp_path: Path) -> None:
    async with server_with(clips, tmp_path) as server:
        await until(server.ffmpegs, "an ffmpeg")
        kept = server.ffmpegs()
        server.config["sources"].append(DEMO | {"token": "second"})
        server.reload()
        await until(lambda: len(server.ffmpegs()) == 2, "a second ffmpeg")
        assert set(kept) < set(server.ffmpegs())
        server.config["sources"].append(DEMO | {"token": "second"})
        server.reload()
        await until(lambda: "config.json is not applied" in server.log, "the refusal")
        assert len(server.ffmpegs()) == 2
