"""aiortc, a client that shares nothing with browsers, watches the WebRTC output."""

from __future__ import annotations

import asyncio
import json
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import aiohttp
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame, VideoFrame

from tests.e2e.client import Client
from tests.e2e.server import Server
from tests.e2e.webrtc import free_port, until_viewers
from tests.fakes.clips import CLIPS, Clips, read_frame_index
from tests.fakes.rtsp_camera import RtspCamera

pytestmark = pytest.mark.media

MOUNTS = ["h264_aac", "h264_pcma", "h264_bframes"]
PICTURES = 30
SOUNDS = 20
LEVEL = 200  # of 16-bit samples; the tone of the clips has 4000


class Watcher:
    """One aiortc connection and the tracks it was given; aioice leaves the loopback out."""

    def __init__(self) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.tracks: dict[str, MediaStreamTrack] = {}
        self.peer.on("track", lambda track: self.tracks.update({track.kind: track}))

    async def indexes(self) -> list[int]:
        """Decode pictures and return the numbers they show."""
        found: list[int] = []
        while len(found) < PICTURES:
            frame = await self.tracks["video"].recv()
            assert isinstance(frame, VideoFrame)
            luma = frame.planes[0]  # of yuv420p; its lines may be longer than the picture
            found.append(read_frame_index(bytes(luma), luma.line_size, frame.width))
        return found

    async def level(self) -> int:
        """Decode sound and return its loudest sample."""
        loudest = 0
        for _ in range(SOUNDS):
            frame = await self.tracks["audio"].recv()
            assert isinstance(frame, AudioFrame)
            loudest = max(loudest, *array("h", bytes(frame.planes[0])))
        return loudest

    async def check(self, mount: str) -> None:
        """See pictures one after the other and hear the tone."""
        async with asyncio.timeout(40):
            indexes, level = await asyncio.gather(self.indexes(), self.level())
        settled = indexes[PICTURES // 2 :]  # the GOP so far comes first, faster than it was
        steps = {(b - a) % CLIPS[mount].frames for a, b in pairwise(settled)}
        assert steps <= {1, 2, 3}, indexes
        assert level > LEVEL


@asynccontextmanager
async def watcher() -> AsyncIterator[Watcher]:
    """Yield a watcher; it leaves with the block."""
    with patch("aioice.ice.get_host_addresses", lambda *_, **__: ["127.0.0.1"]):
        one = Watcher()
        try:
            yield one
        finally:
            await one.peer.close()


@asynccontextmanager
async def serving(clips: Clips, folder: Path) -> AsyncIterator[tuple[Server, Client]]:
    """Yield a server with all mounts online, and a program that calls it."""
    async with RtspCamera(clips, MOUNTS) as camera:
        sources = [{"token": one, "type": "rtsp", "url": camera.url(one)} for one in MOUNTS]
        async with (
            Server(
                folder / "server",
                sources=sources,
                auth={"enabled": False},
                rtc={"port": free_port()},
            ) as server,
            Client(server) as client,
        ):
            await client.until_online(*MOUNTS)
            yield server, client


async def test_aiortc_plays_over_whep(clips: Clips, tmp_path: Path) -> None:
    async with serving(clips, tmp_path) as (server, client):
        for mount in MOUNTS:
            async with watcher() as one, aiohttp.ClientSession(server.base) as http:
                for kind in ("video", "audio"):
                    one.peer.addTransceiver(kind, direction="recvonly")
                await one.peer.setLocalDescription(await one.peer.createOffer())
                async with http.post(
                    f"/whep/{mount}",
                    data=one.peer.localDescription.sdp,
                    headers={"Content-Type": "application/sdp"},
                ) as answer:
                    assert answer.status == 201, await answer.text()
                    viewing = answer.headers["Location"]
                    sdp = await answer.text()
                await one.peer.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
                await one.check(mount)
                async with http.delete(viewing) as answer:
                    assert answer.status == 200
            await until_viewers(client, 0, timeout_s=5)


async def test_aiortc_plays_by_the_signalling_of_h5stream(clips: Clips, tmp_path: Path) -> None:
    async with serving(clips, tmp_path) as (server, client):
        for mount in MOUNTS:
            async with (
                watcher() as one,
                aiohttp.ClientSession(server.base) as http,
                http.ws_connect(f"/api/v1/h5srtcapi?token={mount}") as socket,
            ):
                await socket.send_json({"type": "open"})
                offer: dict[str, Any] = json.loads((await socket.receive(timeout=15)).data)
                assert offer["type"] == "offer"
                await one.peer.setRemoteDescription(RTCSessionDescription(offer["sdp"], "offer"))
                await one.peer.setLocalDescription(await one.peer.createAnswer())
                local = one.peer.localDescription
                await socket.send_json({"type": local.type, "sdp": local.sdp})
                await one.check(mount)
            await until_viewers(client, 0, timeout_s=5)
