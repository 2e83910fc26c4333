"""An ONVIF camera that is steered: its head, its lens, its presets and what it switches."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from h5sup.devices.model import DeviceError, DeviceFailure, Motion, Preset, Switch
from h5sup.devices.onvif.camera import Camera
from h5sup.devices.onvif.head import Head
from h5sup.devices.onvif.lens import Lens
from h5sup.devices.onvif.messages import OnvifProfile
from h5sup.devices.onvif.spaces import (
    list_presets,
    read_auxiliaries,
    read_preset_token,
    read_presets,
)
from h5sup.devices.onvif.stepper import STEP_S, Step, Stepper

logger = logging.getLogger(__name__)

AUXILIARY = {  # what cameras call them (PTZ §5.8, and makers' usage)
    Switch.WIPER: ("tt:Wiper",),
    Switch.LIGHT: ("tt:IRLamp", "tt:WhiteLight", "tt:Light"),
}


class OnvifSteering:
    """Moves one camera; a Steerable. Used from the event loop alone."""

    def __init__(self, camera: Camera, main: str = "", *, step_s: float = STEP_S) -> None:
        """Take the camera and the token of the profile that is shown."""
        self._camera = camera
        self._main = main
        self._head = Head(camera)
        self._lens = Lens(camera)
        self._stepper = Stepper(logger, step_s=step_s)
        self._has_moved_lens = False
        self._auxiliaries: list[str] | None = None

    async def move(self, motion: Motion) -> None:
        """Move on until stop(), by steps what the camera knows no other way for."""
        await self._stepper.end()
        steps: list[Step | None] = []
        async with self._camera.in_time():
            if motion.focus or motion.iris:
                source = await self._video_source()
                self._has_moved_lens = True
                if motion.iris:
                    steps.append(await self._lens.iris(source, motion.iris))
                if motion.focus:
                    steps.append(await self._lens.focus(source, motion.focus))
            if motion.pan or motion.tilt or motion.zoom:
                steps.append(await self._head.turn(await self._profile(), motion))
            await self._begin([step for step in steps if step is not None])

    async def stop(self) -> None:
        """Stand still, whatever moves."""
        await self._stepper.end()
        async with self._camera.in_time():
            if not self._has_moved_lens or await self._can_turn():
                await self._head.stop(await self._profile())
            if self._lens.is_focusing:
                await self._lens.stop(await self._video_source())

    async def switch(self, what: Switch, *, on: bool) -> None:
        """Switch the wiper or the light by an auxiliary command that the camera names."""
        async with self._camera.in_time():
            profile = await self._profile()
            if self._auxiliaries is None:
                nodes = await self._camera.ask("ptz", "GetNodes")
                self._auxiliaries = read_auxiliaries(nodes)
            command = find_auxiliary(self._auxiliaries, what, on=on)
            if command is None:
                raise self._unsupported(f"a {what.value}")
            given = {"ProfileToken": profile.token, "AuxiliaryData": command}
            await self._camera.ask("ptz", "SendAuxiliaryCommand", given)

    async def presets(self) -> Sequence[Preset]:
        """Return the places it knows, in its own order."""
        async with self._camera.in_time():
            return [Preset(*one) for one in list_presets(await self._ask("GetPresets"))]

    async def go_to(self, preset: str) -> None:
        """Turn to a place."""
        async with self._camera.in_time():
            await self._ask("GotoPreset", PresetToken=preset)

    async def set_preset(self, preset: str, name: str) -> str:
        """Keep where it looks now as a place; returns the token by which the camera knows it.

        A token that the camera does not know is a fault, so only one it has is named. Firmware of
        onvif_simple_server changes no place that is there: such a place is replaced.
        """
        async with self._camera.in_time():
            before = dict(read_presets(await self._ask("GetPresets")))
            if preset not in before:
                return await self._add_preset(name, before)
            try:
                answer = await self._ask("SetPreset", PresetToken=preset, **_named(name))
            except DeviceError as error:
                if error.failure not in (DeviceFailure.NOT_UNDERSTOOD, DeviceFailure.UNSUPPORTED):
                    raise
                return await self._replace_preset(preset, name, before)
            return read_preset_token(answer) or preset

    async def delete_preset(self, preset: str) -> None:
        """Forget a place."""
        async with self._camera.in_time():
            await self._ask("RemovePreset", PresetToken=preset)

    async def _add_preset(self, name: str, before: Mapping[str, str]) -> str:
        """Keep a new place; a camera that answers nothing is asked for the place of that name."""
        token = read_preset_token(await self._ask("SetPreset", **_named(name)))
        if token:
            return token
        after = read_presets(await self._ask("GetPresets"))
        new = [one for one, _ in after if one not in before]
        named = [one for one, called in after if called == name]
        if not new and not named:
            raise DeviceError(
                DeviceFailure.NOT_UNDERSTOOD,
                f"{self._camera.address.shown} does not say which place it has kept",
            )
        return (new or named)[-1]

    async def _replace_preset(self, preset: str, name: str, before: Mapping[str, str]) -> str:
        """Keep a new place and forget the old one, before that only if it has the wanted name."""
        name = name or before[preset]
        is_in_the_way = name.casefold() == before[preset].casefold()
        if is_in_the_way:
            await self._ask("RemovePreset", PresetToken=preset)
        token = await self._add_preset(name, before)
        if not is_in_the_way and token != preset:
            await self._ask("RemovePreset", PresetToken=preset)
        return token

    async def _begin(self, steps: list[Step]) -> None:
        if not steps:
            return

        async def step() -> bool:
            more = [await one() for one in steps]
            steps[:] = [one for one, is_more in zip(steps, more, strict=True) if is_more]
            return bool(steps)

        await self._stepper.begin(step)

    async def _ask(self, operation: str, **given: Any) -> Any:
        profile = await self._profile()
        return await self._camera.ask("ptz", operation, {"ProfileToken": profile.token, **given})

    async def _profile(self) -> OnvifProfile:
        """Return the profile that is shown if it moves, else the first that does."""
        for profile in await self._shown_first():
            if profile.ptz:
                return profile
        raise self._unsupported("PTZ")

    async def _can_turn(self) -> bool:
        return any(profile.ptz for profile in await self._shown_first())

    async def _video_source(self) -> str:
        """Return what the shown profile looks through."""
        for profile in await self._shown_first():
            if profile.video_source:
                return profile.video_source
        raise self._unsupported("a lens that moves")

    async def _shown_first(self) -> Sequence[OnvifProfile]:
        profiles = await self._camera.known_profiles()
        return sorted(profiles, key=lambda one: one.token != self._main)

    def _unsupported(self, what: str) -> DeviceError:
        return DeviceError(
            DeviceFailure.UNSUPPORTED, f"{self._camera.address.shown} has not got {what}"
        )


def _named(name: str) -> dict[str, str]:
    """Return a preset's name as a parameter; some cameras refuse an empty one."""
    return {"PresetName": name} if name else {}


def find_auxiliary(commands: Sequence[str], what: Switch, *, on: bool) -> str | None:
    """Return the camera's own command for this, None where it has none."""
    ending = "|on" if on else "|off"
    for name in AUXILIARY[what]:
        for command in commands:
            if command.lower() == (name + ending).lower():
                return command
    return None
