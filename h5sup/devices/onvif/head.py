"""An ONVIF camera's head: what turns and zooms, by its PTZ service (PTZ §5.3)."""

from __future__ import annotations

from typing import Any

from h5sup.devices.answers import raise_unless_lacking
from h5sup.devices.model import STILL_AFTER_S, DeviceError, DeviceFailure, Motion
from h5sup.devices.onvif.camera import Camera
from h5sup.devices.onvif.messages import OnvifProfile
from h5sup.devices.onvif.spaces import (
    USUAL,
    Spaces,
    Way,
    read_float,
    read_pan_tilt,
    read_zoom,
)
from h5sup.devices.onvif.stepper import Step
from h5sup.devices.onvif.values import dig

# the camera's own watchdog, for the case that we die; ours comes first
OWN_TIMEOUT = f"PT{STILL_AFTER_S + 2:g}S"


class Head:
    """Turns and zooms one camera. Every method raises DeviceError.

    What it can do by speed it is told so; what it can't is returned as a step to be repeated.
    """

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._pan_tilt: Spaces | None = None
        self._zoom: Spaces | None = None
        self._takes_timeout = True

    async def turn(self, profile: OnvifProfile, motion: Motion) -> Step | None:
        """Begin a motion; only what moves is named, for some cameras refuse the rest."""
        await self._learn(profile)
        velocity = self._velocity(motion)
        if velocity:
            try:
                await self._move_on(profile, velocity)
            except DeviceError as error:
                if error.failure is not DeviceFailure.UNSUPPORTED or not self._give_up_speed():
                    raise
        return await self._make_step(profile, motion)

    async def stop(self, profile: OnvifProfile) -> None:
        """Stand still, whatever moves."""
        try:
            await self._ask("Stop", profile, PanTilt=True, Zoom=True)
        except DeviceError as error:
            # a step ends by itself, and a camera that knows steps alone need not know this
            raise_unless_lacking(error)
            if self._knows_speed():
                raise

    async def _learn(self, profile: OnvifProfile) -> None:
        if self._pan_tilt is not None:
            return
        options: Any = None
        try:
            async with self._camera.in_time():
                options = await self._camera.ask(
                    "ptz", "GetConfigurationOptions", {"ConfigurationToken": profile.ptz}
                )
        except DeviceError as error:
            raise_unless_lacking(error)
        self._pan_tilt, self._zoom = read_pan_tilt(options), read_zoom(options)

    def _give_up_speed(self) -> bool:
        """Note that the camera knows no ContinuousMove; False if that is all it can be told."""
        pan_tilt, zoom = self._spaces()
        pan_tilt, zoom = pan_tilt.without(Way.SPEED), zoom.without(Way.SPEED)
        if not pan_tilt.ways and not zoom.ways:
            return False
        self._pan_tilt, self._zoom = pan_tilt, zoom
        return True

    def _spaces(self) -> tuple[Spaces, Spaces]:
        return self._pan_tilt or USUAL, self._zoom or USUAL

    def _knows_speed(self) -> bool:
        return any(Way.SPEED in spaces.ways for spaces in self._spaces())

    def _velocity(self, motion: Motion) -> dict[str, Any]:
        pan_tilt, zoom = self._spaces()
        velocity: dict[str, Any] = {}
        if (motion.pan or motion.tilt) and Way.SPEED in pan_tilt.ways:
            velocity["PanTilt"] = {
                "x": pan_tilt.reach(Way.SPEED, 0).at(motion.pan),
                "y": pan_tilt.reach(Way.SPEED, 1).at(motion.tilt),
            }
        if motion.zoom and Way.SPEED in zoom.ways:
            velocity["Zoom"] = {"x": zoom.reach(Way.SPEED).at(motion.zoom)}
        return velocity

    async def _move_on(self, profile: OnvifProfile, velocity: dict[str, Any]) -> None:
        if self._takes_timeout:
            try:
                await self._ask("ContinuousMove", profile, Velocity=velocity, Timeout=OWN_TIMEOUT)
            except DeviceError as error:
                if error.failure is not DeviceFailure.NOT_UNDERSTOOD:
                    raise
                self._takes_timeout = False  # some cameras take none
            else:
                return
        await self._ask("ContinuousMove", profile, Velocity=velocity)

    async def _make_step(self, profile: OnvifProfile, motion: Motion) -> Step | None:
        """Return a step of what does not move by speed, None for nothing."""
        pan_tilt, zoom = self._spaces()
        turns = bool(motion.pan or motion.tilt) and Way.SPEED not in pan_tilt.ways
        zooms = bool(motion.zoom) and Way.SPEED not in zoom.ways
        distances: dict[str, Any] = {}
        if turns and Way.DISTANCE in pan_tilt.ways:
            distances["PanTilt"] = {
                "x": pan_tilt.reach(Way.DISTANCE, 0).step(motion.pan),
                "y": pan_tilt.reach(Way.DISTANCE, 1).step(motion.tilt),
            }
        if zooms and Way.DISTANCE in zoom.ways:
            distances["Zoom"] = {"x": zoom.reach(Way.DISTANCE).step(motion.zoom)}
        for wants, spaces, what in ((turns, pan_tilt, "pan and tilt"), (zooms, zoom, "zoom")):
            if wants and not spaces.ways:
                raise DeviceError(
                    DeviceFailure.UNSUPPORTED, f"{self._camera.address.shown} has not got {what}"
                )
        turns, zooms = turns and "PanTilt" not in distances, zooms and "Zoom" not in distances
        places = await self._find_place(profile, turns=turns, zooms=zooms)
        if not distances and not places:
            return None

        async def step() -> bool:
            nonlocal places
            if distances:
                await self._ask("RelativeMove", profile, Translation=distances)
            before, places = places, self._next(places, motion)
            if places != before:
                await self._ask("AbsoluteMove", profile, Position=places)
            return bool(distances) or places != before

        return step

    async def _find_place(
        self, profile: OnvifProfile, *, turns: bool, zooms: bool
    ) -> dict[str, dict[str, float]]:
        """Return where it is in what moves by positions."""
        if not turns and not zooms:
            return {}
        place = dig(await self._ask("GetStatus", profile), "Position")
        told = {"PanTilt": ("x", "y") if turns else (), "Zoom": ("x",) if zooms else ()}
        found: dict[str, dict[str, float]] = {}
        for name, axes in told.items():
            for axis in axes:
                value = read_float(dig(place, name, axis))
                if value is None:
                    raise DeviceError(
                        DeviceFailure.NOT_UNDERSTOOD,
                        f"{self._camera.address.shown} does not say where it looks, "
                        "so it can't be moved by steps",
                    )
                found.setdefault(name, {})[axis] = value
        return found

    def _next(
        self, places: dict[str, dict[str, float]], motion: Motion
    ) -> dict[str, dict[str, float]]:
        pan_tilt, zoom = self._spaces()
        found: dict[str, dict[str, float]] = {}
        if "PanTilt" in places:
            found["PanTilt"] = {
                "x": pan_tilt.span(0).step(places["PanTilt"]["x"], motion.pan),
                "y": pan_tilt.span(1).step(places["PanTilt"]["y"], motion.tilt),
            }
        if "Zoom" in places:
            found["Zoom"] = {"x": zoom.span().step(places["Zoom"]["x"], motion.zoom)}
        return found

    async def _ask(self, operation: str, profile: OnvifProfile, **given: Any) -> Any:
        async with self._camera.in_time():
            return await self._camera.ask(
                "ptz", operation, {"ProfileToken": profile.token, **given}
            )
