"""Sources whose addresses an ONVIF camera tells, with real ffmpegs on a real RTSP server."""

from __future__ import annotations

import asyncio

import pytest

from h5sup.devices.model import DeviceError
from h5sup.devices.model import Motion as Steer
from h5sup.events.event import AlarmIn, Motion
from tests.fakes.clips import Clips
from tests.fakes.onvif_camera import JPEG, FakeProfile, OnvifCamera
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
        assert not source.can_move  # it has not been asked yet
        await base.until_failed(source, "refused the connection")
        assert source.can_move
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

        asked = camera.asked.count("GetProfiles")
        await rtsp.kick("h264_aac")
        await base.until(lambda: not source.is_online)
        await base.until(lambda: source.is_online)
        # an address that was good is tried again as it is
        assert camera.asked.count("GetProfiles") == asked
        large.release()


async def test_a_profile_in_h265_is_played_as_media2_tells_it(
    clips: Clips, station: StationMaker
) -> None:
    hevc = FakeProfile("Hevc_1", codec="H265", width=3840, height=2160, mount="hevc_aac")
    async with (
        RtspCamera(clips, ["hevc_aac"], user=USER, password=PASSWORD) as rtsp,
        OnvifCamera(
            rtsp_port=rtsp.port, lacks=frozenset({"Media"}), media2_profiles=(hevc,)
        ) as camera,
        station(linger_s=0.1) as base,
    ):
        await add(base, camera, connect="ondemand")
        lease = base.registry.lease("front", hevc=True)
        channel = await lease.ready(20)
        assert channel.init is not None
        assert channel.init.video is not None
        assert channel.init.video.codec.startswith("hvc1")
        lease.release()


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


async def test_what_a_camera_notices_and_shows_needs_no_media(station: StationMaker) -> None:
    async with OnvifCamera(rtsp_port=1) as camera, station() as base:
        heard = base.hub.subscribe(lambda event: isinstance(event.what, Motion | AlarmIn))
        await add(base, camera, connect="ondemand")
        source = base.registry.get("front")
        camera.tell("tns1:VideoSource/MotionAlarm", "State", "true")
        camera.tell("tns1:Device/Trigger/DigitalInput", "LogicalState", "true")
        async with asyncio.timeout(10):
            assert (await heard.next()).what == Motion("front", is_on=True)
            assert (await heard.next()).what == AlarmIn("front", "in1", is_on=True)

        assert source.onvif is not None
        assert await source.onvif.picture() == JPEG
        assert await source.onvif.picture() == JPEG  # shown again, not fetched again
        assert camera.asked.count("GetSnapshotUri") == 1
        await base.registry.delete("front")
        assert camera.listeners == 0


async def test_a_camera_that_gives_no_picture_is_not_asked_at_once_again(
    station: StationMaker,
) -> None:
    async with OnvifCamera(jpeg=b"no", has_events=False) as camera, station() as base:
        await add(base, camera, connect="ondemand")
        onvif = base.registry.get("front").onvif
        assert onvif is not None
        for _ in range(3):
            with pytest.raises(DeviceError, match="no JPEG"):
                await onvif.picture()
        assert camera.asked.count("GetSnapshotUri") == 1


async def test_a_camera_that_moves_is_steered_by_its_source(station: StationMaker) -> None:
    async with OnvifCamera(rtsp_port=1) as camera, station() as base:
        await add(base, camera, connect="ondemand")
        steering = base.registry.get("front").steering
        assert steering is not None
        await steering.move(Steer(pan=1))
        assert camera.moving == {"PanTilt": (1.0, 0.0)}
        await steering.stop()
        assert not camera.moving
