"""Searches as clients see them, over a real index."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote

import pytest

from h5sup.api import library as library_api
from h5sup.base.clock import to_us
from h5sup.config.model import UserConfig
from h5sup.recording.library import Library
from h5sup.recording.names import build_path
from h5sup.store.media_index import MediaIndex
from h5sup.store.media_records import Kind, StoredFile, Trigger
from tests.api.conftest import USERS, Backend, MakeBackend

CHINA = timezone(timedelta(hours=8))
BEGIN = datetime(2018, 4, 25, 19, 32, 5, 700_000, tzinfo=CHINA)
DAY = "start=2018-04-25T000000%2B08&end=2018-04-26T000000%2B08"
FRED = UserConfig(name="fred", password="no more", role="Viewer", sources=("front",))


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[MediaIndex]:
    index = MediaIndex(tmp_path)
    await index.open()
    yield index
    await index.close()


@pytest.fixture
async def backend(make_backend: MakeBackend, index: MediaIndex) -> Backend:
    return await make_backend(library=Library(index, zone=CHINA), users=(*USERS, FRED))


def file(
    after_s: float = 0.0,
    length_s: float = 301.3,
    *,
    token: str = "front",
    kind: Kind = "record",
    name: str = "1234.mp4",
    trigger: Trigger = "manual",
    recording: str = "",
    is_growing: bool = False,
) -> StoredFile:
    begin = BEGIN + timedelta(seconds=after_s)
    return StoredFile(
        kind=kind,
        token=token,
        path=build_path(kind, token, begin, name, CHINA),
        filename=name,
        recording=recording or name,
        trigger=trigger,
        start_us=to_us(begin),
        end_us=to_us(begin + timedelta(seconds=length_s)),
        is_growing=is_growing,
    )


async def ask(backend: Backend, call: str, user: str = "vera") -> dict[str, object]:
    return await backend.call(f"/api/v1/{call}&session={backend.sign_in(user)}")


async def test_search_answers_as_the_manual_shows(backend: Backend, index: MediaIndex) -> None:
    await index.add(file())
    await index.add(file(301.3, 7, name="5678.mp4", trigger="always", is_growing=True))

    answer = await ask(backend, f"Search?type=record&token=front&{DAY}")

    assert answer == {
        "record": [
            {
                "strToken": "front",
                "strStartTime": "2018-04-25T19:32:05+08:00",
                "strDuration": "301",
                "strPath": "/mediastore/record/front/2018-04-25TZ08/19-32-05/1234.mp4",
                "strEndTime": "2018-04-25T19:37:07+08:00",
                "nType": "H5_REC_MANUAL",
                "strFileName": "1234.mp4",
            },
            {
                "strToken": "front",
                "strStartTime": "2018-04-25T19:37:07+08:00",
                "strDuration": "0",
                "strPath": "/mediastore/record/front/2018-04-25TZ08/19-37-07/5678.mp4",
                "strEndTime": "2018-04-25T19:37:14+08:00",
                "nType": "H5_REC_SCHEDULE",
                "strFileName": "5678.mp4",
            },
        ]
    }


@pytest.mark.parametrize(
    ("trigger", "wire"),
    [
        ("always", "H5_REC_SCHEDULE"),
        ("schedule", "H5_REC_SCHEDULE"),
        ("manual", "H5_REC_MANUAL"),
        ("alarm", "H5_REC_ALARM"),
    ],
)
def test_why_it_was_recorded_is_said_in_h5streams_words(trigger: Trigger, wire: str) -> None:
    assert library_api.show_file(file(trigger=trigger), CHINA).type == wire


@pytest.mark.parametrize(
    ("one", "duration"),
    [
        (file(length_s=0.2), "1"),  # 0 would mean that it grows
        (file(length_s=0.2, is_growing=True), "0"),
        (file(length_s=299.6), "300"),
        (file(length_s=0, kind="snapshot"), "0"),
        (file(length_s=12, kind="archive"), "12"),
    ],
)
def test_a_duration_is_whole_seconds(one: StoredFile, duration: str) -> None:
    assert library_api.show_file(one, CHINA).duration_s == duration


@pytest.mark.parametrize(
    "times",
    [
        "start=2018-04-25T000000%2b08&end=2018-04-26T000000%2b08",
        "start=2018-04-25T000000+08&end=2018-04-26T000000+08",  # the + arrives as a blank
        "start=2018-04-24T16:00:00.000Z&end=2018-04-25T16:00:00.000Z08:00",
        "start=2018-4-25T0:0:0%2B08:00&end=2018-4-26T0:0:0%2B08:00",
        "start=2018-04-25&end=2018-04-26",  # no zone: the server's
    ],
)
async def test_times_come_in_all_the_ways_clients_write_them(
    backend: Backend, index: MediaIndex, times: str
) -> None:
    await index.add(file())
    just_outside = [file(-BEGIN.hour * 3600 - BEGIN.minute * 60 - 10, 1, name="before.mp4")]
    just_outside.append(file(5 * 3600, 1, name="after.mp4"))
    await index.add_all(just_outside)

    answer = await ask(backend, f"Search?type=record&token=front&{times}")

    assert [one["strFileName"] for one in answer["record"]] == ["1234.mp4"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "range_",
    ["start=2018-04-26&end=2018-04-25", "start=2018-04-25&end=2018-04-25",
     "start=2001-01-01&end=2001-01-02", "start=0001-01-02&end=9999-12-30"],
)  # fmt: skip
async def test_a_range_without_files_is_no_error(
    backend: Backend, index: MediaIndex, range_: str
) -> None:
    await index.add(file(token="back"))

    assert await ask(backend, f"Search?type=record&token=front&{range_}") == {"record": []}
    assert await ask(backend, f"GetRecordGaps?token=front&{range_}") == {"gap": []}


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("type=record&token=nobody&start=2018-04-25&end=2018-04-26", "there is no source"),
        ("type=video&token=front&start=2018-04-25&end=2018-04-26", "type: must be one of archive"),
        ("type=record&token=front&start=yesterday&end=2018-04-26", "start: must be a time"),
        ("type=record&token=front&start=2018-04-25&end=2018-13-01", "end: must be a time"),
        ("type=record&token=front&start=2018-04-25", "end: is missing"),
        ("type=record&token=front&start=" + "1" * 65 + "&end=1", "start: must be a text"),
    ],
)
async def test_bad_input_gets_a_sentence(backend: Backend, query: str, sentence: str) -> None:
    answer = await ask(backend, f"Search?{query}")

    assert answer["bStatus"] is False
    assert str(answer["strCode"]).startswith(sentence)


async def test_a_name_finds_all_files_of_its_recording(
    backend: Backend, index: MediaIndex
) -> None:
    first = file(name="night.mp4")
    await index.add_all([first, file(301, name="x-2.mp4", recording="night.mp4")])
    await index.add(file(name="night.jpg", kind="snapshot"))

    for name in ("night", "night.mp4", "x-2", "x-2.mp4"):
        answer = await ask(backend, f"SearchByFilename?type=record&token=front&filename={name}")
        found = [one["strFileName"] for one in answer["record"]]  # type: ignore[attr-defined]
        assert found == ["night.mp4", "x-2.mp4"], name


@pytest.mark.parametrize(
    "name", ["none", "../../secret", "%", "_", "' OR 1=1 --", "n*", "\u00e9", "x" * 260, "night."]
)
async def test_an_unknown_name_is_no_error(backend: Backend, index: MediaIndex, name: str) -> None:
    await index.add(file(name="night.mp4"))
    query = f"type=record&token=front&filename={quote(name)}"

    assert await ask(backend, f"SearchByFilename?{query}") == {"record": []}


async def test_what_a_deleted_source_left_is_still_found(
    backend: Backend, index: MediaIndex
) -> None:
    await index.add(file(token="gone"))

    answer = await ask(backend, f"Search?type=record&token=gone&{DAY}")
    named = await ask(backend, "SearchByFilename?type=record&token=gone&filename=1234")
    month = await ask(backend, "GetRecordCalendar?token=gone&year=2018&month=4")

    assert len(answer["record"]) == 1  # type: ignore[arg-type]
    assert answer == named
    assert len(month["record"]) == 30  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "call",
    [f"Search?type=record&{DAY}", "SearchByFilename?type=record&filename=1234",
     f"GetRecordGaps?{DAY}", "GetRecordCalendar?year=2018&month=4"],
)  # fmt: skip
async def test_who_may_not_see_a_source_finds_nothing_of_it(
    backend: Backend, index: MediaIndex, call: str
) -> None:
    for token in ("front", "back"):
        await index.add(file(token=token))
        await index.gaps.open(token, to_us(BEGIN), cause="offline", reason="Gone.")

    hidden = await ask(backend, f"{call}&token=back", "fred")
    missing = await ask(backend, f"{call}&token=nothing", "fred")

    assert hidden == missing
    assert hidden["strCode"] == "there is no source with this token"
    assert "strCode" not in await ask(backend, f"{call}&token=front", "fred")
    assert "strCode" not in await ask(backend, f"{call}&token=back", "vera")


async def test_gaps_say_why(backend: Backend, index: MediaIndex) -> None:
    begin_us = to_us(BEGIN)
    first = await index.gaps.open("front", begin_us, cause="offline", reason="It did not answer.")
    await index.gaps.close(first, begin_us + 1_300_000)
    await index.gaps.open("front", begin_us + 2_000_000, cause="disk", reason="The disk is full.")

    answer = await ask(backend, f"GetRecordGaps?token=front&{DAY}")

    lasting = answer["gap"][1]  # type: ignore[index]
    until = datetime.fromisoformat(lasting.pop("strEndTime"))
    assert until.utcoffset() == timedelta(hours=8)
    assert abs(datetime.now(CHINA) - until) < timedelta(minutes=1)
    assert answer == {
        "gap": [
            {
                "strStartTime": "2018-04-25T19:32:05.700+08:00",
                "strEndTime": "2018-04-25T19:32:07.000+08:00",
                "strCause": "offline",
                "strReason": "It did not answer.",
                "bLasting": False,
            },
            {
                "strStartTime": "2018-04-25T19:32:07.700+08:00",
                "strCause": "disk",
                "strReason": "The disk is full.",
                "bLasting": True,
            },
        ]
    }


async def test_the_calendar_marks_days_with_recordings(
    backend: Backend, index: MediaIndex
) -> None:
    await index.add(file())
    await index.add(file(86_400, trigger="alarm"))

    answer = await ask(backend, "GetRecordCalendar?token=front&year=2018&month=4")

    days = answer["record"]
    assert isinstance(days, list)
    assert days[23:26] == [
        {"nDay": 24, "bHasRec": False, "bHasAlarmRec": False},
        {"nDay": 25, "bHasRec": True, "bHasAlarmRec": False},
        {"nDay": 26, "bHasRec": True, "bHasAlarmRec": True},
    ]
    assert len(days) == 30


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("year=2018&month=13", "month: must be a whole number from 1 to 12"),
        ("year=2018&month=1.5", "month: must be a whole number from 1 to 12"),
        ("year=9999&month=12", "year: must be a whole number from 1970 to 2200"),
        ("year=2018", "month: is missing"),
    ],
)
async def test_a_month_is_a_month(backend: Backend, query: str, sentence: str) -> None:
    answer = await ask(backend, f"GetRecordCalendar?token=front&{query}")

    assert answer == {"bStatus": False, "strCode": sentence}
