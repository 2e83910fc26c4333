"""The ports h5sup answers on: plain, and encrypted beside it."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Callable

from aiohttp import web

from h5sup.base.errors import ConfigError
from h5sup.web.connection import Patience, PlainConnection, TlsConnection
from h5sup.web.door import Door

BACKLOG = 1024  # connections the kernel may hold ready while the loop is busy

logger = logging.getLogger(__name__)


class Listeners:
    """Opens ports for one aiohttp server, which ends the connections itself when it stops."""

    def __init__(self, server: web.Server, door: Door, patience: Patience | None = None) -> None:
        self._server = server
        self._door = door
        self._patience = patience or Patience()
        self._listening: list[asyncio.Server] = []

    async def open_plain(self, host: str, port: int) -> int:
        """Listen for HTTP and return the port; raises ConfigError."""
        return await self._open(
            lambda: PlainConnection(self._server, self._patience, self._door),
            host,
            port,
            "http.port",
        )

    async def open_tls(self, host: str, port: int, context: Callable[[], ssl.SSLContext]) -> int:
        """Listen for HTTPS and return the port; `context` is asked anew for each connection."""
        return await self._open(
            lambda: TlsConnection(self._server, self._patience, self._door, context()),
            host,
            port,
            "http.tls_port",
        )

    def close(self) -> None:
        """Take no more connections."""
        for one in self._listening:
            one.close()

    async def _open(
        self, make: Callable[[], asyncio.BaseProtocol], host: str, port: int, key: str
    ) -> int:
        loop = asyncio.get_running_loop()
        try:
            listening = await loop.create_server(make, host, port, backlog=BACKLOG)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise ConfigError(key, f"can't listen on {host} port {port}: {reason}") from error
        self._listening.append(listening)
        bound: int = listening.sockets[0].getsockname()[1]
        return bound
