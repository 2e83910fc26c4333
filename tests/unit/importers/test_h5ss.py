"""h5ss.conf, section by section."""

from __future__ import annotations

import json
from typing import Any

import pytest

from h5sup.importers.draft import Fate
from tests.unit.importers.rig import Outcome, example, outcome_of

MD5 = "827ccb0eea8a706c4c34a16891f84e7b"
STREAM = {"strName": "Cam", "strToken": "cam", "nType": "H5_STREAM", "strUrl": "rtsp://192.0.2.1/"}


@pytest.fixture(scope="module")
def whole() -> Outcome:
    return example("h5ss", "h5ss.conf")


def of(**sections: Any) -> Outcome:
    return outcome_of("h5ss", json.dumps(sections))


def of_source(**keys: Any) -> dict[str, Any]:
    (source,) = of(source={"src": [STREAM | keys]}).raw["sources"]
    assert isinstance(source, dict)
    return source


def test_settings_are_those_of_the_old_file(whole: Outcome) -> None:
    assert whole.raw["http"] == {"port": 8081}
    assert whole.raw["hls"] == {"ts": True, "segments": 5, "segment_s": 3}
    assert whole.raw["rtc"] == {"port": 51000, "public_ips": ["203.0.113.7"]}
    assert whole.raw["auth"]["session_timeout_s"] == 900
    assert whole.raw["auth"]["anonymous_view"] is True


def test_users_keep_their_md5_and_role_and_the_first_of_a_name_wins(whole: Outcome) -> None:
    users = {user["name"]: (user["password"], user["role"]) for user in whole.raw["auth"]["users"]}
    other = "5ebe2294ecd0e0f08eab7690d2a6ee69"
    assert users == {
        "admin": (MD5, "Administrator"),
        "guard": (other, "Operator"),
        "auditor": (other, "Viewer"),
    }
    assert "further up" in whole.line("user.users[2]")
    assert "no MD5" in whole.line("user.users[3]")
    assert "made a Viewer" in whole.line("user.users[4].strUserType", Fate.CHANGED)


def test_source_brings_address_login_and_choices(whole: Outcome) -> None:
    assert whole.sources["front"] == {
        "token": "front",
        "name": "Front",
        "type": "rtsp",
        "url": "rtsp://192.0.2.10/h264",
        "user": "viewer",
        "password": "cam-secret-3",
        "transport": "tcp",
        "connect": "always",
        "audio": True,
        "pre_record_s": 15,
    }


def test_source_takes_the_choices_of_its_section(whole: Outcome) -> None:
    back = whole.sources["back"]
    assert (back["connect"], back["transport"], back["audio"]) == ("ondemand", "udp", False)
    assert (back["user"], back["password"]) == ("root", "cam-secret-4")
    assert back["url"] == "rtsp://192.0.2.11:8554/live?channel=1"


def test_first_of_two_equal_tokens_wins(whole: Outcome) -> None:
    assert whole.sources["front"]["url"].endswith("192.0.2.10/h264")
    assert "the first one wins" in whole.line("source.src[2]")


def test_token_in_other_letters_is_made_anew_and_stays_the_name(whole: Outcome) -> None:
    assert whole.sources["source"]["name"] == "前门"
    assert "'source'" in whole.line("source.src[3]", Fate.CHANGED)


def test_file_is_to_be_copied_below_the_media_folder(whole: Outcome) -> None:
    assert (whole.sources["clip"]["type"], whole.sources["clip"]["url"]) == ("file", "clip.mp4")
    assert whole.sources["demo"]["url"] == "h5ss/demo.mp4"
    assert "paths.media_root" in whole.line("source.src[4].strUrl", Fate.CHANGED)


def test_an_onvif_camera_is_asked_for_its_addresses(whole: Outcome) -> None:
    dome = whole.sources["dome"]
    assert (dome["type"], dome["host"], dome["port"]) == ("onvif", "192.0.2.14", 80)
    assert (dome["user"], dome["password"]) == ("admin", "cam-secret-5")
    assert not {"url", "onvif_profile_main"} & dome.keys()


def test_an_onvif_cameras_profiles_and_path_come_along() -> None:
    source = of_source(
        nType="H5_ONVIF",
        strUrl="rtsp://10.0.0.1/told-last",
        strSrcIpAddress="192.0.2.1",
        strSrcPort="8000",
        strOnvifAddr="/onvif/dev",
        bOnvifProfileAuto=False,
        strOnvifProfileMain="Profile_1",
        strOnvifProfileSub="Profile_2",
    )
    assert (source["host"], source["port"], source["onvif_addr"]) == (
        "192.0.2.1",
        8000,
        "/onvif/dev",
    )
    assert (source["onvif_profile_main"], source["onvif_profile_sub"]) == (
        "Profile_1",
        "Profile_2",
    )
    auto = of_source(
        nType="H5_ONVIF",
        strSrcIpAddress="h",
        bOnvifProfileAuto=True,
        strOnvifProfileMain="Profile_1",
    )
    assert "onvif_profile_main" not in auto


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("http.nHTTPSPort", "certificate"),
        ("rtsp", "no such output"),
        ("system.nDiskAutoDelPercent", "recording.keep_free_bytes"),
        ("source.src[7]", "pushed sources"),
        ("source.src[8]", "url is not an address, check host and port"),
        ("source.src[9]", "would take for a variable"),
        ("source.src[10]", "nType"),
        ("device.dev[1]", "nType is none of H5_DEV_HIK and H5_DEV_DH"),
        ("device.dev[2]", "host must be a host name"),
        ("gb28181", "GB28181"),
        ("the file", "log"),
    ],
)
def test_what_is_left_out_is_said_with_its_place(whole: Outcome, where: str, words: str) -> None:
    assert words in whole.line(where)


def test_how_long_recordings_are_kept_is_taken_over(whole: Outcome) -> None:
    assert whole.raw["recording"] == {"max_days": 30, "snapshot_days": 0}


def test_pre_roll_goes_to_cameras_and_not_to_files(whole: Outcome) -> None:
    pre_rolls = {token: source.get("pre_record_s") for token, source in whole.sources.items()}
    assert (pre_rolls["front"], pre_rolls["dome"]) == (15, 15)
    assert (pre_rolls["clip"], pre_rolls["demo"]) == (None, None)
    assert "stays connected" in whole.line("source.bEnablePreRecord", Fate.CHANGED)


def test_a_longer_pre_roll_becomes_the_longest() -> None:
    text = """{"source": {"bEnablePreRecord": true, "nPreRecordLength": 600,
        "src": [{"strToken": "a", "nType": "H5_STREAM", "strUrl": "rtsp://192.0.2.1/"}]}}"""
    assert outcome_of("h5ss", text).sources["a"]["pre_record_s"] == 120


def test_devices_are_taken_over(whole: Outcome) -> None:
    assert whole.raw["devices"] == [
        {
            "token": "nvr",
            "type": "hik",
            "host": "192.0.2.20",
            "port": 8000,
            "audio": False,
            "name": "NVR",
            "user": "admin",
            "password": "nvr-secret-8",
        },
        {"token": "front_2", "type": "dahua", "host": "192.0.2.21", "port": 37777, "audio": True},
    ]
    assert "'nvr', its channels nvr--1" in whole.line("device.dev[0]", Fate.TAKEN)
    assert "the other one is taken" in whole.line("device.dev[3]", Fate.CHANGED)
    assert "3 devices" not in whole.draft.count()
    assert ", 2 devices, " in whole.draft.count()


def test_what_is_off_is_not_spoken_of(whole: Outcome) -> None:
    places = {line.where.split(".")[0] for line in whole.draft.lines}
    assert places.isdisjoint({"rtmp", "flv", "cloud"})


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("always", "H5_ALWAYS"), ("ondemand", "H5_ONDEMAND"), ("auto", "H5_AUTO"), ("auto", "")],
)
def test_every_way_to_connect(ours: str, theirs: str) -> None:
    assert of_source(nConnectType=theirs)["connect"] == ours


@pytest.mark.parametrize("ours", ["tcp", "udp", "http", "https", "auto"])
def test_every_transport(ours: str) -> None:
    assert of_source(nRTSPType=f"H5_RTSP_{ours.upper()}")["transport"] == ours


def test_own_user_wins_over_the_one_in_the_address() -> None:
    source = of_source(strUrl="rtsp://a:b@192.0.2.1/", strUser="c", strPasswd="d")
    assert (source["url"], source["user"], source["password"]) == ("rtsp://192.0.2.1/", "c", "d")


@pytest.mark.parametrize("kind", ["H5_CLOUD", "H5_CH_DEV", "H5_CH_GB"])
def test_other_kinds_of_sources_are_left_with_a_reason(kind: str) -> None:
    outcome = of(source={"src": [STREAM | {"nType": kind}]})
    words = "come by themselves" if kind == "H5_CH_DEV" else "not there yet"
    assert words in outcome.line("source.src[0]")
    assert outcome.raw["sources"] == []


@pytest.mark.parametrize(("kind", "ts"), [("V1", True), ("V2", False), ("NONE", False)])
def test_hls_v1_is_written_where_it_was(kind: str, ts: bool) -> None:
    outcome = of(hls={"nHLSSinkType": f"H5_HLS_{kind}"})
    assert outcome.raw["hls"] == {"ts": ts}
    assert bool(outcome.lines("hls.nHLSSinkType", Fate.CHANGED)) == (kind == "NONE")


def test_webrtc_that_was_off_stays_off() -> None:
    assert of(webrtc={"bWebRTCSink": False, "nPortRangeMin": 50000}).raw["rtc"] == {"port": 0}


def test_login_is_never_switched_off() -> None:
    outcome = of(http={"bAuth": False}, user={"bTokenAuth": False})
    assert "enabled" not in outcome.raw.get("auth", {})
    assert "auth.enabled" in outcome.line("http.bAuth")
    assert "auth.enabled" in outcome.line("user.bTokenAuth")


def test_value_out_of_range_is_left_with_the_range() -> None:
    outcome = of(system={"nLoginTimeout": 5}, http={"nHTTPPort": "none"})
    assert ">= 10" in outcome.line("system.nLoginTimeout")
    assert "whole number" in outcome.line("http.nHTTPPort")
    assert outcome.raw == {"sources": []}


def test_someone_may_administer_when_nobody_could() -> None:
    user = {"strUser": "admin", "strPasswd": MD5, "strUserType": "Viewer"}
    outcome = of(user={"users": [user]})
    old, new = outcome.raw["auth"]["users"]
    assert (old["name"], new["name"], new["role"]) == ("admin", "admin-2", "Administrator")
    assert len(new["password"]) >= 16
    assert new["password"] not in outcome.line("the file", Fate.CHANGED)


def test_without_users_the_report_tells_how_to_sign_in() -> None:
    outcome = of(http={"nHTTPPort": 8080})
    assert "auth" not in outcome.raw
    assert "admin with 12345" in outcome.line("the file", Fate.CHANGED)


def test_cluster_that_was_on_is_left_out() -> None:
    assert "clusters" in of(cloud={"bEnable": True, "strPasswd": MD5}).line("cloud")


def test_user_without_a_name_is_left() -> None:
    outcome = of(user={"users": [{"strPasswd": MD5, "strUserType": "Viewer"}]})
    assert outcome.line("user.users[0]").startswith("name expected")
