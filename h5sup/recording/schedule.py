"""At which hours a source is recorded, by the clock on the wall where the server stands."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from h5sup.config.model import Day, RecordHours

DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def is_within(hours: Iterable[RecordHours], local: datetime) -> bool:
    """Return whether a local time lies in one of the hours.

    Clocks that go back an hour show some times twice, and both are meant.
    """
    minute = local.hour * 60 + local.minute
    today = DAYS[local.weekday()]
    yesterday = DAYS[local.weekday() - 1]
    return any(_covers(one, minute, today, yesterday) for one in hours)


def _covers(hours: RecordHours, minute: int, today: Day, yesterday: Day) -> bool:
    begin, end = _minutes(hours.begin), _minutes(hours.end)
    if begin < end:
        return today in hours.days and begin <= minute < end
    begun_today = today in hours.days and minute >= begin
    return begun_today or (yesterday in hours.days and minute < end)


def _minutes(time_of_day: str) -> int:
    hour, _, minute = time_of_day.partition(":")
    return int(hour) * 60 + int(minute)
