"""Archives of a recorder's channel by the API, and a server that ends while it fetches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.e2e.client import Client
from tests.e2e.server import Server, until
from tests.fakes.clips import Clips, decode_frame_indexes
from tests.fakes.hik_recorder import FakeHik, Recorded, Slot, rtsp_paths
from tests.fakes.rtsp_camera import RtspCamera

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
BEGIN = DAY.replace(hour=10)  # shows the clip's first picture
GOP = 25  # one a second
TOKEN = "nvr--1"
ANEW = "h5sup was started anew before it was finished: ask for it again"
STOPPED = "h5sup was stopped before it was finished: ask for it again"
USERS: list[dict[str, Any]] = [
    {"name": "admin", "password": "a strong one", "role": "Administrator"},
    {"name": "olga", "password": "operate it", "role": "Operator", "sources": ["nvr--2"]},
    {"name": "vera", "password": "just look", "role": "Viewer"},
]


@asynccontextmanager
async def house(clips: Clips, folder: Path) -> AsyncIterator[Server]:
    """Give a server that is not started, and its recorder with an hour of the day before."""
    hik = FakeHik(ip=[Slot(1, "Till")], streams=[101, 102])
    wall = BEGIN.replace(tzinfo=None) + timedelta(hours=8)  # its clock is that of Shanghai
    hik.recordings[101] = [Recorded(wall, wall + timedelta(hours=1))]
    paths = rtsp_paths([1], "h264_aac", "h264_mute")
    async with (
        RtspCamera(clips, [], user=hik.user, password=hik.password, **paths) as rtsp,
        hik,
    ):
        yield Server(
            folder,
            auth={"users": USERS},
            devices=[msgspec.to_builtins(hik.config(rtsp_port=rtsp.port))],
        )


def moment(second: int, duration: int) -> dict[str, str]:
    at = BEGIN + timedelta(seconds=second)
    return {
        "token": TOKEN, "start1": f"{at:%Y-%m-%d}", "start2": f"{at:%H-%M-%S}", "tz": "0",
        "duration": str(duration),
    }  # fmt: skip


async def until_listed(client: Client) -> None:
    async with asyncio.timeout(20):
        while not (await client.call("GetDeviceSrc", token="nvr"))["src"]:
            await asyncio.sleep(0.05)


def hidden(server: Server) -> list[Path]:
    return list((server.folder / "mediastore" / "archive").rglob(".*.part"))


async def begin_long(server: Server, client: Client) -> str:
    """Begin to fetch a minute; return the archive's name once something of it is there."""
    filename: str = (await client.call("Archive", **moment(0, 60)))["strFileName"]
    await until(lambda: any(one.stat().st_size for one in hidden(server)), "the first GOP")
    return filename


async def status_of(client: Client, filename: str) -> str:
    status, body = await client.get("/api/v1/GetArchiveStatus", token=TOKEN, filename=filename)
    del status
    said: str = msgspec.json.decode(body)["strCode"]
    return said


async def test_what_a_recorder_has_becomes_one_file(clips: Clips, tmp_path: Path) -> None:
    async with (
        house(clips, tmp_path) as server,
        server,
        Client(server, password="a strong one") as client,
        Client(server, "olga", "operate it") as olga,
        Client(server, "vera", "just look") as vera,
    ):
        await until_listed(client)
        for other in (olga, vera):  # one may see no such channel, the other may only look
            status, body = await other.get("/api/v1/Archive", **moment(3, 3))
            assert status == 200
            assert msgspec.json.decode(body)["bStatus"] is False

        begun = await client.call("Archive", **moment(3, 3))
        assert begun["strCode"] == "Archive successfully"
        filename, url = begun["strFileName"], begun["strUrl"]
        assert filename.startswith(f"{TOKEN}-")
        assert url == f"/mediastore/archive/{TOKEN}/{DAY:%Y-%m-%d}TZ00/10-00-03/{filename}"
        seen: list[int] = []
        async with asyncio.timeout(30):
            while not seen or seen[-1] < 100:
                told = await client.call("GetArchiveStatus", token=TOKEN, filename=filename)
                seen.append(told["nPercentage"])
                await asyncio.sleep(0.05)
        assert seen == sorted(seen)
        assert any(10 < one < 90 for one in seen)

        status, data = await client.get(url)
        assert status == 200
        (tmp_path / "kept.mp4").write_bytes(data)
        shown = await asyncio.to_thread(decode_frame_indexes, tmp_path / "kept.mp4")
        assert shown == list(range(3 * GOP, 6 * GOP))
        assert (await olga.get(url))[0] == 404
        assert (await vera.get(url))[0] == 200
        assert hidden(server) == []
        found = await client.call(
            "SearchByFilename", type="archive", token=TOKEN, filename=filename
        )
        assert [(one["strPath"], one["strDuration"]) for one in found["record"]] == [(url, "3")]


async def test_a_server_that_ends_while_it_fetches_leaves_nothing(
    clips: Clips, tmp_path: Path
) -> None:
    async with house(clips, tmp_path) as server, server:
        async with Client(server, password="a strong one") as client:
            await until_listed(client)
            killed = await begin_long(server, client)
        await server.kill()
        await until(lambda: not server.children(), "its ffmpeg ends with it")
        assert hidden(server)
        await server.start()
        await until(lambda: not hidden(server), "the sweep")
        async with Client(server, password="a strong one") as client:
            assert await status_of(client, killed) == ANEW
            await until_listed(client)
            stopped = await begin_long(server, client)
        began = asyncio.get_running_loop().time()
        await server.stop()  # no process is left
        assert asyncio.get_running_loop().time() - began < 10
        kept = (tmp_path / "mediastore" / "archive").rglob("*")
        assert [one for one in kept if one.is_file()] == []
        await server.start()
        async with Client(server, password="a strong one") as client:
            assert await status_of(client, stopped) == STOPPED
            assert await status_of(client, killed) == ANEW
