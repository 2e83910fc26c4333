"""What a running server tells the support bundle."""

from __future__ import annotations

import json

import msgspec

from h5sup.api.report import build_report
from h5sup.api.services import SERVICES
from h5sup.base.clock import utc_now
from h5sup.ffmpeg.codecs import Codecs
from h5sup.ffmpeg.supervisor import LogLine
from h5sup.metrics.machine import Load
from tests.api.conftest import Backend
from tests.fakes.nvr import config


async def test_report_has_states_and_logs_and_no_password(backend: Backend) -> None:
    front = backend.sources.get("front")
    front.main.channel.set_state("BACKOFF", "no answer from rtsp://u:camera-secret@192.0.2.7")
    front.main.log_lines = [LogLine(utc_now(), "it said something")]
    front.config = msgspec.structs.replace(
        front.config, url="rtsp://u:camera-secret@192.0.2.7/live"
    )
    await backend.devices.add(config(password="recorder-secret"))
    services = backend.client.app[SERVICES]

    text = build_report(services, load=Load(), codecs=Codecs(), lines=["a line"])
    report = json.loads(text)

    assert b"camera-secret" not in text
    assert b"recorder-secret" not in text
    assert [one["strToken"] for one in report["devices"]] == ["nvr"]
    states = [(one["strToken"], one["strState"]) for one in report["sources"]]
    assert states == [("front", "BACKOFF"), ("back", "STOPPED"), ("clip", "STOPPED")]
    assert report["logs"][0]["log"][0]["strLine"] == "it said something"
    assert (report["lines"], report["ws_viewers"]) == (["a line"], 2)
    assert report["codecs"]["strSWEncoders"] == ""


async def test_codecs_that_are_not_known_yet_are_none(backend: Backend) -> None:
    services = backend.client.app[SERVICES]

    report = json.loads(build_report(services, load=Load(), codecs=None, lines=[]))

    assert report["codecs"] is None
