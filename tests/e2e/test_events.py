"""Events through the whole server: a camera that goes and comes, a name that guesses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.client import Client
from tests.e2e.server import Server, until
from tests.fakes.clips import Clips
from tests.fakes.mosquitto import PASSWORD, Mosquitto
from tests.fakes.rtsp_camera import RtspCamera
from tests.fakes.webhook_receiver import WebhookReceiver

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

WAIT_S = 40.0


@asynccontextmanager
async def listening(
    server: Server, session: str, path: str = "/api/v1/h5seventapi?session="
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Open the event socket."""
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(server.base + path + session) as socket,
    ):
        yield socket


async def hear(socket: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    """Return the next event, which must be of this kind."""
    event: dict[str, Any] = json.loads(await socket.receive_str(timeout=WAIT_S))
    assert event["type"] == f"H5S_EVENT_{kind}", event
    return event


async def test_a_camera_that_goes_and_comes_is_told_of_once_each(
    clips: Clips, tmp_path: Path
) -> None:
    async with RtspCamera(clips, ["h264_aac"]) as camera:
        front = {"token": "front", "type": "rtsp", "url": camera.url("h264_aac")}
        async with (
            Server(tmp_path, sources=[front]) as server,
            Client(server) as client,
        ):
            await client.until_online("front")
            async with listening(server, client.session) as socket:
                begun = datetime.now(UTC)
                camera.freeze()
                gone = await hear(socket, "OFFLINE")
                camera.thaw()
                back = await hear(socket, "ONLINE")
            assert (gone["strToken"], back["strToken"]) == ("front", "front")
            assert gone["strReason"]
            assert gone["strUUID"] != back["strUUID"]
            assert begun < datetime.fromisoformat(gone["strTime"]) < datetime.now(UTC)


async def test_a_source_that_is_deleted_says_so(clips: Clips, tmp_path: Path) -> None:
    async with Server(tmp_path) as server, Client(server) as client:
        server.add_media(clips["h264_aac"], "clip.mp4")
        async with listening(server, client.session, "/h5seventapi&session=") as socket:
            await client.call("AddSrcFile", token="clip", name="Clip", url="clip.mp4")
            assert (await hear(socket, "ONLINE"))["strToken"] == "clip"
            await client.call("DelSrc", token="clip")
            gone = await hear(socket, "OFFLINE")
            assert (gone["strToken"], gone["strReason"]) == ("clip", "the source was deleted")


async def test_the_socket_is_told_that_the_server_stops(tmp_path: Path) -> None:
    async with Server(tmp_path) as server, Client(server) as client:
        async with listening(server, client.session) as socket:
            stopping = asyncio.create_task(server.stop())
            message = await socket.receive(timeout=WAIT_S)
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)
            assert message.extra == "the server stops"
        await stopping
        await server.start()


async def test_a_camera_is_told_of_to_webhooks_and_a_broker(clips: Clips, tmp_path: Path) -> None:
    async with (
        RtspCamera(clips, ["h264_aac"]) as camera,
        WebhookReceiver() as receiver,
        Mosquitto(tmp_path) as broker,
        broker.watched() as watch,
    ):
        front = {"token": "front", "type": "rtsp", "url": camera.url("h264_aac")}
        hook = {"url": receiver.url, "secret": "a shared secret", "events": ["ONLINE", "OFFLINE"]}
        settings = {"url": broker.url(), "state_s": 1}
        async with (
            Server(tmp_path, sources=[front], mqtt=settings, webhooks=[hook]) as server,
            Client(server) as client,
        ):
            await watch.until_kept("h5sup/status", "online")
            await client.until_online("front")
            await watch.until(lambda: "h5sup/sources/front/picture" in watch.kept)
            assert watch.kept["h5sup/sources/front/picture"].startswith(b"\xff\xd8")
            await watch.until(lambda: watch.json("h5sup/sources/front/state")["fps"] >= 20)
            assert watch.json("h5sup/sources/front/state")["bitrate_kbps"] > 50

            camera.freeze()
            await receiver.until(lambda: has_heard(receiver, "OFFLINE"))
            await watch.until(lambda: not watch.json("h5sup/sources/front/state")["online"])
            assert watch.json("h5sup/sources/front/state")["reason"]
            camera.thaw()
            await receiver.until(lambda: kinds(receiver)[-1] == "H5S_EVENT_ONLINE")
            await watch.until(lambda: watch.json("h5sup/sources/front/state")["online"])
            metrics = (await client.get("/metrics"))[1].decode()
        await watch.until_kept("h5sup/status", "offline")
        for secret in (PASSWORD, "br%40ker", "a shared secret", "path-secret"):
            assert secret not in server.log
    for figure in (
        'h5sup_events_total{type="ONLINE"} 2.0',
        'h5sup_events_total{type="OFFLINE"} 1.0',
        "h5sup_events_dropped_total 0.0",
        'h5sup_webhook_given_up_total{webhook="0"} 0.0',
        "h5sup_mqtt_connected 1.0",
        'h5sup_viewers{output="events"} 0.0',
    ):
        assert figure in metrics
    assert metrics.count("h5sup_webhook_delivered_total{") == 1
    assert kinds(receiver) == ["H5S_EVENT_ONLINE", "H5S_EVENT_OFFLINE", "H5S_EVENT_ONLINE"]
    told = [one for one in watch.events() if one["strToken"] == "front"]
    assert [one["strUUID"] for one in told] == [
        one.event["strUUID"] for one in receiver.deliveries
    ]


def kinds(receiver: WebhookReceiver) -> list[str]:
    """Return the types of all events delivered so far."""
    return [one.event["type"] for one in receiver.deliveries]


def has_heard(receiver: WebhookReceiver, kind: str) -> bool:
    """Return whether such an event was delivered."""
    return f"H5S_EVENT_{kind}" in kinds(receiver)


async def test_a_broker_that_does_not_answer_keeps_no_server_from_stopping(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker:
        async with Server(tmp_path, mqtt={"url": broker.url()}) as server:
            await until(lambda: "is connected" in server.log, "MQTT is connected")
            broker.freeze()
        broker.thaw()
