"""The fake camera's imaging service: its focus."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

from aiohttp import web

from tests.fakes.onvif.soap import FaultError, text_of

if TYPE_CHECKING:
    from tests.fakes.onvif_camera import OnvifCamera


class ImagingService:
    """Moves the lens."""

    def __init__(self, camera: OnvifCamera) -> None:
        self._camera = camera

    def on_get_move_options(self, call: ElementTree.Element, request: web.Request) -> str:
        low, high = self._camera.reach
        return (
            "<timg:GetMoveOptionsResponse><timg:MoveOptions><tt:Continuous><tt:Speed>"
            f"<tt:Min>{low}</tt:Min><tt:Max>{high}</tt:Max></tt:Speed></tt:Continuous>"
            "</timg:MoveOptions></timg:GetMoveOptionsResponse>"
        )

    def on_move(self, call: ElementTree.Element, request: web.Request) -> str:
        if text_of(call, "VideoSourceToken") != "source0":
            raise FaultError("ter:NoSource", "no such source")
        self._camera.moving["Focus"] = (float(text_of(call, "Speed")),)
        return "<timg:MoveResponse/>"

    def on_stop(self, call: ElementTree.Element, request: web.Request) -> str:
        self._camera.moving.pop("Focus", None)
        return "<timg:StopResponse/>"
