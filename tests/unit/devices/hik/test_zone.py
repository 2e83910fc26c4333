"""Time zones as Hikvision writes them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import MediaFormatError
from h5sup.devices.hik.zone import parse_zone

BERLIN = "CST-1:00:00DST01:00:00,M3.5.0/02:00:00,M10.5.0/03:00:00"
SYDNEY = "CST-10:00:00DST01:00:00,M10.1.0/02:00:00,M4.1.0/03:00:00"
MOMENTS = st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (the strategy adds it)


@pytest.mark.parametrize(
    ("text", "hours"),
    [("CST-8:00:00", 8), ("CST+5:00:00", -5), ("CST-5:30:00", 5.5), ("GMT0", 0), ("<+03>-3", 3)],
)
def test_a_negative_offset_is_east(text: str, hours: float) -> None:
    noon = datetime(2026, 11, 24, 12, tzinfo=UTC)
    wall = parse_zone(text).to_wall(noon)
    assert wall == noon.replace(tzinfo=None) + timedelta(hours=hours)
    assert parse_zone(text).to_utc(wall) == noon


@pytest.mark.parametrize(
    ("text", "place"), [(BERLIN, "Europe/Berlin"), (SYDNEY, "Australia/Sydney")]
)
@given(moment=MOMENTS)
def test_summer_time_is_that_of_the_place(text: str, place: str, moment: datetime) -> None:
    wall = parse_zone(text).to_wall(moment)
    assert wall == moment.astimezone(ZoneInfo(place)).replace(tzinfo=None)


@given(moment=MOMENTS)
def test_wall_time_leads_back_to_its_moment_or_the_hour_before_that(moment: datetime) -> None:
    zone = parse_zone(BERLIN)
    back = zone.to_utc(zone.to_wall(moment))
    assert back in (moment, moment - timedelta(hours=1))
    assert zone.to_wall(back) == zone.to_wall(moment)


def test_an_hour_that_comes_twice_is_the_first() -> None:
    zone = parse_zone(BERLIN)
    assert zone.to_utc(datetime(2026, 10, 25, 2, 30)) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # noqa: DTZ001
    assert zone.to_utc(datetime(2026, 7, 1, 12)) == datetime(2026, 7, 1, 10, tzinfo=UTC)  # noqa: DTZ001
    assert zone.to_utc(datetime(2026, 1, 1, 12)) == datetime(2026, 1, 1, 11, tzinfo=UTC)  # noqa: DTZ001


def test_summer_time_without_amount_and_hour_is_an_hour_at_two() -> None:
    assert parse_zone("CET-1CEST,M3.5.0,M10.5.0/03") == parse_zone(BERLIN)


def test_the_ends_of_time_do_not_matter() -> None:
    zone = parse_zone(BERLIN)
    assert zone.to_wall(datetime.min.replace(tzinfo=UTC)).year == 1970
    assert zone.to_wall(datetime.max.replace(tzinfo=UTC)).year == 2037


@pytest.mark.parametrize(
    "text",
    [
        "", "CST", "8", "CST-16:00:00", "CST-1:00:00DST", "CST-1:00:00DST09:00:00,M3.5.0,M10.5.0",
        "CST-1DST00:00:00,M3.5.0,M10.5.0", "CST-1DST1,M13.5.0,M10.5.0", "CST-1DST1,M3.0.0,M10.5.0",
        "CST-1DST1,M3.5.7,M10.5.0", "CST-1DST1,J60,J300", "x" * 1000,
    ],
)  # fmt: skip
def test_what_is_no_zone_is_refused(text: str) -> None:
    with pytest.raises(MediaFormatError, match="is no time zone"):
        parse_zone(text)


@pytest.mark.parametrize("length", range(len(BERLIN)))
def test_every_truncation_is_a_zone_or_refused(length: int) -> None:
    with suppress(MediaFormatError):
        assert parse_zone(BERLIN[:length]).offset == timedelta(hours=1)
