"""Who gets a seat, what is held for it, and that nothing stays behind."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address
from typing import cast

import pytest

from h5sup.base.errors import NotFoundError, UnavailableError
from h5sup.bus.packet_ring import PacketRing
from h5sup.config.model import RtcConfig
from h5sup.formats.h264 import Profile
from h5sup.formats.stun import MessageClass, build_binding_request
from h5sup.outputs.rtc import endpoint as endpoint_module
from h5sup.outputs.rtc import hall as hall_module
from h5sup.outputs.rtc import live as live_module
from h5sup.outputs.rtc import peer as peer_module
from h5sup.outputs.rtc.endpoint import Endpoint
from h5sup.outputs.rtc.hall import MOST_JOINING, Hall, Seat
from h5sup.outputs.rtc.negotiation import AgreedTrack, Agreement
from tests.fakes.rtc_parts import (
    FakeCertificate,
    FakeDtls,
    FakeLeases,
    Feed,
    UdpClient,
    assert_contiguous,
    free_port,
    make_channel,
)

H264 = AgreedTrack("h264", 102, 103)
H265 = AgreedTrack("hevc", 104, 105)


def agreed(video: AgreedTrack = H264, sound: AgreedTrack | None = None) -> Agreement:
    return Agreement(
        video=video, sound=sound, role="server", fingerprints=(FakeCertificate.fingerprint,)
    )


class Rig:
    def __init__(self, leases: FakeLeases, feed: Feed, limit: int) -> None:
        self.feed = feed
        self.leases = leases
        self.endpoint = Endpoint(free_port(), connections=10)
        self.hall = Hall(leases, RtcConfig(public_ips=("203.0.113.9",)), self.endpoint, limit)
        self.clients: list[UdpClient] = []

    async def take(self) -> Seat:
        return await self.hall.take_seat("front", "main")

    async def connect(self, seat: Seat, agreement: Agreement | None = None) -> UdpClient:
        """Go through ICE and the handshake as a browser does."""
        await self.hall.play(seat, agreement or agreed())
        client = UdpClient(self.endpoint.port)
        self.clients.append(client)
        peer = seat.viewer.peer
        check = build_binding_request(
            bytes(12), username=f"{peer.ufrag}:x", key=peer.key, priority=1, tie_breaker=1
        )
        assert (await client.ask(check)).message_class is MessageClass.SUCCESS
        assert await client.receive() == FakeDtls.HELLO
        client.send(FakeDtls.FINISHED)
        await until(lambda: seat.viewer.is_connected)
        return client

    async def assert_empty(self) -> None:
        await until(lambda: not self.leases.held)
        await until(lambda: not [one for one in asyncio.all_tasks() if "WebRTC" in one.get_name()])
        assert self.hall.seats == []
        assert (self.endpoint.agents, self.endpoint.paths) == (0, 0)
        assert self.feed.ring.viewers == self.leases.opus_ring.viewers == 0


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """One address, no aiortc, and a quick look at all viewers."""
    monkeypatch.setattr(endpoint_module, "host_addresses", lambda: [ip_address("127.0.0.1")])
    monkeypatch.setattr(hall_module, "_make_certificate", FakeCertificate)
    monkeypatch.setattr(hall_module, "TICK_S", 0.01)


@asynccontextmanager
async def rig(
    *, limit: int = 1000, codec: str = "", audio: bool = True, h264: Feed | None = None
) -> AsyncIterator[Rig]:
    feed = Feed()
    feed.gop(5)
    other = make_channel(h264) if h264 is not None else None
    made = Rig(FakeLeases(make_channel(feed, codec=codec, audio=audio), h264=other), feed, limit)
    await made.endpoint.open()
    try:
        yield made
    finally:
        await made.hall.close()
        await made.endpoint.close()
        for client in made.clients:
            client.socket.close()
        await made.assert_empty()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_seat_holds_the_source_until_it_is_let_go() -> None:
    async with rig() as made:
        seat = await made.take()
        assert made.leases.asked == [("front", "main", True, False)]
        assert (len(made.leases.held), made.endpoint.agents) == (1, 1)
        await made.connect(seat)
        await until(lambda: seat.viewer.packets == 10)
        made.hall.let_go(seat.viewer, "enough")
        made.hall.let_go(seat.viewer, "enough")
        assert await seat.gone == "enough"
        await made.assert_empty()


async def test_a_source_that_is_not_there_takes_nothing() -> None:
    async with rig() as made:
        with pytest.raises(NotFoundError):
            await made.hall.take_seat("nowhere", "main")


async def test_a_source_without_a_picture_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "READY_WITHIN_S", 0.01)
    async with rig() as made:
        made.leases.channel.end("it has gone")
        with pytest.raises(UnavailableError, match="has no picture yet"):
            await made.take()
        assert made.leases.held == set()


async def test_a_caller_that_is_cancelled_takes_nothing() -> None:
    async with rig() as made:
        made.leases.channel.end("it has gone")
        waiting = asyncio.create_task(made.take())
        await until(lambda: made.leases.held)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert made.leases.held == set()


async def test_packets_must_be_kept_somewhere() -> None:
    async with rig() as made:
        made.leases.channel.ring = None
        with pytest.raises(UnavailableError, match=r"limits\.ring_bytes"):
            await made.take()
        assert made.leases.held == set()


async def test_a_source_that_stops_as_its_viewer_comes_takes_nothing() -> None:
    async with rig() as made:
        init = made.leases.channel.init
        assert init is not None
        made.leases.channel.init = replace(init, video=None)
        with pytest.raises(UnavailableError, match="has just been stopped"):
            await made.take()
        assert made.leases.held == set()


async def test_there_are_only_so_many_seats() -> None:
    async with rig(limit=2) as made:
        first, _ = await made.take(), await made.take()
        with pytest.raises(UnavailableError, match=r"all 2 viewers' places .*limits\.viewers"):
            await made.take()
        made.hall.let_go(first.viewer, "enough")
        await made.take()


async def test_those_who_wait_for_a_picture_have_a_seat_already() -> None:
    """Else all who come while a source starts are let in at once, however many they are."""
    async with rig(limit=2) as made:
        channel = made.leases.channel
        init = channel.init
        assert init is not None
        channel.end("it starts anew")
        coming = [asyncio.create_task(made.take()) for _ in range(5)]
        await until(lambda: sum(one.done() for one in coming) == 3)
        channel.begin(init, "")
        found = await asyncio.gather(*coming, return_exceptions=True)
        assert sum(isinstance(one, Seat) for one in found) == 2
        assert sum(isinstance(one, UnavailableError) for one in found) == 3
        assert len(made.leases.held) == 2


async def test_ten_thousand_half_open_joins_leave_nothing() -> None:
    async with rig(limit=20_000) as made:
        tasks = len(asyncio.all_tasks())
        seats = []
        for number in range(10_000):
            seats.append(await made.take())
            if number % 500 == 0:
                await asyncio.sleep(0)
            assert len(made.hall.seats) <= MOST_JOINING
            assert len(made.leases.held) <= MOST_JOINING
        await asyncio.sleep(0)
        assert made.endpoint.agents <= MOST_JOINING
        assert len(asyncio.all_tasks()) <= tasks + 1 + len(made.hall._closing)
        assert seats[0].gone.result() == "too many viewers try to connect at once"
        assert not seats[-1].gone.done()


async def test_viewers_that_are_connected_don_t_count_as_joining() -> None:
    async with rig() as made:
        watching = await made.take()
        await made.connect(watching)
        for _ in range(MOST_JOINING + 5):
            await made.take()
        assert not watching.gone.done()
        assert len(made.hall.seats) == MOST_JOINING + 1


async def test_answers_that_never_come_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_module, "CONNECT_WITHIN_S", 0.05)
    async with rig() as made:
        silent, answered = await made.take(), await made.take()
        watching = await made.take()
        await made.connect(watching)
        await made.hall.play(answered, agreed())
        for seat in (silent, answered):
            assert "no connection came about" in await asyncio.wait_for(seat.gone, 5)
        await until(lambda: len(made.leases.held) == 1)
        assert made.hall.seats == [watching]
        assert made.endpoint.agents == 1


@pytest.mark.parametrize("state", ["STOPPED", "FATAL"])
async def test_viewers_of_a_source_that_stops_are_told_why(state: str) -> None:
    async with rig() as made:
        seat = await made.take()
        await made.connect(seat)
        made.leases.channel.set_state("BACKOFF", "it will come back")
        await asyncio.sleep(0.05)
        assert not seat.gone.done()
        made.leases.channel.set_state(state, "the camera refuses the password")
        assert await asyncio.wait_for(seat.gone, 5) == "the camera refuses the password"


async def test_another_codec_lets_its_viewers_go() -> None:
    async with rig() as made:
        seat = await made.take()
        await made.connect(seat)
        made.feed.ring.begin("hevc", made.feed)
        packet = bytes.fromhex("80e00001000000000000000726019000")  # an IDR picture of H.265
        made.feed.ring.extend([packet], 0)
        assert await asyncio.wait_for(seat.gone, 5) == "the source sends another codec now"


async def test_a_codec_that_changed_since_the_offer_is_not_played() -> None:
    async with rig() as made:
        seat = await made.take()
        made.feed.ring.begin("hevc", made.feed)
        with pytest.raises(UnavailableError, match="another codec"):
            await made.hall.play(seat, agreed())


async def test_a_browser_without_h265_gets_h264_instead() -> None:
    transcoded = Feed()
    transcoded.gop(3)
    async with rig(codec="hvc1.1.6.L93.B0", h264=transcoded) as made:
        seat = await made.take()
        assert seat.choices.video == ("hevc", "h264")
        assert seat.choices.profile is None
        await made.connect(seat, agreed(H264))
        assert made.leases.asked[1:] == [("front", "main", False, False)]
        assert [one.channel.ring for one in made.leases.held] == [transcoded.ring]
        await until(lambda: seat.viewer.packets == 6)
        assert made.feed.ring.viewers == 0
        assert transcoded.ring.viewers == 1


async def test_a_browser_with_h265_gets_it_as_it_is() -> None:
    async with rig(codec="hvc1.1.6.L93.B0", h264=Feed()) as made:
        made.feed.ring.codec = "hevc"
        seat = await made.take()
        await made.connect(seat, agreed(H265))
        assert len(made.leases.asked) == 1
        await until(lambda: seat.viewer.packets == 10)


async def test_h264_that_does_not_come_is_said_and_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(codec="hvc1.1.6.L93.B0", h264=Feed()) as made:
        seat = await made.take()
        monkeypatch.setattr(live_module, "READY_WITHIN_S", 0.01)
        made.leases.h264.end("no encoder")
        with pytest.raises(UnavailableError, match="no picture yet"):
            await made.hall.play(seat, agreed(H264))
        assert [one.channel for one in made.leases.held] == [made.leases.channel]


async def test_who_leaves_while_h264_is_being_made_holds_nothing() -> None:
    async with rig(codec="hvc1.1.6.L93.B0", h264=Feed()) as made:
        seat = await made.take()
        init = made.leases.h264.init
        assert init is not None
        made.leases.h264.end("it starts")
        playing = asyncio.create_task(made.hall.play(seat, agreed(H264)))
        await until(lambda: len(made.leases.held) == 2)
        made.hall.let_go(seat.viewer, "its page has gone")
        made.leases.h264.begin(init, "")
        with pytest.raises(UnavailableError, match="has gone meanwhile"):
            await playing
        assert made.leases.held == set()


@pytest.mark.parametrize(
    ("passed", "sound", "opus"),
    [
        (None, AgreedTrack("opus", 111), True),
        ("pcma", AgreedTrack("pcma", 8), False),
        ("pcma", AgreedTrack("opus", 111), True),
        ("pcma", None, False),
    ],
)
async def test_opus_is_made_only_for_those_who_need_it(
    passed: str | None, sound: AgreedTrack | None, opus: bool
) -> None:
    async with rig() as made:
        if passed is not None:
            made.leases.channel.sound_ring = PacketRing(1000)
            made.leases.channel.sound_ring.begin("pcma", made.feed)
        seat = await made.take()
        assert seat.choices.sound == (("pcma", "opus") if passed else ("opus",))
        await made.connect(seat, agreed(sound=sound))
        assert [one.has_opus for one in made.leases.held] == [opus]
        rings = [one.outgoing.ring for one in seat.viewer.tracks]
        expected = made.leases.opus_ring if opus else made.leases.channel.sound_ring
        assert rings == [made.feed.ring, *([expected] if sound else [])]


async def test_a_source_without_sound_offers_none() -> None:
    async with rig(audio=False) as made:
        seat = await made.take()
        assert seat.choices.sound == ()
        assert seat.choices.profile is Profile.MAIN
        ssrcs = {seat.choices.video_ssrc, seat.choices.rtx_ssrc, seat.choices.sound_ssrc}
        assert len(ssrcs) == 3


async def test_viewers_of_one_source_share_a_fan_out_and_a_clock() -> None:
    async with rig() as made:
        one, other = await made.take(), await made.take()
        clients = [await made.connect(one), await made.connect(other)]
        assert one.viewer.tracks[0].fanout is other.viewer.tracks[0].fanout
        assert one.viewer._clock is other.viewer._clock
        assert made.feed.ring.viewers == 1
        assert len(clients) == 2


async def test_a_viewer_gets_what_its_source_sends() -> None:
    async with rig() as made:
        seat = await made.take()
        client = await made.connect(seat)
        dtls = cast(FakeDtls, seat.viewer.peer._dtls)
        made.feed.picture()
        packets: list[bytes] = []
        while len(packets) < 12:
            data = await client.receive()
            if data[1] < 192 or data[1] > 223:  # RFC 5761 §4: no RTCP
                packets.append(dtls.browser.decrypt(data))
        assert_contiguous(packets)


async def test_where_we_can_be_reached_is_told() -> None:
    async with rig() as made:
        seat = await made.take()
        local = await made.hall.transport_for(seat, "127.0.0.1")
        far = await made.hall.transport_for(seat, "192.0.2.5")
        assert {one.address for one in local.candidates} == {"203.0.113.9", "127.0.0.1"}
        assert {one.address for one in far.candidates} == {"203.0.113.9"}
        assert {one.port for one in local.candidates} == {made.endpoint.port}
        assert (local.ufrag, local.pwd) == (seat.viewer.peer.ufrag, seat.viewer.peer.pwd)
        assert local.fingerprint == FakeCertificate.fingerprint


async def test_a_server_that_stops_tells_everyone() -> None:
    async with rig() as made:
        waiting, watching = await made.take(), await made.take()
        client = await made.connect(watching)
        await made.hall.close()
        assert waiting.gone.result() == watching.gone.result() == "the server stops"
        await made.assert_empty()
        heard = b""
        while heard != FakeDtls.GOODBYE:
            heard = await client.receive()


async def test_a_channel_is_forgotten_with_its_last_viewer() -> None:
    """Sources come and go by the API; each would keep its GOP and its packets for ever."""
    async with rig() as made:
        stays = made.leases.channel
        goes = Feed()
        goes.gop(2)
        made.leases.channel = make_channel(goes)
        seat = await made.take()
        await made.connect(seat)
        left = weakref.ref(made.leases.channel), weakref.ref(goes.ring)
        made.hall.let_go(seat.viewer, "enough")
        await made.assert_empty()
        made.leases.channel = stays
        cast(FakeCertificate, made.hall._certificate).opened.clear()  # what only the fake holds
        del goes, seat
        for _ in range(2):  # the first frees what the second finds in a ring with its feed
            gc.collect()
        assert [one() for one in left] == [None, None]
