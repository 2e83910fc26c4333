"""Receives one ffmpeg's RTP and RTCP on the loopback and fills a packet ring with it.

A datagram costs a few microseconds, a turn of the event loop ten times as much. So while nobody
watches, packets gather in the socket's buffer and are taken IDLE_S apart; the first viewer has
them taken at once, and from then on they are taken as they come. To wait for the rest of an
access unit does not pay: the extra timer costs more than the turns it saves.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from contextlib import suppress

from h5sup.base.errors import Failure, MediaFormatError, SourceError
from h5sup.bus.packet_ring import Codec, PacketRing
from h5sup.formats.rtcp import RTCP_TYPES, parse_sender_reports
from h5sup.formats.rtp import payload_bounds
from h5sup.sources.idle import IDLE_S, next_tick

HOST = "127.0.0.1"
SO_RCVBUFFORCE = 33  # Linux: may pass net.core.rmem_max, with CAP_NET_ADMIN
BUFFER_BYTES = 4 * 1024 * 1024  # holds 3,640 packets; the usual cap of 212,992 bytes only 184
DATAGRAM_BYTES = 2048  # ffmpeg sends up to 1200
BATCH_PACKETS = 256  # of one turn of the loop; others want theirs
IDLE_SMALL_S = 0.01  # with the usual cap: 184 packets last this long at 170 Mbit/s
BIND_TRIES = 50

logger = logging.getLogger(__name__)


class RtpReceiver:
    """One pair of UDP ports for one run of one ffmpeg.

    `open()` before ffmpeg starts, or its first key frame is lost. It listens to the loopback
    alone and, from the first RTP packet on, to that packet's sender alone.
    """

    def __init__(self, ring: PacketRing, codec: Codec) -> None:
        self.port = 0
        """RTP's port, even; RTCP comes to the next one."""
        self._ring = ring
        self._codec = codec
        self._media: socket.socket | None = None
        self._control: socket.socket | None = None
        self._is_locked = False
        self._is_watched = False
        self._idle_s = IDLE_S
        self._timer: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Bind the ports and begin to fill the ring; raises SourceError when none is free."""
        self._media, self._control = bind_pair()
        self.port = self._media.getsockname()[1]
        if enlarge_buffer(self._media) < BUFFER_BYTES:
            self._idle_s = IDLE_SMALL_S
        asyncio.get_running_loop().add_reader(self._control, self._read_reports)
        self._ring.begin(self._codec, self)

    def close(self) -> None:
        """Take what is left and release the ports; safe to call twice."""
        media, control = self._media, self._control
        if media is None or control is None:
            return
        self._drain_all()
        self._ring.detach(self)
        loop = asyncio.get_running_loop()
        loop.remove_reader(media)
        loop.remove_reader(control)
        self._media = self._control = None
        self._cancel_timer()
        media.close()
        control.close()

    def set_watched(self, is_watched: bool) -> None:
        """Be quick while somebody watches, else take a tenth of a second's packets at once."""
        if self._media is None:
            return
        self._is_watched = is_watched
        self._drain_all()
        self._rest()

    def _rest(self) -> None:
        """Wait for packets or, while nobody watches, for time to pass."""
        assert self._media is not None
        self._cancel_timer()
        loop = asyncio.get_running_loop()
        if self._is_watched:
            loop.add_reader(self._media, self._drain)
        else:
            loop.remove_reader(self._media)
            self._timer = loop.call_at(next_tick(loop.time(), self._idle_s), self._on_time)

    def _on_time(self) -> None:
        """Take a batch; when it is full more is waiting, but the others want their turn first."""
        now_s = asyncio.get_running_loop().time()
        is_empty = self._drain()
        when_s = next_tick(now_s, self._idle_s) if is_empty else now_s
        self._timer = asyncio.get_running_loop().call_at(when_s, self._on_time)

    def _drain(self) -> bool:
        """Hand the waiting packets to the ring; return whether none is left."""
        assert self._media is not None
        if not self._is_locked:
            self._lock()
        packets: list[bytes] = []
        receive, append = self._media.recv, packets.append
        with suppress(BlockingIOError):
            for _ in range(BATCH_PACKETS):
                append(receive(DATAGRAM_BYTES))
        if packets:
            self._ring.extend(packets, asyncio.get_running_loop().time())
        return len(packets) < BATCH_PACKETS

    def _drain_all(self) -> None:
        """Hand over what a whole buffer can hold, but don't follow a flood for ever."""
        for _ in range(BUFFER_BYTES // DATAGRAM_BYTES // BATCH_PACKETS * 2):
            if self._drain():
                return

    def _lock(self) -> None:
        """From the first RTP packet on hear its sender alone; leave the packet where it is."""
        assert self._media is not None
        with suppress(BlockingIOError):
            for _ in range(BATCH_PACKETS):
                data, sender = self._media.recvfrom(DATAGRAM_BYTES, socket.MSG_PEEK)
                if _is_rtp(data):
                    self._media.connect(sender)
                    self._is_locked = True
                    return
                self._media.recv(DATAGRAM_BYTES)

    def _read_reports(self) -> None:
        """Give the ring ffmpeg's sender reports; it tells by their SSRC whose they are."""
        assert self._control is not None
        with suppress(BlockingIOError):
            for _ in range(BATCH_PACKETS):
                try:
                    reports = parse_sender_reports(self._control.recv(DATAGRAM_BYTES))
                except MediaFormatError as error:
                    logger.debug("RTCP port %d: %s", self.port + 1, error)
                    continue
                for report in reports:
                    self._ring.note_report(report)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def bind_pair() -> tuple[socket.socket, socket.socket]:
    """Return sockets on an even port and the odd one above it (RFC 3550 §11)."""
    for _ in range(BIND_TRIES):
        one = _bind(0)
        port = one.getsockname()[1]
        try:
            other = _bind(port ^ 1)
        except OSError as error:
            one.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
        else:
            return (other, one) if port % 2 else (one, other)
    raise SourceError(Failure.FFMPEG, "no pair of UDP ports is free on the loopback")


def enlarge_buffer(media: socket.socket) -> int:
    """Make the socket's buffer large; return how large the kernel let it become."""
    try:
        media.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
    except PermissionError:
        media.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    size_bytes = media.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2  # it doubles it
    if size_bytes < BUFFER_BYTES:
        logger.info(
            "the kernel gives RTP a buffer of %d bytes instead of %d: large key frames may lose "
            "packets; raise net.core.rmem_max or give h5sup CAP_NET_ADMIN",
            size_bytes,
            BUFFER_BYTES,
        )
    return size_bytes


def _bind(port: int) -> socket.socket:
    """Return a UDP socket that never blocks, on the loopback alone."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        bound.bind((HOST, port))
    except OSError:
        bound.close()
        raise
    return bound


def _is_rtp(data: bytes) -> bool:
    """Return whether this may be RTP of ours and no RTCP that came to the wrong port."""
    try:
        payload_bounds(data)
    except MediaFormatError:
        return False
    return data[1] not in RTCP_TYPES
