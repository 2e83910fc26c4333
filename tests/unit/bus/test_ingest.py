"""From ffmpeg's bytes to a channel: what is announced, what goes on, who is sent away."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from h5sup.base.errors import MediaFormatError, UnavailableError
from h5sup.bus.channel import Channel
from h5sup.bus.fragment import Fragment
from h5sup.bus.ingest import AUDIO_WAIT_S, BACKLOG_S, RESUME_S, Ingest
from tests.fakes.mp4 import AUDIO_SCALE, VIDEO_SCALE, Camera

FRAME_S = 0.04


@dataclass
class Taker:
    """A subscriber that remembers."""

    taken: list[Fragment] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def on_fragment(self, fragment: Fragment) -> None:
        self.taken.append(fragment)

    def on_close(self, reason: str) -> None:
        self.closed.append(reason)


class Rig:
    """A channel fed by a camera in pretended time."""

    def __init__(self, camera: Camera, *, gop_bytes: int = 1_000_000) -> None:
        self.channel = Channel("front", "main", "copy", gop_bytes=gop_bytes)
        self.ingest = Ingest(self.channel)
        self.now = 100.0
        self.open(camera)

    def open(self, camera: Camera) -> None:
        self.camera = camera
        self.ingest.open()
        self.ingest.feed(camera.data, self.now)

    def play(self, fragments: list[bytes], pace_s: float = FRAME_S) -> None:
        for data in fragments:
            self.now += pace_s
            self.ingest.feed(data, self.now)

    def follow(self) -> Taker:
        taker = Taker()
        self.channel.subscribe(taker)
        return taker


def test_sound_is_announced_once_it_has_come() -> None:
    rig = Rig(Camera())
    rig.play([rig.camera.fragment(key=True)])
    assert not rig.channel.is_ready
    rig.play([rig.camera.fragment(sounds=[1024])])
    assert rig.channel.init is not None
    assert rig.channel.init.mime == 'video/mp4; codecs="avc1.4D002A, mp4a.40.2"'


def test_promised_sound_that_does_not_come_is_not_announced() -> None:
    rig = Rig(Camera())
    rig.play([rig.camera.fragment(key=not n) for n in range(int(AUDIO_WAIT_S / FRAME_S) + 2)])
    assert rig.channel.init is not None
    assert rig.channel.init.mime == 'video/mp4; codecs="avc1.4D002A"'
    assert len(rig.channel.gop) > 10  # what came while waiting is not lost to the first viewer


def test_sound_that_comes_late_starts_a_generation_with_it() -> None:
    rig = Rig(Camera())
    rig.play([rig.camera.fragment(key=not n % 25) for n in range(30)])
    taker = rig.follow()
    rig.camera.audio_dts = rig.camera.video_dts * AUDIO_SCALE // VIDEO_SCALE
    rig.play([rig.camera.fragment(sounds=[1024])])
    assert taker.closed == ["sound has come"]
    assert rig.channel.init is not None
    assert rig.channel.init.audio is not None


def test_sound_that_stops_and_cannot_be_filled_starts_a_generation_without_it() -> None:
    camera = Camera()
    quiet = Camera()
    quiet.data = camera.data.replace(bytes.fromhex("1188"), bytes.fromhex("11b0"))  # 6 channels
    rig = Rig(quiet)
    rig.play(rig.camera.gop())
    taker = rig.follow()
    rig.play([rig.camera.fragment(key=not n % 25) for n in range(75)])
    assert taker.closed == ["the sound has stopped"]
    assert rig.channel.init is not None
    assert rig.channel.init.audio is None


def test_a_source_back_in_time_goes_on() -> None:
    rig = Rig(Camera())
    rig.play(rig.camera.gop())
    taker = rig.follow()
    rig.ingest.close(rig.now)
    rig.now += RESUME_S - 0.5
    rig.open(Camera(video_dts=5_000))
    rig.play(rig.camera.gop())
    assert taker.closed == []
    assert rig.channel.generation == 1
    ends = [one.video.end for one in taker.taken if one.video]
    starts = [one.video.dts for one in taker.taken if one.video]
    assert starts[1:] == ends[:-1]


@pytest.mark.parametrize("change", ["late", "other init"])
def test_viewers_start_afresh_when_it_cannot_go_on(change: str) -> None:
    rig = Rig(Camera())
    rig.play(rig.camera.gop())
    taker = rig.follow()
    rig.ingest.close(rig.now)
    rig.now += RESUME_S + 0.5 if change == "late" else 0.1
    rig.open(Camera(audio=change == "late"))
    assert len(taker.closed) == 1
    rig.play(rig.camera.gop())
    assert rig.channel.generation == 2


def test_a_burst_of_old_media_sends_viewers_away_once() -> None:
    rig = Rig(Camera())
    for _ in range(3):
        rig.play(rig.camera.gop())
    first = rig.follow()
    rig.now += BACKLOG_S + 1
    rig.play(rig.camera.gop(), pace_s=0.0)
    assert len(first.closed) == 1
    second = rig.follow()
    rig.play(rig.camera.gop(50), pace_s=0.0)
    rig.play(rig.camera.gop())
    assert second.closed == []


def test_a_loss_is_no_burst() -> None:
    rig = Rig(Camera())
    rig.play(rig.camera.gop())
    taker = rig.follow()
    rig.now += 10
    rig.camera.video_dts += 10 * VIDEO_SCALE
    rig.camera.audio_dts += 10 * AUDIO_SCALE
    rig.play(rig.camera.gop() + rig.camera.gop())
    assert taker.closed == []


def test_a_gop_over_the_bound_is_not_kept() -> None:
    rig = Rig(Camera(audio=False), gop_bytes=5_000)
    rig.play([rig.camera.fragment(key=not n, picture_bytes=1000) for n in range(20)])
    assert rig.channel.cache.size_bytes == 0
    assert not rig.channel.gop
    rig.play([rig.camera.fragment(key=True)])
    assert len(rig.channel.gop) == 1


def test_damage_is_reported() -> None:
    rig = Rig(Camera())
    with pytest.raises(MediaFormatError, match="claims"):
        rig.ingest.feed(b"\xff\xff\xff\xffmoof", rig.now)


async def test_waiting_for_a_channel_ends_with_the_reason() -> None:
    channel = Channel("front", "main", "copy", gop_bytes=1000)
    channel.set_state("BACKOFF", "the camera refuses the password")
    with pytest.raises(UnavailableError, match="refuses the password"):
        await channel.wait_ready(0.01)
