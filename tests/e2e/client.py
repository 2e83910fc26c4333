"""What a program does with a running server: calls, pictures, playlists, and watching."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from types import TracebackType
from typing import Any, Self

import aiohttp

from h5sup.formats.isobmff.fragment import parse_fragment
from h5sup.formats.isobmff.init_segment import InitSegment, parse_init
from tests.e2e.server import Server, until
from tests.fakes.clips import decode_frame_indexes

CALL_TIMEOUT_S = 20.0


class Client:
    """One who is signed in; use it in `async with`."""

    def __init__(
        self,
        server: Server,
        user: str = "admin",
        password: str = "12345",
        *,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """Take who signs in; over HTTPS if it is said whom to trust."""
        self.session = ""
        self._server = server
        self._is_tls = trust is not None
        self._user = user
        self._password = password
        self._http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(CALL_TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(ssl=True if trust is None else trust),
        )

    @property
    def base(self) -> str:
        """Return the address it calls."""
        return self._server.tls_base if self._is_tls else self._server.base

    async def sign_in(self) -> None:
        """Open a session; again after the server has started anew."""
        answer = await self.call("Login", user=self._user, password=self._password)
        self.session = answer["strSession"]

    async def call(self, name: str, /, **parameters: str) -> dict[str, Any]:
        """Return the answer of a call of the API."""
        status, body = await self.get(f"/api/v1/{name}", **parameters)
        assert status == 200, body
        answer: dict[str, Any] = json.loads(body)
        return answer

    async def get(self, path: str, /, **parameters: str) -> tuple[int, bytes]:
        """Return status and body of any address."""
        query = parameters | ({"session": self.session} if self.session else {})
        async with self._http.get(self.base + path, params=query) as response:
            return response.status, await response.read()

    async def source(self, token: str) -> dict[str, Any]:
        """Return what GetSrc says of one source."""
        found: dict[str, Any] = (await self.call("GetSrc", token=token))["src"][0]
        return found

    async def until_state(
        self, token: str, state: str, words: str = "", timeout_s: float = 30.0
    ) -> dict[str, Any]:
        """Wait until a source is in a state, with these words in its reason."""
        source: dict[str, Any] = {}
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    source = await self.source(token)
                    if source["strState"] == state and words in source["strReason"]:
                        return source
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(
                f"not within {timeout_s:g} s: {state} {words!r}: {source}"
            ) from None

    async def until_online(self, *tokens: str) -> None:
        """Wait until the sources give pictures."""
        for token in tokens:
            await self.until_state(token, "RUNNING")

    async def until_recording(self, token: str) -> None:
        """Wait until a source is recorded."""
        async with asyncio.timeout(30.0):
            while not (await self.source(token))["bRec"]:
                await asyncio.sleep(0.05)

    @asynccontextmanager
    async def watch(self, token: str, /, **parameters: str) -> AsyncIterator[Viewer]:
        """Watch a source over WebSocket until the block ends."""
        query = {"token": token, "session": self.session} | parameters
        async with self._http.ws_connect(
            f"{self.base}/api/v1/h5swsapi", params=query, max_msg_size=0
        ) as socket:
            viewer = Viewer(socket)
            reading = asyncio.create_task(viewer.read())
            try:
                yield viewer
            finally:
                reading.cancel()
                with suppress(asyncio.CancelledError):
                    await reading

    async def __aenter__(self) -> Self:
        await self.sign_in()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.close()


class Viewer:
    """Takes what a player is sent and keeps account of its timeline."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.mime = ""
        self.media = bytearray()
        self.events: list[dict[str, Any]] = []
        self.pictures = 0
        self.end_s = 0.0
        """Where the video ends on this socket's timeline."""
        self.starts_with_key = False
        self.breaks: list[str] = []
        """Holes and overlaps on the timeline: players that never seek stop there for good."""
        self.close_code: int | None = None
        self._socket = socket
        self._init: InitSegment | None = None
        self._ends: dict[str, int] = {}

    async def read(self) -> None:
        """Take messages until the server closes the socket."""
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.events.append(json.loads(message.data))
            elif message.type is aiohttp.WSMsgType.BINARY:
                self._take(message.data)
        self.close_code = self._socket.close_code

    async def command(self, name: str) -> None:
        """Give a playback a command."""
        await self._socket.send_str(json.dumps({"cmd": name}))

    async def until_pictures(self, count: int, timeout_s: float = 30.0) -> None:
        """Wait until so many pictures have come in all."""
        await until(
            lambda: self.pictures >= count or self.close_code,
            f"{count} pictures, {self.pictures} came",
            timeout_s,
        )
        assert self.close_code is None, f"closed with {self.close_code} ({self.pictures} pictures)"

    async def until_closed(self, timeout_s: float = 30.0) -> None:
        """Wait until the server has closed the socket."""
        await until(lambda: self.close_code is not None, "the socket is closed", timeout_s)

    async def indexes(self) -> list[int]:
        """Return the frame numbers of all pictures taken so far, decoded by ffmpeg."""
        return await asyncio.to_thread(decode_frame_indexes, bytes(self.media))

    def _take(self, data: bytes) -> None:
        if not self.mime:
            self.mime = data.decode("ascii")
            return
        self.media += data
        if self._init is None:
            self._init = parse_init(data)
        elif data[4:8] != b"ftyp":
            self._account(data, self._init)

    def _account(self, data: bytes, init: InitSegment) -> None:
        fragment = parse_fragment(data, init)
        if not self._ends:
            self.starts_with_key = fragment.video is not None and fragment.video.has_sync_sample
        for kind, run in (("video", fragment.video), ("audio", fragment.audio)):
            if run is None:
                continue
            due = self._ends.get(kind, run.dts)
            if run.dts != due:
                off_ms = (run.dts - due) * 1000 // run.track.timescale
                self.breaks.append(f"{kind} by {off_ms} ms at {due / run.track.timescale:.2f} s")
            self._ends[kind] = run.dts + run.duration
        if fragment.video is not None:
            self.pictures += len(fragment.video.samples)
            self.end_s = self._ends["video"] / fragment.video.track.timescale


def find_skips(indexes: list[int], frames: int) -> list[tuple[int, int]]:
    """Return where the numbers of consecutive pictures don't follow each other."""
    return [(one, two) for one, two in pairwise(indexes) if two != (one + 1) % frames]
