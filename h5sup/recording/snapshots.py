"""Snapshots: a picture kept as a file of its own, the newest of a source or that of a playback.

The newest is that which GetImage shows; a source that is off is started for it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Protocol, TypeVar

from h5sup.base.clock import to_us, utc_now
from h5sup.base.errors import ConflictError, NotFoundError, UnavailableError
from h5sup.bus.channel import Channel
from h5sup.recording.names import build_name, build_path, check_name
from h5sup.recording.recorder import Channels
from h5sup.recording.recording import Volume
from h5sup.recording.still import Spot, read_still
from h5sup.store.media_index import MediaIndex
from h5sup.store.media_records import Kind, StoredFile

T = TypeVar("T")

KIND: Kind = "snapshot"
START_S = 6.0  # for a source that is off: connecting, and the first key frame
LOOK_EVERY_S = 0.02
STORE_S = 10.0  # a disk that takes longer is said not to answer
MAX_WAITING = 32  # pictures that wait for the disk, each some hundred kilobytes
FOLDER_MODE = 0o750
FILE_MODE = 0o640
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
UNFINISHED = ".unfinished"  # one name, so that no crash leaves more than one


class Pictures(Protocol):
    """What makes JPEGs."""

    async def jpeg(self, token: str) -> bytes | None:
        """Return the newest picture, None before the first; raises NotFoundError."""

    async def draw(self, token: str, media: bytes, number: int) -> bytes | None:
        """Return a picture of an init segment and the beginning of a GOP; None if it fails."""


class Request(Protocol):
    """What a playback was asked to play."""

    @property
    def token(self) -> str:
        """Whose recordings."""

    @property
    def owner(self) -> str:
        """Who plays them."""


class Playback(Protocol):
    """One viewer's playback."""

    @property
    def request(self) -> Request:
        """What it plays."""

    @property
    def shown(self) -> Spot | None:
        """The picture that its viewer sees now."""


class Playbacks(Protocol):
    """All playbacks of own recordings."""

    def find(self, playback_id: str) -> Playback | None:
        """Return one that plays."""


class Snapshots:
    """Takes snapshots. Used from the loop; `close()` ends its thread.

    Raises what a call answers: InvalidError, NotFoundError, ConflictError, UnavailableError.
    """

    def __init__(
        self,
        pictures: Pictures,
        sources: Channels,
        playbacks: Playbacks,
        index: MediaIndex,
        volume: Volume,
        root: Path,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._pictures = pictures
        self._sources = sources
        self._playbacks = playbacks
        self._index = index
        self._volume = volume
        self._root = root
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="h5sup-snapshot")
        self._taken: set[tuple[str, str]] = set()  # names of those that are being stored

    async def take(self, token: str, name: str = "") -> StoredFile:
        """Keep the newest picture under a name, or under one that is made up."""
        channel = self._sources.find_channel(token)
        filename = check_name("filename", name, KIND) if name else build_name(KIND, token)
        jpeg = await self._picture_of(token, channel)
        now = self._clock()
        return await self._keep(jpeg, token, now, build_path(KIND, token, now, filename))

    async def take_to(
        self, token: str, moment: datetime, zone: tzinfo | None, name: str
    ) -> StoredFile:
        """Keep the newest picture at the path of another moment."""
        channel = self._sources.find_channel(token)
        filename = check_name("filename", name, KIND)
        path = build_path(KIND, token, moment, filename, zone)
        jpeg = await self._picture_of(token, channel)
        return await self._keep(jpeg, token, self._clock(), path)

    async def take_of_playback(self, token: str, playback_id: str, *, owner: str) -> StoredFile:
        """Keep the picture that a playback shows now, for the user who plays it."""
        playback = self._playbacks.find(playback_id)
        wanted = (token, owner)
        if playback is None or (playback.request.token, playback.request.owner) != wanted:
            self._sources.find_channel(token)
            raise NotFoundError("pbsession: there is no such playback, or it has ended")
        self._refuse_if_no_disk()
        spot = playback.shown
        if spot is None:
            raise UnavailableError("the playback has not shown a picture yet: start it first")
        still = await self._in_thread(lambda: read_still(self._root, spot))
        jpeg = await self._pictures.draw(token, still.media, still.number)
        if jpeg is None:
            raise UnavailableError("no picture of the playback can be made now: try again")
        now = self._clock()
        path = build_path(KIND, token, now, build_name(KIND, token))
        return await self._keep(jpeg, token, now, path)

    async def close(self) -> None:
        """Finish what is being stored."""
        await asyncio.to_thread(self._thread.shutdown)

    async def _picture_of(self, token: str, channel: Channel) -> bytes:
        """Return the newest picture; a source that is off is started."""
        self._refuse_if_no_disk()
        if not channel.gop:
            await self._start(token, channel)
        jpeg = await self._pictures.jpeg(token)
        if jpeg is None:
            raise UnavailableError(f"no picture of source {token!r} can be made now: try again")
        return jpeg

    async def _start(self, token: str, channel: Channel) -> None:
        lease = self._sources.lease(token, hevc=True, quiet=False)
        try:
            loop = asyncio.get_running_loop()
            deadline = loop.time() + START_S
            await channel.wait_ready(START_S)
            while not channel.gop:
                if loop.time() > deadline:
                    raise UnavailableError(
                        f"source {token!r} has no picture yet: {channel.state.reason or 'wait'}"
                    )
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            lease.release()

    def _refuse_if_no_disk(self) -> None:
        refusal = self._volume.refusal()
        if refusal:
            raise UnavailableError(refusal)

    async def _keep(self, jpeg: bytes, token: str, at: datetime, path: str) -> StoredFile:
        """Write a picture and list it; what is there already is never overwritten."""
        filename = path.rpartition("/")[2]
        key = (token, filename)
        if len(self._taken) >= MAX_WAITING:
            raise UnavailableError("too many snapshots wait for the disk: try again in a moment")
        if key in self._taken:
            raise _conflict(filename)
        self._taken.add(key)
        try:
            if await self._index.find_recording(KIND, token, filename):
                raise _conflict(filename)
            await self._write(jpeg, path, filename)
            file = StoredFile(
                kind=KIND,
                token=token,
                path=path,
                filename=filename,
                recording=filename,
                trigger="manual",
                start_us=to_us(at),
                end_us=to_us(at),
                size_bytes=len(jpeg),
            )
            await self._index.add(file)
            return file
        finally:
            self._taken.discard(key)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(STORE_S):
                return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except TimeoutError:
            raise UnavailableError("the disk of mediastore does not answer: try again") from None

    async def _write(self, jpeg: bytes, path: str, filename: str) -> None:
        require = self._volume.require
        try:
            await self._in_thread(lambda: write_whole(self._root, path, jpeg, require))
        except FileExistsError:
            raise _conflict(filename) from None
        except OSError as error:
            self._volume.note_failure(error)
            raise UnavailableError(f"the snapshot can't be kept: {error.strerror}") from error


def write_whole(root: Path, path: str, data: bytes, require: Callable[[], None]) -> None:
    """Write a file below `root` so that it is there whole or not at all. Blocks.

    Raises FileExistsError for one that is there, OSError for a disk that refuses.
    """
    require()
    place = root / path
    unfinished = root / KIND / UNFINISHED
    place.parent.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
    if place.exists():
        raise FileExistsError(place)
    try:
        with os.fdopen(os.open(unfinished, NEW_FILE, FILE_MODE), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(place)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _conflict(filename: str) -> ConflictError:
    return ConflictError(f"there is a snapshot {filename!r} already: choose another name")
