"""RTSP servers that don't work: each fault of a camera that a person must be told about."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Self

GARBAGE = bytes(range(256)) * 16
CSEQ = re.compile(rb"(?im)^CSeq:\s*(\d+)")


class Fault(Enum):
    """How a `BrokenRtsp` treats every client."""

    NOT_FOUND = "404 to every DESCRIBE"
    UNAUTHORIZED = "401 whatever the password"
    GARBAGE = "bytes that are not RTSP"
    SILENT = "accepts and never answers"
    CLOSES = "accepts and closes at once"


class BrokenRtsp:
    """A server on a free port of the loopback that always misbehaves in one way."""

    def __init__(self, fault: Fault) -> None:
        self.port = 0
        self.connections = 0  # how many clients came so far
        self.logins = 0  # how many requests carried a user's name
        self._fault = fault
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    def url(self, user: str = "", password: str = "") -> str:
        """Return an address of this server."""
        userinfo = f"{user}:{password}@" if user else ""
        return f"rtsp://{userinfo}127.0.0.1:{self.port}/camera"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._serve(reader, writer))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._misbehave(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _misbehave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._fault is Fault.CLOSES:
            return
        if self._fault is Fault.GARBAGE:
            writer.write(GARBAGE)
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            self.logins += b"\r\nAuthorization:" in request
            if self._fault in (Fault.NOT_FOUND, Fault.UNAUTHORIZED):
                writer.write(self._answer(request))
                await writer.drain()

    def _answer(self, request: bytes) -> bytes:
        """Return the answer to one request; OPTIONS is fine with everybody."""
        found = CSEQ.search(request)
        sequence = found[1].decode() if found else "1"
        if request.startswith(b"OPTIONS"):
            lines = ["RTSP/1.0 200 OK", "Public: OPTIONS, DESCRIBE, SETUP, PLAY"]
        elif self._fault is Fault.NOT_FOUND:
            lines = ["RTSP/1.0 404 Not Found"]
        else:
            challenge = 'WWW-Authenticate: Digest realm="camera", nonce="5e0f3a9b", algorithm=MD5'
            lines = ["RTSP/1.0 401 Unauthorized", challenge]
        return "\r\n".join([*lines, f"CSeq: {sequence}", "", ""]).encode()
