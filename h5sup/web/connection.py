"""One connection: counted at the door, its request's head timed, encrypted if so asked.

aiohttp times nothing but idle connections. What is added here rests on three names of its
RequestHandler that are not public (`_waiter`, `_request_count`, `_upgraded`);
tests/api/test_connections.py fails when they change their meaning.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from dataclasses import dataclass

from aiohttp import web

from h5sup.web.door import Door

TLS_READ_BYTES = 32_768  # asyncio's own 256 KB per connection are touched at once: 1 GB for 4,000
REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 58\r\n"
    b"Connection: close\r\n\r\n"
    b"all connections' places are taken: try again in a minute.\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a client may take, and how much it may send before it is understood."""

    handshake_s: int = 10
    head_s: float = 15.0
    """From connecting, or from a later request's first byte, to the end of its head."""
    head_bytes: int = 65_536
    idle_s: float = 75.0  # proxies keep theirs for 60 s and don't like to be the second to know
    lingering_s: float = 5.0
    """For the rest of a body that nobody wants."""
    unread_s: float = 60.0
    """For a client to take anything of what waits for it."""


class Connection(web.RequestHandler):
    """HTTP with a time limit on each request's head."""

    __slots__ = ("_answered", "_head_bytes", "_head_timer", "_patience")

    def __init__(self, server: web.Server, patience: Patience) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=patience.idle_s,
            lingering_time=patience.lingering_s,
            access_log=None,  # type: ignore[arg-type] # aiohttp's own runner passes it, too
        )
        self._patience = patience
        self._answered = 0
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Return whether it waits for a request."""
        if self._request_count == 0:  # its task may not have begun to wait
            return True
        return self._waiter is not None and not self._waiter.done()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        tcp: socket.socket = transport.get_extra_info("socket")
        tcp.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self._patience.unread_s * 1000)
        )
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        """Take what came, and see whether a head is whole."""
        super().data_received(data)
        if self._request_count != self._answered or self._upgraded:
            self._answered = self._request_count
            self._head_bytes = 0
            self._stop_timer()
        elif self.is_idle:  # else it is the body of a request that is being answered
            self._head_bytes += len(data)
            if self._head_bytes > self._patience.head_bytes:
                self.force_close()
            elif self._head_timer is None:
                self._start_timer()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Nothing comes any more."""
        self._stop_timer()
        super().connection_lost(exc)

    def _start_timer(self) -> None:
        loop = asyncio.get_running_loop()
        self._head_timer = loop.call_later(self._patience.head_s, self._give_up)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if self.transport is not None and self.is_idle:
            self.transport.abort()


class PlainConnection(Connection):
    """HTTP as it is."""

    __slots__ = ("_door",)

    def __init__(self, server: web.Server, patience: Patience, door: Door) -> None:
        super().__init__(server, patience)
        self._door = door

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Enter, or be told that there is no place."""
        assert isinstance(transport, asyncio.Transport)
        if self._door.enter(self, _address_of(transport)):
            super().connection_made(transport)
            return
        self.force_close()  # it takes no data any more
        transport.write(REFUSAL)
        transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Leave."""
        self._door.leave(self)
        super().connection_lost(exc)

    def cut_off(self) -> None:
        """End it now: another needs its place."""
        if self.transport is not None:
            self.transport.abort()


class TlsConnection(SSLProtocol):
    """TLS around HTTP: counted from its first byte on, so that handshakes are bounded too.

    asyncio would make this object itself, but counts nothing and keeps 256 KB for each.
    """

    max_size = TLS_READ_BYTES

    def __init__(
        self, server: web.Server, patience: Patience, door: Door, context: ssl.SSLContext
    ) -> None:
        self._http = Connection(server, patience)
        super().__init__(
            asyncio.get_running_loop(),
            self._http,
            context,
            None,  # type: ignore[arg-type] # nobody waits for the handshake
            server_side=True,
            ssl_handshake_timeout=patience.handshake_s,
            ssl_shutdown_timeout=patience.lingering_s,
        )
        self._door = door
        self._tcp: asyncio.Transport | None = None

    @property
    def is_idle(self) -> bool:
        """Return whether it waits for a request, or for its handshake."""
        return self._http.transport is None or self._http.is_idle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Enter and begin the handshake, or be cut off."""
        assert isinstance(transport, asyncio.Transport)
        if self._door.enter(self, _address_of(transport)):
            self._tcp = transport
            super().connection_made(transport)
        else:
            transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Leave."""
        self._door.leave(self)
        super().connection_lost(exc)

    def cut_off(self) -> None:
        """End it now: another needs its place."""
        if self._tcp is not None:
            self._tcp.abort()


def _address_of(transport: asyncio.Transport) -> str:
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""
