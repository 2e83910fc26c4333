"""A stretch of a stored file as the body of an answer (RFC 9110 §13, §14).

Read piece by piece in a thread: `sendfile` would have the event loop wait for the disk.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from aiohttp import hdrs, web
from aiohttp.typedefs import LooseHeaders

from h5sup.formats.byte_range import parse_range
from h5sup.outputs.stored.disk import Disk

PIECE_BYTES = 512 * 1024  # what one slow reader can have us hold
STALL_S = 60.0  # who takes no piece for so long is cut off: it holds a deleted file's room
CACHE = "private, no-cache"  # asked for each time, and answered by 304 where it has not changed


class Readable(Protocol):
    """What bytes come from."""

    def read(self, at: int, size: int) -> bytes:
        """Return so many bytes from an offset on, fewer at the end. Blocks."""


@dataclass(frozen=True, slots=True)
class Body:
    """What is answered."""

    file: Readable
    span: range
    """Its bytes in the file."""
    mime: str
    etag: str


async def send(
    request: web.Request, disk: Disk, body: Body, headers: LooseHeaders
) -> web.StreamResponse:
    """Answer GET or HEAD with a body, or the part of it that is asked for; may raise 416."""
    wanted = _find_range(request, body)
    response = web.StreamResponse(headers=headers)
    response.headers[hdrs.ACCEPT_RANGES] = "bytes"
    response.headers[hdrs.CACHE_CONTROL] = CACHE
    response.etag = body.etag
    if any(one.value in (body.etag, "*") for one in request.if_none_match or ()):  # §13.1.2
        response.set_status(304)
        await response.prepare(request)
        return response
    response.content_type = body.mime
    span = body.span
    if wanted is not None:
        response.set_status(206)
        response.headers[hdrs.CONTENT_RANGE] = (
            f"bytes {wanted.start}-{wanted.stop - 1}/{len(span)}"
        )
        span = span[wanted.start : wanted.stop]
    response.content_length = len(span)
    with suppress(ConnectionResetError):  # the reader left
        await response.prepare(request)
        if request.method != hdrs.METH_HEAD:
            await _write(request, response, disk, body.file, span)
    return response


async def _write(
    request: web.Request,
    response: web.StreamResponse,
    disk: Disk,
    file: Readable,
    span: range,
) -> None:
    for at in span[::PIECE_BYTES]:
        size = min(PIECE_BYTES, span.stop - at)
        piece = await disk.run(partial(file.read, at, size))
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


def _find_range(request: web.Request, body: Body) -> range | None:
    """Return the range of the body that is asked for, None for all; raises 416 outside it."""
    only_if = request.headers.get(hdrs.IF_RANGE)
    if only_if is not None and only_if != f'"{body.etag}"':
        return None  # what the reader has a part of is no more
    wanted = parse_range(request.headers.get(hdrs.RANGE, ""), len(body.span))
    if wanted is not None and not wanted:
        sentence = {"bStatus": False, "strCode": "the range lies outside the file"}
        raise web.HTTPRequestRangeNotSatisfiable(
            text=json.dumps(sentence) + "\r\n",
            content_type="application/json",
            headers={hdrs.CONTENT_RANGE: f"bytes */{len(body.span)}"},
        )
    return wanted
