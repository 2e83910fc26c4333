"""The one port, on real sockets of the loopback: who gets an answer, and who leaves no trace."""

from __future__ import annotations

import asyncio
import hmac
import random
import secrets
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address

import pytest

from h5sup.base.errors import ConfigError
from h5sup.formats.stun import (
    MessageClass,
    StunMessage,
    build_binding_request,
    build_binding_response,
    has_valid_integrity,
    parse_message,
)
from h5sup.outputs.rtc import endpoint as endpoint_module
from h5sup.outputs.rtc.endpoint import DATAGRAM_BYTES, PATHS_PER_AGENT, Endpoint
from h5sup.outputs.rtc.paths import Path
from tests.conftest import open_descriptors
from tests.fakes.rtc_parts import UdpClient, free_port

LOCAL = [ip_address("127.0.0.1"), ip_address("::1")]
DTLS = b"\x16\xfe\xff" + bytes(20)
RTCP = b"\x80\xc9\x00\x01" + bytes(20)


class FakeAgent:
    """Keeps what the endpoint hands it; its path is the first that was checked."""

    def __init__(self) -> None:
        self.ufrag = secrets.token_hex(4)
        self.key = secrets.token_hex(16).encode()
        self.path: Path | None = None
        self.checks: list[tuple[Path, StunMessage]] = []
        self.dtls: list[tuple[Path, bytes]] = []
        self.rtcp: list[bytes] = []

    def on_check(self, path: Path, message: StunMessage) -> None:
        self.path = self.path or path
        self.checks.append((path, message))

    def on_dtls(self, path: Path, data: bytes) -> None:
        self.dtls.append((path, data))

    def on_rtcp(self, data: bytes) -> None:
        self.rtcp.append(data)

    def check(self, *, ufrag: str = "", key: bytes = b"", is_controlling: bool = True) -> bytes:
        """Return a browser's check of a path to this agent."""
        return build_binding_request(
            secrets.token_bytes(12),
            username=f"{ufrag or self.ufrag}:them",
            key=key or self.key,
            priority=1,
            tie_breaker=2,
            is_controlling=is_controlling,
        )


class Rig:
    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.port = endpoint.port
        self.agent = FakeAgent()
        endpoint.add(self.agent)
        self.clients: list[UdpClient] = []

    def client(self, address: str = "127.0.0.1") -> UdpClient:
        self.clients.append(UdpClient(self.port, address))
        return self.clients[-1]

    async def connected(self) -> UdpClient:
        """Return a client whose path is known."""
        client = self.client()
        await client.ask(self.agent.check())
        return client

    async def connect_tcp(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def settle(self, marker: UdpClient) -> None:
        """Wait until all that was sent before has been read: datagrams keep their order here."""
        await marker.ask(self.agent.check())


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_module, "host_addresses", lambda: LOCAL)


@asynccontextmanager
async def rig(*, connections: int = 10) -> AsyncIterator[Rig]:
    endpoint = Endpoint(free_port(), connections=connections)
    await endpoint.open()
    made = Rig(endpoint)
    try:
        yield made
    finally:
        await endpoint.close()
        for client in made.clients:
            client.socket.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def framed(*packets: bytes) -> bytes:
    return b"".join(len(packet).to_bytes(2) + packet for packet in packets)


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5):
        return await reader.readexactly(int.from_bytes(await reader.readexactly(2)))


async def is_closed(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(5):
        with suppress(ConnectionResetError):
            return await reader.read() == b""
    return True


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_a_right_check_is_answered_with_where_it_came_from(address: str) -> None:
    async with rig() as made:
        client = made.client(address)
        check = made.agent.check()
        client.send(check)
        raw = await client.receive()
        answer = parse_message(raw)
        assert answer.message_class is MessageClass.SUCCESS
        assert answer.transaction_id == parse_message(check).transaction_id
        assert answer.mapped_address == client.address
        assert has_valid_integrity(raw, answer, made.agent.key)
        ((path, message),) = made.agent.checks
        assert (path.remote, path.is_udp) == (client.address, True)
        assert message.username == f"{made.agent.ufrag}:them"


async def test_the_same_address_is_the_same_path() -> None:
    async with rig() as made:
        client = await made.connected()
        await client.ask(made.agent.check())
        (one, _), (other, _) = made.agent.checks
        assert one is other
        assert made.endpoint.paths == 1


async def test_whoever_takes_our_role_is_told_so() -> None:
    async with rig() as made:
        client = made.client()
        answer = await client.ask(made.agent.check(is_controlling=False))
        assert (answer.message_class, answer.error_code) == (MessageClass.ERROR, 487)
        assert (made.agent.checks, made.endpoint.paths) == ([], 0)


async def test_an_attribute_that_must_be_understood_and_is_not_is_named() -> None:
    async with rig() as made:
        check = made.agent.check()
        head = check[:20] + b"\x7f\x01\x00\x00" + check[20:-32]  # before integrity, fingerprint
        client = made.client()
        client.send(resigned(head, made.agent.key))
        raw = await client.receive()
        answer = parse_message(raw)
        assert answer.error_code == 420
        assert b"\x00\x0a\x00\x02\x7f\x01" in raw
        assert (made.agent.checks, made.endpoint.paths) == ([], 0)


def resigned(head: bytes, key: bytes) -> bytes:
    """Return a message with integrity alone."""
    sized = head[:2] + (len(head) - 20 + 24).to_bytes(2) + head[4:]
    return sized + b"\x00\x08\x00\x14" + hmac.digest(key, sized, "sha1")


def damages(agent: FakeAgent) -> dict[str, bytes]:
    """Return checks that are wrong in one way each."""
    good = agent.check()
    indication = bytearray(good)
    indication[1] = 0x11
    return {
        "wrong password": agent.check(key=b"x" * 32),
        "unknown user name": agent.check(ufrag="ffffffff"),
        "no user name": resigned(good[:20], agent.key),
        "no integrity": good[:2] + b"\0\0" + good[4:20],
        "indication": resigned(bytes(indication[:-32]), agent.key),
        "an answer": build_binding_response(bytes(12), ("127.0.0.1", 1), agent.key),
        "cut": good[:-5],
        "cut at an attribute": good[:-8],
        "wrong fingerprint": good[:-1] + bytes([good[-1] ^ 1]),
        "nothing but a header": good[:20],
    }


@pytest.mark.parametrize("name", damages(FakeAgent()))
async def test_a_wrong_check_gets_no_answer_and_leaves_no_trace(name: str) -> None:
    async with rig() as made:
        marker, client = made.client(), made.client()
        client.send(damages(made.agent)[name])
        await made.settle(marker)
        assert client.heard_nothing()
        assert made.endpoint.strangers == 1
        assert made.endpoint.paths == 1  # the marker's
        assert len(made.agent.checks) == 1


@pytest.mark.parametrize("data", [DTLS, RTCP, b"", b"\x00", b"\xff" * 40, bytes(2048), b"GET /"])
async def test_what_strangers_send_is_dropped_and_counted(data: bytes) -> None:
    async with rig() as made:
        marker, client = made.client(), made.client()
        client.send(data)
        await made.settle(marker)
        assert client.heard_nothing()
        assert made.endpoint.strangers == 1
        assert (made.agent.dtls, made.agent.rtcp) == ([], [])


async def test_what_a_viewer_sends_reaches_its_agent() -> None:
    async with rig() as made:
        other = FakeAgent()
        made.endpoint.add(other)
        client = await made.connected()
        for data in (DTLS, RTCP, b"\x50nothing", b""):
            client.send(data)
        await made.settle(client)
        path = made.agent.checks[0][0]
        assert (made.agent.dtls, made.agent.rtcp) == ([(path, DTLS)], [RTCP])
        assert (other.dtls, other.rtcp, made.endpoint.strangers) == ([], [], 0)


async def test_an_address_that_goes_over_to_another_viewer_is_its_alone() -> None:
    async with rig() as made:
        client = await made.connected()
        other = FakeAgent()
        made.endpoint.add(other)
        await client.ask(other.check())
        client.send(RTCP)
        await client.ask(other.check())
        assert (made.agent.rtcp, other.rtcp) == ([], [RTCP])
        assert made.endpoint.paths == 1


async def test_a_viewer_has_so_many_paths_and_its_own_is_never_forgotten() -> None:
    async with rig() as made:
        first = await made.connected()
        for _ in range(PATHS_PER_AGENT + 3):
            await made.connected()
        assert made.endpoint.paths == PATHS_PER_AGENT
        first.send(RTCP)
        await made.settle(first)
        assert made.agent.rtcp == [RTCP]


async def test_a_viewer_that_has_gone_is_a_stranger() -> None:
    async with rig() as made:
        client = await made.connected()
        made.endpoint.remove(made.agent)
        made.endpoint.remove(made.agent)
        assert (made.endpoint.agents, made.endpoint.paths) == (0, 0)
        client.send(RTCP)
        client.send(made.agent.check())
        await until(lambda: made.endpoint.strangers == 2)
        assert client.heard_nothing()


async def test_random_datagrams_change_nothing() -> None:
    dice = random.Random(7)
    async with rig() as made:
        client = await made.connected()
        for _ in range(300):
            good = bytearray(made.agent.check())
            for _ in range(dice.randint(1, 4)):
                good[dice.randrange(len(good))] = dice.randrange(256)
            client.send(bytes(good))
            client.send(dice.randbytes(dice.randrange(60)))
            if dice.random() < 0.1:
                await asyncio.sleep(0)
        await made.settle(client)
        assert made.endpoint.paths == 1
        assert made.endpoint.agents == 1


async def test_frames_may_come_in_any_pieces() -> None:
    async with rig() as made:
        reader, writer = await made.connect_tcp()
        for byte in framed(made.agent.check(), DTLS):
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        writer.write(framed(RTCP, made.agent.check(), RTCP))
        answers = [parse_message(await read_frame(reader)) for _ in range(2)]
        assert {one.mapped_address for one in answers} == {writer.get_extra_info("sockname")}
        await until(lambda: len(made.agent.rtcp) == 2)
        path = made.agent.checks[0][0]
        assert (path.is_udp, path.remote) == (False, writer.get_extra_info("sockname"))
        assert made.agent.dtls == [(path, DTLS)]
        writer.close()
        await until(lambda: made.endpoint.connections == made.endpoint.paths == 0)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00",
        (DATAGRAM_BYTES + 1).to_bytes(2) + b"x",
        b"\xff\xff" + bytes(70_000),
        framed(DTLS),
        framed(b"\x00"),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
async def test_a_connection_that_is_no_viewers_is_closed(data: bytes) -> None:
    async with rig() as made:
        reader, writer = await made.connect_tcp()
        writer.write(data)
        assert await is_closed(reader)
        await until(lambda: made.endpoint.connections == 0)
        writer.close()


async def test_a_connection_with_a_wrong_check_is_closed() -> None:
    async with rig() as made:
        reader, writer = await made.connect_tcp()
        writer.write(framed(made.agent.check(key=b"wrong")))
        assert await is_closed(reader)
        assert made.endpoint.strangers == 1
        writer.close()


async def test_a_connection_that_stays_silent_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_module, "FIRST_CHECK_S", 0.05)
    async with rig() as made:
        silent, writer = await made.connect_tcp()
        slow, slow_writer = await made.connect_tcp()
        slow_writer.write(framed(made.agent.check())[:-1])
        viewer, viewer_writer = await made.connect_tcp()
        viewer_writer.write(framed(made.agent.check()))
        await read_frame(viewer)
        assert await is_closed(silent)
        assert await is_closed(slow)
        assert made.endpoint.connections == 1
        viewer_writer.write(framed(made.agent.check()))
        await read_frame(viewer)
        for one in (writer, slow_writer, viewer_writer):
            one.close()


async def test_a_connection_is_closed_when_its_viewer_has_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else each viewing could leave connections behind until there is room for no more."""
    monkeypatch.setattr(endpoint_module, "FIRST_CHECK_S", 0.05)
    async with rig() as made:
        reader, writer = await made.connect_tcp()
        writer.write(framed(made.agent.check()))
        await read_frame(reader)
        made.endpoint.remove(made.agent)
        assert await is_closed(reader)
        assert made.endpoint.connections == 0
        writer.close()


async def test_connections_beyond_a_viewers_paths_are_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint_module, "FIRST_CHECK_S", 0.05)
    async with rig(connections=50) as made:
        writers = []
        for _ in range(PATHS_PER_AGENT + 2):
            reader, writer = await made.connect_tcp()
            writers.append(writer)
            writer.write(framed(made.agent.check()))
            await read_frame(reader)
        await until(lambda: made.endpoint.connections == PATHS_PER_AGENT)
        for writer in writers:
            writer.close()


async def test_there_are_only_so_many_connections() -> None:
    async with rig(connections=2) as made:
        kept = [await made.connect_tcp() for _ in range(2)]
        await until(lambda: made.endpoint.connections == 2)
        reader, writer = await made.connect_tcp()
        assert await is_closed(reader)
        assert made.endpoint.connections == 2
        kept[0][1].write(framed(made.agent.check()))
        await read_frame(kept[0][0])
        for _, one in (*kept, (reader, writer)):
            one.close()


async def test_a_connection_reset_in_the_middle_of_a_frame_is_forgotten() -> None:
    async with rig() as made:
        reader, writer = await made.connect_tcp()
        writer.write(framed(made.agent.check()) + b"\x01\x00half")
        await read_frame(reader)
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
        await until(lambda: made.endpoint.connections == made.endpoint.paths == 0)


async def test_a_port_in_use_stops_the_start_and_is_named() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        endpoint = Endpoint(other.getsockname()[1], connections=1)
        with pytest.raises(ConfigError, match=r"^rtc\.port: UDP port \d+ is in use") as caught:
            await endpoint.open()
        assert caught.value.path == "rtc.port"
        await endpoint.close()


async def test_no_address_at_all_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_module, "host_addresses", lambda: [ip_address("192.0.2.77")])
    endpoint = Endpoint(free_port(), connections=1)
    with pytest.raises(ConfigError, match=r"^rtc\.port: no address of this machine"):
        await endpoint.open()


async def test_a_tcp_port_in_use_costs_tcp_alone() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        endpoint = Endpoint(other.getsockname()[1], connections=1)
        await endpoint.open()
        assert endpoint.addresses == LOCAL
        await endpoint.close()


async def test_an_address_that_comes_later_is_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_module, "host_addresses", lambda: LOCAL[:1])
    async with rig() as made:
        monkeypatch.setattr(endpoint_module, "host_addresses", lambda: LOCAL)
        await asyncio.gather(made.endpoint.refresh(), made.endpoint.refresh())
        client = made.client("::1")
        assert (await client.ask(made.agent.check())).mapped_address == client.address


async def test_a_new_address_whose_port_is_taken_stops_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A container's bridge, say, on which another program listens: viewers come all the same."""
    monkeypatch.setattr(endpoint_module, "host_addresses", lambda: LOCAL[:1])
    async with rig() as made:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as other:
            other.bind(("::1", made.port))
            monkeypatch.setattr(endpoint_module, "host_addresses", lambda: LOCAL)
            await made.endpoint.refresh()
        assert made.endpoint.addresses == LOCAL[:1]
        await made.connected()


async def test_closing_leaves_no_descriptor_behind() -> None:
    before = open_descriptors()
    endpoint = Endpoint(free_port(), connections=5)
    await endpoint.open()
    agent = FakeAgent()
    endpoint.add(agent)
    connections = [await asyncio.open_connection("127.0.0.1", endpoint.port) for _ in range(3)]
    connections[0][1].write(framed(agent.check()))
    await read_frame(connections[0][0])
    await endpoint.close()
    for reader, writer in connections:
        assert await is_closed(reader)
        writer.close()
    await until(lambda: len(open_descriptors()) <= len(before))
    assert endpoint.connections == 0
    again = Endpoint(endpoint.port, connections=1)
    await again.open()
    await again.close()
