"""How a running server tells the support bundle how it fares.

By a socket in its RAM folder, which is for its own user alone: no port, no password, nothing that
a browser could reach. Whoever connects gets one JSON text.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from h5sup.base.tasks import end_tasks

SOCKET_NAME = "support.sock"
SEND_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 10.0
MAX_REPORT_BYTES = 50_000_000

logger = logging.getLogger(__name__)


class ReportSocket:
    """Answers who connects with what `make_report` returns."""

    def __init__(self, folder: Path, make_report: Callable[[], bytes]) -> None:
        self._path = folder / SOCKET_NAME
        self._make_report = make_report
        self._server: asyncio.Server | None = None
        self._answering: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen; where that can't be the bundle goes without a report."""
        try:
            self._server = await asyncio.start_unix_server(self._on_connect, self._path)
        except OSError as error:  # a path too long for a socket's name
            logger.warning("no report for a support bundle: %s", error)

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
        answering = list(self._answering)
        await end_tasks(*answering)

    def _on_connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        task = asyncio.create_task(self._answer(writer), name="support report")
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    writer.write(self._make_report())
                    await writer.drain()
        finally:
            writer.close()


def fetch_report(folder: Path) -> bytes | None:
    """Return the running server's report, None when none answers; blocks."""
    found = bytearray()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(READ_TIMEOUT_S)
        try:
            connection.connect(str(folder / SOCKET_NAME))
            while len(found) < MAX_REPORT_BYTES and (chunk := connection.recv(65_536)):
                found += chunk
        except OSError:
            return None
    return bytes(found) or None
