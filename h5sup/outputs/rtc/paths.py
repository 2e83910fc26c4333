"""The ways to a viewer: UDP, or TCP where UDP is blocked."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import struct
from typing import Any, Protocol

from h5sup.outputs.rtc.burst import Burst, send_runs

LENGTH = struct.Struct("!H")  # RFC 4571 §2
TCP_WAITING_BYTES = 500_000  # unsent, before packets are dropped
# What a kernel or device says that can't cut datagrams itself.
NOT_SEGMENTED = frozenset({errno.EIO, errno.EINVAL, errno.ENOPROTOOPT, errno.EOPNOTSUPP})

logger = logging.getLogger(__name__)


class Path(Protocol):
    """Where packets to one viewer go. Nothing here waits; what finds no room is dropped."""

    @property
    def is_udp(self) -> bool:
        """Whether it is the better kind."""

    @property
    def remote(self) -> tuple[str, int]:
        """The viewer's address."""

    def send(self, data: bytes) -> None:
        """Send one datagram."""

    def send_burst(self, burst: Burst) -> bool:
        """Send what the burst has just encrypted; False when some of it was dropped."""


class UdpSocket:
    """One bound socket, shared by all viewers that reach it."""

    def __init__(self, udp: socket.socket, *, segments: bool = True) -> None:
        self.udp = udp
        self.segments = segments
        """Whether the kernel cuts datagrams; set to False when it first refuses."""
        self.dropped = 0

    def send(self, data: bytes, address: Any) -> None:
        """Send one datagram, or drop it."""
        try:
            self.udp.sendto(data, address)
        except OSError as error:
            self._note(error)

    def send_burst(self, burst: Burst, address: Any) -> bool:
        """Send a burst, or drop what the socket's buffer has no room for."""
        try:
            if self.segments:
                send_runs(self.udp, burst.runs, address)
            else:
                self._send_pieces(burst, address)
        except OSError as error:
            if self.segments and error.errno in NOT_SEGMENTED:
                logger.info("segmentation offload is refused (%s): sending one by one", error)
                self.segments = False
                return self.send_burst(burst, address)
            self._note(error)
            return False
        return True

    def _send_pieces(self, burst: Burst, address: Any) -> None:
        sendto = self.udp.sendto
        for piece in burst.pieces:
            sendto(piece, address)

    def _note(self, error: OSError) -> None:
        self.dropped += 1
        if not isinstance(error, BlockingIOError):  # a viewer that has gone, a route that is down
            logger.debug("sending failed: %s", error)


class UdpPath:
    """One viewer's address at one of our sockets."""

    __slots__ = ("_address", "_socket")
    is_udp = True

    def __init__(self, udp: UdpSocket, address: Any) -> None:
        self._socket = udp
        self._address = address

    @property
    def remote(self) -> tuple[str, int]:
        """Return the viewer's address."""
        return self._address[0], self._address[1]

    def send(self, data: bytes) -> None:
        """Send one datagram."""
        self._socket.send(data, self._address)

    def send_burst(self, burst: Burst) -> bool:
        """Send what the burst has just encrypted."""
        return self._socket.send_burst(burst, self._address)


class TcpPath:
    """A connection that a viewer opened, with a length before each packet (RFC 4571)."""

    __slots__ = ("_transport",)
    is_udp = False

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    @property
    def remote(self) -> tuple[str, int]:
        """Return the viewer's address."""
        name = self._transport.get_extra_info("peername") or ("", 0)
        return name[0], name[1]

    def send(self, data: bytes) -> None:
        """Send one packet."""
        if self._has_room():
            self._transport.write(LENGTH.pack(len(data)) + data)

    def send_burst(self, burst: Burst) -> bool:
        """Send what the burst has just encrypted; all of it or nothing."""
        if not self._has_room():
            return False
        parts: list[bytes | memoryview] = []
        for piece in burst.pieces:
            parts += (LENGTH.pack(len(piece)), piece)
        self._transport.write(b"".join(parts))
        return True

    def _has_room(self) -> bool:
        transport = self._transport
        return not transport.is_closing() and (
            transport.get_write_buffer_size() < TCP_WAITING_BYTES
        )
