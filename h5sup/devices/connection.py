"""The way to one recorder over HTTP: found and logged into at the first question, asked in time.

What devices/hik and devices/dahua have in common; each brings how its devices are met, and what
their clocks show.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from h5sup.config.model import DeviceConfig
from h5sup.devices.answers import raise_unless_lacking, read_answer
from h5sup.devices.http import Answer, DeviceHttp, FindLock, HttpPort, Method, list_ports
from h5sup.devices.model import DeviceError, DeviceFailure, MediaAddress
from h5sup.devices.trust import Trust

DEFAULT_RTSP_PORT = 554
LOOK_AT_CLOCK_S = 3600.0  # summer time begins and ends, and somebody may set another zone

T = TypeVar("T")


class RecorderConnection(ABC):
    """One recorder, with one user. Every method but close() and address() raises DeviceError."""

    def __init__(
        self,
        config: DeviceConfig,
        *,
        find_lock: FindLock,
        timeout_s: float,
        find_timeout_s: float,
        trust: Trust | None,
    ) -> None:
        self._config = config
        self._timeout_s = timeout_s
        self._rtsp_port = config.rtsp_port or DEFAULT_RTSP_PORT
        self._turn = asyncio.Lock()
        self._is_open = False
        self._clock_seen: float | None = None
        place = f"{config.host}:{config.port}:{config.http_port}"
        guard = (trust or Trust()).guard(config.token, config.host, place, config.fingerprint)
        self._http = DeviceHttp(
            config.host,
            user=config.user,
            password=config.password,
            guard=guard,
            find_lock=find_lock,
            timeout_s=timeout_s,
            find_timeout_s=find_timeout_s,
        )

    async def open(self) -> None:
        """Find the device and log in, unless that is done."""
        async with self._turn:
            self._check()
            if not self._is_open:
                await self._meet()
                self._is_open = True
            now = asyncio.get_running_loop().time()
            if self._clock_seen is None or now - self._clock_seen > LOOK_AT_CLOCK_S:
                await self._look_at_clock()
                self._clock_seen = now

    def address(self, path: str) -> MediaAddress:
        """Return where media is had by RTSP.

        What a device itself says of its host is not taken: behind a router it does not know.
        """
        host = self._config.host.removeprefix("[").removesuffix("]")
        host = f"[{host}]" if ":" in host else host
        return MediaAddress(
            f"rtsp://{host}:{self._rtsp_port}{path}", self._config.user, self._config.password
        )

    @asynccontextmanager
    async def in_time(self, timeout_s: float | None = None) -> AsyncIterator[None]:
        """Bound all that one call of the rest of h5sup asks."""
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                yield
        except TimeoutError:
            raise DeviceError(
                DeviceFailure.NO_ANSWER, f"{self._config.host} takes longer than {timeout_s:g} s"
            ) from None

    async def read(self, parse: Callable[[bytes], T], body: bytes) -> T:
        """Return what `parse` makes of an answer; a long one is read outside the event loop."""
        return await read_answer(self._config.host, parse, body)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.close()

    @abstractmethod
    async def _meet(self) -> None:
        """Find it, log in, and see who it is and where it gives media."""

    @abstractmethod
    async def _look_at_clock(self) -> None:
        """See what its clock shows."""

    def _check(self) -> None:
        """Raise what refused the login, while that holds."""
        self._http.check()

    async def _find(self, path: str, recognises: Callable[[bytes], bool]) -> HttpPort:
        """Return where HTTP is, see DeviceHttp.find()."""
        places = list_ports(self._config.port, self._config.http_port)
        return await self._http.find(places, path, recognises)

    async def _send(self, method: Method, path: str, body: bytes, kind: str) -> Answer:
        try:
            return await self._http.ask(method, path, body, kind if body else "")
        except DeviceError as error:
            if error.failure is DeviceFailure.UNREACHABLE:
                self._is_open = False  # it may come back at another port
            raise

    async def _note_rtsp_port(
        self, asked: Awaitable[bytes], parse: Callable[[bytes], int | None]
    ) -> None:
        """Take the port it tells, which takes some rights; else the usual one."""
        try:
            port = await self.read(parse, await asked)
        except DeviceError as error:
            raise_unless_lacking(error)
            port = None
        self._rtsp_port = port or DEFAULT_RTSP_PORT
