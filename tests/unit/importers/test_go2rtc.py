"""go2rtc.yaml: every form of an address, variables, WebRTC and the login."""

from __future__ import annotations

import pytest

from h5sup.importers.draft import Fate
from tests.unit.importers.rig import Outcome, example, outcome_of


@pytest.fixture(scope="module")
def whole() -> Outcome:
    return example("go2rtc", "go2rtc.yaml")


def of(address: str, **environment: str) -> Outcome:
    return outcome_of("go2rtc", f"streams:\n  cam: '{address}'\n", **environment)


def test_address_becomes_a_source_that_runs_on_demand_as_there(whole: Outcome) -> None:
    assert whole.sources["sonoff"] == {
        "token": "sonoff",
        "type": "rtsp",
        "url": "rtsp://192.0.2.31/av_stream/ch0",
        "user": "rtsp",
        "password": "cam-secret-5",
        "audio": True,
        "connect": "ondemand",
    }


def test_preloaded_source_connects_always(whole: Outcome) -> None:
    assert whole.sources["dahua"]["connect"] == "always"


def test_first_address_of_a_list_is_taken_and_the_others_are_named(whole: Outcome) -> None:
    dahua = whole.sources["dahua"]
    assert "subtype=0&unicast=true" in dahua["url"]
    assert dahua["password"] == "p@ss/cam-secret-6"
    assert "one address" in whole.line("streams.dahua[1]")
    assert "another form" in whole.line("streams.dahua[2]")


def test_variable_stays_a_variable(whole: Outcome) -> None:
    assert whole.sources["env"]["password"] == "${CAMERA_PASSWORD}"
    assert whole.draft.environment.missing == {"CAMERA_PASSWORD"}
    assert "not encoded" in whole.line("streams.env", Fate.CHANGED)


def test_default_of_a_variable_stands_where_it_is_not_set(whole: Outcome) -> None:
    source = whole.sources["env_default"]
    assert (source["user"], source["password"]) == ("viewer", "cam-secret-7")
    assert whole.draft.environment.defaulted == {"CAMERA_USER", "CAMERA_PASS"}


def test_default_gives_way_to_a_variable_that_is_set() -> None:
    source = of("rtsp://u:${PW:none}@192.0.2.1/", PW="x").sources["cam"]
    assert source["password"] == "${PW}"


def test_variable_of_a_name_that_we_do_not_take_is_left(whole: Outcome) -> None:
    assert "variable" in whole.line("streams.env_odd")


def test_ffmpeg_in_front_and_options_behind_are_understood(whole: Outcome) -> None:
    glitchy = whole.sources["glitchy_camera"]
    assert glitchy["url"] == "rtsp://192.0.2.36/live/ch00_1"
    assert glitchy["name"] == "glitchy camera"
    assert (glitchy["transport"], glitchy["audio"]) == ("udp", False)
    assert any("#timeout" in line for line in whole.lines("streams.glitchy camera", Fate.CHANGED))


@pytest.mark.parametrize(
    ("address", "audio"),
    [
        ("rtsp://192.0.2.1/", True),
        ("rtsp://192.0.2.1/#media=video", False),
        ("rtsp://192.0.2.1/#backchannel=0", True),
        ("ffmpeg:rtsp://192.0.2.1/", True),
        ("ffmpeg:rtsp://192.0.2.1/#video=copy", False),
        ("ffmpeg:rtsp://192.0.2.1/#video=copy#audio=pcmu", True),
    ],
)
def test_sound_is_taken_where_go2rtc_took_it(address: str, audio: bool) -> None:
    assert of(address).sources["cam"]["audio"] is audio


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_transport_is_kept(transport: str) -> None:
    source = of(f"rtsp://192.0.2.1/#transport={transport}").sources["cam"]
    assert source["transport"] == transport


def test_transcoding_is_said_to_come_by_itself(whole: Outcome) -> None:
    lines = whole.lines("streams.rotated", Fate.CHANGED)
    assert any("transcoded only for those" in line for line in lines)
    assert any("#rotate" in line for line in lines)


def test_other_schemes_and_files(whole: Outcome) -> None:
    assert whole.sources["unifi"]["url"].startswith("rtsps://192.0.2.35:7441/")
    assert whole.sources["reolink"]["url"].startswith("http://192.0.2.38/flv?")
    assert whole.sources["rtmp"]["url"].startswith("rtmp://192.0.2.38/bcs/")
    movie = whole.sources["movie"]
    assert (movie["type"], movie["url"]) == ("file", "BigBuckBunny.mp4")


def test_an_onvif_camera_is_asked_for_its_addresses(whole: Outcome) -> None:
    assert whole.sources["onvif"] == {
        "token": "onvif",
        "type": "onvif",
        "host": "192.0.2.40",
        "port": 80,
        "user": "admin",
        "password": "cam-secret-14",
        "onvif_profile_main": "MediaProfile00000",
        "audio": True,
        "connect": "ondemand",
    }


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("onvif://192.0.2.1", {"host": "192.0.2.1", "port": 80}),
        ("onvif://192.0.2.1:2020/", {"port": 2020}),
        ("onvif://[2001:db8::1]:8000", {"host": "2001:db8::1", "port": 8000}),
        ("onvif://u:p%40x@cam.example:8000/onvif/dev", {"onvif_addr": "/onvif/dev"}),
        ("onvif://u:${PW}@192.0.2.1#media=video", {"password": "${PW}", "audio": False}),
    ],
)
def test_an_onvif_address_is_taken_apart(address: str, told: dict[str, object]) -> None:
    source = of(address, PW="x").sources["cam"]
    assert told.items() <= source.items()
    assert not {"url", "onvif_profile_main"} & source.keys()


def test_a_profile_by_its_place_is_found_by_the_camera() -> None:
    outcome = of("onvif://192.0.2.1?subtype=1")
    assert "onvif_profile_main" not in outcome.sources["cam"]
    assert "not kept" in outcome.line("streams.cam", Fate.CHANGED)
    assert not of("onvif://192.0.2.1?subtype=0").lines("streams.cam", Fate.CHANGED)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("onvif://192.0.2.1?subtype=a&snapshot", "no video"),
        ("onvif://192.0.2.1:99999", "host or port"),
        ("onvif://", "host"),
        ("onvif://a b", "host"),
        ("onvif://192.0.2.1/../x y", "onvif_addr"),
    ],
)
def test_an_onvif_address_of_no_use_is_left_with_a_reason(address: str, words: str) -> None:
    outcome = of(address)
    assert "cam" not in outcome.sources
    assert words in outcome.line("streams.cam")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("again", "another form"),
        ("self", "another form"),
        ("command", "runs no commands"),
        ("echoed", "runs no commands"),
        ("homekit", "begin with homekit:"),
        ("generated", "neither an address nor a file"),
        ("axis", "WebSocket"),
        ("empty", "no address"),
    ],
)
def test_what_can_not_be_opened_is_left_with_a_reason(
    whole: Outcome, name: str, words: str
) -> None:
    assert words in whole.line(f"streams.{name}")
    assert name not in whole.sources


def test_source_of_another_shape_is_left() -> None:
    outcome = outcome_of("go2rtc", "streams: {cam: {url: x}, list: [[rtsp://192.0.2.1/]]}")
    assert outcome.line("streams.cam") == "it has no address"
    assert outcome.line("streams.list[0]") == "it is neither an address nor a file"


def test_two_names_for_one_token_are_told_apart() -> None:
    text = "streams: {a b: rtsp://192.0.2.1/, a_b: rtsp://192.0.2.2/, a/b: rtsp://192.0.2.3/}"
    outcome = outcome_of("go2rtc", text)
    assert list(outcome.sources) == ["a_b", "a_b_2", "a_b_3"]
    assert "is taken" in outcome.line("streams.a_b", Fate.CHANGED)


def test_login_becomes_an_administrator(whole: Outcome) -> None:
    (user,) = whole.raw["auth"]["users"]
    wanted = {"name": "admin", "password": "api-secret-1", "role": "Administrator"}
    assert user == wanted


def test_webrtc_keeps_its_port_addresses_and_servers(whole: Outcome) -> None:
    rtc = whole.raw["rtc"]
    assert (rtc["port"], rtc["public_ips"]) == (8555, ["203.0.113.7"])
    assert rtc["ice_servers"] == [
        {"urls": ["stun:stun.example:3478"]},
        {
            "urls": ["turn:203.0.113.9:3478"],
            "username": "your_user",
            "credential": "turn-secret-3",
        },
    ]
    assert "no names and no STUN" in whole.line("webrtc.candidates[1]")
    assert "no names and no STUN" in whole.line("webrtc.candidates[2]")


@pytest.mark.parametrize("listen", [":http", "9999999", ":"])
def test_port_that_is_none_is_left(listen: str) -> None:
    outcome = outcome_of("go2rtc", f"webrtc: {{listen: '{listen}', candidates: ['[x']}}")
    assert outcome.line("webrtc.listen").startswith("rtc.port expected")
    assert "no names" in outcome.line("webrtc.candidates[0]")


def test_pages_of_one_origin_may_go_on_calling() -> None:
    outcome = outcome_of("go2rtc", "api: {origin: 'https://a.example'}")
    assert outcome.raw["http"] == {"cors_origins": ["https://a.example"]}


def test_unknown_sections_are_named(whole: Outcome) -> None:
    assert whole.line("the file") == "config.json has nothing for hass"
