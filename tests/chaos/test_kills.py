"""Processes that die or hang: nothing of them remains, and everything comes back."""

from __future__ import annotations

import asyncio
import os
import signal
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.server import ROOT, RUN, Server, has_new_ffmpeg, until
from tests.fakes.clips import Clips

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
    async with server_with(clips, tmp_path) as server:
        await until(server.ffmpegs, "an ffmpeg")
        await asyncio.sleep(1)
        descriptors = server.open_descriptors()
        for _ in range(4):
            (old,) = server.ffmpegs()
            os.kill(old, signal.SIGKILL)
            await until(partial(has_new_ffmpeg, server, old), "another ffmpeg")
        await asyncio.sleep(1)
        assert server.open_descriptors() <= descriptors + 2


async def test_an_ffmpeg_that_hangs_is_replaced(clips: Clips, tmp_path: Path) -> None:
    async with server_with(clips, tmp_path) as server:
        await until(server.ffmpegs, "an ffmpeg")
        (old,) = server.ffmpegs()
        await asyncio.sleep(1)
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
