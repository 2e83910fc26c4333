"""Which cameras of a Hikvision device move, as far as it says.

It lists those that it can steer: wired ones by one path, those on the network by another, where
firmware has that. A camera alone often has no list, but tells what it can. Where nothing is said a
camera counts as one that moves: the pad is shown, and the device refuses what it can't do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence, Set
from dataclasses import replace

from h5sup.base.errors import MediaFormatError
from h5sup.devices.answers import raise_unless_lacking
from h5sup.devices.hik.messages import parse_answer, read_channel_number
from h5sup.devices.model import DeviceChannel, DeviceError

WIRED_LIST = "/ISAPI/PTZCtrl/channels"
PROXIED_LIST = "/ISAPI/ContentMgmt/PTZCtrlProxy/channels"
CAPABILITIES = "/ISAPI/PTZCtrl/channels/{}/capabilities"
LOOK_AGAIN_S = 3600.0  # somebody may have put another camera there
WAYS = ("panSupport", "tiltSupport", "zoomSupport")

Listed = dict[int, bool]
Ask = Callable[[str], Awaitable[bytes]]


class Moving:
    """What one device has said of its cameras; `ask` gets a path, or raises DeviceError."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._wired: Listed | None = None
        self._proxied: Listed | None = None
        self._looked: tuple[float, frozenset[int]] | None = None

    async def mark(
        self, channels: Sequence[DeviceChannel], on_network: Set[int]
    ) -> tuple[DeviceChannel, ...]:
        """Return the channels with what is known of whether they move; raises DeviceError."""
        numbers = frozenset(channel.number for channel in channels)
        now = asyncio.get_running_loop().time()
        if (
            self._looked is None
            or now - self._looked[0] > LOOK_AGAIN_S
            or (self._looked[1] != numbers)
        ):
            await self._look(numbers, on_network)
            self._looked = (now, numbers)
        return tuple(
            replace(channel, has_ptz=self._moves(channel.number, on_network))
            for channel in channels
        )

    async def _look(self, numbers: Set[int], on_network: Set[int]) -> None:
        self._wired = await self._list(WIRED_LIST)
        self._proxied = await self._list(PROXIED_LIST) if on_network else None
        if self._wired is None and not on_network and len(numbers) == 1:
            (number,) = numbers
            self._wired = {number: await self._has(CAPABILITIES.format(number))}

    async def _list(self, path: str) -> Listed | None:
        """Return what a list says; None where there is none, or none that can be read."""
        try:
            return parse_moving(await self._ask(path))
        except MediaFormatError:
            return None
        except DeviceError as error:
            raise_unless_lacking(error)
            return None

    async def _has(self, path: str) -> bool:
        try:
            await self._ask(path)
        except DeviceError as error:
            raise_unless_lacking(error)
            return False
        return True

    def _moves(self, number: int, on_network: Set[int]) -> bool:
        for listed in (self._proxied, self._wired):
            if listed is not None and number in listed:
                return listed[number]
        if number not in on_network:
            return self._wired is None
        # of firmware without the second list some have all cameras in the first, some only wired
        is_common = self._wired is not None and bool(self._wired.keys() & on_network)
        return self._proxied is None and not is_common


def parse_moving(body: bytes) -> Listed:
    """Return which cameras a PTZChannelList names, and whether each moves."""
    found: Listed = {}
    for each in parse_answer(body, "PTZChannelList").find_all("PTZChannel"):
        number = read_channel_number(each.text_of("videoInputID"))
        if number is None:
            number = read_channel_number(each.text_of("id"))
        if number is None:
            continue
        said = [each.text_of(way).lower() for way in WAYS]
        is_still = "true" not in said and "false" in said
        found[number] = not is_still and each.text_of("enabled").lower() != "false"
    return found
