"""Recordings from fragments to files: what is in them, what is told of them, what is missing."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from h5sup.base.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from h5sup.events.event import RecordStart, RecordStop
from h5sup.recording import tape
from h5sup.recording.healing import Healed, heal
from h5sup.recording.mounts import MountGuard
from h5sup.recording.playback import stored
from h5sup.recording.recordings import MOST_PER_SOURCE, Moment
from h5sup.recording.retention import remove_empty
from h5sup.recording.volume import Volume
from h5sup.store.media_records import StoredFile
from tests.fakes.clips import Clips, Recipe, decode_frame_indexes
from tests.fakes.stage import EPOCH_S, TOKEN, Reel, Stage, Taker, staged

pytestmark = pytest.mark.media

ALWAYS = {"record": "always"}
LONG = Recipe(audio="aac", duration_s=32)
SHORT = Recipe(audio="aac")
SECOND_US = 1_000_000


def decode_all(stage: Stage, files: list[StoredFile]) -> list[int]:
    """Return the numbers of all pictures of some files, one file after another."""
    listed = "".join(f"file '{one.path}'\n" for one in files)
    together = stage.root / "all.ffconcat"
    together.write_text(f"ffconcat version 1.0\n{listed}")
    return decode_frame_indexes(together)


def probe(path: Path) -> Any:
    """Return what ffprobe says of a file, which has to play without a complaint."""
    argv = ["ffprobe", "-v", "warning", "-of", "json", "-show_streams", "-show_format", str(path)]
    done = subprocess.run(argv, capture_output=True, check=True, timeout=30)
    assert not done.stderr, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def reel(clips: Clips) -> Reel:
    """Return eight seconds with sound, a key frame each second."""
    return Reel(clips.make(SHORT, "h264_aac"))


@pytest.mark.parametrize(
    ("recipe", "slower", "first"),
    [
        (LONG, 1.0, 0),
        (Recipe(audio="aac", duration_s=32, b_frames=2), 1.0, 0),
        (Recipe(audio="aac", duration_s=32, fps=30), 1.001, 0),
        (LONG, 1.0, 11),
    ],
    ids=["25 fps", "B-frames", "29.97 fps", "sound leading"],
)
async def test_no_picture_is_lost_between_files(
    recipe: Recipe, slower: float, first: int, clips: Clips, tmp_path: Path
) -> None:
    reel = Reel(clips.make(recipe, "record"), slower=slower)
    async with staged(tmp_path, source=ALWAYS, segment_s=1) as stage:
        await stage.play(reel, first=first)
        await stage.recordings.close()
        files = await stage.files()
        assert await stage.lasting_gaps() == ["restart"]
    begin = recipe.fps if first else 0
    assert decode_all(stage, files) == list(range(begin, recipe.frames))
    assert len(files) == 32 - (begin > 0)
    assert not any(one.is_growing for one in files)
    for before, after in pairwise(files):
        assert abs(after.start_us - before.end_us) < 1000
    last = probe(stage.root / files[-2].path)
    assert [one["codec_type"] for one in last["streams"]] == ["video", "audio"]


async def test_hevc_is_recorded_as_it_is(clips: Clips, tmp_path: Path) -> None:
    recipe = Recipe(video="hevc", audio="aac")
    async with staged(tmp_path, source=ALWAYS, segment_s=3) as stage:
        await stage.play(Reel(clips.make(recipe, "hevc_aac")))
        await stage.recordings.close()
        files = await stage.files()
    assert [one.codecs[:4] for one in files] == ["hvc1"] * 3
    assert decode_all(stage, files) == list(range(recipe.frames))


async def test_a_growing_file_is_in_the_index_and_plays(reel: Reel, tmp_path: Path) -> None:
    async with staged(tmp_path, source=ALWAYS) as stage:
        await stage.play(reel)
        (file,) = await stage.files()
        assert file.is_growing
        assert file.end_us - file.start_us == 7 * SECOND_US  # the last GOP is not whole yet
        assert file.size_bytes == (stage.root / file.path).stat().st_size
        assert decode_all(stage, [file]) == list(range(175))
        known = stage.recordings.find_growing(file.path)
        assert known is not None
        scanned = stored.open_file(stage.root, file)
        scanned.close()
        assert list(known.gops) == list(scanned.movie.gops)
        assert stage.recordings.find_growing("record/cam/another.mp4") is None


async def test_the_source_is_held_while_it_is_recorded_and_no_longer(
    reel: Reel, tmp_path: Path
) -> None:
    async with staged(tmp_path) as stage:
        assert not stage.sources.leases
        await stage.while_playing(reel, stage.recordings.start_manual(TOKEN))
        assert stage.sources.holders == 1
        await stage.recordings.stop_manual(TOKEN)
        await stage.tick()
        assert stage.sources.holders == 0
        assert stage.sources.channel.viewers == 0


# what is told


async def test_events_and_the_flag_follow_what_is_written(reel: Reel, tmp_path: Path) -> None:
    async with staged(tmp_path, source=ALWAYS) as stage:
        recordings = stage.recordings
        assert not recordings.is_recording(TOKEN)
        assert stage.events() == []
        await stage.play(reel, count=60)
        assert recordings.is_recording(TOKEN)
        await stage.lose("the camera did not answer")
        assert not recordings.is_recording(TOKEN)
        await stage.play(reel)
        assert recordings.is_recording(TOKEN)
        await recordings.close()
        assert not recordings.is_recording(TOKEN)
        begun, lost, back, ended = stage.events()
        first, second = await stage.files()
    assert begun == RecordStart(TOKEN, first.filename, "always")
    assert lost == RecordStop(TOKEN, first.filename, "always", "the camera did not answer")
    assert back == RecordStart(TOKEN, second.filename, "always")
    assert ended == RecordStop(TOKEN, second.filename, "always", "the server stops")


async def test_an_outage_is_a_gap_with_its_reason(reel: Reel, tmp_path: Path) -> None:
    async with staged(tmp_path, source=ALWAYS) as stage:
        await stage.play(reel, count=60)
        await stage.lose("the camera refused the password", away_s=30)
        assert await stage.lasting_gaps() == ["offline"]
        await stage.play(reel)
        await stage.settle()
        (gap,) = await stage.gaps()
        before, after = await stage.files()
    assert gap.reason == "the camera refused the password"
    assert (gap.start_us, gap.end_us) == (before.end_us, after.start_us)
    assert gap.end_us is not None
    assert abs(gap.end_us - gap.start_us - 30 * SECOND_US) < SECOND_US / 10
    assert decode_all(stage, [before]) == list(range(60))  # the last pictures are what one wants


async def test_a_camera_that_is_back_at_once_leaves_a_gap_alone(
    reel: Reel, tmp_path: Path
) -> None:
    async with staged(tmp_path, source=ALWAYS) as stage:
        await stage.play(reel, count=75)
        await stage.lose(away_s=2.5)
        await stage.play(reel, count=75)
        (gap,) = await stage.gaps()
        (file,) = await stage.files()
        assert len(stage.events()) == 1
        assert decode_all(stage, [file]) == [*range(75), *range(50)]
    assert gap.cause == "lost"
    assert gap.end_us is not None
    assert abs(gap.end_us - gap.start_us - 2.5 * SECOND_US) < SECOND_US / 10


async def test_a_source_that_never_comes_is_a_gap(tmp_path: Path) -> None:
    async with staged(tmp_path, source=ALWAYS) as stage:
        await stage.tick()
        assert await stage.gaps() == []  # it may still be starting
        stage.sources.channel.set_state("BACKOFF", "there is no such camera")
        await stage.tick()
        (gap,) = await stage.gaps()
        assert (gap.cause, gap.reason) == ("offline", "there is no such camera")
        stage.now_s += 60.0
        stage.sources.change(record="off")
        await stage.tick()
        (gap,) = await stage.gaps()
        assert gap.end_us is not None  # what nobody wants recorded is no gap


# by hand


async def test_a_recording_by_hand_is_one_file_over_an_outage(reel: Reel, tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        begun = await stage.while_playing(reel, stage.recordings.start_manual(TOKEN))
        assert begun.sentence == "recording has started"
        again = await stage.recordings.start_manual(TOKEN)
        assert (again.name, again.path) == (begun.name, begun.path)
        assert again.sentence == "this recording runs already"
        await stage.lose()
        assert stage.recordings.has_manual(TOKEN)
        assert not stage.recordings.is_recording(TOKEN)
        await stage.play(reel, count=110)
        assert await stage.recordings.stop_manual(TOKEN) == "the recording is stopped"
        assert not stage.recordings.has_manual(TOKEN)
        (file,) = await stage.files()
        assert (file.filename, file.path, file.trigger) == (begun.name, begun.path, "manual")
        assert decode_all(stage, [file]) == [*range(25, 30), *range(110)]
        assert [type(one) for one in stage.events()] == [RecordStart, RecordStop] * 2
        with pytest.raises(NotFoundError, match="no recording that was begun by hand"):
            await stage.recordings.stop_manual(TOKEN)
        assert stage.store.kept == {}


async def test_a_source_that_sends_something_else_goes_on_in_a_further_file(
    reel: Reel, clips: Clips, tmp_path: Path
) -> None:
    larger = Recipe(audio="aac", width=640, height=360)
    other = Reel(clips.make(larger, "larger"))
    async with staged(tmp_path, source=ALWAYS) as stage:
        begun = await stage.while_playing(reel, stage.recordings.start_manual(TOKEN))
        await stage.lose(away_s=1.0)
        await stage.play(other, count=60)
        await stage.recordings.stop_manual(TOKEN)
        files = await stage.files()
        manual = await stage.index.find_recording("record", TOKEN, begun.name)
        always = [one for one in files if one.trigger == "always"]
    assert [one.width for one in manual] == [one.width for one in always] == [384, 640]
    assert [one.recording for one in manual] == [begun.name] * 2
    assert [one.recording for one in always] == [one.filename for one in always]
    for one, expected in zip(manual, (range(25, 30), range(60)), strict=True):
        assert decode_all(stage, [one]) == list(expected)


async def test_recordings_end_by_themselves(reel: Reel, tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        begun = await stage.while_playing(reel, stage.recordings.record(TOKEN, 1.0, "an-hour-ago"))
        assert begun.name == "an-hour-ago.mp4"
        assert not stage.recordings.has_manual(TOKEN)
        await stage.until(lambda: not stage.recordings.is_recording(TOKEN))
        (stop,) = [one for one in stage.events() if isinstance(one, RecordStop)]
        assert (stop.filename, stop.reason) == ("an-hour-ago.mp4", "its time is over")
        await stage.until(lambda: not stage.store.kept)
        with pytest.raises(ConflictError, match=r"'an-hour-ago\.mp4' already"):
            await stage.recordings.record(TOKEN, 1.0, "an-hour-ago")


async def test_several_recordings_run_beside_each_other(reel: Reel, tmp_path: Path) -> None:
    async with staged(tmp_path, source=ALWAYS, segment_s=1) as stage:
        recordings = stage.recordings
        one = await stage.while_playing(reel, recordings.start_manual(TOKEN))
        two = await recordings.start_manual(TOKEN, always_create=True, limit_s=60)
        assert two.name != one.name
        await stage.play(reel, first=30, count=70)
        await recordings.stop_manual(TOKEN, two.name)
        assert recordings.has_manual(TOKEN)
        await stage.play(reel, first=100)
        await recordings.stop_manual(TOKEN, one.name.removesuffix(".mp4"))
        await recordings.close()
        files = await stage.files()
    always = [file for file in files if file.trigger == "always"]
    assert decode_all(stage, always) == list(range(200))
    frames = {file.filename: decode_all(stage, [file]) for file in files}
    assert frames[one.name] == list(range(25, 200))
    assert frames[two.name] == list(range(25, 100))  # from the newest key frame on


@pytest.mark.parametrize("ends_by", ["stop", "close"])
async def test_what_waits_in_the_pipe_at_the_end_is_recorded(
    ends_by: str, reel: Reel, tmp_path: Path
) -> None:
    async with staged(tmp_path) as stage:
        await stage.while_playing(reel, stage.recordings.start_manual(TOKEN))
        await stage.play(reel, first=30, count=42)
        stage.hold_back(reel, first=72, count=6)  # with a key frame among them
        if ends_by == "stop":
            await stage.recordings.stop_manual(TOKEN)
        else:
            await stage.recordings.close()
        (file,) = await stage.files()
        assert decode_all(stage, [file]) == list(range(25, 78))


async def test_two_starts_at_once_begin_one_recording(reel: Reel, tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        await stage.play(reel, count=30)
        starts = [stage.recordings.start_manual(TOKEN) for _ in range(2)]
        one, two = await asyncio.gather(*starts)
        assert one.name == two.name
        early = stage._build()
        with pytest.raises(UnavailableError, match="the server is starting"):
            await early.start_manual(TOKEN)


async def test_a_path_is_recorded_to_and_lengthened(reel: Reel, tmp_path: Path) -> None:
    moment = Moment(stage_time(), None)
    async with staged(tmp_path) as stage:
        recordings = stage.recordings
        begun = await stage.while_playing(
            reel, recordings.record_path(TOKEN, moment, 10, "order-7")
        )
        assert begun.path.endswith("/order-7.mp4")
        (order,) = stage.store.kept.values()
        longer = await recordings.record_path(TOKEN, moment, 20, "order-7")
        assert longer.path == begun.path
        assert longer.sentence == "this recording goes on for 20 s more"
        (later,) = stage.store.kept.values()
        assert later["ends_us"] - order["ends_us"] == 20 * SECOND_US
        with pytest.raises(ConflictError, match="already"):
            await recordings.record_path(TOKEN, moment, 20, "order-7", always_create=True)
        await recordings.stop_manual(TOKEN, "order-7")
        (file,) = await stage.files()
        assert file.path == begun.path
        with pytest.raises(ConflictError, match="already"):
            await recordings.record_path(TOKEN, moment, 20, "order-7")


def stage_time() -> Any:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(EPOCH_S, UTC)


async def test_what_can_not_be_begun_is_said(reel: Reel, tmp_path: Path) -> None:
    async with staged(tmp_path, manual_max_s=100) as stage:
        recordings = stage.recordings
        with pytest.raises(NotFoundError, match="no source"):
            await recordings.start_manual("gone")
        with pytest.raises(InvalidError, match=r"duration: must be 1 to 100 seconds"):
            await recordings.record(TOKEN, 101)
        with pytest.raises(InvalidError, match=r"limittime: must be 1 to 100 seconds"):
            await recordings.start_manual(TOKEN, limit_s=0.5)
        with pytest.raises(InvalidError, match="filename: must be"):
            await recordings.record(TOKEN, 10, "../../etc/passwd")
        with pytest.raises(NotFoundError, match="no recording 'x' of source 'cam' runs"):
            await recordings.stop_manual(TOKEN, "x")
        stage.disk.why = "the disk is full"
        with pytest.raises(UnavailableError, match="the disk is full"):
            await recordings.start_manual(TOKEN)
        stage.disk.why = ""
        await stage.play(reel, count=30)
        for _ in range(MOST_PER_SOURCE):
            await stage.while_playing(reel, recordings.start_manual(TOKEN, always_create=True))
        with pytest.raises(UnavailableError, match="16 recordings of source 'cam' run already"):
            await recordings.start_manual(TOKEN)


async def test_a_source_without_a_picture_is_recorded_from_its_first_one(
    reel: Reel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("h5sup.recording.recordings.FIRST_PICTURE_S", 0.01)
    async with staged(tmp_path) as stage:
        stage.sources.channel.set_state("BACKOFF", "the camera did not answer")
        begun = await stage.recordings.start_manual(TOKEN)
        assert begun.sentence == (
            "recording starts with the first picture: the camera did not answer"
        )
        assert not stage.recordings.is_recording(TOKEN)
        await stage.play(reel, count=60)
        assert stage.recordings.is_recording(TOKEN)
        await stage.recordings.stop_manual(TOKEN)
        (file,) = await stage.files()
        assert decode_all(stage, [file]) == list(range(60))
        await stage.lose()
        await stage.recordings.start_manual(TOKEN)
        said = await stage.recordings.stop_manual(TOKEN)
        assert said == "the recording is called off: there was no picture yet"
        assert len(await stage.files()) == 1


async def test_a_recording_also_has_what_was_seen_just_before(reel: Reel, tmp_path: Path) -> None:
    async with staged(tmp_path, source={"pre_record_s": 3.0}) as stage:
        await stage.tick()
        await stage.play(reel, count=160)
        await stage.recordings.start_manual(TOKEN)
        await stage.play(reel, first=160, count=30)
        await stage.recordings.stop_manual(TOKEN)
        (file,) = await stage.files()
        assert decode_all(stage, [file]) == list(range(75, 190))
        assert await stage.gaps() == []


async def test_a_deleted_source_is_recorded_no_more(reel: Reel, tmp_path: Path) -> None:
    async with staged(tmp_path, source=ALWAYS) as stage:
        await stage.while_playing(reel, stage.recordings.start_manual(TOKEN))
        stage.sources.is_gone = True
        stage.sources.tell()
        await stage.until(lambda: not stage.store.kept)
        await stage.until(lambda: stage.sources.holders == 0)
        stops = [one for one in stage.events() if isinstance(one, RecordStop)]
        assert {one.reason for one in stops} == {"the source was deleted"}
        assert len(stops) == 2
        files = await stage.closed_files()
    seen = {file.trigger: decode_all(stage, [file]) for file in files}
    assert seen == {"always": list(range(30)), "manual": list(range(25, 30))}


async def test_hours_begin_and_end_a_recording(reel: Reel, tmp_path: Path) -> None:
    local = stage_time().astimezone()
    hours = {"from": f"{local:%H:%M}", "to": f"{(local.hour + 1) % 24:02}:{local:%M}"}
    source = {"record": "schedule", "record_hours": [hours]}
    async with staged(tmp_path, source=source) as stage:
        stage.set_s = -600.0 - 100.0
        await stage.restart()
        await stage.play(reel, count=30)
        assert stage.events() == []
        stage.set_s = 0.0
        await stage.tick()
        await stage.play(reel, first=30, count=60)
        assert stage.recordings.is_recording(TOKEN)
        stage.set_s = 3600.0
        await stage.tick()
        assert not stage.recordings.is_recording(TOKEN)
        begun, ended = stage.events()
        assert isinstance(begun, RecordStart)
        assert begun.trigger == "schedule"
        assert isinstance(ended, RecordStop)
        assert await stage.gaps() == []
        await stage.tick()
        assert stage.sources.holders == 0


# clocks


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
async def test_a_clock_that_is_set_begins_a_new_file(
    jump_s: float, reel: Reel, tmp_path: Path
) -> None:
    async with staged(tmp_path, source=ALWAYS) as stage:
        await stage.play(reel, count=100)
        stage.set_s = jump_s
        await stage.play(reel, first=100)
        await stage.recordings.close()
        first, second = sorted(await stage.files(), key=lambda one: one.id)
        gaps = [one.cause for one in await stage.gaps()]
    assert decode_all(stage, [first, second]) == list(range(200))
    assert all(one.end_us > one.start_us for one in (first, second))
    moved_us = second.start_us - first.end_us - jump_s * SECOND_US
    assert abs(moved_us) < SECOND_US / 10
    assert gaps == (["clock", "restart"] if jump_s > 0 else ["restart"])
    hours = [one.path.split("/")[3][:2] for one in (first, second)]
    assert (int(hours[1]) - int(hours[0])) % 24 == (1 if jump_s > 0 else 23)


async def test_a_recording_by_hand_never_goes_back_in_time(reel: Reel, tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        begun = await stage.while_playing(reel, stage.recordings.start_manual(TOKEN))
        await stage.play(reel, first=30, count=30)
        stage.set_s = -3600.0
        await stage.play(reel, first=60, count=60)
        await stage.recordings.stop_manual(TOKEN)
        files = await stage.index.find_recording("record", TOKEN, begun.name)
    assert len(files) == 2
    assert all(one.end_us > one.start_us for one in files)


# over a restart


async def test_a_recording_by_hand_goes_on_after_a_restart(reel: Reel, tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        begun = await stage.while_playing(reel, stage.recordings.start_manual(TOKEN))
        await stage.restart(away_s=20.0)
        assert stage.recordings.has_manual(TOKEN)
        again = await stage.recordings.start_manual(TOKEN)
        assert again.name == begun.name
        await stage.play(reel, first=30, count=60)
        await stage.recordings.stop_manual(TOKEN)
        files = await stage.index.find_recording("record", TOKEN, begun.name)
        (gap,) = await stage.gaps()
    assert [one.filename == begun.name for one in files] == [True, False]
    assert {one.recording for one in files} == {begun.name}
    assert (gap.cause, gap.reason) == ("restart", "h5sup was stopped")
    assert gap.end_us == files[1].start_us


async def test_a_recording_whose_time_has_come_does_not_go_on(reel: Reel, tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        await stage.while_playing(reel, stage.recordings.record(TOKEN, 60))
        await stage.restart(away_s=61.0)
        await stage.until(lambda: not stage.store.kept)
        await stage.play(reel, first=30, count=60)
        assert not stage.recordings.is_recording(TOKEN)
        assert len(await stage.files()) == 1


async def test_a_store_that_refuses_stops_no_recording(
    reel: Reel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def refuse(_: Any) -> None:
        raise UnavailableError("the disk below data is full")

    async with staged(tmp_path) as stage:
        monkeypatch.setattr(stage.store, "save_recording", refuse)
        monkeypatch.setattr(stage.store, "delete_recording", refuse)
        begun = await stage.while_playing(reel, stage.recordings.start_manual(TOKEN))
        await stage.recordings.stop_manual(TOKEN)
        (file,) = await stage.files()
    assert file.filename == begun.name
    assert f"recording {begun.name} will not outlive a restart: the disk" in caplog.text
    assert f"recording {begun.name} may go on after a restart: the disk" in caplog.text


async def test_what_was_begun_of_a_source_that_is_gone_is_forgotten(
    reel: Reel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with staged(tmp_path) as stage:
        await stage.while_playing(reel, stage.recordings.start_manual(TOKEN))
        await stage.recordings.close()
        stage.sources.is_gone = True
        await stage.restart(away_s=1.0)
        await stage.until(lambda: not stage.store.kept)
        stage.sources.is_gone = False
        stage.sources.tell()
        keep = stage.store.save_recording

        async def delete_source(raw: Any) -> None:
            await keep(raw)
            stage.sources.is_gone = True
            stage.sources.tell()

        monkeypatch.setattr(stage.store, "save_recording", delete_source)
        with pytest.raises(NotFoundError, match="no source"):
            await stage.recordings.start_manual(TOKEN)
        await stage.until(lambda: not stage.store.kept)
        assert stage.sources.holders == 0


# the disk


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyDisk]:
    """Return switches for what the disk does."""
    disk = FaultyDisk()
    monkeypatch.setattr(tape, "os", disk)
    yield disk
    disk.go_on.set()


class FaultyDisk:
    """The system's calls, of which some fail or hang."""

    def __init__(self) -> None:
        self.error: OSError | None = None
        self.go_on = threading.Event()
        self.go_on.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def writev(self, fd: int, buffers: Any) -> int:
        if self.error is not None:
            os.write(fd, bytes(buffers[0])[:20])  # a full disk takes a part
            raise self.error
        return os.writev(fd, buffers)

    def fdatasync(self, fd: int) -> None:
        self.go_on.wait(20)
        os.fdatasync(fd)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
async def test_a_disk_that_refuses_stops_recording_until_it_is_back(
    number: int, reel: Reel, faulty: FaultyDisk, tmp_path: Path
) -> None:
    async with staged(tmp_path, source=ALWAYS) as stage:
        viewer = Taker()
        await stage.play(reel, count=100)
        stage.sources.channel.subscribe(viewer)
        faulty.error = OSError(number, os.strerror(number))
        await stage.play(reel, first=100, count=26)
        await stage.until(lambda: stage.disk.failures)
        assert not stage.recordings.is_recording(TOKEN)
        await stage.play(reel, first=126, count=24)
        assert await stage.lasting_gaps() == ["disk"]
        assert [one.is_growing for one in await stage.files()] == [True]  # it was not closed
        faulty.error, stage.disk.why = None, ""
        await heal_all(stage)
        await stage.play(reel, first=150)
        assert stage.recordings.is_recording(TOKEN)
        await stage.recordings.close()
        first, second = await stage.closed_files()
        _, stop, start, _ = stage.events()
        gaps = await stage.gaps()
    assert isinstance(stop, RecordStop)
    assert stop.reason == f"the disk refused: {os.strerror(number)}"
    assert isinstance(start, RecordStart)
    assert decode_all(stage, [first]) == list(range(75))
    assert decode_all(stage, [second]) == list(range(125, 200))
    assert gaps[0].cause == "disk"
    assert abs(gaps[0].start_us - first.end_us) <= 1
    assert gaps[0].end_us == second.start_us
    assert len(probe(stage.root / first.path)["streams"]) == 2
    assert len(viewer.taken) == 100  # who watches notices nothing
    assert (stage.root / first.path).stat().st_size == first.size_bytes


async def test_a_folder_that_retention_takes_away_is_made_again(
    reel: Reel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Path] = []
    make = tape._make_folder

    def make_and_lose(folder: Path, root: Path) -> None:
        make(folder, root)
        if not taken and len(folder.relative_to(root).parts) == 4:
            taken.append(folder)
            remove_empty(root, [folder])

    monkeypatch.setattr(tape, "_make_folder", make_and_lose)
    async with staged(tmp_path, source=ALWAYS) as stage:
        await stage.play(reel)
        await stage.recordings.close()
        (file,) = await stage.files()
        assert not stage.disk.failures
    assert (stage.root / file.path).parent == taken[0]


async def heal_all(stage: Stage) -> None:
    """Have the index compared with the disk, as when the disk comes back."""
    volume = Volume(MountGuard(stage.root, stage.root.parent), stage.hub, keep_free_bytes=0)
    assert await heal(stage.index, volume) == Healed(closed=1)
    await volume.close()


async def test_a_slow_disk_loses_whole_gops_and_harms_no_viewer(
    reel: Reel, faulty: FaultyDisk, tmp_path: Path
) -> None:
    async with staged(tmp_path, source=ALWAYS, queue_bytes=300_000) as stage:
        viewer = Taker()
        await stage.play(reel, count=26)
        stage.sources.channel.subscribe(viewer)
        faulty.go_on.clear()
        await stage.play(reel, first=26, count=150, waits=False)
        assert await stage.lasting_gaps() == ["disk"]
        (recorder,) = stage.recordings.recorders
        assert recorder.queue.size_bytes <= 300_000
        dropped = recorder.queue.dropped_gops
        assert dropped
        faulty.go_on.set()
        await stage.settle()
        await stage.play(reel, first=176)
        await stage.recordings.close()
        (file,) = await stage.closed_files()
        gap, _ = await stage.gaps()
        assert len(stage.events()) == 2
    seen = decode_all(stage, [file])
    assert len(seen) == 200 - 25 * dropped
    assert all(len(seen[at : at + 25]) in (25, 24) for at in range(0, len(seen), 25))
    holes = [(before, after) for before, after in pairwise(seen) if after != before + 1]
    assert [(before % 25, after % 25) for before, after in holes] == [(24, 0)]
    assert (gap.cause, gap.reason) == ("disk", "the disk is too slow for what is recorded")
    assert gap.end_us is not None
    assert abs(gap.end_us - gap.start_us - dropped * SECOND_US) < SECOND_US / 10
    assert len(viewer.taken) == 174


async def test_a_disk_that_is_away_is_not_written_to(reel: Reel, tmp_path: Path) -> None:
    async with staged(tmp_path, source=ALWAYS) as stage:
        stage.disk.is_away = True
        await stage.play(reel, count=60)
        assert stage.disk.failures
        assert list(stage.root.iterdir()) == []
        assert await stage.files() == []


async def test_an_index_that_can_not_be_written_stops_no_recording(
    reel: Reel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any, **__: Any) -> int:
        raise UnavailableError("the disk below data is full")

    async with staged(tmp_path, source=ALWAYS) as stage:
        monkeypatch.setattr(stage.index, "add", refuse)
        monkeypatch.setattr(stage.index.gaps, "add", refuse)
        await stage.play(reel)
        await stage.recordings.close()
        assert await stage.files() == []
    (path,) = stage.root.rglob("*.mp4")
    indexes = await asyncio.to_thread(decode_frame_indexes, path)
    assert indexes == list(range(200))


async def test_a_bug_costs_a_file_and_is_logged(
    reel: Reel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    append = tape._GrowingFile.append

    def break_once(self: tape._GrowingFile, gops: Any) -> None:
        append(self, gops)
        if self.end_us - EPOCH_S * SECOND_US > 103.5 * SECOND_US:
            monkeypatch.setattr(tape._GrowingFile, "append", append)
            raise RuntimeError("a bug")

    monkeypatch.setattr(tape._GrowingFile, "append", break_once)
    async with staged(tmp_path, source=ALWAYS) as stage:
        await stage.play(reel, count=101)
        await stage.until(lambda: "tape cam has crashed" in caplog.text)
        await stage.play(reel, first=101)
        await stage.recordings.close()
        files = await stage.closed_files()
    assert decode_all(stage, files) == list(range(200))
    assert len(files) == 2
