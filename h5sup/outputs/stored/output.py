"""Stored media over HTTP as a whole: files, playlists over them, and the threads that read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from aiohttp import web

from h5sup.base.errors import UnavailableError
from h5sup.outputs.stored.disk import Disk
from h5sup.outputs.stored.files import Finder as FileFinder
from h5sup.outputs.stored.files import StoredFiles
from h5sup.outputs.stored.vod import Finder as VodFinder
from h5sup.outputs.stored.vod import VodHls

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Finder(FileFinder, VodFinder, Protocol):
    """What this output needs of the recordings."""


class StoredOutput:
    """What serves mediastore. Whoever asks is authorised before."""

    def __init__(self, finder: Finder, root: Path, *, viewers: int) -> None:
        self._disk = Disk(root)
        self._files = StoredFiles(finder, self._disk)
        self._vod = VodHls(finder, self._disk)
        self._limit = viewers
        self.connections = 0
        """How many requests are being answered."""

    async def files(self, request: web.Request) -> web.StreamResponse:
        """Answer what lies below /mediastore/; raises NotFoundError, UnavailableError."""
        return await self._answer(request, self._files.handle)

    async def vod(self, request: web.Request) -> web.StreamResponse:
        """Answer what lies below /api/v1/playback/; raises as files() does, and InvalidError."""
        return await self._answer(request, self._vod.handle)

    async def close(self) -> None:
        """Finish what is being read."""
        await self._disk.close()

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self.connections >= self._limit:
            raise UnavailableError("too many files are fetched at once (limits.viewers)")
        self.connections += 1
        try:
            return await handler(request)
        finally:
            self.connections -= 1
