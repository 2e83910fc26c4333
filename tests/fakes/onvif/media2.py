"""The fake camera's Media2 service: profiles in H.265 too, and where their pictures are."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from aiohttp import web

from tests.fakes.onvif.media import PICTURE
from tests.fakes.onvif.soap import FaultError, text_of

if TYPE_CHECKING:
    from tests.fakes.onvif_camera import FakeProfile, OnvifCamera

PROTOCOLS = ("RtspUnicast", "RTSP", "RtspOverHttp")


class Media2Service:
    """Tells what pictures there are, as cameras of profile T do."""

    def __init__(self, camera: OnvifCamera) -> None:
        self._camera = camera

    def on_get_profiles(self, call: ElementTree.Element, request: web.Request) -> str:
        # without a type it tells names alone (Media2 §5.2.2)
        is_whole = text_of(call, "Type") == "All"
        inner = "".join(
            f'<tr2:Profiles token={quoteattr(one.token)} fixed="true">'
            f"<tr2:Name>{escape(one.token)} name</tr2:Name>"
            f"{self._configurations(one) if is_whole else ''}</tr2:Profiles>"
            for one in self._camera.media2_profiles or ()
        )
        return f"<tr2:GetProfilesResponse>{inner}</tr2:GetProfilesResponse>"

    def _configurations(self, one: FakeProfile) -> str:
        ptz = (
            '<tr2:PTZ token="ptz0"><tt:Name>p</tt:Name><tt:UseCount>1</tt:UseCount>'
            "<tt:NodeToken>node0</tt:NodeToken></tr2:PTZ>"
            if self._camera.has_ptz and one.has_ptz
            else ""
        )
        return (
            '<tr2:Configurations><tr2:VideoSource token="vsc"><tt:Name>v</tt:Name>'
            "<tt:UseCount>1</tt:UseCount><tt:SourceToken>source0</tt:SourceToken>"
            '<tt:Bounds x="0" y="0" width="3840" height="2160"/></tr2:VideoSource>'
            '<tr2:VideoEncoder token="vec" GovLength="50" Profile="Main"><tt:Name>e</tt:Name>'
            f"<tt:UseCount>1</tt:UseCount><tt:Encoding>{one.codec}</tt:Encoding><tt:Resolution>"
            f"<tt:Width>{one.width}</tt:Width><tt:Height>{one.height}</tt:Height></tt:Resolution>"
            '<tt:RateControl ConstantBitRate="false">'
            f"<tt:FrameRateLimit>{one.fps}.000000</tt:FrameRateLimit>"
            f"<tt:BitrateLimit>{one.bitrate_kbps}</tt:BitrateLimit></tt:RateControl>"
            f"<tt:Quality>5.000000</tt:Quality></tr2:VideoEncoder>{ptz}</tr2:Configurations>"
        )

    def on_get_stream_uri(self, call: ElementTree.Element, request: web.Request) -> str:
        profile = self._camera.find_profile(call, self._camera.media2_profiles or ())
        protocol = text_of(call, "Protocol")
        if protocol not in PROTOCOLS or protocol in self._camera.refuses_protocols:
            raise FaultError("ter:InvalidArgVal", "no such protocol")
        if self._camera.gives_no_urls or profile.codec == "JPEG":
            raise FaultError("ter:ProfileToken", "not this one")
        host = "10.11.12.13" if self._camera.lies_about_address else "127.0.0.1"
        uri = escape(f"rtsp://{host}:{self._camera.rtsp_port}/{profile.mount}")
        return f"<tr2:GetStreamUriResponse><tr2:Uri>{uri}</tr2:Uri></tr2:GetStreamUriResponse>"

    def on_get_snapshot_uri(self, call: ElementTree.Element, request: web.Request) -> str:
        self._camera.find_profile(call, self._camera.media2_profiles or ())
        return (
            f"<tr2:GetSnapshotUriResponse><tr2:Uri>{self._camera.base}{PICTURE}?channel=1"
            "</tr2:Uri></tr2:GetSnapshotUriResponse>"
        )
