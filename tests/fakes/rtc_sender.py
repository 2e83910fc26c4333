"""A server with H5Stream's WebRTC signalling that sends pictures it draws itself, and our pages.

It offers as h5sup does: candidates stand in the SDP, those of the browser are not
looked at.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest.mock import patch

from aiohttp import WSMsgType, web
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
    VideoStreamTrack,
)
from av import VideoFrame

from h5sup.api.headers import add_headers
from h5sup.web.site import Site
from tests.fakes.clips import BLOCKS_PER_ROW, INDEX_BITS

FPS = 30
FRAMES = 1 << INDEX_BITS
WIDTH, HEIGHT = 384, 216
SIDE = WIDTH // BLOCKS_PER_ROW
WHITE, BLACK, GREY = b"\xeb", b"\x10", b"\x60"
TRY_AGAIN_LATER = 1013

Socket = web.WebSocketResponse


def draw_index_row(index: int) -> bytes:
    """Return one line of luma that shows a number as tests/fakes/clips.py does."""
    bits = f"10{index:0{INDEX_BITS}b}"
    line = b"".join((WHITE if bit == "1" else BLACK) * SIDE for bit in bits)
    return line + GREY * (WIDTH - len(line))


class Picture(VideoStreamTrack):
    """At unix time t it shows frame floor(t * FPS) mod FRAMES; a white column wanders below."""

    async def recv(self) -> VideoFrame:
        """Draw the next picture when it is due."""
        pts, time_base = await self.next_timestamp()
        index = int(time.time() * FPS) % FRAMES
        column = index * 4 % WIDTH
        below = GREY * column + WHITE + GREY * (WIDTH - column - 1)
        lines = [draw_index_row(index)] * SIDE + [below] * (HEIGHT - SIDE)
        frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
        luma, *chroma = frame.planes
        luma.update(b"".join(line.ljust(luma.line_size, b"\0") for line in lines))
        for plane in chroma:
            plane.update(b"\x80" * plane.buffer_size)
        frame.pts, frame.time_base = pts, time_base
        return frame


class RtcSender:
    """Serves www/ and one source called `front`; use it in `async with`.

    Its WebSocket for fMP4 accepts and stays silent: a page that wants pictures has to take WebRTC.
    """

    def __init__(self, www: Path) -> None:
        self.base = ""
        self.heard: list[list[dict[str, Any]]] = []
        """What clients said, by WebRTC socket in the order they came; keepalives are left out."""
        self.refusal = ""
        """Why no more is offered, while it isn't empty."""
        self.keepalives = 0
        self._site = Site(www)
        self._sockets: dict[Socket, RTCPeerConnection] = {}
        self._runner: web.AppRunner | None = None
        # aioice leaves the loopback out, and tests need nothing else
        self._addresses = patch("aioice.ice.get_host_addresses", lambda *_, **__: ["127.0.0.1"])

    @property
    def viewers(self) -> int:
        """Return how many WebRTC sockets are open."""
        return len(self._sockets)

    async def say(self, message: dict[str, Any]) -> None:
        """Send a message to every WebRTC viewer."""
        for socket in list(self._sockets):
            await socket.send_json(message)

    async def kick(self) -> None:
        """Close the socket of every WebRTC viewer."""
        for socket in list(self._sockets):
            await socket.close(code=TRY_AGAIN_LATER, message=b"source lost")

    async def __aenter__(self) -> Self:
        self._addresses.start()
        await self._site.load()
        app = web.Application()
        app.on_response_prepare.append(add_headers(()))
        routes = {
            "/api/v1/h5srtcapi": self._serve_rtc,
            "/api/v1/h5swsapi": self._serve_silence,
            "/api/v1/GetSrc": self._get_src,
            "/api/v1/GetSystemInfo": self._get_nothing,
            "/api/v1/GetUserInfo": self._get_nothing,
            "/api/v1/GetDevice": self._get_nothing,
            "/api/v1/GetImage": self._get_nothing,
            "/{path:.*}": self._site.handle,
        }
        for path, handler in routes.items():
            app.router.add_get(path, handler)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.base = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        await self.kick()
        await self._runner.cleanup()
        self._addresses.stop()

    async def _get_src(self, request: web.Request) -> web.Response:
        source = {"strToken": "front", "strName": "Front", "nType": "H5_FILE", "bOnline": True}
        return web.json_response({"src": [source | {"strState": "RUNNING", "strReason": ""}]})

    async def _get_nothing(self, request: web.Request) -> web.Response:
        return web.json_response({})

    async def _serve_silence(self, request: web.Request) -> Socket:
        socket = Socket()
        await socket.prepare(request)
        async for _ in socket:
            pass
        return socket

    async def _serve_rtc(self, request: web.Request) -> Socket:
        socket = Socket()
        await socket.prepare(request)
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._sockets[socket] = peer
        said: list[dict[str, Any]] = []
        self.heard.append(said)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._take(json.loads(message.data), said, socket, peer)
        finally:
            del self._sockets[socket]
            await peer.close()
        return socket

    async def _take(
        self,
        message: dict[str, Any],
        said: list[dict[str, Any]],
        socket: Socket,
        peer: RTCPeerConnection,
    ) -> None:
        if message.get("type") == "keepalive":
            self.keepalives += 1
            return
        said.append(message)
        if message.get("type") == "answer":
            sdp = without_candidates(message["sdp"])
            await peer.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        elif message.get("type") == "open" and self.refusal:
            await socket.send_json({"type": "error", "reason": self.refusal})
            await socket.close(code=TRY_AGAIN_LATER, message=self.refusal.encode())
        elif message.get("type") == "open":
            await socket.send_json({"type": "iceserver", "iceServers": []})
            await socket.send_json({"type": "offer", "sdp": await self._offer(peer)})

    async def _offer(self, peer: RTCPeerConnection) -> str:
        transceiver = peer.addTransceiver(Picture(), direction="sendonly")
        codecs = RTCRtpSender.getCapabilities("video").codecs
        transceiver.setCodecPreferences([one for one in codecs if one.mimeType == "video/H264"])
        await peer.setLocalDescription(await peer.createOffer())
        return peer.localDescription.sdp


def without_candidates(sdp: str) -> str:
    """Return a description without candidates: the browser's checks show where it is."""
    lines = sdp.splitlines(keepends=True)
    return "".join(one for one in lines if not one.startswith(("a=candidate", "a=end-of")))
