"""`/hls/v1/<token>/`: MPEG-TS that the source's own ffmpeg writes into the RAM folder."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from aiohttp import hdrs, web

from h5sup.base.errors import NotFoundError, UnavailableError
from h5sup.config.model import HlsConfig
from h5sup.formats.m3u8 import session_query
from h5sup.outputs.hls import responses
from h5sup.outputs.hls.holds import Form, Holds
from h5sup.outputs.hls.muxer import HOLD_S

PLAYLIST_NAME = "index.m3u8"
PLAYLIST_LIMIT_BYTES = 65_536
POLL_S = 0.1
SEGMENT_LINE = re.compile(r"^(s\d+\.ts)$", re.MULTILINE)


class TsHls:
    """The handlers of v1."""

    def __init__(self, holds: Holds, config: HlsConfig) -> None:
        self._holds = holds
        self._is_on = config.ts

    async def playlist(self, request: web.Request) -> web.StreamResponse:
        """Answer ffmpeg's playlist, held until it names a segment."""
        if not self._is_on:
            raise NotFoundError("HLS v1 is switched off (hls.ts in config.json): play v2")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + HOLD_S
        token = request.match_info["token"]
        hold = await self._holds.open(token, Form.TS, HOLD_S)
        while (text := await _read(hold.lease.ts_folder)) is None:
            if loop.time() + POLL_S > deadline:
                reason = hold.channel.state.reason or "it is starting"
                raise UnavailableError(f"source {token!r} has no segment yet: {reason}")
            await asyncio.sleep(POLL_S)
        query = session_query(request.query.get("session", ""))
        if query:
            text = SEGMENT_LINE.sub(lambda line: line[1] + query, text)
        return responses.playlist(request, responses.Text(text))

    async def segment(self, request: web.Request) -> web.StreamResponse:
        """Send one of the files; the route lets only `s<number>.ts` through."""
        hold = self._holds.find(request.match_info["token"], Form.TS)
        folder = hold.lease.ts_folder if hold is not None else None
        path = folder / f"s{int(request.match_info['number'])}.ts" if folder else None
        if path is None or not await asyncio.to_thread(path.is_file):
            raise NotFoundError("this segment is gone or not there yet")
        headers = {
            hdrs.CONTENT_TYPE: responses.MIME_TS,
            hdrs.CACHE_CONTROL: responses.SEGMENT_CACHE,
        }
        return web.FileResponse(path, headers=headers)


async def _read(folder: Path | None) -> str | None:
    """Return ffmpeg's playlist once it names a segment."""
    if folder is None:
        return None
    try:
        text = await asyncio.to_thread(_read_text, folder / PLAYLIST_NAME)
    except OSError:  # not written yet, or the source starts anew
        return None
    return text if SEGMENT_LINE.search(text) else None


def _read_text(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(PLAYLIST_LIMIT_BYTES)
