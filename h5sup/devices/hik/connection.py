"""The way to one device of Hikvision: where HTTP and RTSP are, who it is, what its clock shows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TypeVar

from h5sup.config.model import DeviceConfig
from h5sup.devices.answers import failure_of, raise_unless_lacking, read_answer
from h5sup.devices.hik.messages import (
    DEFAULT_RTSP_PORT,
    DEVICE_INFO,
    PROTOCOLS,
    TIME,
    XML,
    DeviceInfo,
    explain,
    find_lock,
    is_device,
    parse_device_info,
    parse_rtsp_port,
    parse_time_zone,
)
from h5sup.devices.hik.zone import Zone
from h5sup.devices.http import FIND_TIMEOUT_S, DeviceHttp, Method, list_ports
from h5sup.devices.model import DEVICE_TIMEOUT_S, DeviceError, DeviceFailure, MediaAddress

LOOK_AT_CLOCK_S = 3600.0  # somebody may set another zone

T = TypeVar("T")

logger = logging.getLogger(__name__)


class HikConnection:
    """One device; it is found and logged into at the first question. Raises DeviceError."""

    def __init__(
        self,
        config: DeviceConfig,
        *,
        timeout_s: float = DEVICE_TIMEOUT_S,
        find_timeout_s: float = FIND_TIMEOUT_S,
    ) -> None:
        self.info: DeviceInfo | None = None
        """Who it is, once it has answered."""
        self.zone = Zone(timedelta(0))
        self._config = config
        self._rtsp_port = config.rtsp_port or DEFAULT_RTSP_PORT
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._is_open = False
        self._clock_seen: float | None = None
        self._http = DeviceHttp(
            config.host,
            user=config.user,
            password=config.password,
            find_lock=find_lock,
            timeout_s=timeout_s,
            find_timeout_s=find_timeout_s,
        )

    async def open(self) -> None:
        """Find the device and log in, unless that is done."""
        async with self._turn:
            self._http.check()
            if not self._is_open:
                await self._find()
                self._is_open = True
            now = asyncio.get_running_loop().time()
            if self._clock_seen is None or now - self._clock_seen > LOOK_AT_CLOCK_S:
                await self._look_at_clock()
                self._clock_seen = now

    async def ask(self, method: Method, path: str, body: bytes = b"") -> bytes:
        """Return what it answers; DeviceFailure.UNSUPPORTED is what it has not."""
        await self.open()
        return await self._ask(method, path, body)

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
    async def in_time(self) -> AsyncIterator[None]:
        """Bound all that one call of the rest of h5sup asks."""
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
        except TimeoutError:
            raise DeviceError(
                DeviceFailure.NO_ANSWER,
                f"{self._config.host} takes longer than {self._timeout_s:g} s",
            ) from None

    async def read(self, parse: Callable[[bytes], T], body: bytes) -> T:
        """Return what `parse` makes of an answer; a long one is read outside the event loop."""
        return await read_answer(self._config.host, parse, body)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.close()

    async def _find(self) -> None:
        places = list_ports(self._config.port, self._config.http_port)
        await self._http.find(places, DEVICE_INFO, is_device)
        place = self._http.place
        assert place is not None
        body = await self._ask("GET", DEVICE_INFO)
        self.info = await self.read(parse_device_info, body)
        if not self._config.rtsp_port:
            self._rtsp_port = await self._ask_rtsp_port()
        logger.info(
            "device %s: %s %s, HTTP at port %d, RTSP at %d",
            self._config.token, self.info.kind, self.info.model, place.port, self._rtsp_port,
        )  # fmt: skip

    async def _ask_rtsp_port(self) -> int:
        """Return the port it tells, which takes an administrator; else the usual one."""
        try:
            body = await self._ask("GET", PROTOCOLS)
            return await self.read(parse_rtsp_port, body) or DEFAULT_RTSP_PORT
        except DeviceError as error:
            raise_unless_lacking(error)
            return DEFAULT_RTSP_PORT

    async def _look_at_clock(self) -> None:
        try:
            body = await self._ask("GET", TIME)
            self.zone = await self.read(parse_time_zone, body)
        except DeviceError as error:
            raise_unless_lacking(error)
            logger.warning(
                "device %s: its time zone is not known, taken for UTC: %s",
                self._config.token, error,
            )  # fmt: skip

    async def _ask(self, method: Method, path: str, body: bytes = b"") -> bytes:
        try:
            answer = await self._http.ask(method, path, body, XML if body else "")
        except DeviceError as error:
            if error.failure is DeviceFailure.UNREACHABLE:
                self._is_open = False  # it may come back at another port
            raise
        if answer.is_ok:
            return answer.body
        failure = failure_of(answer.status)
        raise DeviceError(failure, f"{self._config.host}: {explain(answer.status, answer.body)}")
