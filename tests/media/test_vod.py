"""HLS over recorded files: what a real player makes of it, over an outage and a file's border."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.clips import Clips, decode_frame_indexes
from tests.fakes.kept import SECOND_US
from tests.fakes.stored_server import NEXT_US, NOON_US, RETURN_US, StoredServer

pytestmark = pytest.mark.media

HOUR_US = 3600 * SECOND_US


@pytest.fixture
async def shelf(tmp_path: Path, clips: Clips, ffmpeg: str) -> AsyncIterator[StoredServer]:
    async with StoredServer(tmp_path).started(clips, ffmpeg) as server:
        yield server


async def run(*argv: str) -> tuple[bytes, str]:
    """Return what a program writes, and what it complains of."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdout=pipe, stderr=pipe)
    async with asyncio.timeout(30):
        media, said = await process.communicate()
    assert process.returncode == 0, said
    return media, said.decode()


async def decode(ffmpeg: str, url: str) -> tuple[list[int], str]:
    """Return the pictures that ffmpeg sees, and what it complains of."""
    argv = [ffmpeg, "-nostdin", "-hide_banner", "-loglevel", "warning", "-i", url]
    argv += ["-map", "0:v", "-map", "0:a", "-c", "copy", "-f", "nut", "pipe:1"]
    media, said = await run(*argv)
    return await asyncio.to_thread(decode_frame_indexes, media, ffmpeg), said


async def test_a_player_sees_every_picture_over_an_outage_and_a_border(
    shelf: StoredServer, ffmpeg: str, ffprobe: str
) -> None:
    url = shelf.range_url(NOON_US, NOON_US + HOUR_US)
    seen, said = await decode(ffmpeg, url)

    assert seen == list(range(200))
    # each file's init segment comes again after a break, as it should
    assert set(re.findall(r"] (.*)", said)) <= {"Found duplicated MOOV Atom. Skipped it"}
    told, _ = await run(
        ffprobe, "-loglevel", "error", "-of", "csv=p=0",
        "-show_entries", "packet=stream_index,dts_time,duration_time", url,
    )  # fmt: skip
    ends: dict[str, float] = {}
    for line in told.decode().split():
        track, dts_s, duration_s = line.split(",")[:3]
        assert float(dts_s) == pytest.approx(ends.get(track, float(dts_s)), abs=0.02)
        ends[track] = float(dts_s) + float(duration_s)
    assert ends["0"] == pytest.approx(8.1, abs=0.05)


async def test_a_range_shows_what_was_taken_in_it(shelf: StoredServer, ffmpeg: str) -> None:
    url = shelf.range_url(NOON_US + 3 * SECOND_US, RETURN_US + SECOND_US)
    assert (await decode(ffmpeg, url))[0] == list(range(75, 125))


async def test_a_recording_is_played_by_its_name(shelf: StoredServer, ffmpeg: str) -> None:
    seen, _ = await decode(ffmpeg, shelf.url(filename=shelf.files[1].filename))
    assert seen == list(range(150, 200))


async def test_of_a_growing_recording_what_is_there_is_played(
    shelf: StoredServer, ffmpeg: str
) -> None:
    """As its row says: behind that a GOP is being written."""
    file = shelf.files[0]
    place = shelf.root / file.path
    grown = 5 * file.size_bytes // 6
    os.truncate(place, grown)
    await shelf.index.add(replace(file, is_growing=True, size_bytes=grown - 10_000))
    seen, _ = await decode(ffmpeg, shelf.range_url(NOON_US, NEXT_US))

    assert seen == list(range(len(seen)))
    assert 100 <= len(seen) < 150
