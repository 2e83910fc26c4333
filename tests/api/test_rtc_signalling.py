"""h5srtcapi on real sockets: the order of messages, what bad ones do, and who may."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSCloseCode, WSMsgType, WSServerHandshakeError

from h5sup.formats.sdp.model import SessionDescription
from h5sup.formats.sdp.parse import parse_description
from h5sup.outputs.rtc.signalling import MAX_MESSAGES_PER_S, REASON_BYTES
from tests.api.conftest import TRUSTED, MakeBackend
from tests.api.rtc_rig import Rig, rtc_rig, until

SAMPLES = Path(__file__).parents[1] / "data" / "sdp"
ANSWER = (SAMPLES / "chromium_answer.sdp").read_text(encoding="ascii")
ICE = {"type": "remoteice", "candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host", "sdpMid": "0"}


class Player:
    """The player's end of a socket."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket

    async def say(self, **message: object) -> None:
        await self.socket.send_str(json.dumps(message))

    async def hear(self) -> dict[str, Any]:
        message: dict[str, Any] = await self.socket.receive_json(timeout=5)
        return message

    async def offer(self) -> SessionDescription:
        """Ask, and return what is offered."""
        await self.say(type="open")
        assert (await self.hear())["type"] == "iceserver"
        offer = await self.hear()
        assert offer["type"] == "offer"
        return parse_description(offer["sdp"])

    async def farewell(self) -> tuple[str, int | None, str]:
        """Return the error message, then code and reason of the close."""
        error = ""
        while True:
            message = await self.socket.receive(timeout=5)
            if message.type is WSMsgType.TEXT:
                said = json.loads(message.data)
                if said["type"] == "error":
                    error = said["reason"]
                continue
            assert message.type is WSMsgType.CLOSE, message
            return error, message.data, str(message.extra)


@asynccontextmanager
async def player(rig: Rig, token: str = "front", **query: str) -> AsyncIterator[Player]:
    session = rig.backend.sign_in("vera")
    more = "".join(f"&{name}={value}" for name, value in query.items())
    path = f"/api/v1/h5srtcapi?token={token}{more}&session={session}"
    async with rig.backend.connect(path) as socket:
        yield Player(socket)


async def test_a_player_is_offered_all_and_connects(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend) as rig, player(rig, profile="sub") as one:
        await one.say(type="open")
        assert await one.hear() == {
            "type": "iceserver",
            "iceServers": [
                {"urls": ["stun:stun.example:3478"]},
                {
                    "urls": ["turn:turn.example:3478", "turns:turn.example:5349"],
                    "username": "olga",
                    "credential": "secret",
                },
            ],
            "iceTransportPolicy": "all",
        }
        said = await one.hear()
        assert set(said) == {"type", "sdp"}
        offer = parse_description(said["sdp"])
        assert [one.kind for one in offer.media] == ["video", "audio"]
        await one.say(**ICE)
        await one.say(type="answer", sdp=ANSWER)
        await one.say(type="keepalive")
        await rig.connect(offer)
        assert rig.rtc.figures[0].token == "front"
        assert rig.leases.asked == [("front", "sub", True, False)]
        await until(lambda: rig.rtc.figures[0].packets == 10)


async def test_the_source_is_let_go_when_the_page_goes(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend) as rig:
        async with player(rig) as one:
            await one.offer()
            assert (len(rig.leases.held), rig.rtc.connections) == (1, 1)
        await rig.assert_empty()


async def test_a_page_cut_off_lets_the_source_go(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend) as rig, player(rig) as one:
        await one.offer()
        connection = one.socket._conn
        assert connection is not None
        assert connection.transport is not None
        connection.transport.abort()
        await rig.assert_empty()


@pytest.mark.parametrize("token", ["nowhere", "", "%ED%A0%80", "x" * 300])
async def test_a_source_that_is_not_there(make_backend: MakeBackend, token: str) -> None:
    async with rtc_rig(make_backend) as rig, player(rig, token) as one:
        error, code, reason = await one.farewell()
        assert error.startswith("there is no source")
        assert code == WSCloseCode.TRY_AGAIN_LATER
        assert error.startswith(reason)
        assert len(reason.encode()) <= REASON_BYTES
        await rig.assert_empty()


async def test_a_source_without_a_picture_says_why(
    make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("h5sup.outputs.rtc.live.READY_WITHIN_S", 0.01)
    async with rtc_rig(make_backend) as rig:
        rig.leases.channel.end("x")
        rig.leases.channel.set_state("BACKOFF", "the camera refuses the password")
        async with player(rig) as one:
            error, code, reason = await one.farewell()
            assert "the camera refuses the password" in error
            assert (code, reason) == (WSCloseCode.TRY_AGAIN_LATER, error)


async def test_one_viewer_too_many_is_told(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend, viewers=1) as rig, player(rig) as first:
        await first.offer()
        async with player(rig) as second:
            assert "limits.viewers" in (await second.farewell())[0]
        assert rig.rtc.connections == 1


@pytest.mark.parametrize(
    ("sdp", "word"),
    [
        ("", "v=0"),
        (None, "v=0"),
        (7, "v=0"),
        (["v=0"], "v=0"),
        ("v=0\n" * 9000, "answer"),
        (ANSWER.replace("H264", "H263"), "the browser takes no H264"),
        (ANSWER.replace("a=ice-pwd", "a=x"), "a=ice-pwd"),
        (ANSWER.replace("a=setup:active", "a=setup:\ud800\ud801"), "setup"),
        (ANSWER.replace("a=setup:active", "a=setup:" + "ü" * 200), "setup"),
    ],
)
async def test_an_answer_of_no_use_is_refused(
    make_backend: MakeBackend, sdp: object, word: str
) -> None:
    async with rtc_rig(make_backend) as rig, player(rig) as one:
        await one.offer()
        await one.say(type="answer", sdp=sdp)
        error, code, reason = await one.farewell()
        assert word in error
        assert code == WSCloseCode.TRY_AGAIN_LATER
        assert 0 < len(reason.encode()) <= REASON_BYTES
        await rig.assert_empty()


@pytest.mark.parametrize(
    "words",
    [
        "",
        "{",
        "[]",
        "null",
        '"open"',
        '{"type": ["open"]}',
        '{"type": {"open": 1}}',
        "[" * 50_000,
        '{"type": "answer", "sdp": "v=0"}',  # nothing has been offered yet
        '{"type": "offer", "sdp": "v=0"}',
        "\x00\ufffd",
    ],
)
async def test_what_means_nothing_changes_nothing(make_backend: MakeBackend, words: str) -> None:
    async with rtc_rig(make_backend) as rig, player(rig) as one:
        await one.socket.send_str(words)
        await one.socket.send_bytes(words.encode())
        await one.offer()


async def test_asking_and_answering_twice_is_once(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend) as rig, player(rig) as one:
        offer = await one.offer()
        await one.say(type="open")
        await one.say(type="answer", sdp=ANSWER)
        await one.say(type="answer", sdp="of no use")
        await rig.connect(offer)
        assert rig.rtc.connections == 1
        rig.rtc._hall.let_go(rig.rtc._hall.seats[0].viewer, "enough")
        message = await one.socket.receive(timeout=5)  # no other offer has come, and no error
        assert (message.type, message.extra) == (WSMsgType.CLOSE, "enough")


async def test_a_flood_is_refused(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend) as rig, player(rig) as one:
        for _ in range(MAX_MESSAGES_PER_S + 20):
            await one.socket.send_str("keepalive")
        assert "too many messages" in (await one.farewell())[0]
        await rig.assert_empty()


async def test_a_huge_message_closes_that_socket_alone(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend) as rig, player(rig) as good, player(rig) as bad:
        await bad.offer()
        await bad.socket.send_str("x" * 100_000)
        message = await bad.socket.receive(timeout=5)
        assert (message.type, message.data) == (WSMsgType.CLOSE, WSCloseCode.MESSAGE_TOO_BIG)
        await until(lambda: rig.rtc.connections == 1)
        await good.offer()


async def test_a_viewer_that_is_let_go_is_told_why(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend) as rig, player(rig) as one:
        await one.offer()
        seat = rig.rtc._hall.seats[0]
        rig.rtc._hall.let_go(seat.viewer, "the source sends another codec now")
        _, code, reason = await one.farewell()
        assert (code, reason) == (WSCloseCode.GOING_AWAY, "the source sends another codec now")


async def test_a_server_that_stops_says_so(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend) as rig, player(rig) as one:
        await one.offer()
        closing = asyncio.create_task(rig.rtc.close())
        assert (await one.farewell())[1:] == (WSCloseCode.GOING_AWAY, "the server stops")
        await closing
        await rig.assert_empty()


async def test_switched_off(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend, port=0) as rig, player(rig) as one:
        error, _, reason = await one.farewell()
        assert "rtc.port" in error
        assert reason == error


async def test_who_wants_no_sound_is_offered_none(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend) as rig, player(rig, audio="false") as one:
        assert [section.kind for section in (await one.offer()).media] == ["video"]


async def test_only_pages_of_ours_may_use_the_cookie(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend) as rig:
        cookie = f"h5s_session={rig.backend.sign_in('vera')}"
        url = rig.backend.client.make_url("/")
        path = "/api/v1/h5srtcapi?token=front"
        for origin in ("https://evil.example", TRUSTED, ""):
            with pytest.raises(WSServerHandshakeError) as caught:
                async with rig.backend.connect(path, Cookie=cookie, Origin=origin):
                    pass
            assert caught.value.status == 401
        origin = f"http://{url.host}:{url.port}"
        async with rig.backend.connect(path, Cookie=cookie, Origin=origin) as socket:
            await Player(socket).offer()


async def test_random_messages_leave_nothing_behind(make_backend: MakeBackend) -> None:
    dice = random.Random(7)
    values: list[object] = ["open", "answer", "remoteice", "", None, 7, [], {}, ANSWER[:900]]

    def message() -> str:
        said = {name: dice.choice(values) for name in ("type", "sdp", "candidate")}
        text = json.dumps(said)
        return text if dice.random() < 0.7 else text[: dice.randrange(len(text))]

    async with rtc_rig(make_backend) as rig:
        for _ in range(40):
            async with player(rig) as one:
                for _ in range(dice.randrange(12)):
                    with suppress(ConnectionError):  # it was refused
                        await one.socket.send_str(message())
            await rig.assert_empty()
