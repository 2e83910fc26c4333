"""h5swsapi playing what was recorded, on real sockets: each message as players expect it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer

from h5sup.base.clock import from_us
from h5sup.bus.fragment import read_fragment
from h5sup.bus.playback import Begun, Played
from h5sup.formats.isobmff.init_segment import parse_init
from h5sup.outputs.ws import playback as playback_module
from h5sup.outputs.ws.output import Lease, WsOutput
from h5sup.recording.playback.opener import RecordedPlaybacks
from tests.fakes.recordings import BEGIN_US, SECOND_US, Scene, Shelf, Strict

CHINA = timezone(timedelta(hours=8))


class NoLeases:
    """Nothing is live."""

    def lease(self, token: str, *, profile: str = "main", hevc: bool = False) -> Lease:
        raise AssertionError((token, profile, hevc))


class Page:
    """A page with one of the original players: what comes is checked as it comes."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket
        self.events: list[dict[str, Any]] = []
        self.mime = ""
        self.viewer = Strict()

    async def say(self, command: str, **more: object) -> None:
        await self.socket.send_str(json.dumps({"cmd": command, **more}))

    async def greeted(self) -> None:
        """Take what comes before media: the type first, as a binary message."""
        message = await self.socket.receive(timeout=5)
        assert message.type is WSMsgType.BINARY, message
        self.mime = message.data.decode("ascii")
        event = json.loads(await self.socket.receive_str(timeout=5))
        assert event["type"] == "H5S_EVENT_PB_SESSION"
        assert event["strPbSession"]
        self.events.append(event)

    async def take(self) -> bool:
        """Take one message; False once the socket is closed."""
        message = await self.socket.receive(timeout=5)
        match message.type:
            case WSMsgType.TEXT:
                self.events.append(json.loads(message.data))
            case WSMsgType.BINARY if message.data[4:8] == b"ftyp":
                self.viewer.take(Begun(parse_init(message.data)))
                assert self.viewer.inits[0].mime == self.mime
            case WSMsgType.BINARY:
                fragment = read_fragment(0, message.data, self.viewer.inits[-1])
                self.viewer.take(Played(fragment, from_us(0)))
            case _:
                return False
        return True

    async def until_shown(self, number: int) -> None:
        while number not in self.viewer.shown:
            assert await self.take()

    async def until_quiet(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                while await self.take():
                    pass
        with pytest.raises(TimeoutError):
            await self.socket.receive(timeout=0.1)

    async def until_event(self, kind: str) -> dict[str, Any]:
        known = len(self.events)
        while True:
            assert await self.take()
            if len(self.events) > known and self.events[-1]["type"] == kind:
                return self.events[-1]


class Rig:
    def __init__(self, client: TestClient[web.Request, web.Application], output: WsOutput) -> None:
        self.client = client
        self.output = output

    async def open(self, shelf: Shelf, **changes: str) -> Page:
        query = {
            "token": "front",
            "playback": "true",
            "serverpb": "true",
            "begintime": from_us(BEGIN_US).isoformat(),
            "endtime": from_us(max(one.end_us for one in shelf.kept)).isoformat(),
        }
        return Page(await self.client.ws_connect("/ws", params=query | changes))

    async def until_alone(self) -> None:
        async with asyncio.timeout(5):
            while self.output.connections:
                await asyncio.sleep(0.005)


@asynccontextmanager
async def rig(shelf: Shelf) -> AsyncIterator[Rig]:
    playbacks = RecordedPlaybacks(shelf, shelf.root, limit=4)
    output = WsOutput(NoLeases(), playbacks, viewers=8, viewer_bytes=4_000_000, zone=CHINA)
    app = web.Application()
    app.router.add_get("/ws", output.handle)
    async with TestClient(TestServer(app)) as client:
        yield Rig(client, output)
        await output.close()
        await playbacks.close()
        assert playbacks.count == 0


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


async def test_type_and_session_first_and_media_after_start(shelf: Shelf) -> None:
    shelf.record(Scene(), (25,))
    async with rig(shelf) as made:
        page = await made.open(shelf)
        await page.greeted()
        assert page.mime == 'video/mp4; codecs="avc1.4D002A, mp4a.40.2"'
        with pytest.raises(TimeoutError):
            await page.socket.receive(timeout=0.05)
        await page.say("H5_START")
        last = await page.until_event("H5S_EVENT_PB_TIME")
        assert last["pbTime"]["strTime"] == "2026-11-25T17:46:40+08:00"
        last = await page.until_event("H5S_EVENT_PB_TIME")
        assert last["pbTime"]["strTime"] == "2026-11-25T17:46:41+08:00"
        assert page.viewer.numbers == list(range(25))
        await page.say("H5_SEEK", nSeekTime=0.5)
        await page.until_shown(12)


async def test_commands_of_all_players(shelf: Shelf) -> None:
    shelf.record(Scene(), (25,) * 60)
    async with rig(shelf) as made:
        page = await made.open(shelf)
        await page.greeted()
        await page.say("H5_START")
        for command, number in (
            ({"cmd": "H5_SEEK", "nSeekTime": 30}, 750),
            ({"cmd": "H5_SEEK", "nTime": "20"}, 500),
            (
                {
                    "cmd": "H5_MOVETO",
                    "strMovetoTime": from_us(BEGIN_US + 10 * SECOND_US).isoformat(),
                },
                250,
            ),
        ):
            await page.socket.send_json(command)
            await page.until_shown(number)
        await page.say("H5_PAUSE")
        await page.until_quiet()
        await page.say("H5_SPEED", nSpeed="2.0")
        await page.say("H5_RESUME")
        before = len(page.viewer.pictures)
        await page.until_shown(page.viewer.numbers[-1] + 20)
        assert {one.duration_s for one in page.viewer.pictures[before:]} == {0.02}


async def test_what_a_client_says_wrongly_is_told_or_ignored(shelf: Shelf) -> None:
    shelf.record(Scene(), (25,) * 3)
    async with rig(shelf) as made:
        page = await made.open(shelf)
        await page.greeted()
        for words in ("keepalive", "{", "[]", '{"cmd":7}', '{"cmd":"H5_KEEPALIVE"}', "[" * 9000):
            await page.socket.send_str(words)
        await page.say("H5_SPEED", nSpeed=100)
        event = await page.until_event("H5S_EVENT_PB_ERROR")
        assert event["strCode"] == "nSpeed: must be from 0.5 to 16"
        await page.say("H5_SEEK")
        assert "nTime" in (await page.until_event("H5S_EVENT_PB_ERROR"))["strCode"]
        await page.say("H5_START")
        await page.until_shown(10)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"token": "back"}, "nothing of source 'back' was recorded"),
        ({"begintime": "0", "endtime": "0", "filename": "no.mp4"}, "has no recording 'no.mp4'"),
        ({"begintime": "soon"}, "begintime: must be a time"),
        ({"token": "nvr--3", "serverpb": "false"}, "nothing of source 'nvr--3' was recorded"),
    ],
)
async def test_why_nothing_plays_is_the_reason_of_the_close(
    shelf: Shelf, changes: Mapping[str, str], reason: str
) -> None:
    shelf.record(Scene(), (25,))
    async with rig(shelf) as made:
        page = await made.open(shelf, **changes)
        message = await page.socket.receive(timeout=5)
        assert message.type is WSMsgType.CLOSE
        assert reason in str(message.extra)
        assert page.socket.close_code == 1008


async def test_a_file_by_its_name_without_serverpb(shelf: Shelf) -> None:
    shelf.record(Scene(audio=False), (25,))
    name = shelf.record(Scene(audio=False), (5,)).filename
    async with rig(shelf) as made:
        page = await made.open(
            shelf, begintime="0", endtime="0", filename=name, serverpb="false", hevc="true"
        )
        await page.greeted()
        assert page.mime == 'video/mp4; codecs="avc1.4D002A"'
        await page.say("H5_START")
        await page.until_shown(4)
        assert page.viewer.numbers == [0, 1, 2, 3, 4]


async def test_a_client_that_stops_reading_holds_its_playback_and_is_cut_off(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(playback_module, "STUCK_S", 0.3)
    shelf.record(Scene(picture_bytes=100_000), (25,) * 4)
    async with rig(shelf) as made:
        page = await made.open(shelf)
        await page.greeted()
        connection = page.socket._conn
        assert connection is not None
        transport = connection.transport
        assert isinstance(transport, asyncio.Transport)
        tcp = transport.get_extra_info("socket")
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        transport.pause_reading()
        await page.say("H5_START")
        await page.say("H5_SPEED", nSpeed=3)
        most_bytes = 0
        async with asyncio.timeout(10):
            while made.output.connections:
                most_bytes = max(most_bytes, made.output.unsent_bytes)
                await asyncio.sleep(0.002)
        assert 262_144 < most_bytes < 1_000_000
        transport.close()


async def test_who_leaves_leaves_nothing_behind(shelf: Shelf) -> None:
    shelf.record(Scene(), (25,) * 4)
    async with rig(shelf) as made:
        for _ in range(6):  # of four places
            page = await made.open(shelf)
            await page.greeted()
            await page.say("H5_START")
            await page.until_shown(2)
            await page.socket.close()
            await made.until_alone()


async def test_one_playback_too_many_is_told_so(shelf: Shelf) -> None:
    shelf.record(Scene(), (25,))
    async with rig(shelf) as made:
        for _ in range(4):
            await (await made.open(shelf)).greeted()
        message = await (await made.open(shelf)).socket.receive(timeout=5)
        assert "all 4 places for playbacks are taken" in str(message.extra)


async def test_the_server_stops(shelf: Shelf) -> None:
    shelf.record(Scene(), (25,))
    async with rig(shelf) as made:
        page = await made.open(shelf)
        await page.greeted()
        await made.output.close()
        message = await page.socket.receive(timeout=5)
        assert message.extra == "the server stops"
