from __future__ import annotations

from datetime import UTC, datetime, timedelta

from h5sup.base.clock import to_us
from h5sup.devices.rtsp.showing import SECOND_US, Calendar, Showing, match_times
from h5sup.devices.rtsp.tempo import Tempo
from h5sup.formats.rtsp import PlayRange, parse_range

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
AT = to_us(NOON)


def clock(hours: float, seconds: float = 0) -> PlayRange:
    """Return a Range of a device whose clock is so many hours ahead."""
    return PlayRange(clock=NOON + timedelta(hours=hours, seconds=seconds))


def test_a_clock_of_any_zone_is_understood_and_spoken() -> None:
    for hours in (0, 8, -3.5, 5.75):
        calendar = Calendar()
        calendar.learn(AT, clock(hours, -3))
        assert calendar.is_known
        assert calendar.find(AT, clock(hours, -3)) == AT - 3 * SECOND_US
        asked = parse_range(calendar.build_range(AT + 60 * SECOND_US))
        assert asked == clock(hours, 60)


def test_seconds_are_counted_from_the_begin_that_was_asked_for_or_another() -> None:
    calendar = Calendar()
    calendar.learn(AT, PlayRange(npt_s=0.5))
    assert calendar.find(AT, PlayRange(npt_s=0.5)) == AT + SECOND_US // 2
    assert calendar.build_range(AT + 90 * SECOND_US) == "npt=90.000-"
    assert calendar.build_range(AT - 90 * SECOND_US) == "npt=0.000-"
    midnight = Calendar()
    midnight.learn(AT, PlayRange(npt_s=12 * 3600))
    assert midnight.find(AT, PlayRange(npt_s=12 * 3600)) == AT
    assert midnight.build_range(AT + SECOND_US) == "npt=43201.000-"


def test_what_can_not_be_what_was_asked_for_is_not_believed() -> None:
    calendar = Calendar()
    calendar.learn(AT, None)
    calendar.learn(AT, PlayRange())
    assert not calendar.is_known
    assert calendar.find(AT, clock(0)) is None
    assert calendar.find(AT, PlayRange(npt_s=1)) is None
    calendar.learn(AT, clock(8))
    assert calendar.find(AT, None) is None
    assert calendar.find(AT, clock(8, 40)) is None
    assert calendar.find(AT, PlayRange(npt_s=0)) is None  # it has told a clock before


def test_a_showing_begins_so_long_before_its_range() -> None:
    showing = Showing("rtsp://h", AT, 4.0, is_described=True, tempo=Tempo.ORIGINAL)
    assert showing.begin_us == AT
    showing.range_us, showing.lead_us = AT - SECOND_US, -SECOND_US
    assert showing.begin_us == AT - 2 * SECOND_US
    showing.tempo = Tempo.COMPRESSED
    assert showing.begin_us == AT - 5 * SECOND_US


def test_the_times_of_tracks_are_found_however_they_are_named() -> None:
    urls = ["rtsp://10.0.0.9/t?a=b/trackID=1", "rtsp://10.0.0.9/t?a=b/trackID=2"]
    assert match_times([(urls[1], 2), (urls[0], 1)], urls) == {0: 1, 1: 2}
    assert match_times([("rtsp://192.168.1.9/trackID=2", 2)], urls) == {1: 2}
    assert match_times([("trackID=1", 1)], urls) == {0: 1}
    assert match_times([("", 1), ("", 2)], urls) == {0: 1, 1: 2}
    assert match_times([("rtsp://10.0.0.9/other", 1)], urls) == {}
