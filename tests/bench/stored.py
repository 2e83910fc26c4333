"""What it costs to keep pictures, and to fetch what was kept."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

import aiohttp
from aiohttp import WSMsgType

from h5sup.base.clock import to_us
from h5sup.store.media_index import MediaIndex
from tests.bench.measure import cpu_s, row
from tests.e2e.server import Server, until
from tests.fakes.clips import Clips
from tests.fakes.kept import SECOND_US, write_recording
from tests.fakes.mediastore import Mediastore
from tests.fakes.recordings import Scene

BEGIN = datetime(2026, 11, 24, 8, tzinfo=UTC)
DAY = timedelta(days=1)
PICTURES = 10
FILE_S = 300
DOWNLOADS = 5


async def stored(clips: Clips) -> None:
    """Run all of it."""
    for clip in ("h264_2m", "h264_1080"):
        await snapshots(clips, clip)
    for clip in ("h264_1080", "h264_gop10"):
        await playback_snapshots(clips, clip)
    await fetching(clips)


async def snapshots(clips: Clips, clip: str) -> None:
    """From the call to the answer, each of another key frame."""
    with tempfile.TemporaryDirectory() as folder:
        source = {"token": "cam", "type": "file", "url": "clip.mp4"}
        server = Server(Path(folder), sources=[source], auth={"enabled": False})
        server.add_media(clips[clip], "clip.mp4")
        async with server, aiohttp.ClientSession() as http:
            await until(server.ffmpegs, "an ffmpeg")
            await asyncio.sleep(3)

            async def take() -> None:
                await call(http, server, "Snapshot?token=cam")
                await asyncio.sleep(1.1)

            took = await timed_calls(take, less_s=1.1)
    row(f"Snapshot, {clip}, median / worst of {PICTURES}", spread(took), "300 ms")


async def playback_snapshots(clips: Clips, clip: str) -> None:
    """The same of a playback that stands anywhere."""
    random = Random(5)
    with tempfile.TemporaryDirectory() as folder:
        store = Mediastore(Path(folder))
        file = await asyncio.to_thread(store.record, clips[clip], BEGIN, token="cam")
        await store.close()
        length_s = (file.end_us - file.start_us) / SECOND_US
        source = {"token": "cam", "type": "file", "url": "none.mp4", "connect": "ondemand"}
        server = Server(Path(folder), sources=[source], auth={"enabled": False})
        async with server, aiohttp.ClientSession() as http:
            query = "token=cam&playback=true&serverpb=true&begintime=0&endtime=0"
            address = f"{server.base}/api/v1/h5swsapi?{query}&filename={file.filename}"
            async with http.ws_connect(address) as socket:
                secret = await session_of(socket)
                await socket.send_json({"cmd": "H5_START"})
                await socket.send_json({"cmd": "H5_PAUSE"})
                took: list[float] = []
                for _ in range(PICTURES):
                    at_s = random.uniform(0, length_s - 0.1)
                    await socket.send_json({"cmd": "H5_SEEK", "nSeekTime": at_s})
                    await drain(socket, 0.7)
                    began = perf_counter()
                    await call(http, server, f"PbSnapshot?token=cam&pbsession={secret}")
                    took.append((perf_counter() - began) * 1000)
    row(f"PbSnapshot, {clip}, median / worst of {PICTURES}", spread(took), "300 ms")


async def fetching(clips: Clips) -> None:
    """A long file, a day's playlist and a day's search."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        store = Mediastore(home)
        await asyncio.to_thread(store.record, clips["h264_1080"], BEGIN - DAY, 40, token="long")
        await store.close()
        await keep_day(home)
        async with (
            Server(home, auth={"enabled": False}) as server,
            aiohttp.ClientSession() as http,
        ):
            await download(http, server)
            begin, end = (one.isoformat().replace("+", "%2B") for one in (BEGIN, BEGIN + DAY))
            span = f"start={begin}&end={end}"
            for what, path in (
                ("Search of a day of 288 files", f"/api/v1/Search?token=day&type=record&{span}"),
                ("GetRecordCalendar", "/api/v1/GetRecordCalendar?token=day&year=2026&month=11"),
                ("playlist of a day of 288 files", f"/api/v1/playback/day.m3u8?{span}"),
            ):
                sizes: list[int] = []

                async def ask(path: str = path, sizes: list[int] = sizes) -> None:
                    async with http.get(server.base + path) as response:
                        assert response.status == 200
                        sizes.append(len(await response.read()))

                took = await timed_calls(ask)
                row(
                    f"{what}, {sizes[0] / 1000:.0f} kB, median / worst of {PICTURES}", spread(took)
                )


async def keep_day(home: Path) -> None:
    """Record a day of `day` in files of five minutes."""
    index = MediaIndex(home / "data")
    await index.open()
    for number in range(DAY // timedelta(seconds=FILE_S)):
        begin_us = to_us(BEGIN) + number * FILE_S * SECOND_US
        scene = Scene(audio=False, picture_bytes=30)
        gops = [(begin_us + gop * 2 * SECOND_US, scene.gop(50)) for gop in range(FILE_S // 2)]
        file = await asyncio.to_thread(
            write_recording, home / "mediastore", "day", scene.init, gops
        )
        await index.add(file)
    await index.close()


async def download(http: aiohttp.ClientSession, server: Server) -> None:
    """Fetch a long file some times."""
    found = await call(http, server, "SearchByFilename?token=long&type=record&filename=long-1")
    url = server.base + found["record"][0]["strPath"]
    cpu, began, taken = cpu_s(server.pid), perf_counter(), 0
    for _ in range(DOWNLOADS):
        async with http.get(url) as response:
            async for piece in response.content.iter_any():
                taken += len(piece)
    took_s, spent_s = perf_counter() - began, cpu_s(server.pid) - cpu
    row(
        f"{DOWNLOADS} times a file of {taken / DOWNLOADS / 1e6:.0f} MB by one reader",
        f"{taken / took_s / 1e6:.0f} MB/s, {spent_s / taken * 1e9:.2f} CPU-s per GB",
    )


async def call(http: aiohttp.ClientSession, server: Server, query: str) -> Any:
    """Return the answer to a call that must work."""
    async with http.get(f"{server.base}/api/v1/{query}") as response:
        answer = await response.json()
    assert answer.get("bStatus", True), answer
    return answer


async def session_of(socket: aiohttp.ClientWebSocketResponse) -> str:
    """Return the name by which PbSnapshot finds a playback."""
    while True:
        message = await socket.receive(timeout=10)
        if message.type is WSMsgType.TEXT and "PB_SESSION" in message.data:
            return str(message.json()["strPbSession"])


async def drain(socket: aiohttp.ClientWebSocketResponse, seconds: float) -> None:
    """Take what comes for so long."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                await socket.receive()
    except TimeoutError:
        pass


async def timed_calls(ask: Callable[[], Awaitable[None]], *, less_s: float = 0.0) -> list[float]:
    """Return how long each of some turns took, in milliseconds."""
    took = []
    for _ in range(PICTURES):
        began = perf_counter()
        await ask()
        took.append((perf_counter() - began - less_s) * 1000)
    return took


def spread(took_ms: list[float]) -> str:
    """Return the median and the worst."""
    return f"{median(took_ms):.0f} / {max(took_ms):.0f} ms"
