"""What a recorder has recorded of one channel, for playing it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar

from h5sup.devices.device import Device
from h5sup.devices.model import DeviceError, DeviceFailure, DeviceRecord, MediaAddress, Recorder

ANSWER_S = 5.0  # players wait 8 s for a playback to open, its first picture included

T = TypeVar("T")


class RecordedChannel:
    """One channel's recordings. Raises DeviceError; a refused password is not tried again."""

    def __init__(self, device: Device, number: int, *, answer_s: float = ANSWER_S) -> None:
        self._device = device
        self._number = number
        self._answer_s = answer_s

    async def search(self, begin: datetime, end: datetime) -> tuple[Sequence[DeviceRecord], bool]:
        """Return what was recorded, oldest first, and whether that is all."""
        return await self._ask(lambda recorder: recorder.search(self._number, begin, end))

    async def playback(self, begin: datetime, end: datetime) -> MediaAddress:
        """Return where it is had."""

        async def find(recorder: Recorder) -> MediaAddress:
            return recorder.playback(self._number, begin, end)

        return await self._ask(find)

    async def _ask(self, work: Callable[[Recorder], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._answer_s):
                return await self._device.ask(work)
        except TimeoutError:
            sentence = f"{self._device.config.host} does not answer in time"
            raise DeviceError(
                DeviceFailure.NO_ANSWER, self._device.state.reason or sentence
            ) from None
