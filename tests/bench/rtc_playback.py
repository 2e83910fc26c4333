"""What a playback over WebRTC costs: read, laid on a timeline, cut into packets, encrypted."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import aiohttp

from h5sup.base.clock import from_us
from tests.bench.measure import cpu_s, row
from tests.e2e.server import Server, free_port
from tests.fakes.clips import CLIPS, Clips
from tests.fakes.mediastore import put_recording
from tests.fakes.playback_client import PlaybackClient
from tests.fakes.rtc_client import count_dropped

WINDOW_S = 12.0
LONG = replace(CLIPS["h264_2m_mute"], duration_s=40)  # longer than it is watched


async def rtc_playback(clips: Clips) -> None:
    """One viewer and many, each with a playback of its own."""
    clip = clips.make(LONG, "h264_2m_long")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        file = await put_recording(clip, "ffmpeg", home, "cam")
        begin, end = (
            from_us(at).isoformat().replace("+", "%2B") for at in (file.start_us, file.end_us)
        )
        query = f"token=cam&audio=false&begintime={begin}&endtime={end}"
        for count in (1, 30):
            server = Server(home, auth={"enabled": False}, rtc={"port": free_port()})
            async with server:
                each, rate = await _measure(server, query, count)
            what = f"{count} playbacks" if count > 1 else "one playback"
            figure = f"{each:.2f} CPU-ms/viewer-s, {rate:.0f} packets/s"
            row(f"WebRTC, {what} of 720p25 2 Mbit/s", figure)


async def _measure(server: Server, query: str, count: int) -> tuple[float, float]:
    """Return CPU-ms per viewer-second, and packets a second to each."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        clients = [
            await stack.enter_async_context(
                PlaybackClient(server.base, query, http=http, sound=False, counts=True)
            )
            for _ in range(count)
        ]
        for client in clients:
            await client.command("H5_START")
        await asyncio.sleep(3)
        loop = asyncio.get_running_loop()
        dropped, cpu, began = count_dropped(list(clients)), cpu_s(server.pid), loop.time()
        await asyncio.sleep(WINDOW_S)
        spent, passed = cpu_s(server.pid) - cpu, loop.time() - began
        after = count_dropped(list(clients))
        packets = sum(after[port] - dropped.get(port, 0) for port in after)
        return spent * 1000 / (count * passed), packets / count / passed
