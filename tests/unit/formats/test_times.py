"""Times as real clients write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import InvalidError
from h5sup.formats.times import parse_time

CHINA = timezone(timedelta(hours=8))
INDIA = timezone(timedelta(hours=5, minutes=30))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2018-03-07T120101+08", datetime(2018, 3, 7, 12, 1, 1, tzinfo=CHINA)),
        ("2018-03-07T120101 08", datetime(2018, 3, 7, 12, 1, 1, tzinfo=CHINA)),
        ("2019-10-14T02:00:00.000Z", datetime(2019, 10, 14, 2, tzinfo=UTC)),
        ("2021-09-29T06:17:39.000Z08:00", datetime(2021, 9, 29, 6, 17, 39, tzinfo=UTC)),
        ("2020-3-9T0:5:7+08:00", datetime(2020, 3, 9, 0, 5, 7, tzinfo=CHINA)),
        ("2020-3-9T0:5:7 08:00", datetime(2020, 3, 9, 0, 5, 7, tzinfo=CHINA)),
        ("2020-03-09T00:05:07-0800", datetime(2020, 3, 9, 8, 5, 7, tzinfo=UTC)),
        ("2020-03-09 00:05:07", datetime(2020, 3, 9, 0, 5, 7, tzinfo=INDIA)),
        ("2020-03-09T00:05", datetime(2020, 3, 9, 0, 5, tzinfo=INDIA)),
        ("2020-03-09T00:05:07.5", datetime(2020, 3, 9, 0, 5, 7, 500_000, tzinfo=INDIA)),
        ("2020-03-09T000507.25Z", datetime(2020, 3, 9, 0, 5, 7, 250_000, tzinfo=UTC)),
        (" 2020-3-9 ", datetime(2020, 3, 9, tzinfo=INDIA)),
    ],
)
def test_time_is_read_as_it_is_meant(text: str, expected: datetime) -> None:
    assert parse_time("start", text, INDIA) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "2020-13-01", "2020-02-30T00:00:00Z", "2020-01-01T24:00:00Z",
        "2020-01-01T00:60:00Z", "2020-01-01T1200Z", "20200101T000000Z", "2020-01-01T00:00:00+25",
        "0001-01-01T00:00:00+08", "9999-12-31T23:59:59-08", "0000-01-01", "2020-01-01T00:00:00+",
        "２０２０-01-01",  # noqa: RUF001 (digits that only look like it)
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidError, match=r"^start: must be a time such as"):
        parse_time("start", text, UTC)


@given(st.datetimes(timezones=st.timezones()).filter(lambda moment: 1 < moment.year < 9999))
def test_every_time_of_python_is_read(moment: datetime) -> None:
    offset = moment.utcoffset() or timedelta()
    whole = moment.replace(tzinfo=timezone(timedelta(minutes=offset // timedelta(minutes=1))))
    assert parse_time("start", whole.isoformat(), UTC) == whole
    utc = whole.astimezone(UTC)
    short = f"{utc.year:04}-{utc.month}-{utc.day}T{utc.hour}:{utc.minute}:{utc.second}Z08:00"
    assert parse_time("start", short, INDIA) == utc.replace(microsecond=0)


PIECES = st.sampled_from([*"0123456789", "2020", "-", ":", "T", "Z", "+", " ", ".", "é", "٣"])


@given(st.one_of(st.text(), st.lists(PIECES, max_size=30).map("".join)))
def test_whatever_comes_is_a_time_with_a_zone_or_refused(text: str) -> None:
    try:
        moment = parse_time("start", text, UTC)
    except InvalidError:
        return
    assert moment.utcoffset() is not None
    assert moment.astimezone(UTC).year > 0
