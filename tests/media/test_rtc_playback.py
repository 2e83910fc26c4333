"""Recordings over WebRTC for real: ICE, DTLS and SRTP to a client that looks at each packet."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC
from itertools import pairwise
from statistics import median
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from h5sup.auth.guard import ANONYMOUS
from h5sup.auth.sessions import Sessions
from h5sup.auth.visit import VISIT, Visit
from h5sup.bus.playback import PlaybackOpener
from h5sup.config.model import RtcConfig
from h5sup.formats.rtp import timestamp_distance
from h5sup.outputs.rtc.leases import Leases
from h5sup.outputs.rtc.output import RtcOutput
from tests.e2e.server import free_port
from tests.fakes.clips import Clips, decode_frame_indexes
from tests.fakes.depacketiser import join
from tests.fakes.playback import FakeOpener, Tape, read_tape
from tests.fakes.playback_client import PlaybackClient

pytestmark = [pytest.mark.media, pytest.mark.timeout(60)]

FPS = 25
TICKS = 90_000 // FPS
RANGE = "token=cam&begintime=2026-05-01T10:00:00Z&endtime=2026-05-01T10:00:08Z"


@dataclass
class Room:
    """A WebRTC output that has a recording and no source."""

    output: RtcOutput
    base: str
    http: aiohttp.ClientSession

    def client(self, query: str = RANGE, **options: Any) -> PlaybackClient:
        return PlaybackClient(self.base, query, http=self.http, **options)


@asynccontextmanager
async def open_room(opener: PlaybackOpener) -> AsyncIterator[Room]:
    config = RtcConfig(port=free_port())
    output = RtcOutput(cast(Leases, None), config, viewers=5, playbacks=opener, zone=UTC)
    await output.open()

    async def admit(request: web.Request) -> web.StreamResponse:
        request[VISIT] = Visit(ANONYMOUS, Sessions(600))
        return await output.signal(request)

    app = web.Application()
    app.router.add_get("/api/v1/h5srtcapi", admit)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession() as http:
        try:
            yield Room(output, base, http)
        finally:
            await output.close()
            await runner.cleanup()


@dataclass
class Cinema:
    """A room whose recording is a tape."""

    room: Room
    opener: FakeOpener

    @property
    def output(self) -> RtcOutput:
        return self.room.output

    def client(self, **options: Any) -> PlaybackClient:
        return self.room.client(**options)


@asynccontextmanager
async def open_cinema(tape: Tape, h264: Tape | None = None) -> AsyncIterator[Cinema]:
    opener = FakeOpener(tape, h264)
    async with open_room(opener) as room:
        yield Cinema(room, opener)
    assert opener.playing == []


async def until(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)


async def frames(client: PlaybackClient) -> list[int]:
    """Return the numbers that all whole pictures show which came so far."""
    payloads = [
        one.payload for unit in client.units() if unit[-1].header.is_marked for one in unit
    ]
    data = b"".join(b"\0\0\0\1" + nal for nal in join("h264", payloads))
    return await asyncio.to_thread(decode_frame_indexes, data)


def steps(client: PlaybackClient) -> list[int]:
    """Return what lies between one picture and the next, in ticks."""
    stamps = [unit[0].header.timestamp for unit in client.units()]
    return [timestamp_distance(after, before) for before, after in pairwise(stamps)]


@pytest.fixture
async def tape(clips: Clips) -> Tape:
    return await asyncio.to_thread(read_tape, clips["h264_mute"])


async def test_a_recording_is_played_when_it_is_due(tape: Tape) -> None:
    async with open_cinema(tape) as room, room.client() as client:
        await until(lambda: client.events)
        await asyncio.sleep(0.1)
        assert client.got == []  # nothing before it is started
        await client.command("H5_START")
        await until(lambda: len(client.units()) > 30)
        units = client.units()
        assert (await frames(client))[:30] == list(range(30))
        assert median(steps(client)) == TICKS  # a picture kept back by a busy machine is late
        late = [one[0].at - units[0][0].at - index / FPS for index, one in enumerate(units)]
        assert min(late) > -0.02
        assert median(late) < 0.1
        begun, *told = client.events
        assert begun == {"type": "H5S_EVENT_PB_SESSION", "strPbSession": room.opener.opened[0].id}
        assert [one["pbTime"]["strTime"] for one in told] == [
            "2026-05-01T10:00:00+00:00",
            "2026-05-01T10:00:01+00:00",
        ]
        (request,) = room.opener.requests
        assert (request.token, request.hevc, request.b_frames) == ("cam", True, False)
        assert request.opus


async def test_a_seek_shows_the_right_picture_at_once(tape: Tape) -> None:
    async with open_cinema(tape) as room, room.client() as client:
        await client.command("H5_START")
        await until(lambda: len(client.units()) > 10)
        asked_at = asyncio.get_running_loop().time()
        await client.command("H5_SEEK", nSeekTime=5.6)
        await until(lambda: "seek 5.6" in room.opener.opened[0].commands)
        before = len(client.units())
        await until(lambda: len(client.units()) > before + 25)
        seen = await frames(client)
        at = seen.index(140)
        assert seen[at - 15 : at + 5] == list(range(125, 145))  # from the key frame on
        assert client.units()[at][-1].at - asked_at < 0.5
        assert min(steps(client)) > 0
        await client.command("H5_MOVETO", strMovetoTime="2026-05-01T10:00:02Z")
        await until(lambda: room.opener.opened[0].commands[-1] == "seek 2")
        before = len(client.units())
        await until(lambda: len(client.units()) > before + 5)
        assert (await frames(client))[-4] in range(50, 56)
        assert min(steps(client)) > 0


async def test_a_pause_stands_still_for_as_long_as_it_likes(
    tape: Tape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("h5sup.outputs.rtc.viewer.OUTAGE_S", 0.1)
    monkeypatch.setattr("h5sup.outputs.rtc.hall.TICK_S", 0.05)
    async with open_cinema(tape) as room, room.client() as client:
        await client.command("H5_START")
        await until(lambda: len(client.units()) > 5)
        await client.command("H5_PAUSE")
        await until(lambda: "pause" in room.opener.opened[0].commands)
        await asyncio.sleep(0.1)  # the picture in hand may still be shown
        before = len(client.got)
        await asyncio.sleep(0.4)
        assert len(client.got) == before
        client.ask_picture()  # a browser that has lost it meanwhile gets it back
        await until(lambda: len(client.got) > before)
        await client.command("H5_RESUME")
        shown = len(client.units())
        await until(lambda: len(client.units()) > shown + 5)
        seen = await frames(client)
        assert sorted(set(seen)) == list(range(max(seen) + 1))
        assert min(steps(client)) > 0
        assert max(steps(client)) > 0.4 * 90_000  # time has gone on meanwhile
        assert room.output.connections == 1


async def test_twice_the_speed_is_twice_as_fast(tape: Tape) -> None:
    async with open_cinema(tape) as room, room.client() as client:
        await client.command("H5_SPEED", nSpeed="2.0")
        await client.command("H5_START")
        await until(lambda: len(client.units()) > 40)
        units = client.units()
        assert median(steps(client)) == TICKS // 2
        assert 0.7 < units[40][0].at - units[0][0].at < 1.5
        await client.command("H5_SPEED", nSpeed=100)
        await until(lambda: client.events[-1]["type"] == "H5S_EVENT_PB_ERROR")
        assert client.events[-1]["strCode"] == "nSpeed: must be 0.5 to 16"
        assert room.output.connections == 1


async def test_what_is_lost_is_sent_again(clips: Clips) -> None:
    tape = await asyncio.to_thread(read_tape, clips["h264_2m_mute"])
    dice = random.Random(3)
    async with open_cinema(tape) as room, room.client() as client:
        client.loses = lambda _: dice.random() < 0.02
        await client.command("H5_SPEED", nSpeed=4)
        await client.command("H5_START")
        await until(lambda: len(client.units()) > 90)
        client.loses = lambda _: False
        await until(lambda: not client.missing)
        assert room.output.figures[0].resent >= 5
        assert (await frames(client))[:90] == list(range(90))


async def test_the_end_is_told_and_a_seek_leads_back(tape: Tape) -> None:
    async with open_cinema(tape) as room, room.client() as client:
        await client.command("H5_SEEK", nSeekTime=7.8)
        await client.command("H5_START")
        await until(lambda: client.events[-1].get("pbTime", {}).get("bEnd"))
        assert (await frames(client))[-1] == 199
        await client.command("H5_SEEK", nSeekTime=1)
        await until(lambda: "seek 1" in room.opener.opened[0].commands)
        before = len(client.units())
        await until(lambda: len(client.units()) > before + 3)
        assert (await frames(client))[-3] in range(25, 29)


async def test_h265_is_made_h264_of_for_those_who_lack_it(tape: Tape, clips: Clips) -> None:
    hevc = await asyncio.to_thread(read_tape, clips["hevc_aac"])
    async with open_cinema(hevc, h264=tape) as room:
        async with room.client() as client:
            await client.command("H5_START")
            await until(lambda: len(client.units()) > 10)
            assert (await frames(client))[:10] == list(range(10))
            assert [one.hevc for one in room.opener.requests] == [True, False]
            first, second = room.opener.opened
            assert first.is_closed
            assert second.commands[0] == "start"
            assert client.events[0]["strPbSession"] == second.id
        await until(lambda: not room.opener.playing)
        assert room.output.connections == 0


async def test_sound_and_picture_are_on_one_clock(clips: Clips) -> None:
    opus = ("-c:a", "libopus", "-b:a", "32k", "-ar", "48000")
    tape = await asyncio.to_thread(read_tape, clips["h264_aac"], audio=opus)
    async with open_cinema(tape) as room, room.client() as client:
        await client.command("H5_START")
        await until(lambda: len(client.units()) > 40 and len(client.reports) == 2)
        assert room.opener.requests[0].opus
        heard = client.sound
        stamps = [one.header.timestamp for one in heard]
        assert median(timestamp_distance(b, a) for a, b in pairwise(stamps)) == 960
        picture, sound = (
            client.reports[one.header.ssrc][0] for one in (client.video[0], heard[0])
        )
        assert picture.ntp == sound.ntp
        # both began with the recording: by their reports at the same moment
        began = client.units()[1][0].header.timestamp - TICKS
        ahead_s = timestamp_distance(picture.timestamp, began) / 90_000
        sound_ahead_s = timestamp_distance(sound.timestamp, stamps[1] - 960) / 48_000
        assert abs(ahead_s - sound_ahead_s) < 0.03
