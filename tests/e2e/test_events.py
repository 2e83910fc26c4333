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
from tests.e2e.server import Server
from tests.fakes.clips import Clips
from tests.fakes.rtsp_camera import RtspCamera

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
