"""The way to one device of Hikvision: who it is, where RTSP is, what its clock shows."""

from __future__ import annotations

import logging
from datetime import timedelta

from h5sup.config.model import DeviceConfig
from h5sup.devices.answers import failure_of, raise_unless_lacking
from h5sup.devices.connection import RecorderConnection
from h5sup.devices.hik.messages import (
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
from h5sup.devices.http import FIND_TIMEOUT_S, Method
from h5sup.devices.model import DEVICE_TIMEOUT_S, DeviceError
from h5sup.devices.trust import Trust

logger = logging.getLogger(__name__)


class HikConnection(RecorderConnection):
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
        self.zone = Zone(timedelta(0))

    async def ask(self, method: Method, path: str, body: bytes = b"") -> bytes:
        """Return what it answers; DeviceFailure.UNSUPPORTED is what it has not."""
        await self.open()
        return await self._ask(method, path, body)

    async def _meet(self) -> None:
        place = await self._find(DEVICE_INFO, is_device)
        body = await self._ask("GET", DEVICE_INFO)
        self.info = await self.read(parse_device_info, body)
        if not self._config.rtsp_port:
            await self._note_rtsp_port(self._ask("GET", PROTOCOLS), parse_rtsp_port)
        logger.info(
            "device %s: %s %s, HTTP at port %d, RTSP at %d",
            self._config.token, self.info.kind, self.info.model, place.port, self._rtsp_port,
        )  # fmt: skip

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
        answer = await self._send(method, path, body, XML)
        if answer.is_ok:
            return answer.body
        failure = failure_of(answer.status)
        raise DeviceError(failure, f"{self._config.host}: {explain(answer.status, answer.body)}")
