"""A disk of recordings that fills up, turns read-only, and is not there: live goes on."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from h5sup.base.clock import iso_ms, utc_now
from tests.chaos.test_full_ram import OWN_MOUNTS, as_server_sees, assert_plays_on
from tests.e2e.client import Client, find_skips
from tests.e2e.server import Server, until
from tests.fakes.clips import CLIPS, Clips, decode_frame_indexes

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

FULL = "the disk of paths.mediastore "
NO_ROOM = ("is full (", "has no room left")  # as it is found out by looking, or by writing
READ_ONLY = "the disk of paths.mediastore is read-only"
AWAY = "lay on a disk of its own and now lies on the system's"
AGAIN = "can be written again"


def server_on(disk: Path, folder: Path, *, is_mounted: bool = True) -> Server:
    """Return a server whose recordings lie in a tmpfs of 20 MB, or where that should be."""
    disk.mkdir(exist_ok=True)
    mount = f'mount -t tmpfs -o size=20m none "{disk}" && exec "$@"'
    source = {"token": "demo", "type": "file", "url": "clip.mp4", "record": "always"}
    return Server(
        folder,
        sources=[source],
        prefix=[*OWN_MOUNTS, "sh", "-c", mount, "sh"] if is_mounted else (),
        auth={"enabled": False},
        paths={"mediastore": str(disk / "mediastore")},
        recording={"segment_s": 10, "keep_free_bytes": 2_000_000},
        hls={"ts": False},
    )


def fill(path: Path) -> None:
    """Write until nothing more fits."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        for size in (65_536, 4096):
            with suppress(OSError):
                while os.write(fd, bytes(size)):
                    pass
    os.close(fd)


def remount(server: Server, disk: Path, how: str) -> None:
    """Mount the disk anew as the server sees it."""
    enter = ["nsenter", "--target", str(server.pid), "--mount"]
    if os.geteuid():
        enter += ["--user", "--preserve-credentials"]
    subprocess.run([*enter, "mount", "-o", f"remount,{how}", str(disk)], check=True, timeout=10)


async def until_recording(client: Client, wanted: bool) -> None:
    """Wait until GetSrc says so."""
    async with asyncio.timeout(30):
        while (await client.source("demo"))["bRec"] is not wanted:
            await asyncio.sleep(0.05)


async def list_all(client: Client, call: str, **parameters: str) -> list[dict[str, Any]]:
    """Return what a search finds of the last hour."""
    now = utc_now()
    begin, end = now - timedelta(hours=1), now + timedelta(hours=1)
    answer = await client.call(
        call, token="demo", start=iso_ms(begin), end=iso_ms(end), **parameters
    )
    (found,) = (value for value in answer.values() if isinstance(value, list))
    return found


async def test_a_full_a_read_only_and_a_missing_disk_stop_recording_alone(
    clips: Clips, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    server = server_on(disk, tmp_path)
    server.add_media(clips["h264_2m"], "clip.mp4")
    async with server, Client(server) as client, client.watch("demo") as viewer:
        await until_recording(client, True)
        await assert_plays_on(viewer, 50)
        ballast = as_server_sees(server, disk / "ballast")
        await asyncio.to_thread(fill, ballast)
        await until_recording(client, False)
        await until(
            lambda: any(f"{FULL}{words}" in server.log for words in NO_ROOM), "the sentence"
        )
        await assert_plays_on(viewer, 25)

        await asyncio.to_thread(remount, server, disk, "ro")
        await until(lambda: READ_ONLY in server.log, "the second sentence")
        await assert_plays_on(viewer, 25)
        await asyncio.to_thread(remount, server, disk, "rw")

        ballast.unlink()
        await until_recording(client, True)
        await until(lambda: AGAIN in server.log, "the third sentence")
        await assert_plays_on(viewer, 50)
        gaps = await list_all(client, "GetRecordGaps")
        assert "disk" in [gap["strCause"] for gap in gaps]
        files = await list_all(client, "Search", type="record")
        assert files
        for file in files:
            path = as_server_sees(server, disk / file["strPath"].removeprefix("/"))
            indexes = await asyncio.to_thread(decode_frame_indexes, path)
            assert len(indexes) >= 25
            assert find_skips(indexes, CLIPS["h264_2m"].frames) == []
        assert server.log.count(READ_ONLY) == 1

    server = server_on(disk, tmp_path, is_mounted=False)
    async with server, Client(server) as client, client.watch("demo") as viewer:
        await assert_plays_on(viewer, 50)
        assert (await client.source("demo"))["bRec"] is False
        assert server.log.count(AWAY) == 1
        assert (await client.call("GetRunInfo"))["strRecordState"] == "missing"
        assert await list_all(client, "Search", type="record") != []  # it is not gone, but away
    assert list(disk.iterdir()) == []
