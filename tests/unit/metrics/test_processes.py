"""What processes cost, of real ones."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from h5sup.ffmpeg.process import Launcher
from h5sup.metrics.processes import Labels, Processes, look

BURN = "import sys\nprint('up', flush=True)\nwhile True: pass"


async def test_a_process_is_looked_at_while_it_is_wanted_and_left_out_when_it_ends() -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BURN, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    await child.stdout.readline()
    found: dict[Labels, int] = {("front",): child.pid}
    processes = Processes(lambda: found, sample_s=0.02)
    assert processes.own is None
    assert processes.want() == {}
    processes.start()
    try:
        async with asyncio.timeout(20):
            while not processes.want().get(("front",)):
                await asyncio.sleep(0.01)
            first = processes.want()[("front",)]
            assert first.pss_bytes > 1_000_000
            while processes.want()[("front",)].cpu_s <= first.cpu_s:
                await asyncio.sleep(0.01)
            child.kill()
            await child.wait()
            while processes.want():
                await asyncio.sleep(0.01)
    finally:
        await processes.close()


async def test_nobody_who_asks_costs_nothing() -> None:
    asked = 0

    def find() -> dict[Labels, int]:
        nonlocal asked
        asked += 1
        return {}

    processes = Processes(find, sample_s=0.001)
    processes.start()
    async with asyncio.timeout(10):
        while not asked:
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.2)
    assert asked == 1
    processes.want()
    async with asyncio.timeout(10):
        while asked < 3:
            await asyncio.sleep(0.001)
    await processes.close()


async def test_processes_of_a_kind_are_added_up_also_after_their_end(tmp_path: Path) -> None:
    launcher = Launcher(f"test-{tmp_path.name}")
    burn = [sys.executable, "-c", BURN]
    children = [
        await launcher.spawn(burn, stdout=asyncio.subprocess.PIPE, kind=kind)
        for kind in ("archive", "archive", "")
    ]
    processes = Processes(dict, launcher.find_running, sample_s=0.02)
    processes.start()
    try:
        async with asyncio.timeout(20):
            while not (job := processes.jobs.get("archive")) or job.cpu_s < 0.1:
                processes.want()
                await asyncio.sleep(0.01)
            assert job.count == 2
            assert job.pss_bytes > 2_000_000
            for child in children:
                await child.stop(grace_s=0)
            while (job := processes.jobs["archive"]).count:
                processes.want()
                await asyncio.sleep(0.01)
            assert job.cpu_s >= 0.1
            assert job.pss_bytes == 0
        assert set(processes.jobs) == {"archive"}
        assert launcher.find_running() == []
    finally:
        await processes.close()
        for child in children:
            child.close()
            await child.stop(grace_s=0)


def test_this_process_is_described() -> None:
    own, costs, jobs = look({("gone",): 2**22 + 1}, [2**22 + 2])
    assert costs == {}
    assert jobs == {}
    assert own.cpu_s > 0
    assert own.pss_bytes > 1_000_000
    assert own.descriptors >= 3
    assert abs(own.started - time.time()) < 3600 * 24
