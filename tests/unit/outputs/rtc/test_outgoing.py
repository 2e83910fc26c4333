"""What one viewer gets, and gets again: seen from a path whose end decrypts everything."""

from __future__ import annotations

import asyncio

import pytest

from h5sup.formats.rtp import sequence_distance
from h5sup.outputs.rtc.fanout import Fanout
from h5sup.outputs.rtc.outgoing import RESEND_BURST, RESENDS_PER_S, Outgoing
from h5sup.outputs.rtc.replay import squeeze
from tests.fakes.rtc_parts import (
    AES_128_SHA1_80,
    RTX_PT,
    RTX_SSRC,
    VIDEO_PT,
    VIDEO_SSRC,
    Browser,
    ClearPath,
    Feed,
    assert_contiguous,
    make_outgoing,
    numbers,
    payloads,
    stamps,
)


class Rig:
    """One viewer that is live from the start."""

    def __init__(self, *, has_rtx: bool = True, profile: str = "", limit: int = 8_000_000) -> None:
        self.feed = Feed(limit_bytes=limit)
        self.browser = Browser(profile) if profile else Browser()
        self.path = ClearPath(self.browser)
        self.one = make_outgoing(self.feed.ring, has_rtx=has_rtx)
        self.one.start(self.browser.keys, self.path)
        self.fanout = Fanout(self.feed.ring, lambda fanout, reason: pytest.fail(reason))

    async def join(self) -> None:
        self.fanout.join(self.one)
        await until_live(self.one)

    async def play_again(self) -> None:
        self.fanout.play_again(self.one)
        await until_live(self.one)

    def resend(self, *sequences: int, now_s: float = 100.0) -> list[bytes]:
        """Return what comes for these numbers."""
        before = len(self.path.packets)
        self.one.resend([number & 0xFFFF for number in sequences], now_s)
        again = self.path.packets[before:]
        del self.path.packets[before:]
        return again


async def until_live(one: Outgoing) -> None:
    async with asyncio.timeout(5):
        while one.backlog or one.timer is not None:
            await asyncio.sleep(0)


def as_first_sent(packet: bytes) -> bytes:
    """Return the packet inside a retransmission, with its first number and type."""
    second = bytes([packet[1] & 0x80 | VIDEO_PT])
    ssrc = VIDEO_SSRC.to_bytes(4)
    return packet[:1] + second + packet[12:14] + packet[4:8] + ssrc + packet[14:]


async def test_numbers_go_on_over_joining_live_and_replays() -> None:
    rig = Rig()
    rig.feed.gop(10, packets=30)
    await rig.join()
    for _ in range(3):
        for _ in range(4):
            rig.feed.picture()
        await rig.play_again()
    rig.feed.gop(5)
    assert_contiguous(rig.path.packets)
    assert rig.one.replays == 4
    assert rig.one.packets == len(rig.path.packets)
    assert rig.one.octets == sum(len(packet) - 12 for packet in rig.path.packets)


async def test_what_comes_while_it_catches_up_follows_in_order() -> None:
    rig = Rig()
    rig.feed.gop(4, packets=200)
    rig.fanout.join(rig.one)
    came = []
    while rig.one.timer is not None:
        came += rig.feed.picture()
        await asyncio.sleep(0.001)
    assert len(came) > 4
    came += rig.feed.picture()
    assert_contiguous(rig.path.packets)
    assert payloads(rig.path.packets[-len(came) :]) == payloads(came)
    assert stamps(rig.path.packets[-len(came) :]) == stamps(came)


async def test_a_picture_lost_when_there_is_no_gop_to_play_costs_no_number() -> None:
    """The GOP has outgrown the ring; a browser would ask for numbers that never were."""
    rig = Rig(limit=20_000)
    rig.feed.gop(3)
    await rig.join()
    for _ in range(60):
        rig.feed.picture(size=600)
    await rig.play_again()
    for _ in range(10):
        rig.feed.picture()
    rig.feed.gop(5)
    assert_contiguous(rig.path.packets)
    assert rig.fanout.viewers == 1


@pytest.mark.parametrize("profile", ["", AES_128_SHA1_80])
async def test_a_lost_packet_comes_again_by_rtx(profile: str) -> None:
    rig = Rig(profile=profile)
    rig.feed.gop(10)
    await rig.join()
    for _ in range(3):
        rig.feed.picture()
    for sent in rig.path.packets[-8:]:
        (again,) = rig.resend(numbers([sent])[0])
        assert (again[1] & 0x7F, again[8:12]) == (RTX_PT, RTX_SSRC.to_bytes(4))
        assert as_first_sent(again) == sent
    assert rig.one.resent == 8


async def test_retransmissions_are_numbered_by_themselves() -> None:
    rig = Rig()
    rig.feed.gop(10)
    await rig.join()
    last = numbers(rig.path.packets)[-1]
    again = rig.resend(last, last - 3, last)
    assert numbers(again) == [0, 1, 2]
    assert rig.one.packets == len(rig.path.packets)  # they don't count as first sent


async def test_without_rtx_the_same_packet_comes_again() -> None:
    rig = Rig(has_rtx=False)
    rig.feed.gop(10)
    await rig.join()
    rig.path.is_full = True  # these never arrive, or the browser would take them for an attack
    lost = rig.feed.picture(packets=3)
    rig.path.is_full = False
    live = rig.feed.picture()
    again = rig.resend(*numbers(lost))
    assert payloads(again) == payloads(lost)
    assert numbers(again) == numbers(lost)
    assert {(one[1] & 0x7F, one[8:12]) for one in again} == {(VIDEO_PT, VIDEO_SSRC.to_bytes(4))}
    assert payloads(rig.path.packets[-2:]) == payloads(live)


async def test_without_rtx_what_is_too_old_to_encrypt_does_not_come() -> None:
    rig = Rig(has_rtx=False)
    rig.feed.gop(200)
    await rig.join()
    assert rig.resend(numbers(rig.path.packets)[10]) == []
    assert rig.one.resent == 0


async def test_a_packet_of_the_replay_comes_again_with_its_squeezed_time() -> None:
    rig = Rig()
    rig.feed.gop(10)
    rig.feed.part(packets=2)  # of a picture that is not whole yet
    await rig.join()
    rig.feed.part(packets=2, is_last=True)
    rig.feed.picture()
    for sent in rig.path.packets:
        (again,) = rig.resend(numbers([sent])[0])
        assert as_first_sent(again) == sent


async def test_after_a_replay_old_numbers_are_answered_with_nothing() -> None:
    """A number means another packet now: the wrong content would be worse than none."""
    rig = Rig()
    rig.feed.gop(30)  # which the ring still has
    rig.feed.gop(10)
    await rig.join()
    rig.feed.picture()
    old = list(rig.path.packets)
    rig.path.packets.clear()
    await rig.play_again()
    assert rig.resend(*numbers(old)) == []
    assert numbers(rig.path.packets)[0] == numbers(old)[-1] + 1 & 0xFFFF
    for sent in rig.path.packets:
        (again,) = rig.resend(numbers([sent])[0])
        assert as_first_sent(again) == sent


async def test_numbers_never_sent_bring_nothing() -> None:
    rig = Rig()
    first = rig.feed.gop(3)
    await rig.join()
    before, after = numbers(first)[0] - 1, numbers(first)[-1] + 1
    assert rig.resend(before, before - 500, after, after + 500, after + 32_000) == []


async def test_what_waits_to_be_sent_is_not_sent_before_its_turn() -> None:
    rig = Rig()
    gop = rig.feed.gop(4, packets=100)
    rig.fanout.join(rig.one)
    assert rig.one.backlog
    assert rig.resend(numbers(gop)[-1]) == []
    await until_live(rig.one)
    assert_contiguous(rig.path.packets)


@pytest.mark.parametrize("packets", [20_000, 40_000, 70_000])
async def test_packets_come_again_however_long_a_viewer_has_watched(packets: int) -> None:
    """Numbers wrap each two minutes or so of a busy camera."""
    rig = Rig()
    rig.feed.gop(3)
    await rig.join()
    for _ in range(packets // 200):
        rig.feed.gop(2, packets=100, size=20)
        rig.path.packets = rig.path.packets[-50:]
    for sent in rig.path.packets:
        (again,) = rig.resend(numbers([sent])[0])
        assert as_first_sent(again) == sent
    assert sequence_distance(numbers(rig.path.packets)[-1], rig.feed.ring.last_sequence) == 0


async def test_a_viewer_can_not_have_more_sent_again_than_a_bad_network_loses() -> None:
    rig = Rig()
    rig.feed.gop(400)
    await rig.join()
    sequences = numbers(rig.path.packets)
    assert len(sequences) > 2 * RESEND_BURST
    assert len(rig.resend(*sequences, now_s=100.0)) == RESEND_BURST
    assert len(rig.resend(*sequences, now_s=100.0)) == 0
    assert len(rig.resend(*sequences, now_s=100.1)) == pytest.approx(RESENDS_PER_S / 10, abs=1)
    assert len(rig.resend(*sequences, now_s=500.0)) == RESEND_BURST


async def test_what_finds_no_room_is_counted() -> None:
    rig = Rig()
    rig.feed.gop(2)
    await rig.join()
    rig.path.is_full = True
    rig.feed.picture()
    assert rig.one.dropped == 1
    rig.path.is_full = False
    rig.feed.picture()
    assert rig.one.dropped == 1
    lost = [*range(numbers(rig.path.packets)[-3] + 1, numbers(rig.path.packets)[-2])]
    assert len(lost) == 2
    assert len(rig.resend(*lost)) == 2


async def test_a_viewer_moves_to_another_path() -> None:
    rig = Rig()
    rig.feed.gop(2)
    await rig.join()
    other = ClearPath(rig.browser, is_udp=False)
    rig.one.move(other)
    live = rig.feed.picture()
    assert payloads(other.packets) == payloads(live)
    assert rig.resend(numbers(live)[0]) == []
    assert len(other.packets) == len(live) + 1


async def test_a_gop_that_is_empty_begins_nothing() -> None:
    rig = Rig()
    rig.one.begin(squeeze([]))
    assert (rig.one.replays, list(rig.one.backlog)) == (0, [])
