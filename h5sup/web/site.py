"""www/ over HTTP: what it holds is looked up, never joined from a URL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

from aiohttp import web

MIME_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".ico": "image/x-icon",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
}
# At the top of www/ lie the tools' own files too; only what a browser asks for is served.
TOP_LEVEL_TYPES = frozenset({".html", ".ico", ".svg", ".png", ".webmanifest"})
NOT_SERVED = frozenset({"node_modules", "types", "tests"})
VENDOR_PACKAGES = ("hls.js",)

NOT_FOUND = "404: there is no such page\n"


class Site:
    """The pages of one folder, and /healthz. `load()` comes first."""

    def __init__(self, www: Path, *, ailment: Callable[[], str] = lambda: "") -> None:
        self._www = www
        self._ailment = ailment
        self._files: dict[str, Path] = {}

    async def load(self) -> None:
        """Look what there is; again after files were added."""
        self._files = await asyncio.to_thread(lambda: dict(find_files(self._www)))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer GET and HEAD for a page, a script, an image or /healthz."""
        if request.method not in ("GET", "HEAD"):
            raise web.HTTPMethodNotAllowed(request.method, ("GET", "HEAD"))
        if request.path == "/healthz":
            return self._health()
        path = self._files.get("/index.html" if request.path == "/" else request.path)
        if path is None:
            return web.Response(status=404, text=NOT_FOUND)
        # no-cache = ask each time; the ETag that FileResponse sends makes the answer a 304
        headers = {"Content-Type": MIME_TYPES[path.suffix], "Cache-Control": "no-cache"}
        return web.FileResponse(path, headers=headers)

    def _health(self) -> web.Response:
        """Say whether this process serves, for supervisors and load balancers."""
        ailment = self._ailment()
        headers = {"Cache-Control": "no-store"}
        return web.Response(
            status=503 if ailment else 200, text=f"{ailment or 'ok'}\n", headers=headers
        )


def find_files(www: Path) -> Iterator[tuple[str, Path]]:
    """Return every file that is served, by its URL's path."""
    for path in www.glob("*"):
        if path.suffix in TOP_LEVEL_TYPES and path.is_file():
            yield f"/{path.name}", path
        elif path.is_dir() and path.name not in NOT_SERVED:
            yield from _below(path, f"/{path.name}")
    for package in VENDOR_PACKAGES:
        yield from _below(www / "node_modules" / package / "dist", f"/vendor/{package}")


def _below(folder: Path, url: str) -> Iterator[tuple[str, Path]]:
    root = folder.resolve()
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in relative.parts)
        if path.suffix not in MIME_TYPES or hidden or not path.is_file():
            continue
        if path.resolve().is_relative_to(root):  # a link out of the folder is not followed
            yield f"{url}/{relative.as_posix()}", path
