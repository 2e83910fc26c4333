"""MQTT with a real broker: what lies there when things come, go and break."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import msgspec
import pytest

from h5sup.base.errors import NotFoundError, UnavailableError
from h5sup.config.broker import parse_broker
from h5sup.config.model import Config, MqttConfig
from h5sup.events.event import Online
from h5sup.events.hub import Hub
from h5sup.notify import mqtt
from h5sup.notify.mqtt import Mqtt
from h5sup.notify.notifier import Notifier
from h5sup.notify.topics import Topics
from tests.api.fakes import FakeRecordings, FakeSource, FakeSources, source
from tests.fakes.mosquitto import Mosquitto, Watch, make_certificate

pytestmark = pytest.mark.media

HOST_ID = "0123456789abcdef"
NODE = "homeassistant/{}/h5sup_0123456789ab/{}/config"
JPEG = b"\xff\xd8 a picture \xff\xd9"


@dataclass
class CountedPictures:
    """A picture of each source, and how often each was asked for."""

    asked: list[str] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    jpeg_bytes: bytes | None = JPEG

    async def jpeg(self, token: str) -> bytes | None:
        self.asked.append(token)
        if token in self.gone:
            raise NotFoundError("there is no source with this token")
        return self.jpeg_bytes


@dataclass
class Site:
    """What is published from."""

    hub: Hub
    sources: FakeSources
    pictures: CountedPictures
    mqtt: Mqtt
    recordings: FakeRecordings


@asynccontextmanager
async def publishing(
    url: str, *sources: FakeSource, pictures: CountedPictures | None = None, **settings: Any
) -> AsyncIterator[Site]:
    """Publish to a broker until the block ends."""
    config = msgspec.structs.replace(MqttConfig(url=url, state_s=1.0), **settings)
    site_sources = FakeSources(*sources)
    shown = pictures or CountedPictures()
    hub, recordings = Hub(), FakeRecordings()
    publisher = Mqtt(
        parse_broker(url, "mqtt.url"),
        config,
        Topics(config, host_id=HOST_ID, version="1.2.3"),
        hub,
        site_sources,
        shown,
        recordings,
        identifier="h5sup-test",
        first_pause_s=0.05,
    )
    publisher.start()
    try:
        yield Site(hub, site_sources, shown, publisher, recordings)
    finally:
        await publisher.close()


def online(token: str) -> FakeSource:
    one = source(token)
    one.main.channel.set_state("RUNNING", "")
    one.main.channel.rates.fps = 24.6
    one.main.channel.rates.bitrate_kbps = 1500.2
    return one


async def until_state(watch: Watch, token: str, key: str, value: object) -> None:
    """Wait until a source's state says so."""
    await watch.until(lambda: watch.json(f"h5sup/sources/{token}/state")[key] == value)


async def until_pictures(watch: Watch, count: int) -> None:
    """Wait until so many pictures have been published in all."""
    await watch.until(
        lambda: sum(topic.endswith("/picture") for topic, _ in watch.messages) == count
    )


async def until_asked(watch: Watch, pictures: CountedPictures) -> None:
    """Wait until a picture is asked for."""
    await watch.until(lambda: pictures.asked)


async def test_home_assistant_finds_each_source_as_a_device(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, broker.watched() as watch:
        async with publishing(broker.url(), online("front")):
            await watch.until_kept("h5sup/status", "online")
            await watch.until(lambda: "h5sup/sources/front/picture" in watch.kept)
            assert watch.json("h5sup/sources/front/state") == {
                "online": True,
                "reason": "",
                "fps": 25,
                "bitrate_kbps": 1500,
                "recording": False,
                "recording_by_hand": False,
            }
            assert watch.kept["h5sup/sources/front/picture"] == JPEG
            camera = watch.json(NODE.format("camera", "front_picture"))
            sensor = watch.json(NODE.format("binary_sensor", "front_online"))
            fps = watch.json(NODE.format("sensor", "front_fps"))
            bitrate = watch.json(NODE.format("sensor", "front_bitrate"))
        await watch.until_kept("h5sup/status", "offline")
    devices = [one["device"] for one in (camera, sensor, fps, bitrate)]
    assert devices == [
        {
            "identifiers": ["h5sup_0123456789ab_front"],
            "name": "The front door",
            "manufacturer": "h5sup",
            "sw_version": "1.2.3",
        }
    ] * len(devices)
    assert len({one["unique_id"] for one in (camera, sensor, fps, bitrate)}) == 4
    assert camera["topic"] == "h5sup/sources/front/picture"
    assert sensor["device_class"] == "connectivity"
    assert sensor["state_topic"] == fps["state_topic"] == "h5sup/sources/front/state"
    assert fps["value_template"] == "{{ value_json.fps }}"
    assert bitrate["unit_of_measurement"] == "kbit/s"
    assert sensor["availability"] == [{"topic": "h5sup/status"}]
    assert camera["availability"][0] == {"topic": "h5sup/status"}
    assert camera["availability"][1]["topic"] == "h5sup/sources/front/state"


async def test_home_assistant_switches_recording_on_and_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        Mosquitto(tmp_path) as broker,
        broker.watched() as watch,
        publishing(broker.url(), source("front"), state_s=3600.0) as site,
    ):
        await watch.until_kept("h5sup/status", "online")
        switch = watch.json(NODE.format("switch", "front_record"))
        assert switch["state_topic"] == "h5sup/sources/front/state"
        async with broker.client("home assistant") as client:
            await client.publish("h5sup/sources/gone/record/set", "ON", qos=1)
            await client.publish(switch["command_topic"], "maybe", qos=1)
            await client.publish(switch["command_topic"], switch["payload_on"], qos=1)
            await until_state(watch, "front", "recording_by_hand", True)
            await client.publish(switch["command_topic"], switch["payload_off"], qos=1)
            await until_state(watch, "front", "recording_by_hand", False)
            site.recordings.error = UnavailableError("the disk is full")
            await client.publish(switch["command_topic"], "ON", qos=1)
            await watch.until(lambda: "is not switched ON: the disk is full" in caplog.text)
    assert [asked[:2] for asked in site.recordings.asked] == [
        ("start_manual", "front"),
        ("stop_manual", "front"),
    ]


async def test_what_was_said_before_the_connection_switches_nothing(tmp_path: Path) -> None:
    topic = "h5sup/sources/{}/record/set".format
    async with Mosquitto(tmp_path) as broker, broker.client("home assistant") as client:
        await client.publish(topic("front"), "ON", qos=1, retain=True)
        async with (
            broker.watched() as watch,
            publishing(broker.url(), source("front"), source("back")) as site,
        ):
            await watch.until_kept("h5sup/status", "online")
            await watch.until(lambda: site.mqtt.is_connected)
            await client.publish(topic("back"), "ON", qos=1)
            await watch.until(lambda: site.recordings.asked)
    assert [asked[1] for asked in site.recordings.asked] == ["back"]


async def test_who_connects_later_knows_how_things_are(tmp_path: Path) -> None:
    async with (
        Mosquitto(tmp_path) as broker,
        broker.watched() as watch,
        publishing(broker.url(), online("front"), source("back")),
    ):
        await watch.until_kept("h5sup/status", "online")
        await watch.until(lambda: "h5sup/sources/front/picture" in watch.kept)
        async with broker.watched() as late:
            await late.until(lambda: late.kept.keys() == watch.kept.keys())
            assert late.json("h5sup/sources/front/state")["online"] is True
            assert late.json("h5sup/sources/back/state")["online"] is False


async def test_events_and_the_state_they_lead_to_are_published_at_once(tmp_path: Path) -> None:
    front = source("front")
    async with (
        Mosquitto(tmp_path) as broker,
        broker.watched() as watch,
        publishing(broker.url(), front, state_s=3600.0) as site,
    ):
        await watch.until_kept("h5sup/status", "online")
        front.main.channel.set_state("RUNNING", "")
        site.hub.tell(Online("front"))
        await watch.until(lambda: watch.json("h5sup/sources/front/state")["online"])
        assert [one["type"] for one in watch.events()] == ["H5S_EVENT_ONLINE"]
        async with broker.watched() as late:
            await late.until(lambda: "h5sup/status" in late.kept)
            await late.until(lambda: late.kept.keys() >= watch.kept.keys() - {"h5sup/events"})
            assert late.events() == []  # an event happens once


async def test_figures_follow_and_what_has_not_changed_is_not_sent(tmp_path: Path) -> None:
    front = online("front")
    async with (
        Mosquitto(tmp_path) as broker,
        broker.watched() as watch,
        publishing(broker.url(), front, source("back"), picture_s=0.0),
    ):
        await watch.until_kept("h5sup/status", "online")
        sent = len(watch.messages)
        for fps in (10.0, 11.0):
            front.main.channel.rates.fps = fps
            await until_state(watch, "front", "fps", fps)
        assert {topic for topic, _ in watch.messages[sent:]} == {"h5sup/sources/front/state"}
        assert not [topic for topic in watch.kept if "camera" in topic or "picture" in topic]


async def test_pictures_come_with_the_source_and_every_so_often(tmp_path: Path) -> None:
    front = source("front")
    async with (
        Mosquitto(tmp_path) as broker,
        broker.watched() as watch,
        publishing(broker.url(), front, picture_s=3600.0) as site,
    ):
        await watch.until_kept("h5sup/status", "online")
        assert site.pictures.asked == []  # nobody is asked for one while there is none
        for count in (1, 2):
            front.main.channel.set_state("RUNNING", "")
            await until_pictures(watch, count)
            front.main.channel.set_state("BACKOFF", "it did not answer")
            await until_state(watch, "front", "online", False)
            await watch.until(lambda: not site.mqtt._told["front"].picture_due)
        assert site.pictures.asked == ["front", "front"]
        front.main.channel.set_state("STARTING", "")
        front.main.channel.rates.fps = 1.0  # for something to be told of
        await until_state(watch, "front", "fps", 1)
        assert watch.json("h5sup/sources/front/state")["reason"] == "it did not answer"
    async with (
        Mosquitto(tmp_path) as broker,
        broker.watched("h5sup/sources/+/picture") as watch,
        publishing(broker.url(), online("front"), picture_s=0.5) as site,
    ):
        await watch.until(lambda: len(watch.messages) >= 3)


@pytest.mark.parametrize("jpeg", [None, b"x" * 5_000_000])
async def test_a_picture_that_is_none_or_too_large_is_left_out(
    jpeg: bytes | None, tmp_path: Path
) -> None:
    pictures = CountedPictures(jpeg_bytes=jpeg, gone={"gone"})
    async with (
        Mosquitto(tmp_path) as broker,
        broker.watched() as watch,
        publishing(broker.url(), online("front"), online("gone"), pictures=pictures),
    ):
        await watch.until(lambda: len(pictures.asked) >= 3)
        assert {"front", "gone"} == set(pictures.asked)
        assert "h5sup/sources/front/picture" not in watch.kept


async def test_a_source_that_is_added_or_deleted_is_announced_or_taken_back(
    tmp_path: Path,
) -> None:
    async with (
        Mosquitto(tmp_path) as broker,
        broker.watched() as watch,
        publishing(broker.url(), online("front")) as site,
    ):
        await watch.until(lambda: "h5sup/sources/front/picture" in watch.kept)
        site.sources.by_token["a.b_c"] = online("a.b_c")
        await watch.until(lambda: "h5sup/sources/a.b_c/picture" in watch.kept)
        await watch.until(lambda: NODE.format("camera", "a_db__c_picture") in watch.kept)
        del site.sources.by_token["front"]
        await watch.until(lambda: not [topic for topic in watch.kept if "front" in topic])
        assert "h5sup/sources/a.b_c/state" in watch.kept


async def test_what_an_earlier_run_left_behind_is_taken_back(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, broker.watched() as watch:
        async with publishing(broker.url(), online("front"), online("old")):
            await watch.until(lambda: "h5sup/sources/old/picture" in watch.kept)
            await watch.until(lambda: "h5sup/sources/front/picture" in watch.kept)
        async with broker.client("others") as other:
            for topic in ("homeassistant/camera/frigate/x/config", "h5sup/sources/other/state"):
                await other.publish(topic, '{"topic": "h5sup/sources/old/state"}', 1, retain=True)
            for number, rubbish in enumerate(
                (b"{", b"[1]", b"{}", b'{"topic": 5}', b'{"topic": "h5sup/#"}', b"\xff")
            ):
                await other.publish(NODE.format("camera", f"r{number}"), rubbish, 1, retain=True)
        async with publishing(broker.url(), online("front")):
            await watch.until(lambda: not [topic for topic in watch.kept if "/old" in topic])
            await watch.until(lambda: not [one for one in watch.kept if re.search(r"/r\d/", one)])
            await watch.until_kept("h5sup/status", "online")
            assert "homeassistant/camera/frigate/x/config" in watch.kept
            assert "h5sup/sources/other/state" in watch.kept
            assert NODE.format("camera", "front_picture") in watch.kept


async def test_a_broker_that_comes_late_or_comes_back_is_told_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    broker = Mosquitto(tmp_path)
    async with broker:
        pass
    async with publishing(broker.url(), online("front"), discovery="") as site:
        async with asyncio.timeout(20):
            while "no MQTT at 127.0.0.1" not in caplog.text:
                await asyncio.sleep(0.01)
        site.hub.tell(Online("front"))
        may_connect, serve = asyncio.Event(), site.mqtt._serve

        async def serve_later(*given: Any) -> None:
            await may_connect.wait()  # until somebody sees what happens once
            await serve(*given)

        monkeypatch.setattr(site.mqtt, "_serve", serve_later)
        async with broker, broker.watched() as watch:
            may_connect.set()
            await watch.until_kept("h5sup/status", "online")
            await watch.until(lambda: watch.events())  # what happened meanwhile, with its time
            assert not [topic for topic in watch.kept if topic.startswith("homeassistant")]
        async with asyncio.timeout(20):
            while site.mqtt.is_connected:
                await asyncio.sleep(0.01)
        (tmp_path / "mosquitto" / "mosquitto.db").unlink()  # a broker that kept nothing
        async with broker, broker.watched() as watch:
            await watch.until_kept("h5sup/status", "online")
            assert watch.json("h5sup/sources/front/state")["online"] is True
    assert caplog.text.count("is connected") == 2


async def test_a_crash_shows_at_the_broker(tmp_path: Path) -> None:
    async with (
        Mosquitto(tmp_path) as broker,
        broker.watched() as watch,
        publishing(broker.url(), online("front")) as site,
    ):
        await watch.until_kept("h5sup/status", "online")
        # another client of our name has the broker cut our connection, as a crash would
        async with broker.client("h5sup-test"):
            await watch.until(lambda: ("h5sup/status", b"offline") in watch.messages)
        await watch.until_kept("h5sup/status", "online")
        assert site.mqtt.is_connected


async def test_a_broker_that_hangs_is_left_and_told_all_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "TIMEOUT_S", 0.5)
    monkeypatch.setattr(mqtt, "FAREWELL_S", 0.2)
    front = online("front")
    async with (
        Mosquitto(tmp_path) as broker,
        publishing(broker.url(), front, discovery="") as site,
    ):
        async with broker.watched() as watch:
            await watch.until_kept("h5sup/status", "online")
        broker.freeze()
        for number in range(500):
            site.hub.tell(Online(str(number)))
        async with asyncio.timeout(20):
            while site.mqtt.is_connected:
                await asyncio.sleep(0.01)
        assert site.hub.dropped >= 399  # a hundred wait, one was on its way
        front.main.channel.set_state("BACKOFF", "it did not answer")
        broker.thaw()
        async with broker.watched() as watch:
            await watch.until_kept("h5sup/status", "online")
            await until_state(watch, "front", "online", False)
            await watch.until(lambda: "499" in [one["strToken"] for one in watch.events()])


# paho leaves a socket whose handshake failed to the garbage collector, which says so
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket")
async def test_tls_checks_whom_it_talks_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    certificate, key = make_certificate(tmp_path, "localhost")
    async with Mosquitto(tmp_path, tls=(certificate, key)) as broker, broker.watched() as watch:
        async with publishing(broker.tls_url(), online("front")) as site:
            await watch.until(lambda: "CERTIFICATE_VERIFY_FAILED" in caplog.text)
            assert not site.mqtt.is_connected
        assert watch.messages == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        async with publishing(broker.tls_url(), online("front")):
            await watch.until_kept("h5sup/status", "online")


async def test_a_wrong_password_is_said_once_and_never_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hub = Hub()
    async with Mosquitto(tmp_path) as broker:
        config = Config(mqtt=MqttConfig(url=broker.url(password="wr%40ng-secret")))
        assert "secret" not in repr(config)
        notifier = Notifier(
            config,
            hub,
            FakeSources(),
            CountedPictures(),
            FakeRecordings(),
            host_id=HOST_ID,
            version="1",
        )
        assert notifier.mqtt is not None
        notifier.mqtt._first_pause_s = 0.01
        notifier.start()
        async with asyncio.timeout(20):
            while "no MQTT at" not in caplog.text:
                await asyncio.sleep(0.01)
        await notifier.close()
    assert "uthor" in caplog.text  # "Not authorized", in paho's words
    for secret in ("wr@ng-secret", "wr%40ng-secret"):
        assert secret not in caplog.text


class FailingPictures(CountedPictures):
    """Each request waits until it is told to fail as a connection does."""

    def __init__(self) -> None:
        super().__init__()
        self.failing = asyncio.Event()

    async def jpeg(self, token: str) -> bytes | None:
        self.asked.append(token)
        await self.failing.wait()
        raise ConnectionResetError


async def test_closing_ends_it_also_when_the_connection_fails_at_that_moment(
    tmp_path: Path,
) -> None:
    async with Mosquitto(tmp_path) as broker, broker.watched() as watch:
        for turns in range(6):
            pictures = FailingPictures()
            async with publishing(broker.url(), online("front"), pictures=pictures) as site:
                await until_asked(watch, pictures)
                pictures.failing.set()
                for _ in range(turns):
                    await asyncio.sleep(0)
                async with asyncio.timeout(10):
                    await site.mqtt.close()


async def test_closing_while_connecting_leaves_nothing_open(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker:
        for _ in range(10):
            async with publishing(broker.url(), online("front")):
                await asyncio.sleep(0)
        with suppress(aiomqtt.MqttError):
            async with broker.watched() as watch:
                await watch.until(lambda: watch.kept.get("h5sup/status", b"offline") == b"offline")
