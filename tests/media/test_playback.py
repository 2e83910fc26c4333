"""Recordings of real media played again, decoded, and converted by a real ffmpeg."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from h5sup.base.errors import UnavailableError
from h5sup.bus.playback import PlaybackRequest
from h5sup.config.profile import VideoRecipe
from h5sup.ffmpeg.process import Launcher
from h5sup.ffmpeg.tools import find_tools
from h5sup.recording.playback.converter import Kit
from h5sup.recording.playback.opener import RecordedPlaybacks
from h5sup.recording.playback.player import Player
from h5sup.sources.source import Transcodes
from h5sup.store.media_index import MediaIndex
from tests.conftest import child_processes
from tests.fakes.clips import Clips, decode_frame_indexes
from tests.fakes.mediastore import Mediastore
from tests.fakes.recordings import Strict

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Watched:
    """A playback and what a viewer has got of it."""

    def __init__(self, player: Player) -> None:
        self.player = player
        self.viewer = Strict(is_numbered=False)

    async def until(self, condition: Callable[[], object], timeout_s: float = 15.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():
                item = await self.player.next()
                assert item is not None
                self.viewer.take(item)

    async def play(self, seconds: float) -> None:
        """Take so many more seconds of media."""
        end_s = self.viewer.end_s + seconds
        await self.until(lambda: self.viewer.end_s >= end_s - 0.001)

    async def to_end(self) -> None:
        await self.until(lambda: self.viewer.positions and self.viewer.positions[-1].is_end)

    async def shown(self) -> list[int]:
        """Return the numbers of the pictures that stayed long enough to be seen, in order."""
        decoded = await asyncio.to_thread(decode_frame_indexes, bytes(self.viewer.media))
        lasting = [one.duration_s for one in self.viewer.pictures]
        assert len(decoded) == len(lasting)
        return [number for number, long_s in zip(decoded, lasting, strict=True) if long_s > 0.012]


class Theatre:
    """Recordings, and who plays them."""

    def __init__(self, playbacks: RecordedPlaybacks) -> None:
        self.playbacks = playbacks

    @asynccontextmanager
    async def watch(self, seconds: float, **wanted: object) -> AsyncIterator[Watched]:
        request = PlaybackRequest(
            token="front",
            begin=NOON,
            end=NOON + timedelta(seconds=seconds),
            **wanted,  # type: ignore[arg-type]
        )
        player = await self.playbacks.open(request)
        try:
            yield Watched(player)
        finally:
            await player.close()


@asynccontextmanager
async def theatre(
    folder: Path, mediastore: Mediastore, *, transcodes: int = 2
) -> AsyncIterator[Theatre]:
    await mediastore.close()
    index = MediaIndex(folder / "data")
    await index.open()
    tools = await find_tools("ffmpeg", "ffprobe")
    kit = Kit(tools, Launcher(f"test-{folder.name}"), VideoRecipe())
    playbacks = RecordedPlaybacks(
        index, folder / "mediastore", limit=4, kit=kit, transcodes=Transcodes(transcodes)
    )
    try:
        yield Theatre(playbacks)
    finally:
        await playbacks.close()
        await index.close()


def runs_from(shown: list[int]) -> list[tuple[int, int]]:
    """Return the stretches of numbers that follow each other, as (first, last)."""
    runs: list[tuple[int, int]] = []
    for number in shown:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


async def test_a_seek_into_a_long_gop_shows_the_asked_picture_within_half_a_second(
    tmp_path: Path, clips: Clips
) -> None:
    mediastore = Mediastore(tmp_path)
    mediastore.record(clips["h264_gop4"], NOON)
    async with theatre(tmp_path, mediastore) as made, made.watch(8) as seen:
        loop = asyncio.get_running_loop()
        seen.player.start()
        await seen.play(0.4)
        began, had = loop.time(), len(seen.viewer.pictures)
        seen.player.seek(7.0)
        await seen.until(
            lambda: (
                seen.viewer.pictures[-1].duration_s > 0.03 and len(seen.viewer.pictures) > had + 25
            )
        )
        ahead_s = seen.player.shown
        took_s = loop.time() - began
        await seen.play(0.2)
        runs = runs_from(await seen.shown())
        assert took_s + 0.3 < 0.5  # what it has ahead is shown first
        assert ahead_s is not None
        assert [first for first, _ in runs] == [0, 175]
        assert "mp4a" in seen.player.mime
        assert child_processes() == set()


async def test_h265_for_who_takes_none_is_h264_from_one_ffmpeg(
    tmp_path: Path, clips: Clips
) -> None:
    mediastore = Mediastore(tmp_path)
    mediastore.record(clips["hevc_aac"], NOON)
    async with theatre(tmp_path, mediastore, transcodes=1) as made, made.watch(8) as seen:
        assert seen.player.mime == 'video/mp4; codecs="avc1.42C028, mp4a.40.2"'
        with pytest.raises(UnavailableError, match="transcodes are in use"):
            await made.playbacks.open(seen.player.request)
        assert child_processes() == set()  # it has not been started
        seen.player.start()
        await seen.play(0.6)
        assert len(child_processes()) == 1
        seen.player.seek(3.5)
        await seen.play(0.6)
        seen.player.pause()
        seen.player.seek(5.8)
        with pytest.raises(TimeoutError):
            await seen.until(lambda: False, 1.0)
        paused = runs_from(await seen.shown())
        assert abs(paused[2][0] - 145) <= 2
        seen.player.resume()
        seen.player.seek(7.0)
        await seen.to_end()
        runs = runs_from(await seen.shown())
        assert len(child_processes()) == 0  # there was nothing more to convert
        starts = [first for first, _ in runs]
        assert starts[0] == 0
        assert [abs(a - b) <= 2 for a, b in zip(starts[1:], (87, 145, 175), strict=True)]
        assert runs[-1][1] == 199
        assert seen.viewer.inits[-1].codecs.startswith("avc1")
        assert seen.viewer.audio_end_s == pytest.approx(seen.viewer.end_s, abs=0.1)
        seen.player.seek(0.0)
        await seen.play(0.3)
        assert runs_from(await seen.shown())[-1][0] == 0


async def test_h265_as_it_lies_takes_no_ffmpeg(tmp_path: Path, clips: Clips) -> None:
    mediastore = Mediastore(tmp_path)
    mediastore.record(clips["hevc_aac"], NOON)
    async with theatre(tmp_path, mediastore) as made, made.watch(8, hevc=True) as seen:
        assert 'codecs="hvc1.' in seen.player.mime
        seen.player.start()
        seen.player.seek(2.0)
        await seen.play(0.5)
        assert runs_from(await seen.shown())[0][0] == 50
        assert child_processes() == set()


async def test_a_camera_that_changes_its_codec_plays_on(tmp_path: Path, clips: Clips) -> None:
    mediastore = Mediastore(tmp_path)
    for index, name in enumerate(("h264_mute", "hevc_aac", "h264_aac")):
        mediastore.record(clips[name], NOON + timedelta(seconds=8 * index), 1)
    async with theatre(tmp_path, mediastore) as made, made.watch(24, hevc=True) as seen:
        assert 'codecs="avc1.42C00D, mp4a.40.2"' in seen.player.mime
        seen.player.start()
        seen.player.seek(7.5)
        await seen.play(1.0)
        seen.player.seek(15.5)
        await seen.play(1.5)
        assert child_processes() == set()
        runs = runs_from(await seen.shown())
        assert runs == [(187, 199), (0, runs[1][1]), (187, 199), (0, runs[3][1])]
        assert {init.codecs.partition(".")[0] for init in seen.viewer.inits} == {"avc1"}
        assert len({init.audio.id for init in seen.viewer.inits if init.audio}) == 1
        assert seen.viewer.audio_end_s == pytest.approx(seen.viewer.end_s, abs=0.1)


async def test_pictures_out_of_order_and_sound_for_webrtc(tmp_path: Path, clips: Clips) -> None:
    mediastore = Mediastore(tmp_path)
    mediastore.record(clips["h264_bframes"], NOON)
    async with (
        theatre(tmp_path, mediastore) as made,
        made.watch(8, hevc=True, b_frames=False, opus=True) as seen,
    ):
        assert seen.player.mime == 'video/mp4; codecs="avc1.42C028, opus"'
        seen.player.start()
        seen.player.seek(3.0)
        await seen.play(1.0)
        assert len(child_processes()) == 1
        (init,) = seen.viewer.inits
        assert init.codecs.endswith(", opus")
        assert seen.viewer.audio_end_s > seen.viewer.end_s - 0.4
        assert abs(runs_from(await seen.shown())[0][0] - 75) <= 2


async def test_opus_beside_pictures_as_they_lie(tmp_path: Path, clips: Clips) -> None:
    mediastore = Mediastore(tmp_path)
    mediastore.record(clips["h264_aac"], NOON)
    async with (
        theatre(tmp_path, mediastore, transcodes=0) as made,
        made.watch(8, b_frames=False, opus=True) as seen,
    ):
        assert seen.player.mime == 'video/mp4; codecs="avc1.42C00D, opus"'
        seen.player.start()
        await seen.play(1.0)
        assert seen.viewer.audio_end_s > 0.6
        seen.player.seek(6.0)
        await seen.to_end()
        assert seen.viewer.audio_end_s == pytest.approx(seen.viewer.end_s, abs=0.1)
        assert [first for first, _ in runs_from(await seen.shown())] == [0, 150]


async def test_few_pictures_with_sound_between_them(tmp_path: Path, clips: Clips) -> None:
    mediastore = Mediastore(tmp_path)
    mediastore.record(clips["h264_fps5"], NOON)
    async with theatre(tmp_path, mediastore) as made, made.watch(40) as seen:
        seen.player.start()
        await seen.play(1.5)
        assert seen.viewer.audio_end_s == pytest.approx(seen.viewer.end_s, abs=0.5)
        frames = len(seen.viewer.sounds)
        seen.player.set_speed(4)
        await seen.play(0.5)
        assert len(seen.viewer.sounds) - frames > 15  # silence goes on
        assert seen.viewer.audio_end_s == pytest.approx(seen.viewer.end_s, abs=0.05)


async def test_an_ffmpeg_that_dies_ends_the_playback_with_a_reason(
    tmp_path: Path, clips: Clips
) -> None:
    mediastore = Mediastore(tmp_path)
    mediastore.record(clips["hevc_aac"], NOON)
    async with theatre(tmp_path, mediastore) as made, made.watch(8) as seen:
        assert made.playbacks.converting == 1
        seen.player.start()
        await seen.play(0.2)
        (pid,) = child_processes()
        psutil.Process(pid).kill()
        with pytest.raises(UnavailableError, match="could not be converted"):
            await seen.play(3.0)
    assert made.playbacks.converting == 0
