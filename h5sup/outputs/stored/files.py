"""`/mediastore/...`: stored files, whole or in ranges (RFC 9110 §13, §14).

Read piece by piece in a thread: `sendfile` would have the event loop wait for the disk.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from functools import partial
from typing import Protocol

from aiohttp import hdrs, web

from h5sup.base.errors import NotFoundError, UnavailableError
from h5sup.formats.byte_range import parse_range
from h5sup.outputs.stored.disk import GONE, Disk, OpenFile
from h5sup.store.media_index import Kind, StoredFile

PIECE_BYTES = 512 * 1024  # what one slow reader can have us hold
STALL_S = 60.0  # who takes no piece for so long is cut off: it holds a deleted file's room
CACHE = "private, no-cache"  # asked for each time, and answered by 304 where it has not changed
MIME_TYPES: dict[Kind, str] = {
    "record": "video/mp4",
    "snapshot": "image/jpeg",
    "archive": "video/mp4",
}


class Finder(Protocol):
    """What this output needs of the recordings."""

    async def find_path(self, text: str) -> StoredFile | None:
        """Return the file that a client's path means, however it is padded."""


class StoredFiles:
    """Answers GET and HEAD for files; who may see their source is asked before."""

    def __init__(self, finder: Finder, disk: Disk, *, viewers: int) -> None:
        self._finder = finder
        self._disk = disk
        self._limit = viewers
        self.requests = 0
        """How many are being answered."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer whatever lies below /mediastore/; raises NotFoundError, UnavailableError."""
        if self.requests >= self._limit:
            raise UnavailableError("too many files are fetched at once (limits.viewers)")
        self.requests += 1
        try:
            file = await self._finder.find_path(request.path)
            if file is None:
                raise NotFoundError(GONE)
            async with self._disk.opened(file.path) as opened:
                return await self._answer(request, file, opened)
        finally:
            self.requests -= 1

    async def _answer(
        self, request: web.Request, file: StoredFile, opened: OpenFile
    ) -> web.StreamResponse:
        size_bytes = opened.size_bytes
        if file.is_growing and file.size_bytes:  # the rest is being written
            size_bytes = min(size_bytes, file.size_bytes)
        wanted = _find_range(request, opened.etag, size_bytes)
        response = web.StreamResponse(headers=_headers(request, file))
        response.etag = opened.etag
        if _is_known(request, opened.etag):
            response.set_status(304)
            await response.prepare(request)
            return response
        response.content_type = MIME_TYPES[file.kind]
        span = range(size_bytes) if wanted is None else wanted
        if wanted is not None:
            response.set_status(206)
            response.headers[hdrs.CONTENT_RANGE] = (
                f"bytes {span.start}-{span.stop - 1}/{size_bytes}"
            )
        response.content_length = len(span)
        with suppress(ConnectionResetError):  # the reader left
            await response.prepare(request)
            if request.method != hdrs.METH_HEAD:
                await self._send(request, response, opened, span)
        return response

    async def _send(
        self,
        request: web.Request,
        response: web.StreamResponse,
        opened: OpenFile,
        span: range,
    ) -> None:
        for at in span[::PIECE_BYTES]:
            size = min(PIECE_BYTES, span.stop - at)
            piece = await self._disk.run(partial(opened.read, at, size))
            try:
                async with asyncio.timeout(STALL_S):
                    await response.write(piece)
            except TimeoutError:
                piece = b""
            if len(piece) < size:  # the reader stalls, or the file was cut: said by the cut alone
                if request.transport is not None:
                    request.transport.abort()
                return
        await response.write_eof()


def _headers(request: web.Request, file: StoredFile) -> dict[str, str]:
    shown = "attachment" if request.query.get("download", "") in ("1", "true") else "inline"
    return {
        hdrs.ACCEPT_RANGES: "bytes",
        hdrs.CACHE_CONTROL: CACHE,
        hdrs.CONTENT_DISPOSITION: f'{shown}; filename="{file.filename}"',
    }


def _is_known(request: web.Request, etag: str) -> bool:
    """Return whether the reader has the file as it is (§13.1.2)."""
    return any(one.value in (etag, "*") for one in request.if_none_match or ())


def _find_range(request: web.Request, etag: str, size_bytes: int) -> range | None:
    """Return the range that is asked for, None for all; raises 416 outside the file."""
    only_if = request.headers.get(hdrs.IF_RANGE)
    if only_if is not None and only_if != f'"{etag}"':
        return None  # what the reader has a part of is no more
    wanted = parse_range(request.headers.get(hdrs.RANGE, ""), size_bytes)
    if wanted is not None and not wanted:
        sentence = {"bStatus": False, "strCode": "the range lies outside the file"}
        raise web.HTTPRequestRangeNotSatisfiable(
            text=json.dumps(sentence) + "\r\n",
            content_type="application/json",
            headers={hdrs.CONTENT_RANGE: f"bytes */{size_bytes}"},
        )
    return wanted
