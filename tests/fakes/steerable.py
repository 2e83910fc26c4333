"""A camera that moves, in memory: what it was asked, and what it shall do wrong."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from h5sup.devices.model import DeviceError, DeviceFailure, Motion, Preset, Switch


@dataclass
class FakeSteerable:
    """A Steerable. It moves the axes that a command names and leaves the others alone."""

    asked: list[object] = field(default_factory=list)
    """Motions as they are, else words."""
    moving: dict[str, float] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=lambda: {"1": "Gate"})
    numbers_itself: bool = True
    """It gives new places tokens of its own, as most ONVIF cameras do."""
    errors: list[DeviceError | None] = field(default_factory=list)
    """What is raised by the next calls, one each; None lets one pass."""
    pause_s: float = 0.0
    """How long each call takes."""

    async def move(self, motion: Motion) -> None:
        self.asked.append(motion)
        await self._take()
        speeds = {name: getattr(motion, name) for name in Motion.__slots__}
        self.moving.update({name: speed for name, speed in speeds.items() if speed})

    async def stop(self) -> None:
        self.asked.append("stop")
        await self._take()
        self.moving.clear()

    async def switch(self, what: Switch, *, on: bool) -> None:
        self.asked.append(f"{what.value} {'on' if on else 'off'}")
        await self._take()

    async def presets(self) -> list[Preset]:
        self.asked.append("presets")
        await self._take()
        return [Preset(token, name) for token, name in self.places.items()]

    async def go_to(self, preset: str) -> None:
        self.asked.append(f"go to {preset}")
        await self._take()
        self._check(preset)

    async def set_preset(self, preset: str, name: str) -> str:
        self.asked.append(f"set {preset or 'a new one'}")
        await self._take()
        if not preset or (preset not in self.places and self.numbers_itself):
            preset = str(max((int(one) for one in self.places), default=0) + 1)
        self.places[preset] = name
        return preset

    async def delete_preset(self, preset: str) -> None:
        self.asked.append(f"delete {preset}")
        await self._take()
        self._check(preset)
        del self.places[preset]

    async def _take(self) -> None:
        if self.pause_s:
            await asyncio.sleep(self.pause_s)
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error

    def _check(self, preset: str) -> None:
        if preset not in self.places:
            raise failure(DeviceFailure.NOT_UNDERSTOOD, "the camera refuses it: No token")


def failure(kind: DeviceFailure, sentence: str = "it did not") -> DeviceError:
    """Return an error of a device."""
    return DeviceError(kind, sentence)
