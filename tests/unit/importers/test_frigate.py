"""Frigate's config.yml: roles, references to its go2rtc, variables."""

from __future__ import annotations

import pytest

from h5sup.importers.draft import Fate
from tests.unit.importers.rig import Outcome, example, outcome_of


@pytest.fixture(scope="module")
def whole() -> Outcome:
    return example("frigate", "frigate.yml")


def of_inputs(*inputs: str, more: str = "") -> Outcome:
    listed = "".join(f"        - {each}\n" for each in inputs)
    return outcome_of("frigate", f"cameras:\n  cam:\n    ffmpeg:\n{more}      inputs:\n{listed}")


def test_recorded_input_is_main_and_detected_one_is_sub(whole: Outcome) -> None:
    assert whole.sources["back"] == {
        "token": "back",
        "name": "Back garden",
        "type": "rtsp",
        "url": "rtsp://192.0.2.61:554/live",
        "user": "viewer",
        "password": "${FRIGATE_RTSP_PASSWORD}",
        "audio": True,
        "sub": {"url": "rtsp://192.0.2.61:554/cam/realmonitor?channel=1&subtype=2"},
        "connect": "always",
    }
    assert whole.draft.environment.missing == {"FRIGATE_RTSP_PASSWORD"}


def test_two_logins_stand_in_the_addresses(whole: Outcome) -> None:
    front = whole.sources["front"]
    assert front["url"] == "rtsp://admin:pa%23ss%2Fcam-secret-4@192.0.2.63:554/main"
    assert front["sub"]["url"] == "rtsp://guest:cam-secret-5@192.0.2.63:554/sub"
    assert "user" not in front


def test_third_input_is_left(whole: Outcome) -> None:
    assert "no more" in whole.line("cameras.front.ffmpeg.inputs[2]")


def test_one_input_is_enough_and_udp_is_kept(whole: Outcome) -> None:
    side = whole.sources["side"]
    assert (side["url"], side["transport"]) == ("rtsp://192.0.2.64:554/live", "udp")
    assert "sub" not in side


def test_entry_of_go2rtc_that_no_camera_reads_is_a_source_too(whole: Outcome) -> None:
    assert whole.sources["doorbell"]["url"].startswith("http://192.0.2.62/flv?")
    assert "back_sub" not in whole.sources


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("cameras.shed", "switched off"),
        ("cameras.lost", "none of its inputs"),
        ("cameras.lost.ffmpeg.inputs[0]", "not in this file"),
        ("cameras.back.onvif", "type onvif has PTZ"),
        ("cameras.front.record", "events alone"),
        ("cameras.back", "detect"),
        ("go2rtc.webrtc.candidates[1]", "no STUN"),
        ("mqtt", "events"),
        ("auth", "database"),
        ("the file", "detectors, version"),
    ],
)
def test_what_is_left_out_is_said_with_its_place(whole: Outcome, where: str, words: str) -> None:
    assert words in whole.line(where)


@pytest.mark.parametrize(
    "kept",
    ["retain: {days: 6.5, mode: all}", "continuous: {days: 7}", "retain: {days: 7, mode: motion}"],
)
def test_what_is_recorded_all_day_is_recorded_always(kept: str) -> None:
    text = f"""
record: {{enabled: true, {kept}}}
cameras:
  cam: {{ffmpeg: {{inputs: [{{path: 'rtsp://192.0.2.1/', roles: [record]}}]}}}}
  off:
    ffmpeg: {{inputs: [{{path: 'rtsp://192.0.2.2/', roles: [detect]}}]}}
    record: {{enabled: false}}
"""
    outcome = outcome_of("frigate", text)
    assert outcome.sources["cam"]["record"] == "always"
    assert "record" not in outcome.sources["off"]
    assert outcome.raw["recording"] == {"max_days": 7}
    told = outcome.lines("record", Fate.CHANGED)
    assert told == (["everything is recorded, not what moves alone"] if "motion" in kept else [])


def test_login_is_not_given_to_a_camera_that_had_none() -> None:
    outcome = of_inputs(
        "{path: 'rtsp://u:p@192.0.2.1/main', roles: [record]}",
        "{path: 'rtsp://192.0.2.2/sub', roles: [detect]}",
    )
    source = outcome.sources["cam"]
    assert (source["url"], source["sub"]) == (
        "rtsp://u:p@192.0.2.1/main",
        {"url": "rtsp://192.0.2.2/sub"},
    )
    assert "user" not in source


@pytest.mark.parametrize(
    "more",
    ["      input_args: preset-rtsp-udp\n", "      input_args: [-rtsp_transport, udp, -x]\n"],
)
def test_udp_is_found_in_arguments_however_written(more: str) -> None:
    outcome = of_inputs("{path: 'rtsp://192.0.2.1/', roles: [detect]}", more=more)
    assert outcome.sources["cam"]["transport"] == "udp"


def test_arguments_of_the_input_itself_win() -> None:
    path = "{path: 'rtsp://192.0.2.1/', input_args: preset-rtsp-generic, roles: [detect]}"
    outcome = of_inputs(path, more="      input_args: preset-rtsp-udp\n")
    assert "transport" not in outcome.sources["cam"]


def test_file_that_go2rtc_plays_has_no_sub() -> None:
    outcome = outcome_of(
        "frigate",
        """
go2rtc: {streams: {film: "ffmpeg:/media/film.mp4"}}
cameras:
  cam:
    ffmpeg:
      inputs:
        - {path: "rtsp://127.0.0.1:8554/film", roles: [record]}
        - {path: "rtsp://192.0.2.1/sub", roles: [detect]}
""",
    )
    assert outcome.sources["cam"]["type"] == "file"
    assert "no more" in outcome.line("cameras.cam.ffmpeg.inputs[1]")


def test_camera_without_any_address_is_left() -> None:
    assert "none of its inputs" in outcome_of("frigate", "cameras: {a: {}}").line("cameras.a")


def test_camera_whose_go2rtc_entry_can_not_be_opened_is_left() -> None:
    outcome = outcome_of(
        "frigate",
        "go2rtc: {streams: {a: 'exec:x'}}\n"
        "cameras: {a: {ffmpeg: {inputs: [{path: 'rtsp://localhost:8554/a', roles: [detect]}]}}}",
    )
    assert "runs no commands" in outcome.line("go2rtc.streams.a")
    assert outcome.raw["sources"] == []


def test_old_file_with_a_restream_role_reads_the_camera_once() -> None:
    outcome = of_inputs(
        "{path: 'rtsp://127.0.0.1:8554/cam', roles: [record, detect]}",
        "{path: 'rtsp://192.0.2.5:554/live0', roles: [restream]}",
    )
    assert outcome.sources["cam"]["url"] == "rtsp://192.0.2.5:554/live0"
    assert "not in this file" in outcome.line("cameras.cam.ffmpeg.inputs[0]")
    assert not outcome.lines("cameras.cam", Fate.CHANGED)
