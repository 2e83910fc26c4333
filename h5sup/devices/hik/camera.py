"""What moves one camera of a Hikvision device.

A recorder has two paths to the same thing: one for cameras wired to it and for itself, one for
those on the network. Which of them answers differs by firmware, so the likelier one is tried, then
the other, and what answered is remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from h5sup.devices.hik.connection import HikConnection
from h5sup.devices.hik.messages import (
    MAX_PRESETS,
    build_focus,
    build_iris,
    build_motion,
    build_preset,
    build_switch,
    find_preset_number,
    parse_presets,
)
from h5sup.devices.http import Method
from h5sup.devices.model import DeviceError, DeviceFailure, Motion, Preset, Switch

Part = Literal["ptz", "focus", "iris"]
PARTS: tuple[Part, ...] = ("ptz", "focus", "iris")
WIRED: dict[Part, str] = {
    "ptz": "/ISAPI/PTZCtrl/channels/{}",
    "focus": "/ISAPI/System/Video/inputs/channels/{}/focus",
    "iris": "/ISAPI/System/Video/inputs/channels/{}/iris",
}
PROXIED: dict[Part, str] = {
    "ptz": "/ISAPI/ContentMgmt/PTZCtrlProxy/channels/{}",
    "focus": "/ISAPI/ContentMgmt/InputProxy/channels/{}/video/focus",
    "iris": "/ISAPI/ContentMgmt/InputProxy/channels/{}/video/iris",
}
# Others do things when they are called: 34 turns home, 94 restarts the camera.
PLAIN_PRESETS: tuple[int, ...] = (*range(1, 33), *range(106, 256))


class HikCamera:
    """A Steerable, see there; it counts presets by number, and its tokens are those numbers."""

    def __init__(self, connection: HikConnection, channel: int) -> None:
        self.is_on_network = False
        """Whether the device has it by network rather than by wire; a guess to begin with."""
        self._connection = connection
        self._channel = channel
        self._proxied: dict[Part, bool] = {}
        self._moving: set[Part] = set()

    async def move(self, motion: Motion) -> None:
        """Move on until stop()."""
        async with self._connection.in_time():
            if motion.pan or motion.tilt or motion.zoom:
                self._moving.add("ptz")
                body = build_motion(motion.pan, motion.tilt, motion.zoom)
                await self._put("ptz", "/continuous", body)
            if motion.focus:
                self._moving.add("focus")
                await self._put("focus", "", build_focus(motion.focus))
            if motion.iris:
                self._moving.add("iris")
                await self._put("iris", "", build_iris(motion.iris))

    async def stop(self) -> None:
        """Stand still, whatever moves."""
        async with self._connection.in_time():
            for part in [part for part in PARTS if part in self._moving] or PARTS[:1]:
                await self._still(part)
                self._moving.discard(part)

    async def switch(self, what: Switch, *, on: bool) -> None:
        """Switch the wiper or the light."""
        async with self._connection.in_time():
            await self._put("ptz", "/auxcontrols/1", build_switch(what, on=on))

    async def presets(self) -> Sequence[Preset]:
        """Return the places it knows, in its own order."""
        async with self._connection.in_time():
            body = await self._ask("GET", "ptz", "/presets")
            return await self._connection.read(parse_presets, body)

    async def go_to(self, preset: str) -> None:
        """Turn to a place."""
        number = _number(preset)
        async with self._connection.in_time():
            await self._put("ptz", f"/presets/{number}/goto")

    async def set_preset(self, preset: str, name: str) -> str:
        """Keep where it looks now; a token that is no number of a preset gets a free one."""
        async with self._connection.in_time():
            number = find_preset_number(preset) or await self._find_free()
            await self._put("ptz", f"/presets/{number}", build_preset(number, name))
            return str(number)

    async def delete_preset(self, preset: str) -> None:
        """Forget a place."""
        number = _number(preset)
        async with self._connection.in_time():
            await self._ask("DELETE", "ptz", f"/presets/{number}")

    async def _still(self, part: Part) -> None:
        if part == "ptz":
            await self._put("ptz", "/continuous", build_motion(0, 0, 0))
        elif part == "focus":
            await self._put("focus", "", build_focus(0))
        else:
            await self._put("iris", "", build_iris(0))

    async def _find_free(self) -> int:
        taken = {preset.token for preset in await self.presets()}
        for number in PLAIN_PRESETS:
            if str(number) not in taken:
                return number
        raise DeviceError(DeviceFailure.UNSUPPORTED, "all presets of the camera are taken")

    async def _put(self, part: Part, path: str, body: bytes = b"") -> None:
        await self._ask("PUT", part, path, body)

    async def _ask(self, method: Method, part: Part, path: str, body: bytes = b"") -> bytes:
        """Ask by one way, then by the other unless it is known which is right."""
        known = self._proxied.get(part)
        first = self.is_on_network if known is None else known
        try:
            answer = await self._connection.ask(method, self._path(part, path, first), body)
        except DeviceError as error:
            if known is not None or error.failure is not DeviceFailure.UNSUPPORTED:
                raise
            first = not first
            answer = await self._connection.ask(method, self._path(part, path, first), body)
        self._proxied[part] = first
        return answer

    def _path(self, part: Part, path: str, is_proxied: bool) -> str:
        return (PROXIED if is_proxied else WIRED)[part].format(self._channel) + path


def _number(preset: str) -> int:
    number = find_preset_number(preset)
    if number is None:
        raise DeviceError(
            DeviceFailure.UNSUPPORTED,
            f"presets of this camera are numbers from 1 to {MAX_PRESETS}",
        )
    return number
