"""The machine's load: what two readings mean, and real readings of this process."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from h5sup.base.errors import UnavailableError
from h5sup.metrics.machine import Machine, Reading, compare, read_counters

FIRST = Reading(
    at_s=100.0,
    busy_s=1000.0,
    all_s=4000.0,
    own_s=50.0,
    in_bytes=10_000,
    out_bytes=20_000,
    memory_percent=39.0,
    own_memory_bytes=1,
    disk_total_bytes=2,
    disk_free_bytes=3,
)


def test_load_is_what_happened_between_two_readings() -> None:
    second = replace(
        FIRST,
        at_s=105.0,
        busy_s=1002.0,
        all_s=4010.0,
        own_s=57.5,
        in_bytes=10_000 + 625_000,
        out_bytes=20_000 + 1_250,
        own_memory_bytes=7,
    )
    assert asdict(compare(FIRST, second)) == pytest.approx(
        {
            "cpu_percent": 20.0,
            "own_cpu_percent": 150.0,
            "memory_percent": 39.0,
            "own_memory_bytes": 7,
            "in_kbps": 1000.0,
            "out_kbps": 2.0,
            "disk_total_bytes": 2,
            "disk_free_bytes": 3,
        }
    )


def test_counters_that_went_back_are_no_load() -> None:
    """A network card was taken out, or a child left without being counted."""
    second = replace(FIRST, at_s=105.0, busy_s=990.0, all_s=4010.0, own_s=40.0, in_bytes=0)
    load = compare(FIRST, second)
    assert (load.cpu_percent, load.own_cpu_percent, load.in_kbps) == (0.0, 0.0, 0.0)


def test_readings_of_one_moment_divide_by_nothing() -> None:
    assert compare(FIRST, FIRST).cpu_percent == 0.0


def test_work_of_a_child_counts_also_when_it_has_ended(tmp_path: Path) -> None:
    before = read_counters(tmp_path)
    burn = "import time\nwhile time.process_time() < 0.3: pass\nprint(1, flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        while_it_lives = read_counters(tmp_path)
        child.communicate(b"\n")
    after = read_counters(tmp_path)
    assert while_it_lives.own_s - before.own_s >= 0.28  # counted in hundredths
    assert after.own_s >= while_it_lives.own_s


def test_memory_of_a_child_is_ours(tmp_path: Path) -> None:
    before = read_counters(tmp_path)
    hold = "held = b'x' * 60_000_000\nprint(1, flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        grown = read_counters(tmp_path).own_memory_bytes - before.own_memory_bytes
        child.communicate(b"\n")
    assert grown > 50_000_000


def test_room_is_that_of_the_folders_disk(tmp_path: Path) -> None:
    reading = read_counters(tmp_path)
    disk = shutil.disk_usage(tmp_path)
    assert reading.disk_total_bytes == disk.total
    assert abs(reading.disk_free_bytes - disk.free) < disk.total / 10


def test_loopback_is_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = psutil.net_io_counters()
    assert card is not None
    counted = {
        "lo": card._replace(bytes_recv=5_000, bytes_sent=5_000),
        "eth0": card._replace(bytes_recv=70, bytes_sent=8),
        "veth12": card._replace(bytes_recv=70, bytes_sent=8),
    }
    monkeypatch.setattr(psutil, "net_io_counters", lambda pernic: counted)
    reading = read_counters(tmp_path)
    assert (reading.in_bytes, reading.out_bytes) == (70, 8)


async def test_first_load_comes_soon_and_the_next_by_itself(tmp_path: Path) -> None:
    machine = Machine(tmp_path, every_s=0.05)
    machine.start()
    try:
        async with asyncio.timeout(20):
            first = await machine.sampled()
            burnt = time.process_time()
            while machine.load is first or machine.load.own_cpu_percent < 20:
                while time.process_time() - burnt < 0.05:  # this very process works
                    pass
                burnt = time.process_time()
                await asyncio.sleep(0.01)
    finally:
        await machine.close()
    assert first.memory_percent > 0
    assert first.own_memory_bytes > 10_000_000
    assert machine.uptime_s > 0


async def test_figures_that_do_not_come_are_no_zeros(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "missing", every_s=0.02)
    machine.start()
    try:
        with pytest.raises(UnavailableError):
            await machine.sampled(wait_s=0.2)
    finally:
        await machine.close()


async def test_a_disk_that_can_not_be_asked_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "mounted"
    folder.mkdir()
    machine = Machine(folder, every_s=0.02)
    machine.start()
    try:
        async with asyncio.timeout(20):
            await machine.sampled()
            folder.rmdir()
            while "load can't be read" not in caplog.text:
                await asyncio.sleep(0.01)
            folder.mkdir()
            last = machine.load
            while machine.load is last:
                await asyncio.sleep(0.01)
    finally:
        await machine.close()
