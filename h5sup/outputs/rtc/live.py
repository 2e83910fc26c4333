"""Channels as they are now: the lease that keeps one open, its rings, its clock."""

from __future__ import annotations

import weakref

from h5sup.base.errors import UnavailableError
from h5sup.bus.channel import Channel
from h5sup.bus.packet_ring import Codec, PacketRing
from h5sup.outputs.rtc.clock import MediaClock
from h5sup.outputs.rtc.leases import Lease, Leases
from h5sup.outputs.rtc.negotiation import Agreement, Choices
from h5sup.outputs.rtc.supply import build_choices, is_hevc

READY_WITHIN_S = 9.0


class LiveOpener:
    """Opens channels, and has one clock for each that is watched."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._clocks: weakref.WeakValueDictionary[Channel, MediaClock] = (
            weakref.WeakValueDictionary()  # each holds its channel, and its viewers hold it
        )

    async def open(self, token: str, profile: str, *, sound: bool) -> Live:
        """Hold a source open for one more viewer; raises NotFoundError, UnavailableError."""
        lease, channel = await self.hold(token, profile, hevc=True)
        try:
            choices = _choices(channel, sound=sound)
        except UnavailableError:
            lease.release()
            raise
        return Live(self, token, profile, lease, channel, choices)

    async def hold(self, token: str, profile: str, *, hevc: bool) -> tuple[Lease, Channel]:
        """Return a channel that can be played, and the lease that keeps it open."""
        lease = self._leases.lease(token, profile=profile, hevc=hevc, b_frames=False)
        try:
            return lease, await lease.ready(READY_WITHIN_S)
        except BaseException:
            lease.release()
            raise

    def clock_of(self, channel: Channel) -> MediaClock:
        """Return the one clock of all who watch this channel."""
        clock = self._clocks.get(channel)
        if clock is None:
            clock = self._clocks[channel] = MediaClock(channel)
        return clock


class Live:
    """A source held open for one viewer: a Supply."""

    may_rest = False

    def __init__(
        self,
        opener: LiveOpener,
        token: str,
        profile: str,
        lease: Lease,
        channel: Channel,
        choices: Choices,
    ) -> None:
        self.choices = choices
        self._opener = opener
        self._token = token
        self._profile = profile
        self._lease = lease
        self._channel = channel
        self._is_closed = False

    @property
    def clock(self) -> MediaClock:
        """Return the clock of its channel."""
        return self._opener.clock_of(self._channel)

    async def settle(self, codec: Codec) -> None:
        """Hold the transcoded channel instead of the one with H.265, where that is needed."""
        if codec != "h264" or not is_hevc(self._channel.init):
            return
        lease, channel = await self._opener.hold(self._token, self._profile, hevc=False)
        if self._is_closed:
            lease.release()
            return
        self._lease.release()
        self._lease, self._channel = lease, channel

    def rings(self, agreement: Agreement) -> tuple[PacketRing, PacketRing | None]:
        """Return the channel's rings; Opus is made from now on where that was agreed on."""
        channel = self._channel
        video = channel.ring
        assert video is not None
        if video.codec not in (None, agreement.video.codec):
            raise UnavailableError("the source sends another codec now")
        if agreement.sound is None:
            return video, None
        passed = channel.sound_ring
        if agreement.sound.codec == "opus" or passed is None:
            return video, self._lease.opus()
        return video, passed

    def end_reason(self, known: str) -> str:
        """Return why the source has stopped."""
        state = self._channel.state
        if state.state not in ("STOPPED", "FATAL"):
            return ""
        return state.reason or known or "the source has stopped"

    def release(self) -> None:
        """Let the source stop when nobody else holds it."""
        self._is_closed = True
        self._lease.release()

    async def close(self) -> None:
        """Do nothing more."""


def _choices(channel: Channel, *, sound: bool) -> Choices:
    """Return what a channel can send; raises UnavailableError."""
    ring, init = channel.ring, channel.init
    if ring is None:
        raise UnavailableError("WebRTC needs packets: set limits.ring_bytes above 0")
    if init is None or init.video is None:
        raise UnavailableError("the source has just been stopped")
    sounds: list[Codec] = []
    if sound and init.audio is not None:
        passed = channel.sound_ring.codec if channel.sound_ring is not None else None
        sounds = [*([passed] if passed is not None else []), "opus"]
    return build_choices(init.video.codec, sounds, ring.ssrc)
