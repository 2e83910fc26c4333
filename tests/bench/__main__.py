"""Print what h5sup costs: `python -m tests.bench [part ...]`, parts as in PARTS, or all.

CPU is the manager's own, user and system, in nanoseconds from /proc/<pid>/schedstat.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from shutil import which
from statistics import median

import psutil
from playwright.async_api import Page

from tests.bench.crowd import crowded
from tests.bench.device_playback import device_playback
from tests.bench.devices import devices
from tests.bench.index import index
from tests.bench.llhls import llhls
from tests.bench.measure import CACHE, cpu_s, in_chromium, row, server_of
from tests.bench.onvif import onvif
from tests.bench.record import record
from tests.bench.rest import rest
from tests.bench.rtc import rtc
from tests.bench.rtc_playback import rtc_playback
from tests.bench.stored import stored
from tests.bench.ws_playback import ws_playback
from tests.e2e.screen import behind_s, watch
from tests.e2e.server import Server, until
from tests.fakes.clips import CLIPS, Clips

WINDOW_S = 12.0
VIEWERS = 200


class Counter(asyncio.Protocol):
    """A viewer that takes everything and looks at nothing."""

    def __init__(self, port: int, token: str) -> None:
        self.taken = 0
        self._request = (
            f"GET /api/v1/h5swsapi?token={token} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self._request.encode())

    def data_received(self, data: bytes) -> None:
        self.taken += len(data)


def has_ffmpegs(server: Server, count: int) -> bool:
    """Return whether so many sources run."""
    return len(server.ffmpegs()) == count


def bare_limit(viewers: int, frame_bytes: int, fps: int, seconds: float) -> float:
    """Return CPU-ms per viewer-second of a loop that only writes ready frames to sockets."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=viewers)
    address = listener.getsockname()
    far, near = [], []
    for _ in range(viewers):
        far.append(socket.create_connection(address))
        near.append(listener.accept()[0])
    stop = threading.Event()
    frame = bytes(frame_bytes)

    def drain() -> None:
        import selectors

        selector = selectors.DefaultSelector()
        for one in far:
            selector.register(one, selectors.EVENT_READ)
        while not stop.is_set():
            for key, _ in selector.select(0.1):
                os.read(key.fd, 262_144)

    pid = os.fork()
    if pid == 0:  # the reader is a process of its own, so that only writing is measured
        drain_forever = threading.Thread(target=drain)
        drain_forever.start()
        time.sleep(seconds + 2)
        os._exit(0)
    began, cpu = time.monotonic(), time.process_time()
    for turn in range(int(seconds * fps)):
        for one in near:
            os.write(one.fileno(), frame)
        time.sleep(max(0.0, began + (turn + 1) / fps - time.monotonic()))
    spent = time.process_time() - cpu
    os.waitpid(pid, 0)
    for one in (*far, *near, listener):
        one.close()
    return spent * 1000 / (viewers * seconds)


async def fanout(clips: Clips) -> None:
    """Many viewers that joined at different times."""
    with tempfile.TemporaryDirectory() as folder:
        async with server_of(clips, Path(folder)) as server:
            await until(server.ffmpegs, "an ffmpeg")
            await asyncio.sleep(3)
            port = int(server.base.rsplit(":", 1)[1])
            loop = asyncio.get_running_loop()
            counters: list[Counter] = []
            transports = []
            for _ in range(VIEWERS):
                transport, counter = await loop.create_connection(
                    lambda: Counter(port, "cam0"), "127.0.0.1", port
                )
                transports.append(transport)
                counters.append(counter)
                await asyncio.sleep(0.025)
            await asyncio.sleep(2)
            cpu, taken = cpu_s(server.pid), sum(one.taken for one in counters)
            began = loop.time()
            await asyncio.sleep(WINDOW_S)
            spent, passed = cpu_s(server.pid) - cpu, loop.time() - began
            taken = sum(one.taken for one in counters) - taken
            memory = psutil.Process(server.pid).memory_full_info()
            for transport in transports:
                transport.close()
    each = spent * 1000 / (VIEWERS * passed)
    frame_bytes = int(taken / VIEWERS / passed / 25)
    bare = await asyncio.to_thread(bare_limit, VIEWERS, frame_bytes, 25, 8.0)
    mbit = taken * 8 / VIEWERS / passed / 1e6
    row(f"WebSocket, {VIEWERS} viewers, {mbit:.2f} Mbit/s", f"{each:.3f} CPU-ms/viewer-s", "0.38")
    row("bare os.write loop, same sizes", f"{bare:.3f} CPU-ms/viewer-s")
    row("ratio to the bare loop", f"{each / bare:.2f}", "1.5")
    row(f"manager's RSS / PSS at {VIEWERS} viewers",
        f"{memory.rss / 2**20:.0f} / {memory.pss / 2**20:.0f} MiB", "120")  # fmt: skip


async def fixed(clips: Clips) -> None:
    """What a source costs while nobody watches."""
    for ring, target in ((8_000_000, "1"), (0, "0.4")):
        spent: dict[int, float] = {}
        ffmpeg_cpu = ffmpeg_pss = 0.0
        for count in (1, 5):
            with tempfile.TemporaryDirectory() as folder:
                limits = {"ring_bytes": ring}
                async with server_of(clips, Path(folder), count, limits=limits) as server:
                    await until(partial(has_ffmpegs, server, count), "all ffmpegs")
                    await asyncio.sleep(4)
                    pids = server.ffmpegs()
                    cpu, children = cpu_s(server.pid), sum(map(cpu_s, pids))
                    await asyncio.sleep(WINDOW_S)
                    spent[count] = (cpu_s(server.pid) - cpu) / WINDOW_S * 100
                    ffmpeg_cpu = (sum(map(cpu_s, pids)) - children) / WINDOW_S * 100 / count
                    ffmpeg_pss = sum(
                        psutil.Process(pid).memory_full_info().pss for pid in pids
                    ) / count / 2**20  # fmt: skip
        each = (spent[5] - spent[1]) / 4
        name = "with" if ring else "without"
        row(f"manager per source, {name} packet ring", f"{each:.2f} % of a core", target)
        row(f"manager with one source, {name} ring", f"{spent[1]:.2f} % of a core")
        row("its ffmpeg", f"{ffmpeg_cpu:.2f} % of a core, {ffmpeg_pss:.0f} MiB PSS")


FIRST = """async () => {
  document.body.replaceChildren();
  const video = document.createElement('video');
  video.muted = true; video.playsInline = true; video.id = 'bench';
  document.body.append(video);
  const began = performance.now();
  const player = new H5sPlayerWS({videodom: video, token: 'front', protocol: location.protocol,
    host: location.host, rootpath: '/'});
  const shown = new Promise((resolve) => video.requestVideoFrameCallback(
    () => resolve(performance.now() - began)));
  player.connect();
  const took = await shown;
  player.disconnect();
  return took;
}"""


async def join(clips: Clips) -> None:
    """From connect() to the first picture on screen."""
    for mount in ("h264_aac", "h264_gop10"):
        took: list[float] = []

        async def work(page: Page, server: Server, took: list[float] = took) -> None:
            del server
            for _ in range(10):
                took.append(await page.evaluate(FIRST))
                await asyncio.sleep(0.7)

        await in_chromium(clips, mount, work, "/ws.html")
        spread = f"{min(took):.0f} to {max(took):.0f}"
        row(f"first picture, {mount}", f"{median(took):.0f} ms ({spread})", "400")


async def glass(clips: Clips) -> None:
    """From the camera's clock to the picture on screen."""
    for mount in ("h264_aac", "h264_mute"):
        late: list[float] = []

        async def work(
            page: Page, _: Server, late: list[float] = late, mount: str = mount
        ) -> None:
            seen = await watch(page, 45, 0.1)
            recipe = CLIPS[mount]
            late += [behind_s(one, recipe.fps, recipe.frames) for one in seen[30:]]

        await in_chromium(clips, mount, work, "/ws.html?token=front")
        third = len(late) // 3
        drift = (median(late[-third:]) - median(late[:third])) * 1000
        p95 = sorted(late)[int(len(late) * 0.95)] * 1000
        row(f"camera to screen, {mount}, 45 s",
            f"{median(late) * 1000:.0f} ms, p95 {p95:.0f}, drift {drift:+.0f}", "300")  # fmt: skip


PARTS = {
    "fanout": fanout,
    "fixed": fixed,
    "join": join,
    "glass": glass,
    "llhls": llhls,
    "rtc": rtc,
    "rtc_playback": rtc_playback,
    "ws_playback": ws_playback,
    "rest": rest,
    "crowd": crowded,
    "record": record,
    "index": index,
    "onvif": onvif,
    "devices": devices,
    "device_playback": device_playback,
    "stored": stored,
}


async def main(names: list[str]) -> None:
    """Run the parts that are named, or all."""
    CACHE.mkdir(parents=True, exist_ok=True)
    clips = Clips(CACHE, which("ffmpeg") or "ffmpeg")
    row("what", "measured", "target")
    for name in names or PARTS:
        await PARTS[name](clips)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
