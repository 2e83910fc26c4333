"""The fake camera's imaging service: its focus and its iris."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

from aiohttp import web

from tests.fakes.onvif.soap import NAMESPACES, FaultError, text_of

if TYPE_CHECKING:
    from tests.fakes.onvif_camera import OnvifCamera


class ImagingService:
    """Moves the lens."""

    def __init__(self, camera: OnvifCamera) -> None:
        self._camera = camera

    def on_get_move_options(self, call: ElementTree.Element, request: web.Request) -> str:
        low, high = self._camera.reach
        told = {
            "Absolute": "<tt:Position><tt:Min>0</tt:Min><tt:Max>100</tt:Max></tt:Position>",
            "Relative": "<tt:Distance><tt:Min>-20</tt:Min><tt:Max>20</tt:Max></tt:Distance>",
            "Continuous": f"<tt:Speed><tt:Min>{low}</tt:Min><tt:Max>{high}</tt:Max></tt:Speed>",
        }
        inner = "".join(
            f"<tt:{way}>{options}</tt:{way}>"
            for way, options in told.items()
            if way in self._camera.lens_ways
        )
        return (
            f"<timg:GetMoveOptionsResponse><timg:MoveOptions>{inner}</timg:MoveOptions>"
            "</timg:GetMoveOptionsResponse>"
        )

    def on_move(self, call: ElementTree.Element, request: web.Request) -> str:
        self._check_source(call)
        for way, name in (("Absolute", "Position"), ("Relative", "Distance")):
            if text := text_of(call, name):
                if way not in self._camera.lens_ways:
                    raise FaultError("ter:ActionNotSupported", f"no {way} moves here")
                before = self._camera.focus_place if way == "Relative" else 0.0
                self._camera.focus_place = before + float(text)
                return "<timg:MoveResponse/>"
        self._camera.moving["Focus"] = (float(text_of(call, "Speed")),)
        return "<timg:MoveResponse/>"

    def on_stop(self, call: ElementTree.Element, request: web.Request) -> str:
        self._camera.moving.pop("Focus", None)
        return "<timg:StopResponse/>"

    def on_get_status(self, call: ElementTree.Element, request: web.Request) -> str:
        self._check_source(call)
        focus = (
            f"<tt:FocusStatus20><tt:Position>{self._camera.focus_place}</tt:Position>"
            "<tt:MoveStatus>IDLE</tt:MoveStatus></tt:FocusStatus20>"
        )
        return (
            "<timg:GetStatusResponse><timg:Status>"
            f"{'' if self._camera.hides_place else focus}"
            "</timg:Status></timg:GetStatusResponse>"
        )

    def on_get_options(self, call: ElementTree.Element, request: web.Request) -> str:
        self._check_source(call)
        low, high = self._camera.iris_range
        iris = f"<tt:Iris><tt:Min>{low}</tt:Min><tt:Max>{high}</tt:Max></tt:Iris>"
        return (
            "<timg:GetOptionsResponse><timg:ImagingOptions><tt:Exposure>"
            "<tt:Mode>AUTO</tt:Mode><tt:Mode>MANUAL</tt:Mode>"
            f"{'' if self._camera.iris is None else iris}"
            "</tt:Exposure></timg:ImagingOptions></timg:GetOptionsResponse>"
        )

    def on_get_imaging_settings(self, call: ElementTree.Element, request: web.Request) -> str:
        self._check_source(call)
        iris = "" if self._camera.hides_place else f"<tt:Iris>{self._camera.iris}</tt:Iris>"
        return (
            "<timg:GetImagingSettingsResponse><timg:ImagingSettings>"
            "<tt:Brightness>50</tt:Brightness>"
            f"<tt:Exposure><tt:Mode>{self._camera.exposure}</tt:Mode>"
            f"<tt:ExposureTime>40000</tt:ExposureTime>{iris}</tt:Exposure>"
            "</timg:ImagingSettings></timg:GetImagingSettingsResponse>"
        )

    def on_set_imaging_settings(self, call: ElementTree.Element, request: web.Request) -> str:
        self._check_source(call)
        settings = call.find("timg:ImagingSettings", NAMESPACES)
        assert settings is not None
        self._camera.imaging_settings = {
            element.tag.rpartition("}")[2]: element.text or ""
            for element in settings.iter()
            if not len(element)
        }
        iris = float(text_of(settings, "Iris"))
        low, high = self._camera.iris_range
        if not low <= iris <= high:
            raise FaultError("ter:SettingsInvalid", "no such iris")
        self._camera.iris = iris
        return "<timg:SetImagingSettingsResponse/>"

    def _check_source(self, call: ElementTree.Element) -> None:
        if text_of(call, "VideoSourceToken") != "source0":
            raise FaultError("ter:NoSource", "no such source")
