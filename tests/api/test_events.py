"""The event socket: who hears what, and what it does with clients that misbehave."""

from __future__ import annotations

import asyncio
import json
import socket as sockets
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import psutil
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from h5sup.api import events
from h5sup.api.events import may_hear
from h5sup.auth.guard import Identity
from h5sup.config.model import Role
from h5sup.events.event import DiskLow, Event, LoginFailed, Offline, Online
from tests.api.conftest import MAX_LISTENERS, Backend

PATH = "/api/v1/h5seventapi?session="
WAIT_S = 10.0


async def hear(socket: ClientWebSocketResponse) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(await socket.receive_str(timeout=WAIT_S))
    return event


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/h5seventapi?session=",
        "/h5seventapi&session=",
        "//api/v1//h5seventapi&session=",
        "/api/v1/H5SEventAPI?&%20session=",
    ],
)
async def test_events_come_in_order_however_the_path_is_written(
    backend: Backend, path: str
) -> None:
    async with backend.connect(path + backend.sign_in("vera")) as socket:
        backend.hub.tell(Offline("front", "it did not answer"))
        backend.hub.tell(Online("front"))
        gone, back = await hear(socket), await hear(socket)
    assert (gone["type"], gone["strToken"]) == ("H5S_EVENT_OFFLINE", "front")
    assert gone["strReason"] == "it did not answer"
    assert back["type"] == "H5S_EVENT_ONLINE"


async def test_nobody_hears_without_a_session(backend: Backend) -> None:
    for path in ("/api/v1/h5seventapi", PATH + "dead"):
        with pytest.raises(WSServerHandshakeError, match="401"):
            async with backend.connect(path):
                pass
    assert backend.hub.subscribers == 0


async def test_failed_logins_are_for_administrators(backend: Backend) -> None:
    async with AsyncExitStack() as stack:
        admin, olga, vera = [
            await stack.enter_async_context(backend.connect(PATH + backend.sign_in(user)))
            for user in ("admin", "olga", "vera")
        ]
        await backend.call("/api/v1/Login?user=eve&password=guess")
        backend.hub.tell(Online("front"))
        told = await hear(admin)
        assert told["type"] == "H5S_EVENT_LOGIN_FAILED"
        assert (told["strUser"], told["nFaultTimes"]) == ("eve", 1)
        assert told["strAddress"] == "127.0.0.1"
        assert "guess" not in json.dumps(told)
        for socket in (admin, olga, vera):
            assert (await hear(socket))["type"] == "H5S_EVENT_ONLINE"


async def test_who_is_demoted_hears_no_more(backend: Backend) -> None:
    boss = backend.sign_in()
    answer = await backend.call(
        f"/api/v1/UpdateUser?user=olga&usertype=Administrator&session={boss}"
    )
    assert answer["bStatus"] is True
    async with backend.connect(PATH + backend.sign_in("olga")) as socket:
        await backend.call(f"/api/v1/UpdateUser?user=olga&usertype=Viewer&session={boss}")
        assert (await socket.receive(timeout=WAIT_S)).type is not WSMsgType.TEXT
        assert socket.closed
    await until(lambda: backend.hub.subscribers == 0)


@dataclass(frozen=True)
class Somebody:
    """One who may see the sources whose names begin with f."""

    identity: Identity

    def may_see(self, token: str) -> bool:
        return token.startswith("f")


@pytest.mark.parametrize("role", ["Administrator", "Operator", "Viewer"])
def test_who_may_not_see_a_source_hears_nothing_of_it(role: Role) -> None:
    listener = Somebody(Identity("somebody", role))
    assert may_hear(listener, Event(Online("front")))
    assert not may_hear(listener, Event(Online("back")))
    assert not may_hear(listener, Event(Offline("back", "gone")))
    assert may_hear(listener, Event(DiskLow("ram", 1, 100)))
    knows_logins = role == "Administrator"
    assert may_hear(listener, Event(LoginFailed("eve", "", 1, 0))) is knows_logins


async def test_places_are_counted_and_freed(backend: Backend) -> None:
    session = backend.sign_in()
    async with AsyncExitStack() as stack:
        for _ in range(MAX_LISTENERS):
            await stack.enter_async_context(backend.connect(PATH + session))
        with pytest.raises(WSServerHandshakeError, match="503"):
            async with backend.connect(PATH + session):
                pass
        assert backend.hub.subscribers == MAX_LISTENERS
    await until(lambda: backend.hub.subscribers == 0)
    async with backend.connect(PATH + session) as socket:
        backend.hub.tell(Online("front"))
        assert (await hear(socket))["strToken"] == "front"


async def test_keepalives_are_taken_and_a_flood_is_not(backend: Backend) -> None:
    async with backend.connect(PATH + backend.sign_in()) as socket:
        for text in ('{"type":"keepalive"}', '{"cmd":"H5_KEEPALIVE"}', "keepalive", "{"):
            await socket.send_str(text)
        backend.hub.tell(Online("front"))
        assert (await hear(socket))["strToken"] == "front"
        for _ in range(events.MAX_MESSAGES_PER_S + 1):
            await socket.send_str("keepalive")
        assert (await socket.receive(timeout=WAIT_S)).type is WSMsgType.CLOSE
        assert socket.close_code == 1008
    await until(lambda: backend.hub.subscribers == 0)


async def test_who_lost_events_is_sent_away(backend: Backend) -> None:
    async with backend.connect(PATH + backend.sign_in()) as socket:
        for number in range(500):  # in one turn of the loop: nothing can be sent meanwhile
            backend.hub.tell(Online(f"camera{number}"))
        message = await socket.receive(timeout=WAIT_S)
        assert message.type is WSMsgType.CLOSE
        assert (socket.close_code, message.extra) == (1013, "too slow: events were lost")
    await until(lambda: backend.hub.subscribers == 0)


async def test_who_never_reads_costs_little_and_is_cut_off(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.4)
    base = backend.client.make_url("/")
    with sockets.socket() as deaf:
        deaf.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(deaf, (base.host, base.port))
        await loop.sock_sendall(
            deaf,
            f"GET {PATH}{backend.sign_in()} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode(),
        )
        await until(lambda: backend.hub.subscribers == 1)
        subscription = backend.hub._subscriptions[0]
        longest = 0
        async with asyncio.timeout(60):
            while backend.hub.subscribers:
                for _ in range(20):  # a busy machine has few turns before the heartbeat ends it
                    backend.hub.tell(Offline("front", "x" * 4000))
                longest = max(longest, len(subscription))
                await asyncio.sleep(0)
        assert longest <= 100
        assert subscription.dropped
        port = deaf.getsockname()[1]
        await until(lambda: not has_connection_from(port))


def has_connection_from(port: int) -> bool:
    """Return whether the server still holds a connection of the client at this port."""
    found = psutil.Process().net_connections("tcp4")
    return any(one.raddr[1:] == (port,) for one in found)
