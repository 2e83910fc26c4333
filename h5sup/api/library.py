"""Chapters 5.5.10 and 5.5.11 of the manual, and ours beside them: what has been kept, what not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct, field

from h5sup.api import present
from h5sup.api.call import Call, Caller
from h5sup.api.sources import Token
from h5sup.auth.guard import Access
from h5sup.base.clock import from_us, utc_now
from h5sup.formats.times import parse_time
from h5sup.store.media_records import Gap, Kind, StoredFile, Trigger

TYPES: dict[Trigger, str] = {
    "always": "H5_REC_SCHEDULE",
    "schedule": "H5_REC_SCHEDULE",
    "manual": "H5_REC_MANUAL",
    "alarm": "H5_REC_ALARM",
}
Time = Annotated[
    str,
    Meta(
        max_length=64,
        description="such as `2018-03-07T120101+08`, the `+` escaped; without a zone the server's",
    ),
]
FileName = Annotated[str, Meta(max_length=260, description="with or without the extension")]


class SearchParameters(Struct, frozen=True):
    """Which files of one source to find."""

    token: Token
    type: Kind
    start: Time
    end: Time


class SearchByFilenameParameters(Struct, frozen=True):
    """Which recording, snapshot or archive to find."""

    token: Token
    type: Kind
    filename: FileName


class RangeParameters(Struct, frozen=True):
    """A stretch of time of one source."""

    token: Token
    start: Time
    end: Time


class MonthParameters(Struct, frozen=True):
    """A month of one source."""

    token: Token
    year: Annotated[int, Meta(ge=1970, le=2200)]
    month: Annotated[int, Meta(ge=1, le=12)]


class FoundAnswer(Struct, frozen=True, kw_only=True):
    """One file: the manual's keys, what dashboards need beside them, then ours."""

    token: str = field(name="strToken")
    start: str = field(name="strStartTime")
    duration_s: str = field(name="strDuration")
    path: str = field(name="strPath")
    end: str = field(name="strEndTime")
    type: str = field(name="nType")
    filename: str = field(name="strFileName")


class FoundListAnswer(Struct, frozen=True):
    """The files that were found."""

    files: list[FoundAnswer] = field(name="record")


class GapAnswer(Struct, frozen=True, kw_only=True):
    """Why a stretch of time was not recorded."""

    start: str = field(name="strStartTime")
    end: str = field(name="strEndTime")
    cause: str = field(name="strCause")
    reason: str = field(name="strReason")
    is_lasting: bool = field(name="bLasting")
    """It is not over: its end is now."""


class GapsAnswer(Struct, frozen=True):
    """All such stretches."""

    gaps: list[GapAnswer] = field(name="gap")


class DayAnswer(Struct, frozen=True):
    """Whether one day has recordings."""

    number: int = field(name="nDay")
    has_recording: bool = field(name="bHasRec")
    has_alarm: bool = field(name="bHasAlarmRec")


class DaysAnswer(Struct, frozen=True):
    """The days of a month."""

    days: list[DayAnswer] = field(name="record")


async def search(caller: Caller, given: SearchParameters) -> web.Response:
    """List the files of a stretch of time."""
    library = caller.services.library
    begin, end = read_range(given.start, given.end, library.zone)
    found = await library.find_files(given.type, given.token, begin, end)
    return await _answer_found(caller, given.token, found)


async def search_by_filename(caller: Caller, given: SearchByFilenameParameters) -> web.Response:
    """List the files of a recording."""
    library = caller.services.library
    found = await library.find_recording(given.type, given.token, given.filename)
    return await _answer_found(caller, given.token, found)


async def get_record_gaps(caller: Caller, given: RangeParameters) -> web.Response:
    """List what was not recorded, and why."""
    library = caller.services.library
    begin, end = read_range(given.start, given.end, library.zone)
    found = await library.find_gaps(given.token, begin, end)
    if not found:
        caller.services.sources.get(given.token)
    shown = await asyncio.to_thread(_show_gaps, found, utc_now(), library.zone)
    return present.answer(GapsAnswer(shown))


async def get_record_calendar(caller: Caller, given: MonthParameters) -> web.Response:
    """Say which days of a month have recordings."""
    found = await caller.services.library.find_days(given.token, given.year, given.month)
    if not any(day.has_recording for day in found):
        caller.services.sources.get(given.token)
    days = [DayAnswer(day.number, day.has_recording, day.has_alarm) for day in found]
    return present.answer(DaysAnswer(days))


def read_range(start: str, end: str, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the two ends of a stretch of time; raises InvalidError."""
    return parse_time("start", start, zone), parse_time("end", end, zone)


async def _answer_found(caller: Caller, token: str, found: Sequence[StoredFile]) -> web.Response:
    """Answer files; a source that is gone is known by what it left alone."""
    if not found:
        caller.services.sources.get(token)
    zone = caller.services.library.zone
    shown = await asyncio.to_thread(lambda: [show_file(one, zone) for one in found])
    return present.answer(FoundListAnswer(shown))


def show_file(file: StoredFile, zone: tzinfo) -> FoundAnswer:
    """Return a file in H5Stream's words."""
    return FoundAnswer(
        token=file.token,
        start=_iso(file.start_us, zone),
        duration_s=str(_duration_s(file)),
        path=f"/mediastore/{file.path}",
        end=_iso(file.end_us, zone),
        type=TYPES[file.trigger],
        filename=file.filename,
    )


def _duration_s(file: StoredFile) -> int:
    """Return whole seconds; 0 says that a file grows, so whatever has ended lasts one."""
    if file.is_growing or file.kind == "snapshot":
        return 0
    return max(1, round((file.end_us - file.start_us) / 1_000_000))


def _show_gaps(found: Sequence[Gap], now: datetime, zone: tzinfo) -> list[GapAnswer]:
    until = now.astimezone(zone).isoformat(timespec="milliseconds")
    return [
        GapAnswer(
            start=_iso(one.start_us, zone, "milliseconds"),
            end=until if one.end_us is None else _iso(one.end_us, zone, "milliseconds"),
            cause=one.cause,
            reason=one.reason,
            is_lasting=one.end_us is None,
        )
        for one in found
    ]


def _iso(moment_us: int, zone: tzinfo, precision: str = "seconds") -> str:
    return from_us(moment_us, zone).isoformat(timespec=precision)


CALLS = (
    Call(
        name="Search",
        section="5.5.10",
        description="What was recorded, or which snapshots and archives were made, between two "
        "times: all that reaches into them, the earliest first, at most 10,000; where there are "
        "more, ask again from the last `strStartTime`. `strDuration` is whole seconds, `0` while "
        "a file grows and of a snapshot; `strEndTime` is then that of its newest picture. `nType` "
        "is `H5_REC_MANUAL`, `H5_REC_SCHEDULE` or `H5_REC_ALARM`. A range that is reversed or "
        "empty holds nothing, and that is no error.",
        parameters=SearchParameters,
        answer=FoundListAnswer,
        role="Viewer",
        access=Access.READ,
        handler=search,
    ),
    Call(
        name="SearchByFilename",
        section="5.5.11",
        description="The files of one recording, snapshot or archive by the `strFileName` that "
        "its call answered, in their order; as Search. A recording goes on in a further file when "
        "the camera changes what it sends, and each of them finds all. A name that there is not "
        "finds none, and that is no error.",
        parameters=SearchByFilenameParameters,
        answer=FoundListAnswer,
        role="Viewer",
        access=Access.READ,
        handler=search_by_filename,
    ),
    Call(
        name="GetRecordGaps",
        section="",
        description="What was not recorded between two times though it should have been, and "
        "why: `strCause` for programs, see [recording.md](recording.md), `strReason` for people. "
        "At most 10,000, the earliest first.",
        parameters=RangeParameters,
        answer=GapsAnswer,
        role="Viewer",
        access=Access.READ,
        handler=get_record_gaps,
    ),
    Call(
        name="GetRecordCalendar",
        section="",
        description="Which days of a month have recordings, in the zone of the server; the form "
        "is that of SearchDeviceRecordCalendar, which asks a device.",
        parameters=MonthParameters,
        answer=DaysAnswer,
        role="Viewer",
        access=Access.READ,
        handler=get_record_calendar,
    ),
)
