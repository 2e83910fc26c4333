"""The way to one device of Dahua: where HTTP and RTSP are, who it is, what its clock shows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import TypeVar

from h5sup.base.clock import utc_now
from h5sup.config.model import DeviceConfig
from h5sup.devices.answers import failure_of, raise_unless_lacking, read_answer
from h5sup.devices.dahua.messages import (
    DEFAULT_LOCK_S,
    DEFAULT_RTSP_PORT,
    JSON,
    RTSP,
    SYSTEM_INFO,
    TIME,
    DeviceInfo,
    explain,
    find_lock,
    is_device,
    is_done,
    is_refusal,
    parse_device_info,
    parse_offset,
    parse_rtsp_port,
)
from h5sup.devices.http import FIND_TIMEOUT_S, Answer, DeviceHttp, list_ports
from h5sup.devices.model import DEVICE_TIMEOUT_S, DeviceError, DeviceFailure, MediaAddress

LOOK_AT_CLOCK_S = 3600.0  # summer time begins and ends, and somebody may set another zone

T = TypeVar("T")

logger = logging.getLogger(__name__)


class DahuaConnection:
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
        self.offset = timedelta(0)
        """How far its clock is ahead of UTC, once it has answered."""
        self._config = config
        self._timeout_s = timeout_s
        self._rtsp_port = config.rtsp_port or DEFAULT_RTSP_PORT
        self._turn = asyncio.Lock()
        self._is_open = False
        self._clock_seen: float | None = None
        self._forbidden: tuple[DeviceError, float] | None = None
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
            self._check()
            if not self._is_open:
                await self._find()
                self._is_open = True
            now = asyncio.get_running_loop().time()
            if self._clock_seen is None or now - self._clock_seen > LOOK_AT_CLOCK_S:
                await self._look_at_clock()
                self._clock_seen = now

    async def ask(self, path: str, body: bytes = b"") -> bytes:
        """Return what it answers; DeviceFailure.UNSUPPORTED is what it has not."""
        await self.open()
        return await self._ask(path, body)

    async def command(self, path: str) -> None:
        """Have it do something."""
        body = await self.ask(path)
        if not is_done(body):
            raise DeviceError(
                DeviceFailure.NOT_UNDERSTOOD, f"{self._config.host} does not say whether it did it"
            )

    def address(self, path: str) -> MediaAddress:
        """Return where media is had by RTSP."""
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

    async def _find(self) -> None:
        places = list_ports(self._config.port, self._config.http_port)
        await self._http.find(places, SYSTEM_INFO, is_device)
        place = self._http.place
        assert place is not None
        answer = await self._http.ask("GET", SYSTEM_INFO)
        self._note_forbidden(answer)
        self.info = await self.read(parse_device_info, self._check_answer(answer))
        if not self._config.rtsp_port:
            self._rtsp_port = await self._ask_rtsp_port()
        logger.info(
            "device %s: %s, HTTP at port %d, RTSP at %d",
            self._config.token, self.info.model, place.port, self._rtsp_port,
        )  # fmt: skip

    async def _ask_rtsp_port(self) -> int:
        """Return the port it tells, which takes some rights; else the usual one."""
        try:
            body = await self._ask(RTSP)
            return await self.read(parse_rtsp_port, body) or DEFAULT_RTSP_PORT
        except DeviceError as error:
            raise_unless_lacking(error)
            return DEFAULT_RTSP_PORT

    async def _look_at_clock(self) -> None:
        try:
            body = await self._ask(TIME)
            self.offset = await self.read(lambda body: parse_offset(body, utc_now()), body)
        except DeviceError as error:
            raise_unless_lacking(error)
            logger.warning(
                "device %s: its time zone is not known, taken for UTC: %s",
                self._config.token, error,
            )  # fmt: skip
            self.offset = timedelta(0)

    async def _ask(self, path: str, body: bytes = b"") -> bytes:
        try:
            answer = await self._http.ask(
                "POST" if body else "GET", path, body, JSON if body else ""
            )
        except DeviceError as error:
            if error.failure is DeviceFailure.UNREACHABLE:
                self._is_open = False  # it may come back at another port
            raise
        return self._check_answer(answer)

    def _check_answer(self, answer: Answer) -> bytes:
        """Return the body of an answer that is no refusal."""
        if answer.is_ok and not is_refusal(answer.body):
            return answer.body
        failure = DeviceFailure.UNSUPPORTED if answer.is_ok else failure_of(answer.status)
        raise DeviceError(failure, f"{self._config.host}: {explain(answer.status, answer.body)}")

    def _note_forbidden(self, answer: Answer) -> None:
        """Take 403 for a lock where every user may ask: some firmware says no more than that."""
        if answer.status == HTTPStatus.FORBIDDEN:
            error = DeviceError(
                DeviceFailure.LOCKED_OUT,
                f"{self._config.host} forbids the user everything, as after wrong logins; "
                f"it is asked again in {DEFAULT_LOCK_S / 60:g} min",
            )
            until = asyncio.get_running_loop().time() + DEFAULT_LOCK_S
            self._forbidden = (error, until)
            raise error

    def _check(self) -> None:
        self._http.check()
        if self._forbidden is None:
            return
        error, until = self._forbidden
        if asyncio.get_running_loop().time() < until:
            raise DeviceError(error.failure, str(error))
        self._forbidden = None
