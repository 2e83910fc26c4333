"""Where the server is reached: plain HTTP, HTTPS beside it, and how many may be connected."""

from __future__ import annotations

import logging
import resource
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from h5sup.config.model import HttpConfig, LimitsConfig
from h5sup.web.door import Door
from h5sup.web.listeners import Listeners

if TYPE_CHECKING:
    from h5sup.web.tls import Tls

CLOSE_TIMEOUT_S = 3.0  # for requests that are being answered when the server stops
OWN_DESCRIPTORS = 256  # pipes, files and sockets that are no connection of a client

logger = logging.getLogger(__name__)


def open_door(limits: LimitsConfig) -> Door:
    """Return the bound on connections: as configured, or what the system has descriptors for."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = limits.connections
    if descriptors != resource.RLIM_INFINITY:
        room = min(room, max(descriptors - OWN_DESCRIPTORS, descriptors // 2))
    if room < limits.connections:
        logger.warning(
            "limits.connections is %d, but the system allows %d open files (ulimit -n): "
            "there is room for %d",
            limits.connections,
            descriptors,
            room,
        )
    return Door(limit=room, per_address=limits.connections_per_address)


async def listen(
    app: web.Application, http: HttpConfig, door: Door, tls: Tls | None, stack: AsyncExitStack
) -> list[str]:
    """Listen until the stack is left, and return the addresses; raises ConfigError."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_TIMEOUT_S)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    assert runner.server is not None
    listeners = Listeners(runner.server, door)
    stack.callback(listeners.close)
    shown = "127.0.0.1" if http.host in ("0.0.0.0", "::") else http.host  # noqa: S104 (compared)
    port = await listeners.open_plain(http.host, http.port)
    urls = [f"http://{shown}:{port}"]
    if tls is not None:
        port = await listeners.open_tls(http.host, http.tls_port, lambda: tls.context)
        urls.append(f"https://{shown}:{port}")
    return urls


async def open_tls(http: HttpConfig, home: Path, data: Path, stack: AsyncExitStack) -> Tls | None:
    """Return the certificate of HTTPS, kept up to date until the stack is left; None without."""
    if not http.tls_port:
        return None
    from h5sup.web.tls import Tls, find_pair  # its certificates take memory: if needed only

    tls = Tls(*find_pair(http, home, data))
    await tls.load()
    tls.start()
    stack.push_async_callback(tls.close)
    return tls
