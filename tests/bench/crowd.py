"""What connections cost: a call among idle and endless ones, memory of each, a viewer over TLS."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from statistics import median, quantiles

import psutil

from tests.bench.measure import cpu_s, row, server_of
from tests.chaos.test_crowd import IDLE, SLOW, Slow, crowd
from tests.e2e.client import Client
from tests.e2e.server import Server, free_port
from tests.fakes.authority import Authority
from tests.fakes.clips import Clips

CALLS = 300
VIEWERS = 50
WINDOW_S = 10.0


async def crowded(clips: Clips) -> None:
    """Calls with and without a crowd, and what a connection takes."""
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder) / "authority")
        issued = authority.issue()
        tls = {
            "tls_port": free_port(),
            "tls_cert": str(issued.cert),
            "tls_key": str(issued.key),
        }
        server = server_of(clips, Path(folder), http=tls)
        async with (
            server,
            Client(server) as client,
            Client(server, trust=authority.client()) as safe,
        ):
            await client.until_online("cam0")
            await say_calls("alone", client)
            for kind in ("plain", "TLS"):
                before = pss(server)
                idle = await open_idle(server, authority, is_tls=kind == "TLS")
                each = (pss(server) - before) / IDLE / 1024
                row(f"memory of an idle connection, {kind}", f"{each:.0f} KiB PSS")
                for one in idle:
                    assert one.transport is not None
                    one.transport.abort()
            async with crowd(server, authority):
                await say_calls(f"among {IDLE} idle and {SLOW} endless ones", client)
            for kind, who in (("plain", client), ("TLS", safe)):
                cost = await fanout_ms(server, who)
                row(
                    f"WebSocket over {kind}, {VIEWERS} viewers of 2.19 Mbit/s",
                    f"{cost:.3f} CPU-ms per viewer-second",
                )


async def say_calls(where: str, client: Client) -> None:
    loop = asyncio.get_running_loop()
    took = []
    for _ in range(CALLS):
        began = loop.time()
        await client.call("GetSrc")
        took.append((loop.time() - began) * 1000)
    worst = quantiles(took, n=100)[98]
    row(f"GetSrc {where}, median / p99", f"{median(took):.1f} / {worst:.1f} ms")


async def open_idle(server: Server, authority: Authority, *, is_tls: bool) -> list[Slow]:
    loop = asyncio.get_running_loop()
    base = server.tls_base if is_tls else server.base
    port = int(base.rsplit(":", 1)[1])
    trust = authority.client() if is_tls else None
    opened = []
    for _ in range(IDLE):
        _, one = await loop.create_connection(Slow, "127.0.0.1", port, ssl=trust)
        opened.append(one)
    return opened


async def fanout_ms(server: Server, client: Client) -> float:
    """Return the manager's CPU-ms per second and viewer."""
    async with asyncio.TaskGroup() as tasks:
        ready, leave = asyncio.Barrier(VIEWERS + 1), asyncio.Event()

        async def watch() -> None:
            async with client.watch("cam0") as viewer:
                await viewer.until_pictures(5)
                await ready.wait()
                await leave.wait()

        for _ in range(VIEWERS):
            tasks.create_task(watch())
        await ready.wait()
        cpu = cpu_s(server.pid)
        await asyncio.sleep(WINDOW_S)
        spent = cpu_s(server.pid) - cpu
        leave.set()
    return spent * 1000 / WINDOW_S / VIEWERS


def pss(server: Server) -> int:
    """Return the manager's memory."""
    return int(psutil.Process(server.pid).memory_full_info().pss)
