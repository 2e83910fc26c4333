"""What the parts of the bench share."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from playwright.async_api import Page

from tests.e2e.browser import open_browser
from tests.e2e.server import Server
from tests.fakes.clips import Clips
from tests.fakes.rtsp_camera import RtspCamera

CACHE = Path(__file__).resolve().parents[2] / ".pytest_cache" / "d" / "clips"


def cpu_s(pid: int) -> float:
    """Return the processor time of all threads of a process."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def row(what: str, figure: str, target: str = "") -> None:
    """Print one line of the table."""
    load = os.getloadavg()[0]
    print(f"| {what} | {figure} | {target} | {load:.1f} |", flush=True)


def server_of(clips: Clips, folder: Path, sources: int = 1, **sections: Any) -> Server:
    """Return a server with looped 2 Mbit/s files."""
    configured = [{"token": f"cam{n}", "type": "file", "url": "clip.mp4"} for n in range(sources)]
    server = Server(folder, sources=configured, auth={"enabled": False}, **sections)
    server.add_media(clips["h264_2m"], "clip.mp4")
    return server


async def in_chromium(
    clips: Clips,
    mount: str,
    work: Callable[[Page, Server], Awaitable[None]],
    path: str,
    **sections: Any,
) -> None:
    """Run `work` on a page of a server that shows a camera."""
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "profile"
        async with RtspCamera(clips, [mount]) as camera, open_browser(profile) as context:
            source = {"token": "front", "type": "rtsp", "url": camera.url(mount)}
            server = Server(Path(folder), sources=[source], auth={"enabled": False}, **sections)
            async with server:
                await asyncio.sleep(14 if "10" in mount else 5)
                page = await context.new_page()
                await page.goto(server.base + path)
                await work(page, server)
