"""What playing a recorder's recordings costs, by way of the relay and by ffmpeg alone."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

import aiohttp
import msgspec
import psutil

from tests.bench.measure import cpu_s, row
from tests.e2e.server import Server
from tests.fakes.clips import Clips
from tests.fakes.hik_recorder import FakeHik, Recorded, Slot
from tests.fakes.rtsp_recorder import NOON, RtspRecorder
from tests.fakes.web_recorder import PASSWORD, USER

VIEWERS = 8
WINDOW_S = 10.0
SEEKS = 12
NEAR_S = 3.0


async def device_playback(clips: Clips) -> None:
    """Some at once, and one that seeks, each both ways."""
    for knows_relay, way in ((True, "the relay"), (False, "ffmpeg alone")):
        async with RtspRecorder(clips["h264_2m_mute"], USER, PASSWORD) as recorder:
            recorder.ways.knows_relay = knows_relay
            begin = (NOON + recorder.ways.zone).replace(tzinfo=None)
            async with FakeHik(ip=[Slot(1, "Gate")], rtsp_port=recorder.port) as fake:
                fake.recordings[101] = [Recorded(begin, begin + timedelta(hours=1))]
                with tempfile.TemporaryDirectory() as folder:
                    device = msgspec.to_builtins(fake.config(user=USER, password=PASSWORD))
                    server = Server(Path(folder), devices=[device], auth={"enabled": False})
                    async with server, aiohttp.ClientSession() as session:
                        await asyncio.sleep(3)
                        await _crowd(server, session, way)
                        await _seeks(server, session, way)


async def _crowd(server: Server, session: aiohttp.ClientSession, way: str) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        taken = [0] * VIEWERS
        running = [
            tasks.create_task(_take(server, session, taken, number)) for number in range(VIEWERS)
        ]
        await asyncio.sleep(6)
        cpu, before, began = cpu_s(server.pid), sum(taken), loop.time()
        readers = [one for one in server.children() if one.name() == "ffmpeg"]
        read = sum(map(_own_s, readers))
        await asyncio.sleep(WINDOW_S)
        spent, passed = cpu_s(server.pid) - cpu, loop.time() - began
        read = sum(map(_own_s, readers)) - read
        mbit = (sum(taken) - before) * 8 / VIEWERS / passed / 1e6
        for one in running:
            one.cancel()
    each, ffmpeg = (cpu_time * 1000 / VIEWERS / passed for cpu_time in (spent, read))
    row(f"{VIEWERS} playbacks of a recorder's 720p25, {mbit:.1f} Mbit/s, read by {way}: "
        "h5sup / ffmpeg", f"{each:.2f} / {ffmpeg:.2f} CPU-ms/viewer-s")  # fmt: skip


def _own_s(process: psutil.Process) -> float:
    return cpu_s(process.pid)


async def _take(
    server: Server, session: aiohttp.ClientSession, taken: list[int], number: int
) -> None:
    async with _open(server, session) as socket:
        await socket.send_json({"cmd": "H5_START"})
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                taken[number] += len(message.data)


async def _seeks(server: Server, session: aiohttp.ClientSession, way: str) -> None:
    """Jump every two seconds; what it has ahead is shown first."""
    loop = asyncio.get_running_loop()
    took: list[float] = []
    async with _open(server, session) as socket:
        await socket.send_json({"cmd": "H5_START"})
        for turn in range(SEEKS):
            until = loop.time() + 2.0
            while loop.time() < until:
                await socket.receive(timeout=10)
            target_s = 100.0 + (turn * 37) % 61 * 10
            began, has_landed = loop.time(), False
            await socket.send_json({"cmd": "H5_SEEK", "nSeekTime": target_s})
            while True:
                message = await socket.receive(timeout=10)
                if message.type is aiohttp.WSMsgType.TEXT:
                    has_landed = has_landed or _is_near(message.data, target_s)
                elif message.type is aiohttp.WSMsgType.BINARY and has_landed:
                    break
            took.append(loop.time() - began)
    figure = f"{median(took) * 1000:.0f} / {max(took) * 1000:.0f} ms"
    row(f"a seek to its key picture at the client, read by {way}, of {SEEKS}", figure, "500")


def _is_near(text: str, target_s: float) -> bool:
    told = json.loads(text).get("pbTime", {}).get("strTime")
    if told is None:
        return False
    return abs((datetime.fromisoformat(told) - NOON).total_seconds() - target_s) < NEAR_S


@asynccontextmanager
async def _open(
    server: Server, session: aiohttp.ClientSession
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    query = {
        "token": "nvr--1",
        "playback": "true",
        "serverpb": "false",
        "begintime": NOON.isoformat(),
        "endtime": (NOON + timedelta(hours=1)).isoformat(),
    }
    url = server.base + "/api/v1/h5swsapi"
    async with session.ws_connect(url, params=query, max_msg_size=0) as socket:
        await socket.receive(timeout=10)
        json.loads((await socket.receive(timeout=10)).data)
        yield socket
