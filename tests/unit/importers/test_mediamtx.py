"""mediamtx.yml: paths, their defaults, users, HLS and WebRTC."""

from __future__ import annotations

import pytest

from h5sup.importers.draft import Fate
from tests.unit.importers.rig import Outcome, example, outcome_of


@pytest.fixture(scope="module")
def whole() -> Outcome:
    return example("mediamtx", "mediamtx.yml")


def test_path_that_is_pulled_becomes_a_source(whole: Outcome) -> None:
    assert whole.sources["garden"] == {
        "token": "garden",
        "type": "rtsp",
        "url": "rtsp://192.0.2.51:554/stream1",
        "user": "user",
        "password": "cam-secret-9",
        "connect": "ondemand",
        "transport": "tcp",
        "record": "always",
    }


def test_path_takes_the_defaults_of_all_paths(whole: Outcome) -> None:
    secure = whole.sources["secure"]
    assert (secure["connect"], secure["transport"]) == ("always", "auto")


def test_tunnelled_rtsp_keeps_its_transport_and_the_slash_goes(whole: Outcome) -> None:
    hall = whole.sources["hall_left"]
    assert (hall["url"], hall["transport"]) == ("rtsp://192.0.2.52/stream", "http")
    assert hall["name"] == "hall/left"


def test_tunnel_with_tls_is_https() -> None:
    outcome = outcome_of("mediamtx", "paths: {a: {source: 'rtsps+http://u:p@192.0.2.1/'}}")
    source = outcome.sources["a"]
    assert (source["url"], source["transport"], source["user"]) == (
        "rtsp://192.0.2.1/",
        "https",
        "u",
    )


def test_multicast_is_replaced_and_said_so(whole: Outcome) -> None:
    assert "transport" not in whole.sources["many"]
    assert whole.line("paths.many.rtspTransport", Fate.CHANGED)


def test_transport_by_its_older_name() -> None:
    text = "paths: {a: {source: rtsp://192.0.2.1/, sourceProtocol: udp}}"
    assert outcome_of("mediamtx", text).sources["a"]["transport"] == "udp"


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("paths.pushed", "pushed sources"),
        ("paths.pushed_by_command", "pushed sources"),
        ("paths.pi", "rpiCamera can't"),
        ("paths.elsewhere", "redirect can't"),
        ("paths.udp", "begin with udp+mpegts:"),
        ("paths.dynamic", "who watches"),
        (r"paths.~^cam(\d+)$", "many paths"),
        ("paths.all_others", "many paths"),
        ("paths.garden.runOnReady", "no commands"),
        ("runOnConnect", "no commands"),
        ("rtsp", "no such output"),
        ("srt", "no such output"),
        ("authInternalUsers[0]", "auth.anonymous_view"),
        ("authInternalUsers[3]", "some paths alone"),
        ("authInternalUsers[4]", "some addresses alone"),
        ("authInternalUsers[5]", "hash is of another kind"),
        ("authInternalUsers[6]", "neither watch nor administer"),
        ("webrtcAdditionalHosts[1]", "no names"),
        ("webrtcICEServers2[2]", "shared secret"),
        ("the file", "logLevel, readTimeout, hls"),
    ],
)
def test_what_is_left_out_is_said_with_its_place(whole: Outcome, where: str, words: str) -> None:
    assert words in whole.line(where)


def test_recordings_are_cut_and_kept_as_all_paths_say() -> None:
    text = """
pathDefaults: {record: yes, recordSegmentDuration: 1h, recordDeleteAfter: 36h, recordPath: ./x}
paths:
  a: {source: rtsp://192.0.2.1/}
  b: {source: rtsp://192.0.2.2/, record: no}
  c: {source: rtsp://192.0.2.3/, recordDeleteAfter: 7d}
"""
    outcome = outcome_of("mediamtx", text)
    found = {token: source.get("record") for token, source in outcome.sources.items()}
    assert found == {"a": "always", "b": None, "c": "always"}
    assert outcome.raw["recording"] == {"segment_s": 3600, "max_days": 2}
    assert "equally long" in outcome.line("paths.c.recordDeleteAfter")


def test_nothing_is_said_of_recordings_that_nobody_makes() -> None:
    text = "pathDefaults: {recordDeleteAfter: 1d}\npaths: {a: {source: rtsp://192.0.2.1/}}"
    outcome = outcome_of("mediamtx", text)
    assert "recording" not in outcome.raw
    assert not outcome.lines("pathDefaults")


def test_what_is_off_is_not_spoken_of(whole: Outcome) -> None:
    assert not whole.lines("rtmp")
    assert not whole.lines("pathDefaults")


def test_nobody_gets_in_who_did_not_need_a_password(whole: Outcome) -> None:
    users = {user["name"]: user["role"] for user in whole.raw["auth"]["users"]}
    assert users == {"boss": "Administrator", "watcher": "Viewer"}
    assert "anonymous_view" not in whole.raw["auth"]


def test_anybody_who_may_only_call_the_api_is_left() -> None:
    text = "authInternalUsers: [{user: any, permissions: [{action: api}]}]"
    assert "no password" in outcome_of("mediamtx", text).line("authInternalUsers[0]")


@pytest.mark.parametrize("method", ["http", "jwt"])
def test_users_that_did_not_count_do_not_come_over(method: str) -> None:
    user = "{user: bob, pass: hunter2, permissions: [{action: api}]}"
    outcome = outcome_of("mediamtx", f"authMethod: {method}\nauthInternalUsers: [{user}]")
    assert "auth" not in outcome.raw
    assert "another server" in outcome.line("authMethod")


def test_hls_and_webrtc_keep_their_settings(whole: Outcome) -> None:
    assert whole.raw["hls"] == {"segments": 7, "segment_s": 1.0, "part_s": 0.2}
    assert whole.raw["rtc"] == {
        "port": 8189,
        "public_ips": ["203.0.113.7"],
        "ice_servers": [
            {"urls": ["stun:stun.example:3478"]},
            {
                "urls": ["turn:turn.example:3478"],
                "username": "user",
                "credential": "turn-secret-7",
            },
        ],
    }


def test_webrtc_that_was_off_stays_off() -> None:
    outcome = outcome_of("mediamtx", "paths: {}\nwebrtc: no\nwebrtcLocalUDPAddress: :8189")
    assert outcome.raw["rtc"] == {"port": 0}


def test_only_secret_based_servers_leave_no_list() -> None:
    text = "webrtcICEServers2: [{url: 'turn:t.example', username: AUTH_SECRET, password: x}]"
    assert "rtc" not in outcome_of("mediamtx", text).raw


def test_duration_that_is_none_is_left() -> None:
    outcome = outcome_of("mediamtx", "paths: {}\nhlsSegmentDuration: soon")
    assert outcome.line("hlsSegmentDuration").startswith("hls.segment_s expected")


def test_login_of_a_path_is_named_and_details_of_what_is_left_are_not() -> None:
    text = """
paths:
  a:
    source: rtsp://192.0.2.1/
    readUser: bob
    readPass: hunter2
    runOnReadyRestart: yes
    recordPath: ./x
    maxReaders: 3
"""
    outcome = outcome_of("mediamtx", text)
    assert "add a user" in outcome.line("paths.a.readPass")
    assert outcome.line("paths.a") == "config.json has nothing for maxReaders"


def test_variable_of_ours_in_an_address_is_refused() -> None:
    outcome = outcome_of("mediamtx", "paths: {a: {source: 'rtsp://u:${HOME}@192.0.2.1/'}}")
    assert "would take for a variable" in outcome.line("paths.a")


@pytest.mark.parametrize("source", ["5", "[]", "cam"])
def test_source_that_is_no_address_is_left(source: str) -> None:
    outcome = outcome_of("mediamtx", f"paths: {{a: {{source: {source}}}, b: x}}")
    assert outcome.line("paths.a")
    assert outcome.line("paths.b")
    assert outcome.raw["sources"] == []
