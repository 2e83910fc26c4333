"""An HTTP server with one endless MPEG-TS, as encoder boxes and DVB servers have it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

PATH = "/live.ts"
PACKETS = 188 * 7
END_S = 2.0
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nConnection: close\r\n\r\n"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class HttpTs:
    """Serves `clip` (a .ts file) in real time, looped, with timestamps that go on."""

    def __init__(self, clip: Path, ffmpeg: str) -> None:
        self.port = 0
        self._argv = [
            ffmpeg, "-hide_banner", "-nostdin", "-loglevel", "error", "-re",
            "-stream_loop", "-1", "-i", str(clip), "-c", "copy", "-f", "mpegts", "pipe:1",
        ]  # fmt: skip
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._players: dict[asyncio.StreamWriter, asyncio.subprocess.Process] = {}

    def url(self) -> str:
        """Return the address of the endless file; any other path is a 404."""
        return f"http://127.0.0.1:{self.port}{PATH}"

    def kick(self) -> None:
        """Close every connection."""
        for player in self._players.values():
            with suppress(ProcessLookupError):
                player.kill()

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
        self.kick()
        if self._clients:
            await asyncio.wait(self._clients, timeout=END_S)  # cancelled, they'd leave players
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                request = await reader.readuntil(b"\r\n\r\n")
                if request.split(b" ")[1] == PATH.encode():
                    writer.write(HEAD)
                    await self._play(writer)
                else:
                    writer.write(NOT_FOUND)
                    await writer.drain()
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _play(self, writer: asyncio.StreamWriter) -> None:
        player = await asyncio.create_subprocess_exec(*self._argv, stdout=asyncio.subprocess.PIPE)
        assert player.stdout is not None
        self._players[writer] = player
        try:
            while packets := await player.stdout.read(PACKETS):
                writer.write(packets)
                await writer.drain()
        finally:
            with suppress(ProcessLookupError):
                player.kill()
            while await player.stdout.read(65536):  # its pipe closes only when it is empty
                pass
            await player.wait()
            del self._players[writer]
            player._transport.close()  # type: ignore[attr-defined]  # else some turns of the loop later
