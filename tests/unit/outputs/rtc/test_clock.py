"""What time it is on each track, by arrival and by pictures that went both ways."""

from __future__ import annotations

import pytest

from h5sup.bus.packet_ring import Anchor, PacketRing
from h5sup.bus.timeline import CLOCK_START_S
from h5sup.formats.rtcp import SenderReport
from h5sup.formats.rtp import RtpHeader, build_header, timestamp_distance
from h5sup.outputs.rtc.clock import SLACK_S, MediaClock
from tests.fakes.mp4 import PICTURE, VIDEO_SCALE
from tests.fakes.pictures import NEXT, PPS, SMALL, SPS, Feeder, Pictures

SECOND_NTP = 1 << 32
STARTS_S = CLOCK_START_S + 2 * PICTURE / VIDEO_SCALE
"""When the second key frame is shown."""


class Rig:
    """A camera whose second key frame is in a channel, and its clock."""

    def __init__(self) -> None:
        self.pictures = Pictures()
        self.channel, self.ring = self.pictures.channel, self.pictures.ring
        self.clock = MediaClock(self.channel)
        self.picture()
        self.picture()  # the first is held back until the second picture

    def picture(self, *, late_s: float = 0.0) -> None:
        """Send a key frame and a picture more, both ways."""
        self.pictures.now_s += late_s
        self.pictures.publish([SPS, PPS, SMALL])
        self.pictures.send(SPS, PPS, SMALL)
        self.pictures.send(NEXT)

    def now(self) -> int:
        """Return what time it is on the ring's clock since its key frame, in ticks."""
        (stamp,) = self.clock.timestamps([self.ring], self.pictures.now_s)
        return timestamp_distance(stamp, int.from_bytes(self.ring.replay()[0][4:8]))


async def test_the_time_is_that_of_the_fragments() -> None:
    rig = Rig()
    rig.clock.refresh()
    assert rig.ring.anchor is not None
    assert rig.ring.anchor.media_s == pytest.approx(STARTS_S)
    before = rig.now()
    rig.pictures.now_s += 0.5
    rig.ring.last_arrival_s += 0.3  # packets came early: nothing depends on it any more
    assert rig.now() == before + 45_000


async def test_a_little_unrest_moves_nothing_and_much_does() -> None:
    rig = Rig()
    rig.clock.refresh()
    before = rig.now()
    rig.picture(late_s=SLACK_S / 2)
    rig.clock.refresh()
    assert rig.now() == pytest.approx(before + SLACK_S / 2 * 90_000, abs=2)
    rig.picture(late_s=2 * SLACK_S)
    rig.clock.refresh()
    assert rig.now() == pytest.approx(before, abs=2)


async def test_a_new_generation_has_a_clock_of_its_own() -> None:
    rig = Rig()
    rig.clock.refresh()
    before = rig.now()
    rig.picture(late_s=SLACK_S / 2)
    rig.channel.generation += 1
    rig.clock.refresh()
    assert rig.now() == pytest.approx(before, abs=2)


async def test_sound_of_the_same_ffmpeg_gets_its_place_once() -> None:
    rig = Rig()
    sound = rig.channel.sound_ring = PacketRing(10_000)
    sound.begin("pcma", Feeder())
    header = RtpHeader(payload_type=8, sequence=1, timestamp=500, ssrc=6)
    sound.extend([build_header(header) + bytes(160)], 0)
    rig.clock.refresh()
    assert [sound.anchor] == [None]
    rig.ring.note_report(SenderReport(ssrc=3, ntp=SECOND_NTP, timestamp=1_000_000))
    sound.note_report(SenderReport(ssrc=6, ntp=2 * SECOND_NTP, timestamp=500))
    rig.clock.refresh()
    anchor = sound.anchor
    assert anchor is not None
    assert anchor.timestamp == sound.last_timestamp
    assert anchor.media_s == pytest.approx(CLOCK_START_S + 1.0)  # a second after the first picture
    stamps = rig.clock.timestamps([rig.ring, sound], 0.0)
    assert len(stamps) == 2
    kept = sound.anchor = Anchor(7, 7.0)
    rig.clock.refresh()
    assert sound.anchor is kept


@pytest.mark.parametrize("missing", ["ring", "init", "gop", "picture"])
async def test_while_something_is_missing_time_goes_by_arrival(missing: str) -> None:
    rig = Rig()
    if missing == "ring":
        rig.channel.ring = None
    elif missing == "init":
        rig.channel.init = None
    elif missing == "gop":
        rig.channel.cache.clear()
    else:
        rig.ring.end("the packets have gone")
    rig.clock.refresh()
    assert rig.ring.anchor is None
    rig.ring.last_arrival_s = 50.0
    (stamp,) = rig.clock.timestamps([rig.ring], 50.25)
    assert timestamp_distance(stamp, rig.ring.last_timestamp) == 22_500
