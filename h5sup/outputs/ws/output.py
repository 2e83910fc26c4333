"""`/api/v1/h5swsapi`: media over WebSocket, live or recorded, as H5Stream's players expect it.

The first binary message is the MIME type alone, then come the init segment and fragments; text
messages are events. What a live viewer says is read to notice it leave, and changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import tzinfo
from typing import Protocol

from aiohttp import WSMsgType, web

from h5sup.auth.visit import VISIT
from h5sup.base.clock import ServerZone
from h5sup.base.errors import UnavailableError
from h5sup.base.pace import Pace
from h5sup.bus.channel import Channel
from h5sup.bus.playback import PlaybackOpener
from h5sup.outputs.playback_wire import wants_playback
from h5sup.outputs.ws import wire
from h5sup.outputs.ws.fanout import Fanout
from h5sup.outputs.ws.playback import Showing
from h5sup.outputs.ws.viewer import Viewer

HEARTBEAT_S = 20.0  # proxies drop a silent WebSocket after about 60 s
MIME_WITHIN_S = 9.0  # the original players give up on a socket without one after 10 s
MAX_MESSAGE_BYTES = 16_384
MAX_MESSAGES_PER_S = 50  # players send one


class Lease(Protocol):
    """A channel held open."""

    async def ready(self, timeout_s: float) -> Channel:
        """Return the channel once it can be played; raises UnavailableError."""

    def release(self) -> None:
        """Let the source stop when nobody else holds it."""


class Leases(Protocol):
    """What this output needs of the sources."""

    def lease(self, token: str, *, profile: str = "main", hevc: bool = False) -> Lease:
        """Hold a channel open; raises NotFoundError, UnavailableError."""


class WsOutput:
    """All WebSocket viewers, of all channels and of what was recorded."""

    def __init__(
        self,
        leases: Leases,
        opener: PlaybackOpener,
        *,
        viewers: int,
        viewer_bytes: int,
        zone: tzinfo | None = None,
    ) -> None:
        """Take who has channels and recordings; `zone` is the server's own unless given."""
        self._leases = leases
        self._opener = opener
        self._zone = zone or ServerZone()
        self._limit = viewers
        self._viewer_bytes = viewer_bytes
        self._fanouts: dict[Channel, Fanout] = {}
        self._viewers: set[Viewer] = set()
        self._dropped_before = 0  # by fanouts that are gone

    @property
    def connections(self) -> int:
        """Return how many viewers are connected."""
        return len(self._viewers)

    @property
    def unsent_bytes(self) -> int:
        """Return what waits for all viewers."""
        return sum(viewer.unsent_bytes for viewer in self._viewers)

    @property
    def dropped_fragments(self) -> int:
        """Return how many fragments viewers did not get because they were behind."""
        present = sum(one.dropped_fragments for one in self._fanouts.values())
        return self._dropped_before + present

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one viewer until it leaves."""
        if len(self._viewers) >= self._limit:
            raise UnavailableError(f"all {self._limit} viewers' places are taken (limits.viewers)")
        query = request.query
        if wants_playback(query):
            return await self._play_back(request)
        lease = self._leases.lease(
            query.get("token", ""),
            profile=query.get("profile") or "main",
            hevc=query.get("hevc", "").lower() == "true",
        )
        try:
            return await self._serve(request, lambda viewer: self._join(viewer, lease))
        finally:
            lease.release()

    async def close(self) -> None:
        """Dismiss everyone: the server stops."""
        for viewer in list(self._viewers):
            viewer.dismiss(wire.CLOSE_GOING_AWAY, "the server stops")

    async def _play_back(self, request: web.Request) -> web.WebSocketResponse:
        visit = request.get(VISIT)
        owner = visit.identity.name if visit is not None else ""
        showing = Showing(self._opener, request.query, owner=owner, zone=self._zone)
        return await self._serve(request, showing.run, showing.hear)

    async def _serve(
        self,
        request: web.Request,
        play: Callable[[Viewer], Coroutine[None, None, None]],
        hear: Callable[[str], None] = lambda _: None,
    ) -> web.WebSocketResponse:
        """Have a viewer played to, as a task, until it leaves; what it says is heard."""
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S, max_msg_size=MAX_MESSAGE_BYTES, compress=False
        )
        await socket.prepare(request)
        transport = request.transport
        if transport is None:  # gone while it was being greeted
            return socket
        viewer = Viewer(transport)
        self._viewers.add(viewer)
        playing = asyncio.create_task(play(viewer), name="h5swsapi viewer")
        try:
            await self._listen(socket, viewer, hear)
        finally:
            playing.cancel()
            with suppress(asyncio.CancelledError):
                await playing
            self._leave(viewer)
            self._viewers.discard(viewer)
        return socket

    async def _join(self, viewer: Viewer, lease: Lease) -> None:
        try:
            channel = await lease.ready(MIME_WITHIN_S)
        except UnavailableError as error:
            viewer.dismiss(wire.CLOSE_TRY_AGAIN_LATER, str(error))
            return
        fanout = self._fanouts.get(channel)
        if fanout is None or fanout.generation != channel.generation:
            if fanout is not None:
                self._dropped_before += fanout.dropped_fragments
            fanout = Fanout(channel, viewer_bytes=self._viewer_bytes)
            self._fanouts[channel] = fanout
        viewer.fanout = fanout
        fanout.join(viewer)

    def _leave(self, viewer: Viewer) -> None:
        fanout = viewer.fanout
        if fanout is None:
            return
        fanout.leave(viewer)
        if not fanout.viewers and self._fanouts.get(fanout.channel) is fanout:
            del self._fanouts[fanout.channel]
            self._dropped_before += fanout.dropped_fragments

    async def _listen(
        self, socket: web.WebSocketResponse, viewer: Viewer, hear: Callable[[str], None]
    ) -> None:
        """Read until the client leaves; who watches live has nothing to say but that he lives."""
        loop = asyncio.get_running_loop()
        pace = Pace(MAX_MESSAGES_PER_S)
        async for message in socket:
            if message.type is WSMsgType.ERROR:
                return
            if pace.is_too_fast(loop.time()):
                viewer.dismiss(wire.CLOSE_POLICY, "too many messages")
                return
            if message.type is WSMsgType.TEXT:
                hear(message.data)
