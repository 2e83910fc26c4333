"""A device's wall clock: its time zone as System/time tells it, and times in it.

The form is that of POSIX (IEEE Std 1003.1 §8.3, `TZ`) with two liberties of Hikvision: minutes are
always written, and behind the name of summer time stands by how much clocks go forward, not an
offset: `CST-1:00:00DST01:00:00,M3.5.0/02:00:00,M10.5.0/03:00:00`. A negative offset is east.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from h5sup.base.errors import MediaFormatError

CLOCK = r"(\d{1,3})(?::(\d{1,2}))?(?::(\d{1,2}))?"
ZONE = re.compile(
    rf"(?:[A-Za-z]+|<[^>]*>)([+-]?){CLOCK}"
    rf"(?:[A-Za-z]+(?:{CLOCK})?,M(\d+)\.(\d)\.(\d)(?:/{CLOCK})?,M(\d+)\.(\d)\.(\d)(?:/{CLOCK})?)?"
)
LARGEST_OFFSET = timedelta(hours=15)
HOUR = timedelta(hours=1)
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)  # nothing was recorded before
LATEST = datetime(2037, 12, 31, tzinfo=UTC)  # clocks of 32 bits: devices refuse what is later
CHANGE_AT = timedelta(hours=2)  # where a rule doesn't say, as POSIX has it


@dataclass(frozen=True, slots=True)
class Change:
    """When clocks change: in a month, the nth (5: the last) of a weekday, 0 being Sunday."""

    month: int
    week: int
    weekday: int
    at: timedelta

    def in_year(self, year: int) -> datetime:
        """Return the moment, by the clock before the change."""
        first = datetime(year, self.month, 1)  # noqa: DTZ001 (a wall clock has no zone)
        ahead = (self.weekday - first.isoweekday()) % 7
        day = first + timedelta(days=ahead + 7 * (self.week - 1))
        while day.month != self.month:
            day -= timedelta(days=7)
        return day + self.at


@dataclass(frozen=True, slots=True)
class Zone:
    """What a device's clock shows; wall times here are naive datetimes."""

    offset: timedelta
    forward: timedelta = timedelta(0)
    begins: Change | None = None
    ends: Change | None = None

    def to_wall(self, moment: datetime) -> datetime:
        """Return what the device's clock shows at an aware moment."""
        moment = min(max(moment, EARLIEST), LATEST).astimezone(UTC)
        standard = moment.replace(tzinfo=None) + self.offset
        return standard + self._forward_at(standard)

    def to_utc(self, wall: datetime) -> datetime:
        """Return the moment at which the clock shows this; of two, the earlier one."""
        standard = wall - self.forward
        if not self._forward_at(standard):
            standard = wall
        return (standard - self.offset).replace(tzinfo=UTC)

    def _forward_at(self, standard: datetime) -> timedelta:
        """Return by how much clocks are forward, at a time by the clock that never changes."""
        if self.begins is None or self.ends is None:
            return timedelta(0)
        begin = self.begins.in_year(standard.year)
        end = self.ends.in_year(standard.year) - self.forward
        is_summer = begin <= standard < end if begin < end else not end <= standard < begin
        return self.forward if is_summer else timedelta(0)


def parse_zone(text: str) -> Zone:
    """Return the zone that System/time names; raises MediaFormatError."""
    found = ZONE.fullmatch(text.strip())
    if found is None:
        raise MediaFormatError(f"{text[:80]!r} is no time zone")
    sign, *parts = found.groups()
    offset = _clock(parts[0:3])
    offset = offset if sign == "-" else -offset
    if abs(offset) > LARGEST_OFFSET:
        raise MediaFormatError(f"{text[:80]!r} is no time zone: so far off is none")
    if parts[6] is None:
        return Zone(offset)
    forward = _clock(parts[3:6]) if parts[3] is not None else HOUR
    if not timedelta(0) < forward <= 3 * HOUR:
        raise MediaFormatError(f"{text[:80]!r} is no time zone: summer time can't be so")
    return Zone(offset, forward, _change(parts[6:12], text), _change(parts[12:18], text))


def _change(parts: list[str | None], text: str) -> Change:
    month, week, weekday = (int(part or 0) for part in parts[:3])
    if not (1 <= month <= 12 and 1 <= week <= 5 and weekday <= 6):
        raise MediaFormatError(
            f"{text[:80]!r} is no time zone: no day is {month}.{week}.{weekday}"
        )
    return Change(month, week, weekday, _clock(parts[3:6]) if parts[3] else CHANGE_AT)


def _clock(parts: list[str | None]) -> timedelta:
    hours, minutes, seconds = (int(part or 0) for part in parts)
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)
