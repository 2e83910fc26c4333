"""How H5Stream's players ask for the past, steer it and hear of it: the same over every socket."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

from h5sup.base.clock import iso_ms
from h5sup.base.errors import InvalidError
from h5sup.bus.playback import Playback, PlaybackRequest, Position
from h5sup.formats.times import parse_time

NO_TIME = ("", "0")  # what players send beside a file name


def wants_playback(query: Mapping[str, str]) -> bool:
    """Return whether a query asks for the past rather than for what is live."""
    return query.get("playback", "").lower() == "true"


def read_request(query: Mapping[str, str], zone: tzinfo) -> PlaybackRequest:
    """Return what a query asks for; `zone` is that of times without one. Raises InvalidError."""
    begin = _read_time(query, "begintime", zone)
    end = _read_time(query, "endtime", zone)
    filename = query.get("filename", "")
    if begin is None and end is None and not filename:
        raise InvalidError("begintime", "give begintime and endtime, or filename")
    if (begin is None) != (end is None):
        missing = "begintime" if begin is None else "endtime"
        raise InvalidError(missing, "is missing: begintime and endtime go together")
    if begin is not None and end is not None and end <= begin:
        raise InvalidError("endtime", "must be after begintime")
    return PlaybackRequest(
        token=query.get("token", ""),
        begin=begin,
        end=end,
        filename=filename,
        from_server=query.get("serverpb", "").lower() == "true",
        hevc=query.get("hevc", "").lower() == "true",
    )


def obey(playback: Playback, said: Mapping[str, Any], zone: tzinfo) -> None:
    """Do what a message of a player commands, if it commands anything.

    Raises InvalidError for a command that lacks what it needs; unknown ones mean nothing.
    """
    match said.get("cmd"):
        case "H5_START":
            playback.start()
        case "H5_PAUSE":
            playback.pause()
        case "H5_RESUME":
            playback.resume()
        case "H5_SEEK":
            key = "nSeekTime" if "nSeekTime" in said else "nTime"  # as the oldest players say
            playback.seek(max(0.0, _read_number(said, key)))
        case "H5_SPEED":
            playback.set_speed(_read_number(said, "nSpeed"))
        case "H5_MOVETO":
            name = "strMovetoTime"
            playback.move_to(parse_time(name, str(said.get(name, "")), zone))
        case _:
            pass


def build_session_event(playback: Playback) -> str:
    """Return the text that tells a page its playback's name, for PbSnapshot."""
    return json.dumps({"type": "H5S_EVENT_PB_SESSION", "strPbSession": playback.id})


def build_time_event(position: Position, zone: tzinfo) -> str:
    """Return the text that tells a page where its playback stands."""
    told: dict[str, object] = {
        "strTime": position.at.astimezone(zone).isoformat(timespec="seconds"),
        "strExactTime": iso_ms(position.at),
    }
    if position.media_s is not None:
        told["nMediaTime"] = round(position.media_s, 6)
    if position.is_end:
        told["bEnd"] = True
    return json.dumps({"type": "H5S_EVENT_PB_TIME", "pbTime": told})


def build_error_event(error: Exception) -> str:
    """Return the text that tells a page why its command was not done; the playback goes on."""
    return json.dumps({"type": "H5S_EVENT_PB_ERROR", "strCode": str(error)})


def _read_time(query: Mapping[str, str], name: str, zone: tzinfo) -> datetime | None:
    text = query.get(name, "").strip()
    return None if text in NO_TIME else parse_time(name, text, zone)


def _read_number(said: Mapping[str, Any], name: str) -> float:
    """Return a number that players send as such or as text."""
    try:
        number = float(said.get(name, ""))
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InvalidError(name, "must be a number")
    return number
