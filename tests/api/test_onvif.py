"""The calls about ONVIF cameras, their answers and their refusals."""

from __future__ import annotations

from typing import Any

import pytest

from h5sup.devices.model import DeviceError, DeviceFailure
from h5sup.devices.onvif.connection import Address
from tests.api.conftest import Backend
from tests.api.fakes import CAMERAS_OWN, JPEG, LOADING

PROBE = "OnvifProbe?ip=192.0.2.7&port=8000&user=admin&password=hidden-one"
ADD = "AddSrcONVIF?token=cam&name=Cam&ip=192.0.2.7&port=8000&user=admin&password=hidden-one"


async def call(backend: Backend, query: str, user: str = "admin") -> dict[str, Any]:
    return await backend.call(f"/api/v1/{query}&session={backend.sign_in(user)}")


async def test_a_search_lists_who_answered(backend: Backend) -> None:
    assert await call(backend, "OnvifSearch?timeout=3") == {
        "device": [
            {
                "strIp": "192.0.2.7",
                "strPort": "8000",
                "strOnvifAddr": "/onvif/device_service",
                "strModel": "IPC-1 Maker",
                "bHttps": False,
            }
        ]
    }
    assert backend.onvif.asked == [3.0]


async def test_https_and_the_certificate_are_given_beforehand(backend: Backend) -> None:
    known = "AB:" * 31 + "AB"
    for call_of, more in ((PROBE, ""), (ADD, "&main=Profile_1")):
        query = f"{call_of}{more}&https=true&fingerprint="
        assert "64 hexadecimal digits" in (await call(backend, query + "AB%3ACD"))["strCode"]
        await call(backend, query + known)
    (asked,) = backend.onvif.asked
    assert isinstance(asked, Address)
    assert (asked.url.scheme, asked.fingerprint) == ("https", known)
    config = backend.sources.get("cam").config
    assert (config.https, config.fingerprint) == (True, known)


async def test_a_probe_lists_the_profiles(backend: Backend) -> None:
    assert await call(backend, PROBE + "&onvifaddr=") == {
        "profile": [
            {
                "strToken": "Profile_1",
                "strCodecName": "H264",
                "strName": "H264 1920 x 1080 25fps 3072kbps",
                "strRtspUrl": "rtsp://192.0.2.7:554/1",
                "nWidth": 1920,
                "nHeight": 1080,
                "nFps": 25,
                "nBandwidth": 3072,
                "bGotUrl": True,
            }
        ]
    }
    path = "/onvif/device_service"
    assert backend.onvif.asked == [
        Address(host="192.0.2.7", port=8000, path=path, user="admin", password="hidden-one")
    ]


async def test_a_failed_probe_has_the_manuals_words_and_ours(backend: Backend) -> None:
    backend.onvif.error = DeviceError(DeviceFailure.WRONG_PASSWORD, "it refuses the password")
    assert await call(backend, PROBE) == {
        "bStatus": False,
        "strCode": "can't connect device",
        "strReason": "it refuses the password",
        "strFailure": "wrong_password",
    }


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (PROBE.replace("port=8000", "port=0"), "port: "),
        (PROBE.replace("port=8000", "port=70000"), "port: "),
        (PROBE.replace("ip=192.0.2.7", "ip=a%20b"), "ip: must be a host name or an address"),
        (PROBE.replace("ip=192.0.2.7", "ip=h%2Fx%40y"), "ip: must be a host name or an address"),
        (PROBE.replace("ip=192.0.2.7&", ""), "ip: "),
        (PROBE + "&onvifaddr=http://h/", "onvifaddr: must look like /onvif/device_service"),
        (PROBE + "&servertoken=x", "servertoken: must be empty"),
        ("OnvifSearch?timeout=0", "timeout: "),
        ("OnvifSearch?timeout=61", "timeout: "),
        ("OnvifSearch?servertoken=x", "servertoken: must be empty"),
        (ADD.replace("port=8000", "port=0"), "port: "),
        (ADD.replace("ip=192.0.2.7", "ip=a%20b"), "ip: must be a host name or an address"),
        (ADD + "&onvifaddr=x", "onvifaddr: must look like"),
        (ADD.replace("token=cam", "token=a%2Fb"), "token: "),
        (ADD.replace("token=cam", "token=front"), "token already"),
    ],
)
async def test_what_can_not_be_is_named(backend: Backend, query: str, words: str) -> None:
    answer = await call(backend, query)
    assert answer["bStatus"] is False
    assert words in answer["strCode"]
    assert backend.onvif.asked == []


@pytest.mark.parametrize("query", ["OnvifSearch?timeout=3", PROBE, ADD])
async def test_an_operator_may_not(backend: Backend, query: str) -> None:
    assert (await call(backend, query, "olga"))["bStatus"] is False
    assert backend.onvif.asked == []


async def test_an_onvif_source_is_added_and_shown(backend: Backend) -> None:
    answer = await call(backend, ADD + "&main=Profile_1&sub=&audio=true")
    assert answer == {"bStatus": True, "strCode": "Add successfully"}
    (shown,) = (await call(backend, "GetSrc?token=cam"))["src"]
    assert "hidden-one" not in str(shown)
    wanted = {
        "nType": "H5_ONVIF",
        "strUrl": "",
        "strUser": "admin",
        "strPasswd": "*****",
        "bEnableAudio": True,
        "strSrcIpAddress": "192.0.2.7",
        "strSrcPort": "8000",
        "bOnvifProfileAuto": False,
        "strOnvifAddr": "/onvif/device_service",
        "strOnvifProfileMain": "Profile_1",
        "strOnvifProfileSub": "",
    }
    assert {key: shown[key] for key in wanted} == wanted


async def test_where_its_picture_is_and_which_profiles_it_has_found_are_shown(
    backend: Backend,
) -> None:
    await call(backend, ADD)
    camera = backend.sources.get("cam").onvif
    assert camera is not None
    camera.url, camera.main, camera.sub = "rtsp://192.0.2.7:554/1", "Profile_1", "Profile_2"
    (shown,) = (await call(backend, "GetSrc?type=H5_ONVIF"))["src"]
    assert shown["strUrl"] == "rtsp://192.0.2.7:554/1"
    assert shown["bOnvifProfileAuto"] is True
    assert (shown["strOnvifProfileMain"], shown["strOnvifProfileSub"]) == (
        "Profile_1",
        "Profile_2",
    )
    assert (shown["strSrcIpAddress"], shown["strSrcPort"]) == ("192.0.2.7", "8000")


async def test_before_the_first_frame_the_cameras_own_picture_is_shown(backend: Backend) -> None:
    await call(backend, ADD.replace("token=cam", "token=back2"))
    camera = backend.sources.get("back2").onvif
    assert camera is not None
    path = f"/api/v1/GetImage?token=back2&session={backend.sign_in()}"
    backend.pictures.by_token["back2"] = JPEG
    assert await (await backend.get(path)).read() == JPEG
    del backend.pictures.by_token["back2"]
    assert await (await backend.get(path)).read() == CAMERAS_OWN
    camera.error = DeviceError(DeviceFailure.NO_ANSWER, "it did not answer")
    response = await backend.get(path)
    assert (response.status, await response.read()) == (200, LOADING)
