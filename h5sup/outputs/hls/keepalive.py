"""`/api/v1/h5swscmnapi`: H5Stream's players hold it open while they play HLS.

A player that has buffered enough, or whose page is in the background, does not ask for media;
the open socket keeps its source going all the same. What it says does not matter.
"""

from __future__ import annotations

import asyncio

from aiohttp import WSCloseCode, WSMsgType, web

from h5sup.base.errors import UnavailableError
from h5sup.base.pace import Pace
from h5sup.outputs.hls.holds import Holds
from h5sup.outputs.hls.leases import Leases

HEARTBEAT_S = 20.0  # proxies drop a silent WebSocket after about 60 s
FAREWELL_S = 2.0  # for a player to answer that it goes
MAX_MESSAGE_BYTES = 4096
MAX_MESSAGES_PER_S = 50  # players send one


class KeepAlive:
    """All keep-alive sockets."""

    def __init__(self, leases: Leases, holds: Holds, *, limit: int) -> None:
        self._leases = leases
        self._holds = holds
        self._limit = limit
        self._sockets: set[web.WebSocketResponse] = set()

    @property
    def connections(self) -> int:
        """Return how many sockets are open."""
        return len(self._sockets)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Keep a source going until the player leaves; raises NotFoundError."""
        if len(self._sockets) >= self._limit:
            raise UnavailableError(f"all {self._limit} viewers' places are taken (limits.viewers)")
        token = request.query.get("token", "")
        # The input as it comes: whoever plays another form of it holds that by asking for it.
        lease = self._leases.lease(token, hevc=True)
        socket = web.WebSocketResponse(
            timeout=FAREWELL_S,
            heartbeat=HEARTBEAT_S,
            max_msg_size=MAX_MESSAGE_BYTES,
            compress=False,
        )
        self._sockets.add(socket)
        self._holds.keep(token)
        try:
            await socket.prepare(request)
            await _listen(socket)
        finally:
            self._holds.let_go(token)
            self._sockets.discard(socket)
            lease.release()
        return socket

    async def close(self) -> None:
        """Say goodbye to all: the server stops."""
        goodbyes = [
            socket.close(code=WSCloseCode.GOING_AWAY, message=b"the server stops")
            for socket in self._sockets
            if socket.prepared
        ]
        await asyncio.gather(*goodbyes)


async def _listen(socket: web.WebSocketResponse) -> None:
    """Read until the player leaves, or talks too much."""
    loop = asyncio.get_running_loop()
    pace = Pace(MAX_MESSAGES_PER_S)
    async for message in socket:
        if message.type is WSMsgType.ERROR:
            return
        if pace.is_too_fast(loop.time()):
            await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"too many messages")
            return
