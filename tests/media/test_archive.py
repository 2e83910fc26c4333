"""Archives made by a real ffmpeg of recordings whose pictures carry their number."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import psutil
import pytest

from h5sup.base.clock import from_us
from h5sup.base.errors import NotFoundError, UnavailableError
from h5sup.bus.fragment import Fragment
from h5sup.config.profile import VideoRecipe
from h5sup.ffmpeg.process import Launcher
from h5sup.ffmpeg.tools import Tools
from h5sup.formats.isobmff.init_segment import InitSegment, without_audio
from h5sup.formats.isobmff.recorded import MovieWriter
from h5sup.formats.isobmff.stored import read_movie
from h5sup.recording.archive import archives as archives_module
from h5sup.recording.archive import feed as feed_module
from h5sup.recording.archive import plan
from h5sup.recording.archive.archives import Archives
from h5sup.recording.archive.feed import NO_ROOM
from h5sup.recording.archive.job import part_of
from h5sup.recording.archive.plan import ArchiveRequest, Way
from h5sup.recording.names import build_path
from h5sup.recording.playback.converter import Kit
from h5sup.store.media_index import MediaIndex
from h5sup.store.media_records import Archive, Gap, StoredFile
from tests.fakes.clips import Clips, decode_frame_indexes
from tests.fakes.fragments import fragments_of, gops_of
from tests.fakes.recorded import BEGIN_US, SECOND_US, close

pytestmark = pytest.mark.media

PICTURE_US = 40_000
WAIT_S = 30.0
TOKEN = "front"


class Room:
    """A mediastore with its index, and the archives made of it."""

    def __init__(self, root: Path, ffmpeg: str) -> None:
        root.mkdir(exist_ok=True)
        self.root = root
        self.index = MediaIndex(root)
        self.tools = Tools(ffmpeg, "ffprobe", (5, 1))
        self.refused = ""
        self.is_away = False
        self.archives = self.build()

    def build(self, floor_bytes: int = 0) -> Archives:
        launcher = Launcher(f"test-{self.root.parent.name}")
        return Archives(
            self.index,
            self.root,
            Kit(self.tools, launcher, VideoRecipe()),
            limit=1,
            floor_bytes=floor_bytes,
            refusal=lambda: self.refused,
            require=self.require,
        )

    def require(self) -> None:
        if self.is_away:
            raise OSError(errno.ENODEV, "it is not mounted")

    async def record(
        self,
        init: InitSegment,
        gops: Sequence[Sequence[Fragment]],
        *,
        first: int = 0,
        late_s: float = 0.0,
    ) -> StoredFile:
        """Write a recording of 25 pictures a second that begins with the picture `first`."""
        start_us = BEGIN_US + first * PICTURE_US + round(late_s * SECOND_US)
        name = f"{TOKEN}-{start_us}.mp4"
        path = build_path("record", TOKEN, from_us(start_us), name, UTC)
        writer = MovieWriter(init, {"token": TOKEN})
        data, at_us = bytearray(writer.head), start_us
        for gop in gops:
            data += b"".join(writer.add_gop(gop, at_us))
            at_us += PICTURE_US * sum(one.video.samples for one in gop if one.video)
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(close(bytes(data), writer.close()))
        file = StoredFile(
            kind="record",
            token=TOKEN,
            path=path,
            filename=name,
            recording=name,
            trigger="always",
            start_us=start_us,
            end_us=at_us,
            codecs=init.codecs,
        )
        await self.index.add(file)
        return file

    def ask(self, begin_s: float, end_s: float, **more: Any) -> ArchiveRequest:
        begin, end = (
            from_us(BEGIN_US) + timedelta(seconds=seconds) for seconds in (begin_s, end_s)
        )
        return ArchiveRequest(token=TOKEN, begin=begin, end=end, zone=UTC, **more)

    async def make(self, begin_s: float, end_s: float, **more: Any) -> Path:
        """Make an archive and return where it lies."""
        file = await self.archives.request(self.ask(begin_s, end_s, **more))
        await self.until_done(file)
        return self.root / file.path

    async def until_done(self, file: StoredFile) -> None:
        async with asyncio.timeout(WAIT_S):
            while await self.archives.percentage(TOKEN, file.filename) < 100:
                await asyncio.sleep(0.02)

    def left_over(self) -> list[str]:
        """Return what lies in the folder of archives."""
        folder = self.root / "archive"
        return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


@asynccontextmanager
async def opened(root: Path, ffmpeg: str) -> AsyncIterator[Room]:
    room = Room(root, ffmpeg)
    await room.index.open()
    await room.archives.start()
    try:
        yield room
    finally:
        await room.archives.close()
        await room.index.close()


@pytest.fixture
async def room(tmp_path: Path, ffmpeg: str) -> AsyncIterator[Room]:
    async with opened(tmp_path, ffmpeg) as room:
        yield room


async def shoot(room: Room, clip: Path, pieces: Iterable[int], *, gaps_s: float = 0.0) -> None:
    """Record a clip in files of so many GOPs, perhaps with gaps between them."""
    init, fragments = await asyncio.to_thread(fragments_of, clip)
    gops, first = gops_of(fragments), 0
    for number, count in enumerate(pieces):
        taken, gops = gops[:count], gops[count:]
        await room.record(init, taken, first=first, late_s=number * gaps_s)
        first += sum(one.video.samples for gop in taken for one in gop if one.video)


async def shown(path: Path) -> list[int]:
    return await asyncio.to_thread(decode_frame_indexes, path)


async def probe(path: Path) -> Any:
    argv = ["ffprobe", "-v", "warning", "-of", "json", "-show_streams", "-show_format", str(path)]
    done = await asyncio.to_thread(
        subprocess.run, argv, capture_output=True, check=True, timeout=30
    )
    assert not done.stderr, done.stderr
    told = json.loads(done.stdout)
    return {one["codec_type"]: one for one in told["streams"]} | {"format": told["format"]}


@pytest.mark.parametrize("name", ["h264_aac", "h264_mute", "hevc_aac"])
async def test_an_archive_begins_and_ends_with_the_very_picture(
    room: Room, clips: Clips, name: str
) -> None:
    """Over the borders of files."""
    await shoot(room, clips[name], [3, 1, 4])
    path = await room.make(1.5, 5.2)
    assert await shown(path) == list(range(38, 130))
    told = await probe(path)
    assert float(told["format"]["duration"]) == pytest.approx(3.7, abs=0.05)
    assert told.get("audio", {}).get("codec_name") == ("aac" if "aac" in name else None)
    assert told["video"]["codec_tag_string"] == ("hvc1" if "hevc" in name else "avc1")
    assert room.left_over() == [str(path.relative_to(room.root / "archive"))]


async def test_what_was_fetched_ends_before_the_picture_that_follows(
    room: Room, clips: Clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With B-frames some of those before may be missing, and none comes in between."""
    monkeypatch.setattr(plan, "is_fetched", lambda _: True)
    init, fragments = await asyncio.to_thread(fragments_of, clips["h264_bframes"])
    gops = gops_of(fragments)
    follows = sum(one.video.samples for gop in gops[:3] for one in gop if one.video)
    at = follows // 2  # in the midst of the second GOP
    await room.record(init, gops[:2])
    await room.record(init, gops[3:5], first=at)
    numbers = await shown(await room.make(0, 10))
    kept = numbers.index(follows)
    assert at - 2 <= kept <= at
    assert numbers[:kept] == list(range(kept))
    assert numbers[kept:] == list(range(follows, follows + len(numbers) - kept))


@pytest.mark.parametrize("encode", [False, True])
async def test_pictures_out_of_order_begin_where_they_should(
    room: Room, clips: Clips, encode: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy may show those at its end that others needed."""
    if encode:
        monkeypatch.setattr(plan, "choose_way", lambda *_, **__: Way.ENCODE)
    await shoot(room, clips["h264_bframes"], [4])
    numbers = await shown(await room.make(1.5, 5.2))
    assert numbers[: 130 - 38] == list(range(38, 130))
    assert len(numbers) - (130 - 38) <= (0 if encode else 3)


async def test_the_newest_ffmpeg_makes_the_same(room: Room, clips: Clips, tmp_path: Path) -> None:
    await shoot(room, clips["h264_aac"], [8])
    async with opened(tmp_path / "newest", imageio_ffmpeg.get_ffmpeg_exe()) as newest:
        await shoot(newest, clips["h264_aac"], [8])
        for speed, numbers in ((1, list(range(38, 105))), (2, list(range(38, 105)))):
            assert await shown(await newest.make(1.5, 4.2, speed=speed)) == numbers
            assert await shown(await room.make(1.5, 4.2, speed=speed)) == numbers


async def test_a_gap_is_left_out(room: Room, clips: Clips) -> None:
    await shoot(room, clips["h264_aac"], [2, 2, 4], gaps_s=10.0)
    path = await room.make(1.0, 25.0)
    assert await shown(path) == list(range(25, 125))
    told = await probe(path)
    assert float(told["format"]["duration"]) == pytest.approx(4.0, abs=0.05)
    found = await room.index.find_recording("archive", TOKEN, path.name)
    assert [(one.start_us - BEGIN_US, one.end_us - BEGIN_US) for one in found] == [
        (SECOND_US, 25 * SECOND_US)
    ]


async def test_what_was_recorded_twice_comes_once(room: Room, clips: Clips) -> None:
    init, fragments = await asyncio.to_thread(fragments_of, clips["h264_aac"])
    gops = gops_of(fragments)
    await room.record(init, gops[:4])
    await room.record(init, gops[2:6], first=50, late_s=0.003)  # by hand, beside
    await room.record(init, gops[4:], first=100)
    assert await shown(await room.make(0.5, 7.5)) == list(range(13, 188))


async def test_sound_that_comes_later_is_kept(room: Room, clips: Clips) -> None:
    init, fragments = await asyncio.to_thread(fragments_of, clips["h264_aac"])
    mute, without = await asyncio.to_thread(
        fragments_of, clips["h264_aac"], "ffmpeg", "-map", "0:v"
    )
    assert mute.audio is None
    await room.record(without_audio(init), gops_of(without)[:2])
    await room.record(init, gops_of(fragments)[2:], first=50)
    path = await room.make(0.0, 8.0)
    assert await shown(path) == list(range(200))
    told = await probe(path)
    assert float(told["audio"]["start_time"]) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("speed", [1, 4])
async def test_pictures_of_several_kinds_become_one_film(
    room: Room, clips: Clips, speed: int
) -> None:
    """Another codec, another size, no sound."""
    for name, first in (("h264_aac", 0), ("hevc_cuts", 75), ("h264_mute", 150)):
        init, fragments = await asyncio.to_thread(fragments_of, clips[name])
        gops = [
            gop
            for gop, begin in with_begins(gops_of(fragments))
            if first <= begin < min(200, first + 75)
        ]
        await room.record(init, gops, first=first)
    path = await room.make(1.5, 7.2, speed=speed)
    numbers = await shown(path)
    told = await probe(path)
    assert (told["video"]["codec_name"], told["video"]["width"]) == ("h264", 384)
    for kind in ("video", "audio"):
        assert float(told[kind]["duration"]) == pytest.approx(5.7 / speed, abs=0.1)
    if speed == 1:
        assert numbers == list(range(38, 180))
    else:
        assert numbers[0] == 38
        assert numbers == sorted(numbers)
        assert numbers[-1] in range(176, 180)


def with_begins(gops: Sequence[Sequence[Fragment]]) -> Iterable[tuple[Sequence[Fragment], int]]:
    first = 0
    for gop in gops:
        yield gop, first
        first += sum(one.video.samples for one in gop if one.video)


async def test_pictures_of_too_many_kinds_are_refused(
    room: Room, clips: Clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "MAX_PARTS", 1)
    await shoot(room, clips["h264_aac"], [3])
    init, fragments = await asyncio.to_thread(fragments_of, clips["hevc_cuts"])
    await room.record(init, gops_of(fragments), first=75)
    with pytest.raises(UnavailableError, match="changed their kind more than 0 times"):
        await room.archives.request(room.ask(0, 8))


async def test_nothing_recorded_is_said_with_its_cause(room: Room, clips: Clips) -> None:
    await shoot(room, clips["h264_aac"], [2, 2], gaps_s=10.0)
    with pytest.raises(
        NotFoundError, match=r"nothing of source 'front' was recorded from .*00:00$"
    ):
        await room.archives.request(room.ask(3, 9))
    gap = Gap(
        token=TOKEN,
        start_us=BEGIN_US + 2 * SECOND_US,
        end_us=BEGIN_US + 12 * SECOND_US,
        cause="offline",
        reason="the camera did not answer",
    )
    await room.index.gaps.add(gap)
    with pytest.raises(NotFoundError, match=r"nothing .*: the camera did not answer"):
        await room.archives.request(room.ask(3, 9))
    assert room.left_over() == []


async def test_twice_as_fast_has_every_picture_and_its_sound(room: Room, clips: Clips) -> None:
    await shoot(room, clips["h264_aac"], [8])
    path = await room.make(1.5, 5.2, speed=2)
    assert await shown(path) == list(range(38, 130))
    told = await probe(path)
    assert float(told["format"]["duration"]) == pytest.approx(1.85, abs=0.06)
    assert float(told["audio"]["duration"]) == pytest.approx(1.85, abs=0.06)


async def test_four_times_as_fast_has_the_key_pictures(room: Room, clips: Clips) -> None:
    await shoot(room, clips["h264_aac"], [3, 5])
    path = await room.make(1.5, 7.2, speed=4)
    assert await shown(path) == [50, 75, 100, 125, 150, 175]
    told = await probe(path)
    assert "audio" not in told
    assert float(told["format"]["duration"]) == pytest.approx(1.5, abs=0.05)
    # where there is no key picture in it, the one before shows what was seen
    assert await shown(await room.make(2.2, 2.9, speed=16)) == [50]


@pytest.mark.parametrize("speed", [1, 4])
async def test_h265_becomes_h264_when_that_is_asked_for(
    room: Room, clips: Clips, speed: int
) -> None:
    await shoot(room, clips["hevc_aac"], [3, 5])
    path = await room.make(1.5, 5.5, speed=speed, force_h264=True)
    numbers = await shown(path)
    told = await probe(path)
    assert told["video"]["codec_name"] == "h264"
    assert float(told["format"]["duration"]) == pytest.approx(4 / speed, abs=0.08)
    assert float(told["audio"]["duration"]) == pytest.approx(4 / speed, abs=0.08)
    if speed == 1:
        assert numbers == list(range(38, 138))
    else:
        assert numbers[0] == 38
        assert numbers == sorted(numbers)
        assert len(numbers) == pytest.approx(25, abs=1)  # every fourth is the next below 30 Hz


def scripted(folder: Path, *lines: str) -> str:
    """Return an ffmpeg that does something else before."""
    path = folder / "ffmpeg"
    path.write_text("\n".join(["#!/bin/sh", *lines]))
    path.chmod(0o755)
    return str(path)


@pytest.fixture
async def slow(tmp_path: Path, ffmpeg: str, clips: Clips) -> AsyncIterator[Room]:
    """Return a room whose ffmpeg reads three times as fast as it was recorded."""
    program = scripted(tmp_path, f'exec {ffmpeg} -readrate 3 "$@"')
    async with opened(tmp_path / "media", program) as room:
        await shoot(room, clips["h264_aac"], [8])
        yield room


async def test_progress_grows_to_100(slow: Room) -> None:
    file = await slow.archives.request(slow.ask(0, 7.5))
    seen = {await slow.archives.percentage(TOKEN, file.filename)}
    assert seen == {1}
    async with asyncio.timeout(WAIT_S):
        while (now := await slow.archives.percentage(TOKEN, file.filename)) < 100:
            assert now >= max(seen)
            seen.add(now)
            await asyncio.sleep(0.02)
    assert len(seen) > 2
    assert await slow.index.archives.find_unfinished() == []


async def until_made(room: Room, file: StoredFile) -> psutil.Process:
    """Wait for the ffmpeg that makes an archive."""
    part = str(part_of(room.root / file.path))
    async with asyncio.timeout(WAIT_S):
        while True:
            for child in psutil.Process().children():
                if part in child.cmdline():
                    return child
            await asyncio.sleep(0.01)


async def failure_of(room: Room, file: StoredFile) -> str:
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                await room.archives.percentage(TOKEN, file.filename)
            except UnavailableError as error:
                return str(error)
            await asyncio.sleep(0.01)


async def test_an_archive_that_is_called_off_leaves_nothing(slow: Room) -> None:
    file = await slow.archives.request(slow.ask(0, 8))
    child = await until_made(slow, file)
    await slow.archives.cancel(TOKEN, file.filename)
    assert not child.is_running()
    assert slow.left_over() == []
    assert await failure_of(slow, file) == "it was called off"
    with pytest.raises(NotFoundError, match="is being made"):
        await slow.archives.cancel(TOKEN, file.filename)
    assert await slow.index.find_recording("archive", TOKEN, file.filename) == []


async def test_an_archive_whose_file_is_deleted_is_called_off(slow: Room) -> None:
    file = await slow.archives.request(slow.ask(0, 8))
    child = await until_made(slow, file)
    async with asyncio.timeout(WAIT_S):  # before that ffmpeg would make it anew
        while await slow.archives.percentage(TOKEN, file.filename) == 1:
            await asyncio.sleep(0.01)
    part_of(slow.root / file.path).unlink()
    assert await failure_of(slow, file) == "its file was deleted while it was made"
    assert not child.is_running()


async def test_archives_run_one_at_a_time_and_wait_in_a_short_queue(
    slow: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives_module, "MAX_WAITING", 1)
    slow.archives = slow.build()
    first = await slow.archives.request(slow.ask(0, 8))
    child = await until_made(slow, first)
    second = await slow.archives.request(slow.ask(0, 1))
    with pytest.raises(UnavailableError, match="1 archives are waiting"):
        await slow.archives.request(slow.ask(0, 1))
    assert await slow.archives.percentage(TOKEN, second.filename) == 1
    assert psutil.Process().children() == [child]
    assert psutil.Process(child.pid).nice() == 19
    await slow.archives.cancel(TOKEN, first.filename)
    await slow.until_done(second)
    await slow.archives.close()


async def test_an_archive_does_not_survive_the_end_of_the_server(slow: Room) -> None:
    running = await slow.archives.request(slow.ask(0, 8))
    waiting = await slow.archives.request(slow.ask(0, 8))
    await until_made(slow, running)
    await slow.archives.close()
    slow.archives = slow.build()
    await slow.archives.start()
    for file in (running, waiting):
        assert "h5sup was stopped before it was finished" in await failure_of(slow, file)
    assert slow.left_over() == []


async def test_an_archive_cut_off_by_a_crash_is_known_as_failed(room: Room) -> None:
    path = f"archive/{TOKEN}/2026-11-25TZ00/10-00-00/{TOKEN}-1.mp4"
    row = Archive(token=TOKEN, filename=f"{TOKEN}-1.mp4", path=path)
    await room.index.archives.add(row)
    await room.index.archives.set_state(row, "running")
    part = part_of(room.root / path)
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half of it")
    again = room.build()
    await again.start()
    with pytest.raises(UnavailableError, match="started anew before it was finished"):
        await again.percentage(TOKEN, f"{TOKEN}-1.mp4")
    async with asyncio.timeout(WAIT_S):
        while room.left_over():
            await asyncio.sleep(0.01)
    await again.close()


async def test_a_full_disk_is_told_and_leaves_nothing(
    tmp_path: Path, ffmpeg: str, clips: Clips
) -> None:
    own = ["unshare --mount", *(["--map-root-user"] if os.geteuid() else [])]
    small = 'mount -t tmpfs -o size=64k none "$0" && exec ' + f'{ffmpeg} "$@"'
    program = scripted(
        tmp_path,
        'for one; do [ "$one" = -y ] || target=$one; done',
        f'exec {" ".join(own)} sh -c \'{small}\' "$(dirname "$target")" "$@"',
    )
    async with opened(tmp_path / "media", program) as room:
        await shoot(room, clips["h264_aac"], [8])
        file = await room.archives.request(room.ask(0, 8))
        assert await failure_of(room, file) == NO_ROOM
        assert room.left_over() == []
        room.refused = "the disk of the recordings is full"
        with pytest.raises(UnavailableError, match="is full"):
            await room.archives.request(room.ask(0, 8))


async def test_an_archive_waits_until_retention_has_made_room(
    room: Room, clips: Clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([0, 0, 1000])
    monkeypatch.setattr(feed_module, "free_bytes", lambda _: next(looks, 1000))
    monkeypatch.setattr(feed_module, "ROOM_LOOK_S", 0.01)
    room.archives = room.build(floor_bytes=1000)
    await shoot(room, clips["h264_aac"], [8])
    assert len(await shown(await room.make(0, 1))) == 25
    monkeypatch.setattr(feed_module, "free_bytes", lambda _: 999)
    monkeypatch.setattr(feed_module, "ROOM_WAIT_S", 0.05)
    file = await room.archives.request(room.ask(0, 1))
    assert await failure_of(room, file) == NO_ROOM
    await room.archives.close()


async def test_nothing_is_written_where_the_disk_is_away(room: Room, clips: Clips) -> None:
    await shoot(room, clips["h264_aac"], [8])
    room.is_away = True
    file = await room.archives.request(room.ask(0, 1))
    assert await failure_of(room, file) == (
        "the disk of the recordings refuses: it is not mounted"
    )
    assert not (room.root / "archive").exists()


async def test_what_is_still_being_recorded_is_taken_as_far_as_it_is(
    room: Room, clips: Clips
) -> None:
    init, fragments = await asyncio.to_thread(fragments_of, clips["h264_aac"])
    closed = await room.record(init, gops_of(fragments)[:3])
    data = (room.root / closed.path).read_bytes()
    found = read_movie(lambda at, size: data[at : at + size], len(data))
    size = found.gops[-1].offset + found.gops[-1].size
    writer = MovieWriter(init, {"token": TOKEN})
    growing = writer.head + data[len(writer.head) : size] + b"half a GOP"
    (room.root / closed.path).write_bytes(growing)
    await room.index.add(replace(closed, is_growing=True, size_bytes=size))
    path = await room.make(0.5, 60.0)
    assert await shown(path) == list(range(13, 75))


async def test_a_recording_deleted_meanwhile_is_told(slow: Room) -> None:
    (file,) = await slow.index.find_files("record", TOKEN, BEGIN_US, BEGIN_US + 1)
    first = await slow.archives.request(slow.ask(0, 8))
    second = await slow.archives.request(slow.ask(0, 8))
    (slow.root / file.path).unlink()
    await slow.archives.cancel(TOKEN, first.filename)
    assert "was deleted before it could be archived" in await failure_of(slow, second)
    with pytest.raises(UnavailableError, match="damaged or gone"):
        await slow.archives.request(slow.ask(0, 8))


async def test_an_ffmpeg_that_stands_still_is_given_up(
    slow: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("h5sup.recording.archive.job.STALL_S", 0.7)
    file = await slow.archives.request(slow.ask(0, 8))
    child = await until_made(slow, file)
    child.send_signal(signal.SIGSTOP)
    assert await failure_of(slow, file) == "ffmpeg made nothing for 0.7 s"
    assert not child.is_running()


async def test_an_archive_nobody_asked_for_is_unknown(room: Room, clips: Clips) -> None:
    with pytest.raises(NotFoundError, match=r"has no archive 'x\.mp4'"):
        await room.archives.percentage(TOKEN, "x.mp4")
    await shoot(room, clips["h264_aac"], [8])
    path = await room.make(0, 1)
    (found,) = await room.index.find_recording("archive", TOKEN, path.name)
    await room.index.delete([found.id])  # retention took it
    with pytest.raises(NotFoundError, match="has no archive"):
        await room.archives.percentage(TOKEN, path.name)
