"""What players say of the past and what they hear: in all the ways that were seen."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from unittest.mock import Mock, call

import pytest

from h5sup.base.errors import InvalidError
from h5sup.bus.playback import Position
from h5sup.outputs.playback_wire import (
    build_error_event,
    build_session_event,
    build_time_event,
    obey,
    read_request,
    wants_playback,
)

CHINA = timezone(timedelta(hours=8))
NOON = datetime(2020, 5, 1, 12, tzinfo=CHINA)
RANGE = {"begintime": "2020-05-01T12:00:00+08:00", "endtime": "2020-5-1T13:0:0 08"}


def test_a_range_of_time() -> None:
    query = {"token": "front", "playback": "true", "serverpb": "true", "hevc": "true", **RANGE}
    assert wants_playback(query)
    found = read_request(query, UTC)
    assert (found.token, found.begin, found.filename) == ("front", NOON, "")
    assert found.end == NOON + timedelta(hours=1)
    assert found.from_server
    assert found.hevc


def test_a_file_by_its_name() -> None:
    query = {"token": "front", "begintime": "0", "endtime": "0", "filename": "front-1.mp4"}
    found = read_request(query, UTC)
    assert (found.begin, found.end, found.filename) == (None, None, "front-1.mp4")
    assert not found.from_server
    assert not found.hevc


def test_times_without_a_zone_are_of_the_servers() -> None:
    query = {"begintime": "2020-05-01T12:00:00", "endtime": "2020-05-01T13:00:00"}
    assert read_request(query, CHINA).begin == NOON


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, "begintime: give begintime and endtime, or filename"),
        ({"begintime": "0", "endtime": "0"}, "begintime: give"),
        (RANGE | {"endtime": "0"}, "endtime: is missing"),
        (RANGE | {"begintime": ""}, "begintime: is missing"),
        (RANGE | {"endtime": RANGE["begintime"]}, "endtime: must be after begintime"),
        (RANGE | {"begintime": "yesterday"}, "begintime: must be a time"),
    ],
)
def test_what_names_nothing_to_play(query: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidError, match=words):
        read_request(query, UTC)


@pytest.mark.parametrize("query", [{}, {"playback": "false"}, {"playback": ""}])
def test_what_is_live(query: dict[str, str]) -> None:
    assert not wants_playback(query)


@pytest.mark.parametrize(
    ("said", "done"),
    [
        ({"cmd": "H5_START"}, [call.start()]),
        ({"cmd": "H5_PAUSE"}, [call.pause()]),
        ({"cmd": "H5_RESUME"}, [call.resume()]),
        ({"cmd": "H5_SEEK", "nSeekTime": 30}, [call.seek(30.0)]),
        ({"cmd": "H5_SEEK", "nTime": "12.5"}, [call.seek(12.5)]),
        ({"cmd": "H5_SEEK", "nSeekTime": -3}, [call.seek(0.0)]),
        ({"cmd": "H5_SPEED", "nSpeed": "2.0"}, [call.set_speed(2.0)]),
        ({"cmd": "H5_SPEED", "nSpeed": 4}, [call.set_speed(4.0)]),
        ({"cmd": "H5_MOVETO", "strMovetoTime": "2020-05-01T04:00:00Z"}, [call.move_to(NOON)]),
        ({"cmd": "H5_MOVETO", "strMovetoTime": "2020-05-01T12:00:00"}, [call.move_to(NOON)]),
        ({"cmd": "H5_KEEPALIVE"}, []),
        ({"cmd": ["H5_START"]}, []),
        ({"type": "keepalive"}, []),
        ({}, []),
    ],
)
def test_commands(said: dict[str, Any], done: list[Any]) -> None:
    playback = Mock()
    obey(playback, said, CHINA)
    assert playback.mock_calls == done


@pytest.mark.parametrize(
    "said",
    [
        {"cmd": "H5_SEEK"},
        {"cmd": "H5_SEEK", "nSeekTime": "soon"},
        {"cmd": "H5_SEEK", "nSeekTime": None},
        {"cmd": "H5_SEEK", "nSeekTime": float("nan")},
        {"cmd": "H5_SEEK", "nSeekTime": 10**400},
        {"cmd": "H5_SPEED", "nSpeed": "inf"},
        {"cmd": "H5_SPEED", "nSpeed": {}},
        {"cmd": "H5_MOVETO"},
        {"cmd": "H5_MOVETO", "strMovetoTime": 7},
    ],
)
def test_commands_that_lack_what_they_need(said: dict[str, Any]) -> None:
    playback = Mock()
    with pytest.raises(InvalidError, match=r"^(nSeekTime|nTime|nSpeed|strMovetoTime): must be a"):
        obey(playback, said, CHINA)
    assert playback.mock_calls == []


def test_events() -> None:
    assert json.loads(build_session_event(Mock(id="abc"))) == {
        "type": "H5S_EVENT_PB_SESSION",
        "strPbSession": "abc",
    }
    at = NOON.astimezone(UTC) + timedelta(milliseconds=300)
    told = {"strTime": "2020-05-01T12:00:00+08:00", "strExactTime": "2020-05-01T04:00:00.300Z"}
    assert json.loads(build_time_event(Position(at), CHINA)) == {
        "type": "H5S_EVENT_PB_TIME",
        "pbTime": told,
    }
    end = json.loads(build_time_event(Position(at, is_end=True, media_s=7.0004904), CHINA))
    assert end["pbTime"] == told | {"nMediaTime": 7.00049, "bEnd": True}
    assert json.loads(build_error_event(InvalidError("nSpeed", "must be a number"))) == {
        "type": "H5S_EVENT_PB_ERROR",
        "strCode": "nSpeed: must be a number",
    }
