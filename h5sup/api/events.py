"""`/api/v1/h5seventapi`: events as they happen, to pages and dashboards.

Text messages of JSON, see events/wire.py. What the client says is read to notice it leave, and
changes nothing. One that is too slow for its events is sent away, to ask how things are when it
comes back.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Protocol

from aiohttp import WSCloseCode, WSMsgType, web

from h5sup.auth.guard import Identity
from h5sup.auth.visit import VISIT
from h5sup.base.errors import UnavailableError
from h5sup.base.pace import Pace
from h5sup.events.event import Event, LoginFailed
from h5sup.events.hub import Hub, Subscription
from h5sup.events.wire import encode

HEARTBEAT_S = 20.0  # proxies drop a silent WebSocket after about 60 s
FAREWELL_S = 2.0
MAX_MESSAGE_BYTES = 4096
MAX_MESSAGES_PER_S = 50  # dashboards send one


class Listener(Protocol):
    """Who listens."""

    @property
    def identity(self) -> Identity:
        """Who it is."""

    def may_see(self, token: str) -> bool:
        """Whether they may know of a source."""


def may_hear(listener: Listener, event: Event) -> bool:
    """Return whether an event is any of the listener's business."""
    if isinstance(event.what, LoginFailed):
        return listener.identity.role == "Administrator"
    return not event.token or listener.may_see(event.token)


class EventSockets:
    """All sockets of this kind."""

    def __init__(self, hub: Hub, *, limit: int) -> None:
        self._hub = hub
        self._limit = limit
        self._sockets: set[web.WebSocketResponse] = set()

    @property
    def connections(self) -> int:
        """Return how many sockets are open."""
        return len(self._sockets)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Tell one client of events until it leaves."""
        if len(self._sockets) >= self._limit:
            raise UnavailableError(f"all {self._limit} viewers' places are taken (limits.viewers)")
        visit = request[VISIT]
        socket = web.WebSocketResponse(
            timeout=FAREWELL_S,
            heartbeat=HEARTBEAT_S,
            max_msg_size=MAX_MESSAGE_BYTES,
            compress=False,
        )
        self._sockets.add(socket)
        subscription = self._hub.subscribe(lambda event: may_hear(visit, event))
        try:
            await socket.prepare(request)
            await _serve(socket, subscription)
        finally:
            subscription.close()
            _cut_off(request)
            self._sockets.discard(socket)
        return socket

    async def close(self) -> None:
        """Say goodbye to all: the server stops."""
        goodbyes = [
            socket.close(code=WSCloseCode.GOING_AWAY, message=b"the server stops")
            for socket in self._sockets
            if socket.prepared
        ]
        await asyncio.gather(*goodbyes)


def _cut_off(request: web.Request) -> None:
    """Let nobody who never reads keep what was sent in memory."""
    transport = request.transport
    if transport is not None and transport.get_write_buffer_size():
        transport.abort()


async def _serve(socket: web.WebSocketResponse, subscription: Subscription) -> None:
    telling = asyncio.create_task(_tell(socket, subscription), name="h5seventapi")
    try:
        await _listen(socket)
    finally:
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling


async def _tell(socket: web.WebSocketResponse, subscription: Subscription) -> None:
    """Send what happens, in order and without a gap, or close the socket."""
    with suppress(ConnectionError):
        while True:
            event = await subscription.next()
            if subscription.dropped:
                await socket.close(
                    code=WSCloseCode.TRY_AGAIN_LATER, message=b"too slow: events were lost"
                )
                return
            await socket.send_str(encode(event))


async def _listen(socket: web.WebSocketResponse) -> None:
    """Read until the client leaves, or talks too much."""
    loop = asyncio.get_running_loop()
    pace = Pace(MAX_MESSAGES_PER_S)
    async for message in socket:
        if message.type is WSMsgType.ERROR:
            return
        if pace.is_too_fast(loop.time()):
            await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"too many messages")
            return
