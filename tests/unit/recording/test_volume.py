"""What is seen of the disk, and what is said of it."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from h5sup.events.event import DiskLow
from h5sup.events.hub import Hub
from h5sup.recording import volume as module
from h5sup.recording.mounts import MountGuard
from h5sup.recording.volume import State, Volume

MEGABYTE = 1_000_000


class Disk:
    """What statvfs() says, as a test wants it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = 500 * MEGABYTE
        self.total = 1000 * MEGABYTE
        self.flags = 0
        self.error: OSError | None = None
        self.fault = ""
        monkeypatch.setattr(os, "statvfs", self.statvfs)
        monkeypatch.setattr(MountGuard, "find_fault", lambda _: self.fault)

    def statvfs(self, path: Path) -> SimpleNamespace:
        if self.error is not None:
            raise self.error
        return SimpleNamespace(
            f_bavail=self.free, f_blocks=self.total, f_frsize=1, f_flag=self.flags
        )


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def volume(tmp_path: Path, hub: Hub) -> Iterator[Volume]:
    one = Volume(MountGuard(tmp_path / "ms", tmp_path), hub, keep_free_bytes=100 * MEGABYTE)
    yield one
    one._thread.shutdown()


def state_of(volume: Volume) -> State:
    """Return it afresh: mypy takes a property for a constant."""
    return volume.state


def fail(number: int) -> OSError:
    return OSError(number, os.strerror(number))


async def test_nothing_is_written_before_the_disk_was_looked_at(
    volume: Volume, disk: Disk
) -> None:
    assert volume.refusal()
    await volume.check()
    assert volume.refusal() == ""
    assert (volume.state, volume.free_bytes, volume.total_bytes) == (
        State.OK,
        500 * MEGABYTE,
        1000 * MEGABYTE,
    )
    assert volume.folder.stat().st_mode & 0o777 == 0o750
    await volume.wait_there()


async def test_each_spell_without_room_is_told_once(
    volume: Volume, disk: Disk, hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await volume.check()
    for _ in range(2):
        for free in (15, 5, 60, 104, 3):
            disk.free = free * MEGABYTE
            await volume.check()
            assert state_of(volume) is State.FULL
        disk.free = 105 * MEGABYTE
        await volume.check()
        assert state_of(volume) is State.OK
    assert hub.told == {DiskLow: 2}
    assert caplog.text.count("is full (15 MB of 1000 MB are free, 100 MB shall be)") == 2
    assert caplog.text.count("can be written again") == 2


async def test_while_there_is_something_to_delete_a_little_less_room_will_do(
    volume: Volume, disk: Disk
) -> None:
    disk.free = 90 * MEGABYTE
    await volume.check()
    assert state_of(volume) is State.OK
    volume.is_exhausted = True
    await volume.check()
    assert state_of(volume) is State.FULL
    volume.is_exhausted = False
    await volume.check()
    assert state_of(volume) is State.FULL  # until retention has made room
    disk.free = 105 * MEGABYTE
    await volume.check()
    assert state_of(volume) is State.OK


async def test_a_disk_that_is_smaller_than_what_shall_stay_free_is_named(
    volume: Volume, disk: Disk
) -> None:
    disk.free, disk.total, volume.is_exhausted = 19 * MEGABYTE, 20 * MEGABYTE, True
    await volume.check()
    assert "has 20 MB in all, and recording.keep_free_bytes wants 100 MB" in volume.refusal()


async def test_a_failed_write_stops_all_until_one_succeeds(
    volume: Volume, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await volume.check()
    cases = (
        (errno.ENOSPC, State.FULL, "has no room left"),
        (errno.EROFS, State.READ_ONLY, "is read-only"),
        (errno.EACCES, State.READ_ONLY, "may not write"),
        (errno.EIO, State.READ_ONLY, "can't be written (Input/output error)"),
    )
    for number, state, words in cases:
        error = fail(number)

        def probe(_: Path, error: OSError = error) -> None:
            raise error

        volume.note_failure(error)
        assert state_of(volume) is state
        assert words in volume.refusal()
        with monkeypatch.context() as patch:
            patch.setattr(module, "_probe", probe)
            await volume.check()
            assert state_of(volume) is state  # the disk looks fine and refuses
        await volume.check()
        assert volume.refusal() == ""
    assert list(volume.folder.iterdir()) == []


async def test_a_folder_that_somebody_deletes_is_no_fault_of_the_disk(
    volume: Volume, disk: Disk
) -> None:
    await volume.check()
    volume.folder.rmdir()
    volume.note_failure(fail(errno.ENOENT))
    assert volume.refusal() == ""
    await volume.check()
    assert volume.folder.is_dir()


async def test_a_failure_during_a_look_is_the_newer_word(
    volume: Volume, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await volume.check()
    looking = asyncio.create_task(volume.check())
    await asyncio.sleep(0)
    volume.note_failure(fail(errno.EIO))
    await looking
    assert state_of(volume) is State.READ_ONLY


async def test_two_who_look_at_once_share_one_look(volume: Volume, disk: Disk) -> None:
    await asyncio.gather(volume.check(), volume.check())
    assert state_of(volume) is State.OK
    await volume.check()


async def test_a_disk_that_is_away_is_not_written_to(
    volume: Volume, disk: Disk, hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    disk.fault = "/mnt/cams is not mounted"
    await volume.check()
    await volume.check()
    assert caplog.text.count(disk.fault) == 1
    assert (volume.state, volume.refusal()) == (State.MISSING, disk.fault)
    assert not volume.folder.exists()
    with pytest.raises(OSError, match="not mounted"):
        volume.require()
    disk.fault = ""
    volume.require()
    await volume.check()
    assert state_of(volume) is State.OK
    volume.note_failure(OSError(errno.ENODEV, "/mnt/cams is not mounted"))
    assert state_of(volume) is State.MISSING
    assert hub.told == {}


async def test_a_read_only_disk_is_seen_before_anything_fails(volume: Volume, disk: Disk) -> None:
    await volume.check()
    disk.flags = os.ST_RDONLY
    await volume.check()
    assert state_of(volume) is State.READ_ONLY
    assert "mount it anew" in volume.refusal()
    disk.flags = 0
    await volume.check()
    assert state_of(volume) is State.OK


async def test_a_folder_without_the_right_to_write(
    volume: Volume, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    await volume.check()
    assert state_of(volume) is State.READ_ONLY
    assert "its user is given the right" in volume.refusal()


async def test_a_folder_that_can_not_be_looked_at(volume: Volume, disk: Disk) -> None:
    disk.error = fail(errno.EIO)
    await volume.check()
    assert state_of(volume) is State.READ_ONLY


async def test_a_disk_that_hangs_holds_up_nobody(
    volume: Volume, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await volume.check()
    go_on, asked = threading.Event(), []

    def hang(*_: object, **__: object) -> module.Look:
        asked.append(1)
        go_on.wait(10)
        return module.Look(State.OK, "", 1, 1)

    monkeypatch.setattr(module, "ANSWER_S", 0.01)
    with monkeypatch.context() as patch:
        patch.setattr(module, "look", hang)
        for _ in range(3):
            await volume.check()
            assert "does not answer" in volume.refusal()
        assert asked == [1]
        go_on.set()
        monkeypatch.setattr(module, "ANSWER_S", 5.0)
        await volume.check()
    await volume.check()
    assert state_of(volume) is State.OK


async def test_it_looks_by_itself_and_at_once_after_a_failure(
    volume: Volume, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHECK_S", 0.01)
    await volume.start()
    try:
        disk.free = 0
        async with asyncio.timeout(5):
            while state_of(volume) is not State.FULL:
                await asyncio.sleep(0.005)
            await volume.wait_there()  # full, but there
            disk.free = 500 * MEGABYTE
            while state_of(volume) is not State.OK:
                await asyncio.sleep(0.005)
            volume.note_failure(fail(errno.EIO))
            await volume.wait_there()
            assert volume.refusal() == ""
    finally:
        await volume.close()


def test_a_reserve_is_kept_beside_what_shall_stay_free(volume: Volume) -> None:
    assert volume.wanted_bytes == 110 * MEGABYTE
    volume.reserve_bytes = 50 * MEGABYTE
    assert volume.wanted_bytes == 150 * MEGABYTE
