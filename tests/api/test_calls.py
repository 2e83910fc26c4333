"""What each call answers."""

from __future__ import annotations

import logging
from urllib.parse import quote

import msgspec
import pytest

from h5sup.base.errors import H5supError
from h5sup.bus.fragment import Fragment, Run
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.formats.isobmff.track import Track
from tests.api.conftest import Backend
from tests.api.fakes import JPEG, LOADING, FakeRtcFigures


async def test_body_is_json_ended_by_crlf(backend: Backend) -> None:
    response = await backend.get(f"/api/v1/Keepalive?session={backend.sign_in()}")

    assert await response.read() == b'{"bStatus":true,"strCode":"Keepalive successfully"}\r\n'
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "private, no-store"


async def test_system_info_is_what_the_manual_shows(backend: Backend) -> None:
    assert await backend.call(f"/api/v1/GetSystemInfo?session={backend.sign_in('vera')}") == {
        "strVersion": "0.1.0",
        "strHostId": "h" * 32,
        "strLicenseType": "None",
        "strLicenseFull": "",
        "strChannelLimit": "unlimited",
        "strEndtime": "unlimited",
        "bDefaultPassword": False,
    }


async def test_only_an_administrator_learns_of_the_default_password(backend: Backend) -> None:
    answer = await backend.call(f"/api/v1/GetSystemInfo?session={backend.sign_in()}")

    assert answer["bDefaultPassword"] is True


async def test_status_counts_the_viewers(backend: Backend) -> None:
    answer = await backend.call(f"/api/v1/h5swsapi/Status&session={backend.sign_in()}")

    assert answer == {"nConnectCount": 2}


async def test_getsrc_shows_a_source_without_its_password(backend: Backend) -> None:
    response = await backend.get(f"/api/v1/GetSrc?token=front&session={backend.sign_in()}")
    text = await response.text()
    (item,) = (await response.json())["src"]

    assert "camera-secret" not in text
    since = item.pop("strSince")
    assert since.endswith("Z")
    assert item == {
        "nType": "H5_STREAM",
        "strName": "The front door",
        "strToken": "front",
        "strUrl": "rtsp://192.0.2.7/live",
        "strUser": "viewer",
        "strPasswd": "*****",
        "bPasswdEncrypt": False,
        "bEnableAudio": True,
        "nConnectType": "H5_ALWAYS",
        "nRTSPType": "H5_RTSP_AUTO",
        "strSrcIpAddress": "192.0.2.7",
        "strSrcPort": "554",
        "nChannelNumber": 0,
        "bOnvifProfileAuto": False,
        "strOnvifAddr": "",
        "strOnvifProfileMain": "",
        "strOnvifProfileSub": "",
        "bRTSPPlayback": False,
        "nRTSPPlaybackSpeed": 0,
        "bOnline": False,
        "strSnapshotUrl": "/api/v1/GetImage?token=front",
        "bRec": False,
        "strServerToken": "",
        "strOriginalToken": "",
        "strServerUuid": "",
        "strState": "STOPPED",
        "strReason": "",
        "nFps": 0,
        "nBitrateKbps": 0,
        "nViewers": 0,
        "strVideoCodec": "",
        "nWidth": 0,
        "nHeight": 0,
        "bSub": False,
        "bPtz": False,
        "bFixed": True,
        "strNote": "",
        "rtc": [],
    }


async def test_getsrc_tells_how_webrtc_viewers_fare(backend: Backend) -> None:
    backend.rtc_viewers.figures = [FakeRtcFigures("front"), FakeRtcFigures("another")]
    session = backend.sign_in()
    (found,) = (await backend.call(f"/api/v1/GetSrc?token=front&session={session}"))["src"]
    assert found["rtc"] == [
        {
            "strViewer": "7",
            "fLossPercent": 25.0,
            "fJitterMs": 3.1,
            "fRoundTripMs": None,
            "nPackets": 1000,
            "nResent": 12,
        }
    ]


async def test_getsrc_shows_how_a_source_fares(backend: Backend) -> None:
    front = backend.sources.get("front")
    front.viewers = 3
    channel = front.main.channel
    channel.set_state("RUNNING", "")
    video = Track(kind="video", codec="avc1.4D002A", width=1920, height=1080)
    channel.begin(InitSegment(b"", video, None), "")
    for second in (100.0, 102.0, 104.0):  # 50 pictures and 500,000 bytes in two seconds
        run = Run(0, 0, 1, 50)
        channel.publish(Fragment(1, bytes(500_000), True, run, None, second))

    answer = await backend.call(f"/api/v1/GetSrc?token=front&session={backend.sign_in()}")

    shown = {key: answer["src"][0][key] for key in ("bOnline", "strState", "nViewers", "nFps")}
    assert shown == {"bOnline": True, "strState": "RUNNING", "nViewers": 3, "nFps": 25}
    assert answer["src"][0]["nBitrateKbps"] == 2000
    assert answer["src"][0]["strVideoCodec"] == "H.264"
    assert (answer["src"][0]["nWidth"], answer["src"][0]["nHeight"]) == (1920, 1080)


@pytest.mark.parametrize(
    ("query", "tokens"),
    [
        ("", ["front", "back", "clip"]),
        ("token=", ["front", "back", "clip"]),
        ("getonline=false", ["front", "back", "clip"]),
        ("type=H5_FILE", ["clip"]),
        ("type=H5_STREAM", ["front", "back"]),
        ("type=H5_ONVIF", []),
        ("token=back", ["back"]),
    ],
)
async def test_getsrc_filters(backend: Backend, query: str, tokens: list[str]) -> None:
    answer = await backend.call(f"/api/v1/GetSrc?session={backend.sign_in()}&{query}")

    assert [one["strToken"] for one in answer["src"]] == tokens


async def test_secrets_in_a_configured_address_stay_here(backend: Backend) -> None:
    front = backend.sources.get("front")
    url = "rtsp://root:hidden-one@192.0.2.7:8554/live?password=hidden-two"
    front.config = msgspec.structs.replace(front.config, url=url)
    front.main.channel.set_state("BACKOFF", "rtsp://root:hidden-one@192.0.2.7 answers 401")

    response = await backend.get(f"/api/v1/GetSrc?token=front&session={backend.sign_in()}")

    assert "hidden" not in await response.text()
    assert (await response.json())["src"][0]["strSrcPort"] == "8554"


async def test_added_file_is_there(backend: Backend) -> None:
    session = backend.sign_in()

    answer = await backend.call(
        f"/api/v1/AddSrcFile?name=A%20clip&token=new&url=demo.mp4&session={session}"
    )

    assert answer == {"bStatus": True, "strCode": "Add successfully"}
    config = backend.sources.get("new").config
    assert (config.type, config.name, config.url, config.audio) == (
        "file",
        "A clip",
        "demo.mp4",
        False,
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("url=rtsp://192.0.2.1/a", ("rtsp://192.0.2.1/a", "", "", False)),
        ("url=rtsp://192.0.2.1/a&user=u&password=p", ("rtsp://192.0.2.1/a", "u", "p", False)),
        ("url=rtsp://192.0.2.1/a&audio=true", ("rtsp://192.0.2.1/a", "", "", True)),
        ("url=rtsp://u:p%2540q@192.0.2.1:99/a", ("rtsp://192.0.2.1:99/a", "u", "p@q", False)),
        ("url=rtsp://u:p@q@192.0.2.1/a", ("rtsp://192.0.2.1/a", "u", "p@q", False)),
        ("url=rtsp://u@192.0.2.1/a&password=p", ("rtsp://192.0.2.1/a", "u", "p", False)),
        ("url=rtsp://u:p@192.0.2.1/a&user=x&password=y", ("rtsp://192.0.2.1/a", "x", "y", False)),
        ("url=rtsp%3a%2f%2f192.0.2.1%3a554%2fS%3fa%3db%26c%3dd",
         ("rtsp://192.0.2.1:554/S?a=b&c=d", "", "", False)),
        ("url=rtmp://192.0.2.1/live/a&playback=false&speed=1.0&servertoken=",
         ("rtmp://192.0.2.1/live/a", "", "", False)),
    ],
)  # fmt: skip
async def test_added_camera_is_there(
    backend: Backend, query: str, expected: tuple[str, str, str, bool]
) -> None:
    session = backend.sign_in()

    answer = await backend.call(f"/api/v1/AddSrcRTSP?name=N&token=new&{query}&session={session}")

    assert answer == {"bStatus": True, "strCode": "Add successfully"}
    config = backend.sources.get("new").config
    assert (config.url, config.user, config.password, config.audio) == expected


async def test_an_added_recording_is_listed_with_its_speed(backend: Backend) -> None:
    session = backend.sign_in()
    query = "name=N&url=rtsp://192.0.2.1/a&playback=true&speed"
    for token, speed in (("slow", "0.5"), ("fast", "4.0")):
        await backend.call(f"/api/v1/AddSrcRTSP?token={token}&{query}={speed}&session={session}")
    listed = (await backend.call(f"/api/v1/GetSrc?session={session}"))["src"]
    found = {one["strToken"]: (one["bRTSPPlayback"], one["nRTSPPlaybackSpeed"]) for one in listed}
    assert found["slow"] == (True, 0.5)
    assert found["fast"] == (True, 4)
    assert set(found.values()) == {(True, 0.5), (True, 4), (False, 0)}


BAD_TOKENS = [
    "..",
    ".",
    "a/b",
    "a b",
    "x" * 65,
    "a--b",
    "câmera",
    "前门",
    "a\\b",
    "a%b",
    "a'b",
    "%",
]


@pytest.mark.parametrize("token", BAD_TOKENS)
async def test_bad_token_is_refused_by_name(backend: Backend, token: str) -> None:
    answer = await backend.call(
        f"/api/v1/AddSrcFile?session={backend.sign_in()}&name=N&url=demo.mp4&token={quote(token)}"
    )

    assert answer == {
        "bStatus": False,
        "strCode": "token: must be 1 to 64 letters, digits, '_', '.' or '-', without '--'",
    }
    assert len(backend.sources.by_token) == 3


OUTSIDE = "must be a file inside the media folder (paths.media_root)"
NO_FILE = "must be the path of a file under paths.media_root"
SCHEMES = "must begin with one of http, https, rtmp, rtmps, rtsp, rtsps and ://"


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ("AddSrcFile?token=front&name=N&url=demo.mp4",
         "there is a source with this token already"),
        ("AddSrcFile?token=new&name=N&url=/etc/passwd", f"url: {OUTSIDE}"),
        ("AddSrcFile?token=new&name=N&url=../demo.mp4", f"url: {OUTSIDE}"),
        ("AddSrcFile?token=new&name=N&url=file:/etc/passwd", f"url: {NO_FILE}"),
        ("AddSrcFile?token=new&name=N&url=file:///etc/passwd", f"url: {NO_FILE}"),
        ("AddSrcFile?token=new&name=N&url=concat:demo.mp4|/etc/passwd", f"url: {NO_FILE}"),
        ("AddSrcFile?token=new&name=N&url=exec:id", f"url: {NO_FILE}"),
        ("AddSrcFile?token=new&name=N&url=rtsp://192.0.2.1/a", f"url: {NO_FILE}"),
        ("AddSrcFile?token=new&name=N", "url: is missing"),
        ("AddSrcFile?token=new&name=N&url=", "url: is missing"),
        ("AddSrcFile?name=N&url=demo.mp4", "token: is missing"),
        ("AddSrcFile?token=new&url=demo.mp4", "name: is missing"),
        ("AddSrcFile?token=new&name=N&url=demo.mp4&audio=maybe",
         "audio: must be true or false"),
        ("AddSrcFile?token=new&name=N&url=demo.mp4&servertoken=other",
         "servertoken: must be empty: this server stands alone"),
        (f"AddSrcFile?token=new&name={'n' * 129}&url=demo.mp4",
         "name: must be a text of at most 128 letters"),
        ("AddSrcRTSP?token=new&name=N&url=file:///etc/passwd", f"url: {SCHEMES}"),
        ("AddSrcRTSP?token=new&name=N&url=concat:a|b", f"url: {SCHEMES}"),
        ("AddSrcRTSP?token=new&name=N&url=exec:id", f"url: {SCHEMES}"),
        ("AddSrcRTSP?token=new&name=N&url=ftp://192.0.2.1/a", f"url: {SCHEMES}"),
        ("AddSrcRTSP?token=new&name=N&url=demo.mp4", f"url: {SCHEMES}"),
        ("AddSrcRTSP?token=new&name=N&url=rtsp:///nohost", "url: names no host"),
        ("AddSrcRTSP?token=new&name=N&url=rtsp://192.0.2.1:99999/",
         "url: is not an address, check host and port"),
        ("AddSrcRTSP?token=new&name=N&url=rtsp://[::1/",
         "url: is not an address, check host and port"),
        (f"AddSrcRTSP?token=new&name=N&url=rtsp://h/{'x' * 2048}",
         "url: must be a text of at most 2048 letters"),
        ("AddSrcRTSP?token=new&name=N&url=rtsp://h/a&speed=fast",
         "speed: must be a number from 0.1 to 16"),
        ("AddSrcRTSP?token=new&name=N&url=rtsp://h/a&speed=1e9",
         "speed: must be a number from 0.1 to 16"),
        ("AddSrcRTSP?token=new&name=N&url=rtsp://h/a&servertoken=other",
         "servertoken: must be empty: this server stands alone"),
        ("DelSrc?token=front", "source 'front' stands in config.json: take it out there"),
        ("DelSrc?token=nobody", "there is no source with this token"),
        ("DelSrc?token=../front", "there is no source with this token"),
        ("DelSrc", "token: is missing"),
        ("GetSrc?token=nobody", "there is no source with this token"),
        ("GetSrc?type=H5_NONSENSE",
         "type: must be one of H5_CH_DEV, H5_CH_GB, H5_CLOUD, H5_FILE, H5_ONVIF, H5_RTMP_PUSH, "
         "H5_STREAM"),
        ("GetImage?token=nobody", "there is no source with this token"),
        ("Nonsense", "there is no call 'nonsense': see docs/api.md for those there are"),
        ("", "there is no call '': see docs/api.md for those there are"),
    ],
)  # fmt: skip
async def test_refusal_is_one_clear_sentence(backend: Backend, call: str, sentence: str) -> None:
    separator = "&" if "?" in call else "?"
    response = await backend.get(f"/api/v1/{call}{separator}session={backend.sign_in()}")

    assert response.status == 200
    assert await response.json() == {"bStatus": False, "strCode": sentence}
    assert sorted(backend.sources.by_token) == ["back", "clip", "front"]


async def test_deleted_source_is_gone(backend: Backend) -> None:
    answer = await backend.call(f"/api/v1/DelSrc?token=back&session={backend.sign_in()}")

    assert answer == {"bStatus": True, "strCode": "Delete successfully"}
    assert "back" not in backend.sources.by_token


async def test_image_is_the_newest_or_the_loading_picture(backend: Backend) -> None:
    session = backend.sign_in("vera")

    for token, expected in (("front", JPEG), ("back", LOADING)):
        response = await backend.get(f"/api/v1/GetImage?token={token}&update=7&session={session}")
        assert response.status == 200
        assert response.headers["Content-Type"] == "image/jpeg"
        assert response.headers["Cache-Control"] == "private, no-store"
        assert await response.read() == expected


async def test_loading_image_is_for_everybody(backend: Backend) -> None:
    response = await backend.get("/api/v1/GetLoadingImage")

    assert (response.status, await response.read()) == (200, LOADING)


async def test_a_bug_shows_no_more_than_that_it_is_one(
    backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    backend.pictures.error = KeyError("/secret/path")

    response = await backend.get(f"/api/v1/GetImage?token=front&session={backend.sign_in()}")

    assert response.status == 500
    assert await response.json() == {
        "bStatus": False,
        "strCode": "the server failed: its log says why",
    }
    assert "KeyError" in caplog.text
    assert caplog.records[-1].levelno == logging.ERROR


async def test_errors_of_every_kind_are_answered(backend: Backend) -> None:
    backend.pictures.error = H5supError("a plain sentence")

    response = await backend.get(f"/api/v1/GetImage?token=front&session={backend.sign_in()}")

    assert (response.status, (await response.json())["strCode"]) == (200, "a plain sentence")


async def test_head_reads_and_changes_nothing(backend: Backend) -> None:
    session = backend.sign_in()

    read = await backend.request("HEAD", f"/api/v1/GetSrc?session={session}")
    act = await backend.request("HEAD", f"/api/v1/DelSrc?token=back&session={session}")

    assert (read.status, await read.read()) == (200, b"")
    assert (act.status, act.headers["Allow"]) == (405, "GET, POST")
    assert "back" in backend.sources.by_token


async def test_form_is_as_good_as_a_query(backend: Backend) -> None:
    form = {"Content_Type": "application/x-www-form-urlencoded"}

    response = await backend.request(
        "POST", "/api/v1/Login", data=b"user=vera&password=just+look", **form
    )

    assert (await response.json())["bStatus"] is True


async def test_huge_form_is_refused(backend: Backend) -> None:
    form = {"Content_Type": "application/x-www-form-urlencoded"}

    response = await backend.request("POST", "/api/v1/Login", data=b"a=" + b"x" * 20_000, **form)

    assert await response.json() == {
        "bStatus": False,
        "strCode": "body: must not be larger than 16384 bytes",
    }


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
async def test_other_methods_are_refused(backend: Backend, method: str) -> None:
    response = await backend.request(method, f"/api/v1/GetSrc?session={backend.sign_in()}")

    assert (response.status, (await response.json())["bStatus"]) == (405, False)
