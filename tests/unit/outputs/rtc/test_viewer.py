"""What a viewer's browser says, and what it is told."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import cast

import pytest

from h5sup.bus.packet_ring import Anchor
from h5sup.formats.rtcp import (
    RTCP_DESCRIPTION,
    Feedback,
    ReportBlock,
    SenderReport,
    build_fir,
    build_nack,
    build_pli,
    build_receiver_report,
    ntp_from_unix,
    parse_sender_reports,
    split_rtcp,
)
from h5sup.formats.rtp import TIMESTAMP_MASK, timestamp_distance
from h5sup.formats.stun import build_binding_request
from h5sup.outputs.rtc.clock import MediaClock
from h5sup.outputs.rtc.dtls import Certificate
from h5sup.outputs.rtc.endpoint import Endpoint
from h5sup.outputs.rtc.fanout import Fanout
from h5sup.outputs.rtc.negotiation import CNAME, AgreedTrack, Agreement
from h5sup.outputs.rtc.outgoing import Outgoing
from h5sup.outputs.rtc.viewer import (
    GUESS_AFTER_S,
    OUTAGE_S,
    REPLAY_EVERY_S,
    REPORT_EVERY_S,
    Track,
    Viewer,
)
from tests.fakes.rtc_parts import (
    RTX_SSRC,
    VIDEO_SSRC,
    Browser,
    ClearPath,
    Clock,
    FakeCertificate,
    FakeDtls,
    Feed,
    assert_contiguous,
    make_channel,
    make_outgoing,
    numbers,
)

SOUND_SSRC = 0x55667788
BROWSER_SSRC = 1
AGREEMENT = Agreement(
    video=AgreedTrack("h264", 102, 103),
    sound=None,
    role="server",
    fingerprints=(FakeCertificate.fingerprint,),
)


class Rig:
    """A connected viewer of a camera with sound."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.feed = Feed()
        self.sound = Feed("opus", fps=50)
        self.feed.gop(10)
        self.channel = make_channel(self.feed)
        self.endpoint = Endpoint(0, connections=1)
        self.certificate = FakeCertificate()
        self.gone: list[str] = []
        self.viewer = Viewer(
            self.endpoint,
            cast(Certificate, self.certificate),
            lambda viewer, reason: self.gone.append(reason),
        )
        self.viewer._loop = self.viewer.peer._loop = self.clock  # type: ignore[assignment]  # as Clock says
        self.viewer._began_at = self.viewer.peer._opened_at = self.clock.now_s
        self.viewer.peer._heard_at = self.clock.now_s
        self.endpoint.add(self.viewer.peer)
        self.path = ClearPath(Browser())

    async def connect(self) -> None:
        def end(fanout: Fanout, reason: str) -> None:
            pytest.fail(reason)

        heard = Outgoing(self.sound.ring, payload_type=111, ssrc=SOUND_SSRC, rtx=None)
        self.viewer.play(
            AGREEMENT,
            Track(make_outgoing(self.feed.ring), Fanout(self.feed.ring, end)),
            Track(heard, Fanout(self.sound.ring, end)),
            MediaClock(self.channel),
        )
        peer = self.viewer.peer
        check = build_binding_request(
            secrets.token_bytes(12),
            username=f"{peer.ufrag}:x",
            key=peer.key,
            priority=1,
            tie_breaker=1,
        )
        self.endpoint.take(check, self.path, self.path)
        await until(lambda: FakeDtls.HELLO in self.path.other)
        (dtls,) = self.certificate.opened
        self.path.browser = dtls.browser
        self.endpoint.take(FakeDtls.FINISHED, self.path, self.path)
        await until(lambda: self.viewer.is_connected)
        await self.settle()

    async def settle(self) -> None:
        """Wait until the viewer is live."""
        tracks = self.viewer.tracks
        await until(lambda: all(one.outgoing.timer is None for one in tracks))
        await asyncio.sleep(0)

    async def say(self, rtcp: bytes) -> list[bytes]:
        """Have the browser say something; return the packets it gets for it."""
        before = len(self.path.packets)
        self.endpoint.take(self.path.browser.say(rtcp), self.path, self.path)
        await self.settle()
        return self.path.packets[before:]

    async def wait(self, seconds: float) -> list[bytes]:
        """Let time pass; return the packets that the browser gets meanwhile."""
        before = len(self.path.packets)
        self.clock.advance(seconds)
        await self.settle()
        return self.path.packets[before:]

    def sent(self, ssrc: int) -> list[bytes]:
        return [one for one in self.path.packets if one[8:12] == ssrc.to_bytes(4)]

    def reports(self) -> list[SenderReport]:
        return [report for one in self.path.rtcp for report in parse_sender_reports(one)]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def make_rig() -> Rig:
    made = Rig()
    await made.connect()
    return made


async def test_a_viewer_gets_picture_and_sound() -> None:
    made = await make_rig()
    made.sound.picture(packets=1)
    assert len(made.sent(VIDEO_SSRC)) == 20
    assert len(made.sent(SOUND_SSRC)) == 1
    assert made.viewer.packets == 21
    await made.viewer.close()
    assert made.feed.ring.viewers == made.sound.ring.viewers == 0


async def test_a_lost_packet_is_sent_again_on_its_own_track() -> None:
    made = await make_rig()
    made.sound.picture(packets=1)
    number = numbers(made.sent(VIDEO_SSRC))[-1]
    again = await made.say(build_nack(BROWSER_SSRC, VIDEO_SSRC, [number]))
    assert [one[8:12] for one in again] == [RTX_SSRC.to_bytes(4)]
    assert again[0][12:14] == number.to_bytes(2)
    for stranger in (RTX_SSRC, 99):
        assert await made.say(build_nack(BROWSER_SSRC, stranger, [number])) == []
    assert made.viewer.resent == 1


async def test_who_has_lost_the_picture_gets_it_again_but_not_for_each_complaint() -> None:
    made = await make_rig()
    pli = build_pli(BROWSER_SSRC, VIDEO_SSRC)
    made.feed.picture()
    assert await made.say(pli) == []  # it has just been played the GOP
    assert len(await made.wait(REPLAY_EVERY_S)) == 22
    made.feed.picture()
    assert await made.say(pli + pli) == []
    assert await made.say(pli) == []
    assert len(await made.wait(REPLAY_EVERY_S)) == 24
    assert await made.wait(10) == []
    made.feed.picture()
    assert len(await made.say(pli)) == 26  # after a while at once
    assert await made.say(build_pli(BROWSER_SSRC, SOUND_SSRC)) == []
    assert await made.wait(10) == []
    made.feed.picture()
    assert_contiguous(made.sent(VIDEO_SSRC))


async def test_a_wish_for_a_key_frame_is_met_once() -> None:
    made = await make_rig()
    made.feed.picture()
    made.clock.advance(REPLAY_EVERY_S)
    assert len(await made.say(build_fir(BROWSER_SSRC, VIDEO_SSRC, 7))) == 22
    made.clock.advance(10)
    assert await made.say(build_fir(BROWSER_SSRC, VIDEO_SSRC, 7)) == []
    assert await made.say(build_fir(BROWSER_SSRC, SOUND_SSRC, 8)) == []
    made.feed.picture()
    assert len(await made.say(build_fir(BROWSER_SSRC, VIDEO_SSRC, 8))) == 24


async def test_a_wish_that_came_too_soon_is_met_a_little_later() -> None:
    """A browser repeats it with the same number until the key frame comes (RFC 5104 §4.3.1.2)."""
    made = await make_rig()
    made.feed.picture()
    for _ in range(3):
        assert await made.say(build_fir(BROWSER_SSRC, VIDEO_SSRC, 7)) == []
    assert len(await made.wait(REPLAY_EVERY_S)) == 22
    assert await made.wait(REPLAY_EVERY_S) == []


async def test_who_leaves_is_not_played_to_any_more() -> None:
    made = await make_rig()
    made.feed.picture()
    await made.say(build_pli(BROWSER_SSRC, VIDEO_SSRC))
    await made.viewer.close()
    assert await made.wait(REPLAY_EVERY_S) == []


async def test_how_media_arrives_is_known() -> None:
    made = await make_rig()
    asked_ntp = ntp_from_unix(time.time() - 0.25)
    block = ReportBlock(
        ssrc=VIDEO_SSRC,
        fraction_lost=64,
        cumulative_lost=-3,
        jitter=900,
        last_report=asked_ntp >> 16 & 0xFFFFFFFF,
        report_delay=0x10000 // 10,
    )
    other = ReportBlock(ssrc=SOUND_SSRC, fraction_lost=255)
    await made.say(build_receiver_report(BROWSER_SSRC, [block, other]))
    arrival = made.viewer.arrival
    assert (arrival.loss, arrival.lost, arrival.jitter_ms) == (0.25, -3, 10.0)
    assert arrival.round_trip_ms is not None
    assert 149 < arrival.round_trip_ms < 5000
    await made.say(build_receiver_report(BROWSER_SSRC, [ReportBlock(ssrc=VIDEO_SSRC)]))
    assert made.viewer.arrival.round_trip_ms is None


async def test_reports_bind_both_tracks_to_one_clock() -> None:
    made = await make_rig()
    made.path.rtcp.clear()
    made.feed.ring.anchor = Anchor(5000, 10.0)
    made.sound.ring.anchor = Anchor(7000, 10.0)
    clock = cast(MediaClock, made.viewer._clock)
    clock._offset_s = made.clock.now_s - 11.5 + REPORT_EVERY_S  # it is 11.5 s on the channel
    clock._generation = made.channel.generation
    made.clock.now_s += REPORT_EVERY_S
    made.feed.ring.last_arrival_s = made.clock.now_s
    assert made.viewer.tick(made.clock.now_s) == ""
    picture, sound = made.reports()
    assert picture.ntp == sound.ntp
    assert abs(picture.ntp - ntp_from_unix(time.time())) < 5 << 32
    assert (picture.ssrc, picture.timestamp) == (VIDEO_SSRC, 5000 + 135_000)
    assert (sound.ssrc, sound.timestamp) == (SOUND_SSRC, 7000 + 72_000)
    one = made.viewer.tracks[0].outgoing
    assert (picture.packets, picture.octets) == (one.packets, one.octets) == (20, 20 * 88)
    for compound in made.path.rtcp:
        kinds = {kind: body for kind, _, body in split_rtcp(compound)}
        assert CNAME.encode() in kinds[RTCP_DESCRIPTION]


async def test_without_anchors_time_goes_by_arrival_in_the_end() -> None:
    made = await make_rig()
    made.clock.now_s += GUESS_AFTER_S - 0.1
    made.feed.ring.last_arrival_s = made.clock.now_s
    made.viewer.tick(made.clock.now_s)
    assert made.reports() == []  # browsers remember a wrong one for long
    made.clock.now_s += 0.2
    made.feed.ring.last_arrival_s = made.clock.now_s - 0.5
    made.sound.ring.last_arrival_s = made.clock.now_s - 0.25
    made.viewer.tick(made.clock.now_s)
    picture, sound = made.reports()
    ahead = picture.timestamp - made.feed.ring.last_timestamp & TIMESTAMP_MASK
    assert ahead == 45_000
    assert timestamp_distance(sound.timestamp, made.sound.ring.last_timestamp) == 12_000


async def test_reports_come_as_soon_as_they_are_right_and_then_each_few_seconds() -> None:
    made = await make_rig()
    assert made.reports() == []
    clock = cast(MediaClock, made.viewer._clock)
    clock._offset_s, clock._generation = 1.0, made.channel.generation
    made.feed.ring.anchor = made.sound.ring.anchor = Anchor(5000, 10.0)
    now_s = made.clock.now_s
    made.feed.ring.last_arrival_s = now_s
    for passed_s, count in ((1, 2), (REPORT_EVERY_S, 2), (1 + REPORT_EVERY_S, 4)):
        made.viewer.tick(now_s + passed_s)
        assert len(made.reports()) == count


async def test_a_source_that_sends_nothing_more_is_told() -> None:
    made = await make_rig()
    start_s = made.clock.now_s
    made.feed.ring.last_arrival_s = start_s + 5
    made.viewer.peer._heard_at = start_s + OUTAGE_S
    assert made.viewer.tick(start_s + 4 + OUTAGE_S) == ""
    assert made.viewer.tick(start_s + 6 + OUTAGE_S) == "the source has sent nothing for 31 s"


async def test_before_anything_is_agreed_only_the_connection_counts() -> None:
    made = Rig()
    made.viewer.on_feedback(Feedback(picture_losses=[VIDEO_SSRC]))
    assert made.viewer.tick(made.clock.now_s + 1) == ""
    assert "no connection" in made.viewer.tick(made.clock.now_s + 100)
    await made.viewer.close()


async def test_media_moves_with_the_path() -> None:
    made = await make_rig()
    other = ClearPath(made.path.browser)
    made.viewer.on_path(other)
    made.feed.picture()
    made.sound.picture(packets=1)
    assert len(other.packets) == 3


async def test_who_says_goodbye_is_let_go() -> None:
    made = await make_rig()
    made.endpoint.take(FakeDtls.GOODBYE, made.path, made.path)
    assert made.gone == ["the viewer has left"]
