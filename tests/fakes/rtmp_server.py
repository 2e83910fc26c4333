"""An RTMP server with one clip in real time, for one player at a time: ffmpeg's own."""

from __future__ import annotations

import asyncio
import socket
from asyncio.subprocess import DEVNULL
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

START_TIMEOUT_S = 10.0


class RtmpServer:
    """Serves `clip` (a .flv file) from its start to each player; use it in `async with`."""

    def __init__(self, clip: Path, ffmpeg: str) -> None:
        self.port = 0
        self._clip = clip
        self._ffmpeg = ffmpeg
        self._player: asyncio.subprocess.Process | None = None
        self._serving: asyncio.Task[None] | None = None

    def url(self) -> str:
        """Return the address of the clip."""
        return f"rtmp://127.0.0.1:{self.port}/live/camera"

    async def wait_listening(self) -> None:
        """Return when the next player may come."""
        async with asyncio.timeout(START_TIMEOUT_S):
            while not self._is_listening():
                await asyncio.sleep(0.01)

    async def __aenter__(self) -> Self:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._serving = asyncio.create_task(self._serve())
        await self.wait_listening()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._serving is not None
        self._serving.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)

    async def _serve(self) -> None:
        """Start the server again whenever its player has left."""
        argv = [
            self._ffmpeg, "-hide_banner", "-nostdin", "-loglevel", "fatal", "-re",
            "-i", str(self._clip), "-c", "copy", "-f", "flv", "-listen", "1", self.url(),
        ]  # fmt: skip
        while True:
            self._player = await asyncio.create_subprocess_exec(*argv, stderr=DEVNULL)
            try:
                await self._player.wait()
            finally:
                if self._player.returncode is None:
                    self._player.kill()
                    await self._player.wait()

    def _is_listening(self) -> bool:
        if self._player is None:
            return False
        with suppress(psutil.Error):
            sockets = psutil.Process(self._player.pid).net_connections("tcp")
            return any(one.status == psutil.CONN_LISTEN for one in sockets)
        return False
