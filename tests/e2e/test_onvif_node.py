"""An ONVIF camera whose SOAP was written by others, by the whole server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.client import Client
from tests.e2e.server import Server
from tests.fakes.clips import Clips
from tests.fakes.node_soap_camera import NodeSoapCamera
from tests.fakes.rtsp_camera import RtspCamera

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

USER, PASSWORD = "admin", "pass word:@/ü<&"


async def test_a_camera_on_another_soap_stack_is_asked_watched_and_steered(
    clips: Clips, tmp_path: Path
) -> None:
    async with RtspCamera(clips, ["h264_aac", "h264_mute"], user=USER, password=PASSWORD) as rtsp:
        pictures = {"big": rtsp.url("h264_aac"), "small": rtsp.url("h264_mute")}
        async with (
            NodeSoapCamera(pictures, user=USER, password=PASSWORD) as camera,
            Server(tmp_path) as server,
            Client(server) as client,
        ):
            where = {"ip": "127.0.0.1", "port": str(camera.port)}
            await check_probe(client, where, pictures)
            login = {"user": USER, "password": PASSWORD, "audio": "true"}
            added = await client.call("AddSrcONVIF", token="yard", name="Yard", **login, **where)
            assert added == {"bStatus": True, "strCode": "Add successfully"}
            for profile in ("main", "sub"):
                async with client.watch("yard", profile=profile) as viewer:
                    await viewer.until_pictures(10)
                    assert ("mp4a" in viewer.mime) is (profile == "main")
            await check_steering(client, camera)
            await check_presets(client, camera)
            await check_motion(client, camera)
            await client.call("DelSrc", token="yard")
            assert (await camera.state())["listeners"] == 0
            assert PASSWORD not in server.log


async def check_probe(client: Client, where: dict[str, str], pictures: dict[str, str]) -> None:
    refused = await client.call("OnvifProbe", user=USER, password="wrong", **where)
    assert refused["strFailure"] == "wrong_password"
    found = (await client.call("OnvifProbe", user=USER, password=PASSWORD, **where))["profile"]
    assert [(one["strToken"], one["strName"], one["strRtspUrl"]) for one in found] == [
        ("big", "H264 1280 x 720 25fps 1024kbps", pictures["big"]),
        ("small", "H264 384 x 216 25fps 1024kbps", pictures["small"]),
    ]


async def check_steering(client: Client, camera: NodeSoapCamera) -> None:
    (source,) = (await client.call("GetSrc", token="yard"))["src"]
    assert source["bPtz"]
    assert (await client.call("Ptz", token="yard", action="left", speed="0.5"))["bStatus"]
    assert (await camera.state())["moving"] == {"PanTilt": [-0.5, 0]}
    assert (await client.call("Ptz", token="yard", action="zoomin", speed="1"))["bStatus"]
    assert (await camera.state())["moving"] == {"Zoom": [0.5]}, "it zooms half as fast as others"
    assert (await client.call("Ptz", token="yard", action="stop"))["bStatus"]
    assert (await camera.state())["moving"] is None


async def check_presets(client: Client, camera: NodeSoapCamera) -> None:
    async def presets() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await client.call("GetPresets", token="yard"))["preset"]
        return found

    kept = await client.call("SetPreset", token="yard", presetname="Tür <&", presettoken="7")
    assert kept["bStatus"]
    assert [(one["strToken"], one["strName"]) for one in await presets()] == [
        ("1", "Gate"), ("7", "Tür <&")
    ]  # fmt: skip
    assert (await client.call("Ptz", token="yard", action="preset", preset="7"))["bStatus"]
    assert (await camera.state())["at"] == "place-2"
    assert (await client.call("DelPreset", token="yard", presettoken="7"))["bStatus"]
    assert [one["strToken"] for one in await presets()] == ["1"]
    unknown = await client.call("Ptz", token="yard", action="preset", preset="99")
    assert "there is no such preset" in unknown["strCode"]


async def check_motion(client: Client, camera: NodeSoapCamera) -> None:
    url = f"{client.base}/api/v1/h5seventapi?session={client.session}"
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as socket:
        await camera.tell_motion(is_on=True)
        async with asyncio.timeout(10):
            while (await socket.receive_json())["type"] != "H5S_EVENT_MOTION":
                pass
