"""HLS of real media: a live playlist walked by its rules, and played by ffmpeg over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from h5sup.bus.channel import Channel
from h5sup.bus.ingest import Ingest
from tests.fakes.clips import CLIPS, Clips, decode_frame_indexes
from tests.unit.outputs.hls_fakes import FakeLeases, serve, wait_until
from tests.unit.outputs.hls_rules import MediaCheck, parse_media
from tests.unit.outputs.hls_walker import Walker

pytestmark = pytest.mark.media

FMP4 = (
    "-f", "mp4", "-movflags", "frag_keyframe+empty_moov+default_base_moof",
    "-frag_duration", "30000", "pipe:1",
)  # fmt: skip
TS_FLAGS = "delete_segments+independent_segments+temp_file+program_date_time+omit_endlist"


@asynccontextmanager
async def spawn(*argv: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program as long as the block lasts."""
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        assert process.stdout is not None
        while await process.stdout.read(65_536):
            pass
        await process.wait()


@asynccontextmanager
async def camera(
    ffmpeg: str, clip: Path, ingest: Ingest, *more: str, options: Sequence[str] = ("-c", "copy")
) -> AsyncIterator[None]:
    """Play a clip round and round into a channel, at its own pace."""
    source = ["-re", "-stream_loop", "-1", "-i", str(clip)]
    head = [ffmpeg, "-hide_banner", "-nostdin", "-loglevel", "error"]
    async with spawn(*head, *source, *options, *FMP4, *more) as process:
        assert process.stdout is not None
        stdout, loop = process.stdout, asyncio.get_running_loop()
        ingest.open()

        async def pump() -> None:
            while chunk := await stdout.read(65_536):
                ingest.feed(chunk, loop.time())

        pumping = asyncio.create_task(pump())
        try:
            yield
        finally:
            pumping.cancel()
            await asyncio.gather(pumping, return_exceptions=True)
            ingest.close(loop.time())


def build_channel() -> Channel:
    return Channel("cam", "main", "copy", gop_bytes=8_000_000)


def assert_consecutive(indexes: list[int], frames: int) -> None:
    assert len(indexes) > 1
    assert {(after - before) % frames for before, after in pairwise(indexes)} == {1}


@pytest.mark.parametrize("name", ["h264_aac", "h264_fps5", "h264_fps60"])
async def test_a_live_playlist_keeps_the_rules(clips: Clips, ffmpeg: str, name: str) -> None:
    channel = build_channel()
    leases = FakeLeases()
    leases.add(channel)
    async with (
        serve(leases, segment_s=1.0) as (client, _),
        camera(ffmpeg, clips[name], Ingest(channel)),
    ):
        walker = Walker(client)
        await walker.walk_until(8)
    assert all(entry.duration_s == pytest.approx(1.0, abs=0.25) for entry in walker.walked)
    dates = [entry.date for entry in walker.walked]
    steps = [(after - before).total_seconds() for before, after in pairwise(dates)]
    assert all(0.5 < step < 2 for step in steps)
    indexes = await asyncio.to_thread(decode_frame_indexes, walker.played[0], ffmpeg)
    assert len(indexes) >= 6 * CLIPS[name].fps
    assert_consecutive(indexes, CLIPS[name].frames)


@pytest.mark.parametrize(
    "name",
    ["h264_aac", "h264_fps5", "h264_fps15", "h264_fps30", "h264_fps60", "h264_bframes"],
)
async def test_a_walk_at_the_edge_keeps_the_rules(clips: Clips, ffmpeg: str, name: str) -> None:
    channel = build_channel()
    leases = FakeLeases()
    leases.add(channel)
    async with (
        serve(leases, segment_s=1.0, segments=12) as (client, _),
        camera(ffmpeg, clips[name], Ingest(channel)),
    ):
        walker = Walker(client, at_edge=True)
        await walker.walk_until(9)
    assert walker.playlist is not None
    if CLIPS[name].gop_s == 1:
        assert walker.playlist.skipped > 0
    assert walker.playlist.part_target_s < 0.25
    assert walker.reloads > 30
    # answered with its very part, not with the one after: held no longer than it took to come
    assert walker.punctual > 0.9 * walker.reloads
    indexes = await asyncio.to_thread(decode_frame_indexes, walker.played[0], ffmpeg)
    if CLIPS[name].b_frames:
        indexes = indexes[: -CLIPS[name].b_frames - 1]
    assert_consecutive(indexes, CLIPS[name].frames)


async def test_a_walk_at_the_edge_goes_on_when_the_source_starts_anew(
    clips: Clips, ffmpeg: str
) -> None:
    channel = build_channel()
    ingest = Ingest(channel)
    leases = FakeLeases()
    leases.add(channel)
    async with serve(leases, segment_s=1.0) as (client, _):
        walker = Walker(client, at_edge=True)
        async with camera(ffmpeg, clips["h264_aac"], ingest):
            await walker.walk_until(3)
            walking = asyncio.create_task(walker.walk_until(8))
        ingest.expire("the camera is gone")
        async with camera(ffmpeg, clips["h264_2m"], ingest):
            await walking
    assert {entry.discontinuity for entry in walker.walked} == {0, 1}
    assert len(walker.played) == 2


async def test_a_walk_in_a_gop_of_ten_seconds(clips: Clips, ffmpeg: str) -> None:
    channel = build_channel()
    leases = FakeLeases()
    leases.add(channel)
    async with (
        serve(leases) as (client, _),
        camera(ffmpeg, clips["h264_gop10"], Ingest(channel)),
    ):
        walker = Walker(client, at_edge=True)
        await walker.walk_until(2)
    assert walker.playlist is not None
    assert walker.playlist.target_s == 10
    assert walker.playlist.part_target_s < 0.25
    assert walker.punctual > 0.7 * walker.reloads > 5


async def test_a_source_that_starts_anew_follows_a_discontinuity(
    clips: Clips, ffmpeg: str
) -> None:
    channel = build_channel()
    ingest = Ingest(channel)
    leases = FakeLeases()
    leases.add(channel)
    async with serve(leases, segment_s=1.0) as (client, _):
        walker = Walker(client)
        async with camera(ffmpeg, clips["h264_aac"], ingest):
            await walker.walk_until(2)
        ingest.expire("the camera is gone")
        async with camera(ffmpeg, clips["h264_2m"], ingest):
            await walker.walk_until(6)
    discontinuities = [entry.discontinuity for entry in walker.walked]
    assert sorted(set(discontinuities)) == [0, 1]
    assert len(walker.played) == 2
    for played in walker.played:
        indexes = await asyncio.to_thread(decode_frame_indexes, played, ffmpeg)
        assert_consecutive(indexes, 200)


async def play(ffmpeg: str, url: str, *, duration_s: int) -> list[int]:
    """Return the numbers of the pictures that ffmpeg plays from a URL."""
    argv = [ffmpeg, "-hide_banner", "-nostdin", "-loglevel", "error", "-i", url]
    argv += ["-t", str(duration_s), "-map", "0:v", "-c", "copy", "-f", "matroska", "pipe:1"]
    async with asyncio.timeout(40), spawn(*argv) as process:
        played, _ = await process.communicate()
    assert process.returncode == 0
    return await asyncio.to_thread(decode_frame_indexes, played, ffmpeg)


async def find_tracks(ffprobe: str, url: str) -> dict[str, str]:
    """Return the codec of each kind of track that ffprobe finds at a URL."""
    argv = [ffprobe, "-loglevel", "error", "-of", "json", "-show_streams", url]
    async with asyncio.timeout(30), spawn(*argv) as process:
        found, _ = await process.communicate()
    assert process.returncode == 0
    return {one["codec_type"]: one["codec_name"] for one in json.loads(found)["streams"]}


@pytest.mark.parametrize("name", ["h264_aac", "h264_bframes", "h264_mute"])
async def test_ffmpeg_plays_v2(clips: Clips, ffmpeg: str, ffprobe: str, name: str) -> None:
    channel = build_channel()
    leases = FakeLeases()
    leases.add(channel)
    async with (
        serve(leases, segment_s=1.0) as (client, _),
        camera(ffmpeg, clips[name], Ingest(channel)),
    ):
        url = str(client.make_url("/hls/v2/cam/hls.m3u8"))
        indexes = await play(ffmpeg, url, duration_s=4)
        tracks = await find_tracks(ffprobe, url)
    assert len(indexes) >= 75
    if CLIPS[name].b_frames:  # cut off in the middle, the last picture lacks those before it
        indexes = indexes[: -CLIPS[name].b_frames - 1]
    assert_consecutive(indexes, CLIPS[name].frames)
    assert tracks == {"video": "h264"} | ({"audio": "aac"} if CLIPS[name].audio else {})


async def test_ffmpeg_plays_v1(clips: Clips, ffmpeg: str, ffprobe: str, tmp_path: Path) -> None:
    channel = build_channel()
    leases = FakeLeases()
    leases.add(channel)
    leases.folder = tmp_path
    leg = ["-c", "copy", "-f", "hls", "-hls_time", "1", "-hls_list_size", "4"]
    leg += ["-hls_delete_threshold", "3", "-hls_flags", TS_FLAGS]
    leg += ["-hls_start_number_source", "epoch", "-hls_segment_filename", f"{tmp_path}/s%d.ts"]
    leg += [f"{tmp_path}/index.m3u8"]
    async with (
        serve(leases, segment_s=1.0) as (client, _),
        camera(ffmpeg, clips["h264_aac"], Ingest(channel), *leg),
    ):
        url = str(client.make_url("/hls/v1/cam/hls.m3u8"))
        indexes = await play(ffmpeg, url, duration_s=4)
        tracks = await find_tracks(ffprobe, url)
        text = await (await client.get("/hls/v1/cam/hls.m3u8")).text()
        first = next(line for line in text.splitlines() if line[0] == "s")
        assert (await client.get(f"/hls/v1/cam/{first}")).status == 200
        await wait_until(lambda: not (tmp_path / first).exists(), 20)
        assert (await client.get(f"/hls/v1/cam/{first}")).status == 404
    assert len(indexes) >= 75
    assert_consecutive(indexes, 200)
    assert tracks == {"video": "h264", "audio": "aac"}


async def test_h265_is_copied_and_h264_made_only_when_it_is_asked_for(
    clips: Clips, ffmpeg: str
) -> None:
    native, derived = build_channel(), build_channel()
    leases = FakeLeases()
    leases.add(native, derived)
    async with (
        serve(leases, segment_s=1.0) as (client, _),
        camera(
            ffmpeg, clips["hevc_aac"], Ingest(native), options=("-c", "copy", "-tag:v", "hvc1")
        ),
    ):
        index = await (await client.get("/hls/v2/cam/hls.m3u8")).text()
        uris = [line for line in index.splitlines() if line[0] != "#"]
        assert uris == ["hevc.m3u8", "h264.m3u8"]
        url = str(client.make_url("/hls/v2/cam/hevc.m3u8"))
        indexes = await play(ffmpeg, url, duration_s=2)
        assert leases.asked
        assert all(hevc for _, hevc in leases.asked)
    assert_consecutive(indexes, 200)


async def test_a_gop_of_ten_seconds_is_played_within_the_time_a_request_may_wait(
    clips: Clips, ffmpeg: str
) -> None:
    channel = build_channel()
    leases = FakeLeases()
    leases.add(channel)
    async with (
        serve(leases) as (client, _),
        camera(ffmpeg, clips["h264_gop10"], Ingest(channel)),
    ):
        response = await client.get("/hls/v2/cam/h264.m3u8")
        assert response.status == 200
        entry = parse_media(await response.text()).entries[0]
        init = await (await client.get(f"/hls/v2/cam/{entry.map_uri}")).read()
        media = MediaCheck()
        media.begin(init)
        body = await (await client.get(f"/hls/v2/cam/{entry.uri}")).read()
        media.feed(entry, body)
        assert entry.duration_s > 5
    indexes = await asyncio.to_thread(decode_frame_indexes, init + body, ffmpeg)
    assert indexes[0] == 0
    assert_consecutive(indexes, 500)
