"""Playback over h5srtcapi on real sockets: what is opened, told, commanded, refused and closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from aiohttp import WSCloseCode

from h5sup.outputs.rtc import hall as hall_module
from h5sup.outputs.rtc.past import WAITING_EVENTS, Past
from tests.api.conftest import MakeBackend
from tests.api.rtc_rig import Rig, rtc_rig, until
from tests.api.test_rtc_signalling import ANSWER, Player, player
from tests.fakes.playback import FakeOpener, Tape, build_tape

TAPE = build_tape(8, picture_ticks=64)
HEVC = build_tape(codec="hvc1.1.6.L93.B0")
RANGE = {"begintime": "2026-05-01T10:00:00Z", "endtime": "2026-05-01T11:00:00%2B00:00"}


@asynccontextmanager
async def playback_rig(
    make_backend: MakeBackend, tape: Tape = TAPE, **options: object
) -> AsyncIterator[tuple[Rig, FakeOpener]]:
    opener = FakeOpener(tape)
    async with rtc_rig(make_backend, playbacks=opener, **options) as rig:  # type: ignore[arg-type]  # by name
        yield rig, opener
    assert opener.playing == []


def watching(rig: Rig, **query: str) -> AbstractAsyncContextManager[Player]:
    return player(rig, **({"playback": "true", "serverpb": "true"} | RANGE | query))


async def connected(rig: Rig, one: Player) -> None:
    offer = await one.offer()
    await one.say(type="answer", sdp=ANSWER)
    await rig.connect(offer)


async def test_a_recording_is_offered_played_and_told_of(make_backend: MakeBackend) -> None:
    async with playback_rig(make_backend) as (rig, opener), watching(rig) as one:
        offer = await one.offer()
        assert [section.kind for section in offer.media] == ["video"]  # there is no Opus in it
        await one.say(cmd="H5_START")  # players don't wait with it
        await one.say(type="answer", sdp=ANSWER)
        (playback,) = opener.opened
        said = await one.hear()
        assert said == {"type": "H5S_EVENT_PB_SESSION", "strPbSession": playback.id}
        await rig.connect(offer)
        first, last = await one.hear(), await one.hear()
        assert first["pbTime"] == {
            "strTime": "2026-05-01T10:00:00+00:00",
            "strExactTime": "2026-05-01T10:00:00.000Z",
        }
        assert last["pbTime"]["bEnd"] is True
        assert rig.rtc.figures[0].token == "front"
        assert rig.rtc.figures[0].packets == 8 + 2 * 2  # two key frames with their parameter sets
        (request,) = opener.requests
        assert (request.begin, request.end) == (
            datetime(2026, 5, 1, 10, tzinfo=UTC),
            datetime(2026, 5, 1, 11, tzinfo=UTC),
        )
        assert (request.token, request.owner, request.from_server) == ("front", "vera", True)
        assert (request.hevc, request.b_frames, request.opus) == (True, False, True)
        assert rig.leases.asked == []  # the camera has no part in it
        assert rig.rtc.connections == 1


async def test_commands_reach_the_playback(make_backend: MakeBackend) -> None:
    async with playback_rig(make_backend) as (rig, opener), watching(rig, audio="false") as one:
        await connected(rig, one)
        assert (await one.hear())["type"] == "H5S_EVENT_PB_SESSION"
        await one.say(cmd="H5_PAUSE")
        await one.say(cmd="H5_SPEED", nSpeed="100")
        said = await one.hear()
        assert said == {"type": "H5S_EVENT_PB_ERROR", "strCode": "nSpeed: must be 0.5 to 16"}
        await one.say(cmd="H5_SEEK", nSeekTime="soon")
        assert (await one.hear())["strCode"] == "nSeekTime: must be a number"
        await one.say(cmd="H5_SPEED", nSpeed=2)
        await one.say(cmd="H5_MOVETO", strMovetoTime="2026-05-01T10:00:00.010Z")
        await one.say(cmd="H5_RESUME")
        await one.say(cmd="H5_START")
        await one.say(type="keepalive")
        (playback,) = opener.opened
        wanted = ["pause", "speed 2", "seek 0.01", "resume", "start"]
        await until(lambda: playback.commands == wanted)
        assert not opener.requests[0].opus


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"filename": "unknown.mp4"}, "there is no recording 'unknown.mp4'"),
        ({"begintime": "0", "endtime": "0"}, "begintime: give begintime and endtime, or filename"),
        ({"endtime": "2026-05-01T09:00:00Z"}, "endtime: must be after begintime"),
        ({"begintime": "now"}, "begintime: must be a time such as 2019-10-14T02:00:00Z"),
    ],
)
async def test_what_can_not_be_played_is_said(
    make_backend: MakeBackend, query: dict[str, str], words: str
) -> None:
    async with playback_rig(make_backend) as (rig, opener), watching(rig, **query) as one:
        error, code, reason = await one.farewell()
        assert error == reason == words
        assert code == WSCloseCode.POLICY_VIOLATION  # our player does not ask again
        assert rig.rtc.connections == 0
        assert opener.opened == []


async def test_where_nothing_is_recorded_it_is_said(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend) as rig, watching(rig) as one:
        assert (await one.farewell())[0] == "nothing is recorded here"


async def test_switched_off(make_backend: MakeBackend) -> None:
    async with playback_rig(make_backend, port=0) as (rig, opener), watching(rig) as one:
        assert "rtc.port" in (await one.farewell())[0]
        assert opener.requests == []


async def test_playbacks_take_viewers_places(make_backend: MakeBackend) -> None:
    async with playback_rig(make_backend, viewers=1) as (rig, opener), watching(rig) as one:
        await one.offer()
        async with watching(rig) as other:
            error, code, _ = await other.farewell()
            assert "limits.viewers" in error
            assert code == WSCloseCode.TRY_AGAIN_LATER
        assert len(opener.opened) == 1


async def test_it_is_closed_when_its_page_goes(make_backend: MakeBackend) -> None:
    async with playback_rig(make_backend) as (rig, opener):
        async with watching(rig) as one:
            await connected(rig, one)
            assert len(opener.playing) == 1
        await until(lambda: not opener.playing)
        async with watching(rig) as one:  # also before both sides have agreed
            await one.offer()
            assert len(opener.playing) == 1
        await until(lambda: not opener.playing)
        await rig.assert_empty()


async def test_it_is_closed_with_the_session(make_backend: MakeBackend) -> None:
    async with playback_rig(make_backend) as (rig, opener), watching(rig) as one:
        await connected(rig, one)
        rig.backend.sessions.close_user("vera")
        await until(lambda: not opener.playing)
        await rig.assert_empty()


async def test_a_browser_that_can_not_play_it_closes_it(make_backend: MakeBackend) -> None:
    async with playback_rig(make_backend) as (rig, opener), watching(rig) as one:
        await one.offer()
        await one.say(type="answer", sdp=ANSWER.replace("H264", "H263"))
        error, code, _ = await one.farewell()
        assert "the browser takes no H264" in error
        assert code == WSCloseCode.POLICY_VIOLATION
        await until(lambda: not opener.playing)


async def test_h265_that_no_h264_is_made_of_is_said(make_backend: MakeBackend) -> None:
    async with playback_rig(make_backend, HEVC) as (rig, opener), watching(rig) as one:
        offer = await one.offer()
        assert [codec.name for codec in offer.media[0].codecs[::2]] == ["H265", "H264"]
        await one.say(type="answer", sdp=ANSWER)
        assert (await one.farewell())[0] == "this recording can't be made H.264 of"
        assert [request.hevc for request in opener.requests] == [True, False]
        await until(lambda: not opener.playing)


async def test_who_leaves_while_h264_is_being_made_leaves_nothing(
    make_backend: MakeBackend,
) -> None:
    async with playback_rig(make_backend, HEVC) as (rig, opener):
        opener.h264 = TAPE
        async with watching(rig) as one:
            await one.offer()
            seat = rig.rtc._hall.seats[0]
            opener.on_open = lambda: rig.rtc._hall.let_go(seat.viewer, "enough")
            await one.say(type="answer", sdp=ANSWER)
            await one.farewell()
        assert len(opener.opened) == 2
        await until(lambda: not opener.playing)


async def test_a_playback_that_fails_says_why(
    make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hall_module, "TICK_S", 0.01)
    assert TAPE.init.video is not None
    broken = replace(TAPE.init, video=replace(TAPE.init.video, video_config=b"\x01"))
    async with playback_rig(make_backend, Tape(broken, ())) as (rig, opener), watching(rig) as one:
        await connected(rig, one)
        _, code, reason = await one.farewell()
        assert (code, reason) == (WSCloseCode.GOING_AWAY, "box 'avcC' is cut off")
        await until(lambda: not opener.playing)


async def test_a_bug_ends_its_own_playback_alone(
    make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hall_module, "TICK_S", 0.01)
    async with playback_rig(make_backend) as (rig, opener), watching(rig) as other:
        await connected(rig, other)
        async with watching(rig) as one:
            offer = await one.offer()
            monkeypatch.setattr(opener.opened[1], "next", None)  # it can't be called
            await one.say(type="answer", sdp=ANSWER)
            await rig.connect(offer)
            assert (await one.farewell())[2] == "playing back has failed"
            await until(lambda: opener.opened[1].is_closed)
            await until(lambda: "'NoneType' object is not callable" in caplog.text)
        assert rig.rtc.connections == 1


async def test_a_disk_that_does_not_answer_is_not_waited_for(
    make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("h5sup.outputs.rtc.past.OPEN_WITHIN_S", 0.01)
    async with playback_rig(make_backend) as (rig, opener):
        monkeypatch.setattr(opener, "open", lambda _: asyncio.sleep(10))
        async with watching(rig) as one:
            assert (await one.farewell())[0] == "the recordings did not open in time"
        await rig.assert_empty()


async def test_a_page_that_takes_no_events_gets_the_newest(make_backend: MakeBackend) -> None:
    async with playback_rig(make_backend) as (rig, _), watching(rig) as one:
        await one.offer()
        past = rig.rtc._hall.seats[0].supply
        assert isinstance(past, Past)
        for number in range(3 * WAITING_EVENTS):
            past._tell(str(number))
        kept = [past.events.get_nowait() for _ in range(WAITING_EVENTS)]
        assert kept == [str(number) for number in range(2 * WAITING_EVENTS, 3 * WAITING_EVENTS)]
        assert past.events.empty()


async def test_what_is_live_stays_live(make_backend: MakeBackend) -> None:
    async with playback_rig(make_backend) as (rig, opener), player(rig, playback="false") as one:
        offer = await one.offer()
        assert len(offer.media) == 2
        assert opener.requests == []
        assert len(rig.leases.held) == 1
