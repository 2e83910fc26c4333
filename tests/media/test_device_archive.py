"""Archives of what a device has recorded and this server has not: real RTSP, a real ffmpeg."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from h5sup.base.clock import from_us
from h5sup.base.errors import NotFoundError, UnavailableError
from h5sup.config.profile import VideoRecipe
from h5sup.devices.model import DeviceError, DeviceFailure
from h5sup.ffmpeg.process import Launcher
from h5sup.recording.archive import fetch as fetch_module
from h5sup.recording.archive.archives import Archives
from h5sup.recording.archive.feed import NO_ROOM
from h5sup.recording.archive.fetch import find_missing
from h5sup.recording.archive.job import DELETED
from h5sup.recording.archive.plan import Span
from h5sup.recording.playback import device_reel
from h5sup.recording.playback.converter import Kit
from h5sup.recording.playback.device_reel import Patience
from h5sup.store.media_records import StoredFile
from tests.conftest import child_processes
from tests.fakes.clips import Clips
from tests.fakes.fragments import fragments_of, gops_of
from tests.fakes.recorded import BEGIN_US, SECOND_US
from tests.fakes.rtsp_camera import RtspCamera
from tests.fakes.web_recorder import PASSWORD, USER
from tests.media import test_device_playback as of_playback
from tests.media.test_archive import TOKEN, Room, failure_of, probe, shown
from tests.media.test_device_playback import QUICK, Recordings, write_silent

pytestmark = pytest.mark.media

GOP = 25  # one a second


class DeviceRoom(Room):
    """A room whose source is the channel of a recorder."""

    device: Recordings
    launcher: Launcher

    def furnish(
        self, device: Recordings, floor_bytes: int = 0, patience: Patience = QUICK
    ) -> Archives:
        self.device = device
        self.launcher = Launcher(f"test-{self.root.name}")
        return Archives(
            self.index,
            self.root,
            Kit(self.tools, self.launcher, VideoRecipe()),
            limit=1,
            floor_bytes=floor_bytes,
            refusal=lambda: self.refused,
            require=self.require,
            find_device=lambda token: device if token == TOKEN else None,
            patience=patience,
        )


@pytest.fixture
async def room(
    tmp_path: Path, ffmpeg: str, clips: Clips, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[DeviceRoom]:
    monkeypatch.setattr(of_playback, "NOON", from_us(BEGIN_US))
    tracks = {"tracks/101": "h264_aac", "tracks/hevc": "hevc_pcma"}
    async with RtspCamera(clips, [], user=USER, password=PASSWORD, tracks=tracks) as camera:
        room = DeviceRoom(tmp_path, ffmpeg)
        room.archives = room.furnish(Recordings(camera))
        await room.index.open()
        await room.archives.start()
        try:
            yield room
        finally:
            await room.archives.close()
            await room.index.close()
            assert child_processes() == {camera.pid}


async def record(room: Room, clip: Path, first: int, last: int) -> None:
    """Record some GOPs of a clip here."""
    init, fragments = await asyncio.to_thread(fragments_of, clip)
    await room.record(init, gops_of(fragments)[first:last], first=first * GOP)


async def test_a_time_that_the_device_alone_has_comes_from_it(room: DeviceRoom) -> None:
    """With a gap on the device, to the very picture, with progress and costs on the way."""
    room.device.records = ((1, 2), (6, 7))
    file = await room.archives.request(room.ask(1.4, 60))
    seen, kinds = set(), set()
    async with asyncio.timeout(20):
        while (now := await room.archives.percentage(TOKEN, file.filename)) < 100:
            seen.add(now)
            kinds |= {kind for kind, _ in room.launcher.find_running()}
            await asyncio.sleep(0.02)
    assert any(20 < one < 60 for one in seen)
    assert kinds == {"device_playback", "archive"}
    assert room.launcher.find_running() == []
    path = room.root / file.path
    assert await shown(path) == [*range(35, 2 * GOP), *range(6 * GOP, 7 * GOP)]
    told = await probe(path)
    assert told["audio"]["codec_name"] == "aac"
    assert room.left_over() == [str(path.relative_to(room.root / "archive"))]
    (row,) = await room.index.find_recording("archive", TOKEN, file.filename)
    assert row.start_us == BEGIN_US + round(1.4 * SECOND_US)
    assert row.end_us == pytest.approx(BEGIN_US + 7 * SECOND_US, abs=SECOND_US // 10)


async def test_own_recordings_come_first_and_the_device_fills_the_rest(
    room: DeviceRoom, clips: Clips
) -> None:
    """Each picture once: also where the device goes on in the midst of an own GOP."""
    init, fragments = await asyncio.to_thread(fragments_of, clips["h264_aac"])
    own = gops_of(fragments)[1:4]
    own[-1] = own[-1][:-5]
    await room.record(init, own, first=GOP)
    path = await room.make(0.4, 4.6)
    assert await shown(path) == list(range(10, 115))
    assert room.device.played == [(0.0, 2.0), (3.0, 5.0)]
    assert room.left_over() == [str(path.relative_to(room.root / "archive"))]


async def test_four_times_as_fast_has_the_key_pictures(room: DeviceRoom) -> None:
    path = await room.make(1, 3, speed=4)
    assert await shown(path) == [GOP, 2 * GOP]
    assert "audio" not in await probe(path)


async def test_what_is_here_whole_does_not_ask_the_device(room: DeviceRoom, clips: Clips) -> None:
    await record(room, clips["h264_aac"], 0, 4)
    room.device.failure = DeviceError(DeviceFailure.UNREACHABLE, "10.0.0.9 can't be reached")
    assert await shown(await room.make(0.4, 3.6)) == list(range(10, 90))
    assert room.device.played == []


async def test_h265_of_a_device_becomes_h264_when_that_is_asked_for(room: DeviceRoom) -> None:
    room.device.mount = "tracks/hevc"
    path = await room.make(1, 2, force_h264=True, speed=2)
    numbers = await shown(path)
    assert numbers[0] == GOP
    assert numbers == sorted(numbers)
    assert 8 <= len(numbers) <= 16  # 30 a second, for half of one
    assert (await probe(path))["video"]["codec_name"] == "h264"


async def test_a_device_that_refuses_fails_the_archive_with_its_sentence(
    room: DeviceRoom, clips: Clips
) -> None:
    room.device.records = ()
    with pytest.raises(NotFoundError, match="nothing of source 'front' was recorded"):
        await room.archives.request(room.ask(0, 4))
    room.device.records = ((0, 60),)
    room.device.failure = DeviceError(DeviceFailure.UNREACHABLE, "10.0.0.9 can't be reached")
    await record(room, clips["h264_aac"], 0, 2)
    with pytest.raises(UnavailableError, match=r"^10\.0\.0\.9 can't be reached$"):
        await room.archives.request(room.ask(0, 4))
    room.device.failure, room.device.password = None, "wrong"
    file = await room.archives.request(room.ask(0, 4))
    assert (await failure_of(room, file)).endswith("the device refused user name or password")
    assert room.device.played == [(2.0, 5.0)]  # no second try: devices lock out
    assert room.left_over() == []


async def test_one_that_is_called_off_leaves_nothing_of_what_was_fetched(
    room: DeviceRoom,
) -> None:
    file = await room.archives.request(room.ask(0, 60))
    async with asyncio.timeout(10):
        while not room.left_over():
            await asyncio.sleep(0.01)
    await room.archives.cancel(TOKEN, file.filename)
    assert await failure_of(room, file) == "it was called off"
    assert room.left_over() == []
    file = await room.archives.request(room.ask(0, 60))
    async with asyncio.timeout(10):
        while not (left := room.left_over()):
            await asyncio.sleep(0.01)
    (room.root / "archive" / left[0]).unlink()
    assert await failure_of(room, file) == DELETED
    assert room.left_over() == []
    assert child_processes() == {room.device.camera.pid}


async def until_come(room: DeviceRoom, file: StoredFile, percent: int) -> None:
    async with asyncio.timeout(20):
        while await room.archives.percentage(TOKEN, file.filename) < percent:
            await asyncio.sleep(0.01)


async def test_a_device_that_breaks_off_is_asked_for_the_rest(
    room: DeviceRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once nothing more comes, the archive fails and nothing of it stays."""
    monkeypatch.setattr(device_reel, "NEAR_END_US", SECOND_US // 10)
    device = room.device
    file = await room.archives.request(room.ask(0, 3.4))
    await until_come(room, file, 40)
    await device.camera.kick(device.mount)
    await room.until_done(file)
    assert await shown(room.root / file.path) == list(range(85))
    begins = [begin for begin, _ in device.played]
    assert begins in ([0.0, 1.0], [0.0, 2.0], [0.0, 3.0])

    file = await room.archives.request(room.ask(0, 60))
    await until_come(room, file, 2)
    device.mount, mount = "tracks/unknown", device.mount
    await device.camera.kick(mount)
    assert await failure_of(room, file) == (
        "the device does not play its recording: the device knows no such address"
    )
    assert len(room.left_over()) == 1  # the first one
    assert child_processes() == {device.camera.pid}


async def test_a_device_that_falls_silent_is_given_up(
    room: DeviceRoom, clips: Clips, tmp_path: Path
) -> None:
    """Though it has sent something before."""
    silent = write_silent(tmp_path, clips["h264_mute"], 4)
    room.tools = replace(room.tools, ffmpeg=str(silent))
    room.device.scheme = "rtsps"  # which the relay leaves to ffmpeg
    archives, patience = room.archives, replace(QUICK, first_s=2.0, stall_s=0.3)
    room.archives = room.furnish(room.device, patience=patience)
    try:
        file = await room.archives.request(room.ask(0, 60))
        sentence = "the device does not play its recording: no media came within 2 s"
        assert await failure_of(room, file) == sentence
        assert len(room.device.played) == 2
        assert room.left_over() == []
    finally:
        await room.archives.close()
        room.archives = archives


async def test_a_full_disk_fails_it(room: DeviceRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "ROOM_WAIT_S", 0.1)
    monkeypatch.setattr(fetch_module, "ROOM_LOOK_S", 0.05)
    archives = room.archives
    room.archives = room.furnish(room.device, floor_bytes=1 << 60)
    file = await room.archives.request(room.ask(0, 2))
    assert await failure_of(room, file) == NO_ROOM
    assert room.left_over() == []
    await room.archives.close()
    room.archives = archives


@pytest.fixture
def lists(clips: Clips, monkeypatch: pytest.MonkeyPatch) -> Recordings:
    """Return what is asked and never played."""
    monkeypatch.setattr(of_playback, "NOON", from_us(BEGIN_US))
    return Recordings(RtspCamera(clips, []))


def spans(*all_of: tuple[float, float]) -> list[Span]:
    return [Span(*(BEGIN_US + round(SECOND_US * second) for second in one)) for one in all_of]


async def test_a_device_that_never_answers_is_given_up(
    lists: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_module, "LOOK_S", 0.05)
    lists.is_silent = True
    with pytest.raises(UnavailableError, match="does not answer in time"):
        await find_missing(lists, spans((0, 4)))


async def test_a_list_that_is_long_or_cut_off_is_read_on(lists: Recordings) -> None:
    lists.page = 1
    lists.records = ((0, 10), (11, 20), (50, 60), (90, 90.4))
    found = await find_missing(lists, spans((5, 15), (18, 55), (80, 100)))
    assert found == spans((5, 15), (18, 20), (50, 55))
    lists.page = 1000
    lists.records = tuple((second, second + 5.0) for second in range(0, 2000, 10))
    with pytest.raises(UnavailableError, match="more than 100 stretches"):
        await find_missing(lists, spans((0, 4000)))
    with pytest.raises(UnavailableError, match="list of this time is too long"):
        await find_missing(lists, spans((0, 3e7)))
