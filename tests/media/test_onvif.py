"""Sources whose addresses an ONVIF camera tells, with real ffmpegs on a real RTSP server."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.clips import Clips
from tests.fakes.onvif_camera import OnvifCamera
from tests.fakes.rtsp_camera import RtspCamera
from tests.media.conftest import Station, StationMaker

pytestmark = pytest.mark.media

USER, PASSWORD = "admin", "pass word:@/ü"
MOUNTS = ["h264_aac", "h264_mute"]


async def add(base: Station, camera: OnvifCamera, **settings: object) -> None:
    where = {"host": "127.0.0.1", "port": camera.port, "user": USER, "password": PASSWORD}
    await base.add("front", "", type="onvif", **where, **settings)


async def test_a_camera_plays_large_and_small_and_is_found_again(
    clips: Clips, station: StationMaker
) -> None:
    async with (
        RtspCamera(clips, MOUNTS, user=USER, password=PASSWORD) as rtsp,
        OnvifCamera(rtsp_port=1, lies_about_address=True) as camera,
        station(linger_s=0.1) as base,
    ):
        await add(base, camera)
        source = base.registry.get("front")
        await base.until_failed(source, "refused the connection")
        camera.rtsp_port = rtsp.port  # its address has changed
        await base.until(lambda: source.is_online)

        large = base.registry.lease("front")
        small = base.registry.lease("front", profile="sub")
        channel, other = await asyncio.gather(large.ready(20), small.ready(20))
        assert (channel.input_name, other.input_name) == ("main", "sub")
        assert channel.init is not None
        assert other.init is not None
        assert channel.init.audio is not None  # h264_aac and h264_mute are told apart by it
        assert other.init.audio is None
        assert source.has_sub
        assert source.onvif is not None
        assert source.onvif.url == f"rtsp://127.0.0.1:{rtsp.port}/h264_aac"
        small.release()

        asked = len(camera.asked)
        await rtsp.kick("h264_aac")
        await base.until(lambda: not source.is_online)
        await base.until(lambda: source.is_online)
        assert len(camera.asked) == asked  # an address that was good is tried again as it is
        large.release()


async def test_a_wrong_password_is_tried_once_and_named(station: StationMaker) -> None:
    async with OnvifCamera(password="another") as camera, station() as base:
        await add(base, camera)
        await base.until_failed(base.registry.get("front"), "refuses the user name")
        assert PASSWORD not in base.registry.get("front").state.reason
        assert camera.refused == 1


async def test_a_profile_that_is_not_there_is_named(station: StationMaker) -> None:
    async with OnvifCamera() as camera, station() as base:
        await add(base, camera, onvif_profile_main="Profile_9")
        await base.until_failed(
            base.registry.get("front"),
            "no profile 'Profile_9'; it has: Profile_1, Profile_2, Profile_3",
        )
