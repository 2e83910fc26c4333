"""The way to one device of Dahua: who it is, where RTSP is, what its clock shows."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from http import HTTPStatus

from h5sup.base.clock import utc_now
from h5sup.config.model import DeviceConfig
from h5sup.devices.answers import failure_of, raise_unless_lacking
from h5sup.devices.connection import RecorderConnection
from h5sup.devices.dahua.messages import (
    DEFAULT_LOCK_S,
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
from h5sup.devices.http import FIND_TIMEOUT_S, Answer
from h5sup.devices.model import DEVICE_TIMEOUT_S, DeviceError, DeviceFailure
from h5sup.devices.trust import Trust

logger = logging.getLogger(__name__)


class DahuaConnection(RecorderConnection):
    """One device; it is found and logged into at the first question. Raises DeviceError."""

    def __init__(
        self,
        config: DeviceConfig,
        *,
        timeout_s: float = DEVICE_TIMEOUT_S,
        find_timeout_s: float = FIND_TIMEOUT_S,
        trust: Trust | None = None,
    ) -> None:
        super().__init__(
            config,
            find_lock=find_lock,
            timeout_s=timeout_s,
            find_timeout_s=find_timeout_s,
            trust=trust,
        )
        self.info: DeviceInfo | None = None
        """Who it is, once it has answered."""
        self.offset = timedelta(0)
        """How far its clock is ahead of UTC, once it has answered."""
        self._forbidden: tuple[DeviceError, float] | None = None

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

    async def _meet(self) -> None:
        place = await self._find(SYSTEM_INFO, is_device)
        answer = await self._http.ask("GET", SYSTEM_INFO)
        self._note_forbidden(answer)
        self.info = await self.read(parse_device_info, self._check_answer(answer))
        if not self._config.rtsp_port:
            await self._note_rtsp_port(self._ask(RTSP), parse_rtsp_port)
        logger.info(
            "device %s: %s, HTTP at port %d, RTSP at %d",
            self._config.token, self.info.model, place.port, self._rtsp_port,
        )  # fmt: skip

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
        return self._check_answer(await self._send("POST" if body else "GET", path, body, JSON))

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
        super()._check()
        if self._forbidden is None:
            return
        error, until = self._forbidden
        if asyncio.get_running_loop().time() < until:
            raise DeviceError(error.failure, str(error))
        self._forbidden = None
