"""Stored files over HTTP: ranges, links, readers that leave or stall."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from h5sup.api.errors import FETCH_STATUS, answered
from h5sup.api.target import Target, normalise_path
from h5sup.outputs.stored import body as body_module
from h5sup.outputs.stored.disk import THREADS
from h5sup.outputs.stored.output import StoredOutput
from h5sup.recording.names import find_path
from h5sup.store.media_records import StoredFile
from tests.conftest import open_descriptors

PATH = "record/front/2026-11-24TZ08/10-00-00/night.mp4"
URL_PATH = f"/mediastore/{PATH}"
DATA = bytes(range(256)) * 40
Client = TestClient[web.Request, web.Application]


def row(path: str = PATH) -> StoredFile:
    found = find_path(path)
    assert found is not None
    return StoredFile(
        id=1,
        kind=found.kind,
        token=found.token,
        path=path,
        filename=found.filename,
        recording=found.filename,
        trigger="manual",
        start_us=0,
        end_us=1,
    )


class FakeFinder:
    """Rows by their path."""

    def __init__(self) -> None:
        self.rows = {PATH: row()}

    async def find_path(self, text: str) -> StoredFile | None:
        found = find_path(text)
        return None if found is None else self.rows.get(str(found))


class Rig:
    """A server that serves files of `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.finder = FakeFinder()
        self.output = StoredOutput(self.finder, root, viewers=2)  # type: ignore[arg-type]  # files alone
        app = web.Application()
        app.router.add_route("*", r"/{path:[\s\S]*}", self.handle)
        self.client: Client = TestClient(TestServer(app))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = normalise_path(request.rel_url.raw_path)
        seen = request.clone(rel_url=Target(path, dict(request.query)).url)
        return await answered(seen, FETCH_STATUS, lambda: self.output.files(seen))

    async def get(
        self, path: str = URL_PATH, method: str = "GET", **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = URL(f"{self.client.make_url('/')}{path.removeprefix('/')}", encoded=True)
        async with self.client.session.request(method, url, headers=named) as response:
            return response.status, await response.read(), dict(response.headers)

    def write(self, path: str = PATH, data: bytes = DATA) -> Path:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        self.finder.rows.setdefault(path, row(path))
        return place


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    root = tmp_path / "mediastore"
    root.mkdir()
    rig = Rig(root)
    rig.write()
    await rig.client.start_server()
    yield rig
    await rig.client.close()
    await rig.output.close()


async def test_a_file_comes_whole(rig: Rig) -> None:
    status, body, headers = await rig.get()

    assert (status, body) == (200, DATA)
    assert headers["Content-Type"] == "video/mp4"
    assert headers["Content-Length"] == str(len(DATA))
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Cache-Control"] == "private, no-cache"
    assert headers["Content-Disposition"] == 'inline; filename="night.mp4"'


async def test_a_snapshot_is_a_picture_and_can_be_kept(rig: Rig) -> None:
    path = "snapshot/front/2026-11-24TZ08/10-00-00/a.jpg"
    rig.write(path, b"\xff\xd8")

    _, body, headers = await rig.get(f"/mediastore/{path}?download=1")

    assert body == b"\xff\xd8"
    assert headers["Content-Type"] == "image/jpeg"
    assert headers["Content-Disposition"] == 'attachment; filename="a.jpg"'


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-", range(len(DATA))),
        ("bytes=0-0", range(1)),
        ("bytes=1000-1999", range(1000, 2000)),
        ("bytes=-10", range(len(DATA) - 10, len(DATA))),
        ("bytes=9000-99999999", range(9000, len(DATA))),
    ],
)
async def test_a_range_comes_alone(rig: Rig, header: str, span: range) -> None:
    status, body, headers = await rig.get(Range=header)

    assert (status, body) == (206, DATA[span.start : span.stop])
    assert headers["Content-Range"] == f"bytes {span.start}-{span.stop - 1}/{len(DATA)}"
    assert headers["Content-Length"] == str(len(span))


async def test_a_range_is_put_together_of_many_pieces(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_module, "PIECE_BYTES", 100)

    assert (await rig.get(Range="bytes=50-9999"))[1] == DATA[50:10000]
    assert (await rig.get())[1] == DATA


async def test_a_range_outside_is_refused_with_a_sentence(rig: Rig) -> None:
    status, body, headers = await rig.get(Range=f"bytes={len(DATA)}-")

    assert status == 416
    assert headers["Content-Range"] == f"bytes */{len(DATA)}"
    assert body == b'{"bStatus": false, "strCode": "the range lies outside the file"}\r\n'


async def test_head_tells_all_but_the_file(rig: Rig) -> None:
    status, body, headers = await rig.get(method="HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", str(len(DATA)))

    status, body, headers = await rig.get(method="HEAD", Range="bytes=0-9")
    assert (status, body, headers["Content-Length"]) == (206, b"", "10")


async def test_what_the_reader_has_is_not_sent_again(rig: Rig) -> None:
    etag = (await rig.get())[2]["Etag"]

    status, body, headers = await rig.get(If_None_Match=etag)
    assert (status, body, headers["Etag"]) == (304, b"", etag)
    assert (await rig.get(If_None_Match='"another"'))[0] == 200

    rig.write(data=DATA + b"more")
    assert (await rig.get(If_None_Match=etag))[1] == DATA + b"more"


async def test_a_part_of_another_file_is_not_gone_on_with(rig: Rig) -> None:
    etag = (await rig.get())[2]["Etag"]

    assert (await rig.get(Range="bytes=5-", If_Range=etag))[0] == 206
    assert (await rig.get(Range="bytes=5-", If_Range='"another"'))[1] == DATA
    assert (await rig.get(Range="bytes=5-", If_Range="Wed, 21 Oct 2015 07:28:00 GMT"))[1] == DATA


async def test_of_a_growing_file_comes_what_is_whole(rig: Rig) -> None:
    rig.finder.rows[PATH] = replace(row(), is_growing=True, size_bytes=5000)
    assert (await rig.get())[1] == DATA[:5000]
    assert (await rig.get(Range="bytes=4000-"))[2]["Content-Range"] == "bytes 4000-4999/5000"

    rig.finder.rows[PATH] = replace(row(), is_growing=True)  # its first GOP is on its way
    assert (await rig.get())[1] == DATA


@pytest.mark.parametrize(
    "path",
    [
        "/mediastore/",
        "/mediastore/record",
        "/mediastore/record/front/2026-11-24TZ08/10-00-00",
        "/mediastore/record/front/2026-11-24TZ08/10-00-00/",
        "/mediastore/record/front/2026-11-24TZ08/10-00-00/other.mp4",
        "/mediastore/record/front/2026-11-24TZ08/10-00-00/night.mp4/x",
        "/mediastore/record/front/2026-11-24TZ08/10-00-00/night.mp4%00",
        "/mediastore/record/front/2026-11-24TZ08/10-00-00/%2e%2e/night.mp4",
        "/mediastore/record/front/..%2f..%2fsecret.html",
        "/mediastore/record/*/2026-11-24TZ08/10-00-00/night.mp4",
        "/mediastore/other/front/2026-11-24TZ08/10-00-00/night.mp4",
        "/mediastore//etc/passwd",
        "/mediastore/%2fetc%2fpasswd",
        "/mediastore/record/front/2026-11-24TZ08/10-00-00/" + "a" * 5000,
        "/mediastore/record/front/2026-11-24TZ08/10-00-00/night.mp4%ff",
        "/mediastore/record/front/2026-11-24TZ08/10-00-00/night.mp4\\",
        "/mediastore/record/front/2026-99-24TZ08/10-00-00/night.mp4",
        "/mediastore/1",
    ],
)
async def test_what_is_no_file_of_ours_is_not_found(rig: Rig, path: str) -> None:
    (rig.root.parent / "secret.html").write_text("not for anyone")
    status, body, _ = await rig.get(path)

    assert status == 404
    assert b"it went to make room" in body


async def test_a_path_is_read_without_its_leading_zeros(rig: Rig) -> None:
    path = "record/front/2026-03-09TZ08/00-05-07/a.mp4"
    rig.write(path, b"padded")

    assert (await rig.get("/mediastore/record/front/2026-3-9TZ8/0-5-7/a.mp4"))[1] == b"padded"
    assert (await rig.get("//mediastore//record/front/2026-3-9TZ08/0-05-7/a.mp4"))[1] == b"padded"


async def test_a_file_that_was_deleted_is_not_found(rig: Rig) -> None:
    (rig.root / PATH).unlink()
    status, body, _ = await rig.get()

    assert status == 404
    assert b"it went to make room" in body


async def test_no_link_leads_out_of_the_folder(rig: Rig, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "night.mp4").write_bytes(b"not for anyone")
    place = rig.root / PATH
    place.unlink()

    place.symlink_to(outside / "night.mp4")
    assert (await rig.get())[0] == 404

    place.unlink()
    place.parent.rmdir()
    place.parent.symlink_to(outside)
    assert (await rig.get())[0] == 404

    place.parent.unlink()
    place.parent.symlink_to(place.parent)  # in a circle
    assert (await rig.get())[0] == 404


async def test_a_link_that_stays_inside_is_followed(rig: Rig) -> None:
    place = rig.root / PATH
    place.rename(rig.root / "elsewhere")
    place.symlink_to(rig.root / "elsewhere")

    assert (await rig.get())[1] == DATA


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
async def test_what_is_no_regular_file_is_not_found(rig: Rig, make: object) -> None:
    place = rig.root / PATH
    place.unlink()
    make(place)  # type: ignore[operator]

    assert (await rig.get())[0] == 404


async def test_too_many_readers_are_told_so(rig: Rig) -> None:
    rig.output.connections = 2
    status, body, _ = await rig.get()

    assert status == 503
    assert b"limits.viewers" in body


async def stall(rig: Rig, size_bytes: int) -> asyncio.StreamWriter:
    """Ask for a file larger than all buffers, and read nothing."""
    rig.write(data=bytes(size_bytes))
    base = rig.client.make_url("/")
    reader, writer = await asyncio.open_connection(base.host, base.port, limit=1024)
    del reader
    writer.write(f"GET {URL_PATH} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    async with asyncio.timeout(5):
        while not rig.output.connections:
            await asyncio.sleep(0.005)
    return writer


async def test_who_stalls_holds_the_file_no_longer_than_allowed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_module, "STALL_S", 0.1)
    writer = await stall(rig, 40_000_000)

    async with asyncio.timeout(5):
        while rig.output.connections:
            await asyncio.sleep(0.01)
    writer.close()


async def test_who_leaves_lets_go_of_the_file(rig: Rig) -> None:
    writer = await stall(rig, 40_000_000)

    writer.transport.abort()
    async with asyncio.timeout(5):
        while rig.output.connections:
            await asyncio.sleep(0.01)


async def test_a_file_that_is_cut_while_it_is_read_ends_the_connection(rig: Rig) -> None:
    writer = await stall(rig, 40_000_000)
    os.truncate(rig.root / PATH, 10)
    writer.transport.resume_reading()  # type: ignore[attr-defined]  # takes what comes
    async with asyncio.timeout(5):
        while rig.output.connections:
            await asyncio.sleep(0.01)
    writer.close()


async def test_who_is_cancelled_while_a_file_is_opened_leaves_nothing_open(rig: Rig) -> None:
    (rig.root / PATH).unlink()
    (rig.root / PATH).write_bytes(DATA)
    disk = rig.output._disk
    descriptors = open_descriptors()
    may_open = threading.Event()
    blocking = [asyncio.create_task(disk.run(may_open.wait)) for _ in range(THREADS - 1)]
    await asyncio.sleep(0)

    async def use() -> None:
        async with disk.opened(PATH):
            pass

    for _ in range(20):
        task = asyncio.create_task(use())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    may_open.set()
    await asyncio.gather(*blocking)
    await disk.close()
    assert open_descriptors() == descriptors
