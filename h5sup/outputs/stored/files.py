"""`/mediastore/...`: stored files, whole or in ranges."""

from __future__ import annotations

from typing import Protocol

from aiohttp import hdrs, web

from h5sup.base.errors import NotFoundError
from h5sup.outputs.stored.body import Body, send
from h5sup.outputs.stored.disk import GONE, Disk
from h5sup.store.media_records import Kind, StoredFile

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

    def __init__(self, finder: Finder, disk: Disk) -> None:
        self._finder = finder
        self._disk = disk

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer whatever lies below /mediastore/; raises NotFoundError."""
        file = await self._finder.find_path(request.path)
        if file is None:
            raise NotFoundError(GONE)
        is_kept = request.query.get("download", "") in ("1", "true")
        shown = "attachment" if is_kept else "inline"
        headers = {hdrs.CONTENT_DISPOSITION: f'{shown}; filename="{file.filename}"'}
        async with self._disk.opened(file.path) as opened:
            body = Body(
                opened, range(opened.whole_bytes(file)), MIME_TYPES[file.kind], opened.etag
            )
            return await send(request, self._disk, body, headers)
