"""Twenty dead cameras next to a living one: it plays, they are named, and nothing grows."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.client import Client, find_skips
from tests.e2e.server import Server, until
from tests.fakes.broken_rtsp import BrokenRtsp, Fault
from tests.fakes.clips import CLIPS, Clips
from tests.fakes.rtsp_camera import RtspCamera

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

EACH = 4
REASONS = {
    Fault.NOT_FOUND: "knows no such address",
    Fault.UNAUTHORIZED: "refused user name or password",
    Fault.SILENT: "no answer that can be understood",
    Fault.GARBAGE: "no media that can be read",
    Fault.CLOSES: "no media that can be read",
}
SLOW = ("UNAUTHORIZED", "SILENT")  # tried once a minute; tried for five seconds each time
GROWTH_BYTES = 2_000_000
SETTLED = 2  # tries of each camera until pools and caches have their size
TRIES = 4


class Storm:
    """Cameras that fail, `EACH` of every kind, on real sockets."""

    def __init__(self) -> None:
        self.cameras: dict[str, BrokenRtsp] = {}
        self.reasons: dict[str, str] = {}
        self.sources: list[dict[str, Any]] = []

    def add(self, token: str, url: str, reason: str) -> None:
        """Note a camera that must come to fail for `reason`."""
        self.reasons[token] = reason
        login = {"user": "ann", "password": "hunter2"}
        self.sources.append({"token": token, "type": "rtsp", "url": url} | login)

    @property
    def password_tries(self) -> list[int]:
        """Return how often each camera that refuses the password was asked with one."""
        return [
            one.logins for token, one in self.cameras.items() if token.startswith("UNAUTHORIZED")
        ]

    def tries(self, log: str) -> int:
        """Return how often the camera tried least failed, of those that are tried in a hurry."""
        tokens = [token for token in self.reasons if not token.startswith(SLOW)]
        return min(
            len(re.findall(rf" {token}/main/copy: .*; next try in", log)) for token in tokens
        )


@asynccontextmanager
async def storm() -> AsyncIterator[Storm]:
    """Open the broken cameras; one kind is a port where nobody listens."""
    made = Storm()
    async with AsyncExitStack() as stack:
        for fault, reason in REASONS.items():
            for number in range(EACH):
                camera = await stack.enter_async_context(BrokenRtsp(fault))
                token = f"{fault.name}{number}"
                made.cameras[token] = camera
                made.add(token, camera.url(), reason)
        for number in range(EACH):
            made.add(f"REFUSED{number}", f"rtsp://127.0.0.1:1/{number}", "refused the connection")
        yield made


async def measure(server: Server) -> tuple[int, int]:
    """Return the manager's own memory and its descriptors, at their least within a second."""
    manager = psutil.Process(server.pid)
    memory: list[int] = []
    descriptors: list[int] = []
    for _ in range(20):
        memory.append(manager.memory_full_info().uss)
        descriptors.append(manager.num_fds())
        await asyncio.sleep(0.05)
    return min(memory), min(descriptors)


async def test_a_storm_of_dead_cameras_harms_nobody(clips: Clips, tmp_path: Path) -> None:
    async with storm() as dead, RtspCamera(clips, ["h264_aac"]) as camera:
        alive = {"token": "alive", "type": "rtsp", "url": camera.url("h264_aac")}
        server = Server(tmp_path, sources=[alive, *dead.sources], auth={"enabled": False})
        async with server, Client(server) as client, client.watch("alive") as viewer:
            for token, reason in dead.reasons.items():
                await client.until_state(token, "BACKOFF", reason)
            await until(lambda: dead.tries(server.log) >= SETTLED, "the second tries", 60)
            memory, descriptors = await measure(server)
            await until(lambda: dead.tries(server.log) >= TRIES, "more tries", 60)
            memory_now, descriptors_now = await measure(server)
            assert memory_now - memory < GROWTH_BYTES
            assert descriptors_now <= descriptors + 2
            assert viewer.breaks == []
            assert viewer.close_code is None
            assert find_skips(await viewer.indexes(), CLIPS["h264_aac"].frames) == []
            assert max(dead.password_tries) == 1  # cameras lock a name after five
            assert "hunter2" not in server.log
