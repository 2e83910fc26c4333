"""The fake camera's media service: profiles, and where their pictures are."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from aiohttp import web

from tests.fakes.onvif.soap import FaultError

if TYPE_CHECKING:
    from tests.fakes.onvif_camera import FakeProfile, OnvifCamera


PICTURE = "/onvif-http/snapshot"


class MediaService:
    """Tells what pictures there are."""

    def __init__(self, camera: OnvifCamera) -> None:
        self._camera = camera

    def on_get_profiles(self, call: ElementTree.Element, request: web.Request) -> str:
        inner = "".join(self._profile(one) for one in self._camera.profiles)
        return f"<trt:GetProfilesResponse>{inner}</trt:GetProfilesResponse>"

    def _profile(self, one: FakeProfile) -> str:
        ptz = (
            '<tt:PTZConfiguration token="ptz0"><tt:Name>p</tt:Name><tt:UseCount>1</tt:UseCount>'
            "<tt:NodeToken>node0</tt:NodeToken></tt:PTZConfiguration>"
            if self._camera.has_ptz and one.has_ptz
            else ""
        )
        return (
            f'<trt:Profiles token={quoteattr(one.token)} fixed="true">'
            f"<tt:Name>{escape(one.token)} name</tt:Name>"
            '<tt:VideoSourceConfiguration token="vsc"><tt:Name>v</tt:Name><tt:UseCount>1'
            "</tt:UseCount><tt:SourceToken>source0</tt:SourceToken>"
            '<tt:Bounds x="0" y="0" width="1920" height="1080"/></tt:VideoSourceConfiguration>'
            '<tt:VideoEncoderConfiguration token="vec"><tt:Name>e</tt:Name><tt:UseCount>1'
            f"</tt:UseCount><tt:Encoding>{one.codec}</tt:Encoding><tt:Resolution>"
            f"<tt:Width>{one.width}</tt:Width><tt:Height>{one.height}</tt:Height></tt:Resolution>"
            f"<tt:Quality>5</tt:Quality><tt:RateControl><tt:FrameRateLimit>{one.fps}"
            "</tt:FrameRateLimit><tt:EncodingInterval>1</tt:EncodingInterval>"
            f"<tt:BitrateLimit>{one.bitrate_kbps}</tt:BitrateLimit></tt:RateControl>"
            "<tt:SessionTimeout>PT60S</tt:SessionTimeout></tt:VideoEncoderConfiguration>"
            f"{ptz}</trt:Profiles>"
        )

    def on_get_stream_uri(self, call: ElementTree.Element, request: web.Request) -> str:
        profile = self._camera.find_profile(call, self._camera.profiles)
        if self._camera.gives_no_urls or profile.codec == "JPEG":
            raise FaultError("ter:InvalidStreamSetup", "not this one")
        host = "10.11.12.13" if self._camera.lies_about_address else "127.0.0.1"
        uri = f"{self._camera.rtsp_scheme}://{host}:{self._camera.rtsp_port}/{profile.mount}"
        return (
            f"<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>{escape(uri)}</tt:Uri>"
            "<tt:InvalidAfterConnect>false</tt:InvalidAfterConnect><tt:InvalidAfterReboot>false"
            "</tt:InvalidAfterReboot><tt:Timeout>PT0S</tt:Timeout></trt:MediaUri>"
            "</trt:GetStreamUriResponse>"
        )

    def on_get_snapshot_uri(self, call: ElementTree.Element, request: web.Request) -> str:
        self._camera.find_profile(call, self._camera.profiles)
        return (
            f"<trt:GetSnapshotUriResponse><trt:MediaUri><tt:Uri>{self._camera.base}{PICTURE}?channel=1"
            "</tt:Uri><tt:InvalidAfterConnect>false</tt:InvalidAfterConnect>"
            "<tt:InvalidAfterReboot>false</tt:InvalidAfterReboot><tt:Timeout>PT0S</tt:Timeout>"
            "</trt:MediaUri></trt:GetSnapshotUriResponse>"
        )
