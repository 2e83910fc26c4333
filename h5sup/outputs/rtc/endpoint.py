"""The one port of all WebRTC viewers: UDP, and TCP of the same number (ICE-TCP passive, RFC 6544).

A socket per address of this machine, so that answers leave from where the question came to. What
arrives is told apart by its first byte (RFC 7983 §7): connectivity checks find their viewer by
user name; everything else by the path that a check has opened.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Hashable
from contextlib import suppress
from typing import Protocol

from h5sup.base.errors import ConfigError, MediaFormatError
from h5sup.formats.stun import (
    ROLE_CONFLICT,
    UNKNOWN_ATTRIBUTE,
    MessageClass,
    StunMessage,
    build_binding_response,
    build_error_response,
    has_valid_integrity,
    is_stun,
    parse_message,
)
from h5sup.outputs.rtc.addresses import Address, host_addresses
from h5sup.outputs.rtc.paths import LENGTH, Path, TcpPath, UdpPath, UdpSocket

DATAGRAM_BYTES = 2048
BATCH_DATAGRAMS = 64  # of one turn of the loop; others want theirs
SO_SNDBUFFORCE = 32
SEND_BUFFER_BYTES = 8 * 1024 * 1024  # a key frame to each of some hundred viewers
RECEIVE_BUFFER_BYTES = 1024 * 1024
FIRST_CHECK_S = 10.0  # for a TCP connection to show that it is a viewer's
PATHS_PER_AGENT = 8
DTLS_FIRST_BYTES = range(20, 64)
RTP_FIRST_BYTES = range(128, 192)

logger = logging.getLogger(__name__)


class Agent(Protocol):
    """Our half of one viewer's ICE: lite (RFC 8445 §2.5), always controlled."""

    ufrag: str
    key: bytes
    path: Path | None
    """Where media goes: it stays known however many others are checked."""

    def on_check(self, path: Path, message: StunMessage) -> None:
        """Learn that a check with the right password came on a path."""

    def on_dtls(self, path: Path, data: bytes) -> None:
        """Take a datagram of the handshake."""

    def on_rtcp(self, data: bytes) -> None:
        """Take SRTCP."""


class Endpoint:
    """Owned by RtcOutput; `open()` once, `close()` at the end."""

    def __init__(self, port: int, *, connections: int, segments: bool = True) -> None:
        self.port = port
        self.strangers = 0
        """Datagrams that no viewer can have sent."""
        self._connection_limit = connections
        self._segments = segments
        self._sockets: dict[Address, UdpSocket] = {}
        self._servers: dict[Address, asyncio.Server] = {}
        self._connections: set[_Connection] = set()
        self._agents: dict[str, Agent] = {}
        self._paths: dict[Hashable, tuple[Agent, Path]] = {}
        self._paths_of: dict[Agent, list[Hashable]] = {}

    @property
    def addresses(self) -> list[Address]:
        """Return where it listens."""
        return list(self._sockets)

    @property
    def agents(self) -> int:
        """Return how many viewers it knows, those that have not come yet among them."""
        return len(self._agents)

    @property
    def paths(self) -> int:
        """Return how many addresses of viewers it knows."""
        return len(self._paths)

    @property
    def connections(self) -> int:
        """Return how many TCP connections are open."""
        return len(self._connections)

    async def open(self) -> None:
        """Listen on all addresses; raises ConfigError when the port is taken."""
        for address in host_addresses():
            await self._listen(address)
        if not self._sockets:
            raise ConfigError("rtc.port", f"no address of this machine lets UDP {self.port} in")

    async def refresh(self) -> None:
        """Listen on addresses that have come, too, as far as their port is free."""
        for address in host_addresses():
            if address not in self._sockets:
                try:
                    await self._listen(address)
                except ConfigError as error:
                    logger.debug("can't listen on %s: %s", address, error)

    async def close(self) -> None:
        """Stop listening and close all connections."""
        loop = asyncio.get_running_loop()
        for one in self._sockets.values():
            loop.remove_reader(one.udp)
            one.udp.close()
        for connection in list(self._connections):
            connection.abort()
        for server in self._servers.values():
            server.close()
        self._sockets.clear()
        self._servers.clear()

    def add(self, agent: Agent) -> None:
        """Let checks with this agent's user name in."""
        self._agents[agent.ufrag] = agent
        self._paths_of[agent] = []

    def remove(self, agent: Agent) -> None:
        """Forget an agent and its paths; unknown ones are ignored."""
        self._agents.pop(agent.ufrag, None)
        for key in self._paths_of.pop(agent, ()):
            self._drop(key)

    def take(self, data: bytes, path: Path, key: Hashable) -> bool:
        """Hand on one datagram; False when no viewer can have sent it."""
        first = data[0] if data else 255
        if is_stun(data):
            return self._check(data, path, key)
        known = self._paths.get(key)
        if known is None:
            self.strangers += 1
            return False
        agent, path = known
        if first in RTP_FIRST_BYTES:
            agent.on_rtcp(data)
        elif first in DTLS_FIRST_BYTES:
            agent.on_dtls(path, data)
        return True

    def forget(self, key: Hashable) -> None:
        """Drop a path that is closed."""
        known = self._paths.pop(key, None)
        if known is not None:
            keys = self._paths_of.get(known[0], [])
            with suppress(ValueError):
                keys.remove(key)

    def admit(self, connection: _Connection) -> bool:
        """Count a TCP connection in; False when there are too many."""
        if len(self._connections) >= self._connection_limit:
            return False
        self._connections.add(connection)
        return True

    def leave(self, connection: _Connection) -> None:
        """Count it out."""
        self._connections.discard(connection)
        self.forget(connection)

    def _check(self, data: bytes, path: Path, key: Hashable) -> bool:
        """Answer a connectivity check (RFC 8445 §7.3); a wrong one gets no answer at all."""
        try:
            message = parse_message(data)
        except MediaFormatError:
            self.strangers += 1
            return False
        agent = self._agents.get((message.username or "").partition(":")[0])
        if (
            agent is None
            or message.message_class is not MessageClass.REQUEST
            or not has_valid_integrity(data, message, agent.key)
        ):
            self.strangers += 1
            return False
        transaction = message.transaction_id
        if message.unknown_required:
            refusal = build_error_response(
                transaction, UNKNOWN_ATTRIBUTE, key=agent.key, unknown=message.unknown_required
            )
            path.send(refusal)
        elif message.ice_controlled is not None:
            path.send(build_error_response(transaction, ROLE_CONFLICT, key=agent.key))
        else:
            path = self._remember(agent, path, key)
            path.send(build_binding_response(transaction, path.remote, agent.key))
            agent.on_check(path, message)
        return True

    def _remember(self, agent: Agent, path: Path, key: Hashable) -> Path:
        known = self._paths.get(key)
        if known is not None and known[0] is agent:
            return known[1]
        if known is not None:
            self.forget(key)
        keys = self._paths_of[agent]
        if len(keys) >= PATHS_PER_AGENT:
            self._drop(next(one for one in keys if self._paths[one][1] is not agent.path))
        self._paths[key] = (agent, path)
        keys.append(key)
        return path

    def _drop(self, key: Hashable) -> None:
        """Forget a path; a connection has to show anew that it is a viewer's."""
        self.forget(key)
        if isinstance(key, _Connection):
            key.expect_check()

    async def _listen(self, address: Address) -> None:
        try:
            udp = bind_udp(address, self.port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ConfigError(
                    "rtc.port", f"UDP port {self.port} is in use by another program"
                ) from error
            logger.debug("can't listen on %s: %s", address, error)
            return
        one = UdpSocket(udp, segments=self._segments)
        self._sockets[address] = one
        loop = asyncio.get_running_loop()
        loop.add_reader(udp, self._read, one)
        try:
            self._servers[address] = await loop.create_server(
                lambda: _Connection(self), str(address), self.port
            )
        except OSError as error:
            logger.warning("WebRTC over TCP is off at %s port %d: %s", address, self.port, error)

    def _read(self, one: UdpSocket) -> None:
        receive = one.udp.recvfrom
        for _ in range(BATCH_DATAGRAMS):
            try:
                data, address = receive(DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except OSError:  # an earlier packet came back as unreachable
                continue
            self.take(data, UdpPath(one, address), (one, address))


class _Connection(asyncio.Protocol):
    """One TCP connection: packets with a length before each."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._path: TcpPath | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not self._endpoint.admit(self):
            transport.abort()
            return
        self._path = TcpPath(transport)
        self.expect_check()

    def expect_check(self) -> None:
        """Close unless a viewer's check comes soon."""
        self._timer = asyncio.get_running_loop().call_later(FIRST_CHECK_S, self.abort)

    def data_received(self, data: bytes) -> None:
        if self._path is None:
            return
        buffer = self._buffer
        buffer += data
        while len(buffer) >= LENGTH.size:
            size: int = LENGTH.unpack_from(buffer)[0]
            if not 0 < size <= DATAGRAM_BYTES:
                self.abort()
                return
            end = LENGTH.size + size
            if len(buffer) < end:
                return
            packet = bytes(buffer[LENGTH.size : end])
            del buffer[:end]
            if not self._endpoint.take(packet, self._path, self):
                self.abort()  # nothing but a viewer has any business here
                return
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def connection_lost(self, error: Exception | None) -> None:
        del error
        if self._timer is not None:
            self._timer.cancel()
        self._endpoint.leave(self)

    def abort(self) -> None:
        """Close without waiting."""
        if self._transport is not None:
            self._transport.abort()


def bind_udp(address: Address, port: int) -> socket.socket:
    """Return a socket that never blocks, with room for bursts; raises OSError."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    udp = socket.socket(family, socket.SOCK_DGRAM)
    try:
        udp.setblocking(False)
        if family == socket.AF_INET6:
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            udp.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER_BYTES)
        except PermissionError:
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        udp.bind((str(address), port))
    except OSError:
        udp.close()
        raise
    return udp
