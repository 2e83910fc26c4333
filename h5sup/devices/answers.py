"""What devices make of an answer, whatever it is written in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from h5sup.base.errors import MediaFormatError
from h5sup.devices.model import DeviceError, DeviceFailure

SHORT_BYTES = 32_000  # read within 5 ms, on a slow machine 20
# Said of what a device has not: firmware is not of one mind about which.
LACKING = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.NOT_IMPLEMENTED,
    }
)

T = TypeVar("T")


async def read_answer(host: str, parse: Callable[[bytes], T], body: bytes) -> T:
    """Return what `parse` makes of an answer; a long one is read outside the event loop."""
    try:
        if len(body) > SHORT_BYTES:
            return await asyncio.to_thread(parse, body)
        return parse(body)
    except MediaFormatError as error:
        raise DeviceError(DeviceFailure.NOT_UNDERSTOOD, f"{host}: {error}") from error


def failure_of(status: int) -> DeviceFailure:
    """Return what a status says that is no success."""
    if status in LACKING:
        return DeviceFailure.UNSUPPORTED
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return DeviceFailure.NO_ANSWER
    return DeviceFailure.NOT_UNDERSTOOD


def raise_unless_lacking(error: DeviceError) -> None:
    """Go on without what a device has not, or says in words nobody understands."""
    if error.failure not in (DeviceFailure.UNSUPPORTED, DeviceFailure.NOT_UNDERSTOOD):
        raise error
