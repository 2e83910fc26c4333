"""From a channel to GOPs: nothing is missed when generations, sound and sources change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from h5sup.bus.ingest import RESUME_S, Ingest
from h5sup.recording.clock import WallClock
from h5sup.recording.gop import Gop
from h5sup.recording.intake import Intake
from tests.fakes.mp4 import AUDIO_SCALE, PICTURE, VIDEO_SCALE, Camera
from tests.fakes.stage import TOKEN, OneSource

FRAME_S = PICTURE / VIDEO_SCALE


@dataclass
class Heard:
    """What an intake told."""

    gops: list[Gop] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def on_live(self) -> None:
        self.told.append("live")

    def on_gop(self, gop: Gop) -> None:
        self.gops.append(gop)

    def on_break(self, reason: str) -> None:
        self.told.append(reason)

    @property
    def pictures(self) -> list[int]:
        """How many pictures each GOP has."""
        return [sum(one.video is not None for one in gop.fragments) for gop in self.gops]


class Rig:
    """An intake of a camera in pretended time."""

    def __init__(self, limit_bytes: int) -> None:
        self.sources = OneSource()
        self.heard = Heard()
        self.now_s = 100.0
        clock = WallClock(lambda: 1e9 + self.now_s, lambda: self.now_s)
        self.intake = Intake(TOKEN, self.sources, clock, self.heard, limit_bytes)
        self.ingest = Ingest(self.sources.channel)

    def open(self, camera: Camera) -> None:
        self.camera = camera
        self.ingest.open()
        self.ingest.feed(camera.data, self.now_s)

    def play(self, fragments: list[bytes]) -> None:
        for data in fragments:
            self.now_s += FRAME_S
            self.ingest.feed(data, self.now_s)

    def gop(self, pictures: int = 25) -> None:
        self.play([self.camera.fragment(key=not index) for index in range(pictures)])

    async def begin(self, camera: Camera | None = None) -> None:
        """Have the intake follow a channel that has begun."""
        self.open(camera or Camera(audio=False))
        self.gop(2)
        self.intake.start()
        await self.until_live()

    async def until_live(self) -> None:
        async with asyncio.timeout(2):
            while not self.intake.is_live:
                await asyncio.sleep(0)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig(limit_bytes=100_000)
    yield rig
    await rig.intake.stop("the test is over")
    assert rig.sources.holders == 0
    assert rig.sources.channel.viewers == 0


async def test_gops_come_whole_from_the_newest_key_fragment_on(rig: Rig) -> None:
    await rig.begin()
    rig.gop()
    rig.gop()
    rig.gop(3)
    assert rig.heard.pictures == [2, 25, 25]
    assert rig.heard.told == ["live"]
    walls = [gop.wall_us for gop in rig.heard.gops]
    assert walls == pytest.approx([1e15 + 1e8, 1e15 + 1.0008e8, 1e15 + 1.0108e8], abs=2000)
    assert [gop.duration_s for gop in rig.heard.gops] == pytest.approx([0.08, 1.0, 1.0])


async def test_what_has_come_is_to_be_had_without_ending_the_gop(rig: Rig) -> None:
    assert rig.intake.so_far() is None
    await rig.begin()
    gop = rig.intake.so_far()
    assert gop is not None
    assert len(gop.fragments) == 2
    assert rig.sources.caught_up == 1
    rig.play([rig.camera.fragment()])
    rig.gop()
    assert rig.heard.pictures == [3]


async def test_sound_that_comes_late_costs_no_picture_and_none_comes_twice(rig: Rig) -> None:
    camera = Camera()
    rig.open(camera)
    rig.gop(20)  # as long as sound is waited for
    rig.intake.start()
    await rig.until_live()
    rig.gop()
    rig.play([camera.fragment(key=not index) for index in range(10)])
    camera.audio_dts = camera.video_dts * AUDIO_SCALE // VIDEO_SCALE
    rig.play([camera.fragment(sounds=[1024] * 2) for _ in range(15)])
    rig.gop(1)
    assert rig.heard.pictures == [20, 25, 25]
    assert [gop.init.audio is not None for gop in rig.heard.gops] == [False, False, True]
    assert rig.heard.told == ["live"]
    dts = [one.video.dts for gop in rig.heard.gops for one in gop.fragments if one.video]
    assert dts == list(range(dts[0], dts[0] + 70 * PICTURE, PICTURE))


async def test_sound_that_stops_costs_no_picture(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("h5sup.bus.timeline.Timeline.can_fill", False)
    monkeypatch.setattr("h5sup.bus.timeline.Timeline._silence_before", lambda *_: None)
    camera = Camera()
    rig.open(camera)
    rig.play(camera.gop())
    rig.intake.start()
    await rig.until_live()
    for _ in range(3):
        rig.gop()
    rig.gop(1)
    assert rig.heard.pictures == [25] * 4
    has_sound = [gop.init.audio is not None for gop in rig.heard.gops]
    assert has_sound[0]
    assert not has_sound[-1]
    assert rig.heard.told == ["live"]


async def test_an_outage_hands_over_the_last_pictures(rig: Rig) -> None:
    await rig.begin()
    rig.gop()
    rig.gop(7)
    rig.ingest.close(rig.now_s)
    rig.now_s += RESUME_S + 1
    rig.ingest.expire("the camera is gone")
    await asyncio.sleep(0)
    assert rig.heard.pictures == [2, 25, 7]
    assert rig.heard.told == ["live", "the camera is gone"]
    rig.open(Camera(audio=False))
    rig.gop()
    rig.gop(1)
    assert rig.heard.pictures == [2, 25, 7, 25]
    assert rig.heard.told == ["live", "the camera is gone", "live"]


async def test_a_source_that_starts_anew_within_one_read_is_told_apart(rig: Rig) -> None:
    await rig.begin()
    rig.gop(9)
    rig.ingest.close(rig.now_s)
    rig.now_s += 1.0
    rig.open(Camera(audio=False, video_dts=5000))
    rig.ingest.open()
    larger = Camera(audio=True)
    rig.open(larger)
    rig.play(larger.gop())
    rig.play(larger.gop())
    rig.gop(1)
    assert rig.heard.pictures == [2, 9, 25, 25]
    assert rig.heard.told == ["live", "the source starts anew", "live"]
    assert [gop.init.audio is not None for gop in rig.heard.gops] == [False, False, True, True]


async def test_one_that_comes_back_at_once_goes_on(rig: Rig) -> None:
    await rig.begin()
    rig.gop(9)
    rig.ingest.close(rig.now_s)
    rig.now_s += 1.0
    rig.open(Camera(audio=False, video_dts=77))
    rig.gop()
    rig.gop(1)
    assert rig.heard.pictures == [2, 9, 25]
    assert rig.heard.told == ["live"]


async def test_to_be_sent_away_for_old_media_changes_nothing(rig: Rig) -> None:
    await rig.begin()
    rig.gop(12)
    rig.sources.channel.dismiss("the source came back with old media")
    rig.play([rig.camera.fragment() for _ in range(13)])
    rig.gop(1)
    assert rig.heard.pictures == [2, 25]
    assert rig.heard.told == ["live"]


async def test_a_gop_without_end_is_cut_off(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    await rig.begin()
    rig.play([rig.camera.fragment(key=not index, picture_bytes=9000) for index in range(15)])
    rig.gop()
    rig.gop(1)
    assert rig.heard.pictures == [2, 11, 25]
    assert "source cam sends GOPs of more than 100000 bytes" in caplog.text


async def test_another_source_of_the_same_token_is_held_instead(rig: Rig) -> None:
    await rig.begin()
    rig.gop()
    before = rig.sources.leases[0]
    rig.sources.is_gone = True
    rig.intake.look_again()
    await asyncio.sleep(0.01)
    assert before.is_released
    assert rig.heard.told == ["live", "the source was changed"]
    other = OneSource()
    rig.sources.channel = other.channel
    rig.sources.is_gone = False
    rig.ingest = Ingest(other.channel)
    rig.open(Camera(audio=False))
    rig.gop(3)
    rig.intake.look_again()
    await rig.until_live()
    assert rig.sources.holders == 1
    rig.gop(1)
    assert rig.heard.pictures == [2, 25, 3]


async def test_why_a_source_can_not_be_had_is_known(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("h5sup.recording.intake.RETRY_S", 0.001)
    rig.sources.why_not = "all 2 transcodes are in use"
    rig.intake.start()
    rig.intake.start()
    await asyncio.sleep(0.01)
    assert rig.intake.reason == "all 2 transcodes are in use"
    rig.sources.why_not = ""
    rig.open(Camera(audio=False))
    rig.gop(2)
    await asyncio.sleep(0.01)
    assert rig.intake.is_live
    assert rig.intake.reason == ""
    assert len(rig.sources.leases) == 1


async def test_one_that_has_to_be_transcoded_after_an_outage_is_taken_from_there(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("h5sup.recording.intake.READY_S", 0.01)
    monkeypatch.setattr("h5sup.recording.intake.RETRY_S", 0.01)
    await rig.begin()
    rig.gop(7)
    before = rig.sources.channel
    rig.ingest.close(rig.now_s)
    rig.ingest.expire("the camera is gone")
    await asyncio.sleep(0)
    rig.sources.channel = OneSource().channel
    rig.ingest = Ingest(rig.sources.channel)
    rig.open(Camera(audio=False))
    rig.gop(2)
    await rig.until_live()
    rig.gop()
    rig.gop(1)
    assert before.viewers == 0
    assert rig.heard.pictures == [2, 7, 2, 25]
    assert rig.heard.told == ["live", "the camera is gone", "live"]
    assert len(rig.sources.leases) == 1
