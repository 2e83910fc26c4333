from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from h5sup.web.site import Site, find_files

Client = TestClient[web.Request, web.Application]


@pytest.fixture
def www(tmp_path: Path) -> Path:
    """A folder as the repository's, with what must not be served beside it."""
    www = tmp_path / "www"
    for name, text in {
        "index.html": "<!doctype html>",
        "ws.html": "<!doctype html>",
        "package.json": "{}",
        "eslint.config.js": "",
        "tsconfig.json": "{}",
        "js/h5splayer.js": '"use strict";',
        "js/app/main.js": "",
        "js/.hidden.js": "",
        "css/site.css": "",
        "img/loading.jpg": "jpeg",
        "js/notes.md": "",
        "types/site.d.ts": "",
        "node_modules/hls.js/dist/hls.min.js": "var Hls;",
        "node_modules/hls.js/package.json": "{}",
        "node_modules/eslint/dist/index.js": "",
        "../secret.js": "not for anyone",
    }.items():
        path = www / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (www / "js" / "link.js").symlink_to(tmp_path / "secret.js")
    return www


@pytest.fixture
async def client(www: Path) -> AsyncIterator[Client]:
    site = Site(www)
    await site.load()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", site.handle)
    async with TestClient(TestServer(app)) as client:
        yield client


def test_only_what_browsers_need_is_served(www: Path) -> None:
    assert sorted(url for url, _ in find_files(www)) == [
        "/css/site.css",
        "/img/loading.jpg",
        "/index.html",
        "/js/app/main.js",
        "/js/h5splayer.js",
        "/vendor/hls.js/hls.min.js",
        "/ws.html",
    ]


def test_missing_browser_packages_are_no_failure(tmp_path: Path) -> None:
    assert list(find_files(tmp_path)) == []


@pytest.mark.parametrize(
    ("path", "mime"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/ws.html?token=front", "text/html; charset=utf-8"),
        ("/js/h5splayer.js", "text/javascript; charset=utf-8"),
        ("/css/site.css", "text/css; charset=utf-8"),
        ("/img/loading.jpg", "image/jpeg"),
        ("/vendor/hls.js/hls.min.js", "text/javascript; charset=utf-8"),
    ],
)
async def test_file_comes_with_its_type(client: Client, path: str, mime: str) -> None:
    response = await client.get(path)

    assert response.status == 200
    assert response.headers["Content-Type"] == mime
    assert response.headers["Cache-Control"] == "no-cache"


async def test_unchanged_file_is_not_sent_again(client: Client, www: Path) -> None:
    first = await client.get("/js/h5splayer.js")
    tag = {"If-None-Match": first.headers["ETag"]}

    again = await client.get("/js/h5splayer.js", headers=tag)
    (www / "js" / "h5splayer.js").write_text("changed, and longer than before")
    changed = await client.get("/js/h5splayer.js", headers=tag)

    assert (again.status, await again.read()) == (304, b"")
    assert (changed.status, await changed.text()) == (200, "changed, and longer than before")


async def test_head_tells_the_size_alone(client: Client) -> None:
    response = await client.head("/js/h5splayer.js")

    assert (response.status, response.headers["Content-Length"]) == (200, "13")
    assert await response.read() == b""


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_pages_are_only_read(client: Client, method: str) -> None:
    response = await client.request(method, "/index.html")

    assert (response.status, response.headers["Allow"]) == (405, "GET,HEAD")


@pytest.mark.parametrize(
    "path",
    ["/secret.js", "/js/link.js", "/package.json", "/eslint.config.js", "/js/.hidden.js", "/js/",
     "/js/notes.md", "/node_modules/hls.js/dist/hls.min.js", "/vendor/eslint/index.js",
     "/vendor/hls.js/", "/index.html/", "/INDEX.HTML"],
)  # fmt: skip
async def test_everything_else_is_not_there(client: Client, path: str) -> None:
    assert (await client.get(path)).status == 404


async def test_file_that_went_away_is_not_there(client: Client, www: Path) -> None:
    (www / "ws.html").unlink()

    assert (await client.get("/ws.html")).status == 404


@pytest.mark.parametrize(
    ("ailment", "status", "text"),
    [("", 200, "ok\n"), ("the disk is full", 503, "the disk is full\n")],
)
async def test_healthz_tells_what_ails_the_server(
    www: Path, ailment: str, status: int, text: str
) -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", Site(www, ailment=lambda: ailment).handle)
    async with TestClient(TestServer(app)) as client:
        response = await client.get("/healthz")

        assert (response.status, await response.text()) == (status, text)
