"""What a playback over WebSocket costs, and how soon a seek shows its picture."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import aiohttp

from h5sup.formats.isobmff.fragment import parse_fragment
from h5sup.formats.isobmff.init_segment import InitSegment, parse_init
from tests.bench.measure import cpu_s, row
from tests.e2e.server import Server
from tests.fakes.clips import Clips
from tests.fakes.mediastore import Mediastore

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
VIEWERS = 20
WINDOW_S = 10.0
SEEKS = 20
SOUGHT = ("h264_aac", "h264_gop10", "hevc_aac")
LASTS_S = 0.02  # a picture that is there to be seen


async def ws_playback(clips: Clips) -> None:
    """Many at once at speed 1 and 16, and one that seeks."""
    with tempfile.TemporaryDirectory() as folder:
        mediastore = Mediastore(Path(folder))
        await asyncio.to_thread(mediastore.record, clips["h264_2m"], NOON, 60)
        for name in SOUGHT:
            await asyncio.to_thread(mediastore.record, clips[name], NOON, 4, token=name)
        await mediastore.close()
        async with (
            Server(Path(folder), auth={"enabled": False}) as server,
            aiohttp.ClientSession() as session,
        ):
            await asyncio.sleep(2)
            for speed in (1, 16):
                await _crowd(server, session, speed)
            for name in SOUGHT:
                await _seeks(server, session, name)


async def _crowd(server: Server, session: aiohttp.ClientSession, speed: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        taken = [0] * VIEWERS
        running = [
            tasks.create_task(_take(server, session, speed, taken, number))
            for number in range(VIEWERS)
        ]
        await asyncio.sleep(4)
        cpu, before = cpu_s(server.pid), sum(taken)
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(WINDOW_S)
        spent, passed = cpu_s(server.pid) - cpu, asyncio.get_running_loop().time() - began
        mbit = (sum(taken) - before) * 8 / VIEWERS / passed / 1e6
        for one in running:
            one.cancel()
    each = spent * 1000 / VIEWERS / passed
    row(f"WebSocket, {VIEWERS} playbacks of 720p25 2 Mbit/s, speed {speed}, {mbit:.1f} Mbit/s",
        f"{each:.2f} CPU-ms/viewer-s")  # fmt: skip


async def _take(
    server: Server, session: aiohttp.ClientSession, speed: int, taken: list[int], number: int
) -> None:
    async with _open(server, session, "front", 480) as socket:
        await socket.send_json({"cmd": "H5_SPEED", "nSpeed": speed})
        await socket.send_json({"cmd": "H5_START"})
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                taken[number] += len(message.data)


class Landing:
    """Notices the picture that was sought: the first that lasts after some that do not."""

    def __init__(self) -> None:
        self._init: InitSegment | None = None
        self._began = 0.0
        self._has_squeezed = False
        self.is_awaited = False
        self.took: list[float] = []

    def begin(self, now: float) -> None:
        self._began, self._has_squeezed, self.is_awaited = now, False, True

    def take(self, data: bytes, now: float) -> None:
        if data[4:8] == b"ftyp":
            self._init = parse_init(data)
        if data[4:8] != b"moof" or self._init is None or not self.is_awaited:
            return
        run = parse_fragment(data, self._init).video
        if run is None:
            return
        for sample in run.samples:
            lasts = sample.duration / run.track.timescale > LASTS_S
            if lasts and self._has_squeezed and self.is_awaited:
                self.is_awaited = False
                self.took.append(now - self._began)
            self._has_squeezed = self._has_squeezed or not lasts


async def _seeks(server: Server, session: aiohttp.ClientSession, name: str) -> None:
    loop = asyncio.get_running_loop()
    landing = Landing()
    async with _open(server, session, name, 32) as socket:
        await socket.send_json({"cmd": "H5_START"})
        until = loop.time() + 1.0
        for turn in range(SEEKS):
            while loop.time() < until or landing.is_awaited:
                message = await socket.receive(timeout=10)
                if message.type is aiohttp.WSMsgType.BINARY:
                    landing.take(message.data, loop.time())
            until = loop.time() + 0.4
            landing.begin(loop.time())
            await socket.send_json({"cmd": "H5_SEEK", "nSeekTime": 1.75 + (turn * 7) % 29})
    took = landing.took
    row(f"H5_SEEK to its picture at the client, {name}, median and longest of {len(took)}",
        f"{median(took) * 1000:.0f} / {max(took) * 1000:.0f} ms", "500")  # fmt: skip


@asynccontextmanager
async def _open(
    server: Server, session: aiohttp.ClientSession, token: str, seconds: float
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    query = {
        "token": token,
        "playback": "true",
        "serverpb": "true",
        "begintime": NOON.isoformat(),
        "endtime": (NOON + timedelta(seconds=seconds)).isoformat(),
    }
    url = server.base + "/api/v1/h5swsapi"
    async with session.ws_connect(url, params=query, max_msg_size=0) as socket:
        await socket.receive(timeout=10)
        json.loads((await socket.receive(timeout=10)).data)
        yield socket
