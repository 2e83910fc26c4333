"""All recorders: polled, kept, and told of once when they come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from h5sup.base.errors import ConfigError, ConflictError, NotFoundError, UnavailableError
from h5sup.devices import registry as registry_module
from h5sup.devices.device import MAX_CHANNELS, Pace, split_token
from h5sup.devices.model import DeviceChannel, DeviceError, DeviceFailure, DeviceRecord
from h5sup.devices.recorded import RecordedChannel
from h5sup.devices.registry import Devices
from h5sup.events.event import Offline, Online
from h5sup.events.hub import Hub
from tests.fakes.nvr import PASSWORD, QUICK, MemoryStore, Nvr, channels, config

GONE = DeviceError(DeviceFailure.UNREACHABLE, "can't connect to 127.0.0.1")


class House:
    """Devices with one fake behind all of them, and what was told."""

    def __init__(self, nvr: Nvr, store: MemoryStore, pace: Pace) -> None:
        self.nvr = nvr
        self.store = store
        self.hub = Hub()
        self.events = self.hub.subscribe(limit=10_000)
        self.devices = Devices({"hik": nvr.make}, store, self.hub, pace=pace)

    def told(self) -> list[object]:
        """Return what was told since the last time."""
        return [self.events._events.popleft().what for _ in range(len(self.events))]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.002)

    async def polls(self, count: int) -> None:
        """Wait until it has been asked so often again."""
        wanted = self.nvr.asked + count
        await self.until(lambda: self.nvr.asked >= wanted)

    def is_online(self, token: str = "nvr") -> bool:
        return self.devices.get(token).state.is_online


@asynccontextmanager
async def house(
    *configured: Any, nvr: Nvr | None = None, store: MemoryStore | None = None, pace: Pace = QUICK
) -> AsyncIterator[House]:
    home = House(nvr or Nvr(), store or MemoryStore(), pace)
    try:
        await home.devices.start(configured)
        yield home
    finally:
        await home.devices.aclose()


async def test_a_recorder_comes_online_and_says_so_once() -> None:
    nvr = Nvr()
    nvr.listed = channels(1, 2, offline=[2])
    async with house(config(), nvr=nvr) as home:
        await home.until(home.is_online)
        await home.polls(3)

        lost = "the recorder has no picture of this camera"
        assert home.told() == [Online("nvr"), Online("nvr--1"), Offline("nvr--2", lost)]
        assert [one.number for one in home.devices.get("nvr").channels] == [1, 2]
        assert home.devices.get("nvr").state.reason == ""


async def test_one_failure_and_one_lost_picture_are_not_believed() -> None:
    async with house(config()) as home:
        await home.until(home.is_online)
        await home.polls(1)
        home.told()
        for trouble in ("failure", "listed"):
            before = getattr(home.nvr, trouble)
            setattr(home.nvr, trouble, GONE if trouble == "failure" else [])
            await home.polls(1)
            setattr(home.nvr, trouble, before)
            await home.polls(3)
            assert home.is_online()
            assert len(home.devices.get("nvr").channels) == 2
        assert home.told() == []


async def test_a_recorder_that_goes_is_told_of_with_its_channels_and_comes_back() -> None:
    async with house(config()) as home:
        await home.until(home.is_online)
        await home.polls(1)
        home.told()
        home.nvr.failure = GONE
        await home.until(lambda: not home.is_online())
        await home.polls(3)
        assert home.told() == [Offline(one, str(GONE)) for one in ("nvr", "nvr--1", "nvr--2")]
        assert home.devices.get("nvr").state.reason == str(GONE)

        home.nvr.failure = None
        await home.until(home.is_online)
        await home.polls(1)
        assert home.told() == [Online(one) for one in ("nvr", "nvr--1", "nvr--2")]


async def test_a_channel_that_goes_is_told_of_and_comes_back() -> None:
    async with house(config()) as home:
        await home.until(home.is_online)
        await home.polls(1)
        home.told()
        home.nvr.listed = channels(1, offline=[1])
        await home.polls(4)
        assert set(map(type, home.told())) == {Offline}
        assert [one.is_online for one in home.devices.get("nvr").channels] == [False]
        home.nvr.listed = channels(1, 2)
        await home.polls(2)
        assert home.told() == [Online("nvr--1"), Online("nvr--2")]


async def test_a_source_of_the_configuration_wins_over_a_device_of_the_api(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with house() as home:
        await home.devices.add(config())
        await home.devices.apply([], taken={"nvr"})
        assert home.devices.devices() == []
        await home.devices.start([], taken={"nvr"})
        assert home.devices.devices() == []
        assert caplog.text.count("device nvr is left out: its token stands in config.json") == 2
        await home.devices.start([])
        assert home.devices.get("nvr").config == config(), "nothing was lost"


async def test_a_refused_password_is_tried_once_and_by_nobody_again() -> None:
    async with house(config(password="wrong")) as home:
        device = home.devices.get("nvr")
        assert await device.first_try(5)
        assert "refuses the user name" in device.state.reason
        for _ in range(3):
            with pytest.raises(DeviceError, match="refuses the user name"):
                await device.ask(lambda recorder: recorder.channels())
            with pytest.raises(DeviceError, match="refuses the user name"):
                await device.live(1, sub=False)
        await asyncio.sleep(0.1)
        assert home.nvr.asked == 1

        await home.devices.apply([config()])  # somebody has changed it
        await home.until(home.is_online)


async def test_a_password_that_is_refused_later_stops_the_polls_at_once() -> None:
    async with house(config(), pace=replace(QUICK, poll_s=60)) as home:
        await home.until(home.is_online)
        device = home.devices.get("nvr")
        home.nvr.password = "another"
        with pytest.raises(DeviceError, match="refuses"):
            await device.ask(lambda recorder: recorder.calendar(1, 2026, 11))
        await home.until(lambda: not home.is_online())
        await asyncio.sleep(0.05)
        assert home.nvr.asked == 2


async def test_a_lock_out_is_waited_for() -> None:
    nvr = Nvr()
    nvr.failure = DeviceError(DeviceFailure.LOCKED_OUT, "it has locked the user out")
    async with house(config(), nvr=nvr) as home:
        await home.until(lambda: nvr.asked == 2)
        assert home.devices.get("nvr").state.reason == "it has locked the user out"
        nvr.failure = None
        await home.until(home.is_online)


async def test_pauses_grow_while_it_fails() -> None:
    nvr = Nvr()
    nvr.failure = GONE
    async with house(config(), nvr=nvr, pace=Pace()) as home:
        device = home.devices.get("nvr")
        assert await device.first_try(5)  # after which it waits 5 s
        assert [await device._note_failure(GONE) for _ in range(5)] == [10, 20, 40, 60, 60]


@pytest.mark.parametrize("trouble", ["silent", "bug"])
async def test_silence_and_a_bug_of_ours_are_failures_like_others(
    trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    nvr = Nvr()
    nvr.is_silent = trouble == "silent"
    nvr.failure = KeyError("a bug") if trouble == "bug" else None
    async with house(config(), nvr=nvr, pace=replace(QUICK, answer_s=0.05)) as home:
        await home.devices.get("nvr").first_try(5)
        wanted = "does not answer in time" if trouble == "silent" else "the server's log says why"
        assert wanted in home.devices.get("nvr").state.reason
        assert ("a bug" in caplog.text) == (trouble == "bug")
        nvr.is_silent, nvr.failure = False, None
        await home.until(home.is_online)


async def test_a_recorder_that_lies_is_believed_in_part() -> None:
    nvr = Nvr()
    one = DeviceChannel(number=1, name="  Front\x00\r\nyard " + "x" * 500, is_online=True)
    nvr.listed = [
        one, replace(one, name="twice"), replace(one, number=-1), replace(one, number=10**9),
        *channels(*range(2, 5000)),
    ]  # fmt: skip
    async with house(config(), nvr=nvr) as home:
        await home.until(home.is_online)
        found = home.devices.get("nvr").channels
        assert len(found) < MAX_CHANNELS
        assert [channel.number for channel in found] == list(range(1, len(found) + 1))
        assert found[0].name.startswith("Front yard x")
        assert len(found[0].name) == 128


async def test_devices_of_the_api_are_kept_and_those_of_the_file_win() -> None:
    store = MemoryStore()
    async with house(config("fixed"), store=store) as home:
        await home.devices.add(config("mine"))
        with pytest.raises(ConflictError, match="with the token 'mine'"):
            await home.devices.add(config("mine"))
        with pytest.raises(ConflictError, match="stands in config"):
            await home.devices.delete("fixed")
        await home.until(lambda: home.is_online("mine") and home.is_online("fixed"))
    again = config("mine", name="by the file")
    async with house(again, store=store) as home:
        assert [one.config for one in home.devices.devices()] == [again]
        assert home.devices.get("mine").from_file
    async with house(store=store) as home:
        assert not home.devices.get("mine").from_file
        await home.devices.apply([again])
        assert home.devices.get("mine").config is again
    async with house(store=store) as home:
        await home.devices.delete("mine")
        with pytest.raises(NotFoundError):
            home.devices.get("mine")
        with pytest.raises(NotFoundError):
            await home.devices.delete("mine")
    assert store.kept == {}
    assert "mine" not in store.kept_channels


async def test_a_deleted_device_says_goodbye_and_is_asked_no_more() -> None:
    async with house() as home:
        device = await home.devices.add(config())
        await home.until(lambda: home.is_online() and home.nvr.asked > 1)
        home.told()
        await home.devices.delete("nvr")
        tokens = ("nvr", "nvr--1", "nvr--2")
        assert home.told() == [Offline(one, "the device was deleted") for one in tokens]
        assert home.nvr.closed == 1
        with pytest.raises(DeviceError, match="was deleted"):
            await device.live(1, sub=False)
        assert home.devices.find_channel("nvr--1") is None


async def test_a_reload_touches_what_has_changed_alone() -> None:
    async with house(config("a"), config("b"), config("c")) as home:
        a, b = home.devices.get("a"), home.devices.get("b")
        await home.devices.apply([config("a"), config("b", name="new")])
        assert home.devices.get("a") is a
        assert home.devices.get("b") is not b
        assert [one.config.token for one in home.devices.devices()] == ["a", "b"]


async def test_channels_are_known_before_the_device_answers() -> None:
    store = MemoryStore()
    async with house(config(), store=store) as home:
        await home.until(lambda: store.kept_channels)
        await home.polls(3)
    assert store.saved == 1
    nvr = Nvr()
    nvr.failure = GONE
    async with house(config(), nvr=nvr, store=store) as home:
        known = home.devices.get("nvr").channels
        assert [(one.name, one.is_online) for one in known] == [
            ("Camera 1", False), ("Camera 2", False),
        ]  # fmt: skip
        found = home.devices.find_channel("nvr--2")
        assert found is not None
        assert found[1].number == 2
    async with house(config(host="127.0.0.2"), nvr=nvr, store=store) as home:
        assert home.devices.get("nvr").channels == ()  # another recorder has others


async def test_what_the_store_cannot_give_or_take_harms_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore()
    store.kept = {"bad": {"token": "bad", "type": "hik"}, "dh": msgspec.to_builtins(
        config("dh", type="dahua"))}  # fmt: skip
    store.kept_channels = {"nvr": {"token": "nvr", "channels": 7}}
    store.error = UnavailableError("the disk is full")
    async with house(config(), store=store) as home:
        await home.until(home.is_online)
        await home.polls(2)
        assert [one.config.token for one in home.devices.devices()] == ["nvr"]
    for words in ("device bad is left out", "device dh is left out", "channels of device nvr are",
                  "unknown after a restart"):  # fmt: skip
        assert words in caplog.text
    assert PASSWORD not in caplog.text


async def test_there_is_an_end_to_devices_and_to_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "MAX_DEVICES", 1)
    async with house() as home:
        with pytest.raises(ConfigError, match="'dahua' is not spoken here; there are: hik"):
            await home.devices.add(config(type="dahua"))
        await home.devices.add(config("a"))
        with pytest.raises(UnavailableError, match="there are 1 devices"):
            await home.devices.add(config("b"))


async def test_live_waits_for_the_first_answer_and_asks_again_when_it_is_gone() -> None:
    nvr = Nvr()
    async with house(config(), nvr=nvr, pace=replace(QUICK, poll_s=60, first_pause_s=60)) as home:
        device = home.devices.get("nvr")
        place = await device.live(1, sub=True)
        assert home.is_online()
        assert place.url == "rtsp://127.0.0.1:1/h264_mute"
        assert PASSWORD not in repr(place)
    nvr.failure = GONE
    async with house(config(), nvr=nvr, pace=replace(QUICK, first_pause_s=60)) as home:
        await home.devices.get("nvr").first_try(5)
        nvr.failure = None
        await home.devices.get("nvr").live(1, sub=False)  # its media may be there all the same
        await home.until(home.is_online)


async def test_media_of_a_recorder_that_never_answered_is_refused_with_the_reason() -> None:
    nvr = Nvr()
    nvr.rtsp_port = 0
    async with house(config(), nvr=nvr) as home:
        await home.until(home.is_online)
        with pytest.raises(DeviceError, match="its port is not known"):
            await home.devices.get("nvr").live(1, sub=False)
    nvr.failure = GONE
    async with house(config(), nvr=nvr) as home:
        with pytest.raises(DeviceError, match="can't connect"):
            await home.devices.get("nvr").live(1, sub=False)


async def test_a_large_recorder_overflows_nobodys_queue() -> None:
    nvr = Nvr(*range(1, 257))
    async with house(nvr=nvr) as home:
        heard = home.hub.subscribe()
        taken = 0

        async def take() -> None:
            nonlocal taken
            while True:
                await heard.next()
                taken += 1

        taking = asyncio.create_task(take())
        await home.devices.add(config())
        await home.until(lambda: taken == 257)
        assert heard.dropped == 0
        taking.cancel()


def test_tokens_of_channels_are_read_strictly() -> None:
    assert split_token("nvr--33") == ("nvr", 33)
    for wrong in ("nvr", "nvr--", "nvr--033", "nvr--+3", "nvr--3x", "nvr--٣", "nvr--1000000"):
        assert split_token(wrong) is None


async def test_what_a_channel_has_recorded_is_asked_of_its_recorder() -> None:
    nvr = Nvr()
    begin = datetime(2026, 11, 24, 12, tzinfo=UTC)
    nvr.records = [DeviceRecord(begin, begin + timedelta(hours=1), "schedule")]
    async with house(config(), nvr=nvr) as home:
        await home.until(home.is_online)
        found = home.devices.find_recorded("nvr--1")
        assert found is not None
        assert await found.search(begin, begin + timedelta(minutes=1)) == (nvr.records, True)
        address = await found.playback(begin, begin + timedelta(minutes=1))
        assert (address.user, address.password) == ("admin", PASSWORD)
        assert home.devices.find_recorded("nvr--9") is None
        assert home.devices.find_recorded("front") is None
        nvr.is_silent = True
        hasty = RecordedChannel(home.devices.get("nvr"), 1, answer_s=0.01)
        with pytest.raises(DeviceError, match="does not answer in time"):
            await hasty.search(begin, begin)
        nvr.is_silent = False
        nvr.password = "changed"
        with pytest.raises(DeviceError, match="refuses the user name or the password"):
            await found.search(begin, begin)
        asked = nvr.asked
        with pytest.raises(DeviceError, match="refuses the user name or the password"):
            await found.search(begin, begin)
        assert nvr.asked == asked
