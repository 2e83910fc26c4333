"""Wall time: whole microseconds, and the server's own zone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.clock import ServerZone, from_us, to_us

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@given(st.integers(0, 4_102_444_800_000_000))
def test_microseconds_never_round(moment_us: int) -> None:
    assert to_us(from_us(moment_us)) == moment_us
    assert to_us(from_us(moment_us, BERLIN)) == moment_us


def test_the_servers_zone_changes_its_hour(in_berlin: None) -> None:
    zone = ServerZone()
    for moment in (
        datetime(2026, 1, 1, 12, tzinfo=UTC),
        datetime(2026, 7, 1, 12, tzinfo=UTC),
        datetime(2026, 3, 29, 1, tzinfo=UTC),
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),  # half past two, and once more
        datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
    ):
        local = moment.astimezone(zone)
        assert local.isoformat() == moment.astimezone(BERLIN).isoformat()
        assert local.astimezone(UTC) == moment
        assert local.tzname() == moment.astimezone(BERLIN).tzname()
    assert datetime(2026, 7, 1, tzinfo=zone) == datetime(2026, 7, 1, tzinfo=BERLIN)
    assert datetime(2026, 7, 1, tzinfo=zone).dst() is None
    assert (zone.utcoffset(None), zone.tzname(None)) == (None, None)
    assert from_us(to_us(datetime(2026, 7, 1, tzinfo=UTC)), zone).utcoffset() == timedelta(hours=2)
