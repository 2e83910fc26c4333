"""Recordings of a device played again: real RTSP, a real ffmpeg, numbered pictures."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from h5sup.base.errors import H5supError, InvalidError, NotFoundError, UnavailableError
from h5sup.bus.playback import PlaybackRequest
from h5sup.config.model import DeviceConfig
from h5sup.config.profile import VideoRecipe
from h5sup.devices.dahua.api import DahuaRecorder
from h5sup.devices.hik.api import HikRecorder
from h5sup.devices.model import DeviceError, DeviceFailure, DeviceRecord, MediaAddress
from h5sup.devices.registry import Devices
from h5sup.events.hub import Hub
from h5sup.ffmpeg.process import Launcher
from h5sup.ffmpeg.tools import find_tools
from h5sup.recording.playback import opener as opener_module
from h5sup.recording.playback.converter import Kit
from h5sup.recording.playback.device_reel import DeviceReel, Patience
from h5sup.recording.playback.opener import RecordedPlaybacks
from h5sup.recording.playback.player import Player
from h5sup.recording.playback.wardrobe import Wardrobe
from h5sup.recording.still import read_still
from h5sup.store.media_index import MediaIndex
from tests.conftest import child_processes
from tests.fakes import dahua_recorder, hik_recorder
from tests.fakes.clips import Clips, decode_frame_indexes
from tests.fakes.dahua_recorder import FakeDahua
from tests.fakes.hik_recorder import FakeHik
from tests.fakes.nvr import MemoryStore
from tests.fakes.rtsp_camera import RtspCamera
from tests.fakes.web_recorder import PASSWORD, USER
from tests.media.test_playback import Watched, runs_from

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)  # shows the clip's first picture: 200 in 8 s
GOP = 25  # one a second
FRAGMENTS = "-c copy -movflags frag_keyframe+empty_moov+default_base_moof -use_editlist 0 "
FRAGMENTS += "-frag_duration 30000 -f mp4"
QUICK = Patience(
    first_s=5.0, stall_s=3.0, hold_s=0.1, idle_s=9.0, paused_s=0.3, restart_every_s=0.1
)
RESTS_SOON = replace(QUICK, idle_s=0.3)  # on a busy machine also in the midst of playing


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


class Recordings:
    """What a recorder has of one channel."""

    def __init__(self, camera: RtspCamera) -> None:
        self.camera = camera
        self.mount = "tracks/101"
        self.scheme = "rtsp"
        self.password = PASSWORD
        self.records: Sequence[tuple[float, float]] = ((0, 3600),)
        """In seconds after noon."""
        self.page = 100
        self.failure: DeviceError | None = None
        self.is_silent = False
        self.played: list[tuple[float, float]] = []

    async def search(self, begin: datetime, end: datetime) -> tuple[Sequence[DeviceRecord], bool]:
        if self.failure is not None:
            raise self.failure
        if self.is_silent:
            await asyncio.sleep(3600)
        found = [
            DeviceRecord(NOON + seconds(first), NOON + seconds(last), "schedule")
            for first, last in self.records
        ]
        found = [one for one in found if one.begin < end and one.end > begin]
        return found[: self.page], len(found) <= self.page

    async def playback(self, begin: datetime, end: datetime) -> MediaAddress:
        self.played.append(((begin - NOON).total_seconds(), (end - NOON).total_seconds()))
        query = f"?starttime={begin:%Y%m%dT%H%M%SZ}&endtime={end:%Y%m%dT%H%M%SZ}"
        url = self.camera.url(self.mount).replace("rtsp", self.scheme, 1)
        return MediaAddress(url + query, USER, self.password)


class Theatre:
    """A device's recordings, and who plays them."""

    def __init__(self, recordings: Recordings, playbacks: RecordedPlaybacks) -> None:
        self.device = recordings
        self.playbacks = playbacks

    @asynccontextmanager
    async def watch(self, first: float, last: float, **wanted: object) -> AsyncIterator[Watched]:
        request = PlaybackRequest(
            token="nvr--1",
            begin=NOON + seconds(first),
            end=NOON + seconds(last),
            from_server=False,
            **wanted,  # type: ignore[arg-type]
        )
        player = await self.playbacks.open(request)
        try:
            yield Watched(player)
        finally:
            await player.close()
            assert child_processes() == {self.device.camera.pid}


@pytest.fixture
async def kit(tmp_path: Path) -> Kit:
    tools = await find_tools("ffmpeg", "ffprobe")
    return Kit(tools, Launcher(f"test-{tmp_path.name}"), VideoRecipe())


@pytest.fixture
def patience() -> Patience:
    return QUICK


@pytest.fixture
async def theatre(
    clips: Clips, tmp_path: Path, kit: Kit, patience: Patience
) -> AsyncIterator[Theatre]:
    tracks = {"tracks/101": "h264_aac", "tracks/hevc": "hevc_pcma"}
    tracks["tracks/bframes"] = "h264_bframes"
    index = MediaIndex(tmp_path)
    async with RtspCamera(clips, [], user=USER, password=PASSWORD, tracks=tracks) as camera:
        recordings = Recordings(camera)
        playbacks = RecordedPlaybacks(
            index,
            tmp_path,
            limit=20,
            kit=kit,
            find_device=lambda token: recordings if token == "nvr--1" else None,
            patience=patience,
        )
        await index.open()
        try:
            yield Theatre(recordings, playbacks)
        finally:
            await playbacks.close()
            await index.close()


def told(seen: Watched) -> list[float]:
    """Return where the playback told that it stands, in seconds after noon."""
    return [(one.at - NOON).total_seconds() for one in seen.viewer.positions]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("patience", [RESTS_SOON])
async def test_it_seeks_rests_while_paused_and_goes_on(theatre: Theatre) -> None:
    async with theatre.watch(2, 3600) as seen:
        assert seen.player.mime.startswith('video/mp4; codecs="avc1.')
        assert "mp4a.40.2" in seen.player.mime
        seen.player.start()
        await seen.play(0.6)
        seen.player.seek(4.0)
        await seen.play(0.6)
        seen.player.pause()
        await until(lambda: child_processes() == {theatre.device.camera.pid})
        assert len(theatre.device.played) == 2
        seen.player.resume()
        await seen.play(0.6)
        begins = [begin for begin, _ in theatre.device.played]
        assert begins[:2] == [2.0, 6.0]
        assert begins[2] in (6.0, 7.0)  # recorders know whole seconds
        at = told(seen)
        assert at[0] == 2.0
        assert 6.0 in at
        spot = seen.player.shown
        assert spot is not None
        still = await asyncio.to_thread(read_still, Path(), spot)
        runs = runs_from(await seen.shown())
        pictures = await asyncio.to_thread(decode_frame_indexes, still.media)
        assert [first for first, _ in runs[:2]] == [2 * GOP, 6 * GOP]
        assert pictures[still.number] in range(runs[-1][0], runs[-1][1] + 1)


async def test_a_slider_and_a_lost_connection_cost_one_opening_each(theatre: Theatre) -> None:
    device = theatre.device
    async with theatre.watch(0, 3600) as seen:
        seen.player.start()
        await seen.play(0.2)
        for second in range(10, 30):
            seen.player.seek(second + 0.7)
            await asyncio.sleep(0.005)
        await seen.until(lambda: 29.0 in told(seen))
        assert len(device.played) <= 4
        assert device.played[-1][0] == 29.0
        await seen.play(1.4)
        await device.camera.kick(device.mount)
        opened = len(device.played)
        await seen.until(lambda: len(device.played) > opened)
        await seen.play(0.3)
        assert device.played[-1][0] in (30.0, 31.0)
        runs = runs_from(await seen.shown())
        assert runs[1][0] == 29 * GOP % 200
        assert runs[-1][0] == device.played[-1][0] * GOP % 200


async def test_another_speed_is_without_the_recorders_sound_and_back_again(
    theatre: Theatre,
) -> None:
    async with theatre.watch(2, 3600) as seen:
        assert "mp4a.40.2" in seen.player.mime
        seen.player.start()
        await seen.play(0.3)
        seen.player.set_speed(2)
        await seen.play(0.5)
        seen.player.set_speed(1)
        await seen.play(0.8)
        runs = runs_from(await seen.shown())
        assert runs[0][0] == 2 * GOP
        assert runs[-1][1] - runs[-1][0] > 10


async def test_over_webrtc_b_frames_are_left_out_and_sound_is_opus(theatre: Theatre) -> None:
    theatre.device.mount = "tracks/bframes"
    async with theatre.watch(2, 3600, b_frames=False, opus=True) as seen:
        assert seen.player.mime == 'video/mp4; codecs="avc1.42C028, opus"'
        seen.player.start()
        await seen.play(0.3)
        assert seen.player.is_running


async def test_it_ends_with_the_recording_and_passes_over_gaps(theatre: Theatre) -> None:
    theatre.device.records = ((0, 1), (5, 6))
    theatre.device.page = 1
    async with theatre.watch(0, 3600) as seen:
        seen.player.start()
        await seen.to_end()
        assert theatre.device.played == [(0.0, 1.0), (5.0, 6.0)]
        runs = runs_from(await seen.shown())
        assert [first for first, _ in runs] == [0, 5 * GOP]
        assert 5.0 in told(seen)
        assert 5.8 <= told(seen)[-1] <= 6.1
        seen.player.seek(1e9)  # beyond the end: its last picture
        await seen.until(lambda: seen.viewer.positions[-1].is_end)


async def test_what_comes_fast_is_played_fast_and_from_four_times_on_by_key_pictures(
    kit: Kit, clips: Clips, tmp_path: Path
) -> None:
    clip = shlex.quote(str(clips["h264_mute"]))
    fast = tmp_path / "fast"  # an ffmpeg that gets all at once
    fast.write_text(f"#!/bin/sh\nexec ffmpeg -v error -i {clip} {FRAGMENTS} pipe:1\n")
    fast.chmod(0o755)
    kit = replace(kit, tools=replace(kit.tools, ffmpeg=str(fast)))
    recordings = Recordings(RtspCamera(clips, []))
    recordings.scheme = "rtsps"  # which the relay leaves to ffmpeg
    reel = DeviceReel(recordings, NOON, NOON + seconds(8), kit)
    player = Player(
        PlaybackRequest(token="nvr--1"),
        reel.handed_to,
        Wardrobe(family="avc1", sound=None),
    )
    seen = Watched(player)
    try:
        await player.open()
        player.set_speed(2.0)
        player.start()
        began = asyncio.get_running_loop().time()
        await seen.play(0.8)
        took_s = asyncio.get_running_loop().time() - began
        had = len(await seen.shown())
        player.set_speed(8.0)
        await seen.to_end()
        shown = await seen.shown()
    finally:
        await player.close()
    assert 0.3 < took_s < 1.5
    assert runs_from(shown[:had]) == [(0, had - 1)]
    assert 38 <= had <= 42  # 1.6 s of the recording in 0.8 s
    keys = [number for number in shown[had:] if number > 2.5 * GOP]
    assert keys == list(range(3 * GOP, 8 * GOP, GOP))


def write_silent(folder: Path, clip: Path, seconds: float) -> Path:
    """Write an ffmpeg that gives so much of a clip at once, then nothing; the next one nothing."""
    silent = folder / "silent"
    silent.write_text(
        "#!/bin/sh\n[ -e $0.was ] && exec sleep 60\ntouch $0.was\n"
        f"ffmpeg -v error -i {shlex.quote(str(clip))} -t {seconds} {FRAGMENTS} pipe:1\n"
        "exec sleep 60\n"
    )
    silent.chmod(0o755)
    return silent


async def test_a_recorder_that_falls_silent_ends_the_playback_with_a_sentence(
    kit: Kit, clips: Clips, tmp_path: Path
) -> None:
    silent = write_silent(tmp_path, clips["h264_mute"], 0.8)
    kit = replace(kit, tools=replace(kit.tools, ffmpeg=str(silent)))
    recordings = Recordings(RtspCamera(clips, []))
    recordings.scheme = "rtsps"  # which the relay leaves to ffmpeg
    reel = DeviceReel(
        recordings, NOON, NOON + seconds(60), kit, patience=replace(QUICK, stall_s=0.3)
    )
    player = Player(
        PlaybackRequest(token="nvr--1"), reel.handed_to, Wardrobe(family="avc1", sound=None)
    )
    seen = Watched(player)
    try:
        await player.open()
        player.start()
        with pytest.raises(UnavailableError) as caught:
            await seen.to_end()
    finally:
        await player.close()
    assert str(caught.value).startswith("the device does not play its recording: no media ")
    assert (await seen.shown())[:15] == list(range(15))
    assert child_processes() == set()


async def test_h265_with_telephone_sound_is_played_as_it_is(theatre: Theatre) -> None:
    theatre.device.mount = "tracks/hevc"
    async with theatre.watch(1, 3600, hevc=True) as seen:
        assert seen.player.mime.startswith('video/mp4; codecs="hvc1.')
        assert "mp4a.40.2" in seen.player.mime
        seen.player.start()
        await seen.play(0.5)
        assert (await seen.shown())[0] == GOP


@asynccontextmanager
async def maker(kind: str, clips: Clips) -> AsyncIterator[DeviceConfig]:
    """Give a recorder of a maker, eight hours ahead, with one hour of the 24th on its disk."""
    first, last = (datetime(2026, 11, 24, hour) for hour in (3, 4))  # noqa: DTZ001 (wall clock)
    module = hik_recorder if kind == "hik" else dahua_recorder
    paths = module.rtsp_paths([1], "h264_aac", "h264_mute")
    async with RtspCamera(clips, [], user=USER, password=PASSWORD, **paths) as rtsp:
        fake: FakeHik | FakeDahua
        if kind == "hik":
            fake = FakeHik(ip=[hik_recorder.Slot(1, "Gate")], rtsp_port=rtsp.port)
            fake.recordings[101] = [hik_recorder.Recorded(first, last)]
        else:
            fake = FakeDahua([dahua_recorder.Slot("Gate")], rtsp_port=rtsp.port)
            fake.recordings[1] = [dahua_recorder.Recorded(first, last)]
        async with fake:
            yield fake.config(user=USER, password=PASSWORD)


@pytest.mark.parametrize("kind", ["hik", "dahua"])
async def test_the_recorders_of_each_maker_are_played(
    kind: str, clips: Clips, tmp_path: Path, kit: Kit
) -> None:
    devices = Devices({"hik": HikRecorder, "dahua": DahuaRecorder}, MemoryStore(), Hub())
    index = MediaIndex(tmp_path)
    await index.open()
    playbacks = RecordedPlaybacks(
        index, tmp_path, limit=1, kit=kit, find_device=devices.find_recorded, patience=QUICK
    )
    begin = datetime(2026, 11, 23, 18, tzinfo=UTC)  # an hour before
    try:
        async with maker(kind, clips) as config:
            await devices.start([config])
            await until(lambda: devices.get("nvr").state.is_online)
            player = await playbacks.open(
                PlaybackRequest(
                    token="nvr--1", begin=begin, end=begin + seconds(7200), from_server=False
                )
            )
            seen = Watched(player)
            player.start()
            await seen.play(0.2)
            assert (await seen.shown())[0] == 0
            player.seek(3600 + 3)
            await seen.until(lambda: len(seen.viewer.positions) > 1)
            await seen.play(0.3)
            assert seen.viewer.positions[0].at == begin + seconds(3600)
            assert seen.viewer.positions[1].at == begin + seconds(3603)
            assert (await seen.shown())[-1] in range(3 * GOP, 5 * GOP)
            await player.close()
            await devices.aclose()
    finally:
        await playbacks.close()
        await index.close()


async def test_no_more_play_from_devices_than_there_are_places(
    kit: Kit, clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opener_module, "MOST_OF_DEVICES", 2)
    recordings = Recordings(RtspCamera(clips, []))
    recordings.is_silent = True
    playbacks = RecordedPlaybacks(
        MediaIndex(tmp_path), tmp_path, limit=9, kit=kit, find_device=lambda _: recordings
    )
    request = PlaybackRequest(token="nvr--1", begin=NOON, end=NOON + seconds(9), from_server=False)
    waiting = [asyncio.create_task(playbacks.open(request)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(UnavailableError, match="all 2 places for playbacks from devices"):
        await playbacks.open(request)
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    recordings.is_silent, recordings.records = False, ()
    with pytest.raises(NotFoundError, match="recorded nothing"):  # there is a place again
        await playbacks.open(request)
    await playbacks.close()


async def refusal(theatre: Theatre) -> H5supError:
    with pytest.raises(H5supError) as caught:
        async with theatre.watch(0, 60):
            pass
    await until(lambda: child_processes() == {theatre.device.camera.pid})
    return caught.value


async def test_a_device_that_does_not_play_says_why_in_one_sentence(theatre: Theatre) -> None:
    device = theatre.device
    device.records = ()
    error = await refusal(theatre)
    assert isinstance(error, NotFoundError)
    assert str(error) == "the device has recorded nothing in this time"
    device.failure = DeviceError(DeviceFailure.UNREACHABLE, "10.0.0.9 can't be reached")
    error = await refusal(theatre)
    assert isinstance(error, UnavailableError)
    assert str(error) == "10.0.0.9 can't be reached"
    device.records, device.failure = ((0, 60),), None
    device.password = "wrong"
    asked = len(device.played)
    error = await refusal(theatre)
    assert isinstance(error, UnavailableError)
    assert str(error).endswith("the device refused user name or password")
    assert len(device.played) == asked + 1  # no second try: devices lock out
    device.password = PASSWORD
    device.mount = "tracks/unknown"
    assert "knows no such address" in str(await refusal(theatre))
    with pytest.raises(InvalidError, match="devices have no files"):
        await theatre.playbacks.open(
            PlaybackRequest(token="nvr--1", filename="x.mp4", from_server=False)
        )
