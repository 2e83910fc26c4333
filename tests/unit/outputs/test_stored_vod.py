"""Playlists over recordings, their segments, and who asks for what is not there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from h5sup.base.clock import from_us
from h5sup.formats.isobmff.fragment import parse_fragment
from h5sup.formats.isobmff.reader import SegmentReader
from h5sup.recording.names import build_path
from h5sup.store.media_records import StoredFile
from tests.fakes.kept import SECOND_US, Timed, shelve, write_recording
from tests.fakes.mp4 import VIDEO_SCALE
from tests.fakes.recordings import Scene
from tests.fakes.stored_server import NOON_US, StoredServer

DAY = "start=2026-11-24T00:00:00Z&end=2026-11-25T00:00:00Z"
BELOW = "/api/v1/playback"


class Rig(StoredServer):
    """Recordings of scenes, and a client."""

    def record(self, begin_us: int, gops: int, *, token: str = "cam") -> StoredFile:
        scene = Scene()
        timed: list[Timed] = [(begin_us + index * SECOND_US, scene.gop()) for index in range(gops)]
        return write_recording(self.root, token, scene.init, timed)

    async def ask(
        self, path: str, method: str = "GET", **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        url = URL(f"{self.server.make_url('/')}{path.removeprefix('/')}", encoded=True)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, headers=named) as response,
        ):
            return response.status, await response.read(), dict(response.headers)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    await rig.index.open()
    rig.files.append(await shelve(rig.index, rig.record(NOON_US, 8)))
    rig.files.append(await shelve(rig.index, rig.record(NOON_US + 8 * SECOND_US, 2)))
    rig.files.append(await shelve(rig.index, rig.record(NOON_US, 2, token="back")))
    await rig.server.start_server()
    yield rig
    await rig.server.close()
    await rig.output.close()
    await rig.index.close()


def segments_of(text: bytes) -> list[str]:
    return [line for line in text.decode().splitlines() if ".m4s" in line]


async def test_a_playlist_lists_what_was_recorded(rig: Rig) -> None:
    status, body, headers = await rig.ask(f"{BELOW}/cam.m3u8?{DAY}")
    first, second, other = segments_of(body)

    assert status == 200
    assert headers["Content-Type"] == "application/vnd.apple.mpegurl; charset=utf-8"
    assert body.decode() == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-TARGETDURATION:6\n"
        "#EXT-X-MEDIA-SEQUENCE:0\n"
        "#EXT-X-PLAYLIST-TYPE:VOD\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MAP:URI="cam/init1.mp4"\n'
        "#EXT-X-PROGRAM-DATE-TIME:2026-11-24T12:00:00.000Z\n"
        f"#EXTINF:6.00000,\n{first}\n"
        "#EXT-X-PROGRAM-DATE-TIME:2026-11-24T12:00:06.000Z\n"
        f"#EXTINF:2.00000,\n{second}\n"
        "#EXT-X-DISCONTINUITY\n"
        '#EXT-X-MAP:URI="cam/init2.mp4"\n'
        "#EXT-X-PROGRAM-DATE-TIME:2026-11-24T12:00:08.000Z\n"
        f"#EXTINF:2.00000,\n{other}\n"
        "#EXT-X-ENDLIST\n"
    )
    assert first.startswith("cam/s1-")


async def test_its_segments_are_on_one_timeline(rig: Rig) -> None:
    _, body, _ = await rig.ask(f"{BELOW}/cam.m3u8?{DAY}")
    _, init, headers = await rig.ask(f"{BELOW}/cam/init1.mp4")
    assert init == Scene().init.data
    assert headers["Content-Type"] == "video/mp4"

    end = round(0.1 * VIDEO_SCALE)
    for segment in segments_of(body):
        status, media, headers = await rig.ask(f"{BELOW}/{segment}")
        assert (status, headers["Content-Type"]) == (200, "video/iso.segment")
        for data in SegmentReader().feed(media):
            run = parse_fragment(data, Scene().init).video
            assert run is not None
            assert run.dts == end
            end += run.duration
    assert end == round(10.1 * VIDEO_SCALE)


async def test_a_segment_comes_in_ranges(rig: Rig) -> None:
    _, body, _ = await rig.ask(f"{BELOW}/cam.m3u8?{DAY}")
    path = f"{BELOW}/{segments_of(body)[0]}"
    _, whole, headers = await rig.ask(path)

    assert (await rig.ask(path, Range="bytes=100-199"))[:2] == (206, whole[100:200])
    assert (await rig.ask(path, "HEAD"))[1] == b""
    assert (await rig.ask(path, If_None_Match=headers["Etag"]))[0] == 304
    assert (await rig.ask(path, Range=f"bytes={len(whole)}-"))[0] == 416


async def test_a_session_in_the_address_is_carried_on(rig: Rig) -> None:
    _, body, _ = await rig.ask(f"{BELOW}/cam.m3u8?{DAY}&session=a/b")

    assert b'URI="cam/init1.mp4?session=a%2Fb"' in body
    assert all(line.endswith(".m4s?session=a%2Fb") for line in segments_of(body))


async def test_a_playlist_is_sent_compressed_to_who_takes_it(rig: Rig) -> None:
    _, _, headers = await rig.ask(f"{BELOW}/cam.m3u8?{DAY}", Accept_Encoding="gzip")
    assert headers["Content-Encoding"] == "gzip"
    _, _, headers = await rig.ask(f"{BELOW}/cam.m3u8?{DAY}", Accept_Encoding="identity")
    assert "Content-Encoding" not in headers


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
    [
        ("", 400, "start: a time such as"),
        ("start=2026-11-24", 400, "end: a time such as"),
        ("start=yesterday&end=2026-11-24", 400, "start: must be a time"),
        ("start=2026-11-24&end=2026-11-31", 400, "end: must be a time"),
        ("start=2026-11-24&end=2026-11-26", 400, "end: must be at most 25 hours"),
        ("start=2026-11-25&end=2026-11-24", 404, "nothing was recorded"),
        ("start=2026-11-23&end=2026-11-24", 404, "nothing was recorded"),
        ("filename=none", 404, "nothing was recorded"),
        ("filename=../../secret", 404, "nothing was recorded"),
    ],
)
async def test_what_cant_be_played_is_said(
    rig: Rig, query: str, status: int, sentence: str
) -> None:
    answered, body, _ = await rig.ask(f"{BELOW}/cam.m3u8?{query}")

    assert answered == status
    assert f'"strCode":"{sentence}'.encode() in body


async def test_a_recording_is_found_by_its_name(rig: Rig) -> None:
    name = rig.files[1].filename.removesuffix(".mp4")
    _, body, _ = await rig.ask(f"{BELOW}/cam.m3u8?filename={name}")

    (segment,) = segments_of(body)
    assert segment.startswith("cam/s2-")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/playback/",
        "/api/v1/playback/cam",
        "/api/v1/playback/cam/",
        "/api/v1/playback/.m3u8",
        "/api/v1/playback/*.m3u8?" + DAY,
        "/api/v1/playback/nothing.m3u8?" + DAY,
        "/api/v1/playback/cam.m3u8/init1.mp4",
        "/api/v1/playback/cam/init.mp4",
        "/api/v1/playback/cam/init-1.mp4",
        "/api/v1/playback/cam/init9.mp4",
        "/api/v1/playback/cam/init9223372036854775808.mp4",
        "/api/v1/playback/cam/init3.mp4",  # that of back
        "/api/v1/playback/*/init1.mp4",
        "/api/v1/playback/cam/..%2finit1.mp4",
        "/api/v1/playback/cam/s1.m4s",
        "/api/v1/playback/cam/s1-0-0-0.m4s",
        "/api/v1/playback/cam/s1-0-100-0.m4s",
        "/api/v1/playback/cam/s1-0-999999999999-0.m4s",
        "/api/v1/playback/cam/s1-999999999999999999-999999999999999999-0.m4s",
        "/api/v1/playback/cam/s3-{span}-0.m4s",  # that of back
        "/api/v1/playback/cam/s4-{span}-0.m4s",  # a snapshot
        "/api/v1/playback/back/s1-{span}-0.m4s",
        "/api/v1/playback/cam/s%D9%A1-{span}-0.m4s",
    ],
)
async def test_what_is_not_there_is_not_found(rig: Rig, path: str) -> None:
    await rig.index.add(
        replace(rig.files[0], id=4, kind="snapshot", path=rig.files[0].path.replace("record", "x"))
    )
    _, body, _ = await rig.ask(f"{BELOW}/cam.m3u8?{DAY}")
    _, at, size, _ = segments_of(body)[0].split("-")
    status, answer, _ = await rig.ask(path.replace("{span}", f"{at}-{size}"))

    assert status == 404
    assert b'"bStatus":false' in answer


async def test_of_a_growing_file_nothing_is_sent_that_is_not_whole(rig: Rig) -> None:
    _, body, _ = await rig.ask(f"{BELOW}/cam.m3u8?{DAY}")
    first, second, _ = segments_of(body)
    _, at, size, _ = first.split("-")
    await rig.index.add(replace(rig.files[0], is_growing=True, size_bytes=int(at) + int(size)))

    assert (await rig.ask(f"{BELOW}/{first}"))[0] == 200
    assert (await rig.ask(f"{BELOW}/{second}"))[0] == 404


async def test_a_file_that_is_gone_is_left_out(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    _, body, _ = await rig.ask(f"{BELOW}/cam.m3u8?{DAY}")
    first = segments_of(body)[0]
    (rig.root / rig.files[0].path).unlink()
    _, body, _ = await rig.ask(f"{BELOW}/cam.m3u8?{DAY}")

    assert [line[:6] for line in segments_of(body)] == ["cam/s2"]
    assert caplog.records == []
    assert (await rig.ask(f"{BELOW}/{first}"))[0] == 404
    assert (await rig.ask(f"{BELOW}/cam/init1.mp4"))[0] == 404


async def test_a_file_that_is_none_of_ours_is_left_out_with_a_line(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    (rig.root / rig.files[0].path).write_bytes(b"something else" * 100)
    status, body, _ = await rig.ask(f"{BELOW}/cam.m3u8?{DAY}")

    assert (status, len(segments_of(body))) == (200, 1)
    assert "can't be played" in caplog.text
    assert (await rig.ask(f"{BELOW}/cam/init1.mp4"))[0] == 404


async def test_a_growing_recording_without_a_picture_yet_is_nothing(rig: Rig) -> None:
    begin_us = NOON_US - 3600 * SECOND_US
    path = build_path("record", "cam", from_us(begin_us), "new.mp4", UTC)
    (rig.root / path).parent.mkdir(parents=True)
    (rig.root / path).write_bytes(b"")
    await rig.index.add(
        replace(
            rig.files[0], id=0, path=path, filename="new.mp4", recording="new.mp4",
            start_us=begin_us, end_us=begin_us + SECOND_US, size_bytes=0, is_growing=True,
        )
    )  # fmt: skip
    assert (await rig.ask(f"{BELOW}/cam.m3u8?filename=new"))[0] == 404


async def test_a_token_may_end_as_a_playlist_does(rig: Rig) -> None:
    await shelve(rig.index, rig.record(NOON_US, 1, token="a.m3u8"))
    _, body, _ = await rig.ask(f"{BELOW}/a.m3u8.m3u8?{DAY}")
    (segment,) = segments_of(body)

    assert segment.startswith("a.m3u8/s")
    assert (await rig.ask(f"{BELOW}/{segment}"))[0] == 200
