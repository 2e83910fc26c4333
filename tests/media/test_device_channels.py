"""Channels of recorders as sources, with real ffmpegs on a real RTSP server."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import pytest

from h5sup.base.errors import ConflictError, NotFoundError, UnavailableError
from h5sup.config.loading import parse_source
from h5sup.devices.model import DeviceError, DeviceFailure
from h5sup.events.event import Offline, Online
from h5sup.sources.device import IdleChannel
from h5sup.sources.source import Source
from tests.fakes.clips import Clips
from tests.fakes.nvr import PASSWORD, channels, config
from tests.fakes.rtsp_camera import RtspCamera
from tests.media.conftest import Station, StationMaker

pytestmark = pytest.mark.media

MOUNTS = ["h264_aac", "h264_mute"]
GONE = DeviceError(DeviceFailure.UNREACHABLE, "can't connect to 127.0.0.1")


async def open_house(base: Station, **settings: object) -> None:
    """Follow recorders and add one of two channels, online."""
    await base.registry.start(())
    device = await base.devices.add(config(**settings))  # type: ignore[arg-type]  # a test's own
    await base.until(lambda: device.state.is_online)


async def test_a_channel_plays_large_and_small_on_demand(
    clips: Clips, station: StationMaker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with (
        RtspCamera(clips, MOUNTS, user="admin", password=PASSWORD) as rtsp,
        station(linger_s=0.1) as base,
    ):
        base.nvr.rtsp_port = rtsp.port
        heard = base.hub.subscribe()
        await open_house(base, audio=True)
        assert all(isinstance(one, IdleChannel) for one in base.registry.sources())

        large = base.registry.lease("nvr--1")
        small = base.registry.lease("nvr--1", profile="sub")
        channel, other = await asyncio.gather(large.ready(20), small.ready(20))
        await base.follow(channel, 3)
        assert (channel.token, channel.input_name) == ("nvr--1", "main")
        assert channel.init is not None
        assert other.init is not None
        assert channel.init.audio is not None  # h264_aac and h264_mute are told apart by it
        assert other.init.audio is None
        first, second = base.registry.sources()
        assert isinstance(first, Source)
        assert isinstance(second, IdleChannel)

        base.nvr.listed = channels(1, 7)
        await base.until(lambda: base.devices.find_channel("nvr--7"))
        assert base.registry.get("nvr--1") is first
        await base.follow(channel, 3)
        with pytest.raises(NotFoundError):
            base.registry.get("nvr--2")

        large.release()
        small.release()
        await base.until(lambda: first.main.channel.state.state == "STOPPED")
        assert first.is_online  # its recorder has a picture, though nobody watches
        told = [heard._events.popleft().what for _ in range(len(heard))]
        assert told[:3] == [Online("nvr"), Online("nvr--1"), Online("nvr--2")]
        assert Offline("nvr--1", "nobody watches") not in told
    assert PASSWORD not in caplog.text
    assert PASSWORD.partition(":")[0] not in caplog.text


async def test_a_deleted_device_closes_its_channels_with_a_reason(
    clips: Clips, station: StationMaker
) -> None:
    async with (
        RtspCamera(clips, MOUNTS, user="admin", password=PASSWORD) as rtsp,
        station() as base,
    ):
        base.nvr.rtsp_port = rtsp.port
        await open_house(base)
        lease = base.registry.lease("nvr--1")
        channel = await lease.ready(20)
        closed: list[str] = []

        class Viewer:
            def on_fragment(self, fragment: object) -> None:
                del fragment

            def on_close(self, reason: str) -> None:
                closed.append(reason)

        channel.subscribe(Viewer())
        await base.devices.delete("nvr")
        await base.until(lambda: closed)
        assert closed == ["its device was deleted or changed"]
        assert base.registry.sources() == []
        with pytest.raises(NotFoundError):
            base.registry.lease("nvr--1")
        lease.release()


async def test_a_recorder_that_refuses_is_never_asked_for_media(station: StationMaker) -> None:
    async with station() as base:
        await base.registry.start(())
        device = await base.devices.add(config(password="wrong"))
        await device.first_try(5)
        base.nvr.password = PASSWORD
        assert base.registry.sources() == []
    async with station() as base:
        await open_house(base)
        base.nvr.password = "another"
        await base.until(lambda: not base.devices.get("nvr").state.is_online)
        asked = base.nvr.asked
        lease = base.registry.lease("nvr--1")
        with pytest.raises(UnavailableError, match="refuses the user name"):
            await lease.ready(0.2)
        lease.release()
        source = base.registry.get("nvr--1")
        assert not source.is_online
        assert base.nvr.asked == asked
        assert source.main.pid is None


async def test_a_login_that_rtsp_refuses_is_not_repeated_while_nothing_proves_it(
    clips: Clips, station: StationMaker
) -> None:
    async with (
        RtspCamera(clips, MOUNTS, user="admin", password="another") as rtsp,
        station() as base,
    ):
        base.nvr.rtsp_port = rtsp.port
        await open_house(base)
        device = base.devices.get("nvr")
        base.nvr.failure = GONE
        await base.until(lambda: not device.state.is_online)
        lease = base.registry.lease("nvr--1")
        await base.until(lambda: device.state.reason != str(GONE))
        assert "password" in device.state.reason
        asked = base.nvr.asked
        other = base.registry.lease("nvr--2")
        await base.until_failed(base.registry.get("nvr--2"), device.state.reason)
        assert base.registry.get("nvr--2").main.pid is None
        assert base.nvr.asked == asked
        lease.release()
        other.release()


async def test_an_offline_recorder_says_why_in_the_list(station: StationMaker) -> None:
    async with station() as base:
        base.nvr.listed = channels(1, 2, 3, offline=[3])
        await open_house(base)
        base.registry.get("nvr--2")
        lost = base.registry.get("nvr--3")
        assert lost.state.reason == "the recorder has no picture of this camera"
        base.nvr.failure = GONE
        await base.until(lambda: not base.devices.get("nvr").state.is_online)
        for one in base.registry.sources():
            assert (one.is_online, one.state.state, one.state.reason) == (
                False, "BACKOFF", str(GONE),
            )  # fmt: skip
        assert base.registry.get("nvr--1").steering is not None


async def test_names_follow_the_recorder_and_tokens_stay_apart(station: StationMaker) -> None:
    async with station() as base:
        await open_house(base)
        opened = base.registry.get("nvr--1")
        assert [one.config.name for one in base.registry.sources()] == ["Camera 1", "Camera 2"]
        base.nvr.listed = [replace(one, name=f"New {one.number}") for one in channels(1, 2)]
        await base.until(lambda: opened.config.name == "New 1")
        assert [one.config.name for one in base.registry.sources()] == ["New 1", "New 2"]
        assert base.registry.get("nvr--1") is opened
        with pytest.raises(ConflictError, match="DelDevice takes all of them away"):
            await base.registry.delete("nvr--1")
        raw = {"token": "nvr", "type": "rtsp", "url": "rtsp://127.0.0.1:1/x"}
        with pytest.raises(ConflictError, match="a device with the token 'nvr'"):
            await base.registry.add(parse_source(raw))
        base.nvr.listed = channels(2)
        await base.until(lambda: base.devices.find_channel("nvr--1") is None)
        with pytest.raises(NotFoundError):
            base.registry.get("nvr--1")
        assert base.registry.opened() == []
