"""The gaps of the time in which h5sup did not run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from h5sup.base.errors import UnavailableError
from h5sup.recording import absence as module
from h5sup.recording.absence import Absence
from h5sup.store.media_index import MediaIndex
from h5sup.store.media_records import StoredFile, Trigger

EVER_US = 2**60


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[MediaIndex]:
    one = MediaIndex(tmp_path)
    await one.open()
    yield one
    await one.close()


async def gaps(index: MediaIndex, token: str = "front") -> list[tuple[int, int | None, str]]:
    found = await index.gaps.find(token, 0, EVER_US)
    return [(gap.start_us, gap.end_us, gap.cause) for gap in found]


def file(token: str = "front", trigger: Trigger = "always", end_us: int = 50) -> StoredFile:
    return StoredFile(
        kind="record",
        token=token,
        path=f"record/{token}/{trigger}/{end_us}",
        filename="x.mp4",
        recording="x.mp4",
        trigger=trigger,
        start_us=40,
        end_us=end_us,
        is_growing=True,
    )


async def test_the_first_start_of_all_has_no_gap(index: MediaIndex) -> None:
    await index.add(file())
    await Absence(index).settle()
    assert await gaps(index) == []


async def test_a_source_that_was_away_before_was_so_until_h5sup_died(index: MediaIndex) -> None:
    await index.gaps.open("front", 100, cause="offline", reason="the camera is off")
    await index.note("alive_us", 500)
    await Absence(index).settle()
    assert await gaps(index) == [(100, 500, "offline"), (500, None, "restart")]


async def test_a_gap_that_had_just_begun_is_one_of_the_absence(index: MediaIndex) -> None:
    await index.gaps.open("front", 600, cause="offline", reason="the camera is off")
    await index.note("alive_us", 500)
    await Absence(index).settle()
    assert await gaps(index) == [(600, None, "restart")]


async def test_a_gap_that_a_stop_in_order_has_begun_goes_on(index: MediaIndex) -> None:
    await index.gaps.open("front", 100, cause="restart", reason="h5sup stopped")
    await index.note("alive_us", 500)
    await Absence(index).settle()
    assert await gaps(index) == [(100, None, "restart")]


async def test_what_was_recorded_when_h5sup_died_is_missing_from_its_last_picture(
    index: MediaIndex,
) -> None:
    await index.add_all([file(), file("back", "schedule"), file("gate", "manual")])
    await index.note("alive_us", 500)
    absence = Absence(index)
    await absence.settle()
    assert await gaps(index) == [(500, None, "restart")]
    assert await gaps(index, "back") == [(500, None, "restart")]
    assert await gaps(index, "gate") == []  # nobody wants it any more
    await absence.correct(replace(file(), end_us=520))
    await absence.correct(replace(file(), end_us=510))  # the file before it, closed late
    await absence.correct(file("gate", "manual"))
    assert await gaps(index) == [(520, None, "restart")]


async def test_a_file_that_was_closed_since_the_last_note_is_no_gap(index: MediaIndex) -> None:
    await index.add_all([replace(file(end_us=530), is_growing=False), file(end_us=529)])
    await index.note("alive_us", 500)
    await Absence(index).settle()
    assert await gaps(index) == [(530, None, "restart")]


async def test_a_correction_reaches_a_gap_that_is_over(index: MediaIndex) -> None:
    await index.add(file())
    await index.note("alive_us", 500)
    absence = Absence(index)
    await absence.settle()
    (gap,) = await index.gaps.find_open()
    await index.gaps.close(gap.id, 700)
    await absence.correct(replace(file(), end_us=520))
    assert await gaps(index) == [(520, 700, "restart")]
    await absence.correct(replace(file(), end_us=700))
    assert await gaps(index) == []


async def test_it_notes_that_it_lives_and_when_it_ended(
    index: MediaIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NOTE_S", 0.001)
    wall_s = 5.0
    absence = Absence(index, lambda: wall_s)
    absence.start()
    async with asyncio.timeout(5):
        while await index.find_note("alive_us") != 5_000_000:
            await asyncio.sleep(0.001)
        wall_s = 6.0
        while await index.find_note("alive_us") != 6_000_000:
            await asyncio.sleep(0.001)
    wall_s = 7.0
    await absence.close()
    assert await index.find_note("alive_us") == 7_000_000


async def test_an_index_that_can_not_be_written_is_no_end(
    index: MediaIndex, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(*_: object) -> None:
        raise UnavailableError("media.db can't be used: database or disk is full")

    monkeypatch.setattr(index, "note", refuse)
    monkeypatch.setattr(index, "find_note", refuse)
    absence = Absence(index)
    await absence.settle()
    absence.start()
    await asyncio.sleep(0)
    await absence.close()
    assert caplog.text.count("is not noted") == 3
