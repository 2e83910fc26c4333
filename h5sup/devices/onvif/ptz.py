"""An ONVIF camera that moves: PTZ service (PTZ §5), and the imaging service for its focus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from h5sup.devices.model import (
    STILL_AFTER_S,
    DeviceError,
    DeviceFailure,
    Motion,
    Preset,
    Switch,
)
from h5sup.devices.onvif.camera import Camera
from h5sup.devices.onvif.messages import (
    OnvifProfile,
    Reach,
    Reaches,
    read_auxiliaries,
    read_focus_reach,
    read_preset_token,
    read_presets,
    read_reaches,
)

# the camera's own watchdog, for the case that we die; ours comes first
OWN_TIMEOUT = f"PT{STILL_AFTER_S + 2:g}S"
AUXILIARY = {  # what cameras call them (PTZ §5.8, and makers' usage)
    Switch.WIPER: ("tt:Wiper",),
    Switch.LIGHT: ("tt:IRLamp", "tt:WhiteLight", "tt:Light"),
}


class OnvifSteering:
    """Moves one camera; a Steerable. Used from the event loop alone."""

    def __init__(self, camera: Camera, main: str = "") -> None:
        """Take the camera and the token of the profile that is shown."""
        self._camera = camera
        self._main = main
        self._reaches: Reaches | None = None
        self._focus_reach: Reach | None = None
        self._auxiliaries: list[str] | None = None
        self._takes_timeout = True
        self._is_focusing = False

    async def move(self, motion: Motion) -> None:
        """Move on until stop(); only what moves is named, for some cameras refuse the rest."""
        async with self._camera.in_time():
            if motion.iris:
                raise self._unsupported("an iris that moves")
            if motion.focus:
                await self._focus(motion.focus)
            if motion.pan or motion.tilt or motion.zoom:
                await self._turn(motion)

    async def stop(self) -> None:
        """Stand still, whatever moves."""
        async with self._camera.in_time():
            profile = await self._profile()
            given: dict[str, Any] = {"PanTilt": True, "Zoom": True}
            await self._ask("Stop", **given)
            if self._is_focusing:
                source = {"VideoSourceToken": profile.video_source}
                await self._camera.ask("imaging", "Stop", source)
                self._is_focusing = False

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
            return [Preset(*one) for one in read_presets(await self._ask("GetPresets"))]

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

    async def _turn(self, motion: Motion) -> None:
        reaches = await self._learn_reaches()
        velocity: dict[str, Any] = {}
        if motion.pan or motion.tilt:
            velocity["PanTilt"] = {
                "x": reaches.pan.at(motion.pan),
                "y": reaches.tilt.at(motion.tilt),
            }
        if motion.zoom:
            velocity["Zoom"] = {"x": reaches.zoom.at(motion.zoom)}
        if self._takes_timeout:
            try:
                await self._ask("ContinuousMove", Velocity=velocity, Timeout=OWN_TIMEOUT)
            except DeviceError as error:
                if error.failure is not DeviceFailure.NOT_UNDERSTOOD:
                    raise
                self._takes_timeout = False  # some cameras take none
            else:
                return
        await self._ask("ContinuousMove", Velocity=velocity)

    async def _focus(self, speed: float) -> None:
        profile = await self._profile()
        source = {"VideoSourceToken": profile.video_source}
        if self._focus_reach is None:
            try:
                options = await self._camera.ask("imaging", "GetMoveOptions", source)
                self._focus_reach = read_focus_reach(options)
            except DeviceError as error:
                if error.failure is not DeviceFailure.NOT_UNDERSTOOD:
                    raise
                self._focus_reach = Reach()
        focus = {"Continuous": {"Speed": self._focus_reach.at(speed)}}
        self._is_focusing = True
        await self._camera.ask("imaging", "Move", {**source, "Focus": focus})

    async def _learn_reaches(self) -> Reaches:
        if self._reaches is None:
            profile = await self._profile()
            given = {"ConfigurationToken": profile.ptz}
            try:
                options = await self._camera.ask("ptz", "GetConfigurationOptions", given)
                self._reaches = read_reaches(options)
            except DeviceError as error:
                if error.failure not in (
                    DeviceFailure.NOT_UNDERSTOOD,
                    DeviceFailure.UNSUPPORTED,
                ):
                    raise
                self._reaches = Reaches()
        return self._reaches

    async def _ask(self, operation: str, **given: Any) -> Any:
        profile = await self._profile()
        return await self._camera.ask("ptz", operation, {"ProfileToken": profile.token, **given})

    async def _profile(self) -> OnvifProfile:
        """Return the profile that is shown if it moves, else the first that does."""
        profiles = await self._camera.known_profiles()
        shown = [one for one in profiles if one.token == self._main]
        for profile in (*shown, *profiles):
            if profile.ptz:
                return profile
        raise self._unsupported("PTZ")

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
