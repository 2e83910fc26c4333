"""Focus and iris of an ONVIF camera, by its imaging service (Imaging §5)."""

from __future__ import annotations

from typing import Any

from h5sup.devices.answers import raise_unless_lacking
from h5sup.devices.model import DeviceError, DeviceFailure
from h5sup.devices.onvif.camera import Camera
from h5sup.devices.onvif.spaces import (
    USUAL,
    Spaces,
    Span,
    Way,
    read_float,
    read_focus,
    read_iris,
)
from h5sup.devices.onvif.stepper import Step
from h5sup.devices.onvif.values import dig

MANUAL = "MANUAL"
KEPT = ("ExposureTime", "Gain")  # of a manual exposure, besides the iris


class Lens:
    """Moves one camera's lens. Every method raises DeviceError.

    A motion is begun, or returned as a step to be repeated.
    """

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._focus: Spaces | None = None
        self._iris: Span | None = None
        self.is_focusing = False
        """It moves until stop()."""

    async def focus(self, source: str, share: float) -> Step | None:
        """Focus nearer or farther, from -1 to 1."""
        if self._focus is None:
            self._focus = await self._learn_focus(source)
        spaces = self._focus
        if not spaces.ways:
            raise self._unsupported("a focus that moves")
        way = spaces.ways[0]
        if way is Way.SPEED:
            speed = spaces.reach(way).at(share)
            self.is_focusing = True
            await self._move(source, {"Continuous": {"Speed": speed}})
            return None
        if way is Way.DISTANCE:
            distance = spaces.reach(way).step(share)

            async def step() -> bool:
                await self._move(source, {"Relative": {"Distance": distance}})
                return True

            return step
        status = await self._ask("GetStatus", source)
        position = read_float(dig(status, "FocusStatus20", "Position"))
        if position is None:
            raise self._not_told("its focus")
        return self._focus_to(source, spaces.span(), position, share)

    async def iris(self, source: str, share: float) -> Step:
        """Open or close the iris, from -1 to 1; the exposure must be manual."""
        if self._iris is None:
            self._iris = await self._learn_iris(source)
        settings = await self._ask("GetImagingSettings", source)
        exposure = dig(settings, "Exposure")
        if dig(exposure, "Mode") != MANUAL:
            raise DeviceError(
                DeviceFailure.UNSUPPORTED,
                f"{self._camera.address.shown} sets its iris by itself: "
                "set its exposure to manual on its own pages, then the iris can be moved",
            )
        iris = read_float(dig(exposure, "Iris"))
        if iris is None:
            raise self._not_told("its iris")
        kept = {name: dig(exposure, name) for name in KEPT if dig(exposure, name) is not None}
        return self._iris_to(source, self._iris, iris, share, kept)

    async def stop(self, source: str) -> None:
        """Stand still."""
        await self._ask("Stop", source)
        self.is_focusing = False

    def _focus_to(self, source: str, span: Span, position: float, share: float) -> Step:
        async def step() -> bool:
            nonlocal position
            before, position = position, span.step(position, share)
            if position != before:
                await self._move(source, {"Absolute": {"Position": position}})
            return position != before

        return step

    def _iris_to(
        self, source: str, span: Span, iris: float, share: float, kept: dict[str, Any]
    ) -> Step:
        # dB by which light is lessened, 0 is open; some cameras count it below 0
        opening = share if span.high <= 0 else -share

        async def step() -> bool:
            nonlocal iris
            before, iris = iris, span.step(iris, opening)
            if iris != before:
                exposure = {"Mode": MANUAL, **kept, "Iris": iris}
                given = {"ImagingSettings": {"Exposure": exposure}, "ForcePersistence": False}
                await self._ask("SetImagingSettings", source, given)
            return iris != before

        return step

    async def _learn_focus(self, source: str) -> Spaces:
        try:
            return read_focus(await self._ask("GetMoveOptions", source))
        except DeviceError as error:
            if error.failure is not DeviceFailure.NOT_UNDERSTOOD:
                raise
            return USUAL

    async def _learn_iris(self, source: str) -> Span:
        found: Span | None = None
        try:
            found = read_iris(await self._ask("GetOptions", source))
        except DeviceError as error:
            raise_unless_lacking(error)
        if found is None:
            raise self._unsupported("an iris that moves")
        return found

    async def _move(self, source: str, focus: dict[str, Any]) -> None:
        await self._ask("Move", source, {"Focus": focus})

    async def _ask(self, operation: str, source: str, given: dict[str, Any] | None = None) -> Any:
        async with self._camera.in_time():
            return await self._camera.ask(
                "imaging", operation, {"VideoSourceToken": source, **(given or {})}
            )

    def _unsupported(self, what: str) -> DeviceError:
        return DeviceError(
            DeviceFailure.UNSUPPORTED, f"{self._camera.address.shown} has not got {what}"
        )

    def _not_told(self, what: str) -> DeviceError:
        return DeviceError(
            DeviceFailure.NOT_UNDERSTOOD,
            f"{self._camera.address.shown} does not say where {what} is, so it can't be moved",
        )
