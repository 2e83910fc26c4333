"""What moves one camera of a Dahua device.

For PTZ some firmware counts cameras from 1, as the document says, and some from 0; a wrong guess
moves the neighbour. So a device is asked once, with a stop that moves nothing, for the two numbers
of which only one way of counting has each: 0, and the last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from h5sup.devices.dahua.connection import DahuaConnection
from h5sup.devices.dahua.messages import (
    CHANNEL_TITLES,
    MAX_PRESETS,
    build_codes,
    build_list_presets,
    build_name_preset,
    build_ptz,
    build_switch,
    find_preset_number,
    is_done,
    parse_presets,
    parse_titles,
)
from h5sup.devices.model import DeviceError, DeviceFailure, Motion, Preset, Switch

FROM_ONE, FROM_ZERO = 0, 1  # what is taken off a channel's number
REFUSED = (DeviceFailure.UNSUPPORTED, DeviceFailure.NOT_UNDERSTOOD)
UNKNOWN_MOTION = ("Up", 0, 0)  # stopped when it is not known what moves


class Numbering:
    """How a device counts its cameras for PTZ, asked when first needed."""

    def __init__(self, connection: DahuaConnection) -> None:
        self.last = 0
        """The highest number of a channel, as far as it is known."""
        self._connection = connection
        self._turn = asyncio.Lock()
        self._found: int | None = None

    async def find(self) -> int:
        """Return FROM_ONE or FROM_ZERO; the former while the device does not let it be seen."""
        async with self._turn:
            if self._found is None:
                self._found = await self._ask()
            return FROM_ONE if self._found is None else self._found

    async def _ask(self) -> int | None:
        """Return what is certain; what neither camera tells may be asked again."""
        last = self.last or await self._ask_last()
        if not last:
            return None
        has_zero, has_last = await self._takes(0), await self._takes(last)
        if has_last:
            return FROM_ONE
        return FROM_ZERO if has_zero else None

    async def _ask_last(self) -> int:
        try:
            body = await self._connection.ask(CHANNEL_TITLES)
            return max(await self._connection.read(parse_titles, body))
        except DeviceError as error:
            if error.failure not in REFUSED:
                raise
            return 0

    async def _takes(self, number: int) -> bool:
        try:
            await self._connection.command(build_ptz("stop", number, *UNKNOWN_MOTION))
        except DeviceError as error:
            if error.failure not in REFUSED:
                raise
            return False
        return True


class DahuaCamera:
    """A Steerable, see there; it counts presets by number, and its tokens are those numbers."""

    def __init__(self, connection: DahuaConnection, numbering: Numbering, channel: int) -> None:
        self._connection = connection
        self._numbering = numbering
        self._channel = channel
        self._moving: dict[str, tuple[str, int, int]] = {}

    async def move(self, motion: Motion) -> None:
        """Move on until stop()."""
        async with self._connection.in_time():
            for part, command in build_codes(motion).items():
                self._moving[part] = command
                try:
                    await self._command("start", command)
                except DeviceError as error:
                    if error.failure is DeviceFailure.UNSUPPORTED:
                        del self._moving[part]  # or each stop would fail from then on
                    raise

    async def stop(self) -> None:
        """Stand still, whatever moves; a device stops what is stopped by the code it moves by."""
        async with self._connection.in_time():
            if not self._moving:
                await self._command("stop", UNKNOWN_MOTION)
            for part, command in list(self._moving.items()):
                await self._command("stop", command)
                self._moving.pop(part, None)

    async def switch(self, what: Switch, *, on: bool) -> None:
        """Switch the wiper or the light."""
        async with self._connection.in_time():
            await self._do(lambda number: build_switch(what, number, on=on))

    async def presets(self) -> Sequence[Preset]:
        """Return the places it knows, in its own order."""
        async with self._connection.in_time():
            body = await self._ask(build_list_presets)
            return await self._connection.read(parse_presets, body)

    async def go_to(self, preset: str) -> None:
        """Turn to a place."""
        number = _number(preset)
        async with self._connection.in_time():
            await self._command("start", ("GotoPreset", 0, number))

    async def set_preset(self, preset: str, name: str) -> str:
        """Keep where it looks now; a token that is no number of a preset gets a free one."""
        async with self._connection.in_time():
            number = find_preset_number(preset) or await self._find_free()
            await self._command("start", ("SetPreset", 0, number))
            if name:
                await self._name(number, name)
            return str(number)

    async def delete_preset(self, preset: str) -> None:
        """Forget a place."""
        number = _number(preset)
        async with self._connection.in_time():
            await self._command("start", ("ClearPreset", 0, number))

    async def _name(self, number: int, name: str) -> None:
        """Name a place, unless the firmware is too old for names: the place is kept then."""
        try:
            await self._do(lambda channel: build_name_preset(channel, number, name))
        except DeviceError as error:
            if error.failure not in REFUSED:
                raise

    async def _find_free(self) -> int:
        taken = {preset.token for preset in await self._presets_or_none()}
        for number in range(1, MAX_PRESETS + 1):
            if str(number) not in taken:
                return number
        raise DeviceError(DeviceFailure.UNSUPPORTED, "all presets of the camera are taken")

    async def _presets_or_none(self) -> Sequence[Preset]:
        try:
            return await self.presets()
        except DeviceError as error:
            if error.failure is not DeviceFailure.UNSUPPORTED:
                raise
            return ()  # so says firmware that has no preset yet

    async def _command(self, action: str, command: tuple[str, int, int]) -> None:
        await self._do(lambda number: build_ptz(action, number, *command))

    async def _do(self, build: Callable[[int], str]) -> None:
        if not is_done(await self._ask(build)):
            raise DeviceError(
                DeviceFailure.NOT_UNDERSTOOD, "the device does not say whether it did it"
            )

    async def _ask(self, build: Callable[[int], str]) -> bytes:
        base = await self._numbering.find()
        return await self._connection.ask(build(self._channel - base))


def _number(preset: str) -> int:
    number = find_preset_number(preset)
    if number is None:
        raise DeviceError(
            DeviceFailure.UNSUPPORTED,
            f"presets of this camera are numbers from 1 to {MAX_PRESETS}",
        )
    return number
