"""A player that watches the past over WebRTC, by H5Stream's signalling: the server offers."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import aiohttp

from h5sup.formats.sdp.parse import parse_description
from tests.fakes.rtc_client import Got, RtcClient


class PlaybackClient(RtcClient):
    """As RtcClient, with a socket for commands."""

    def __init__(self, base: str, query: str, *, http: aiohttp.ClientSession, **more: Any) -> None:
        """Take what to ask h5srtcapi for."""
        super().__init__(base, "", http=http, **more)
        self.events: list[dict[str, Any]] = []
        self._address_of_socket = f"{base}/api/v1/h5srtcapi?playback=true&serverpb=true&{query}"
        self._talk: aiohttp.ClientWebSocketResponse | None = None

    async def signal(self) -> None:
        """Take the server's offer; its payload types are those that ours are named by."""
        self._open_udp()
        self._talk = await self._http.ws_connect(self._address_of_socket)
        await self.say(type="open")
        while (said := await self._talk.receive_json(timeout=5))["type"] != "offer":
            assert said["type"] != "error", said
        self.answer = parse_description(said["sdp"])
        await self.say(type="answer", sdp=self._offer())
        self._tasks.append(asyncio.create_task(self._listen(self._talk)))

    async def say(self, **message: Any) -> None:
        """Send a message."""
        assert self._talk is not None
        await self._talk.send_str(json.dumps(message))

    async def command(self, name: str, **more: Any) -> None:
        """Give a command."""
        await self.say(cmd=name, **more)

    async def leave(self) -> None:
        """Close the socket, as a page that goes."""
        await super().leave()
        if self._talk is not None:
            with suppress(ConnectionError):
                await self._talk.close()

    def units(self) -> list[list[Got]]:
        """Return what came of the picture, by access unit, in order of its numbers."""
        found: list[list[Got]] = []
        for one in sorted(self.video, key=lambda got: self._number(got)):
            if not found or found[-1][0].header.timestamp != one.header.timestamp:
                found.append([])
            found[-1].append(one)
        return found

    def _number(self, got: Got) -> int:
        first = self.video[0].header.sequence
        return (got.header.sequence - first + 0x8000 & 0xFFFF) - 0x8000

    async def _listen(self, talk: aiohttp.ClientWebSocketResponse) -> None:
        async for message in talk:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.events.append(json.loads(message.data))
