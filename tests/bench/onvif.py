"""What ONVIF cameras cost: how late the event loop is while they are asked, and how long it takes.

The cameras are a process of their own. The loop under measure is this one: it does what the
server's does.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import psutil

from h5sup.config.loading import parse_source
from h5sup.devices.onvif.api import Onvif
from h5sup.devices.onvif.connection import Address
from h5sup.events.hub import Hub
from h5sup.sources.onvif import OnvifSource
from tests.bench.measure import row
from tests.fakes.clips import Clips
from tests.fakes.onvif_camera import SERVICE, OnvifCamera

CAMERAS = 20
TICK_S = 0.001
LISTEN_S = 30.0


class Lateness:
    """The longest that the loop was late since it was last asked."""

    def __init__(self) -> None:
        self._longest_s = 0.0

    async def run(self) -> None:
        """Sleep again and again."""
        while True:
            due = time.perf_counter() + TICK_S
            await asyncio.sleep(TICK_S)
            self._longest_s = max(self._longest_s, time.perf_counter() - due)

    def take_ms(self) -> float:
        """Return it and begin anew."""
        longest_s, self._longest_s = self._longest_s, 0.0
        return longest_s * 1000


async def onvif(clips: Clips) -> None:
    """Ask one camera cold and warm, many at once, then listen to them all."""
    del clips
    process, lateness = psutil.Process(), Lateness()
    async with cameras(CAMERAS) as (ports, user, password):
        where = [
            Address(host="127.0.0.1", port=port, path=SERVICE, user=user, password=password)
            for port in ports
        ]
        ticking = asyncio.create_task(lateness.run())
        await asyncio.sleep(1)
        found, before = Onvif(), process.memory_full_info().uss
        row("the event loop's lateness while nothing is asked", f"{lateness.take_ms():.0f} ms")
        for name in ("the first OnvifProbe, with reading zeep and WSDL", "an OnvifProbe later"):
            began = time.perf_counter()
            assert len(await found.probe(where[0])) == 3
            took_s = time.perf_counter() - began
            late_ms = lateness.take_ms()
            row(name, f"{took_s:.2f} s; the event loop at most {late_ms:.0f} ms late", "2 s; 50")
        grown = (process.memory_full_info().uss - before) / 2**20
        row("memory that takes", f"{grown:.0f} MiB")

        began = time.perf_counter()
        await asyncio.gather(*(found.probe(one) for one in where))
        took_s = time.perf_counter() - began
        late_ms = lateness.take_ms()
        row(
            f"{CAMERAS} of them at once",
            f"{took_s:.2f} s; the event loop at most {late_ms:.0f} ms late",
            "50 ms",
        )
        sources = [
            OnvifSource(
                parse_source(
                    {"token": f"c{one.port}", "type": "onvif", "host": one.host,
                     "port": one.port, "user": user, "password": password}
                ),
                found,
                Hub(),
            )
            for one in where
        ]  # fmt: skip
        for source in sources:
            source.start()
        await asyncio.gather(*(source.locate("main") for source in sources))
        late_ms = lateness.take_ms()
        row(
            f"{CAMERAS} sources added at once",
            f"the event loop at most {late_ms:.0f} ms late",
            "50",
        )
        await asyncio.sleep(2)
        lateness.take_ms()
        cpu = process.cpu_times()
        await asyncio.sleep(LISTEN_S)
        spent = sum(process.cpu_times()[:2]) - sum(cpu[:2])
        row(
            f"events of {CAMERAS} cameras that answer every second",
            f"{spent / LISTEN_S * 100:.1f} % of a core, this measure itself among it",
        )
        row("the event loop's lateness meanwhile", f"{lateness.take_ms():.0f} ms", "50")
        for source in sources:
            await source.aclose()
        await found.close()
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)


@asynccontextmanager
async def cameras(count: int) -> AsyncIterator[tuple[list[int], str, str]]:
    """Run so many cameras in another process; return their ports and login."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.onvif",
        str(count),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        ports = [int(word) for word in (await child.stdout.readline()).split()]
        camera = OnvifCamera()
        yield ports, camera.user, camera.password
    finally:
        child.stdin.close()
        await child.wait()


async def serve(count: int) -> None:
    """Be the cameras until standard input ends."""
    async with AsyncExitStack() as stack:
        found = [await stack.enter_async_context(OnvifCamera()) for _ in range(count)]
        sys.stdout.write(" ".join(str(one.port) for one in found) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
