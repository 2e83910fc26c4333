"""A channel of a recorder over WebSocket, HLS and WebRTC, recorded, restarted and reloaded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

import aiohttp
import msgspec
import pytest

from tests.e2e.client import Client
from tests.e2e.server import Server, free_port
from tests.fakes.clips import Clips
from tests.fakes.hik_recorder import FakeHik, Recorded, Slot, rtsp_paths
from tests.fakes.rtsp_camera import RtspCamera

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

OFFER = Path(__file__).parents[1] / "data" / "sdp" / "chromium_offer.sdp"


async def eventually(answer: Callable[[], Awaitable[tuple[int, bytes]]], words: bytes) -> bytes:
    """Ask until a body holds these words."""
    status, body = 0, b""
    try:
        async with asyncio.timeout(20):
            while status != 200 or words not in body:
                status, body = await answer()
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"{words!r} is not in {status} {body[:500]!r}") from None
    return body


async def test_a_channel_is_a_source_everywhere(clips: Clips, tmp_path: Path) -> None:
    hik = FakeHik(ip=[Slot(1, "Till"), Slot(2, "Yard")])
    first, last = (datetime(2026, 11, 24, hour) for hour in (3, 4))  # noqa: DTZ001 (wall clock)
    hik.recordings[101] = [Recorded(first, last)]
    paths = rtsp_paths([1, 2], "h264_aac", "h264_mute")
    async with (
        RtspCamera(clips, [], user=hik.user, password=hik.password, **paths) as rtsp,
        hik,
        Server(tmp_path, rtc={"port": free_port()}) as server,
        Client(server) as client,
    ):
        device = msgspec.to_builtins(hik.config(rtsp_port=rtsp.port))
        added = await client.call(
            "AddDeviceHik", token="nvr", name="Shop", user=hik.user, password=hik.password,
            ip="127.0.0.1", port="8000", httpport=str(hik.port), rtspport=str(rtsp.port),
        )  # fmt: skip
        assert added == {"bStatus": True, "strCode": "Add successfully"}

        async with (
            client.watch("nvr--1") as viewer,
            client.watch("nvr--1", profile="sub") as small,
        ):
            await asyncio.gather(viewer.until_pictures(10), small.until_pictures(10))
            for path, words in (
                ("/hls/v2/nvr--1/hls.m3u8", b"h264.m3u8"),
                ("/hls/v2/nvr--1/h264.m3u8", b"#EXT"),
            ):
                await eventually(lambda path=path: client.get(path), words)  # type: ignore[misc]  # bound now
            loading = (await client.get("/api/v1/GetLoadingImage"))[1]
            picture = await eventually(
                lambda: client.get("/api/v1/GetImage", token="nvr--1"), b"\xff\xd8"
            )
            assert picture != loading
            async with aiohttp.ClientSession() as http:
                url = f"{server.base}/whep/nvr--1?session={client.session}"
                head = {"Content-Type": "application/sdp"}
                async with http.post(url, data=OFFER.read_bytes(), headers=head) as answer:
                    assert answer.status == 201
            kept = await client.call("ManualRecordStart", token="nvr--1")
            assert kept["bStatus"] is True, kept
            await client.until_recording("nvr--1")

            day = "2026-11-24T0{}:00:00+08:00"
            async with client.watch(
                "nvr--1", playback="true", begintime=day.format(3), endtime=day.format(4)
            ) as past:  # what the recorder has, not the server
                await past.command("H5_START")
                await past.until_pictures(5)
                assert (await past.indexes())[:5] == [0, 1, 2, 3, 4]
                assert past.breaks == []

            await server.stop()  # it goes on after a restart, without a viewer
        hik.requests.clear()
        await server.start()
        await client.sign_in()
        listed = (await client.call("GetDeviceSrc", token="nvr"))["src"]
        assert [one["strName"] for one in listed] == ["Till", "Yard"]  # kept, answered or not
        await client.until_recording("nvr--1")
        assert (await client.call("ManualRecordStop", token="nvr--1"))["bStatus"] is True
        found = (
            await client.call(
                "Search", token="nvr--1", type="record", start="2020-01-01", end="2200-01-01"
            )
        )["record"]
        assert len(found) >= 2
        assert (await client.get(found[0]["strPath"]))[0] == 200

        server.config["devices"] = [device | {"name": "By the file"}]
        server.reload()
        await eventually(lambda: client.get("/api/v1/GetDevice"), b"By the file")
        async with client.watch("nvr--2") as viewer:
            await viewer.until_pictures(5)
            server.config["devices"] = []
            server.reload()
            await eventually(lambda: client.get("/api/v1/GetSrc"), b'{"src":[]}')
            await viewer.until_closed()
        assert hik.wrong_logins == 0
        assert hik.password not in server.log
