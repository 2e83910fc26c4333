"""The calls that begin and end recordings, as clients make them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from h5sup.base.errors import ConflictError
from h5sup.recording.recordings import Moment
from tests.api.conftest import Backend, MakeBackend

CHINA = timezone(timedelta(hours=8))


@pytest.fixture
async def backend(make_backend: MakeBackend) -> Backend:
    return await make_backend()


async def test_a_recording_is_answered_with_its_name_and_address(backend: Backend) -> None:
    session = backend.sign_in("olga")
    answer = await backend.call(
        f"/api/v1/Record?token=front&duration=100&filename=visit&session={session}"
    )
    assert answer == {
        "bStatus": True,
        "strCode": "it runs",
        "strFileName": "one.mp4",
        "strUrl": "/mediastore/record/front/2026-11-24TZ08/10-00-00/one.mp4",
    }
    assert backend.recordings.asked == [("record", "front", 100.0, "visit")]


@pytest.mark.parametrize(
    ("query", "always_create", "limit_s"),
    [
        ("", False, None),
        ("&alwayscreate=true&limittime=60", True, 60.0),
        ("&duration=30&limittime=60", False, 30.0),
    ],
)
async def test_a_recording_by_hand_is_begun(
    query: str, always_create: bool, limit_s: float | None, backend: Backend
) -> None:
    session = backend.sign_in("olga")
    answer = await backend.call(f"/api/v1/ManualRecordStart?token=front&session={session}{query}")
    assert answer["bStatus"] is True
    assert backend.recordings.asked == [("start_manual", "front", always_create, limit_s)]


async def test_a_recording_by_hand_is_ended(backend: Backend) -> None:
    session = backend.sign_in("olga")
    answer = await backend.call(
        f"/api/v1/ManualRecordStop?token=front&filename=one.mp4&session={session}"
    )
    assert answer == {"bStatus": True, "strCode": "the recording is stopped"}
    assert backend.recordings.asked == [("stop_manual", "front", "one.mp4")]


async def test_a_path_is_read_with_its_zone(backend: Backend) -> None:
    session = backend.sign_in("olga")
    call = f"/api/v1/PathRecord?token=front&duration=9&filename=a&session={session}"
    await backend.call(f"{call}&start1=2019-5-10&start2=16-2-19&tz=8&alwayscreate=true")
    at = datetime(2019, 5, 10, 16, 2, 19, tzinfo=CHINA)
    assert backend.recordings.asked == [
        ("record_path", "front", Moment(at, CHINA), 9.0, "a", True)
    ]
    for wrong, name in (
        ("start1=2019-5&start2=16-2-19", "start1"),
        ("start1=2019-5-10&start2=16", "start2"),
        ("start1=2019-5-10&start2=16-2-19&tz=east", "tz"),
    ):
        answer = await backend.call(f"{call}&{wrong}")
        assert answer["bStatus"] is False
        assert answer["strCode"].startswith(f"{name}: must be")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("Record?token=front", "duration: is missing"),
        ("Record?token=front&duration=0", "duration: must be a number from 1 to 86400"),
        ("ManualRecordStart?token=front&limittime=x", "limittime: must be a number"),
        ("ManualRecordStart?token=front&alwayscreate=maybe", "must be true or false"),
        ("ManualRecordStop", "token: is missing"),
    ],
)
async def test_what_makes_no_sense_is_said(query: str, words: str, backend: Backend) -> None:
    joint = "&" if "?" in query else "?"
    answer = await backend.call(f"/api/v1/{query}{joint}session={backend.sign_in()}")
    assert answer["bStatus"] is False
    assert words in answer["strCode"]
    assert backend.recordings.asked == []


async def test_why_it_did_not_work_is_said(backend: Backend) -> None:
    backend.recordings.error = ConflictError("there is a recording 'a.mp4' already")
    answer = await backend.call(
        f"/api/v1/Record?token=front&duration=9&filename=a&session={backend.sign_in()}"
    )
    assert answer == {"bStatus": False, "strCode": "there is a recording 'a.mp4' already"}


@pytest.mark.parametrize("name", ["Record", "ManualRecordStart", "ManualRecordStop", "PathRecord"])
async def test_viewers_begin_and_end_nothing(name: str, backend: Backend) -> None:
    answer = await backend.call(
        f"/api/v1/{name}?token=front&duration=9&filename=a&start1=2019-5-10&start2=16-2-19"
        f"&session={backend.sign_in('vera')}"
    )
    assert answer["bStatus"] is False
    assert backend.recordings.asked == []


async def test_sources_tell_whether_they_are_recorded(backend: Backend) -> None:
    backend.recordings.running.add("back")
    answer = await backend.call(f"/api/v1/GetSrc?session={backend.sign_in('vera')}")
    flags = {one["strToken"]: one["bRec"] for one in answer["src"]}
    assert flags == {"front": False, "back": True, "clip": False}
