"""Chapters 5.5.1 to 5.5.4 of the manual: recordings that are asked for."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct, field

from h5sup.api import present
from h5sup.api.call import Call, Caller
from h5sup.api.sources import Token
from h5sup.auth.guard import Access
from h5sup.recording.names import WEB_ROOT, parse_moment, parse_zone
from h5sup.recording.recordings import Begun, Moment

FileName = Annotated[
    str,
    Meta(
        max_length=200,
        description="without extension: 1 to 192 letters, digits, `_`, `.` or `-`",
    ),
]
Seconds = Annotated[
    float, Meta(ge=1, le=86_400, description="seconds, at most recording.manual_max_s")
]
PathDate = Annotated[str, Meta(max_length=32, description="date in the path, `2018-3-29`")]
PathTime = Annotated[str, Meta(max_length=32, description="time in the path, `20-3-29`")]
Zone = Annotated[
    str,
    Meta(
        max_length=8,
        description="hours from Greenwich, such as `8`, `-8` or `5:30`; empty: the server's own",
    ),
]


class RecordParameters(Struct, frozen=True):
    """How long to record."""

    token: Token
    duration: Seconds
    filename: Annotated[FileName, Meta(description="empty: one is made up")] = ""


class ManualRecordStartParameters(Struct, frozen=True):
    """What to begin."""

    token: Token
    alwayscreate: Annotated[
        bool, Meta(description="begin one more, also while a recording runs")
    ] = False
    limittime: Annotated[Seconds | None, Meta(description="ends by itself after so long")] = None
    duration: Annotated[Seconds | None, Meta(description="the same as limittime")] = None


class ManualRecordStopParameters(Struct, frozen=True):
    """What to end."""

    token: Token
    filename: Annotated[
        FileName,
        Meta(description="which recording; empty: the one begun without alwayscreate"),
    ] = ""


class PathRecordParameters(Struct, frozen=True):
    """Where to record, and for how long."""

    token: Token
    start1: PathDate
    start2: PathTime
    duration: Seconds
    filename: FileName
    tz: Zone = ""
    alwayscreate: Annotated[
        bool, Meta(description="never lengthen the recording that runs at this path")
    ] = False


class KeptAnswer(Struct, frozen=True):
    """What is recorded or kept, and where it lies."""

    is_done: bool = field(name="bStatus")
    sentence: str = field(name="strCode")
    filename: str = field(name="strFileName")
    url: str = field(name="strUrl")


async def record(caller: Caller, given: RecordParameters) -> web.Response:
    """Record for so long."""
    recordings = caller.services.recordings
    return _answer(await recordings.record(given.token, given.duration, given.filename))


async def manual_record_start(caller: Caller, given: ManualRecordStartParameters) -> web.Response:
    """Record until it is ended."""
    limits = [one for one in (given.limittime, given.duration) if one is not None]
    return _answer(
        await caller.services.recordings.start_manual(
            given.token,
            always_create=given.alwayscreate,
            limit_s=min(limits) if limits else None,
        )
    )


async def manual_record_stop(caller: Caller, given: ManualRecordStopParameters) -> web.Response:
    """End a recording."""
    recordings = caller.services.recordings
    return present.done(await recordings.stop_manual(given.token, given.filename))


async def path_record(caller: Caller, given: PathRecordParameters) -> web.Response:
    """Record to a path, or lengthen what is recorded there."""
    zone = parse_zone("tz", given.tz) if given.tz else None
    at = parse_moment(("start1", given.start1), ("start2", given.start2), zone)
    return _answer(
        await caller.services.recordings.record_path(
            given.token,
            Moment(at, zone),
            given.duration,
            given.filename,
            always_create=given.alwayscreate,
        )
    )


def _answer(begun: Begun) -> web.Response:
    url = f"/{WEB_ROOT}/{begun.path}"
    return present.answer(KeptAnswer(True, begun.sentence, begun.name, url))


CALLS = (
    Call(
        name="Record",
        section="5.5.1",
        description="Records a source for so long. A source without a picture is recorded from "
        "its first one on.",
        parameters=RecordParameters,
        answer=KeptAnswer,
        role="Operator",
        access=Access.ACT,
        handler=record,
    ),
    Call(
        name="ManualRecordStart",
        section="5.5.2",
        description="Records a source until ManualRecordStop, or recording.manual_max_s. A "
        "recording that runs is answered, unless alwayscreate asks for one more.",
        parameters=ManualRecordStartParameters,
        answer=KeptAnswer,
        role="Operator",
        access=Access.ACT,
        handler=manual_record_start,
    ),
    Call(
        name="ManualRecordStop",
        section="5.5.3",
        description="Ends a recording that was asked for, with the newest picture in it.",
        parameters=ManualRecordStopParameters,
        answer=present.Outcome,
        role="Operator",
        access=Access.ACT,
        handler=manual_record_stop,
    ),
    Call(
        name="PathRecord",
        section="5.5.4",
        description="Records to a path that the caller names, or lengthens the recording that "
        "runs there by the duration.",
        parameters=PathRecordParameters,
        answer=KeptAnswer,
        role="Operator",
        access=Access.ACT,
        handler=path_record,
    ),
)
