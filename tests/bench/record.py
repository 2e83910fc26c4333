"""What recording costs, and whether every picture is kept when many sources are recorded."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.bench.measure import cpu_s, row
from tests.e2e.client import Client
from tests.e2e.server import Server, until
from tests.fakes.clips import CLIPS, Clips, decode_frame_indexes

SOURCES = 16
TOKENS = [f"cam{number}" for number in range(SOURCES)]
ROUNDS = 5
WINDOW_S = 8.0
FPS = 25
CLIP = "h264_1080"  # 4 Mbit/s
FRAMES = CLIPS[CLIP].frames


async def record(clips: Clips) -> None:
    """Sixteen sources, now recorded and now not: so what else runs here counts for both."""
    with TemporaryDirectory() as folder:
        server = server_of(clips, Path(folder))
        async with server, Client(server) as client:
            await until(partial(has_all, server), "all ffmpegs")
            await client.until_online(*TOKENS)
            rounds = [await compare(server, client) for _ in range(ROUNDS)]
            metrics = (await client.get("/metrics"))[1].decode()
        await asyncio.to_thread(tell_pictures, Path(folder), metrics)
    scale = 60 / WINDOW_S / SOURCES
    added = median(recorded - idle for idle, recorded in rounds) * scale
    row("recording a 4 Mbit/s source, manager", f"{added:.3f} CPU-s per minute", "0.2")
    idle = median(idle for idle, _ in rounds) * scale
    row("the same source while it is not recorded", f"{idle:.3f} CPU-s per minute")


def server_of(clips: Clips, folder: Path) -> Server:
    """Return a server with sixteen sources that nobody watches."""
    sources = [{"token": token, "type": "file", "url": "clip.mp4"} for token in TOKENS]
    recording = {"keep_free_bytes": 0}
    server = Server(folder, sources=sources, auth={"enabled": False}, recording=recording)
    server.add_media(clips[CLIP], "clip.mp4")
    return server


async def compare(server: Server, client: Client) -> tuple[float, float]:
    """Return the processor time of a window without recordings, and of one with them."""
    idle = await spent_s(server)
    for token in TOKENS:
        await client.call("ManualRecordStart", token=token)
    recorded = await spent_s(server)
    for token in TOKENS:
        await client.call("ManualRecordStop", token=token)
    return idle, recorded


async def spent_s(server: Server) -> float:
    """Return the processor time that the manager takes in a window."""
    await asyncio.sleep(1.0)
    before = cpu_s(server.pid)
    await asyncio.sleep(WINDOW_S)
    return cpu_s(server.pid) - before


def has_all(server: Server) -> bool:
    """Return whether all sources run."""
    return len(server.ffmpegs()) == SOURCES


def tell_pictures(folder: Path, metrics: str) -> None:
    """Decode all that was recorded: each picture carries its number."""
    pictures = missing = size = 0
    for file in (folder / "mediastore" / "record").rglob("*.mp4"):
        shown = decode_frame_indexes(file)
        pictures += len(shown)
        missing += sum((after - before - 1) % FRAMES for before, after in pairwise(shown))
        size += file.stat().st_size
    dropped = sum(
        float(line.split()[-1])
        for line in metrics.splitlines()
        if line.startswith("h5sup_recording_gops_dropped_total")
    )
    mbit = size * 8 * FPS / pictures / 1e6
    figure = f"{pictures} pictures, {missing} missing, {dropped:.0f} GOPs dropped"
    row(f"{SOURCES} recordings at once, {mbit:.1f} Mbit/s each", figure, "0 missing")
