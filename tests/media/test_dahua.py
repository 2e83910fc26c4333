"""A Dahua recorder by real sockets: found, listed, steered and searched, whatever it does."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from h5sup.devices.dahua.api import DahuaRecorder
from h5sup.devices.model import (
    DeviceError,
    DeviceFailure,
    Motion,
    Steerable,
    Switch,
)
from h5sup.devices.registry import Devices
from h5sup.events.hub import Hub
from h5sup.store.store import Store
from tests.fakes.dahua_recorder import (
    FINDER,
    STATE,
    SYSTEM_INFO,
    TITLES,
    FakeDahua,
    Recorded,
    Slot,
)
from tests.fakes.web_recorder import Fault, opened

pytestmark = pytest.mark.media

BEGIN = datetime(2026, 11, 23, 16, tzinfo=UTC)  # midnight of the 24th by the fake's clock
END = BEGIN + timedelta(days=1)


def wall(day: int, hour: int) -> datetime:
    """Return a time of November by the device's clock."""
    return datetime(2026, 11, day, hour)  # noqa: DTZ001 (a wall clock has no zone)


def minutes(count: int) -> list[Recorded]:
    """Return recordings of 40 s, one a minute, from midnight by the device's clock."""
    begins = [wall(24, 0) + timedelta(minutes=n) for n in range(count)]
    return [Recorded(begin, begin + timedelta(seconds=40)) for begin in begins]


def pages(fake: FakeDahua) -> int:
    """Return how many pages were asked for."""
    return sum("findNextFile" in request for request in fake.asked)


async def test_channels_come_with_names_and_online_state() -> None:
    slots = [
        Slot("Gate=A & 大门"),
        Slot("Yard", state="Unconnect"),
        Slot("", state=None),
        Slot("Channel4", state="Empty"),
    ]
    async with FakeDahua(slots) as fake, opened(fake) as recorder:
        found = await recorder.channels()
        assert [(each.number, each.name, each.is_online) for each in found] == [
            (1, "Gate=A & 大门", True),
            (2, "Yard", False),
            (3, "Channel 3", True),
        ]
        assert recorder.info is not None
        assert (recorder.info.model, recorder.info.serial) == ("DHI-NVR-FAKE", "FAKE0001PAZ00001")
        assert fake.wrong_logins == 0


@pytest.mark.parametrize("refuses_with", [400, 200])
async def test_where_no_state_is_known_a_lost_picture_counts(refuses_with: int) -> None:
    slots = [Slot("A"), Slot("B")]
    fake = FakeDahua(slots, knows_state=False, refuses_with=refuses_with)
    async with fake, opened(fake) as recorder:
        assert [each.is_online for each in await recorder.channels()] == [True, True]
        slots[1].loses_video = True
        assert [each.is_online for each in await recorder.channels()] == [True, False]
        assert sum(STATE in path for path in fake.asked) == 1, "what it lacks is asked seldom"


async def test_a_user_who_may_not_read_the_configuration_has_channels() -> None:
    slots = [Slot("A"), Slot("B", state="Unconnect")]
    async with FakeDahua(slots, tells_titles=False) as fake, opened(fake) as recorder:
        found = await recorder.channels()
        assert [(one.name, one.is_online) for one in found] == [
            ("Channel 1", True), ("Channel 2", False)
        ]  # fmt: skip
    fake = FakeDahua(tells_titles=False, knows_state=False)
    async with fake, opened(fake) as recorder:
        assert [each.number for each in await recorder.channels()] == [1]


async def test_addresses_are_in_the_time_of_the_device() -> None:
    async with FakeDahua([Slot("A")], rtsp_port=10554) as fake:
        async with opened(fake) as recorder:
            await recorder.channels()
            live = recorder.live(12, sub=True)
            assert live.url == "rtsp://127.0.0.1:10554/cam/realmonitor?channel=12&subtype=1"
            assert (live.user, live.password) == (fake.user, fake.password)
            assert recorder.playback(1, BEGIN, END).url == (
                "rtsp://127.0.0.1:10554/cam/playback?channel=1"
                "&starttime=2026_11_24_00_00_00&endtime=2026_11_25_00_00_00"
            )
        async with opened(fake, rtsp_port=20554) as recorder:
            await recorder.channels()
            assert ":20554/" in recorder.live(1, sub=False).url
        fake.tells_ports = False
        fake.ahead = -timedelta(hours=3, minutes=33)  # its clock is 3 min off as well
        async with opened(fake) as recorder:
            await recorder.channels()
            assert "starttime=2026_11_23_12_30_00" in recorder.playback(1, BEGIN, END).url
            assert ":554/" in recorder.live(1, sub=False).url
    async with opened(FakeDahua(), host="2001:db8::7") as recorder:
        assert recorder.live(1, sub=False).url.startswith("rtsp://[2001:db8::7]:554/")


@pytest.mark.parametrize("changes", [{"tells_time": False}, {"ahead": -timedelta(days=9000)}])
async def test_a_clock_that_makes_no_sense_is_taken_for_utc(
    changes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with FakeDahua([Slot("A")], **changes) as fake, opened(fake) as recorder:
        await recorder.channels()
        assert "starttime=2026_11_23_16_00_00" in recorder.playback(1, BEGIN, END).url
        assert "taken for UTC" in caplog.text


@pytest.mark.parametrize(
    ("status", "text", "sentence"),
    [
        (401, "User Locked! Please try again after 30 minutes.", "for 30 min"),
        (403, "remainLockSecond: 600", "for 10 min"),
        (403, "Forbidden", "forbids the user everything"),
    ],
)
async def test_a_lock_is_told_apart_and_waited_for(
    status: int, text: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeDahua([Slot("A")], wrong_logins=5, lock_status=status, lock_text=text)
    async with fake, opened(fake) as recorder:
        with pytest.raises(DeviceError, match=sentence) as caught:
            await recorder.channels()
        assert caught.value.failure is DeviceFailure.LOCKED_OUT
        fake.wrong_logins = 0
        with pytest.raises(DeviceError) as caught:
            await recorder.channels()
        assert caught.value.failure is DeviceFailure.LOCKED_OUT
        assert fake.requests == []
        loop = asyncio.get_running_loop()
        real = loop.time
        monkeypatch.setattr(loop, "time", lambda: real() + 1801)
        assert len(await recorder.channels()) == 1


@pytest.mark.parametrize("part", [SYSTEM_INFO, TITLES])
@pytest.mark.parametrize(
    ("fault", "sentence"), [(Fault.BINARY, "no text"), (Fault.EMPTY, "without any key")]
)
async def test_an_answer_that_is_no_text_gets_a_sentence(
    part: str, fault: Fault, sentence: str
) -> None:
    async with FakeDahua([Slot("A")], faults={part: fault}) as fake, opened(fake) as recorder:
        with pytest.raises(DeviceError, match=sentence) as caught:
            await recorder.channels()
        assert caught.value.failure is DeviceFailure.NOT_UNDERSTOOD
        fake.faults.clear()
        assert len(await recorder.channels()) == 1, "it goes on when the device does"


async def test_one_without_login_is_known_by_its_answer() -> None:
    async with FakeDahua([Slot("A")], user="") as fake, opened(fake, user="a") as recorder:
        assert len(await recorder.channels()) == 1


@pytest.mark.parametrize("fault", [Fault.BINARY, Fault.EMPTY, Fault.NESTED])
async def test_a_state_that_cannot_be_read_hides_no_channel(fault: Fault) -> None:
    async with FakeDahua([Slot("A")], faults={STATE: fault}) as fake, opened(fake) as recorder:
        assert [each.is_online for each in await recorder.channels()] == [True]


async def test_a_connection_half_made_is_made_again() -> None:
    fake = FakeDahua([Slot("A")], rtsp_port=10554, faults={"name=RTSP": Fault.BUSY})
    async with fake, opened(fake) as recorder:
        with pytest.raises(DeviceError, match="busy"):
            await recorder.channels()
        fake.faults.clear()
        await recorder.channels()
        assert ":10554/" in recorder.live(1, sub=False).url


@pytest.mark.parametrize("page", [7, 8, 100])
async def test_a_search_turns_pages_until_all_is_there(page: int) -> None:
    """A page that isn't full ends nothing: firmware gives fewer than it is asked for."""
    async with FakeDahua(page=page) as fake, opened(fake) as recorder:
        fake.recordings[1] = [
            *minutes(30),
            Recorded(wall(24, 5), wall(24, 6), "Event"),
            Recorded(wall(24, 7), wall(24, 8), "Manual"),
            Recorded(wall(24, 7), wall(24, 8), "Manual", video="Extra1"),
            Recorded(wall(24, 9), wall(24, 10), "Event", kind="jpg"),
        ]
        found, is_all = await recorder.search(1, BEGIN, END)
        assert is_all
        assert len(found) == 32
        assert found[0].begin == BEGIN, "its clock is eight hours ahead"
        assert [each.trigger for each in found[-3:]] == ["schedule", "alarm", "manual"]
        assert pages(fake) == -(-34 // page) + 1
        assert fake.finders == {}


@pytest.mark.parametrize("refuses", [True, False])
async def test_a_search_that_finds_nothing_is_whole(refuses: bool) -> None:
    async with FakeDahua(refuses_empty_search=refuses) as fake, opened(fake) as recorder:
        assert await recorder.search(1, BEGIN, END) == ([], True)
        assert fake.finders == {}


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault.SILENT, "takes longer"),
        (Fault.HUGE, "more than 1 MB"),
        (Fault.CUT_PAGE, "finds 31 recordings and tells 30"),
        (Fault.CLOSES, "closed"),
        (Fault.BINARY, "no text"),
    ],
)
async def test_a_finder_is_given_back_whatever_happens(fault: Fault, sentence: str) -> None:
    timeout_s = 2.4 if fault is Fault.SILENT else 7
    fake = FakeDahua(faults={"findNextFile": fault})
    async with fake, opened(fake, timeout_s=timeout_s) as recorder:
        fake.recordings[1] = minutes(30)
        began = time.monotonic()
        with pytest.raises(DeviceError, match=sentence):
            await recorder.search(1, BEGIN, END)
        assert time.monotonic() - began < 2
        assert fake.finders == {}


async def test_a_finder_is_given_back_when_whoever_asked_is_gone() -> None:
    async with FakeDahua(faults={"findNextFile": Fault.SILENT}) as fake, opened(fake) as recorder:
        fake.recordings[1] = minutes(30)
        task = asyncio.create_task(recorder.search(1, BEGIN, END))
        async with asyncio.timeout(5):
            while not pages(fake):
                await asyncio.sleep(0.01)
        assert len(fake.finders) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert fake.finders == {}


async def test_searches_share_the_few_finders_of_a_device() -> None:
    async with FakeDahua(max_finders=2) as fake, opened(fake) as recorder:
        fake.recordings = {number: minutes(30) for number in range(1, 11)}
        calls = [recorder.search(number, BEGIN, END) for number in range(1, 11)]
        assert [len(found) for found, _ in await asyncio.gather(*calls)] == [30] * 10
        assert fake.most_finders == 2
        fake.max_finders = 0
        with pytest.raises(DeviceError, match="too many may be under way") as caught:
            await recorder.search(1, BEGIN, END)
        assert caught.value.failure is DeviceFailure.NO_ANSWER


async def test_a_search_ends_when_no_page_is_turned() -> None:
    fake = FakeDahua(page=7, faults={FINDER: Fault.SAME_PAGE})
    async with fake, opened(fake) as recorder:
        fake.recordings[1] = minutes(30)
        found, is_all = await recorder.search(1, BEGIN, END)
        assert (len(found), is_all, pages(fake)) == (7, False, 2)


async def test_a_search_has_a_bound(caplog: pytest.LogCaptureFixture) -> None:
    async with FakeDahua(page=1) as fake, opened(fake) as recorder:
        fake.recordings[1] = minutes(110)
        found, is_all = await recorder.search(1, BEGIN, END)
        assert (len(found), is_all) == (50, False)
        assert len(await recorder.calendar(1, 2026, 11)) == 1
        assert "days may be missing" in caplog.text
        assert fake.finders == {}


async def test_a_search_that_takes_too_long_gives_what_it_has() -> None:
    async with FakeDahua([Slot("A")], page=5) as fake, opened(fake, timeout_s=3) as recorder:
        fake.recordings[1] = minutes(300)
        await recorder.channels()
        task = asyncio.create_task(recorder.search(1, BEGIN, END))
        while pages(fake) < 2:
            await asyncio.sleep(0)
        fake.faults["findNextFile"] = Fault.SILENT
        found, is_all = await task
        assert 0 < len(found) < 300
        assert not is_all


async def test_the_calendar_tells_days_and_alarms() -> None:
    async with FakeDahua() as fake, opened(fake) as recorder:
        fake.recordings[2] = [
            Recorded(wall(3, 5), wall(3, 6)),
            Recorded(wall(23, 23), wall(24, 1), "Event"),
            Recorded(wall(26, 23), wall(27, 0)),
            Recorded(wall(30, 23), wall(30, 23) + timedelta(hours=2)),
        ]
        days = await recorder.calendar(2, 2026, 11)
        assert [(each.day, each.has_alarm) for each in days] == [
            (3, False), (23, True), (24, True), (26, False), (30, False)
        ]  # fmt: skip
        assert [each.day for each in await recorder.calendar(2, 2026, 12)] == [1]
        assert await recorder.calendar(1, 2026, 11) == ()


@pytest.mark.parametrize("ptz_from", [1, 0])
@pytest.mark.parametrize("refuses_with", [400, 200])
@pytest.mark.parametrize("has_listed", [True, False])
async def test_the_right_camera_moves_however_they_are_counted(
    has_listed: bool, refuses_with: int, ptz_from: int
) -> None:
    slots = [Slot("A"), Slot("B"), Slot("C")]
    fake = FakeDahua(slots, ptz_from=ptz_from, refuses_with=refuses_with)
    async with fake, opened(fake) as recorder:
        if has_listed:
            await recorder.channels()
        camera: Steerable = recorder.steering(2)
        await camera.move(Motion(pan=-1, tilt=0.5))
        assert fake.moving == {2: {"LeftUp": (4, 8)}} | {
            number: {} for number in (1, 3) if number in fake.moving
        }
        await camera.move(Motion(zoom=0.01))
        assert fake.moving[2] == {"LeftUp": (4, 8), "ZoomTele": (0, 1)}
        await camera.stop()
        assert fake.moving[2] == {}
        before = len(fake.requests)
        await recorder.steering(1).move(Motion(tilt=-2))
        assert fake.moving[1] == {"Down": (0, 8)}
        assert len(fake.requests) - before == 1, "how they are counted is asked once"


@pytest.mark.parametrize("ptz_from", [None, 0, 1])
async def test_a_camera_alone_moves(ptz_from: int | None) -> None:
    async with FakeDahua([Slot("A")], ptz_from=ptz_from) as fake, opened(fake) as recorder:
        await recorder.steering(1).move(Motion(pan=1))
        assert fake.moving == {1: {"Right": (0, 8)}}
        await recorder.steering(1).stop()
        assert fake.moving == {1: {}}


async def test_where_counting_cannot_be_seen_no_neighbour_moves() -> None:
    """Neither the first nor the last camera moves, so neither number tells."""
    slots = [Slot("A", has_ptz=False), Slot("B"), Slot("C", has_ptz=False)]
    async with FakeDahua(slots) as fake, opened(fake) as recorder:
        await recorder.steering(2).move(Motion(focus=1, iris=-0.5))
        assert fake.moving == {2: {"FocusFar": (0, 8), "IrisSmall": (0, 4)}}
        await recorder.steering(2).stop()
        assert fake.moving == {2: {}}
        for still in (1, 3):
            with pytest.raises(DeviceError, match="Bad Request"):
                await recorder.steering(still).move(Motion(pan=1))
        assert fake.moving == {2: {}}
        slots[0].has_ptz = True
        fake.ptz_from = 0
        await recorder.steering(2).move(Motion(pan=1))
        assert fake.moving[2] == {"Right": (0, 8)}, "it is asked until it is seen"


async def test_a_camera_that_does_not_move_says_so() -> None:
    async with (
        FakeDahua([Slot("A", has_ptz=False)]) as fake,
        opened(fake) as recorder,
    ):
        with pytest.raises(DeviceError, match=r"400 \(Bad Request!\)") as caught:
            await recorder.steering(1).move(Motion(pan=1))
        assert caught.value.failure is DeviceFailure.UNSUPPORTED
        fake.slots[0].has_ptz = True
        fake.faults["ptz.cgi"] = Fault.EMPTY
        with pytest.raises(DeviceError, match="does not say whether"):
            await recorder.steering(1).stop()


async def test_wiper_and_light() -> None:
    async with FakeDahua([Slot("A"), Slot("B")]) as fake, opened(fake) as recorder:
        camera = recorder.steering(2)
        await camera.switch(Switch.WIPER, on=True)
        await camera.switch(Switch.LIGHT, on=True)
        assert fake.switched == {(2, "wiper"): True, (2, "light"): True}
        await camera.switch(Switch.WIPER, on=False)
        await camera.switch(Switch.LIGHT, on=False)
        assert fake.switched == {(2, "wiper"): False, (2, "light"): False}


async def test_presets_are_kept_listed_and_gone_to() -> None:
    async with FakeDahua([Slot("Dome")]) as fake, opened(fake) as recorder:
        camera = recorder.steering(1)
        assert await camera.set_preset("2", "Gate & 大门?#=") == "2"
        assert await camera.set_preset("front door", "Door") == "1"
        assert await camera.set_preset("0", "") == "3"
        presets = await camera.presets()
        assert {each.token: each.name for each in presets} == {
            "1": "Door", "2": "Gate & 大门?#=", "3": "Preset3"
        }  # fmt: skip
        await camera.go_to("2")
        assert fake.looks_at == {1: 2}
        await camera.delete_preset("2")
        assert {each.token for each in await camera.presets()} == {"1", "3"}
        with pytest.raises(DeviceError, match="Bad Request"):
            await camera.go_to("2")
        for bad in ("../1", "256", "", "-1", "1&code=Up"):
            with pytest.raises(DeviceError, match="numbers from 1 to 255"):
                await camera.go_to(bad)
            with pytest.raises(DeviceError, match="numbers from 1 to 255"):
                await camera.delete_preset(bad)
        fake.names_presets = False
        assert await camera.set_preset("7", "Name") == "7", "it is kept though it has no name"
        fake.presets = {(1, number): "x" for number in range(1, 256)}
        with pytest.raises(DeviceError, match="taken"):
            await camera.set_preset("new", "New")


async def test_a_first_preset_where_none_is() -> None:
    async with FakeDahua([Slot("Dome")]) as fake, opened(fake) as recorder:
        assert await recorder.steering(1).set_preset("door", "Door") == "1"


async def test_a_poll_costs_little() -> None:
    slots = [Slot(f"Camera {number}") for number in range(1, 65)]
    async with FakeDahua(slots) as fake, opened(fake) as recorder:
        await recorder.channels()
        began = time.process_time()
        for _ in range(20):
            await recorder.channels()
        per_poll_s = (time.process_time() - began) / 20
        # the fake's work is in it too
        assert per_poll_s < 0.05


async def test_it_is_followed_as_every_recorder_is(tmp_path: Path) -> None:
    """The registry asks it, says which cameras are online, and asks a refused login no more."""
    store = Store(tmp_path)
    await store.open()
    devices = Devices({"dahua": DahuaRecorder}, store, Hub())
    slots = [Slot("Gate"), Slot("Yard", state="Unconnect")]
    async with FakeDahua(slots, rtsp_port=10554) as fake:
        try:
            await devices.start([fake.config(), fake.config(token="bad", password="wrong")])
            device, refused = devices.get("nvr"), devices.get("bad")
            assert await device.first_try(7)
            assert await refused.first_try(7)
            assert (device.state.is_online, device.state.reason) == (True, "")
            assert [(one.name, one.is_online) for one in device.channels] == [
                ("Gate", True), ("Yard", False)
            ]  # fmt: skip
            assert (await device.live(1, sub=True)).url.endswith(
                ":10554/cam/realmonitor?channel=1&subtype=1"
            )
            assert "refuses the user name or the password" in refused.state.reason
            with pytest.raises(DeviceError, match="password"):
                await refused.ask(lambda recorder: recorder.search(1, BEGIN, END))
            assert fake.wrong_logins <= 1
        finally:
            await devices.aclose()
            await store.close()


async def test_a_motion_that_was_refused_is_not_stopped() -> None:
    async with FakeDahua([Slot("A"), Slot("B", has_ptz=False)]) as fake, opened(fake) as recorder:
        camera = recorder.steering(2)
        with pytest.raises(DeviceError):
            await camera.move(Motion(pan=1))
        fake.slots[1].has_ptz = True
        await camera.move(Motion(zoom=1))
        assert set(fake.moving) == {2}
        before = len(fake.requests)
        await camera.stop()
        assert fake.moving[2] == {}
        assert len(fake.requests) - before == 1
