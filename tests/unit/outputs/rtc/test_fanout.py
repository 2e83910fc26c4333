"""One ring to many viewers who come, lose their picture, and go, in every state."""

from __future__ import annotations

import asyncio
import gc
import weakref
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from h5sup.formats.rtp import timestamp_distance
from h5sup.outputs.rtc.fanout import Fanout
from h5sup.outputs.rtc.outgoing import Outgoing
from tests.fakes.rtc_parts import (
    AES_128_SHA1_80,
    AES_256_GCM,
    Browser,
    ClearPath,
    Feed,
    assert_contiguous,
    make_outgoing,
    payloads,
    stamps,
)


class Viewer:
    """A viewer of one track, as far as a fan-out sees it."""

    def __init__(self, feed: Feed, *, payload_type: int = 102, profile: str = AES_256_GCM) -> None:
        browser = Browser(profile)
        self.path = ClearPath(browser)
        self.outgoing = make_outgoing(feed.ring, payload_type=payload_type)
        self.outgoing.start(browser.keys, self.path)

    @property
    def packets(self) -> list[bytes]:
        return self.path.packets


class Rig:
    def __init__(self, *, limit_bytes: int = 8_000_000) -> None:
        self.feed = Feed(limit_bytes=limit_bytes)
        self.reasons: list[str] = []
        self.fanout = Fanout(self.feed.ring, lambda fanout, reason: self.reasons.append(reason))

    def join(self, **options: str | int) -> Viewer:
        viewer = Viewer(self.feed, **options)  # type: ignore[arg-type]  # by name
        self.fanout.join(viewer.outgoing)
        return viewer


async def until_live(*outgoing: Outgoing) -> None:
    async with asyncio.timeout(5):
        while any(one.timer is not None for one in outgoing):
            await asyncio.sleep(0)


def assert_times_rise(packets: list[bytes]) -> None:
    found = stamps(packets)
    assert all(timestamp_distance(after, before) >= 0 for before, after in pairwise(found))
    assert len(set(found)) == len({payload[2:6] for payload in payloads(packets)})


async def test_viewers_join_while_packets_come() -> None:
    rig = Rig()
    rig.feed.gop(10)
    viewers = []
    for _ in range(5):
        viewers.append(rig.join())
        rig.feed.picture()
        await until_live(viewers[-1].outgoing)
    rig.feed.gop(3)
    for viewer in viewers:
        assert_contiguous(viewer.packets)
        assert_times_rise(viewer.packets)
        assert payloads(viewer.packets)[0][1] & 0x85 == 0x85  # the key frame's first packet
        assert payloads(viewer.packets) == payloads(viewers[0].packets)[: len(viewer.packets)]
    assert rig.fanout.viewers == 5


async def test_without_a_gop_a_viewer_waits_for_a_key_frame() -> None:
    rig = Rig(limit_bytes=20_000)
    rig.feed.gop(1)
    for _ in range(60):
        rig.feed.picture(size=600)
    viewer = rig.join()
    rig.feed.picture()
    assert viewer.packets == []
    assert rig.fanout.viewers == 1
    came = rig.feed.gop(2)
    assert payloads(viewer.packets) == payloads(came)
    assert_contiguous(viewer.packets)


async def test_before_the_first_packet_a_viewer_waits_too() -> None:
    rig = Rig()
    viewer = rig.join()
    came = rig.feed.gop(2)
    assert payloads(viewer.packets) == payloads(came)


async def test_viewers_with_other_numbers_get_the_same_pictures() -> None:
    rig = Rig()
    rig.feed.gop(5)
    viewers = [
        rig.join(payload_type=102),
        rig.join(payload_type=96),
        rig.join(payload_type=102, profile=AES_128_SHA1_80),
        rig.join(payload_type=102),
    ]
    await until_live(*(one.outgoing for one in viewers))
    rig.feed.picture()
    for viewer, payload_type in zip(viewers, (102, 96, 102, 102), strict=True):
        assert payloads(viewer.packets) == payloads(viewers[0].packets)
        assert {packet[1] & 0x7F for packet in viewer.packets} == {payload_type}
        assert_contiguous(viewer.packets)
    rig.fanout.leave(viewers[1].outgoing)
    rig.feed.picture()
    assert len(viewers[1].packets) + 2 == len(viewers[0].packets)


async def test_a_batch_larger_than_a_burst_arrives_whole() -> None:
    rig = Rig()
    rig.feed.gop(1)
    viewer = rig.join()
    await until_live(viewer.outgoing)
    came = rig.feed.picture(packets=250)
    assert payloads(viewer.packets[-250:]) == payloads(came)
    assert_contiguous(viewer.packets)


async def test_who_loses_the_picture_gets_the_gop_again_and_nobody_else_does() -> None:
    rig = Rig()
    rig.feed.gop(5)
    one, other = rig.join(), rig.join()
    await until_live(one.outgoing, other.outgoing)
    rig.feed.picture()
    before = len(other.packets)
    rig.fanout.play_again(one.outgoing)
    await until_live(one.outgoing)
    assert len(other.packets) == before
    assert len(one.packets) == 2 * before
    assert payloads(one.packets[before:]) == payloads(other.packets)
    rig.feed.picture()
    for viewer in (one, other):
        assert_contiguous(viewer.packets)
        assert_times_rise(viewer.packets[-before - 2 :])


async def test_the_gop_just_played_comes_again_with_the_next_picture() -> None:
    """Its times would go back: all the room before the next picture is taken."""
    rig = Rig()
    rig.feed.gop(5)
    one = rig.join()
    await until_live(one.outgoing)
    before = len(one.packets)
    rig.fanout.play_again(one.outgoing)
    assert len(one.packets) == before
    rig.feed.picture()
    await until_live(one.outgoing)
    assert len(one.packets) > 2 * before
    assert_contiguous(one.packets)
    assert_times_rise(one.packets[before:])
    first, newest = stamps(one.packets[before - 1 : before + 1])
    assert timestamp_distance(newest, first) > 0


async def test_asking_again_while_the_gop_is_on_its_way_changes_nothing() -> None:
    rig = Rig()
    rig.feed.gop(4, packets=100)
    viewer, waiting = rig.join(), Viewer(rig.feed)
    rig.fanout.play_again(viewer.outgoing)
    await until_live(viewer.outgoing)
    assert len(viewer.packets) == 400
    assert viewer.outgoing.replays == 1
    empty = Rig()
    empty.fanout.join(waiting.outgoing)
    empty.fanout.play_again(waiting.outgoing)
    assert empty.fanout.viewers == 1


async def test_leaving_in_every_state() -> None:
    rig = Rig()
    waiting = rig.join()
    rig.fanout.leave(waiting.outgoing)
    assert (rig.fanout.viewers, rig.feed.ring.viewers) == (0, 0)
    rig.feed.gop(4, packets=100)
    catching_up = rig.join()
    assert catching_up.outgoing.timer is not None
    sent = len(catching_up.packets)
    rig.fanout.leave(catching_up.outgoing)
    assert (rig.fanout.viewers, rig.feed.ring.viewers) == (0, 0)
    assert not catching_up.outgoing.backlog
    live = rig.join()
    await until_live(live.outgoing)
    assert len(catching_up.packets) == sent
    rig.fanout.leave(live.outgoing)
    rig.fanout.leave(live.outgoing)
    assert (rig.fanout.viewers, rig.feed.ring.viewers) == (0, 0)
    before = len(live.packets)
    rig.feed.gop(2)
    assert len(live.packets) == before


async def test_who_comes_back_gets_the_gop_of_now() -> None:
    """While nobody watches, the fan-out does not hear of new packets."""
    rig = Rig()
    rig.feed.gop(3)
    first = rig.join()
    rig.fanout.leave(first.outgoing)
    gop = rig.feed.gop(4)
    again = rig.join()
    await until_live(again.outgoing)
    assert payloads(again.packets) == payloads(gop)
    rig.feed.picture()
    assert_contiguous(again.packets)


async def test_viewers_stay_when_the_ring_ends() -> None:
    rig = Rig()
    rig.feed.gop(3)
    viewer = rig.join()
    await until_live(viewer.outgoing)
    rig.feed.ring.end("the camera has gone")
    rig.feed.ring.begin("h264", rig.feed)
    late = rig.join()
    rig.fanout.play_again(viewer.outgoing)
    await until_live(viewer.outgoing)
    assert late.packets == []  # the old GOP is no start for what comes
    came = rig.feed.gop(2)
    assert payloads(viewer.packets[-4:]) == payloads(late.packets) == payloads(came)
    assert_contiguous(viewer.packets)
    assert_times_rise(viewer.packets)
    assert rig.reasons == []


async def test_another_codec_ends_the_viewers() -> None:
    rig = Rig()
    rig.feed.gop(3)
    viewer = rig.join()
    await until_live(viewer.outgoing)
    before = len(viewer.packets)
    rig.feed.ring.begin("opus", rig.feed)
    rig.feed.picture()
    assert rig.reasons == ["the source sends another codec now"]
    assert len(viewer.packets) == before


async def test_a_first_codec_ends_nobody() -> None:
    """Opus is not known before its job has begun."""
    rig = Rig()
    rig.feed.ring.codec = None
    viewer = rig.join()
    rig.feed.ring.begin("h264", rig.feed)
    rig.feed.gop(2)
    assert rig.reasons == []
    assert len(viewer.packets) == 4


@pytest.mark.parametrize("state", ["waiting", "catching up", "live"])
async def test_nothing_of_a_viewer_remains(state: str) -> None:
    rig = Rig()
    if state != "waiting":
        rig.feed.gop(4, packets=100)
    viewer = rig.join()
    if state == "live":
        await until_live(viewer.outgoing)
    rig.fanout.leave(viewer.outgoing)
    left = weakref.ref(viewer.outgoing)
    del viewer
    gc.collect()
    assert left() is None


STEPS = ("picture", "key", "part", "join", "lose", "again", "leave", "pause", "end")


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(STEPS), min_size=5, max_size=60), st.sampled_from([20_000, 10**6]))
def test_whatever_happens_numbers_have_no_holes_and_resends_are_true(
    steps: list[str], limit_bytes: int
) -> None:
    asyncio.run(_play(steps, limit_bytes))


async def _play(steps: list[str], limit_bytes: int) -> None:
    rig = Rig(limit_bytes=limit_bytes)
    viewers: list[Viewer] = []
    begun: bool | None = None  # whether the picture whose end is still to come is a key frame
    for number, step in enumerate(steps):
        if step in ("picture", "key"):
            rig.feed.part(key=step == "key" if begun is None else begun, size=400, is_last=True)
            begun = None
        elif step == "part":
            begun = number % 3 == 0 if begun is None else begun
            rig.feed.part(key=begun, packets=3, size=400)
        elif step == "join":
            viewers.append(rig.join())
        elif step == "again" and viewers:
            rig.fanout.play_again(viewers[number % len(viewers)].outgoing)
        elif step == "lose" and viewers:
            one = viewers[number % len(viewers)]
            assert_true_resends(one, float(number))
        elif step == "leave" and viewers:
            rig.fanout.leave(viewers.pop(number % len(viewers)).outgoing)
        elif step == "pause":
            await until_live(*(one.outgoing for one in viewers))
        elif step == "end":
            rig.feed.ring.end("a pause")
    await until_live(*(one.outgoing for one in viewers))
    rig.feed.part(key=bool(begun), is_last=True)
    rig.feed.gop(2)
    for one in viewers:
        assert_contiguous(one.packets)
        assert_true_resends(one, 1000.0)
        assert one.packets[0][13] & 0x85 == 0x85  # a key frame's first packet
    assert rig.reasons == []
    for one in viewers:
        rig.fanout.leave(one.outgoing)
    assert (rig.fanout.viewers, rig.feed.ring.viewers) == (0, 0)


def assert_true_resends(one: Viewer, now_s: float) -> None:
    """What comes again is what was sent under that number, or nothing."""
    sent = list(one.packets)
    for packet in sent[-40:]:
        one.outgoing.resend([int.from_bytes(packet[2:4])], now_s)
        for again in one.packets[len(sent) :]:
            assert again[12:14] + again[4:8] + again[14:] == packet[2:8] + packet[12:]
        del one.packets[len(sent) :]
