"""A Hikvision recorder by real sockets: found, listed, steered and searched, whatever it does."""

from __future__ import annotations

import asyncio
import socket
import time
from datetime import UTC, datetime, timedelta

import pytest

from h5sup.devices.hik.api import HikRecorder
from h5sup.devices.http import HttpPort, list_ports
from h5sup.devices.model import DeviceError, DeviceFailure, Motion, Steerable, Switch
from tests.fakes.hik_recorder import FakeHik, Recorded, Slot
from tests.fakes.web_recorder import Fault, failure, opened

pytestmark = pytest.mark.media

INFO = "/ISAPI/System/deviceInfo"
SEARCH = "/ISAPI/ContentMgmt/search"
HANGS_S = 1.0  # for a device that hangs; time enough for one that doesn't, on a busy machine
BEGIN = datetime(2026, 11, 23, 16, tzinfo=UTC)  # midnight of the 24th by the fake's clock
END = BEGIN + timedelta(days=1)


def wall(day: int, hour: int) -> datetime:
    """Return a time of November by the device's clock."""
    return datetime(2026, 11, day, hour)  # noqa: DTZ001 (a wall clock has no zone)


def minutes(count: int, kind: str = "timing") -> list[Recorded]:
    """Return recordings of 40 s, one a minute, from midnight by the device's clock."""
    midnight = wall(24, 0)
    return [
        Recorded(
            midnight + timedelta(minutes=n), midnight + timedelta(minutes=n, seconds=40), kind
        )
        for n in range(count)
    ]


async def test_channels_come_with_names_and_online_state() -> None:
    names = [
        Slot(1, "Gate <&> 大门"),
        Slot(2, "Yard", is_online=False),
        Slot(3, "", is_online=None),
    ]
    async with FakeHik(ip=names) as fake, opened(fake) as recorder:
        found = await recorder.channels()
        assert [(each.number, each.name, each.is_online) for each in found] == [
            (1, "Gate <&> 大门", True),
            (2, "Yard", False),
            (3, "Channel 3", True),
        ]
        assert recorder.info is not None
        assert (recorder.info.kind, recorder.info.model) == ("NVR", "DS-FAKE")
        assert fake.wrong_logins == 0


async def test_a_recorder_that_knows_no_state_counts_its_channels_as_online() -> None:
    async with (
        FakeHik(ip=[Slot(1, "A", is_online=False)], knows_status=False) as fake,
        opened(fake) as recorder,
    ):
        assert [each.is_online for each in await recorder.channels()] == [True]


async def test_analog_inputs_stand_beside_cameras_on_the_network() -> None:
    wired = [Slot(1, "Hall"), Slot(2, "Cellar", is_online=False), Slot(4, "off", is_online=None)]
    async with (
        FakeHik(kind="DVR", ip=[Slot(17, "Net")], analog=wired) as fake,
        opened(fake) as recorder,
    ):
        found = await recorder.channels()
    assert [(each.number, each.is_online) for each in found] == [(1, True), (2, False), (17, True)]


async def test_a_lone_camera_is_one_channel() -> None:
    async with (
        FakeHik(kind="IPCamera", ip=None, analog=[Slot(1, "Camera 01")]) as fake,
        opened(fake) as recorder,
    ):
        assert [each.number for each in await recorder.channels()] == [1]
    async with (
        FakeHik(kind="IPCamera", ip=None, streams=[101, 102, 201]) as fake,
        opened(fake) as recorder,
    ):
        assert [(c.number, c.name) for c in await recorder.channels()] == [
            (1, "Lobby"),
            (2, "Lobby"),
        ]
        before = len(fake.requests)
        await recorder.channels()
        assert len(fake.requests) - before == 1, "what it has not is not asked for each time"


async def test_what_a_device_lies_about_its_channels_is_left_out() -> None:
    lies = [Slot(n, "x" * 500) for n in (0, -1, 70_000, 10**30, "../1", "", 2, 2)]
    async with FakeHik(ip=lies) as fake, opened(fake) as recorder:
        found = await recorder.channels()
        assert [each.number for each in found] == [2]
        assert len(found[0].name) == 128


async def test_a_recorder_without_cameras_has_none() -> None:
    async with FakeHik() as fake, opened(fake) as recorder:
        assert await recorder.channels() == ()


async def test_addresses_are_of_the_host_that_was_given() -> None:
    async with FakeHik(ip=[Slot(1, "A")], rtsp_port=10554) as fake:
        async with opened(fake) as recorder:
            assert recorder.live(1, sub=False).url == "rtsp://127.0.0.1:554/Streaming/Channels/101"
            await recorder.channels()
            live = recorder.live(12, sub=True)
            assert live.url == "rtsp://127.0.0.1:10554/Streaming/Channels/1202"
            assert (live.user, live.password) == (fake.user, fake.password)
            assert recorder.playback(1, BEGIN, END).url == (
                "rtsp://127.0.0.1:10554/Streaming/tracks/101"
                "?starttime=20261124T000000Z&endtime=20261125T000000Z"
            )
        async with opened(fake, rtsp_port=20554) as recorder:
            await recorder.channels()
            assert ":20554/" in recorder.live(1, sub=False).url
            assert "/ISAPI/Security/adminAccesses" not in fake.asked[-3:]
        fake.tells_ports = False
        async with opened(fake) as recorder:
            await recorder.channels()
            assert ":554/" in recorder.live(1, sub=False).url
    async with opened(FakeHik(), host="2001:db8::7", rtsp_port=554) as recorder:
        assert recorder.live(1, sub=False).url.startswith("rtsp://[2001:db8::7]:554/")


def test_ports_are_tried_in_order() -> None:
    assert [(place.port, place.is_tls) for place in list_ports(8000, 0)] == [
        (8000, False), (8000, True), (80, False), (443, True), (8080, False), (81, False)
    ]  # fmt: skip
    assert list_ports(443, 0)[:2] == (HttpPort(443, is_tls=True), HttpPort(443))
    assert list_ports(8000, 8443) == (HttpPort(8443), HttpPort(8443, is_tls=True))


async def test_who_has_been_let_go_of_is_not_asked_any_more() -> None:
    async with FakeHik(ip=[Slot(1, "A")]) as fake, opened(fake) as recorder:
        await recorder.channels()
        await recorder.close()
        with pytest.raises(DeviceError, match="let go of"):
            await recorder.channels()


async def test_many_at_once_do_not_lock_the_device() -> None:
    async with FakeHik(ip=[Slot(1, "A")]) as fake, opened(fake) as recorder:
        await recorder.channels()
        fake.password = "changed"
        calls = [recorder.channels() for _ in range(20)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(result, DeviceError) for result in results)
        assert 0 < fake.wrong_logins < fake.lock_after


async def test_a_lock_is_told_apart_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeHik(ip=[Slot(1, "A")], wrong_logins=5) as fake, opened(fake) as recorder:
        with pytest.raises(
            DeviceError, match="locked the user out after wrong logins, for 30 min"
        ) as caught:
            await recorder.channels()
        assert caught.value.failure is DeviceFailure.LOCKED_OUT
        fake.wrong_logins = 0
        with pytest.raises(DeviceError, match="locked"):
            await recorder.channels()
        assert fake.requests == []
        loop = asyncio.get_running_loop()
        real = loop.time
        monkeypatch.setattr(loop, "time", lambda: real() + 1800)
        assert len(await recorder.channels()) == 1


async def test_a_device_without_digest_is_told_so() -> None:
    async with FakeHik(ip=[Slot(1, "A")], schemes=("Basic",)) as fake:
        told = await failure(fake)
        assert (told.failure, fake.wrong_logins) == (DeviceFailure.NO_LOGIN, 0)
        assert "takes no digest login" in str(told)
        fake.schemes = ("Digest",)
        async with opened(fake) as recorder:
            await recorder.channels()
            fake.schemes = ("Basic",)
            fake.expire_nonces()
            with pytest.raises(DeviceError, match="refuses"):
                await recorder.channels()


@pytest.mark.parametrize("digest", ["Digest", "old Digest"])
@pytest.mark.parametrize("order", [0, 1])
async def test_digest_is_taken_wherever_it_stands(order: int, digest: str) -> None:
    schemes = ("Basic", digest) if order else (digest, "Basic")
    async with FakeHik(ip=[Slot(1, "A")], schemes=schemes) as fake, opened(fake) as recorder:
        for _ in range(3):
            assert len(await recorder.channels()) == 1
        # one where it was looked for, by either way, and one for the login
        assert fake.refusals == 2


async def test_http_is_found_beside_a_port_that_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sdk:
        async with FakeHik(ip=[Slot(1, "A")]) as fake:
            monkeypatch.setattr("h5sup.devices.http.USUAL_PORTS", (fake.port,))
            given = sdk.getsockname()[1]
            async with opened(fake, port=given, http_port=0) as recorder:
                assert len(await recorder.channels()) == 1
            fake.is_behind_redirect = True
            told = await failure(fake, port=given, http_port=0, find_timeout_s=HANGS_S)
            assert f"(tried ports {given}, {fake.port}; http_port names another)" in str(told)


async def test_the_port_of_rtsp_is_asked_until_it_is_told() -> None:
    ports = "/ISAPI/Security/adminAccesses"
    async with (
        FakeHik(ip=[Slot(1, "A")], rtsp_port=1554, faults={ports: Fault.SILENT}) as fake,
        opened(fake, timeout_s=HANGS_S) as recorder,
    ):
        with pytest.raises(DeviceError, match=r"takes longer|no answer"):
            await recorder.channels()
        fake.faults.clear()
        await recorder.channels()
        assert ":1554/" in recorder.live(1, sub=False).url


async def test_another_zone_is_noticed_within_the_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeHik(ip=[Slot(1, "A")]) as fake, opened(fake) as recorder:
        await recorder.channels()
        fake.zone = "CST-2:00:00"
        await recorder.channels()
        assert fake.asked.count("/ISAPI/System/time") == 1
        loop = asyncio.get_running_loop()
        real = loop.time
        monkeypatch.setattr(loop, "time", lambda: real() + 3601)
        await recorder.channels()
        assert "starttime=20261123T180000Z" in recorder.playback(1, BEGIN, END).url


async def test_digest_that_was_switched_on_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers by Basic alone, and says so first when it is asked with a login."""
    async with FakeHik(ip=[Slot(1, "A")], user="") as fake, opened(fake, user="a") as recorder:
        await recorder.channels()
        fake.user, fake.schemes = "a", ("Basic",)
        with pytest.raises(DeviceError, match="takes no digest") as caught:
            await recorder.channels()
        assert caught.value.failure is DeviceFailure.NO_LOGIN
        fake.schemes, asked = ("Digest",), fake.refusals
        with pytest.raises(DeviceError, match="takes no digest"):
            await recorder.channels()
        assert fake.refusals == asked, "it is let be for a while"
        loop = asyncio.get_running_loop()
        real = loop.time
        monkeypatch.setattr(loop, "time", lambda: real() + 601)
        assert len(await recorder.channels()) == 1


@pytest.mark.parametrize(
    ("lists", "moving"),
    [
        ({}, [1, 2, 33]),  # it says nothing: the pad is shown
        ({"PTZCtrl": [1]}, [1, 2, 33]),  # of wired ones alone
        ({"PTZCtrl": []}, [2, 33]),
        ({"PTZCtrl": [-1]}, [2, 33]),
        ({"PTZCtrl": [1, 33]}, [1, 33]),  # one list for all
        ({"PTZCtrl": [1], "PTZCtrlProxy": [2]}, [1, 2]),
        ({"PTZCtrlProxy": []}, [1]),
    ],
)
async def test_which_cameras_move_is_as_the_recorder_lists(
    lists: dict[str, list[int]], moving: list[int]
) -> None:
    fake = FakeHik(ip=[Slot(2, "B"), Slot(33, "C")], analog=[Slot(1, "A")], moving_lists=lists)
    async with fake, opened(fake) as recorder:
        assert [one.number for one in await recorder.channels() if one.has_ptz] == moving
        asked = len(fake.requests)
        await recorder.channels()
        assert not any("PTZ" in path for path in fake.asked[asked:]), "it is asked seldom"
        fake.ip = [Slot(2, "B")]
        await recorder.channels()
        assert any("PTZ" in path for path in fake.asked[asked:]), "another camera is asked about"


@pytest.mark.parametrize(("steers", "moves"), [("PTZCtrl", True), ("", False)])
async def test_a_lone_camera_says_whether_it_moves(steers: str, moves: bool) -> None:
    fake = FakeHik(kind="IPCamera", ip=None, analog=[Slot(1, "Camera 01")], steers=steers)
    async with fake, opened(fake) as recorder:
        assert [one.has_ptz for one in await recorder.channels()] == [moves]


@pytest.mark.parametrize("fault", [Fault.BROKEN_XML, Fault.BOMB, Fault.PACKED])
async def test_a_list_of_what_moves_that_makes_no_sense_hides_nothing(fault: Fault) -> None:
    async with (
        FakeHik(ip=[Slot(1, "A")], faults={"/PTZCtrl": fault}) as fake,
        opened(fake) as recorder,
    ):
        assert [one.has_ptz for one in await recorder.channels()] == [True]


async def test_a_user_name_with_a_colon_is_refused() -> None:
    async with FakeHik() as fake:
        assert "colon" in str(await failure(fake, user="a:b"))


@pytest.mark.parametrize("path", [INFO, "/ISAPI/ContentMgmt/InputProxy/channels"])
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault.BROKEN_XML, "not XML"),
        (Fault.BOMB, "document type"),
        (Fault.EXTERNAL, "document type"),
        (Fault.PACKED, "packs"),
    ],
)
async def test_an_answer_that_is_no_xml_gets_a_sentence(
    path: str, fault: Fault, sentence: str
) -> None:
    async with FakeHik(ip=[Slot(1, "A")], faults={path: fault}) as fake, opened(fake) as recorder:
        with pytest.raises(DeviceError, match=sentence) as caught:
            await recorder.channels()
        assert caught.value.failure is DeviceFailure.NOT_UNDERSTOOD
        fake.faults.clear()
        assert len(await recorder.channels()) == 1, "it goes on when the device does"


async def test_a_host_that_is_unknown_is_told_so() -> None:
    told = await failure(FakeHik(port=80), host="nowhere.invalid", http_port=0)
    assert (told.failure, str(told)) == (
        DeviceFailure.UNREACHABLE,
        "the host nowhere.invalid is not known",
    )


async def test_what_is_not_http_is_told_so() -> None:
    async def chat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00\x00\x00\x10SDK" * 100)
        await reader.read(1)
        writer.close()

    server = await asyncio.start_server(chat, "127.0.0.1", 0)
    async with server:
        told = await failure(FakeHik(port=server.sockets[0].getsockname()[1]))
        assert told.failure is DeviceFailure.NOT_UNDERSTOOD


async def test_a_page_that_is_no_device_is_passed_over() -> None:
    async with FakeHik(user="", faults={"/": Fault.BROKEN_XML}) as fake:
        told = await failure(fake)
        assert told.failure is DeviceFailure.NOT_UNDERSTOOD
        assert "is not such a device" in str(told)


async def test_a_device_that_comes_back_at_another_port_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = FakeHik(ip=[Slot(1, "A")])
    async with fake:
        recorder = HikRecorder(fake.config(port=fake.port, http_port=0))
        assert len(await recorder.channels()) == 1
    with pytest.raises(DeviceError) as caught:
        await recorder.channels()
    assert caught.value.failure is DeviceFailure.UNREACHABLE
    async with FakeHik(ip=[Slot(1, "A"), Slot(2, "B")]) as moved:
        monkeypatch.setattr("h5sup.devices.http.USUAL_PORTS", (moved.port,))
        assert len(await recorder.channels()) == 2
        await recorder.close()


async def test_a_search_turns_pages_until_all_is_there() -> None:
    async with FakeHik(ip=[Slot(1, "A")], page=7) as fake, opened(fake) as recorder:
        fake.recordings[101] = [
            *minutes(30),
            Recorded(wall(24, 5), wall(24, 6), "motion"),
            Recorded(wall(24, 7), wall(24, 8), "manual"),
        ]
        found, is_all = await recorder.search(1, BEGIN, END)
        assert is_all
        assert len(found) == 32
        assert found[0].begin == BEGIN, "its Z is its own wall clock, eight hours ahead"
        assert [each.trigger for each in found[-3:]] == ["schedule", "alarm", "manual"]
        bodies = [body for _, path, body in fake.requests if path == SEARCH]
        assert len(bodies) == 5
        assert len({body.split("searchID>")[1] for body in bodies}) == 1


async def test_a_search_that_finds_nothing_is_whole() -> None:
    async with FakeHik(ip=[Slot(1, "A")]) as fake, opened(fake) as recorder:
        assert await recorder.search(1, BEGIN, END) == ([], True)


async def test_a_search_ends_when_no_page_is_turned() -> None:
    async with FakeHik(page=7, faults={SEARCH: Fault.SAME_PAGE}) as fake:
        fake.recordings[101] = minutes(30)
        async with opened(fake) as recorder:
            found, is_all = await recorder.search(1, BEGIN, END)
            assert (len(found), is_all) == (7, False)
            assert fake.asked.count(SEARCH) == 2


async def test_a_search_has_a_bound() -> None:
    async with FakeHik(page=1) as fake:
        fake.recordings[101] = minutes(60)
        async with opened(fake) as recorder:
            found, is_all = await recorder.search(1, BEGIN, END)
            assert (len(found), is_all) == (50, False)


async def test_a_search_that_takes_too_long_gives_what_it_has() -> None:
    async with FakeHik(page=5) as fake:
        fake.recordings[101] = minutes(30)
        async with opened(fake, timeout_s=HANGS_S) as recorder:
            await recorder.channels()
            task = asyncio.create_task(recorder.search(1, BEGIN, END))
            while fake.asked.count(SEARCH) < 1:
                await asyncio.sleep(0)
            fake.faults[SEARCH] = Fault.SILENT
            found, is_all = await task
            assert 0 < len(found) < 30
            assert not is_all


async def test_the_calendar_tells_days_and_alarms() -> None:
    async with FakeHik() as fake, opened(fake) as recorder:
        fake.recordings[201] = [
            Recorded(wall(3, 5), wall(3, 6)),
            Recorded(wall(24, 5), wall(24, 6), "motion"),
        ]
        days = await recorder.calendar(2, 2026, 11)
        assert [(each.day, each.has_alarm) for each in days] == [(3, False), (24, True)]
        assert await recorder.calendar(2, 2026, 12) == ()


async def test_a_device_without_a_time_zone_is_taken_for_utc() -> None:
    async with FakeHik(ip=[Slot(1, "A")], tells_time=False) as fake, opened(fake) as recorder:
        await recorder.channels()
        assert "starttime=20261123T160000Z" in recorder.playback(1, BEGIN, END).url
    async with FakeHik(ip=[Slot(1, "A")], zone="") as fake, opened(fake) as recorder:
        await recorder.channels()
        assert "starttime=20261124T000000Z" in recorder.playback(1, BEGIN, END).url


@pytest.mark.parametrize("steers", ["PTZCtrlProxy", "PTZCtrl"])
@pytest.mark.parametrize("refuses_with", [403, 404])
@pytest.mark.parametrize("kind", ["NVR", "IPCamera"])
async def test_a_camera_is_steered_by_whichever_way_works(
    kind: str, refuses_with: int, steers: str
) -> None:
    slots = [Slot(2, "Dome")]
    lists = {"ip": slots} if kind == "NVR" else {"ip": None, "analog": slots}
    fake = FakeHik(kind=kind, steers=steers, refuses_with=refuses_with, **lists)
    async with fake, opened(fake) as recorder:
        await recorder.channels()
        camera: Steerable = recorder.steering(2)
        await camera.move(Motion(pan=-1, tilt=0.5, zoom=2))
        assert fake.moving == {2: (-100, 50, 100)}
        tried = next(path for path in fake.asked if path.endswith("/continuous"))
        assert ("Proxy" in tried) is (kind == "NVR"), "the likelier way is tried first"
        await camera.stop()
        assert fake.moving == {2: (0, 0, 0)}
        before = len(fake.requests)
        await recorder.steering(2).stop()
        assert len(fake.requests) - before == 1, "the way that works is remembered"


async def test_focus_iris_wiper_and_light() -> None:
    async with FakeHik(ip=[Slot(1, "Dome")]) as fake, opened(fake) as recorder:
        camera = recorder.steering(1)
        await camera.move(Motion(focus=0.3, iris=-1))
        assert (fake.focus, fake.iris, fake.moving) == ({1: 30}, {1: -100}, {})
        await camera.stop()
        assert (fake.focus, fake.iris, fake.moving) == ({1: 0}, {1: 0}, {})
        await camera.switch(Switch.WIPER, on=True)
        await camera.switch(Switch.LIGHT, on=False)
        assert fake.switched == {(1, "WIPER"): "on", (1, "LIGHT"): "off"}


async def test_presets_are_kept_listed_and_gone_to() -> None:
    async with FakeHik(ip=[Slot(1, "Dome")]) as fake, opened(fake) as recorder:
        camera = recorder.steering(1)
        assert await camera.presets() == ()
        assert await camera.set_preset("2", "Gate <&> 大门") == "2"
        assert await camera.set_preset("front door", "Door") == "1"
        assert await camera.set_preset("0", "x") == "3"
        assert [(each.token, each.name) for each in await camera.presets()] == [
            ("1", "Door"),
            ("2", "Gate <&> 大门"),
            ("3", "x"),
        ]
        await camera.go_to("2")
        assert fake.looks_at == {1: 2}
        await camera.delete_preset("2")
        assert [each.token for each in await camera.presets()] == ["1", "3"]
        with pytest.raises(DeviceError, match="presetNotSet"):
            await camera.go_to("2")
        for bad in ("../1", "301", "", "-1"):
            with pytest.raises(DeviceError, match="numbers from 1 to 300"):
                await camera.go_to(bad)
            with pytest.raises(DeviceError, match="numbers from 1 to 300"):
                await camera.delete_preset(bad)


async def test_presets_that_do_things_are_not_taken_for_new_places() -> None:
    async with FakeHik(ip=[Slot(1, "Dome")]) as fake, opened(fake) as recorder:
        fake.presets = {(1, number): "x" for number in range(1, 33)}
        assert await recorder.steering(1).set_preset("new", "New") == "106"
        fake.presets |= {(1, number): "x" for number in range(106, 256)}
        with pytest.raises(DeviceError, match="taken"):
            await recorder.steering(1).set_preset("new", "New")


async def test_a_camera_that_does_not_move_says_so() -> None:
    async with FakeHik(ip=[Slot(1, "Box")], steers="") as fake, opened(fake) as recorder:
        with pytest.raises(DeviceError, match=r"403 \(notSupport\)") as caught:
            await recorder.steering(1).move(Motion(pan=1))
        assert caught.value.failure is DeviceFailure.UNSUPPORTED


async def test_a_device_that_hangs_up_after_each_answer_works() -> None:
    async with FakeHik(ip=[Slot(1, "A")], closes_each=True) as fake, opened(fake) as recorder:
        await recorder.channels()
        assert await recorder.search(1, BEGIN, END) == ([], True)


async def test_a_hundred_devices_cost_little() -> None:
    slots = [Slot(number, f"Camera {number}") for number in range(1, 65)]
    async with FakeHik(ip=slots) as fake, opened(fake) as recorder:
        await recorder.channels()
        began = time.process_time()
        for _ in range(20):
            await recorder.channels()
        per_poll_s = (time.process_time() - began) / 20
        # the fake's work is in it too
        assert per_poll_s < 0.02
