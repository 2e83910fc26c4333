"""Bytes a day, days left and the date on which the disk is full."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from h5sup.base.errors import UnavailableError
from h5sup.config.model import RecordingConfig
from h5sup.events.hub import Hub
from h5sup.recording.mounts import MountGuard
from h5sup.recording.outlook import Bounds, Forecast, Outlook, build_outlook, count_days
from h5sup.recording.volume import Volume
from h5sup.store.media_index import MediaIndex
from h5sup.store.media_records import StoredFile, Total
from h5sup.store.media_schema import DAY_US, SECOND_US

GB = 1_000_000_000
TODAY = 20_000
NOON_US = TODAY * DAY_US + DAY_US // 2
FREE = Bounds(free_bytes=100 * GB, max_bytes=0, max_days=0, by_source={})


def total(day: int, size_bytes: int, token: str = "front") -> Total:
    return Total("record", token, day, 288, size_bytes, DAY_US)


def file(start_us: int, end_us: int, size_bytes: int, *, is_growing: bool = True) -> StoredFile:
    return StoredFile(
        kind="record",
        token="front",
        path=f"record/front/x/{start_us}",
        filename="x.mp4",
        recording="x.mp4",
        trigger="always",
        start_us=start_us,
        end_us=end_us,
        size_bytes=size_bytes,
        is_growing=is_growing,
    )


def test_a_source_that_has_been_recorded_for_weeks() -> None:
    totals = [total(day, 10 * GB) for day in range(TODAY - 30, TODAY)] + [total(TODAY, 5 * GB)]
    begins = {"front": (TODAY - 30) * DAY_US}
    found = build_outlook(totals, [], begins, FREE, NOON_US)
    assert found.bytes_per_day == 10 * GB
    assert found.size_bytes == 305 * GB
    assert found.days_left == 10
    assert found.full_at == datetime.fromtimestamp(NOON_US / 1e6, UTC) + timedelta(days=10)
    (share,) = found.shares
    assert (share.token, share.files, share.days_left) == ("front", 31 * 288, 10)


def test_a_disk_that_holds_less_than_a_week_tells_the_same_rate() -> None:
    begins = {"front": (TODAY - 1) * DAY_US + DAY_US // 2}
    totals = [total(TODAY - 1, 5 * GB), total(TODAY, 5 * GB)]
    assert build_outlook(totals, [], begins, FREE, NOON_US).bytes_per_day == 10 * GB


def test_a_new_server_tells_after_ten_minutes() -> None:
    begun_us = NOON_US - 599 * SECOND_US
    growing = [file(begun_us, NOON_US, GB)]
    assert build_outlook([], growing, {}, FREE, NOON_US).bytes_per_day == 0
    later = build_outlook([], growing, {}, FREE, NOON_US + SECOND_US)
    assert later.bytes_per_day == 144 * GB
    assert (later.size_bytes, later.files) == (GB, 1)


def test_several_sources_and_a_bound_of_one() -> None:
    totals = [total(TODAY - 1, 10 * GB, token) for token in ("a", "b")]
    begins = dict.fromkeys(("a", "b"), (TODAY - 1) * DAY_US + DAY_US // 2)
    bounds = Bounds(free_bytes=100 * GB, max_bytes=0, max_days=0, by_source={"b": 15 * GB})
    found = build_outlook(totals, [], begins, bounds, NOON_US)
    assert found.days_left == 5
    assert [share.days_left for share in found.shares] == [5, 0.5]


def test_what_all_may_hold_counts_as_the_disk_does() -> None:
    bounds = Bounds(free_bytes=100 * GB, max_bytes=15 * GB, max_days=0, by_source={})
    totals, begins = [total(TODAY - 1, 10 * GB)], {"front": NOON_US - DAY_US}
    assert build_outlook(totals, [], begins, bounds, NOON_US).days_left == 0.5


@pytest.mark.parametrize(
    ("size", "room", "rate", "max_days", "days"),
    [
        (0, 100, 10, 0, 10),
        (0, 100, 0, 0, None),  # nothing grows
        (0, 100, 10, 10, None),  # it fits
        (0, 99, 10, 10, 9.9),
        (90, 10, 10, 10, None),
        (50, 0, 10, 0, 0),  # the oldest go now
        (0, 10**12, 1, 0, None),  # in two billion years
    ],
)
def test_days_left(size: int, room: int, rate: int, max_days: int, days: float | None) -> None:
    assert count_days(size, room, rate, max_days) == days


def test_nothing_recorded_is_no_outlook() -> None:
    assert build_outlook([], [], {}, FREE, NOON_US) == Outlook()


async def test_it_looks_into_the_index_by_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("h5sup.recording.outlook.REFRESH_S", 0.001)
    index = MediaIndex(tmp_path)
    await index.open()
    volume = Volume(MountGuard(tmp_path / "ms", tmp_path), Hub(), keep_free_bytes=0)
    await volume.check()
    config = RecordingConfig(max_days=0, max_bytes=3 * GB)
    forecast = Forecast(index, volume, config, dict, wall_s=lambda: NOON_US / 1e6)
    forecast.start()
    await index.add(file(NOON_US - DAY_US, NOON_US, GB, is_growing=False))
    async with asyncio.timeout(5):
        while not forecast.newest.files:
            await asyncio.sleep(0.001)
        assert forecast.newest.bytes_per_day == GB
        assert forecast.newest.days_left == 2

        async def refuse(**_: object) -> list[Total]:
            raise UnavailableError("media.db can't be used")

        monkeypatch.setattr(index, "find_totals", refuse)
        while "what recordings take is not known" not in caplog.text:
            await asyncio.sleep(0.001)
    await forecast.close()
    await volume.close()
    await index.close()
