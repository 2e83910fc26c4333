"""Chapters 5.5.8 and 5.5.9 of the manual: a stretch of time made into one MP4."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct, field

from h5sup.api import present
from h5sup.api.call import Call, Caller
from h5sup.api.library import FileName
from h5sup.api.sources import Token
from h5sup.auth.guard import Access
from h5sup.base.errors import InvalidError, NotFoundError
from h5sup.recording.archive.plan import ArchiveRequest
from h5sup.recording.names import parse_moment, parse_zone

SPEEDS = (1, 2, 4, 8, 16)
LONGEST_S = 86_400


class ArchiveParameters(Struct, frozen=True):
    """Which stretch of time, and how to keep it."""

    token: Token
    start1: Annotated[str, Meta(max_length=32, description="the day, such as `2018-3-29`")]
    start2: Annotated[str, Meta(max_length=32, description="the time of day, such as `20-3-29`")]
    duration: Annotated[float, Meta(ge=1, le=LONGEST_S, description="seconds")]
    speed: Annotated[int, Meta(ge=1, le=16, description="1, 2, 4, 8 or 16 times as fast")] = 1
    forceh264: Annotated[bool, Meta(description="make H.264 of H.265")] = False
    tz: Annotated[
        str,
        Meta(
            max_length=16,
            description="of `start1` and `start2`: hours from Greenwich such as `8`, `-8` or "
            "`5:30`; the server's own zone unless given",
        ),
    ] = ""


class ArchiveStatusParameters(Struct, frozen=True):
    """Which archive."""

    token: Token
    filename: FileName


class ArchiveAnswer(Struct, frozen=True, kw_only=True):
    """Where the archive will lie."""

    is_done: bool = field(name="bStatus")
    sentence: str = field(name="strCode")
    filename: str = field(name="strFileName")
    url: str = field(name="strUrl")


class ArchiveStatusAnswer(Struct, frozen=True):
    """How far it is."""

    sentence: str = field(name="strCode")
    percentage: int = field(name="nPercentage")


async def archive(caller: Caller, given: ArchiveParameters) -> web.Response:
    """Begin to make an archive."""
    if given.speed not in SPEEDS:
        raise InvalidError("speed", f"must be one of {', '.join(map(str, SPEEDS))}")
    zone = parse_zone("tz", given.tz) if given.tz else None
    begin = parse_moment(("start1", given.start1), ("start2", given.start2), zone)
    request = ArchiveRequest(
        token=given.token,
        begin=begin,
        end=begin + timedelta(seconds=given.duration),
        speed=given.speed,
        force_h264=given.forceh264,
        zone=zone,
    )
    try:
        file = await caller.services.archives.request(request)
    except NotFoundError:
        caller.services.sources.get(given.token)  # the better reason, where there is none
        raise
    return present.answer(
        ArchiveAnswer(
            is_done=True,
            sentence="Archive successfully",
            filename=file.filename,
            url=f"/mediastore/{file.path}",
        )
    )


async def get_archive_status(caller: Caller, given: ArchiveStatusParameters) -> web.Response:
    """Say how far an archive is."""
    name = given.filename.removesuffix(".mp4") + ".mp4"
    try:
        percentage = await caller.services.archives.percentage(given.token, name)
    except NotFoundError:
        caller.services.sources.get(given.token)  # the better reason, where there is none
        raise
    return present.answer(ArchiveStatusAnswer("Archive status successfully", percentage))


CALLS = (
    Call(
        name="Archive",
        section="5.5.8",
        description="Makes one MP4 of what was recorded in a stretch of time, at once or when "
        "those asked for before are made (`recording.archives`); `strUrl` holds it once "
        "GetArchiveStatus says 100. Gaps are left out. It begins and ends with the very picture; "
        "without transcoding, the pictures from the key picture before on are in the file too, "
        "and a player that reads no edit lists shows them. From `speed` 4 on, key pictures alone "
        "are kept, without sound; with `forceh264` and H.265, or where the camera changed its "
        "kind of pictures, all that 30 a second can show. See "
        "[recording.md](recording.md).",
        parameters=ArchiveParameters,
        answer=ArchiveAnswer,
        role="Operator",
        access=Access.ACT,
        handler=archive,
    ),
    Call(
        name="GetArchiveStatus",
        section="5.5.9",
        description="How far an archive is: `nPercentage` is 1 to 100, and 100 says that it is "
        "finished. One that failed answers `bStatus` false with the reason, also after a restart.",
        parameters=ArchiveStatusParameters,
        answer=ArchiveStatusAnswer,
        role="Viewer",
        access=Access.READ,
        handler=get_archive_status,
    ),
)
