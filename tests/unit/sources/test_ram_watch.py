"""The sentences about a full RAM folder: one when it fills up, one when there is room again."""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from h5sup.events.event import DiskLow
from h5sup.events.hub import Hub
from h5sup.sources import ram_watch
from h5sup.sources.ram_watch import RamWatch


class Usage(NamedTuple):
    """What shutil.disk_usage() returns."""

    total: int
    used: int
    free: int


async def watch(
    levels: list[float], folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let a watch see the levels of free space, one after the other."""
    left = list(levels)
    seen_all = asyncio.Event()
    loop = asyncio.get_running_loop()

    def usage(_: Path) -> Usage:
        if len(left) == 1:
            loop.call_soon_threadsafe(seen_all.set)
        free = int(left[0] * 1_000_000) if len(left) == 1 else int(left.pop(0) * 1_000_000)
        return Usage(1_000_000, 1_000_000 - free, free)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    monkeypatch.setattr(ram_watch, "CHECK_S", 0.0)
    one = RamWatch(folder, hub)
    one.start()
    async with asyncio.timeout(5):
        await seen_all.wait()
    await asyncio.sleep(0)
    await one.close()


@pytest.mark.parametrize(
    ("levels", "full", "room"),
    [
        ([0.9, 0.06, 0.9], 0, 0),
        ([0.9, 0.04, 0.0, 0.04, 0.0], 1, 0),
        ([0.04, 0.08, 0.0, 0.08, 0.0], 1, 0),  # segments that leave make room for a moment
        ([0.0, 0.2, 0.0, 0.2, 0.2], 2, 2),
    ],
)
async def test_each_change_is_said_once(
    levels: list[float],
    full: int,
    room: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    hub = Hub()
    await watch(levels, tmp_path, hub, monkeypatch)
    assert hub.told == ({DiskLow: full} if full else {})
    assert caplog.text.count(f"the RAM folder {tmp_path} is full (0 of 1 MB") == full
    assert caplog.text.count("there is room in the RAM folder again") == room


async def test_a_folder_that_is_gone_is_said_and_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ram_watch, "CHECK_S", 0.001)
    one = RamWatch(tmp_path / "gone", Hub())
    one.start()
    async with asyncio.timeout(5):
        while caplog.text.count("can't be looked at") < 2:
            await asyncio.sleep(0.001)
    await one.close()
    await RamWatch(tmp_path, Hub()).close()
