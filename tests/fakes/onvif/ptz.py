"""The fake camera's PTZ service: what moves, and presets."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from aiohttp import web

from tests.fakes.onvif.soap import NAMESPACES, FaultError, text_of

if TYPE_CHECKING:
    from tests.fakes.onvif_camera import OnvifCamera


SPACES = (
    ("Absolute", "AbsolutePanTiltPositionSpace", "AbsoluteZoomPositionSpace"),
    ("Relative", "RelativePanTiltTranslationSpace", "RelativeZoomTranslationSpace"),
    ("Continuous", "ContinuousPanTiltVelocitySpace", "ContinuousZoomVelocitySpace"),
)


class PtzService:
    """Moves the camera."""

    def __init__(self, camera: OnvifCamera) -> None:
        self._camera = camera

    def on_get_configuration_options(self, call: ElementTree.Element, request: web.Request) -> str:
        low, high = self._camera.reach
        both = f"<tt:Min>{low}</tt:Min><tt:Max>{high}</tt:Max>"
        spaces = "".join(
            f"<tt:{pan_tilt}><tt:URI>u</tt:URI><tt:XRange>{both}</tt:XRange><tt:YRange>{both}"
            f"</tt:YRange></tt:{pan_tilt}><tt:{zoom}><tt:URI>u</tt:URI><tt:XRange>{both}"
            f"</tt:XRange></tt:{zoom}>"
            for way, pan_tilt, zoom in SPACES
            if way in self._camera.ways
        )
        return (
            "<tptz:GetConfigurationOptionsResponse><tptz:PTZConfigurationOptions>"
            f"<tt:Spaces>{spaces}</tt:Spaces>"
            "<tt:PTZTimeout><tt:Min>PT0S</tt:Min><tt:Max>PT60S</tt:Max></tt:PTZTimeout>"
            "</tptz:PTZConfigurationOptions></tptz:GetConfigurationOptionsResponse>"
        )

    def on_get_nodes(self, call: ElementTree.Element, request: web.Request) -> str:
        commands = "".join(
            f"<tt:AuxiliaryCommands>{one}</tt:AuxiliaryCommands>"
            for one in ("tt:Wiper|On", "tt:Wiper|Off", "tt:IRLamp|On", "tt:IRLamp|Off")
            if self._camera.has_auxiliaries
        )
        return (
            '<tptz:GetNodesResponse><tptz:PTZNode token="node0"><tt:Name>n</tt:Name>'
            "<tt:SupportedPTZSpaces/><tt:MaximumNumberOfPresets>255</tt:MaximumNumberOfPresets>"
            f"<tt:HomeSupported>true</tt:HomeSupported>{commands}</tptz:PTZNode>"
            "</tptz:GetNodesResponse>"
        )

    def on_continuous_move(self, call: ElementTree.Element, request: web.Request) -> str:
        self._check_way("Continuous")
        self._camera.find_profile(call)
        self._camera.own_timeout = text_of(call, "Timeout")
        if self._camera.own_timeout and self._camera.takes_no_timeout:
            raise FaultError("ter:TimeoutNotSupported", "no timeout here")
        low, high = self._camera.reach
        for name in ("PanTilt", "Zoom"):
            found = call.find(f".//tt:{name}", NAMESPACES)
            if found is not None:
                speeds = tuple(float(found.get(axis, "0")) for axis in ("x", "y"))
                if not all(low <= speed <= high for speed in speeds):
                    raise FaultError("ter:InvalidVelocity", "too fast")
                self._camera.moving[name] = speeds if name == "PanTilt" else speeds[:1]
        return "<tptz:ContinuousMoveResponse/>"

    def on_relative_move(self, call: ElementTree.Element, request: web.Request) -> str:
        self._check_way("Relative")
        for name, told in self._vector(call, "Translation").items():
            self._camera.place[name] += told
        return "<tptz:RelativeMoveResponse/>"

    def on_absolute_move(self, call: ElementTree.Element, request: web.Request) -> str:
        self._check_way("Absolute")
        self._camera.place.update(self._vector(call, "Position"))
        return "<tptz:AbsoluteMoveResponse/>"

    def on_get_status(self, call: ElementTree.Element, request: web.Request) -> str:
        place = self._camera.place
        position = (
            f'<tt:Position><tt:PanTilt x="{place["x"]}" y="{place["y"]}"/>'
            f'<tt:Zoom x="{place["zoom"]}"/></tt:Position>'
        )
        return (
            f"<tptz:GetStatusResponse><tptz:PTZStatus>"
            f"{'' if self._camera.hides_place else position}"
            f"<tt:UtcTime>{self._camera.clock:%Y-%m-%dT%H:%M:%SZ}</tt:UtcTime>"
            "</tptz:PTZStatus></tptz:GetStatusResponse>"
        )

    def _vector(self, call: ElementTree.Element, name: str) -> dict[str, float]:
        self._camera.find_profile(call)
        found: dict[str, float] = {}
        pan_tilt = call.find(f"tptz:{name}/tt:PanTilt", NAMESPACES)
        zoom = call.find(f"tptz:{name}/tt:Zoom", NAMESPACES)
        if pan_tilt is not None:
            found |= {axis: float(pan_tilt.get(axis, "")) for axis in ("x", "y")}
        if zoom is not None:
            found["zoom"] = float(zoom.get("x", ""))
        low, high = self._camera.reach
        if not found or not all(low <= value <= high for value in found.values()):
            raise FaultError("ter:InvalidTranslation", "too far")
        return found

    def _check_way(self, way: str) -> None:
        if way not in self._camera.ways:
            raise FaultError("ter:ActionNotSupported", f"no {way} moves here")

    def on_stop(self, call: ElementTree.Element, request: web.Request) -> str:
        for name in ("PanTilt", "Zoom"):
            if text_of(call, name) == "true":
                self._camera.moving.pop(name, None)
        return "<tptz:StopResponse/>"

    def on_send_auxiliary_command(self, call: ElementTree.Element, request: web.Request) -> str:
        self._camera.auxiliary.append(text_of(call, "AuxiliaryData"))
        return (
            "<tptz:SendAuxiliaryCommandResponse><tptz:AuxiliaryResponse>ok"
            "</tptz:AuxiliaryResponse></tptz:SendAuxiliaryCommandResponse>"
        )

    def on_get_presets(self, call: ElementTree.Element, request: web.Request) -> str:
        inner = "".join(
            f"<tptz:Preset token={quoteattr(token)}><tt:Name>{escape(name)}</tt:Name>"
            "</tptz:Preset>"
            for token, name in self._camera.presets.items()
        )
        return f"<tptz:GetPresetsResponse>{inner}</tptz:GetPresetsResponse>"

    def on_set_preset(self, call: ElementTree.Element, request: web.Request) -> str:
        token = text_of(call, "PresetToken")
        if token and token not in self._camera.presets:
            raise FaultError("ter:NoToken", "No token")
        if self._camera.keeps_presets_apart:
            self._keep_apart(token, call)
        token = token or str(max((int(one) for one in self._camera.presets), default=0) + 1)
        if not self._camera.forgets_presets:
            self._camera.presets[token] = text_of(call, "PresetName") or self._camera.presets.get(
                token, ""
            )
        if self._camera.is_tongue_tied:
            return "<tptz:SetPresetResponse/>"
        return (
            f"<tptz:SetPresetResponse><tptz:PresetToken>{token}</tptz:PresetToken>"
            "</tptz:SetPresetResponse>"
        )

    def _keep_apart(self, token: str, call: ElementTree.Element) -> None:
        name = text_of(call, "PresetName")
        if token:
            raise FaultError("ter:ActionFailed", "no preset is changed here")
        if not name or name in self._camera.presets.values():
            raise FaultError("ter:PresetExist", "the name is empty or there already")

    def on_goto_preset(self, call: ElementTree.Element, request: web.Request) -> str:
        self._camera.at_preset = self._find_preset(call)
        return "<tptz:GotoPresetResponse/>"

    def on_remove_preset(self, call: ElementTree.Element, request: web.Request) -> str:
        del self._camera.presets[self._find_preset(call)]
        return "<tptz:RemovePresetResponse/>"

    def _find_preset(self, call: ElementTree.Element) -> str:
        token = text_of(call, "PresetToken")
        if token not in self._camera.presets:
            raise FaultError("ter:NoToken", "No token")
        return token
