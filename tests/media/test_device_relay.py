"""Recordings of a recorder that pauses, jumps and hurries, or does not: played by the relay."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from h5sup.base.errors import UnavailableError
from h5sup.bus.playback import PlaybackRequest
from h5sup.config.profile import VideoRecipe
from h5sup.devices.model import DeviceRecord, MediaAddress
from h5sup.devices.rtsp import relay
from h5sup.ffmpeg.process import Launcher
from h5sup.ffmpeg.tools import find_tools
from h5sup.recording.playback import device_line
from h5sup.recording.playback.converter import Kit
from h5sup.recording.playback.device_reel import DeviceReel, Patience
from h5sup.recording.playback.player import Player
from h5sup.recording.playback.wardrobe import Wardrobe
from tests.conftest import child_processes
from tests.fakes.clips import Clips, decode_frame_indexes
from tests.fakes.rtsp_recorder import NOON, Hurry, RtspRecorder, Ways
from tests.media.test_playback import Watched, runs_from

GOP = 25  # one a second
CLIP = 200
QUICK = Patience(
    first_s=5.0, stall_s=5.0, hold_s=0.1, idle_s=9.0, restart_every_s=0.1, jump_every_s=0.05
)


class Recordings:
    """All day is recorded."""

    def __init__(self, recorder: RtspRecorder) -> None:
        self._recorder = recorder
        self.password = recorder.password

    async def search(self, begin: datetime, end: datetime) -> tuple[Sequence[DeviceRecord], bool]:
        return [DeviceRecord(begin, end, "schedule")], True

    async def playback(self, begin: datetime, end: datetime) -> MediaAddress:
        return MediaAddress(self._recorder.url(begin), self._recorder.user, self.password)


class Stage:
    """A recorder, and who plays what it has."""

    def __init__(self, recorder: RtspRecorder, kit: Kit) -> None:
        self.recorder = recorder
        self.kit = kit
        self.recordings = Recordings(recorder)

    @asynccontextmanager
    async def watch(self, begin_s: float) -> AsyncIterator[Watched]:
        reel = DeviceReel(
            self.recordings,
            NOON + timedelta(seconds=begin_s),
            NOON + timedelta(seconds=3600),
            self.kit,
            patience=QUICK,
        )
        wardrobe = Wardrobe(family="avc1", sound=None)
        player = Player(PlaybackRequest(token="nvr--1"), reel.handed_to, wardrobe)
        try:
            await player.open()
            player.start()
            yield Watched(player)
        finally:
            await player.close()
            assert child_processes() == set()
            await until(lambda: self.recorder.open_connections == 0)


@pytest.fixture
async def stage(clips: Clips, tmp_path: Path) -> AsyncIterator[Stage]:
    tools = await find_tools("ffmpeg", "ffprobe")
    kit = Kit(tools, Launcher(f"test-{tmp_path.name}"), VideoRecipe())
    async with RtspRecorder(clips["h264_mute"]) as recorder:
        yield Stage(recorder, kit)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


def told(seen: Watched) -> list[float]:
    """Return where the playback told that it stands, in seconds after noon."""
    return [(one.at - NOON).total_seconds() for one in seen.viewer.positions]


async def seek(seen: Watched, seconds: float) -> float:
    """Jump, and return where that led."""
    had = len(told(seen))
    at = min(told(seen)) + seconds
    seen.player.seek(seconds)
    await seen.until(lambda: any(abs(one - at) < 2 for one in told(seen)[had:]))
    return told(seen)[-1]


@pytest.mark.parametrize("unit", ["clock", "npt"])
async def test_a_jump_needs_no_new_connection_and_tells_the_key_picture_it_begins_with(
    stage: Stage, unit: str
) -> None:
    stage.recorder.ways.unit = unit
    async with stage.watch(2.5) as seen:
        await seen.play(0.3)
        assert told(seen)[0] == pytest.approx(2.0, abs=0.001)
        assert await seek(seen, 30) == pytest.approx(32.0, abs=0.001)
        await seen.play(0.3)
        assert await seek(seen, 10) == pytest.approx(12.0, abs=0.001)
        await seen.play(0.3)
        firsts = [first for first, _ in runs_from(await seen.shown())]
        assert firsts == [2 * GOP, 32 * GOP % CLIP, 12 * GOP % CLIP]
    assert stage.recorder.connections == 1
    assert stage.recorder.methods[:8] == [
        "DESCRIBE", "DESCRIBE", "SETUP", "PLAY", "PAUSE", "PLAY", "PAUSE", "PLAY",
    ]  # fmt: skip
    assert stage.recorder.methods[-1] == "TEARDOWN"
    assert stage.recorder.refusals == 0


async def test_a_recorder_that_begins_within_a_gop_is_shown_from_its_next_key_picture(
    stage: Stage,
) -> None:
    stage.recorder.ways.from_key = False
    async with stage.watch(0.4) as seen:
        await seen.play(0.2)
        assert told(seen) == [pytest.approx(1.0, abs=0.001)]
        seen.player.seek(30)
        await seen.until(lambda: told(seen)[-1] > 29)
        assert told(seen)[-1] == pytest.approx(31.0, abs=0.001)
        await seen.play(0.2)
        firsts = [first for first, _ in runs_from(await seen.shown())]
        assert firsts == [GOP, 31 * GOP % CLIP]


@pytest.mark.parametrize(
    "ways",
    [
        Ways(unit=""),
        Ways(jumps=False),
        Ways(pause=405),
        Ways(is_mute=True),
    ],
    ids=["tells no range", "does not jump", "refuses PAUSE", "is mute after a jump"],
)
async def test_where_a_session_allows_no_jump_each_gets_a_new_one(
    stage: Stage, ways: Ways
) -> None:
    stage.recorder.ways = ways
    async with stage.watch(2) as seen:
        await seen.play(0.2)
        assert await seek(seen, 30) == pytest.approx(32.0, abs=0.001)
        await seen.play(0.2)
        assert await seek(seen, 10) == pytest.approx(12.0, abs=0.001)
        await seen.play(0.2)
        firsts = [first for first, _ in runs_from(await seen.shown())]
        assert firsts == [2 * GOP, 32 * GOP % CLIP, 12 * GOP % CLIP]
    assert stage.recorder.connections == 3


async def pause(seen: Watched, stage: Stage, seconds: float) -> None:
    """Stand still from when the recorder has paused."""
    seen.player.pause()
    await until(lambda: "PAUSE" in stage.recorder.methods)
    await asyncio.sleep(seconds)
    seen.player.resume()


async def test_a_pause_stops_the_recorder_and_goes_on_with_the_next_picture(stage: Stage) -> None:
    async with stage.watch(2) as seen:
        await seen.play(0.5)
        await pause(seen, stage, 1.5)
        await seen.play(1.0)
        (run,) = runs_from(await seen.shown())  # none is missing and none is there twice
        assert run[0] == 2 * GOP
    assert stage.recorder.connections == 1
    assert stage.recorder.methods[3:6] == ["PLAY", "PAUSE", "PLAY"]


@pytest.mark.parametrize(
    "ways", [Ways(pause=501), Ways(pause=0), Ways(session_s=1), Ways(drifts_s=60)]
)
async def test_after_a_pause_that_is_not_kept_it_goes_on_where_it_was(
    stage: Stage, ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_line, "ANSWER_S", 0.5)
    stage.recorder.ways = ways
    async with stage.watch(2) as seen:
        await seen.play(0.5)
        await pause(seen, stage, 1.3)
        await seen.play(2.5)
        runs = runs_from(await seen.shown())
        assert runs[0][0] == 2 * GOP
        assert runs[-1][1] > 4 * GOP
        for before, after in pairwise(runs):
            assert before[1] - 2 * GOP < after[0] <= before[1] + 1


async def test_a_session_is_kept_alive_over_a_pause(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "LEAST_ALIVE_S", 0.2)
    stage.recorder.ways.session_s = 1
    async with stage.watch(2) as seen:
        await seen.play(0.2)
        await pause(seen, stage, 1.5)
        await seen.play(1.0)
        (run,) = runs_from(await seen.shown())
        assert run[0] == 2 * GOP
    assert stage.recorder.connections == 1
    assert "GET_PARAMETER" in [one.method for one in stage.recorder.asked]


def pace(numbers: Sequence[int], lasts_s: Sequence[float]) -> float:
    """Return how many seconds of the recording some pictures show in a second."""
    passed = sum((after - before) % CLIP for before, after in pairwise(numbers))
    return passed / GOP / sum(lasts_s[:-1])


@pytest.mark.parametrize(
    ("hurry", "speed"),
    [(Hurry.ORIGINAL, 2), (Hurry.COMPRESSED, 2), (Hurry.COMPRESSED, 4), (Hurry.KEYS, 4)],
    ids=["original", "compressed", "compressed 4", "key pictures"],
)
async def test_a_recorder_that_hurries_is_played_so_many_times_as_fast(
    stage: Stage, hurry: Hurry, speed: int
) -> None:
    stage.recorder.ways.hurry = hurry
    loop = asyncio.get_running_loop()
    async with stage.watch(0) as seen:
        await seen.play(0.6)
        seen.player.set_speed(speed)
        await seen.play(1.2)  # until it hurries
        begun, had = loop.time(), len(seen.viewer.pictures)
        await seen.play(2.0)
        took_s = loop.time() - begun
        hurried = slice(had, len(seen.viewer.pictures))
        seen.player.set_speed(1)
        await seen.play(0.6)
        was = len(seen.viewer.pictures)
        await seen.play(1.0)
        decoded = await asyncio.to_thread(decode_frame_indexes, bytes(seen.viewer.media))
    lasts_s = [one.duration_s for one in seen.viewer.pictures]
    assert pace(decoded[hurried], lasts_s[hurried]) == pytest.approx(speed, rel=0.1)
    assert took_s < 2.0 * speed, "it plays faster than it was recorded"
    if speed == 4:  # no more pictures than browsers show
        assert all(number % GOP == 0 for number in decoded[hurried])
    assert pace(decoded[was:], lasts_s[was:]) == pytest.approx(1, rel=0.1)
    assert stage.recorder.connections == 1
    scales = [one.headers.get("scale") for one in stage.recorder.asked if one.method == "PLAY"]
    assert scales[:3] == [None, str(speed), None]


@pytest.mark.parametrize(
    "hurry", [Hurry.IGNORES, Hurry.LIES, Hurry.REFUSES], ids=lambda one: one.name
)
async def test_a_recorder_that_does_not_hurry_is_played_as_it_sends(
    stage: Stage, hurry: Hurry
) -> None:
    stage.recorder.ways.hurry = hurry
    async with stage.watch(0) as seen:
        await seen.play(1.0)
        seen.player.set_speed(2)
        await seen.play(1.0)
        shown = await seen.shown()
        last = told(seen)[-1]
        assert last == pytest.approx(shown[-1] / GOP, abs=1.5)
        assert last < 4.0
    assert stage.recorder.connections == 1


async def test_a_refused_login_is_tried_once(stage: Stage) -> None:
    stage.recordings.password = "wrong"
    with pytest.raises(UnavailableError, match="the device refused user name or password"):
        async with stage.watch(0):
            pass
    assert stage.recorder.refusals == 1
    assert stage.recorder.connections == 1


async def test_a_basic_login_and_no_word_of_it_in_what_is_run(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    stage.recorder.ways.basic = True
    async with stage.watch(0) as seen:
        await seen.play(0.2)
        (pid,) = child_processes()
        argv = " ".join(psutil.Process(pid).cmdline())
        assert "rtsp://127.0.0.1:" in argv
        assert "admin" not in argv
        assert "pass" not in argv
    assert "pass:" not in caplog.text


async def test_a_recorder_with_which_the_relay_gets_nowhere_is_read_by_ffmpeg_alone(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.recorder.ways.knows_relay = False
    async with stage.watch(2) as seen:
        await seen.play(0.2)
        assert await seek(seen, 30) == pytest.approx(32.0, abs=0.001)
        await seen.play(0.2)
        seen.player.pause()
        await asyncio.sleep(0.3)
        seen.player.resume()
        seen.player.set_speed(2)
        await seen.play(0.5)
        firsts = [first for first, _ in runs_from(await seen.shown())]
        assert firsts == [pytest.approx(one, abs=1) for one in (2 * GOP, 32 * GOP % CLIP)]
    said = [one.message for one in caplog.records if "without a pause" in one.message]
    assert len(said) == 1, "it is said once, and not tried again"
    assert stage.recorder.connections == 3
