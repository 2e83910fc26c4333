"""What goes and what stays, on real small files and an index of their own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest

from h5sup.config.model import RecordingConfig
from h5sup.events.hub import Hub
from h5sup.recording import retention as module
from h5sup.recording.mounts import MountGuard
from h5sup.recording.retention import Growth, Retention, take_bytes
from h5sup.recording.volume import State, Volume
from h5sup.store.media_index import MediaIndex
from h5sup.store.media_records import Kind, StoredFile
from h5sup.store.media_schema import DAY_US, SECOND_US

NOW_S = 1_795_600_000.0
NOW_US = int(NOW_S) * SECOND_US
MEGABYTE = 1_000_000
NO_LIMIT = RecordingConfig(max_days=0, snapshot_days=0, keep_free_bytes=0)


class Rig:
    """Retention with a clock and a disk that a test sets."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.index = MediaIndex(folder)
        self.root = folder / "ms"
        self.volume = Volume(MountGuard(self.root, folder), Hub(), keep_free_bytes=0)
        self.limits: dict[str, int] = {}
        self.wall_s = NOW_S
        self.clock_s = 0.0
        self.free: int | None = None
        """None: what the files leave of `total`."""
        self.total = 1000 * MEGABYTE
        self.used = 0
        self.fault = ""
        monkeypatch.setattr(os, "statvfs", self._statvfs)
        monkeypatch.setattr(MountGuard, "find_fault", lambda _: self.fault)

    def _statvfs(self, path: Path) -> SimpleNamespace:
        free = self.total - self.used if self.free is None else self.free
        return SimpleNamespace(f_bavail=free, f_blocks=self.total, f_frsize=1, f_flag=0)

    def retention(self, config: RecordingConfig) -> Retention:
        self.volume.keep_free_bytes = config.keep_free_bytes
        one = Retention(
            self.index,
            self.volume,
            config,
            lambda: self.limits,
            wall_s=lambda: self.wall_s,
            clock_s=lambda: self.clock_s,
        )
        one._steady_from_s = -module.STEADY_S
        return one

    async def add(
        self,
        age_days: float,
        *,
        token: str = "front",
        kind: Kind = "record",
        size_bytes: int = 10,
        is_growing: bool = False,
    ) -> StoredFile:
        """Make a file that ended so long ago; on the disk it is empty, and claims its size."""
        end_us = NOW_US - int(age_days * DAY_US)
        name = f"{token}-{end_us}.mp4"
        file = StoredFile(
            kind=kind,
            token=token,
            path=f"{kind}/{token}/d{int(age_days)}/{end_us}/{name}",
            filename=name,
            recording=name,
            trigger="always",
            start_us=end_us - 300 * SECOND_US,
            end_us=end_us,
            size_bytes=size_bytes,
            is_growing=is_growing,
        )
        path = self.root / file.path
        path.parent.mkdir(parents=True)
        path.touch()
        return replace(file, id=await self.index.add(file))

    async def left(self) -> list[float]:
        """Return the ages of what is there, and see that index and disk agree."""
        rows = await self.index.find_after(0, 20_000)
        on_disk = {str(path.relative_to(self.root)) for path in self.root.rglob("*.mp4")}
        assert {row.path for row in rows} == on_disk
        return sorted(round((NOW_US - row.end_us) / DAY_US, 2) for row in rows)


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    one = Rig(tmp_path, monkeypatch)
    await one.index.open()
    await one.volume.check()
    yield one
    await one.index.close()
    await one.volume.close()


def state_of(volume: Volume) -> State:
    """Return it afresh: mypy takes a property for a constant."""
    return volume.state


async def test_what_is_too_old_goes_and_its_empty_folders_with_it(rig: Rig) -> None:
    for age in (31, 30.5, 29, 1):
        await rig.add(age)
        await rig.add(age, kind="snapshot")
        await rig.add(age, kind="archive")
    retention = rig.retention(replace_config(NO_LIMIT, max_days=30, snapshot_days=2))
    await retention.run()
    assert await rig.left() == [1, 1, 1, 29, 29, 30.5, 31]
    folders = sorted(str(path.relative_to(rig.root)) for path in rig.root.glob("record/*/*"))
    assert folders == ["record/front/d1", "record/front/d29"]
    assert retention.deleted_files == 5


async def test_a_source_without_files_has_no_folder(rig: Rig) -> None:
    await rig.add(40)
    (rig.root / "record" / "front" / "d40" / "note.txt").touch()  # somebody's own
    await rig.add(40, token="back")
    await rig.retention(replace_config(NO_LIMIT, max_days=30)).run()
    assert [path.name for path in rig.root.glob("record/*")] == ["front"]
    assert (rig.root / "record").is_dir()


async def test_each_source_keeps_its_own_bytes(rig: Rig) -> None:
    for age in range(1, 6):
        await rig.add(age)
        await rig.add(age, token="back")
        await rig.add(age, kind="snapshot")
    rig.limits = {"front": 25, "back": 0, "gone": 1}
    await rig.retention(NO_LIMIT).run()
    records = await rig.index.find_oldest("record", token="front")
    assert [round((NOW_US - one.end_us) / DAY_US) for one in records] == [2, 1]
    assert len(await rig.index.find_oldest("record", token="back")) == 5
    assert len(await rig.index.find_oldest("snapshot")) == 5


async def test_what_grows_counts_and_is_never_deleted(rig: Rig) -> None:
    grown = await rig.add(9, is_growing=True, size_bytes=0)
    rig.index.grow(grown.id, end_us=NOW_US, size_bytes=1000)
    await rig.add(2)
    await rig.add(1)
    rig.limits = {"front": 5}
    await rig.retention(replace_config(NO_LIMIT, max_bytes=5, max_days=1)).run()
    assert [one.id for one in await rig.index.find_growing()] == [grown.id]
    assert (rig.root / grown.path).exists()
    assert await rig.left() == [0]


async def test_all_together_keep_their_bytes_oldest_first_archives_last(rig: Rig) -> None:
    await rig.add(50, kind="archive")
    await rig.add(9, kind="snapshot")
    for age in (10, 8, 7):
        await rig.add(age)
    for limit, left in ((40, [7, 8, 9, 50]), (25, [7, 50]), (10, [50]), (10, [50]), (1, [])):
        await rig.retention(replace_config(NO_LIMIT, max_bytes=limit)).run()
        assert await rig.left() == left


async def test_no_more_goes_than_room_is_needed(rig: Rig) -> None:
    for age in range(1, 11):
        await rig.add(age, size_bytes=MEGABYTE)
    retention = rig.retention(replace_config(NO_LIMIT, keep_free_bytes=100 * MEGABYTE))
    rig.free = 200 * MEGABYTE
    await retention.run()
    assert len(await rig.left()) == 10
    rig.free = rig.volume.wanted_bytes - 3 * MEGABYTE + 1
    await retention.run()
    assert await rig.left() == [1, 2, 3, 4, 5, 6, 7]
    assert not rig.volume.is_exhausted


async def test_what_a_player_holds_open_is_not_made_up_for_at_once(rig: Rig) -> None:
    """The disk shows no more room after a file was deleted: each run deletes one amount."""
    for age in range(1, 6):
        await rig.add(age, size_bytes=MEGABYTE)
    retention = rig.retention(replace_config(NO_LIMIT, keep_free_bytes=100 * MEGABYTE))
    rig.free = rig.volume.wanted_bytes - 1
    await retention.run()
    assert len(await rig.left()) == 4


async def test_a_disk_that_others_have_filled_is_full_and_recovers(rig: Rig) -> None:
    await rig.add(1, size_bytes=MEGABYTE)
    await rig.add(2, kind="archive", size_bytes=MEGABYTE)
    retention = rig.retention(replace_config(NO_LIMIT, keep_free_bytes=100 * MEGABYTE))
    rig.free = 60 * MEGABYTE
    await retention.run()
    assert state_of(rig.volume) is State.OK  # two files went: perhaps that was enough
    await retention.run()
    assert await rig.left() == []
    assert (rig.volume.is_exhausted, rig.volume.state) == (True, State.FULL)
    rig.free = 500 * MEGABYTE
    await retention.run()
    assert (rig.volume.is_exhausted, rig.volume.state) == (False, State.OK)


async def test_nothing_is_touched_while_the_disk_is_away(rig: Rig) -> None:
    await rig.add(40)
    retention = rig.retention(replace_config(NO_LIMIT, max_days=30))
    rig.fault = "/mnt/cams is not mounted"
    await retention.run()  # it was there a moment ago
    assert await rig.left() == [40]
    await rig.volume.check()
    await retention.run()
    assert await rig.left() == [40]


async def test_nothing_goes_while_the_index_is_not_whole(rig: Rig) -> None:
    """What was listed first could be the newest, or an archive."""
    await rig.add(1, kind="archive")
    retention = rig.retention(replace_config(NO_LIMIT, max_bytes=5))
    is_ready = False
    retention._is_ready = lambda: is_ready
    await retention.run()
    assert await rig.left() == [1]
    is_ready = True
    await retention.run()
    assert await rig.left() == []


async def test_what_can_not_be_deleted_is_said_once_and_tried_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for age in (40, 41):
        await rig.add(age)
    retention = rig.retention(replace_config(NO_LIMIT, max_days=30, max_bytes=1))
    with monkeypatch.context() as patch:

        def refuse(*_: object, **__: object) -> None:
            raise OSError(30, "Read-only file system")

        patch.setattr(Path, "unlink", refuse)
        for _ in range(3):
            await asyncio.wait_for(retention.run(), 5)
    assert len(await rig.left()) == 2
    assert caplog.text.count("can't be deleted") == 1
    await retention.run()
    assert await rig.left() == []


async def test_a_clock_that_jumps_deletes_nothing(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.add(1)
    retention = rig.retention(replace_config(NO_LIMIT, max_days=30))
    await retention.run()
    rig.wall_s += 400 * 86_400  # a board without a battery, before it has asked the time
    for _ in range(3):
        rig.clock_s += 100
        rig.wall_s += 100
        await retention.run()
    assert await rig.left() == [1]
    assert caplog.text.count("the clock was set by") == 1
    rig.clock_s += module.STEADY_S
    rig.wall_s += module.STEADY_S
    await retention.run()
    assert await rig.left() == []


async def test_age_counts_for_nothing_right_after_the_start(rig: Rig) -> None:
    await rig.add(40)
    retention = rig.retention(replace_config(NO_LIMIT, max_days=30))
    retention._steady_from_s = rig.clock_s
    await retention.run()
    assert await rig.left() == [40]


async def test_gaps_go_with_the_recordings_of_their_time(rig: Rig) -> None:
    for age in (40, 20):
        start_us = NOW_US - age * DAY_US
        number = await rig.index.gaps.open("front", start_us, cause="offline", reason="")
        await rig.index.gaps.close(number, start_us + SECOND_US)
    await rig.add(30)
    retention = rig.retention(NO_LIMIT)
    await retention.run()
    assert len(await rig.index.gaps.find("front", 0, NOW_US)) == 2
    rig.clock_s += module.GAPS_S
    rig.wall_s += module.GAPS_S
    await retention.run()
    assert len(await rig.index.gaps.find("front", 0, NOW_US)) == 1


@pytest.fixture
def ram() -> Iterator[Path]:
    """Return a folder in memory: ten thousand files on a card take half a minute."""
    parent = Path("/dev/shm")
    with TemporaryDirectory(dir=parent if parent.is_dir() else None) as folder:
        yield Path(folder)


async def test_ten_thousand_files_go_in_order(ram: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(ram, monkeypatch)
    await rig.index.open()
    files = []
    for n in range(10_000):
        end_us = NOW_US - 40 * DAY_US + n * 300 * SECOND_US
        folder = f"record/front/d{n // 288}/{n}"
        file = StoredFile(
            kind="record",
            token="front",
            path=f"{folder}/{n}.mp4",
            filename=f"{n}.mp4",
            recording=f"{n}.mp4",
            trigger="always",
            start_us=end_us - 300 * SECOND_US,
            end_us=end_us,
            size_bytes=MEGABYTE,
        )
        files.append(file)
    await rig.index.add_all(files)
    for file in files:
        path = rig.root / file.path
        path.parent.mkdir(parents=True)
        path.touch()
    await rig.volume.check()
    await rig.retention(replace_config(NO_LIMIT, max_bytes=100 * MEGABYTE)).run()
    left = await rig.index.find_after(0, 1000)
    assert [one.filename for one in left] == [f"{n}.mp4" for n in range(9_900, 10_000)]
    assert len(list(rig.root.rglob("*.mp4"))) == 100
    assert len(list((rig.root / "record" / "front").iterdir())) == 1
    await rig.index.close()
    await rig.volume.close()


async def test_it_runs_by_itself_without_haste_and_stops(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    retention = rig.retention(replace_config(NO_LIMIT, max_bytes=1))
    runs = 0
    run = retention.run

    async def count() -> None:
        nonlocal runs
        runs += 1
        await run()

    monkeypatch.setattr(retention, "run", count)
    await rig.add(1)
    retention.start()
    async with asyncio.timeout(5):
        while await rig.index.find_after(0, 1):  # rows go last
            await asyncio.sleep(0.01)
    await retention.close()
    assert runs == 1


def test_as_much_is_kept_as_files_will_grow() -> None:
    growth = Growth()

    def at(second: float, *sizes: int) -> int:
        files = [SimpleNamespace(id=number, size_bytes=size) for number, size in enumerate(sizes)]
        return growth.reserve_bytes(files, second, segment_s=300, most_bytes=10_000)  # type: ignore[arg-type]

    assert at(0, 100, 100) == 0
    assert at(10, 150, 150) == 3000
    assert at(20, 150, 150) == 2700  # a camera that pauses is expected back
    assert at(30, 1150) == 10_000
    assert at(30, 1150) == 10_000


def test_files_are_taken_until_they_are_enough() -> None:
    files = [SimpleNamespace(size_bytes=size) for size in (5, 5, 5)]
    assert take_bytes(files, 10) == files[:2]  # type: ignore[arg-type]
    assert take_bytes(files, 11) == files  # type: ignore[arg-type]
    assert take_bytes(files, 0) == []  # type: ignore[arg-type]


def replace_config(config: RecordingConfig, **changes: int) -> RecordingConfig:
    from msgspec import structs

    return structs.replace(config, **changes)
