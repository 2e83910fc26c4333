"""A server of recorded media alone: files, and HLS playlists over them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from aiohttp import web
from aiohttp.test_utils import TestServer

from h5sup.api.dispatch import Handler
from h5sup.api.errors import FETCH_STATUS, answered
from h5sup.base.clock import from_us, to_us
from h5sup.outputs.stored.output import StoredOutput
from h5sup.recording.library import Library
from h5sup.store.media_index import MediaIndex
from h5sup.store.media_records import StoredFile
from tests.fakes.clips import Clips
from tests.fakes.fragments import fragments_of, gops_of
from tests.fakes.kept import SECOND_US, shelve, timed, write_recording

NOON_US = to_us(datetime(2026, 11, 24, 12, tzinfo=UTC))
RETURN_US = NOON_US + 64 * SECOND_US  # after four seconds and an outage of a minute
NEXT_US = NOON_US + 66 * SECOND_US


class StoredServer:
    """A server over one folder of recordings."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "mediastore"
        self.index = MediaIndex(folder)
        self.output = StoredOutput(Library(self.index, zone=UTC), self.root, viewers=100)
        app = self.app = web.Application()
        app.router.add_route("*", "/mediastore/{rest:.*}", self._answer(self.output.files))
        app.router.add_route("*", "/api/{rest:.*}", self._answer(self.output.vod))
        self.server = TestServer(app)
        self.files: list[StoredFile] = []

    def _answer(self, handler: Handler) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            return await answered(request, FETCH_STATUS, lambda: handler(request))

        return answer

    async def fill(self, clips: Clips, ffmpeg: str) -> None:
        """Record eight seconds: four, a minute's outage, two in the same file, two in another."""
        init, fragments = await asyncio.to_thread(fragments_of, clips["h264_aac"], ffmpeg)
        gops = gops_of(fragments)
        one = [*timed(gops[:4], NOON_US, init), *timed(gops[4:6], RETURN_US, init)]
        for part in (one, timed(gops[6:], NEXT_US, init)):
            written = await asyncio.to_thread(write_recording, self.root, "cam", init, part)
            self.files.append(await shelve(self.index, written))

    def url(self, **query: str) -> str:
        asked = "&".join(f"{key}={quote(value)}" for key, value in query.items())
        return str(self.server.make_url("/api/v1/playback/cam.m3u8")) + f"?{asked}"

    def range_url(self, begin_us: int, end_us: int) -> str:
        return self.url(start=from_us(begin_us).isoformat(), end=from_us(end_us).isoformat())

    @asynccontextmanager
    async def started(self, clips: Clips, ffmpeg: str) -> AsyncIterator[StoredServer]:
        """Serve the recordings of fill()."""
        await self.index.open()
        try:
            await self.fill(clips, ffmpeg)
            await self.server.start_server()
            yield self
        finally:
            await self.server.close()
            await self.output.close()
            await self.index.close()
