"""A Dahua recorder by the whole server: added, watched, steered, searched and played."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.e2e.browser import complaints_of, open_browser
from tests.e2e.client import Client
from tests.e2e.server import Server
from tests.e2e.test_playback_page import SHOWS_PICTURES
from tests.e2e.test_recorder_page import BEGIN
from tests.fakes.clips import Clips
from tests.fakes.dahua_recorder import FakeDahua, Recorded, Slot, rtsp_paths
from tests.fakes.rtsp_camera import RtspCamera
from tests.fakes.web_recorder import PASSWORD, USER

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def wall(day: int, hour: int) -> datetime:
    """Return a time of November by the device's clock, eight hours ahead."""
    return datetime(2026, 11, day, hour)  # noqa: DTZ001 (a wall clock has no zone)


async def test_a_recorder_is_added_watched_steered_and_searched(
    clips: Clips, tmp_path: Path
) -> None:
    paths = rtsp_paths([1, 2], "h264_aac", "h264_mute")
    slots = [Slot("Gate"), Slot("Yard 大门"), Slot("Attic", state="Unconnect")]
    async with (
        RtspCamera(clips, [], user=USER, password=PASSWORD, **paths) as rtsp,
        FakeDahua(slots, rtsp_port=rtsp.port, ptz_from=0) as fake,
        Server(tmp_path) as server,
        Client(server) as client,
    ):
        where = {"ip": "127.0.0.1", "port": "37777", "httpport": str(fake.port)}
        added = await client.call(
            "AddDeviceDh",
            token="nvr",
            name="Shop",
            user=USER,
            password=PASSWORD,
            audio="true",
            **where,
        )
        assert added == {"bStatus": True, "strCode": "Add successfully"}
        (device,) = (await client.call("GetDevice", token="nvr"))["dev"]
        assert (device["nType"], device["bOnline"], device["nChannels"]) == ("H5_DEV_DH", True, 3)
        sources = (await client.call("GetDeviceSrc", token="nvr"))["src"]
        assert [(one["strToken"], one["strName"], one["bOnline"]) for one in sources] == [
            ("nvr--1", "Gate", True), ("nvr--2", "Yard 大门", True), ("nvr--3", "Attic", False)
        ]  # fmt: skip

        for profile in ("main", "sub"):
            async with client.watch("nvr--2", profile=profile) as viewer:
                await viewer.until_pictures(10)
                assert viewer.starts_with_key
                assert not viewer.breaks
                assert ("mp4a" in viewer.mime) is (profile == "main")

        assert (await client.call("Ptz", token="nvr--2", action="left"))["bStatus"]
        assert fake.moving[2] == {"Left": (0, 4)}
        assert (await client.call("Ptz", token="nvr--2", action="stop"))["bStatus"]
        assert not any(fake.moving.values())
        named = await client.call("SetPreset", token="nvr--2", presetname="Door", presettoken="7")
        assert named["bStatus"]
        assert fake.presets == {(2, 7): "Door"}

        fake.recordings[2] = [
            Recorded(wall(24, 5), wall(24, 6)),
            Recorded(wall(24, 23), wall(25, 1), "Event"),
        ]
        span = {"start": "2026-11-23T000000Z", "end": "2026-11-25T000000Z"}
        found = await client.call("SearchDeviceRecordByTime", token="nvr--2", **span)
        assert found["bFinished"]
        told = [(one["strStartTime"], one["nType"]) for one in found["record"]]
        assert [(datetime.fromisoformat(at).timestamp(), kind) for at, kind in told] == [
            (datetime.fromisoformat("2026-11-23T21:00:00Z").timestamp(), "H5_REC_SCHEDULE"),
            (datetime.fromisoformat("2026-11-24T15:00:00Z").timestamp(), "H5_REC_ALARM"),
        ]
        days = await client.call(
            "SearchDeviceRecordCalendar", token="nvr--2", year="2026", month="11"
        )
        recorded = [one for one in days["record"] if one["bHasRec"]]
        assert [(one["nDay"], one["bHasAlarmRec"]) for one in recorded] == [(24, True), (25, True)]

        past = {"begintime": "2026-11-23T210003Z", "endtime": "2026-11-23T210010Z"}
        async with client.watch("nvr--2", playback="true", serverpb="false", **past) as viewer:
            await viewer.command("H5_START")
            await viewer.until_pictures(20)
        assert (await viewer.indexes())[0] == 75, "3 s after the hour, by the device's clock"

        local = BEGIN.replace(tzinfo=None) + timedelta(hours=8)
        fake.recordings[2] = [Recorded(local, local + timedelta(minutes=20), "Event")]
        async with open_browser(tmp_path / "profile") as browser:
            await play_on_the_page(await browser.new_page(), server, client.session)
        assert fake.finders == {}
        assert fake.wrong_logins == 0
        assert PASSWORD not in server.log


async def play_on_the_page(page: Page, server: Server, session: str) -> None:
    """Find yesterday by the calendar, and play what the recorder has of it."""
    complaints = complaints_of(page)
    before = f"{BEGIN - timedelta(days=1):%Y-%m-%d}"
    place = f"token=nvr--2&from=device&day={before}&session={session}"
    await page.goto(f"{server.base}/playback.html?{place}")
    await expect(page.get_by_role("heading", name="Shop · Yard 大门")).to_be_visible()
    reason = page.locator(".screen-reason")
    await expect(reason).to_have_text("The recorder has nothing of this day.")
    await page.get_by_title("Choose a day").click()
    await expect(page.locator(".has-alarm")).to_have_count(1)
    await page.locator(".has-alarm").click()
    await page.wait_for_function(SHOWS_PICTURES)
    await expect(page.locator(".timeline-bar.is-alarm")).to_have_count(1)
    await expect(page.locator(".deck-time")).to_contain_text("10:00:0")
    await page.go_back()  # a day is a step
    await expect(reason).to_have_text("The recorder has nothing of this day.")
    assert complaints == []
