"""What recorders cost: a hundred of them asked for their channels every 30 s, and their lists.

The recorders are a process of their own, the devices under measure are this one's.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import psutil

from h5sup.config.model import DeviceConfig
from h5sup.devices.hik.api import HikRecorder
from h5sup.devices.registry import Devices
from h5sup.events.hub import Hub
from tests.bench.measure import row
from tests.e2e.server import Server
from tests.fakes.clips import Clips
from tests.fakes.hik_recorder import FakeHik, Slot
from tests.fakes.nvr import MemoryStore

RECORDERS = 100
CHANNELS = 16
WINDOW_S = 90.0
LISTED = 200


async def devices(clips: Clips) -> None:
    """Poll many recorders, then list the channels of a large one."""
    del clips
    async with recorders(RECORDERS, CHANNELS) as found:
        all_of_them = Devices({"hik": HikRecorder}, MemoryStore(), Hub())
        began = time.perf_counter()
        await all_of_them.start(found)
        async with asyncio.timeout(60):
            while not all(one.state.is_online for one in all_of_them.devices()):
                await asyncio.sleep(0.05)
        row(
            f"{RECORDERS} recorders of {CHANNELS} channels online after a start",
            f"{time.perf_counter() - began:.1f} s",
        )
        process = psutil.Process()
        cpu = process.cpu_times()
        await asyncio.sleep(WINDOW_S)
        spent = sum(process.cpu_times()[:2]) - sum(cpu[:2])
        row("asking them every 30 s", f"{spent / WINDOW_S * 100:.2f} % of a core", "2 %")
        await all_of_them.aclose()
    async with recorders(1, LISTED) as (one,):
        await lists(one)


async def lists(recorder: DeviceConfig) -> None:
    """Ask a whole server for the channels of a large recorder."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(
            Path(folder), devices=[msgspec.to_builtins(recorder)], auth={"enabled": False}
        )
        async with server, aiohttp.ClientSession() as http:
            url = f"{server.base}/api/v1/GetDeviceSrc?token={recorder.token}"
            listed: list[object] = []
            took_s: list[float] = []
            while len(listed) < LISTED or len(took_s) < 20:
                began = time.perf_counter()
                async with http.get(url) as response:
                    listed = (await response.json()).get("src", [])
                if len(listed) == LISTED:
                    took_s.append(time.perf_counter() - began)
                await asyncio.sleep(0.05)
            took_s.sort()
            row(
                f"GetDeviceSrc of {LISTED} channels, median / worst of 20",
                f"{took_s[10] * 1000:.0f} / {took_s[-1] * 1000:.0f} ms",
                "100 ms",
            )


@asynccontextmanager
async def recorders(count: int, channels: int) -> AsyncIterator[list[DeviceConfig]]:
    """Run so many recorders in another process; return how they stand in config.json."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.devices", str(count), str(channels),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**22,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        yield msgspec.json.decode(await child.stdout.readline(), type=list[DeviceConfig])
    finally:
        child.stdin.close()
        await child.wait()


async def serve(count: int, channels: int) -> None:
    """Be the recorders until standard input ends."""
    slots = [Slot(number, f"Camera {number}") for number in range(1, channels + 1)]
    async with AsyncExitStack() as stack:
        found = [await stack.enter_async_context(FakeHik(ip=slots)) for _ in range(count)]
        configs = [one.config(token=f"nvr{number}") for number, one in enumerate(found)]
        sys.stdout.write(msgspec.json.encode(configs).decode() + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
