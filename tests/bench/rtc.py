"""What WebRTC viewers cost, and how soon and how late they see.

Load comes from clients with real ICE and DTLS whose media the kernel drops and counts.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median

import aiohttp
import psutil
from playwright.async_api import Page

from h5sup.outputs.rtc.addresses import host_addresses
from tests.bench.measure import cpu_s, in_chromium, row
from tests.e2e.browser import open_browser
from tests.e2e.screen import behind_s, watch, watch_each
from tests.e2e.server import RUN, Server, free_port, until
from tests.e2e.webrtc import STANDS, through_port
from tests.fakes.clips import CLIPS, Clips, Recipe
from tests.fakes.lossy_nat import LossyNat
from tests.fakes.rtc_client import RtcClient, count_dropped

WINDOW_S = 12.0
HERE = Path(__file__).parent


@asynccontextmanager
async def watching(
    base: str, token: str, count: int, pid: int, address: str
) -> AsyncIterator[tuple[list[RtcClient], float]]:
    """Have so many viewers connected; yield them and what one cost to join, in CPU-ms."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        clients: list[RtcClient] = []
        first = RtcClient(base, token, http=http, sound=False, counts=True, address=address)
        clients.append(await stack.enter_async_context(first))  # it has aiortc imported
        await asyncio.sleep(1)
        idle = cpu_s(pid)
        await asyncio.sleep(1)
        second_s = cpu_s(pid) - idle
        loop = asyncio.get_running_loop()
        began, cpu = loop.time(), cpu_s(pid)
        for _ in range(count - 1):
            client = RtcClient(base, token, http=http, sound=False, counts=True, address=address)
            clients.append(await stack.enter_async_context(client))
        joined_s = cpu_s(pid) - cpu - second_s * (loop.time() - began)
        yield clients, joined_s * 1000 / max(1, count - 1)


async def measure(
    base: str, token: str, count: int, pid: int, address: str = "127.0.0.1"
) -> tuple[float, float, float, float]:
    """Return CPU-ms per viewer-second, packets a second, CPU-ms to join, PSS in MiB."""
    async with watching(base, token, count, pid, address) as (clients, join_ms):
        await asyncio.sleep(3)
        loop = asyncio.get_running_loop()
        dropped, cpu, began = count_dropped(clients), cpu_s(pid), loop.time()
        await asyncio.sleep(WINDOW_S)
        spent, passed = cpu_s(pid) - cpu, loop.time() - began
        after = count_dropped(clients)
        memory = psutil.Process(pid).memory_full_info()
        packets = sum(after[port] - dropped.get(port, 0) for port in after)
        return (
            spent * 1000 / (count * passed),
            packets / count / passed,
            join_ms,
            memory.rss / 2**20,
        )


def server_with(clips: Clips, folder: Path, clip: str, run: Path = RUN, port: int = 0) -> Server:
    """Return a server with a looped clip."""
    source = {"token": "cam", "type": "file", "url": "clip.mp4"}
    server = Server(
        folder,
        sources=[source],
        auth={"enabled": False},
        rtc={"port": port or free_port()},
        run=run,
    )
    server.add_media(clips[clip], "clip.mp4")
    return server


async def load(clips: Clips) -> None:
    """Sixty and three hundred viewers, with and without offload, and aiortc's own way."""
    runs = [
        ("60 viewers of 720p25 2 Mbit/s, segmentation offload", "h264_2m", 60, RUN, "1.3"),
        ("the same, without", "h264_2m", 60, HERE / "without_offload.py", "2.4"),
        ("100 viewers of the same", "h264_2m", 100, RUN, ""),
        ("300 viewers of 1080p25 4 Mbit/s", "h264_1080", 300, RUN, "1.33"),
    ]
    for what, clip, count, run, target in runs:
        with tempfile.TemporaryDirectory() as folder:
            async with server_with(clips, Path(folder), clip, run) as server:
                await until(server.ffmpegs, "an ffmpeg")
                await asyncio.sleep(3)
                each, rate, join_ms, rss = await measure(server.base, "cam", count, server.pid)
                row(f"WebRTC, {what}", f"{each:.2f} CPU-ms/viewer-s, {rate:.0f} packets/s", target)
                row("one core", f"{each * count / 10:.1f} %", "40" if count == 300 else "")
                row("joining", f"{join_ms:.1f} CPU-ms", "15")
                row("manager's RSS", f"{rss:.0f} MiB", "150" if count == 100 else "")
    await stock(clips, 60)


async def stock(clips: Clips, count: int) -> None:
    """The same load on a server made of aiortc's own parts."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "stock_aiortc.py"), str(clips["h264_2m_ts"]),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        port = int(await process.stdout.readline())
        base = f"http://127.0.0.1:{port}"
        each, rate, join_ms, _ = await measure(base, "cam", count, process.pid, own_address())
        row(
            f"stock aiortc, {count} viewers of the same",
            f"{each:.2f} CPU-ms/viewer-s, {rate:.0f} packets/s",
        )
        row("joining", f"{join_ms:.1f} CPU-ms")
    finally:
        process.kill()
        await process.wait()


def own_address() -> str:
    """Return an address of this machine: aiortc offers none on the loopback."""
    return next(str(one) for one in host_addresses() if one.version == 4 and not one.is_loopback)


FIRST = """async () => {
  document.body.replaceChildren();
  const video = document.createElement('video');
  video.muted = true; video.playsInline = true;
  document.body.append(video);
  const began = performance.now();
  const player = new H5sPlayerRTC({videodom: video, token: 'front', protocol: location.protocol,
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
            for _ in range(11):
                took.append(await page.evaluate(FIRST))
                await asyncio.sleep(0.7)

        await in_chromium(clips, mount, work, "/rtc.html", rtc={"port": free_port()})
        later = took[1:]  # the server imports aiortc for the first
        spread = f"{min(later):.0f} to {max(later):.0f}; the very first {took[0]:.0f}"
        row(f"WebRTC, first picture, {mount}", f"{median(later):.0f} ms ({spread})", "150")


async def glass(clips: Clips) -> None:
    """From the camera's clock to the picture on screen, alone and together with its sound."""
    for mount, target in (("h264_2m_mute", "80"), ("h264_2m", "")):
        late: list[float] = []
        recipe = CLIPS[mount]

        async def work(
            page: Page, _: Server, late: list[float] = late, recipe: Recipe = recipe
        ) -> None:
            await watch(page, 3)
            seen = await watch_each(page, 30)
            late += [behind_s(one, recipe.fps, recipe.frames) for one in seen]

        port = {"port": free_port()}
        await in_chromium(clips, mount, work, "/rtc.html?token=front", rtc=port)
        p95 = sorted(late)[int(len(late) * 0.95)] * 1000
        figure = f"{median(late) * 1000:.0f} ms, p95 {p95:.0f}"
        row(f"WebRTC, camera to screen, 720p, {mount}", figure, target)


async def loss(clips: Clips) -> None:
    """How long a picture stands where packets get lost, 40 ms being usual."""
    for share in (0.02, 0.1):
        port = free_port()
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            async with (
                server_with(clips, home, "h264_2m", port=port) as server,
                LossyNat(port, share) as nat,
                open_browser(home / "profile") as browser,
            ):
                page = await browser.new_page()
                await page.add_init_script(through_port(nat.port))
                await page.goto(f"{server.base}/rtc.html?token=cam")
                await watch(page, 3)
                stands = await page.evaluate(STANDS, 30)
        figure = f"longest {max(stands):.0f} ms, {len(stands)} pictures in 30 s"
        row(f"WebRTC, {share:.0%} of packets lost", figure, "500")


async def rtc(clips: Clips) -> None:
    """All of WebRTC."""
    await loss(clips)
    await join(clips)
    await glass(clips)
    await load(clips)
