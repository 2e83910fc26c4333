"""The fake camera's device service: its clock and what it has."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from aiohttp import web

from tests.fakes.onvif.soap import NAMESPACES

if TYPE_CHECKING:
    from tests.fakes.onvif_camera import OnvifCamera


PATHS = {
    "Media": "/onvif/Media", "PTZ": "/onvif/PTZ", "Imaging": "/onvif/Imaging",
    "Events": "/onvif/Events", "Media2": "/onvif/Media2",
}  # fmt: skip


class DeviceService:
    """Tells what the camera is."""

    def __init__(self, camera: OnvifCamera) -> None:
        self._camera = camera

    def on_get_system_date_and_time(self, call: ElementTree.Element, request: web.Request) -> str:
        now = self._camera.clock + timedelta(hours=3 if self._camera.says_wrong_time else 0)
        return (
            "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime>"
            "<tt:DateTimeType>Manual</tt:DateTimeType><tt:DaylightSavings>false"
            "</tt:DaylightSavings><tt:UTCDateTime>"
            f"<tt:Time><tt:Hour>{now.hour}</tt:Hour><tt:Minute>{now.minute}</tt:Minute>"
            f"<tt:Second>{now.second}</tt:Second></tt:Time>"
            f"<tt:Date><tt:Year>{now.year}</tt:Year><tt:Month>{now.month}</tt:Month>"
            f"<tt:Day>{now.day}</tt:Day></tt:Date></tt:UTCDateTime>"
            "</tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
        )

    def on_get_capabilities(self, call: ElementTree.Element, request: web.Request) -> str:
        there = self._there()
        parts = []
        for name in ("Events", "Imaging", "Media", "PTZ"):
            if name not in there:
                continue
            more = ""
            if name == "Events":
                more = (
                    "<tt:WSSubscriptionPolicySupport>true</tt:WSSubscriptionPolicySupport>"
                    "<tt:WSPullPointSupport>true</tt:WSPullPointSupport>"
                    "<tt:WSPausableSubscriptionManagerInterfaceSupport>false"
                    "</tt:WSPausableSubscriptionManagerInterfaceSupport>"
                )
            if name == "Media":
                more = "<tt:StreamingCapabilities/>"
            xaddr = f"<tt:XAddr>{self._camera.base}{PATHS[name]}</tt:XAddr>"
            parts.append(f"<tt:{name}>{xaddr}{more}</tt:{name}>")
        inner = "".join(parts)
        return (
            "<tds:GetCapabilitiesResponse><tds:Capabilities>"
            f"{inner}</tds:Capabilities></tds:GetCapabilitiesResponse>"
        )

    def on_get_services(self, call: ElementTree.Element, request: web.Request) -> str:
        named = {"Media": "trt", "PTZ": "tptz", "Imaging": "timg", "Events": "tev"}
        if self._camera.media2_profiles is not None:
            named["Media2"] = "tr2"
        there = (self._there() | {"Media2"}) - self._camera.services_lack
        inner = "".join(
            f"<tds:Service><tds:Namespace>{NAMESPACES[prefix]}</tds:Namespace>"
            f"<tds:XAddr>{self._camera.base}{PATHS[name]}</tds:XAddr><tds:Version>"
            "<tt:Major>2</tt:Major><tt:Minor>60</tt:Minor></tds:Version></tds:Service>"
            for name, prefix in named.items()
            if name in there
        )
        return f"<tds:GetServicesResponse>{inner}</tds:GetServicesResponse>"

    def _there(self) -> frozenset[str]:
        has = {"PTZ": self._camera.has_ptz, "Events": self._camera.has_events}
        missing = self._camera.lacks | {name for name, is_there in has.items() if not is_there}
        return frozenset(PATHS) - missing - {"Media2"}
