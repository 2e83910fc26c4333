"""Chapters 5.5.5 to 5.5.7 of the manual: pictures that are kept."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct

from h5sup.api import present
from h5sup.api.call import Call, Caller
from h5sup.api.recording import FileName, KeptAnswer, PathDate, PathTime, Zone
from h5sup.api.sources import Token
from h5sup.auth.guard import Access
from h5sup.recording.names import WEB_ROOT, parse_moment, parse_zone
from h5sup.store.media_records import StoredFile


class SnapshotParameters(Struct, frozen=True):
    """Of which source."""

    token: Token
    filename: Annotated[FileName, Meta(description="empty: one is made up")] = ""


class PathSnapshotParameters(Struct, frozen=True):
    """Of which source, and where to keep it."""

    token: Token
    start1: PathDate
    start2: PathTime
    filename: FileName
    tz: Zone = ""


class PbSnapshotParameters(Struct, frozen=True):
    """Of which playback."""

    token: Token
    pbsession: Annotated[
        str, Meta(max_length=128, description="as the player's callback was told it")
    ]


async def snapshot(caller: Caller, given: SnapshotParameters) -> web.Response:
    """Keep the newest picture."""
    return _answer(await caller.services.snapshots.take(given.token, given.filename))


async def path_snapshot(caller: Caller, given: PathSnapshotParameters) -> web.Response:
    """Keep the newest picture at a path."""
    zone = parse_zone("tz", given.tz) if given.tz else None
    moment = parse_moment(("start1", given.start1), ("start2", given.start2), zone)
    snapshots = caller.services.snapshots
    return _answer(await snapshots.take_to(given.token, moment, zone, given.filename))


async def pb_snapshot(caller: Caller, given: PbSnapshotParameters) -> web.Response:
    """Keep the picture that a playback shows."""
    snapshots = caller.services.snapshots
    assert caller.identity is not None  # the call has a role
    owner = caller.identity.name
    return _answer(await snapshots.take_of_playback(given.token, given.pbsession, owner=owner))


def _answer(kept: StoredFile) -> web.Response:
    url = f"/{WEB_ROOT}/{kept.path}"
    return present.answer(KeptAnswer(True, "Snapshot successfully", kept.filename, url))


CALLS = (
    Call(
        name="Snapshot",
        section="5.5.5",
        description="Keep the newest key frame of a source as a JPEG of its full size; GetImage "
        "shows the same. A source that is off is started for it, which may take a few seconds. "
        "A name that the source has a snapshot of already is refused.",
        parameters=SnapshotParameters,
        answer=KeptAnswer,
        role="Operator",
        access=Access.ACT,
        handler=snapshot,
    ),
    Call(
        name="PathSnapshot",
        section="5.5.6",
        description="Deprecated: as Snapshot, kept in the folder of another moment. It never "
        "overwrites: a name that the source has a snapshot of already is refused. Search finds "
        "it by when it was taken.",
        parameters=PathSnapshotParameters,
        answer=KeptAnswer,
        role="Operator",
        access=Access.ACT,
        handler=path_snapshot,
    ),
    Call(
        name="PbSnapshot",
        section="5.5.7",
        description="Keep the very picture that a playback of this server's recordings shows now, "
        "as a JPEG of its full size. It is listed under the time of this call.",
        parameters=PbSnapshotParameters,
        answer=KeptAnswer,
        role="Operator",
        access=Access.ACT,
        handler=pb_snapshot,
    ),
)
