"""The calls about recorders: who is told what, and what is answered when a recorder does not."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from h5sup.api import devices as devices_module
from h5sup.config.model import UserConfig
from h5sup.devices.model import DeviceError, DeviceFailure, DeviceRecord, RecordDay
from h5sup.sources.device import channel_config
from tests.api.conftest import USERS, Backend, MakeBackend
from tests.api.fakes import FakeSource
from tests.fakes.nvr import PASSWORD, channels, config

ADD = "AddDeviceHik?token=nvr&name=Shop&user=admin&ip=192.0.2.20&port=8000"
ADD += f"&password={quote(PASSWORD)}"
GONE = DeviceError(DeviceFailure.UNREACHABLE, "can't connect to port 80 of 192.0.2.20")
SOME = UserConfig(name="sam", password="some of it", sources=("nvr--2",))
ALL = UserConfig(name="ann", password="all of it", sources=("nvr",))
CHANNELS = UserConfig(name="cho", password="its channels", sources=("nvr--*",))


async def call(backend: Backend, query: str, user: str = "admin") -> dict[str, Any]:
    return await backend.call(f"/api/v1/{query}&session={backend.sign_in(user)}")


async def add(backend: Backend, **settings: Any) -> None:
    """Add a recorder, and list its channels among the sources as the Registry does."""
    device = await backend.devices.add(config(**settings))
    assert await device.first_try(5)
    for channel in device.channels:
        source = FakeSource(channel_config(device.config, channel))
        backend.sources.by_token[source.config.token] = source


async def test_a_recorder_is_added_and_listed_without_its_password(backend: Backend) -> None:
    assert await call(backend, ADD + "&audio=true&rtspport=1554") == {
        "bStatus": True, "strCode": "Add successfully",
    }  # fmt: skip
    (device,) = (await call(backend, "GetDevice?"))["dev"]
    assert device.pop("strSince").endswith("Z")
    assert device == {
        "nType": "H5_DEV_HIK",
        "strName": "Shop",
        "strToken": "nvr",
        "strUser": "admin",
        "strPasswd": "*****",
        "bPasswdEncrypt": False,
        "strDevIpAddress": "192.0.2.20",
        "strDevPort": "8000",
        "bOnline": True,
        "strReason": "",
        "nChannels": 2,
        "nChannelsOnline": 2,
        "nHttpPort": 0,
        "nRtspPort": 1554,
        "bEnableAudio": True,
        "bFixed": False,
    }
    assert backend.devices.get("nvr").config.password == PASSWORD
    assert (await call(backend, "DelDevice?token=nvr"))["bStatus"] is True
    assert await call(backend, "GetDevice?") == {"dev": []}


async def test_one_that_cannot_be_reached_is_added_and_says_why(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.nvr.failure = GONE
    answer = await call(backend, ADD.replace("Hik", "Dh"))
    assert answer == {
        "bStatus": True, "strCode": f"Add successfully, but it is offline: {GONE}",
    }  # fmt: skip
    (device,) = (await call(backend, "GetDevice?token=nvr"))["dev"]
    assert (device["nType"], device["bOnline"]) == ("H5_DEV_DH", False)
    assert device["strReason"] == str(GONE)
    backend.nvr.is_silent = True
    monkeypatch.setattr(devices_module, "FIRST_TRY_S", 0.02)
    answer = await call(backend, ADD.replace("token=nvr", "token=mute"))
    assert answer["strCode"] == "Add successfully; it has not answered yet"


async def test_a_login_is_changed_and_the_rest_stays(backend: Backend) -> None:
    await add(backend, name="Shop", rtsp_port=1554)
    before = backend.devices.get("nvr")
    query = "SetDeviceLogin?token=nvr&user=root&password=other%26one"
    answer = await call(backend, query)
    assert answer["bStatus"] is True
    assert answer["strCode"].startswith("Set successfully, but it is offline: ")
    assert "refuses the user name or the password" in answer["strCode"]
    backend.nvr.password = "other&one"
    assert (await call(backend, query))["strCode"] == "Set successfully"
    after = backend.devices.get("nvr")
    assert after is not before
    assert (after.config.user, after.config.password) == ("root", "other&one")
    assert (after.config.name, after.config.rtsp_port) == ("Shop", 1554)
    (kept,) = await backend.devices._store.devices()
    assert (kept["token"], kept["password"]) == ("nvr", "other&one")
    assert (await call(backend, query.replace("=nvr", "=gone")))["strCode"] == (
        "there is no device with this token"
    )
    await backend.devices.apply([config(token="own")])
    answer = await call(backend, query.replace("=nvr", "=own"))
    assert answer["strCode"] == "device 'own' stands in config.json: change it there"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("ip=a%20b", "ip: must be a host name or an address, without port"),
        ("ip=192.0.2.1:80", "ip: must be a host name"),
        ("port=0", "port: must be a whole number from 1 to 65535"),
        ("port=70000", "port: must be a whole number from 1 to 65535"),
        ("httpport=70000", "httpport: must be a whole number from 0 to 65535"),
        ("token=a--b", "token: must be 1 to 64 letters"),
        ("token=front", "there is a source with the token 'front' already"),
        ("token=nvr", "there is a device with the token 'nvr' already"),
    ],
)
async def test_what_cannot_be_added_is_refused_in_one_sentence(
    backend: Backend, given: str, words: str
) -> None:
    if given == "token=nvr":
        await add(backend)
    answer = await call(backend, f"{ADD}&{given}")
    assert answer["bStatus"] is False
    assert answer["strCode"].startswith(words)


async def test_channels_are_listed_as_the_manual_shows_them(backend: Backend) -> None:
    await add(backend)
    listed = (await call(backend, "GetDeviceSrc?token=nvr"))["src"]
    assert [one["strToken"] for one in listed] == ["nvr--1", "nvr--2"]
    channel = listed[1]
    assert {key: channel[key] for key in (
        "nType", "strName", "strUrl", "strUser", "strPasswd", "nConnectType", "nRTSPType",
        "strSrcIpAddress", "nChannelNumber", "strSnapshotUrl", "strOriginalToken",
        "bRTSPPlayback", "nRTSPPlaybackSpeed", "nOriginalType",
    )} == {
        "nType": "H5_CH_DEV", "strName": "Camera 2", "strUrl": "", "strUser": "",
        "strPasswd": "", "nConnectType": "H5_ONDEMAND", "nRTSPType": "H5_RTSP_TCP",
        "strSrcIpAddress": "", "nChannelNumber": 2,
        "strSnapshotUrl": "/api/v1/GetImage?token=nvr--2", "strOriginalToken": "",
        "bRTSPPlayback": False, "nRTSPPlaybackSpeed": 0, "nOriginalType": "H5_ZERO",
    }  # fmt: skip
    everything = [one["strToken"] for one in (await call(backend, "GetSrc?"))["src"]]
    assert everything == ["front", "back", "clip", "nvr--1", "nvr--2"]
    alone = [one["strToken"] for one in (await call(backend, "GetSrcWithoutDevice?"))["src"]]
    assert alone == ["front", "back", "clip"]
    of_devices = (await call(backend, "GetSrc?type=H5_CH_DEV"))["src"]
    assert [one["strToken"] for one in of_devices] == ["nvr--1", "nvr--2"]


async def test_a_summary_counts_devices(backend: Backend) -> None:
    await add(backend)
    backend.nvr.failure = GONE
    await add(backend, token="dead")
    counted = await call(backend, "GetDeviceSummary?")
    assert (counted["nDeviceCount"], counted["nSrcCount"]) == (2, 5)
    assert counted["nDeviceOnline"] <= 1


@pytest.mark.parametrize(
    ("user", "seen"),
    [("sam", ["nvr--2"]), ("ann", ["nvr--1", "nvr--2"]), ("cho", ["nvr--1", "nvr--2"])],
)
async def test_who_may_see_a_channel_sees_its_device_and_no_other_channel(
    make_backend: MakeBackend, user: str, seen: list[str]
) -> None:
    backend = await make_backend(users=(*USERS, SOME, ALL, CHANNELS))
    await add(backend)
    await add(backend, token="nvr2")
    for query in ("GetDevice?", "GetDevice?token=nvr"):
        listed = (await call(backend, query, user))["dev"]
        assert [one["strToken"] for one in listed] == ["nvr"]
    for query in ("GetDeviceSrc?token=nvr", "GetSrc?"):
        listed = (await call(backend, query, user))["src"]
        assert [one["strToken"] for one in listed] == seen
    counted = await call(backend, "GetDeviceSummary?", user)
    assert (counted["nDeviceCount"], counted["nSrcCount"]) == (1, len(seen))
    for query in ("GetDevice?token=", "GetDeviceSrc?token="):
        hidden = await call(backend, f"{query}nvr2", user)
        assert hidden == await call(backend, f"{query}nothing", user)
        assert hidden["strCode"] == "there is no device with this token"


async def test_a_search_is_the_devices_own(backend: Backend) -> None:
    await add(backend)
    begin = datetime(2026, 11, 24, 10, tzinfo=UTC)
    backend.nvr.records = [
        DeviceRecord(begin, begin.replace(minute=30), "schedule"),
        DeviceRecord(begin.replace(minute=30), begin.replace(minute=40), "alarm"),
        DeviceRecord(begin.replace(hour=20), begin.replace(hour=21), "manual"),
    ]
    backend.nvr.is_all = False
    query = "SearchDeviceRecordByTime?token=nvr--1&start=2026-11-24T100000Z&end=2026-11-24T"
    answer = await call(backend, f"{query}110000Z")
    assert answer["bFinished"] is False
    told = [
        (datetime.fromisoformat(one["strStartTime"]), one["nType"]) for one in answer["record"]
    ]
    assert told == [(begin, "H5_REC_SCHEDULE"), (begin.replace(minute=30), "H5_REC_ALARM")]
    before = backend.nvr.asked
    assert await call(backend, f"{query}090000Z") == {"bFinished": True, "record": []}
    assert backend.nvr.asked - before <= 2  # polls: what is reversed holds nothing


async def test_a_calendar_has_every_day_of_the_month(backend: Backend) -> None:
    await add(backend)
    backend.nvr.days = [RecordDay(2, has_alarm=False), RecordDay(28, has_alarm=True)]
    query = "SearchDeviceRecordCalendar?token=nvr--1&year=2026&month=2"
    days = (await call(backend, query))["record"]
    assert [one["nDay"] for one in days] == list(range(1, 29))
    assert [one["nDay"] for one in days if one["bHasRec"]] == [2, 28]
    assert [one["nDay"] for one in days if one["bHasAlarmRec"]] == [28]


@pytest.mark.parametrize(
    "name",
    [
        "SearchDeviceRecordByTime?start=2026-11-24&end=2026-11-25",
        "SearchDeviceRecordCalendar?year=2026&month=11",
    ],
)
async def test_what_a_device_does_not_do_is_one_sentence(backend: Backend, name: str) -> None:
    await add(backend)
    for token, words in (
        ("front", "token: is no channel of a device, so no device records it"),
        ("nothing", "there is no source with this token"),
        ("nvr--9", "there is no source with this token"),
    ):
        assert (await call(backend, f"{name}&token={token}"))["strCode"] == words
    backend.nvr.failure = DeviceError(DeviceFailure.UNSUPPORTED, "it keeps no calendar")
    answer = await call(backend, f"{name}&token=nvr--1")
    assert answer == {"bStatus": False, "strCode": "it keeps no calendar"}


async def test_no_answer_shows_a_devices_password(backend: Backend) -> None:
    await add(backend, password="wrong-and-secret")
    for query in ("GetDevice?", "GetDevice?token=nvr", "GetSrc?", "DelDevice?token=nvr"):
        assert "wrong-and-secret" not in json.dumps(await call(backend, query))


async def test_two_hundred_channels_are_listed_in_no_time(backend: Backend) -> None:
    backend.nvr.listed = channels(*range(1, 201))
    await add(backend)
    await call(backend, "GetDeviceSrc?token=nvr")
    began = time.perf_counter()
    listed = (await call(backend, "GetDeviceSrc?token=nvr"))["src"]
    assert len(listed) == 200
    assert time.perf_counter() - began < 0.1 * 3  # this machine is shared
