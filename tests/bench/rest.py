"""What calls cost: the list of sources, keeping alive, and a flood of bad logins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from tests.bench.measure import cpu_s, row
from tests.e2e.client import Client
from tests.e2e.server import Server
from tests.fakes.clips import Clips

SOURCES = 200
LISTS = 200
KEEPALIVES = 12_000
CONNECTIONS = 16
BAD_LOGINS = 10_000
BAD_NAMES = 100  # each is locked after five
PAUSE_S = 0.02
USERS = [{"name": "admin", "password": "12345", "role": "Administrator"}]


async def rest(clips: Clips) -> None:
    """All of it; no camera is needed."""
    del clips
    async with running() as (server, session):
        await lists(server, session)
        await keepalives(server, session)
        await bad_logins(server, session)


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Server, str]]:
    """Run a server with many sources that nobody watches, and sign in."""
    sources = [
        {
            "token": f"cam{n}",
            "name": f"Camera {n}",
            "type": "rtsp",
            "url": f"rtsp://192.0.2.{n}:554/live/main?channel={n}",
            "user": "viewer",
            "password": "secret",
            "connect": "ondemand",
        }
        for n in range(SOURCES)
    ]
    with TemporaryDirectory() as folder:
        async with Server(Path(folder), sources=sources, auth={"users": USERS}) as server:
            client = Client(server)
            async with client:
                yield server, client.session


class Caller:
    """One connection that asks again as soon as it is answered, with no cost to speak of."""

    def __init__(self, server: Server) -> None:
        self._port = int(server.base.rsplit(":", 1)[1])

    async def ask(self, paths: Iterator[str]) -> tuple[int, bytes]:
        """Send every request; return how many were answered, and the last answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**22)
        count, body = 0, b""
        for path in paths:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            count += 1
        writer.close()
        await writer.wait_closed()
        return count, body


async def lists(server: Server, session: str) -> None:
    """GetSrc with many sources."""
    path = f"/api/v1/GetSrc?session={session}"
    _, body = await Caller(server).ask(iter([path] * 20))
    assert body.count(b"strToken") == SOURCES
    cpu = cpu_s(server.pid)
    await Caller(server).ask(iter([path] * LISTS))
    each_ms = (cpu_s(server.pid) - cpu) * 1000 / LISTS
    row(f"GetSrc with {SOURCES} sources, {len(body) / 1000:.0f} kB", f"{each_ms:.2f} CPU-ms", "5")


async def keepalives(server: Server, session: str) -> None:
    """Keepalive over connections that stay."""
    share = [f"/api/v1/Keepalive?session={session}"] * (KEEPALIVES // CONNECTIONS)
    cpu, began = cpu_s(server.pid), asyncio.get_running_loop().time()
    answers = await asyncio.gather(*(Caller(server).ask(iter(share)) for _ in range(CONNECTIONS)))
    spent, passed = cpu_s(server.pid) - cpu, asyncio.get_running_loop().time() - began
    assert all(b'"bStatus":true' in body for _, body in answers)
    count = sum(one for one, _ in answers)
    row("Keepalive", f"{count / spent:.0f} per core-second", "3000")
    row("Keepalive by the clock, client on the same machine", f"{count / passed:.0f} 1/s")


async def bad_logins(server: Server, session: str) -> None:
    """A flood of wrong passwords, and how long others wait meanwhile."""
    process = psutil.Process(server.pid)
    before = process.memory_full_info().uss
    paths = [f"/api/v1/Login?user=name{n % BAD_NAMES}&password=wrong" for n in range(BAD_LOGINS)]
    cpu, began = cpu_s(server.pid), asyncio.get_running_loop().time()
    waits_s: list[float] = []
    other = asyncio.create_task(wait_one_by_one(server, session, waits_s))
    flood = (Caller(server).ask(iter(paths[n::CONNECTIONS])) for n in range(CONNECTIONS))
    await asyncio.gather(*flood)
    spent, passed = cpu_s(server.pid) - cpu, asyncio.get_running_loop().time() - began
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)
    grown = (process.memory_full_info().uss - before) / 2**20
    row(f"{BAD_LOGINS} bad logins, {BAD_NAMES} names", f"{passed:.1f} s, {spent:.1f} CPU-s")
    row("memory they leave", f"{grown:+.1f} MiB")
    waits_s.sort()
    p99_ms, worst_ms = waits_s[int(len(waits_s) * 0.99)] * 1000, waits_s[-1] * 1000
    row("Keepalive during them, p99 / worst", f"{p99_ms:.0f} / {worst_ms:.0f} ms")


async def wait_one_by_one(server: Server, session: str, waits_s: list[float]) -> None:
    """Note how long each call takes, for ever."""
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        await Caller(server).ask(iter([f"/api/v1/Keepalive?session={session}"]))
        waits_s.append(loop.time() - began)
        await asyncio.sleep(PAUSE_S)
