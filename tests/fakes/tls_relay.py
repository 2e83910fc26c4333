"""TLS in front of a server that has none, such as tests/fakes/rtsp_camera.py."""

from __future__ import annotations

import asyncio
import ssl
from types import TracebackType
from typing import Self


class TlsRelay:
    """Hands on to `target` what comes to `port` over TLS; use it in `async with`.

    `context` may be changed between two uses; the port stays.
    """

    def __init__(self, target: int, context: ssl.SSLContext) -> None:
        self.port = 0
        self.context = context
        self.count_bytes = 0
        """How much was said to the server."""
        self._target = target
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, ssl=self.context
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        inner, outer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, outer, counts=True))
                group.create_task(self._pump(inner, writer, counts=False))
        except* ConnectionError:
            pass  # either side may go as it likes
        finally:
            for each in (outer, writer):
                each.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counts: bool
    ) -> None:
        while piece := await reader.read(65_536):
            self.count_bytes += len(piece) if counts else 0
            writer.write(piece)
            await writer.drain()
        raise ConnectionAbortedError  # so that the other direction ends too
