"""What recording costs, and whether every picture is kept when many sources are recorded."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.measure import cpu_s, row
from tests.e2e.client import Client
from tests.e2e.server import Server, until
from tests.fakes.clips import CLIPS, Clips, decode_frame_indexes

SOURCES = 16
WINDOW_S = 30.0
FPS = 25
CLIP = "h264_1080"  # 4 Mbit/s
FRAMES = CLIPS[CLIP].frames
SEGMENT_S = 10


async def record(clips: Clips) -> None:
    """Sixteen sources, not recorded and then recorded."""
    spent = {}
    for mode in ("off", "always"):
        with TemporaryDirectory() as folder:
            spent[mode] = await run(clips, Path(folder), mode)
    each_s = (spent["always"] - spent["off"]) / SOURCES / WINDOW_S * 60
    row("recording a 4 Mbit/s source", f"{each_s:.3f} CPU-s per minute", "0.2")
    off = spent["off"] / SOURCES / WINDOW_S * 60
    row("the same source before, not recorded", f"{off:.3f} CPU-s per minute")


async def run(clips: Clips, folder: Path, mode: str) -> float:
    """Return the processor time of a window."""
    sources = [
        {"token": f"cam{number}", "type": "file", "url": "clip.mp4", "record": mode}
        for number in range(SOURCES)
    ]
    recording = {"segment_s": SEGMENT_S, "keep_free_bytes": 0}
    server = Server(folder, sources=sources, auth={"enabled": False}, recording=recording)
    server.add_media(clips[CLIP], "clip.mp4")
    async with server, Client(server) as client:
        await until(partial(has_all, server), "all ffmpegs")
        await asyncio.sleep(6)
        before = cpu_s(server.pid)
        await asyncio.sleep(WINDOW_S)
        spent = cpu_s(server.pid) - before
        metrics = (await client.get("/metrics"))[1].decode() if mode == "always" else ""
    if mode == "always":
        await asyncio.to_thread(tell, folder, metrics)
    return spent


def has_all(server: Server) -> bool:
    """Return whether all sources run."""
    return len(server.ffmpegs()) == SOURCES


def tell(folder: Path, metrics: str) -> None:
    """Decode all that was recorded: each picture carries its number."""
    pictures = missing = size = 0
    root = folder / "mediastore" / "record"
    for source in sorted(root.iterdir()):
        files = sorted(source.rglob("*.mp4"), key=lambda one: one.stat().st_mtime)
        together = source / "all.ffconcat"
        lines = [f"file '{one.relative_to(source)}'\n" for one in files]
        together.write_text("ffconcat version 1.0\n" + "".join(lines))
        shown = decode_frame_indexes(together)
        pictures += len(shown)
        missing += sum((after - before - 1) % FRAMES for before, after in pairwise(shown))
        size += sum(one.stat().st_size for one in files)
    dropped = sum(
        float(line.split()[-1])
        for line in metrics.splitlines()
        if line.startswith("h5sup_recording_gops_dropped_total")
    )
    row(f"{SOURCES} recordings at once, {size * 8 * FPS / pictures / 1e6:.1f} Mbit/s each",
        f"{pictures} pictures, {missing} missing, {dropped:.0f} GOPs dropped")  # fmt: skip
