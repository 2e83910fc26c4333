"""How bursts leave, over UDP and TCP, and what happens when there is no room."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from h5sup.formats.rtp import RtpHeader, build_header
from h5sup.outputs.rtc.burst import Burst
from h5sup.outputs.rtc.paths import NOT_SEGMENTED, TCP_WAITING_BYTES, TcpPath, UdpPath, UdpSocket
from tests.fakes.rtc_parts import Browser, assert_contiguous, numbers

COUNT = 30


class Far(Browser):
    """A browser that is sent bursts."""

    def __init__(self) -> None:
        super().__init__()
        self._sequence = 1

    def burst(self) -> Burst:
        """Return an encrypted burst of COUNT packets and a shorter one."""
        packets = []
        for index in range(COUNT):
            size = 1200 if index < COUNT - 1 else 300
            header = RtpHeader(payload_type=96, sequence=self._sequence, timestamp=1, ssrc=1)
            packets.append((build_header(header)).ljust(size, b"x"))
            self._sequence += 1
        burst = Burst(packets, 102, b"\0\0\0\1", self.keys.tag_bytes)
        assert burst.encrypt_for(self.keys.context, 0)
        return burst


class Refusing(socket.socket):
    """A socket whose kernel does not send, with this error."""

    error = errno.EIO
    refuses_all = False

    def sendmsg(self, *arguments: Any) -> int:
        raise OSError(self.error, "refused")

    def sendto(self, *arguments: Any) -> int:
        if self.refuses_all:
            raise OSError(self.error, "refused")
        return super().sendto(*arguments)


class Pair:
    def __init__(self, udp: socket.socket, *, segments: bool = True) -> None:
        self.receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.receiver.bind(("127.0.0.1", 0))
        self.receiver.settimeout(5)
        self.socket = UdpSocket(udp, segments=segments)
        self.path = UdpPath(self.socket, self.receiver.getsockname())
        self.far = Far()

    def received(self, count: int) -> list[bytes]:
        return [self.far.decrypt(self.receiver.recv(4096)) for _ in range(count)]

    def close(self) -> None:
        self.receiver.close()
        self.socket.udp.close()


@pytest.mark.parametrize("segments", [True, False])
def test_a_burst_arrives_whole(segments: bool) -> None:
    pair = Pair(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), segments=segments)
    assert pair.path.send_burst(pair.far.burst())
    assert_contiguous(pair.received(COUNT))
    assert pair.path.remote == pair.receiver.getsockname()
    pair.close()


@pytest.mark.parametrize("error", sorted(NOT_SEGMENTED))
def test_where_the_kernel_cuts_nothing_packets_go_one_by_one(error: int) -> None:
    pair = Pair(udp := Refusing(socket.AF_INET, socket.SOCK_DGRAM))
    udp.error = error
    for _ in range(2):
        assert pair.path.send_burst(pair.far.burst())
    assert_contiguous(pair.received(2 * COUNT))
    assert (pair.socket.segments, pair.socket.dropped) == (False, 0)
    pair.close()


@pytest.mark.parametrize("error", [errno.EAGAIN, errno.ENETUNREACH, errno.ECONNREFUSED])
def test_what_finds_no_room_or_no_route_is_dropped_and_counted(error: int) -> None:
    pair = Pair(udp := Refusing(socket.AF_INET, socket.SOCK_DGRAM))
    udp.error, udp.refuses_all = error, True
    assert not pair.path.send_burst(pair.far.burst())
    pair.path.send(b"one")
    assert (pair.socket.dropped, pair.socket.segments) == (2, True)
    pair.close()


def test_a_socket_that_is_closed_drops_too() -> None:
    pair = Pair(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    pair.close()
    assert not pair.path.send_burst(pair.far.burst())
    assert pair.socket.dropped == 1


class Sink(asyncio.Protocol):
    """The server's end of a connection."""

    def __init__(self, made: asyncio.Future[asyncio.Transport]) -> None:
        self._made = made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._made.set_result(transport)


@asynccontextmanager
async def connection() -> AsyncIterator[tuple[TcpPath, asyncio.Transport, asyncio.StreamReader]]:
    loop = asyncio.get_running_loop()
    made: asyncio.Future[asyncio.Transport] = loop.create_future()
    server = await loop.create_server(lambda: Sink(made), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    transport = await made
    path = TcpPath(transport)
    assert path.remote == writer.get_extra_info("sockname")
    yield path, transport, reader
    writer.close()
    transport.abort()
    server.close()


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5):
        return await reader.readexactly(int.from_bytes(await reader.readexactly(2)))


async def test_over_tcp_each_packet_has_its_length() -> None:
    far = Far()
    async with connection() as (path, _, reader):
        path.send(b"\x16hello")
        assert path.send_burst(far.burst())
        assert await read_frame(reader) == b"\x16hello"
        assert_contiguous([far.decrypt(await read_frame(reader)) for _ in range(COUNT)])


async def test_a_slow_reader_loses_whole_bursts_and_no_frame_is_torn() -> None:
    far = Far()
    async with connection() as (path, transport, reader):
        sent = 0
        while path.send_burst(far.burst()):  # nothing is read meanwhile
            sent += 1
            assert sent < 10_000
        assert transport.get_write_buffer_size() < TCP_WAITING_BYTES + 2 * COUNT * 1300
        path.send(b"\x16lost")
        found = [far.decrypt(await read_frame(reader)) for _ in range(sent * COUNT)]
        assert_contiguous(found)
        assert path.send_burst(far.burst())  # there is room again, after the one that was lost
        after = [far.decrypt(await read_frame(reader)) for _ in range(COUNT)]
        assert numbers(after)[0] == numbers(found)[-1] + 1 + COUNT


async def test_a_connection_that_closes_takes_no_more() -> None:
    far = Far()
    async with connection() as (path, transport, _):
        transport.close()
        assert not path.send_burst(far.burst())
        path.send(b"nothing")
        await asyncio.sleep(0)
        assert path.remote[0] in ("127.0.0.1", "")
