"""What the library finds, on a real index."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from h5sup.base.clock import ServerZone, to_us
from h5sup.recording import library as library_module
from h5sup.recording.library import Library
from h5sup.recording.names import build_path
from h5sup.store.media_index import MediaIndex
from h5sup.store.media_records import Kind, StoredFile, Trigger

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[MediaIndex]:
    index = MediaIndex(tmp_path)
    await index.open()
    yield index
    await index.close()


def file(
    begin: datetime,
    length: timedelta = 5 * MINUTE,
    *,
    token: str = "front",
    kind: Kind = "record",
    trigger: Trigger = "always",
    name: str = "a.mp4",
    is_growing: bool = False,
) -> StoredFile:
    return StoredFile(
        kind=kind,
        token=token,
        path=build_path(kind, token, begin, name, UTC),
        filename=name,
        recording=name,
        trigger=trigger,
        start_us=to_us(begin),
        end_us=to_us(begin + length),
        is_growing=is_growing,
    )


async def test_a_search_finds_what_reaches_into_the_range(index: MediaIndex) -> None:
    await index.add_all([file(NOON + number * 5 * MINUTE) for number in range(4)])
    library = Library(index)

    found = await library.find_files("record", "front", NOON + 7 * MINUTE, NOON + 11 * MINUTE)

    assert [one.start_us for one in found] == [
        to_us(NOON + 5 * MINUTE),
        to_us(NOON + 10 * MINUTE),
    ]


@pytest.mark.parametrize("end", [NOON, NOON - MINUTE])
async def test_a_reversed_or_empty_range_holds_nothing(index: MediaIndex, end: datetime) -> None:
    await index.add(file(NOON - 2 * MINUTE))
    await index.gaps.open("front", to_us(NOON - 3 * MINUTE), cause="offline", reason="Gone.")
    library = Library(index)

    assert await library.find_files("record", "front", NOON, end) == []
    assert await library.find_gaps("front", NOON, end) == []


async def test_an_answer_is_bounded(index: MediaIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_module, "MAX_FOUND", 3)
    for number in range(5):
        begin_us = to_us(NOON + number * MINUTE)
        await index.add(file(NOON + number * MINUTE, name=f"{number}.mp4"))
        gap = await index.gaps.open("front", begin_us, cause="offline", reason="Gone.")
        await index.gaps.close(gap, begin_us + 1)
    library = Library(index)

    found = await library.find_files("record", "front", NOON, NOON + 60 * MINUTE)
    gaps = await library.find_gaps("front", NOON, NOON + 60 * MINUTE)

    assert [one.filename for one in found] == ["0.mp4", "1.mp4", "2.mp4"]
    assert [one.start_us for one in gaps] == [to_us(NOON + n * MINUTE) for n in range(3)]


async def test_a_path_finds_its_file_however_it_is_padded(index: MediaIndex) -> None:
    begin = datetime(2026, 3, 9, 0, 5, 7, tzinfo=UTC)
    number = await index.add(file(begin))
    library = Library(index)

    for path in (
        "/mediastore/record/front/2026-03-09TZ00/00-05-07/a.mp4",
        "/mediastore/record/front/2026-3-9TZ0/0-5-7/a.mp4",
    ):
        found = await library.find_path(path)
        assert found is not None
        assert found.id == number
    for path in (
        "/mediastore/record/front/2026-03-09TZ01/00-05-07/a.mp4",
        "/mediastore/record/*/2026-03-09TZ00/00-05-07/a.mp4",
        "/mediastore/record/front/a.mp4",
        "/mediastore/",
    ):
        assert await library.find_path(path) is None


async def test_days_are_those_of_the_zone_when_the_hour_changes(index: MediaIndex) -> None:
    """The 29th of March 2026 has 23 hours in Berlin, the 25th of October 25."""
    begin = datetime(2026, 3, 29, 23, 58, tzinfo=BERLIN)
    await index.add(file(begin))  # into the 30th
    await index.add(file(datetime(2026, 3, 31, 23, 59, tzinfo=BERLIN), trigger="alarm"))
    await index.add(file(datetime(2026, 10, 25, 23, 59, tzinfo=BERLIN), MINUTE, name="b.mp4"))
    await index.add(file(datetime(2026, 3, 2, tzinfo=BERLIN), token="back"))
    await index.add(file(datetime(2026, 3, 3, tzinfo=BERLIN), kind="snapshot"))
    library = Library(index, zone=BERLIN)

    march = await library.find_days("front", 2026, 3)
    october = await library.find_days("front", 2026, 10)

    assert [day.number for day in march] == list(range(1, 32))
    assert [day.number for day in march if day.has_recording] == [29, 30, 31]
    assert [day.number for day in march if day.has_alarm] == [31]
    assert [day.number for day in await library.find_days("front", 2026, 4)] == list(range(1, 31))
    assert [day.number for day in october if day.has_recording] == [25]
    april = await library.find_days("front", 2026, 4)
    assert [day.number for day in april if day.has_recording] == [1]


async def test_a_growing_recording_marks_its_days(index: MediaIndex) -> None:
    begin = datetime(2026, 12, 30, 23, 50, tzinfo=BERLIN)
    number = await index.add(file(begin, timedelta(), trigger="alarm", is_growing=True))
    index.grow(number, end_us=to_us(begin + 20 * MINUTE), size_bytes=1)

    days = await Library(index, zone=BERLIN).find_days("front", 2026, 12)

    assert [day.number for day in days if day.has_recording and day.has_alarm] == [30, 31]
    assert len(days) == 31


async def test_the_zone_is_the_servers_own(index: MediaIndex) -> None:
    assert isinstance(Library(index).zone, ServerZone)
