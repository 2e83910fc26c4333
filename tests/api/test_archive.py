"""The calls Archive and GetArchiveStatus, as clients send them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tests.api.conftest import Backend

WHEN = "start1=2019-5-10&start2=10-37-6&duration=100"


async def ask(backend: Backend, query: str, user: str = "olga") -> dict[str, object]:
    return await backend.call(f"/api/v1/Archive?{query}&session={backend.sign_in(user)}")


async def test_an_archive_is_begun_as_the_manual_writes_it(backend: Backend) -> None:
    answer = await ask(backend, f"token=front&{WHEN}&tz=8")
    assert answer == {
        "bStatus": True,
        "strCode": "Archive successfully",
        "strFileName": "front-1.mp4",
        "strUrl": "/mediastore/archive/front/2019-05-10TZ08/10-37-06/front-1.mp4",
    }
    (asked,) = backend.archives.asked
    assert asked.begin == datetime(2019, 5, 10, 2, 37, 6, tzinfo=UTC)
    assert asked.end - asked.begin == timedelta(seconds=100)
    assert asked.zone == timezone(timedelta(hours=8))
    assert (asked.speed, asked.force_h264) == (1, False)


async def test_a_time_without_zone_is_the_servers_own(backend: Backend) -> None:
    await ask(backend, f"token=front&{WHEN}&speed=16&forceh264=true")
    (asked,) = backend.archives.asked
    assert asked.begin == datetime(2019, 5, 10, 10, 37, 6).astimezone()
    assert (asked.speed, asked.force_h264, asked.zone) == (16, True, None)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (f"{WHEN}&speed=3", "speed: must be one of 1, 2, 4, 8, 16"),
        (f"{WHEN}&tz=east", "tz: must be hours from Greenwich such as 8, -8 or 5:30"),
        ("start1=2019-13-10&start2=10-37-6&duration=1", "start1: there is no 2019-13-10 10-37-6"),
        ("start1=2019-5-10&start2=noon&duration=1", "start2: must be written as 20-3-29"),
        ("start1=2019-5-10&start2=1-2-3", "duration: is missing"),
        (
            "start1=2019-5-10&start2=1-2-3&duration=0",
            "duration: must be a number from 1 to 86400",
        ),
    ],
)
async def test_what_can_not_be_is_said(backend: Backend, query: str, sentence: str) -> None:
    answer = await ask(backend, f"token=front&{query}")
    assert answer == {"bStatus": False, "strCode": sentence}
    assert backend.archives.asked == []


async def test_what_was_not_recorded_is_said_and_so_is_an_unknown_source(backend: Backend) -> None:
    answer = await ask(backend, f"token=back&{WHEN}")
    assert answer == {"bStatus": False, "strCode": "nothing was recorded"}
    answer = await ask(backend, f"token=nobody&{WHEN}")
    assert answer["strCode"] == "there is no source with this token"


async def test_viewers_make_no_archives(backend: Backend) -> None:
    answer = await ask(backend, f"token=front&{WHEN}", user="vera")
    assert answer["bStatus"] is False
    assert backend.archives.asked == []


@pytest.mark.parametrize("name", ["front-1.mp4", "front-1"])
async def test_the_status_tells_how_far_it_is(backend: Backend, name: str) -> None:
    session = backend.sign_in("vera")
    path = f"/api/v1/GetArchiveStatus?token=front&filename={name}&session={session}"
    assert await backend.call(path) == {
        "strCode": "Archive status successfully",
        "nPercentage": 37,
    }


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("front-2.mp4", "the disk was full"),
        ("front-3.mp4", "source 'front' has no archive 'front-3.mp4'"),
    ],
)
async def test_a_failed_archive_says_why(backend: Backend, name: str, sentence: str) -> None:
    session = backend.sign_in("vera")
    path = f"/api/v1/GetArchiveStatus?token=front&filename={name}&session={session}"
    assert await backend.call(path) == {"bStatus": False, "strCode": sentence}
