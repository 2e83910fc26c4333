"""All viewers and what they share: the port, the certificate, a fan-out per ring."""

from __future__ import annotations

import asyncio
import logging
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from h5sup.base.errors import MediaFormatError, UnavailableError
from h5sup.bus.channel import Channel
from h5sup.bus.packet_ring import Codec, PacketRing
from h5sup.config.model import RtcConfig
from h5sup.formats import h264
from h5sup.outputs.rtc.addresses import build_candidates
from h5sup.outputs.rtc.clock import MediaClock
from h5sup.outputs.rtc.endpoint import Endpoint
from h5sup.outputs.rtc.fanout import Fanout
from h5sup.outputs.rtc.leases import Lease, Leases
from h5sup.outputs.rtc.negotiation import AgreedTrack, Agreement, Choices, Transport
from h5sup.outputs.rtc.outgoing import Outgoing
from h5sup.outputs.rtc.viewer import Track, Viewer

if TYPE_CHECKING:
    from h5sup.outputs.rtc.dtls import Certificate

READY_WITHIN_S = 9.0
TICK_S = 1.0
MOST_JOINING = 256  # viewers between their request and their first picture
HEVC_ENTRIES = ("hvc1", "hev1")

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Seat:
    """A viewer with all that is held for it."""

    number: int
    token: str
    profile: str
    viewer: Viewer
    lease: Lease
    channel: Channel
    choices: Choices
    gone: asyncio.Future[str]
    """Done with the reason when the viewer has been let go."""
    closing: asyncio.Task[None] | None = field(default=None)


class Hall:
    """Owned by RtcOutput. Every way of signalling takes its seats here."""

    def __init__(self, leases: Leases, config: RtcConfig, endpoint: Endpoint, limit: int) -> None:
        self.endpoint = endpoint
        self._leases = leases
        self._config = config
        self._limit = limit
        self._coming = 0  # those who wait for their source
        self._seats: dict[Viewer, Seat] = {}
        self._taken = 0
        self._fanouts: weakref.WeakValueDictionary[PacketRing, Fanout] = (
            weakref.WeakValueDictionary()
        )
        self._clocks: weakref.WeakValueDictionary[Channel, MediaClock] = (
            weakref.WeakValueDictionary()  # each holds its channel, and its viewers hold it
        )
        self._certificate: Certificate | None = None
        self._loading = asyncio.Lock()
        self._ticking: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def seats(self) -> list[Seat]:
        """Return all viewers, those among them that are still connecting."""
        return list(self._seats.values())

    async def take_seat(self, token: str, profile: str, *, sound: bool = True) -> Seat:
        """Hold a source open for one more viewer; raises NotFoundError, UnavailableError.

        Who wants no sound costs no encoder, and sees sooner: nothing has to wait for it.
        """
        if len(self._seats) + self._coming >= self._limit:
            raise UnavailableError(f"all {self._limit} viewers' places are taken (limits.viewers)")
        self._coming += 1
        try:
            certificate = await self._load()
            lease, channel = await self._hold(token, profile, hevc=True)
        finally:
            self._coming -= 1
        try:
            choices = _choices(channel, sound=sound)
        except UnavailableError:
            lease.release()
            raise
        self._make_room()
        viewer = Viewer(self.endpoint, certificate, self.let_go)
        viewer.token = token
        self.endpoint.add(viewer.peer)
        gone = asyncio.get_running_loop().create_future()
        self._taken += 1
        seat = Seat(self._taken, token, profile, viewer, lease, channel, choices, gone)
        self._seats[viewer] = seat
        if self._ticking is None:
            self._ticking = asyncio.create_task(self._tick(), name="WebRTC viewers")
        return seat

    async def transport_for(self, seat: Seat, reached: str) -> Transport:
        """Return our end of the connection, for a request that came to the address `reached`."""
        assert self._certificate is not None
        await self.endpoint.refresh()
        candidates = build_candidates(
            self.endpoint.addresses, self._config.public_ips, self.endpoint.port, reached
        )
        peer = seat.viewer.peer
        return Transport(
            ufrag=peer.ufrag,
            pwd=peer.pwd,
            fingerprint=self._certificate.fingerprint,
            candidates=candidates,
        )

    async def play(self, seat: Seat, agreement: Agreement) -> None:
        """Send what was agreed on; raises UnavailableError, also for a seat that is gone."""
        if agreement.video.codec == "h264" and _is_hevc(seat.channel):
            await self._change_to_h264(seat)
        if seat.viewer not in self._seats:
            raise UnavailableError("the viewer has gone meanwhile")
        channel, choices = seat.channel, seat.choices
        assert channel.ring is not None
        if channel.ring.codec not in (None, agreement.video.codec):
            raise UnavailableError("the source sends another codec now")
        clock = self._clocks.get(channel)
        if clock is None:
            clock = self._clocks[channel] = MediaClock(channel)
        video = self._track(channel.ring, agreement.video, choices.video_ssrc, choices.rtx_ssrc)
        sound = None
        if agreement.sound is not None:
            ring = channel.sound_ring
            if agreement.sound.codec == "opus" or ring is None:
                ring = seat.lease.opus()
            sound = self._track(ring, agreement.sound, choices.sound_ssrc, 0)
        seat.viewer.play(agreement, video, sound, clock)

    def let_go(self, viewer: Viewer, reason: str) -> None:
        """Free a viewer's seat; one that is free already is ignored."""
        seat = self._seats.pop(viewer, None)
        if seat is None:
            return
        logger.debug("%s: a viewer has gone: %s", seat.token, reason)
        seat.gone.set_result(reason)
        seat.lease.release()
        seat.closing = asyncio.create_task(viewer.close(), name="closing a WebRTC viewer")
        self._closing.add(seat.closing)
        seat.closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Let everyone go: the server stops."""
        ticking, self._ticking = self._ticking, None
        if ticking is not None:
            ticking.cancel()
            with suppress(asyncio.CancelledError):
                await ticking
        for viewer in list(self._seats):
            self.let_go(viewer, "the server stops")
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _hold(self, token: str, profile: str, *, hevc: bool) -> tuple[Lease, Channel]:
        """Return a channel that can be played, and the lease that keeps it open."""
        lease = self._leases.lease(token, profile=profile, hevc=hevc, b_frames=False)
        try:
            return lease, await lease.ready(READY_WITHIN_S)
        except BaseException:
            lease.release()
            raise

    async def _change_to_h264(self, seat: Seat) -> None:
        """Hold the transcoded channel instead of the one with H.265."""
        lease, channel = await self._hold(seat.token, seat.profile, hevc=False)
        if seat.viewer not in self._seats:
            lease.release()
            return
        seat.lease.release()
        seat.lease, seat.channel = lease, channel

    def _track(self, ring: PacketRing, agreed: AgreedTrack, ssrc: int, rtx_ssrc: int) -> Track:
        fanout = self._fanouts.get(ring)
        if fanout is None:
            fanout = self._fanouts[ring] = Fanout(ring, self._on_end)
        rtx = None if agreed.rtx_payload_type is None else (agreed.rtx_payload_type, rtx_ssrc)
        outgoing = Outgoing(ring, payload_type=agreed.payload_type, ssrc=ssrc, rtx=rtx)
        return Track(outgoing, fanout)

    def _on_end(self, fanout: Fanout, reason: str) -> None:
        for viewer in list(self._seats):
            if any(track.fanout is fanout for track in viewer.tracks):
                self.let_go(viewer, reason)

    def _make_room(self) -> None:
        """Give up the oldest of too many that never connect."""
        joining = [viewer for viewer in self._seats if not viewer.is_connected]
        if len(joining) >= MOST_JOINING:
            self.let_go(joining[0], "too many viewers try to connect at once")

    async def _tick(self) -> None:
        """Look after all viewers once a second, while there are any."""
        loop = asyncio.get_running_loop()
        while self._seats:
            now_s = loop.time()
            for viewer, seat in list(self._seats.items()):
                reason = viewer.tick(now_s)
                if not reason and seat.channel.state.state in ("STOPPED", "FATAL"):
                    known = seat.channel.state.reason or viewer.end_reason
                    reason = known or "the source has stopped"
                if reason:
                    self.let_go(viewer, reason)
            await asyncio.sleep(TICK_S)
        self._ticking = None

    async def _load(self) -> Certificate:
        """Import aiortc with the first viewer, beside the loop: it takes most of a second."""
        async with self._loading:
            if self._certificate is None:
                self._certificate = await asyncio.to_thread(_make_certificate)
            return self._certificate


def _make_certificate() -> Certificate:
    from h5sup.outputs.rtc.dtls import Certificate

    return Certificate()


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
    return Choices(
        video=("hevc", "h264") if _is_hevc(channel) else ("h264",),
        sound=tuple(sounds),
        profile=_profile(init.video.codec),
        video_ssrc=ring.ssrc,
        rtx_ssrc=ring.ssrc + 1 & 0xFFFFFFFF,
        sound_ssrc=ring.ssrc + 2 & 0xFFFFFFFF,
    )


def _is_hevc(channel: Channel) -> bool:
    init = channel.init
    return (
        init is not None and init.video is not None and init.video.codec.startswith(HEVC_ENTRIES)
    )


def _profile(codec: str) -> h264.Profile | None:
    """Return the profile in a codec's name, e.g. `avc1.4D002A`."""
    try:
        profile_idc, constraint_flags, _ = h264.parse_profile_level_id(codec.partition(".")[2])
    except MediaFormatError:
        return None
    return h264.find_profile(profile_idc, constraint_flags)
