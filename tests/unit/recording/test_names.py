"""Paths as we write them, and as clients do."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import InvalidError
from h5sup.recording.names import (
    build_name,
    build_path,
    check_name,
    find_path,
    parse_moment,
    parse_zone,
)

NOON = datetime(2026, 11, 24, 12, 5, 9, 999_999, tzinfo=UTC)
OFFSETS = [
    (timedelta(hours=8), "TZ08"),
    (timedelta(hours=-5), "TZ-05"),
    (timedelta(hours=5, minutes=30), "TZ05-30"),
    (timedelta(hours=-3, minutes=-30), "TZ-03-30"),
    (timedelta(0), "TZ00"),
    (timedelta(hours=14), "TZ14"),
    (timedelta(hours=12, minutes=45), "TZ12-45"),
]


@contextmanager
def server_in(zone: str) -> Iterator[None]:
    """Let the server's own clock stand in a zone."""
    old = os.environ.get("TZ")
    os.environ["TZ"] = zone
    time.tzset()
    try:
        yield
    finally:
        if old is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = old
        time.tzset()


@pytest.mark.parametrize(("offset", "name"), OFFSETS)
def test_a_path_bears_the_zone_and_leads_back_to_the_second(offset: timedelta, name: str) -> None:
    path = build_path("record", "cam--1", NOON, "a.mp4", timezone(offset))
    assert path.split("/")[2].endswith(name)
    found = find_path(path)
    assert found is not None
    assert found.moment == NOON.replace(microsecond=0)
    assert (found.kind, found.token, found.filename) == ("record", "cam--1", "a.mp4")
    assert str(found) == path


def test_the_form_of_a_path() -> None:
    path = build_path("snapshot", "front", NOON, "a.jpg", timezone(timedelta(hours=8)))
    assert path == "snapshot/front/2026-11-24TZ08/20-05-09/a.jpg"


@pytest.mark.parametrize(
    "text",
    [
        "/mediastore/record/t/2018-3-9TZ8/20-3-9/x.mp4",
        "mediastore/record/t/2018-03-09TZ08/20-03-09/x.mp4",
        "record/t/2018-3-9TZ+8/20-3-9/x.mp4",
        "record/t/2018-3-9TZ 8/20-03-9/x.mp4",
        "record/t/2018-3-9TZ8-00/20-3-9/x.mp4",
        "record/t/2018-3-9TZ08:00/20-3-9/x.mp4",
    ],
)
def test_any_spelling_means_the_same_file(text: str) -> None:
    assert str(find_path(text)) == "record/t/2018-03-09TZ08/20-03-09/x.mp4"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "/mediastore/",
        "record/t/2018-3-9TZ8/20-3-9/",
        "record/t/2018-3-9TZ8/20-3-9/..",
        "record/../2018-3-9TZ8/20-3-9/x.mp4",
        "record/t/../20-3-9/x.mp4",
        "record//2018-3-9TZ8/20-3-9/x.mp4",
        "other/t/2018-3-9TZ8/20-3-9/x.mp4",
        "record/t/2018-3-9/20-3-9/x.mp4",
        "record/t/2018-3-9TZ/20-3-9/x.mp4",
        "record/t/2018-3-9TZ15/20-3-9/x.mp4",
        "record/t/2018-3-9TZ8-60/20-3-9/x.mp4",
        "record/t/2018-13-9TZ8/20-3-9/x.mp4",
        "record/t/2018-2-30TZ8/20-3-9/x.mp4",
        "record/t/2018-3-9TZ8/24-3-9/x.mp4",
        "record/t/2018-3-9TZ8/20-3-9/x\0.mp4",
        "record/t/2018-3-9TZ8/20-3-9/x.mp4\n",
        "record/t/2018-3-9TZ8/20-3-9/x.mp4/y",
        "record/t/٢٠١٨-3-9TZ8/20-3-9/x.mp4",
        "record/t/0001-1-1TZ8/0-0-0/x.mp4",
        "record/t/9999-12-31TZ-8/23-0-0/x.mp4",
        "record/t/2018-3-9TZ8/20-3-9/" + "x" * 1000,
    ],
)
def test_what_can_be_no_path_of_ours(text: str) -> None:
    assert find_path(text) is None


@given(st.text(alphabet="record/mediastore.-0129TZ \0x", max_size=60))
def test_what_is_found_stays_below_the_folder(text: str) -> None:
    found = find_path(text)
    assert found is None or ".." not in str(found).split("/")


def test_the_servers_own_zone_follows_summer_time() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    with server_in("Europe/Berlin"):
        for month, zone in ((1, "TZ01"), (7, "TZ02")):
            moment = datetime(2026, month, 5, 10, 0, 0, tzinfo=UTC)
            path = build_path("record", "t", moment, "x.mp4")
            assert zone in path
            assert path == build_path("record", "t", moment, "x.mp4", berlin)
            assert parse_moment(
                ("start1", f"2026-{month}-5"), ("start2", "12-0-0")
            ).utcoffset() == (timedelta(hours=month // 7 + 1))


def test_the_hour_that_comes_twice_has_two_folders() -> None:
    with server_in("Europe/Berlin"):
        first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
        paths = [
            build_path("record", "t", first + timedelta(hours=hour), "x.mp4") for hour in (0, 1)
        ]
    assert paths == [
        "record/t/2026-10-25TZ02/02-30-00/x.mp4",
        "record/t/2026-10-25TZ01/02-30-00/x.mp4",
    ]
    moments = [found.moment for found in map(find_path, paths) if found is not None]
    assert moments[1] - moments[0] == timedelta(hours=1)


def test_a_new_name_is_new_and_begins_with_the_token() -> None:
    first, second = build_name("record", "cam"), build_name("record", "cam")
    assert first != second
    assert first.startswith("cam-")
    assert (len(first), first[-4:]) == (4 + 36 + 4, ".mp4")
    assert build_name("snapshot", "cam").endswith(".jpg")


@pytest.mark.parametrize("text", ["a", "1234", "A_b.c-d", "x" * 192, ".a", "..."])
def test_names_that_a_caller_may_give(text: str) -> None:
    assert check_name("filename", text, "record") == f"{text}.mp4"
    assert check_name("filename", f"{text}.jpg", "snapshot") == f"{text}.jpg"


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a/b", "a\\b", "a b", "ä", "x" * 193, "a\n", "%2e", ".mp4", "..mp4"]
)
def test_names_that_a_caller_may_not_give(text: str) -> None:
    with pytest.raises(InvalidError, match=r"^filename: must be 1 to 192"):
        check_name("filename", text, "record")


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("8", 480),
        ("-8", -480),
        ("+8", 480),
        (" 8", 480),
        ("08", 480),
        ("5:30", 330),
        ("-3-30", -210),
        ("TZ05-30", 330),
        ("0", 0),
    ],
)
def test_zones_of_calls(text: str, minutes: int) -> None:
    assert parse_zone("tz", text).utcoffset(None) == timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["", "x", "15", "-14:30", "5:60", "5:3", "1000000", "٨", "8 "])
def test_what_is_no_zone(text: str) -> None:
    with pytest.raises(InvalidError, match=r"^tz: must be hours"):
        parse_zone("tz", text)


def test_a_moment_of_a_call() -> None:
    zone = timezone(timedelta(hours=8))
    moment = parse_moment(("start1", "2018-3-29"), ("start2", " 20-3-9 "), zone)
    assert moment == datetime(2018, 3, 29, 20, 3, 9, tzinfo=zone)


@pytest.mark.parametrize(
    ("day", "clock", "parameter"),
    [
        ("2018-3", "20-3-29", "start1"),
        ("2018-3-29", "20:3:29", "start2"),
        ("2018-2-30", "20-3-29", "start1"),
        ("0001-1-1", "0-0-0", "start1"),
    ],
)
def test_what_is_no_moment(day: str, clock: str, parameter: str) -> None:
    zone = timezone(timedelta(hours=8))
    with pytest.raises(InvalidError) as raised:
        parse_moment(("start1", day), ("start2", clock), zone)
    assert raised.value.name == parameter
