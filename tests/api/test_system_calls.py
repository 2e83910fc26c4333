"""What the calls about the machine, streams, logs and other servers answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from h5sup.base.clock import utc_now
from h5sup.base.errors import ConfigError
from h5sup.bus.channel import Channel
from h5sup.bus.ingest import Ingest
from h5sup.config.model import SubInput
from h5sup.ffmpeg.supervisor import LogLine
from tests.api.conftest import Backend
from tests.api.fakes import source
from tests.fakes.mp4 import AAC_FRAME, AUDIO_SCALE, Camera


async def test_version_names_both_programs(backend: Backend) -> None:
    assert await backend.call(f"/api/v1/GetVersion?session={backend.sign_in('vera')}") == {
        "strVersion": "0.1.0",
        "strFfmpeg": "ffmpeg version 5.1.9",
    }


async def test_codecs_are_told_by_codec_and_by_ffmpegs_names(backend: Backend) -> None:
    assert await backend.call(f"/api/v1/GetCodecInfo?session={backend.sign_in('vera')}") == {
        "strCPUModel": "A processor",
        "strHWEncoders": "H.264 H.265",
        "strHWDecoders": "H.264 H.265",
        "strSWEncoders": "H.264 VP9",
        "strSWDecoders": "H.264",
        "strFfmpeg": "ffmpeg version 5.1.9",
        "strEncoders": "libx264 libvpx-vp9 hevc_vaapi h264_vaapi",
        "strDecoders": "h264 vaapi hevc_v4l2m2m",
    }


async def test_codecs_being_tried_are_no_empty_list(backend: Backend) -> None:
    backend.codecs.found = None

    assert await backend.call(f"/api/v1/GetCodecInfo?session={backend.sign_in()}") == {
        "bStatus": False,
        "strCode": "the codecs are being tried: ask again in half a minute",
    }


async def test_run_info_is_written_as_the_manual_does(backend: Backend) -> None:
    assert await backend.call(f"/api/v1/GetRunInfo?session={backend.sign_in('vera')}") == {
        "strRunTime": "1H 23MIN",
        "strCPU": "16%",
        "strMemory": "39%",
        "strNetworkIn": "8012kbps",
        "strNetworkOut": "16kbps",
        "strTotalSpace": "937.3GB",
        "strFreeSpace": "806.1MB",
        "nRunTimeSec": 4987,
        "fOwnCPUPercent": 31.2,
        "nOwnMemoryBytes": 150_000_000,
        "nTotalBytes": 937_300_000_000,
        "nFreeBytes": 806_100_000,
        "strRecordState": "full",
        "strRecordReason": "the disk of paths.mediastore is full",
        "nRecordTotalBytes": 64_000_000_000,
        "nRecordFreeBytes": 1_000_000,
        "nRecordBytes": 9_000,
        "nRecordFiles": 3,
        "nRecordBytesPerDay": 1_000,
        "fRecordDaysLeft": 3.0,
        "strRecordFullTime": "2026-11-28T00:00:00.000Z",
        "record": [
            {
                "strToken": "door",
                "nFiles": 2,
                "nBytes": 7_000,
                "nBytesPerDay": 1_000,
                "fDaysLeft": 3.0,
            },
            {
                "strToken": "yard",
                "nFiles": 1,
                "nBytes": 2_000,
                "nBytesPerDay": 0,
                "fDaysLeft": None,
            },
        ],
    }


async def test_administrator_restarts(backend: Backend) -> None:
    answer = await backend.call(f"/api/v1/Restart?session={backend.sign_in()}")

    assert answer == {"bStatus": True, "strCode": "Restart successfully"}
    assert backend.restarter.restarts == 1


@pytest.mark.parametrize("user", ["olga", "vera"])
async def test_nobody_else_restarts(backend: Backend, user: str) -> None:
    answer = await backend.call(f"/api/v1/Restart?session={backend.sign_in(user)}")

    assert answer["bStatus"] is False
    assert backend.restarter.restarts == 0


async def test_cookie_does_not_restart(backend: Backend) -> None:
    response = await backend.get(
        "/api/v1/Restart", Cookie=f"h5s_session={backend.sign_in()}", Sec_Fetch_Site="same-origin"
    )

    assert response.status == 401
    assert backend.restarter.restarts == 0


async def test_restart_that_would_fail_is_refused_with_the_mistake(backend: Backend) -> None:
    backend.restarter.error = ConfigError("http.port", "must be a whole number")

    assert await backend.call(f"/api/v1/Restart?session={backend.sign_in()}") == {
        "bStatus": False,
        "strCode": "http.port: must be a whole number",
    }


@pytest.mark.parametrize("call", ["GetSrcWithoutDevice", "GetSrcCamera"])
async def test_lists_without_devices_are_those_of_getsrc(backend: Backend, call: str) -> None:
    session = backend.sign_in("vera")

    assert await backend.call(f"/api/v1/{call}?session={session}") == await backend.call(
        f"/api/v1/GetSrc?session={session}"
    )
    answer = await backend.call(f"/api/v1/{call}?token=none&session={session}")
    assert answer["bStatus"] is False


def put_on_air(channel: Channel, camera: Camera) -> None:
    """Feed six seconds of 25 pictures and 50 sounds or so."""
    ingest = Ingest(channel)
    ingest.open()
    ingest.feed(camera.data, 100.0)
    channel.set_state("RUNNING", "")
    now = 100.0
    for data in (data for _ in range(6) for data in camera.gop()):
        now += 0.04
        ingest.feed(data, now)


async def test_what_an_input_carries_is_told_by_track(backend: Backend) -> None:
    put_on_air(backend.sources.get("front").main.channel, Camera())

    answer = await backend.call(
        f"/api/v1/GetVidStreamStatus?token=front&stream=main&session={backend.sign_in('vera')}"
    )

    sound = answer.pop("nAudioBitrate")
    total = answer.pop("nVideoBitrate") + sound
    assert sound == pytest.approx(10 * 8 * AUDIO_SCALE / AAC_FRAME, rel=0.01)
    measured = backend.sources.get("front").main.channel.rates.bitrate_kbps
    assert total == pytest.approx(measured * 1000, abs=1)
    assert sound < total / 2  # a picture has ten times the bytes, 25 times a second
    assert answer == {
        "strVideoType": "H.264",
        "nVideoWidth": 640,
        "nVideoHeight": 360,
        "nVideoFPS": 25,
        "strAudioType": "AAC",
        "nAudioSampleRate": AUDIO_SCALE,
        "nAudioChannels": 1,
    }


async def test_mute_input_has_no_sound(backend: Backend) -> None:
    put_on_air(backend.sources.get("front").main.channel, Camera(audio=False))

    answer = await backend.call(
        f"/api/v1/GetVidStreamStatus?token=front&session={backend.sign_in('vera')}"
    )

    assert (answer["nVideoFPS"], answer["strAudioType"], answer["nAudioBitrate"]) == (25, "", 0)
    assert answer["nVideoBitrate"] > 0


async def test_getsrclog_mixes_all_ffmpegs_by_time(backend: Backend) -> None:
    front = source("front", sub=SubInput(url="rtsp://192.0.2.7/sub"))
    backend.sources.by_token["front"] = front
    assert front.sub is not None
    now = utc_now()
    front.main.log_lines = [LogLine(now + timedelta(seconds=n), f"main {n}") for n in range(150)]
    front.sub.log_lines = [LogLine(now + timedelta(seconds=149.5), "sub")]
    front.sub.log_lines += [LogLine(now + timedelta(seconds=200 + n), "sub") for n in range(99)]

    answer = await backend.call(f"/api/v1/GetSrcLog?token=front&session={backend.sign_in('olga')}")

    assert answer["strToken"] == "front"
    assert len(answer["log"]) == 200
    assert answer["log"][0]["strLine"] == "main 50"
    assert [line["strFeed"] for line in answer["log"][98:102]] == [
        "main/copy", "main/copy", "sub/copy", "sub/copy",
    ]  # fmt: skip
    assert answer["log"][0]["strTime"] < answer["log"][199]["strTime"]


async def test_viewer_sees_no_log(backend: Backend) -> None:
    answer = await backend.call(f"/api/v1/GetSrcLog?token=front&session={backend.sign_in('vera')}")

    assert answer["bStatus"] is False


SILENT: dict[str, Any] = {
    "strVideoType": "",
    "nVideoWidth": 0,
    "nVideoHeight": 0,
    "nVideoFPS": 0,
    "nVideoBitrate": 0,
    "strAudioType": "",
    "nAudioSampleRate": 0,
    "nAudioChannels": 0,
    "nAudioBitrate": 0,
}


@pytest.mark.parametrize("query", ["token=front", "token=front&stream=main"])
async def test_source_that_sends_nothing_has_no_figures(backend: Backend, query: str) -> None:
    answer = await backend.call(
        f"/api/v1/GetVidStreamStatus?{query}&session={backend.sign_in('vera')}"
    )

    assert answer == SILENT


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("token=front&stream=sub", "source 'front' has no second input"),
        ("token=front&stream=third", "stream: must be one of main, sub"),
        ("token=none", "there is no source with this token"),
    ],
)
async def test_input_that_is_not_there_is_refused(
    backend: Backend, query: str, sentence: str
) -> None:
    answer = await backend.call(
        f"/api/v1/GetVidStreamStatus?{query}&session={backend.sign_in('vera')}"
    )

    assert answer == {"bStatus": False, "strCode": sentence}


async def test_a_server_that_stands_alone_says_so(backend: Backend) -> None:
    session = backend.sign_in("vera")

    async def ask(call: str) -> dict[str, Any]:
        return await backend.call(f"/api/v1/{call}&session={session}")

    assert await ask("cluster/GetClusterStatus") == {"bEnable": False}
    assert await ask("GetCloudDevice") == {"dev": []}
    assert await ask("GetCloudDeviceSrc") == {"src": []}
    assert await ask("GetServerList") == {"server": []}
    assert (await ask("GetCloudClientInfo"))["bEnable"] is False
    assert (await ask("GetCloudDeviceSrc?token=nvr"))["bStatus"] is False


async def test_summary_counts_who_is_online(backend: Backend) -> None:
    backend.sources.get("front").main.channel.set_state("RUNNING", "")

    assert await backend.call(f"/api/v1/GetDeviceSummary?session={backend.sign_in('vera')}") == {
        "nDeviceCount": 0,
        "nDeviceOnline": 0,
        "nSrcCount": 3,
        "nSrcOnline": 1,
    }
