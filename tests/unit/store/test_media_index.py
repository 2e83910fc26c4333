"""The index on a real folder: what overlaps, what sums up, and what damage leaves."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest

from h5sup.base.errors import NotFoundError, UnavailableError
from h5sup.store.media_index import FILE_NAME, MediaIndex
from h5sup.store.media_records import Archive, Gap, Kind, StoredFile
from h5sup.store.media_schema import DAY_US, REACHES_US, SECOND_US

MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[MediaIndex]:
    index = MediaIndex(folder)
    try:
        await index.open()
        yield index
    finally:
        await index.close()


def file(
    start_us: int,
    length_us: int = 5 * MINUTE_US,
    *,
    token: str = "front",
    kind: Kind = "record",
    name: str = "",
    is_growing: bool = False,
    size_bytes: int = 10,
) -> StoredFile:
    name = name or f"{token}-{start_us}.mp4"
    return StoredFile(
        kind=kind,
        token=token,
        path=f"{kind}/{token}/2026-11-24TZ00/{start_us}/{name}",
        filename=name,
        recording=name,
        trigger="always",
        start_us=start_us,
        end_us=start_us + length_us,
        size_bytes=size_bytes,
        is_growing=is_growing,
    )


async def starts(index: MediaIndex, begin_us: int, end_us: int) -> list[int]:
    return [one.start_us for one in await index.find_files("record", "front", begin_us, end_us)]


async def test_what_was_added_is_there_after_a_restart(tmp_path: Path) -> None:
    one = replace(file(0), codecs="avc1.42C01E,mp4a.40.2", width=640, height=360)
    async with opened(tmp_path) as index:
        number = await index.add(one)
    async with opened(tmp_path) as index:
        assert await index.get(number) == replace(one, id=number)
        assert await index.find_path(one.path) == replace(one, id=number)
        assert await index.find_path(one.path + "x") is None
        with pytest.raises(NotFoundError):
            await index.get(number + 1)
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o077 == 0


async def test_the_same_path_is_the_same_file(tmp_path: Path) -> None:
    async with opened(tmp_path) as index:
        first = await index.add(file(0, name="a.mp4"))
        assert await index.add(file(0, HOUR_US, name="a.mp4")) == first
        assert (await index.get(first)).end_us == HOUR_US
        (total,) = await index.find_totals()
        assert (total.files, total.duration_us) == (1, HOUR_US)


@pytest.mark.parametrize("range_us", [(10, 10), (20, 10), (10, -10)])
async def test_a_reversed_or_empty_range_holds_nothing(
    tmp_path: Path, range_us: tuple[int, int]
) -> None:
    async with opened(tmp_path) as index:
        await index.add(file(0))
        await index.gaps.open("front", 0, cause="offline", reason="it is off")
        assert await starts(index, *range_us) == []
        assert await index.gaps.find("front", *range_us) == []


async def test_the_borders_of_a_range(tmp_path: Path) -> None:
    async with opened(tmp_path) as index:
        await index.add_all([file(100, 50), file(150, 50), file(200, 50)])
        assert await starts(index, 150, 200) == [150]
        assert await starts(index, 149, 201) == [100, 150, 200]
        assert await starts(index, 0, 100) == []
        assert await starts(index, 250, 300) == []
        assert await index.find_files("record", "other", 0, 300) == []
        assert await index.find_files("archive", "front", 0, 300) == []
        assert len(await index.find_files("record", "front", 0, 300, limit=2)) == 2


async def test_a_snapshot_is_a_moment(tmp_path: Path) -> None:
    async with opened(tmp_path) as index:
        await index.add(file(100, 0, kind="snapshot"))
        for range_us, count in (((100, 101), 1), ((99, 100), 0), ((101, 200), 0), ((0, 200), 1)):
            assert len(await index.find_files("snapshot", "front", *range_us)) == count


async def test_files_of_any_length_are_found_as_by_looking_at_each(tmp_path: Path) -> None:
    chance = random.Random(5)
    edges = [reach + step for reach in REACHES_US for step in (-1, 0, 1)]
    lengths = [*edges, -HOUR_US, 0, 1, MINUTE_US, 5 * DAY_US]
    files = [
        replace(
            file(chance.randrange(10 * DAY_US), chance.choice(lengths), name=f"{n}.mp4"),
            is_growing=n % 50 == 0,
        )
        for n in range(400)
    ]
    async with opened(tmp_path) as index:
        await index.add_all(files)
        for _ in range(60):
            begin_us = chance.randrange(10 * DAY_US)
            end_us = begin_us + chance.choice((1, MINUTE_US, DAY_US))
            expected = sorted(
                one.start_us
                for one in files
                if one.start_us < end_us and (one.end_us > begin_us or one.start_us >= begin_us)
            )
            assert await starts(index, begin_us, end_us) == expected


def plan(folder: Path, sql: str) -> str:
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        return " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}"))


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("SELECT id FROM files WHERE is_growing = 1 ORDER BY id", "files_growing"),
        (
            "SELECT id FROM files WHERE kind = 'record' AND is_growing = 0 AND end_us < 9 "
            "ORDER BY end_us, id LIMIT 5",
            "files_by_age",
        ),
    ],
)
async def test_retention_and_healing_have_their_index(tmp_path: Path, sql: str, name: str) -> None:
    async with opened(tmp_path):
        used = plan(tmp_path, sql)
    assert name in used
    assert "TEMP B-TREE" not in used


async def test_a_growing_file_is_as_long_as_it_is_now(tmp_path: Path) -> None:
    async with opened(tmp_path) as index:
        number = await index.add(file(0, 0, is_growing=True, size_bytes=0))
        assert await starts(index, HOUR_US, 2 * HOUR_US) == []
        index.grow(number, end_us=26 * HOUR_US, size_bytes=500)
        (found,) = await index.find_files("record", "front", 25 * HOUR_US, 30 * HOUR_US)
        assert (found.end_us, found.size_bytes, found.is_growing) == (26 * HOUR_US, 500, True)
        assert index.growing() == [found]
        assert index.is_written(number)
        assert await index.find_oldest("record") == []
        assert await index.find_growing() == [found]

        await index.finish(number, end_us=27 * HOUR_US, size_bytes=600)
        assert not index.is_written(number)
        assert index.growing() == await index.find_growing() == []
        index.grow(number, end_us=1, size_bytes=1)  # a late word changes nothing
        done = await index.get(number)
        assert (done.end_us, done.size_bytes, done.is_growing) == (27 * HOUR_US, 600, False)
        assert await index.find_oldest("record") == [done]


async def test_what_grew_when_the_server_died_is_known(tmp_path: Path) -> None:
    async with opened(tmp_path) as index:
        number = await index.add(file(0, is_growing=True))
    async with opened(tmp_path) as index:
        (found,) = await index.find_growing()
        assert found.id == number
        assert not index.is_written(number)
        await index.finish(number, end_us=7, size_bytes=8)
        assert (await index.get(number)).end_us == 7


async def test_a_recording_is_found_by_its_name_and_those_of_its_files(tmp_path: Path) -> None:
    first = file(HOUR_US, name="visit.mp4")
    second = replace(file(2 * HOUR_US, name="visit-2.mp4"), recording="visit.mp4")
    async with opened(tmp_path) as index:
        await index.add_all([second, first, file(0, name="else.mp4")])
        await index.add(file(0, name="visit.mp4", token="back"))
        for name in ("visit", "visit.mp4", "visit-2", "visit-2.mp4"):
            found = await index.find_recording("record", "front", name)
            assert [one.filename for one in found] == ["visit.mp4", "visit-2.mp4"]
        for name in ("vis", "", "%", "visit.jpg"):
            assert await index.find_recording("record", "front", name) == []


async def test_sums_follow_every_change(tmp_path: Path) -> None:
    async with opened(tmp_path) as index:
        a, b, c = await index.add_all(
            [file(0), file(HOUR_US), replace(file(DAY_US), token="back", size_bytes=7)]
        )
        sums = {(one.token, one.day): one for one in await index.find_totals()}
        assert sums["front", 0].files == 2
        assert sums["front", 0].size_bytes == 20
        assert sums["front", 0].duration_us == 10 * MINUTE_US
        assert sums["back", 1].size_bytes == 7
        assert [one.day for one in await index.find_totals(from_day=1)] == [1]

        await index.finish(a, end_us=MINUTE_US, size_bytes=1)
        await index.delete([b, c, 999])
        (one,) = await index.find_totals()
        assert (one.kind, one.token, one.day, one.files) == ("record", "front", 0, 1)
        assert (one.size_bytes, one.duration_us) == (1, MINUTE_US)


async def test_oldest_go_by_their_end_and_those_of_a_source_by_their_beginning(
    tmp_path: Path,
) -> None:
    long, short = file(0, DAY_US), file(HOUR_US)
    async with opened(tmp_path) as index:
        await index.add_all([long, short, file(2, token="back"), file(3, is_growing=True)])
        everyone = await index.find_oldest("record")
        assert [one.start_us for one in everyone] == [2, HOUR_US, 0]
        assert [one.start_us for one in await index.find_oldest("record", limit=1)] == [2]
        front = await index.find_oldest("record", token="front")
        assert [one.start_us for one in front] == [0, HOUR_US]
        before = await index.find_oldest("record", token="front", before_us=DAY_US)
        assert [one.start_us for one in before] == [HOUR_US]
        assert [one.start_us for one in await index.find_oldest("record", before_us=DAY_US)] == [
            2,
            HOUR_US,
        ]


async def test_folders_and_all_files_can_be_gone_through(tmp_path: Path) -> None:
    async with opened(tmp_path) as index:
        await index.add_all([file(n, token=token) for n in range(3) for token in ("a", "a.b")])
        below = await index.find_below("record/a")
        assert [one.token for one in below] == ["a", "a", "a"]
        seen: list[int] = []
        while some := await index.find_after(seen[-1] if seen else 0, 4):
            seen += [one.id for one in some]
        assert len(set(seen)) == 6


async def test_gaps_open_close_and_last(tmp_path: Path) -> None:
    async with opened(tmp_path) as index:
        first = await index.gaps.open("front", 100, cause="offline", reason="the camera is off")
        second = await index.gaps.open("front", 50_000, cause="disk", reason="the disk is full")
        await index.gaps.open("back", 1, cause="disk", reason="the disk is full")
        await index.gaps.close(first, 200)
        done, lasting = await index.gaps.find("front", 0, 10**18)
        assert done == Gap(
            id=first,
            token="front",
            start_us=100,
            end_us=200,
            cause="offline",
            reason="the camera is off",
        )
        assert (lasting.id, lasting.end_us) == (second, None)
        assert await index.gaps.find("front", 200, 50_000) == []
        assert [one.id for one in await index.gaps.find("front", 10**15, 10**16)] == [second]
        assert len(await index.gaps.find_open()) == 2


async def test_a_gap_without_any_time_is_none(tmp_path: Path) -> None:
    async with opened(tmp_path) as index:
        for end_us in (100, 90):
            number = await index.gaps.open("front", 100, cause="offline", reason="")
            await index.gaps.close(number, end_us)
        assert await index.gaps.find("front", 0, 10**18) == []


async def test_old_gaps_go_and_open_ones_stay(tmp_path: Path) -> None:
    async with opened(tmp_path) as index:
        await index.gaps.add(
            Gap(token="front", start_us=1, end_us=9, cause="restart", reason="it was off")
        )
        await index.gaps.open("front", 2, cause="offline", reason="")
        await index.gaps.delete(9)
        assert len(await index.gaps.find("front", 0, 100)) == 2
        await index.gaps.delete(10)
        assert [one.end_us for one in await index.gaps.find("front", 0, 100)] == [None]


async def test_notes_are_kept(tmp_path: Path) -> None:
    async with opened(tmp_path) as index:
        assert await index.find_note("alive") is None
        await index.note("alive", 5)
        await index.note("alive", 2**60)
    async with opened(tmp_path) as index:
        assert await index.find_note("alive") == 2**60


async def test_clearing_spares_gaps_and_what_grows(tmp_path: Path) -> None:
    async with opened(tmp_path) as index:
        await index.add(file(0))
        number = await index.add(file(1, is_growing=True))
        await index.gaps.open("front", 0, cause="offline", reason="")
        await index.clear_files()
        assert [one.id for one in await index.find_after(0, 10)] == [number]
        assert len(await index.gaps.find_open()) == 1


@pytest.mark.parametrize(
    "damage", [b"no database", bytes(100_000), b"SQLite format 3\0" + b"\xff" * 8176]
)
async def test_a_damaged_file_is_set_aside_at_the_start(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE_NAME).write_bytes(damage)
    async with opened(tmp_path) as index:
        assert index.is_lost
        await index.add(file(0))
        assert await starts(index, 0, 10) == [0]
    assert (tmp_path / f"{FILE_NAME}.damaged").read_bytes() == damage
    assert caplog.text.count("it is set aside as media.db.damaged") == 1


async def test_a_file_of_another_version_is_set_aside(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute("CREATE TABLE files (id)")
        connection.execute("PRAGMA user_version = 99")
    async with opened(tmp_path) as index:
        assert index.is_lost
        await index.add(file(0))


def scribble(path: Path) -> None:
    """Write over the newer half of the pages."""
    with path.open("r+b") as target:
        size = target.seek(0, 2)
        target.seek(size // 2)
        target.write(b"\x5a" * (size - size // 2))


async def test_damage_that_is_met_while_running_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path) as index:
        await index.add_all([file(n * MINUTE_US) for n in range(2000)])
    scribble(tmp_path / FILE_NAME)
    losses: list[bool] = []
    async with opened(tmp_path) as index:
        index.on_loss = lambda: losses.append(True)
        number = await index.add(file(5, is_growing=True, name="now.mp4"))
        index.grow(number, end_us=99, size_bytes=77)
        assert [one.id for one in await index.find_files("record", "front", 0, DAY_US)] == [number]
        await index.check()
        await index.finish(number, end_us=100, size_bytes=78)
        assert (await index.get(number)).size_bytes == 78
    assert losses == [True]
    assert caplog.text.count("is set aside") == 1


async def crash(folder: Path) -> None:
    """Leave a journal behind, as a run does that was killed."""
    async with opened(folder) as index:
        await index.add(file(0))
        for suffix in ("", "-wal"):
            data = (folder / (FILE_NAME + suffix)).read_bytes()
            (folder / ("kept" + suffix)).write_bytes(data)
    for suffix in ("", "-wal"):
        (folder / ("kept" + suffix)).rename(folder / (FILE_NAME + suffix))


async def test_it_is_known_that_the_last_run_died(tmp_path: Path) -> None:
    await crash(tmp_path)
    async with opened(tmp_path) as index:
        assert index.was_cut_off
        await index.check()
        assert await starts(index, 0, 10) == [0]
    async with opened(tmp_path) as index:
        assert not index.was_cut_off


async def test_damage_that_nobody_has_met_is_found(tmp_path: Path) -> None:
    async with opened(tmp_path) as index:
        await index.add_all([file(n * MINUTE_US) for n in range(2000)])
    scribble(tmp_path / FILE_NAME)
    losses: list[bool] = []
    async with opened(tmp_path) as index:
        index.on_loss = lambda: losses.append(True)
        await index.check()
        await index.check()
        await index.add(file(0))
    assert losses == [True]


async def test_a_check_can_be_cancelled_and_stops_nobody(tmp_path: Path) -> None:
    async with opened(tmp_path) as index:
        await index.add_all([file(n * MINUTE_US) for n in range(20_000)])
        checking = asyncio.create_task(index.check())
        await asyncio.sleep(0.005)
        assert len(await index.find_files("record", "front", 0, HOUR_US)) == 60
        checking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await checking
        assert not index.is_lost


async def test_an_index_in_memory_needs_no_check(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    async with opened(tmp_path) as index:
        await index.check()
        assert index.is_in_memory


async def test_what_grows_survives_the_loss_of_the_file(tmp_path: Path) -> None:
    async with opened(tmp_path) as index:
        number = await index.add(file(0, is_growing=True))
        index.grow(number, end_us=50, size_bytes=5)
        await index._database._begin_anew(sqlite3.DatabaseError("a test"))
        assert [one.end_us for one in await index.find_growing()] == [50]
        await index.finish(number, end_us=60, size_bytes=6)
        assert (await index.get(number)).end_us == 60


async def test_a_folder_that_takes_no_file_has_the_index_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE_NAME).mkdir()
    async with opened(tmp_path) as index:
        assert index.is_lost
        await index.add(file(0))
        assert await starts(index, 0, 10) == [0]
    assert caplog.text.count("the index is kept in memory") == 1


async def test_a_full_disk_changes_nothing_and_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as index:
        await index.add(file(0))
        await index._database._writer.run(lambda one: one.execute("PRAGMA max_page_count = 1"))
        with pytest.raises(UnavailableError, match="full"):
            await index.add_all([file(n) for n in range(1, 2000)])
        assert await starts(index, 0, DAY_US) == [0]
        await index._database._writer.run(
            lambda one: one.execute("PRAGMA max_page_count = 100000")
        )
        await index.add(file(1))
        assert await starts(index, 0, DAY_US) == [0, 1]


async def test_what_became_of_archives_is_kept(tmp_path: Path) -> None:
    row = Archive(id=1, token="front", filename="a.mp4", path="archive/front/x/y/a.mp4")
    async with opened(tmp_path) as index:
        await index.archives.add(row)
        assert await index.archives.find_unfinished() == [row]
        await index.archives.set_state(row, "failed", "the disk was full")
    async with opened(tmp_path) as index:
        assert await index.archives.find_unfinished() == []
        kept = await index.archives.find("front", "a.mp4")
        assert kept == replace(row, state="failed", reason="the disk was full")
        assert await index.archives.find("back", "a.mp4") is None


async def test_only_the_newest_archives_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("h5sup.store.media_archives.MAX_ARCHIVES", 2)
    async with opened(tmp_path) as index:
        for number in range(3):
            await index.archives.add(Archive(token="front", filename=f"{number}.mp4", path="x"))
        found = [await index.archives.find("front", f"{number}.mp4") for number in range(3)]
    assert [one is not None for one in found] == [False, True, True]
