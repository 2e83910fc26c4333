"""Hours of recording: over midnight, by days, and where clocks are put forward and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from h5sup.config.model import RecordHours
from h5sup.recording.schedule import is_within

BERLIN = ZoneInfo("Europe/Berlin")
DAY = RecordHours(days=("mon", "tue"), begin="08:00", end="17:30")
NIGHT = RecordHours(days=("fri",), begin="22:00", end="06:00")
ALL_DAY = RecordHours(days=("sun",))


def at(text: str) -> datetime:
    """Return a moment of the week in which Monday is the 23rd of November 2026."""
    day, time = text.split()
    number = ("mon", "tue", "wed", "thu", "fri", "sat", "sun").index(day) + 23
    hour, minute = time.split(":")
    return datetime(2026, 11, number, int(hour), int(minute), tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("mon 07:59", False),
        ("mon 08:00", True),
        ("tue 17:29", True),
        ("tue 17:30", False),
        ("wed 12:00", False),
        ("fri 21:59", False),
        ("fri 22:00", True),
        ("sat 05:59", True),
        ("sat 06:00", False),
        ("sat 22:30", False),
        ("fri 05:00", False),
        ("sun 00:00", True),
        ("sun 23:59", True),
    ],
)
def test_hours_of_a_week(when: str, expected: bool) -> None:
    assert is_within((DAY, NIGHT, ALL_DAY), at(when)) is expected


def test_from_and_to_at_the_same_time_are_a_whole_day() -> None:
    hours = (RecordHours(days=("mon",), begin="12:00", end="12:00"),)
    assert is_within(hours, at("mon 12:00"))
    assert is_within(hours, at("tue 11:59"))
    assert not is_within(hours, at("tue 12:00"))


def test_no_hours_are_never() -> None:
    assert not is_within((), at("mon 12:00"))


def minutes_within(hours: RecordHours, day: datetime) -> int:
    """Return how many minutes of a day in Berlin are recorded, as time passes."""
    moments = (day.astimezone(UTC) + timedelta(minutes=minute) for minute in range(25 * 60))
    local = [one.astimezone(BERLIN) for one in moments]
    return sum(is_within((hours,), one) for one in local if one.date() == day.date())


@pytest.mark.parametrize(
    ("day", "minutes"), [((2026, 3, 29), 60), ((2026, 10, 25), 180), ((2026, 11, 1), 120)]
)
def test_clocks_that_are_put_forward_and_back(day: tuple[int, int, int], minutes: int) -> None:
    hours = RecordHours(begin="01:30", end="03:30")
    assert minutes_within(hours, datetime(*day, tzinfo=BERLIN)) == minutes
