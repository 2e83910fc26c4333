"""When a WebRTC viewer is told where sound and picture belong."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from pylibsrtp import Policy

from h5sup.bus.packet_ring import PacketRing
from h5sup.outputs.rtc.burst import Burst
from h5sup.outputs.rtc.clock import MediaClock
from h5sup.outputs.rtc.endpoint import Endpoint
from h5sup.outputs.rtc.fanout import Fanout
from h5sup.outputs.rtc.keys import Keys
from h5sup.outputs.rtc.negotiation import AgreedTrack, Agreement
from h5sup.outputs.rtc.outgoing import Outgoing
from h5sup.outputs.rtc.viewer import GUESS_AFTER_S, Track, Viewer

KEY_AND_SALT = bytes(range(30))


class Feeder:
    """Fills a ring with nothing."""

    def set_watched(self, is_watched: bool) -> None:
        del is_watched


class Clock:
    """Knows the time of the media as soon as it is told to."""

    def __init__(self) -> None:
        self.is_sure = False

    def refresh(self) -> None:
        pass

    def is_certain(self, rings: list[PacketRing]) -> bool:
        del rings
        return self.is_sure

    def timestamps(self, rings: list[PacketRing], now_s: float) -> list[int]:
        del now_s
        return [0 for _ in rings]


class SentPath:
    """Keeps what is sent."""

    is_udp = True
    remote = ("192.0.2.1", 9)

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def send_burst(self, burst: Burst) -> bool:
        del burst
        return True


def connect(clock: Clock) -> tuple[Viewer, SentPath]:
    """Return a connected viewer of one track, and what it is sent."""
    profile = Policy.SRTP_PROFILE_AES128_CM_SHA1_80
    keys = Keys(send=KEY_AND_SALT, receive=KEY_AND_SALT, srtp_profile=profile, name="SHA1_80")
    viewer = Viewer(Endpoint(0, connections=1), cast(Any, None), lambda *_: None)
    ring = PacketRing(1000)
    ring.begin("h264", Feeder())
    track = Track(
        Outgoing(ring, payload_type=102, ssrc=1, rtx=None), Fanout(ring, lambda *_: None)
    )
    agreement = Agreement(
        video=AgreedTrack("h264", 102), sound=None, role="server", fingerprints=()
    )
    viewer.play(agreement, track, None, cast(MediaClock, clock))
    path = SentPath()
    viewer.peer.keys, viewer.peer.path = keys, path
    viewer.on_connected(keys, path)
    return viewer, path


async def test_nothing_is_reported_while_it_is_a_guess() -> None:
    clock = Clock()
    viewer, path = connect(clock)
    now_s = asyncio.get_running_loop().time()
    assert viewer.tick(now_s + 1) == ""
    assert path.sent == []
    clock.is_sure = True
    assert viewer.tick(now_s + 2) == ""
    assert len(path.sent) == 1


async def test_what_is_certain_is_reported_before_the_first_picture() -> None:
    clock = Clock()
    clock.is_sure = True
    _, path = connect(clock)
    assert len(path.sent) == 1


async def test_a_guess_is_better_than_nothing_after_a_while() -> None:
    viewer, path = connect(Clock())
    assert viewer.tick(asyncio.get_running_loop().time() + GUESS_AFTER_S + 1) == ""
    assert len(path.sent) == 1
