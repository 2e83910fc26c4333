"""`/api/v1/playback/<token>.m3u8`: an HLS playlist over what was recorded (RFC 8216 §4.3.3.5).

Its segments are stretches of the recorded files, read from the disk as they are sent. All are on
one timeline without a hole: players that take no notice of discontinuities can't seek otherwise.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Protocol
from urllib.parse import quote

from aiohttp import hdrs, web

from h5sup.base.clock import from_us, to_us
from h5sup.base.errors import InvalidError, MediaFormatError, NotFoundError
from h5sup.formats import m3u8
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.formats.isobmff.stored import StoredMovie, read_init, read_movie
from h5sup.formats.times import parse_time
from h5sup.outputs.stored.body import Body, send
from h5sup.outputs.stored.disk import Disk, OpenFile, open_below
from h5sup.outputs.stored.retimed import Retimed, find_times
from h5sup.outputs.stored.stretches import FOR_EVER_US, Stretch, line_up
from h5sup.store.media_records import Kind, StoredFile

MAX_RANGE = timedelta(hours=25)  # a day, also when the clock goes back
MAX_NAME = 260
AT_ONCE = 2  # playlists that are being made: each may read thousands of files
BELOW = "/api/v1/playback/{token:[^/]+}"
NUMBER = "[0-9]{1,18}"
NO_SEGMENT = "the recording has no such segment"
MIME_INIT = "video/mp4"
MIME_FRAGMENTS = "video/iso.segment"  # ISO/IEC 23009-1 annex C
WANTED = "a time such as 2019-10-14T02:00:00Z is missing"

logger = logging.getLogger(__name__)


class Finder(Protocol):
    """What this output needs of the recordings."""

    @property
    def zone(self) -> tzinfo:
        """Of times that name none."""

    async def find_files(
        self, kind: Kind, token: str, begin: datetime, end: datetime
    ) -> Sequence[StoredFile]:
        """Return what overlaps a stretch of time, by its beginning."""

    async def find_recording(self, kind: Kind, token: str, name: str) -> Sequence[StoredFile]:
        """Return all files of a recording by a name of it."""

    async def get(self, number: int) -> StoredFile:
        """Return one file; raises NotFoundError."""


class VodHls:
    """Answers playlists and init segments. Who may see their source is asked before."""

    def __init__(self, finder: Finder, disk: Disk) -> None:
        self._finder = finder
        self._disk = disk
        self._room = asyncio.Semaphore(AT_ONCE)
        self._router = web.UrlDispatcher()
        self._router.add_routes(
            [
                web.get("/api/v1/playback/{token:[^/]+}.m3u8", self._playlist),
                web.get(f"{BELOW}/init{{number:{NUMBER}}}.mp4", self._init),
                web.get(
                    f"{BELOW}/s{{number:{NUMBER}}}"
                    f"-{{at:{NUMBER}}}-{{size:{NUMBER}}}-{{start:{NUMBER}}}.m4s",
                    self._segment,
                ),
            ]
        )

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer whatever lies below /api/v1/playback; raises InvalidError, NotFoundError."""
        match = await self._router.resolve(request)
        if match.http_exception is not None:
            raise NotFoundError("there is nothing here but <token>.m3u8")
        request.match_info.update(match)
        return await match.handler(request)

    async def _playlist(self, request: web.Request) -> web.StreamResponse:
        token, query = request.match_info["token"], request.query
        begin_us, end_us = 0, FOR_EVER_US
        if name := query.get("filename", "")[:MAX_NAME]:
            files = await self._finder.find_recording("record", token, name)
        else:
            begin, end = self._read_range(query.get("start", ""), query.get("end", ""))
            begin_us, end_us = to_us(begin), to_us(end)
            files = await self._finder.find_files("record", token, begin, end)
        async with self._room:
            stretches = await self._disk.run(
                lambda: line_up(files, self._read_movie, begin_us, end_us)
            )
            if not stretches:
                raise NotFoundError("nothing was recorded of this source then")
            carried = m3u8.session_query(query.get("session", ""))
            text = await self._disk.run(lambda: write_playlist(token, stretches, carried))
        response = web.Response(text=text, content_type=m3u8.MIME)
        if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            response.enable_compression(web.ContentCoding.gzip)
        return response

    async def _init(self, request: web.Request) -> web.StreamResponse:
        async with self._disk.opened((await self._find(request)).path) as opened:
            init = await self._disk.run(lambda: _read_init(opened))
        return web.Response(body=init.data, content_type=MIME_INIT)

    async def _segment(self, request: web.Request) -> web.StreamResponse:
        file = await self._find(request)
        begin, size, start = (int(request.match_info[one]) for one in ("at", "size", "start"))
        async with self._disk.opened(file.path) as opened:
            if not size or begin + size > opened.whole_bytes(file):
                raise NotFoundError(NO_SEGMENT)
            span = range(begin, begin + size)
            retimed = await self._disk.run(lambda: _retime(opened, span, start))
            etag = f"{file.start_us:x}-{begin:x}-{size:x}-{start:x}"
            return await send(request, self._disk, Body(retimed, span, MIME_FRAGMENTS, etag), {})

    async def _find(self, request: web.Request) -> StoredFile:
        """Return the recording whose number an address names, if it is one of its source."""
        file = await self._finder.get(int(request.match_info["number"]))
        if (file.kind, file.token) != ("record", request.match_info["token"]):
            raise NotFoundError(f"there is no file {file.id} in the index")
        return file

    def _read_range(self, start: str, end: str) -> tuple[datetime, datetime]:
        for name, text in (("start", start), ("end", end)):
            if not text:
                raise InvalidError(name, WANTED)
        begin = parse_time("start", start, self._finder.zone)
        finish = parse_time("end", end, self._finder.zone)
        if finish - begin > MAX_RANGE:
            hours = MAX_RANGE // timedelta(hours=1)
            raise InvalidError("end", f"must be at most {hours} hours after the start")
        return begin, finish

    def _read_movie(self, file: StoredFile) -> StoredMovie | None:
        """Return what a file holds, None if it can't be had. Blocks."""
        try:
            opened = open_below(self._disk.root, file.path)
        except NotFoundError:  # retention was faster
            return None
        try:
            return read_movie(opened.read, opened.whole_bytes(file))
        except (OSError, MediaFormatError) as error:
            logger.warning("%s can't be played: %s", file.path, error)
            return None
        finally:
            opened.close()


def write_playlist(token: str, stretches: Iterable[Stretch], carried: str) -> str:
    """Return the playlist; `carried` is the query that its addresses need."""
    below = quote(token)
    listed = [
        m3u8.Segment(
            uri=f"{below}/s{one.file.id}-{one.span.start}-{len(one.span)}-{one.start}.m4s{carried}",
            duration_s=one.duration_s,
            map_uri=f"{below}/init{one.file.id}.mp4{carried}",
            begins_at=from_us(one.begin_us),
            is_discontinuous=one.is_discontinuous,
        )
        for one in stretches
    ]
    return m3u8.write_media_playlist(listed, media_sequence=0, target_duration_s=1, is_ended=True)


def _read_init(opened: OpenFile) -> InitSegment:
    try:
        return read_init(opened.read, opened.size_bytes)
    except (OSError, MediaFormatError) as error:
        raise NotFoundError(f"the recording can't be read: {error}") from error


def _retime(opened: OpenFile, span: range, start: int) -> Retimed:
    try:
        init = read_init(opened.read, opened.size_bytes)
        return Retimed(opened.read, find_times(opened.read, span, init, start))
    except (OSError, MediaFormatError) as error:
        raise NotFoundError(NO_SEGMENT) from error
