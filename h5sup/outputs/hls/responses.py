"""Bodies that players may ask for in ranges (RFC 9110 §14), sent without being put together."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property

from aiohttp import hdrs, web

from h5sup.formats import m3u8
from h5sup.formats.byte_range import parse_range

MIME_TS = "video/mp2t"
MIME_INIT = "video/mp4"
MIME_FRAGMENTS = "video/iso.segment"  # ISO/IEC 23009-1 annex C
PLAYLIST_CACHE = "private, no-cache"
SEGMENT_CACHE = "private, max-age=60, immutable"  # a segment's address never means another one
BATCH_BYTES = 256 * 1024  # written at once: what a slow player can have us hold for it
GZIP_LEVEL = 4  # repeats alone make a playlist small
GZIP_FROM_BYTES = 1000  # one packet takes the rest as it is
NEVER = re.compile(r"^\s*q\s*=\s*0(\.0*)?\s*$")
SEND_TIMEOUT_S = 60.0  # by then a segment has left the playlist


class Text:
    """A playlist as it is sent."""

    def __init__(self, text: str) -> None:
        self.plain = text.encode()

    @cached_property
    def zipped(self) -> bytes:
        """Return it for those who take gzip."""
        return gzip.compress(self.plain, GZIP_LEVEL, mtime=0)


def playlist(request: web.Request, text: Text) -> web.Response:
    """Return a playlist; the original players ask for `bytes=0-`."""
    wanted = find_range(request, len(text.plain))
    is_long = len(text.plain) >= GZIP_FROM_BYTES
    if wanted is None and is_long and _takes_gzip(request):
        headers = _headers(PLAYLIST_CACHE, None, 0) | {hdrs.CONTENT_ENCODING: "gzip"}
        body = text.zipped
    else:
        headers = _headers(PLAYLIST_CACHE, wanted, len(text.plain))
        body = text.plain if wanted is None else text.plain[wanted.start : wanted.stop]
    headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
    return web.Response(
        status=200 if wanted is None else 206, body=body, headers=headers, content_type=m3u8.MIME
    )


async def send_media(
    request: web.Request, pieces: Iterable[bytes], size_bytes: int, mime: str
) -> web.StreamResponse:
    """Send a body that lies in pieces, batch by batch."""
    wanted = find_range(request, size_bytes)
    response = web.StreamResponse(
        status=200 if wanted is None else 206, headers=_headers(SEGMENT_CACHE, wanted, size_bytes)
    )
    response.content_type = mime
    span = wanted or range(size_bytes)
    response.content_length = len(span)
    with suppress(ConnectionResetError):  # the player left, perhaps while it waited
        await response.prepare(request)
        if request.method != hdrs.METH_HEAD:
            await _send(request, response, _batches(pieces, span))
    return response


async def _send(
    request: web.Request, response: web.StreamResponse, batches: Iterable[bytes]
) -> None:
    try:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            for batch in batches:
                await response.write(batch)
            await response.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()


def failure(kind: type[web.HTTPError], reason: str) -> web.HTTPError:
    """Return an error with a sentence in the API's shape, to be raised."""
    error = kind(
        text=json.dumps({"bStatus": False, "strCode": reason}) + "\r\n",
        content_type="application/json",
    )
    error.headers[hdrs.CACHE_CONTROL] = "private, no-store"
    if error.status == web.HTTPServiceUnavailable.status_code:
        error.headers[hdrs.RETRY_AFTER] = "2"
    return error


def find_range(request: web.Request, size_bytes: int) -> range | None:
    """Return the one range of the body that is asked for, or None for all of it; may raise 416."""
    if hdrs.IF_RANGE in request.headers:
        return None  # there is no validator that If-Range could name
    wanted = parse_range(request.headers.get(hdrs.RANGE, ""), size_bytes)
    if wanted is not None and not wanted:
        error = failure(web.HTTPRequestRangeNotSatisfiable, "the range lies outside the body")
        error.headers[hdrs.CONTENT_RANGE] = f"bytes */{size_bytes}"
        raise error
    return wanted


def _takes_gzip(request: web.Request) -> bool:
    """Return whether the body may be sent compressed (RFC 9110 §12.5.3)."""
    for one in request.headers.get(hdrs.ACCEPT_ENCODING, "").lower().split(","):
        coding, _, weight = one.partition(";")
        if coding.strip() in ("gzip", "*"):
            return not NEVER.search(weight)
    return False


def _headers(cache: str, wanted: range | None, size_bytes: int) -> dict[str, str]:
    headers: dict[str, str] = {hdrs.CACHE_CONTROL: cache, hdrs.ACCEPT_RANGES: "bytes"}
    if wanted is not None:
        headers[hdrs.CONTENT_RANGE] = f"bytes {wanted.start}-{wanted.stop - 1}/{size_bytes}"
    return headers


def _batches(pieces: Iterable[bytes], span: range) -> Iterator[bytes]:
    """Yield the bytes of `span` in pieces of some size: a write per fragment would cost more."""
    batch = bytearray()
    position = 0
    for piece in pieces:
        start, stop = span.start - position, span.stop - position
        position += len(piece)
        if stop <= 0:
            break
        batch += piece[max(0, start) : stop]
        if len(batch) >= BATCH_BYTES:
            yield bytes(batch)
            batch.clear()
    if batch:
        yield bytes(batch)
