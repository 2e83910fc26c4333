"""A playback as the supply of one viewer: opened, steered, told of, closed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import tzinfo
from typing import Any

from h5sup.base.errors import H5supError, UnavailableError
from h5sup.bus.packet_ring import Codec, PacketRing
from h5sup.bus.playback import Playback, PlaybackOpener, PlaybackRequest, Position
from h5sup.outputs.playback_wire import build_session_event, build_time_event, obey
from h5sup.outputs.rtc.clock import ArrivalClock
from h5sup.outputs.rtc.negotiation import Agreement, Choices
from h5sup.outputs.rtc.projector import Projector
from h5sup.outputs.rtc.supply import build_choices, is_hevc_codec

OPEN_WITHIN_S = 8.0  # players give up after 10 s without an offer
EARLY_COMMANDS = 16  # given before both sides have agreed; players give one
WAITING_EVENTS = 16  # of a page that takes none


class PastOpener:
    """Opens playbacks for viewers; `zone` is that of times that name none."""

    def __init__(self, playbacks: PlaybackOpener, zone: tzinfo) -> None:
        self.zone = zone
        self._playbacks = playbacks

    async def open(self, request: PlaybackRequest, *, sound: bool) -> Past:
        """Return a playback that stands at its begin; raises H5supError."""
        request = replace(request, hevc=True, b_frames=False, opus=sound)
        playback = await self.reopen(request)
        return Past(self, request, playback)

    async def reopen(self, request: PlaybackRequest) -> Playback:
        """Return a playback of just this request; raises H5supError."""
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                return await self._playbacks.open(request)
        except TimeoutError:
            raise UnavailableError("the recordings did not open in time") from None


class Past:
    """A Supply. Commands may come at any time; what came before settle() is not lost by it."""

    may_rest = True

    def __init__(self, opener: PastOpener, request: PlaybackRequest, playback: Playback) -> None:
        """Take an open playback."""
        self.clock = ArrivalClock()
        self.events: asyncio.Queue[str] = asyncio.Queue(WAITING_EVENTS)
        """What the page is to be told, as text."""
        self._opener = opener
        self._request = request
        self._playback = playback
        self._projector = self._open_projector(playback)
        video, sounds = _codecs(playback)
        self.choices: Choices = build_choices(video, sounds, self._projector.video.ring.ssrc)
        self._early: deque[Mapping[str, Any]] | None = deque(maxlen=EARLY_COMMANDS)
        self._running: asyncio.Task[None] | None = None
        self._failure = ""
        self._is_open = True
        self._is_closed = False

    def obey(self, said: Mapping[str, Any]) -> None:
        """Do what a message commands; raises InvalidError."""
        if "cmd" not in said:
            return
        obey(self._playback, said, self._opener.zone)
        if self._early is not None:
            self._early.append(said)
        match said["cmd"]:
            case "H5_SEEK" | "H5_MOVETO":
                self._projector.jump()
            case "H5_PAUSE":
                self._projector.freeze()
            case "H5_START" | "H5_RESUME":
                self._projector.go_on()
            case _:
                pass

    async def settle(self, codec: Codec) -> None:
        """Play H.264 made of H.265 where the browser takes no other; raises H5supError."""
        if codec == "h264" and is_hevc_codec(_codecs(self._playback)[0]):
            await self._change_to_h264()
        self._early = None

    def rings(self, agreement: Agreement) -> tuple[PacketRing, PacketRing | None]:
        """Return what is played into, from when a viewer takes from it."""
        projector = self._projector
        if projector.video.codec != agreement.video.codec:
            raise UnavailableError("this recording can't be made H.264 of")
        self._running = asyncio.create_task(self._run(), name="playing back over WebRTC")
        self._tell(build_session_event(self._playback))
        return projector.video.ring, projector.sound.ring if agreement.sound is not None else None

    def end_reason(self, known: str) -> str:
        """Return why it has failed; the end of what was recorded is no failure."""
        del known
        if self._running is None or not self._running.done():
            return ""
        return self._failure or "playing back has failed"

    def release(self) -> None:
        """Stop playing."""
        self._is_closed = True
        if self._running is not None:
            self._running.cancel()

    async def close(self) -> None:
        """Free the playback."""
        try:
            if self._running is not None:
                with suppress(asyncio.CancelledError):
                    await self._running
        finally:
            await self._close_playback()

    async def _run(self) -> None:
        try:
            await self._projector.run()
        except H5supError as error:
            self._failure = str(error)

    async def _change_to_h264(self) -> None:
        """Open it once more; what was commanded meanwhile holds for the new one too."""
        await self._close_playback()  # first: there are only so many
        playback = await self._opener.reopen(replace(self._request, hevc=False))
        self._playback, self._is_open = playback, True
        if self._is_closed:
            await self._close_playback()
            return
        self._projector = self._open_projector(playback)
        for said in self._early or ():
            obey(playback, said, self._opener.zone)

    def _open_projector(self, playback: Playback) -> Projector:
        codec: Codec = "hevc" if is_hevc_codec(_codecs(playback)[0]) else "h264"
        return Projector(playback, codec, self._tell_position)

    async def _close_playback(self) -> None:
        if self._is_open:
            self._is_open = False
            await self._playback.close()

    def _tell_position(self, position: Position) -> None:
        """Have a page told without the place on the timeline, which is not that of its video."""
        self._tell(build_time_event(replace(position, media_s=None), self._opener.zone))

    def _tell(self, event: str) -> None:
        """Have an event sent; to a page that takes none, the newest ones."""
        if self.events.full():
            self.events.get_nowait()
        self.events.put_nowait(event)


def _codecs(playback: Playback) -> tuple[str, list[Codec]]:
    """Return what its pictures are, as RFC 6381 writes it, and its sound if that is Opus."""
    video, *others = playback.mime.partition('codecs="')[2].rstrip('"').split(", ")
    return video, ["opus"] if "opus" in others else []
