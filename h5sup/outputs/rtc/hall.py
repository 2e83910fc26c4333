"""All viewers and what they share: the port, the certificate, a fan-out per ring."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from h5sup.base.errors import UnavailableError
from h5sup.bus.packet_ring import PacketRing
from h5sup.bus.playback import PlaybackRequest
from h5sup.config.model import RtcConfig
from h5sup.outputs.rtc.addresses import build_candidates
from h5sup.outputs.rtc.endpoint import Endpoint
from h5sup.outputs.rtc.fanout import Fanout
from h5sup.outputs.rtc.leases import Leases
from h5sup.outputs.rtc.live import LiveOpener
from h5sup.outputs.rtc.negotiation import AgreedTrack, Agreement, Choices, Transport
from h5sup.outputs.rtc.outgoing import Outgoing
from h5sup.outputs.rtc.past import Past, PastOpener
from h5sup.outputs.rtc.supply import Supply
from h5sup.outputs.rtc.viewer import Track, Viewer

if TYPE_CHECKING:
    from h5sup.outputs.rtc.dtls import Certificate

TICK_S = 1.0
MOST_JOINING = 256  # viewers between their request and their first picture

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Seat:
    """A viewer with all that is held for it."""

    number: int
    token: str
    viewer: Viewer
    supply: Supply
    gone: asyncio.Future[str]
    """Done with the reason when the viewer has been let go."""
    closing: asyncio.Task[None] | None = field(default=None)

    @property
    def choices(self) -> Choices:
        """Return what can be sent to it."""
        return self.supply.choices


class Hall:
    """Owned by RtcOutput. Every way of signalling takes its seats here."""

    def __init__(
        self,
        leases: Leases,
        config: RtcConfig,
        endpoint: Endpoint,
        limit: int,
        past: PastOpener | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._live = LiveOpener(leases)
        self._past = past
        self._config = config
        self._limit = limit
        self._coming = 0  # those who wait for their source
        self._seats: dict[Viewer, Seat] = {}
        self._taken = 0
        self._fanouts: weakref.WeakValueDictionary[PacketRing, Fanout] = (
            weakref.WeakValueDictionary()
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
        return await self._seat(token, lambda: self._live.open(token, profile, sound=sound))

    async def take_playback_seat(
        self, request: PlaybackRequest, *, sound: bool = True
    ) -> tuple[Seat, Past]:
        """Open a playback for one more viewer; raises NotFoundError, UnavailableError."""
        opener = self._past
        if opener is None:
            raise UnavailableError("nothing is recorded here")
        opened: list[Past] = []

        async def open_past() -> Past:
            opened.append(await opener.open(request, sound=sound))
            return opened[0]

        return await self._seat(request.token, open_past), opened[0]

    async def _seat(self, token: str, open_supply: Callable[[], Awaitable[Supply]]) -> Seat:
        if len(self._seats) + self._coming >= self._limit:
            raise UnavailableError(f"all {self._limit} viewers' places are taken (limits.viewers)")
        self._coming += 1
        try:
            certificate = await self._load()
            supply = await open_supply()
        finally:
            self._coming -= 1
        self._make_room()
        viewer = Viewer(self.endpoint, certificate, self.let_go)
        viewer.token = token
        self.endpoint.add(viewer.peer)
        gone = asyncio.get_running_loop().create_future()
        self._taken += 1
        seat = Seat(self._taken, token, viewer, supply, gone)
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
        supply, choices = seat.supply, seat.choices
        await supply.settle(agreement.video.codec)
        if seat.viewer not in self._seats:
            raise UnavailableError("the viewer has gone meanwhile")
        picture, sounds = supply.rings(agreement)
        video = self._track(picture, agreement.video, choices.video_ssrc, choices.rtx_ssrc)
        sound = None
        if agreement.sound is not None and sounds is not None:
            sound = self._track(sounds, agreement.sound, choices.sound_ssrc, 0)
        seat.viewer.play(agreement, video, sound, supply.clock, may_rest=supply.may_rest)

    def let_go(self, viewer: Viewer, reason: str) -> None:
        """Free a viewer's seat; one that is free already is ignored."""
        seat = self._seats.pop(viewer, None)
        if seat is None:
            return
        logger.debug("%s: a viewer has gone: %s", seat.token, reason)
        seat.gone.set_result(reason)
        seat.supply.release()
        seat.closing = asyncio.create_task(_close(seat), name="closing a WebRTC viewer")
        self._closing.add(seat.closing)
        seat.closing.add_done_callback(self._note_closed)

    def _note_closed(self, closing: asyncio.Task[None]) -> None:
        """Log the bug that a viewer's supply may have ended by."""
        self._closing.discard(closing)
        if not closing.cancelled() and (error := closing.exception()) is not None:
            logger.error("a WebRTC viewer ended by a bug", exc_info=error)

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
                reason = reason or seat.supply.end_reason(viewer.end_reason)
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


async def _close(seat: Seat) -> None:
    try:
        await seat.viewer.close()
    finally:
        await seat.supply.close()
