"""An ONVIF camera on real sockets: SOAP 1.2 over HTTP, events, PTZ with state, and misbehaviour.

It checks what a camera checks: HTTP digest or a UsernameToken of its own time, profile and preset
tokens, the ranges of speeds. Its media comes from tests/fakes/rtsp_camera.py, or from nowhere.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from aiohttp import web

SOAP = "http://www.w3.org/2003/05/soap-envelope"
NAMESPACES = {
    "s": SOAP,
    "tds": "http://www.onvif.org/ver10/device/wsdl",
    "trt": "http://www.onvif.org/ver10/media/wsdl",
    "tptz": "http://www.onvif.org/ver20/ptz/wsdl",
    "timg": "http://www.onvif.org/ver20/imaging/wsdl",
    "tev": "http://www.onvif.org/ver10/events/wsdl",
    "tt": "http://www.onvif.org/ver10/schema",
    "ter": "http://www.onvif.org/ver10/error",
    "wsnt": "http://docs.oasis-open.org/wsn/b-2",
    "wsa": "http://www.w3.org/2005/08/addressing",
    "tns1": "http://www.onvif.org/ver10/topics",
}
DECLARED = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
SERVICE = "/onvif/device_service"
PATHS = {
    "Media": "/onvif/Media", "PTZ": "/onvif/PTZ", "Imaging": "/onvif/Imaging",
    "Events": "/onvif/Events",
}  # fmt: skip
SUBSCRIPTION = "/onvif/Subscription"
PICTURE = "/onvif-http/snapshot"
OPEN = frozenset({"GetSystemDateAndTime"})  # what needs no login
JPEG = b"\xff\xd8\xff\xe0 a picture by the camera's own address \xff\xd9"
SAME_TIME = timedelta(seconds=5)
BOMB = (
    '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    + f"]><s:Envelope {DECLARED}><s:Body><tds:B>&a9;</tds:B></s:Body></s:Envelope>"
)
ENTITY = (
    '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    f"<s:Envelope {DECLARED}><s:Body><tds:B>&x;</tds:B></s:Body></s:Envelope>"
)
HUGE_BYTES = 50_000_000


@dataclass(frozen=True)
class FakeProfile:
    """One of its pictures; `mount` is the clip that its RTSP server shows."""

    token: str
    codec: str = "H264"
    width: int = 1280
    height: int = 720
    fps: int = 25
    bitrate_kbps: int = 2048
    mount: str = ""
    has_ptz: bool = True


PROFILES = (
    FakeProfile("Profile_1", width=1920, height=1080, mount="h264_aac"),
    FakeProfile("Profile_2", width=640, height=360, fps=15, bitrate_kbps=512, mount="h264_mute"),
    FakeProfile("Profile_3", codec="JPEG", width=320, height=240, fps=5, bitrate_kbps=0),
)


class FaultError(Exception):
    """What is answered instead."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass
class OnvifCamera:
    """The camera; use it in `async with`. What it can do wrong is switched by its fields."""

    rtsp_port: int = 554
    user: str = "admin"
    password: str = "pass word:@/ü"
    profiles: tuple[FakeProfile, ...] = PROFILES
    skew: timedelta = timedelta()
    """How far its clock is ahead."""
    hides_clock: bool = False
    """It wants a login for its time, and HTTP does not tell it."""
    says_wrong_time: bool = False
    """It says that it is three hours later than it takes it to be."""
    faults: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Code and reason that an operation is answered with instead."""
    lacks: frozenset[str] = frozenset()
    """Services it does not name: `Media`, `Imaging`."""
    wants_digest: bool = False
    """It takes HTTP digest alone."""
    offers_basic: bool = False
    """Before digest."""
    lies_about_address: bool = False
    """Its addresses are those of another network, and another port."""
    delay_s: float = 0.0
    is_silent: bool = False
    answer_with: bytes | None = None
    """Sent instead of every answer."""
    is_huge: bool = False
    redirects_to: str = ""
    has_ptz: bool = True
    has_events: bool = True
    hold_s: float = 1.0
    """How long it waits for something to tell."""
    gives_no_urls: bool = False
    jpeg: bytes = JPEG
    is_picture_closed: bool = False
    """No login opens its picture."""
    reach: tuple[float, float] = (-1.0, 1.0)
    asked: list[str] = field(default_factory=list)
    """The operations that came, in order."""
    refused: int = 0
    """How often a login was wrong."""
    moving: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """What moves now: `PanTilt`, `Zoom`, `Focus`."""
    presets: dict[str, str] = field(default_factory=lambda: {"1": "Gate"})
    at_preset: str = ""
    takes_no_timeout: bool = False
    own_timeout: str = ""
    """After which it stops by itself, as the newest motion says."""
    has_auxiliaries: bool = True
    forgets_presets: bool = False
    is_tongue_tied: bool = False
    """It answers SetPreset with nothing."""
    auxiliary: list[str] = field(default_factory=list)
    subscriptions: int = 0
    renewals: int = 0
    port: int = 0

    def __post_init__(self) -> None:
        self._runner: web.AppRunner | None = None
        self._nonce = secrets.token_hex(8)
        self._news: list[str] = []
        self._has_news = asyncio.Event()
        self._never = asyncio.Event()
        self._live: set[str] = set()

    @property
    def clock(self) -> datetime:
        """Return what it takes for the time."""
        return datetime.now(UTC) + self.skew

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        assert site._server is not None
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._never.set()
        self._has_news.set()
        assert self._runner is not None
        await self._runner.cleanup()

    def tell(self, topic: str, name: str, value: str, operation: str = "Changed") -> None:
        """Have an event: a topic such as `tns1:VideoSource/MotionAlarm`, and its value."""
        self._news.append(
            f'<wsnt:NotificationMessage><wsnt:Topic Dialect="{NAMESPACES["tev"]}">{topic}'
            f'</wsnt:Topic><wsnt:Message><tt:Message UtcTime="{self.clock:%Y-%m-%dT%H:%M:%SZ}" '
            f'PropertyOperation="{operation}"><tt:Source>'
            '<tt:SimpleItem Name="Source" Value="in1"/></tt:Source>'
            f'<tt:Data><tt:SimpleItem Name="{name}" Value="{value}"/></tt:Data>'
            "</tt:Message></wsnt:Message></wsnt:NotificationMessage>"
        )
        self._has_news.set()

    def drop_subscriptions(self) -> None:
        """Forget who listens, as a camera does that was switched off."""
        self._live.clear()
        self._has_news.set()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self.is_silent:
            await self._never.wait()
        await asyncio.sleep(self.delay_s)
        if self.redirects_to:
            raise web.HTTPFound(self.redirects_to)
        if self.is_huge:
            return await self._send_much(request)
        if self.answer_with is not None:
            return web.Response(body=self.answer_with, content_type="application/soap+xml")
        if request.path == PICTURE:
            return self._picture(request)
        return await self._soap(request)

    async def _send_much(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        piece = b"<x>" + b" " * 99_000
        try:
            for _ in range(HUGE_BYTES // len(piece)):
                await response.write(piece)
        except ConnectionError:
            pass  # who asked has had enough
        return response

    def _picture(self, request: web.Request) -> web.Response:
        if self.is_picture_closed or not self._is_digest_right(request):
            self.refused += "Authorization" in request.headers
            return self._challenge()
        return web.Response(body=self.jpeg, content_type="image/jpeg")

    async def _soap(self, request: web.Request) -> web.Response:
        try:
            envelope = ElementTree.fromstring(await request.read())
        except ElementTree.ParseError:
            return self._fault(FaultError("ter:WellFormed", "no XML"))
        body = envelope.find("s:Body", NAMESPACES)
        assert body is not None
        (call,) = body
        operation = call.tag.rpartition("}")[2]
        self.asked.append(operation)
        is_open = operation in OPEN and not self.hides_clock
        if not is_open and self.user:
            refusal = self._check_login(request, envelope)
            if refusal is not None:
                return refusal
        try:
            if operation in self.faults:
                raise FaultError(*self.faults[operation])  # noqa: TRY301 (answered below)
            told = self._find_answer(operation)(call, request)
            return self._envelope(told if isinstance(told, str) else await told)
        except FaultError as fault:
            return self._fault(fault)

    def _find_answer(self, operation: str) -> Callable[..., str | Awaitable[str]]:
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
        answer: Callable[..., str | Awaitable[str]] | None = getattr(self, f"_on_{name}", None)
        if answer is None:
            raise FaultError("ter:ActionNotSupported", f"no {operation} here")
        return answer

    def _check_login(
        self, request: web.Request, envelope: ElementTree.Element
    ) -> web.Response | None:
        if self.wants_digest:
            if self._is_digest_right(request):
                return None
            self.refused += "Authorization" in request.headers
            return self._challenge()
        if self._is_token_right(envelope):
            return None
        self.refused += 1
        return self._fault(FaultError("ter:NotAuthorized", "Sender not Authorized"), status=400)

    def _is_token_right(self, envelope: ElementTree.Element) -> bool:
        texts = {element.tag.rpartition("}")[2]: element.text or "" for element in envelope.iter()}
        if texts.get("Username") != self.user:
            return False
        created = datetime.fromisoformat(texts["Created"])
        if abs(created - self.clock) > SAME_TIME:
            return False
        nonce = base64.b64decode(texts["Nonce"])
        made = hashlib.sha1(nonce + texts["Created"].encode() + self.password.encode()).digest()
        return hmac.compare_digest(base64.b64encode(made).decode(), texts["Password"])

    def _challenge(self) -> web.Response:
        said = f'Digest realm="fake camera", qop="auth", nonce="{self._nonce}", algorithm=MD5'
        response = web.Response(status=401)
        if self.offers_basic:
            response.headers.add("WWW-Authenticate", 'Basic realm="fake camera"')
        response.headers.add("WWW-Authenticate", said)
        return response

    def _is_digest_right(self, request: web.Request) -> bool:
        header = request.headers.get("Authorization", "")
        given = {
            match[1]: match[2] or match[3]
            for match in re.finditer(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', header)
        }
        if given.get("nonce") != self._nonce:
            return False

        def md5(text: str) -> str:
            return hashlib.md5(text.encode()).hexdigest()

        name = md5(f"{self.user}:fake camera:{self.password}")
        what = md5(f"{request.method}:{given['uri']}")
        parts = (name, self._nonce, given["nc"], given["cnonce"], given["qop"], what)
        return given["uri"] == request.path_qs and given["response"] == md5(":".join(parts))

    def _envelope(self, inner: str, status: int = 200) -> web.Response:
        text = f'<?xml version="1.0"?><s:Envelope {DECLARED}><s:Body>{inner}</s:Body></s:Envelope>'
        response = web.Response(text=text, status=status, content_type="application/soap+xml")
        date = datetime.now(UTC) if self.hides_clock else self.clock
        response.headers["Date"] = (
            "soon" if self.hides_clock else f"{date:%a, %d %b %Y %H:%M:%S} GMT"
        )
        return response

    def _fault(self, fault: FaultError, status: int = 500) -> web.Response:
        return self._envelope(
            "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>"
            f"{fault.code}</s:Value></s:Subcode></s:Code><s:Reason>"
            f'<s:Text xml:lang="en">{escape(str(fault))}</s:Text></s:Reason></s:Fault>',
            status,
        )

    def _base(self) -> str:
        return "http://10.11.12.13:8899" if self.lies_about_address else self._here

    @property
    def _here(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _on_get_system_date_and_time(self, call: ElementTree.Element, request: web.Request) -> str:
        now = self.clock + timedelta(hours=3 if self.says_wrong_time else 0)
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

    def _on_get_capabilities(self, call: ElementTree.Element, request: web.Request) -> str:
        has = {"PTZ": self.has_ptz, "Events": self.has_events}
        missing = self.lacks | {name for name, is_there in has.items() if not is_there}
        parts = []
        for name in ("Events", "Imaging", "Media", "PTZ"):
            if name in missing:
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
            xaddr = f"<tt:XAddr>{self._base()}{PATHS[name]}</tt:XAddr>"
            parts.append(f"<tt:{name}>{xaddr}{more}</tt:{name}>")
        inner = "".join(parts)
        return (
            "<tds:GetCapabilitiesResponse><tds:Capabilities>"
            f"{inner}</tds:Capabilities></tds:GetCapabilitiesResponse>"
        )

    def _on_get_profiles(self, call: ElementTree.Element, request: web.Request) -> str:
        inner = "".join(self._profile(one) for one in self.profiles)
        return f"<trt:GetProfilesResponse>{inner}</trt:GetProfilesResponse>"

    def _profile(self, one: FakeProfile) -> str:
        ptz = (
            '<tt:PTZConfiguration token="ptz0"><tt:Name>p</tt:Name><tt:UseCount>1</tt:UseCount>'
            "<tt:NodeToken>node0</tt:NodeToken></tt:PTZConfiguration>"
            if self.has_ptz and one.has_ptz
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

    def _on_get_stream_uri(self, call: ElementTree.Element, request: web.Request) -> str:
        profile = self._find_profile(call)
        if self.gives_no_urls or profile.codec == "JPEG":
            raise FaultError("ter:InvalidStreamSetup", "not this one")
        host = "10.11.12.13" if self.lies_about_address else "127.0.0.1"
        uri = f"rtsp://{host}:{self.rtsp_port}/{profile.mount}"
        return (
            f"<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>{escape(uri)}</tt:Uri>"
            "<tt:InvalidAfterConnect>false</tt:InvalidAfterConnect><tt:InvalidAfterReboot>false"
            "</tt:InvalidAfterReboot><tt:Timeout>PT0S</tt:Timeout></trt:MediaUri>"
            "</trt:GetStreamUriResponse>"
        )

    def _on_get_snapshot_uri(self, call: ElementTree.Element, request: web.Request) -> str:
        self._find_profile(call)
        return (
            f"<trt:GetSnapshotUriResponse><trt:MediaUri><tt:Uri>{self._base()}{PICTURE}?channel=1"
            "</tt:Uri><tt:InvalidAfterConnect>false</tt:InvalidAfterConnect>"
            "<tt:InvalidAfterReboot>false</tt:InvalidAfterReboot><tt:Timeout>PT0S</tt:Timeout>"
            "</trt:MediaUri></trt:GetSnapshotUriResponse>"
        )

    def _find_profile(self, call: ElementTree.Element) -> FakeProfile:
        token = _text(call, "ProfileToken")
        for profile in self.profiles:
            if profile.token == token:
                return profile
        raise FaultError("ter:NoProfile", "no such profile")

    def _on_get_configuration_options(
        self, call: ElementTree.Element, request: web.Request
    ) -> str:
        low, high = self.reach
        both = f"<tt:Min>{low}</tt:Min><tt:Max>{high}</tt:Max>"
        return (
            "<tptz:GetConfigurationOptionsResponse><tptz:PTZConfigurationOptions><tt:Spaces>"
            "<tt:ContinuousPanTiltVelocitySpace><tt:URI>u</tt:URI>"
            f"<tt:XRange>{both}</tt:XRange><tt:YRange>{both}</tt:YRange>"
            "</tt:ContinuousPanTiltVelocitySpace><tt:ContinuousZoomVelocitySpace><tt:URI>u"
            f"</tt:URI><tt:XRange>{both}</tt:XRange></tt:ContinuousZoomVelocitySpace></tt:Spaces>"
            "<tt:PTZTimeout><tt:Min>PT0S</tt:Min><tt:Max>PT60S</tt:Max></tt:PTZTimeout>"
            "</tptz:PTZConfigurationOptions></tptz:GetConfigurationOptionsResponse>"
        )

    def _on_get_nodes(self, call: ElementTree.Element, request: web.Request) -> str:
        commands = "".join(
            f"<tt:AuxiliaryCommands>{one}</tt:AuxiliaryCommands>"
            for one in ("tt:Wiper|On", "tt:Wiper|Off", "tt:IRLamp|On", "tt:IRLamp|Off")
            if self.has_auxiliaries
        )
        return (
            '<tptz:GetNodesResponse><tptz:PTZNode token="node0"><tt:Name>n</tt:Name>'
            "<tt:SupportedPTZSpaces/><tt:MaximumNumberOfPresets>255</tt:MaximumNumberOfPresets>"
            f"<tt:HomeSupported>true</tt:HomeSupported>{commands}</tptz:PTZNode>"
            "</tptz:GetNodesResponse>"
        )

    def _on_continuous_move(self, call: ElementTree.Element, request: web.Request) -> str:
        self._find_profile(call)
        self.own_timeout = _text(call, "Timeout")
        if self.own_timeout and self.takes_no_timeout:
            raise FaultError("ter:TimeoutNotSupported", "no timeout here")
        low, high = self.reach
        for name in ("PanTilt", "Zoom"):
            found = call.find(f".//tt:{name}", NAMESPACES)
            if found is not None:
                speeds = tuple(float(found.get(axis, "0")) for axis in ("x", "y"))
                if not all(low <= speed <= high for speed in speeds):
                    raise FaultError("ter:InvalidVelocity", "too fast")
                self.moving[name] = speeds if name == "PanTilt" else speeds[:1]
        return "<tptz:ContinuousMoveResponse/>"

    def _on_stop(self, call: ElementTree.Element, request: web.Request) -> str:
        if call.tag.startswith("{" + NAMESPACES["timg"]):
            self.moving.pop("Focus", None)
            return "<timg:StopResponse/>"
        for name in ("PanTilt", "Zoom"):
            if _text(call, name) == "true":
                self.moving.pop(name, None)
        return "<tptz:StopResponse/>"

    def _on_get_move_options(self, call: ElementTree.Element, request: web.Request) -> str:
        low, high = self.reach
        return (
            "<timg:GetMoveOptionsResponse><timg:MoveOptions><tt:Continuous><tt:Speed>"
            f"<tt:Min>{low}</tt:Min><tt:Max>{high}</tt:Max></tt:Speed></tt:Continuous>"
            "</timg:MoveOptions></timg:GetMoveOptionsResponse>"
        )

    def _on_move(self, call: ElementTree.Element, request: web.Request) -> str:
        if _text(call, "VideoSourceToken") != "source0":
            raise FaultError("ter:NoSource", "no such source")
        self.moving["Focus"] = (float(_text(call, "Speed")),)
        return "<timg:MoveResponse/>"

    def _on_send_auxiliary_command(self, call: ElementTree.Element, request: web.Request) -> str:
        self.auxiliary.append(_text(call, "AuxiliaryData"))
        return (
            "<tptz:SendAuxiliaryCommandResponse><tptz:AuxiliaryResponse>ok"
            "</tptz:AuxiliaryResponse></tptz:SendAuxiliaryCommandResponse>"
        )

    def _on_get_presets(self, call: ElementTree.Element, request: web.Request) -> str:
        inner = "".join(
            f"<tptz:Preset token={quoteattr(token)}><tt:Name>{escape(name)}</tt:Name>"
            "</tptz:Preset>"
            for token, name in self.presets.items()
        )
        return f"<tptz:GetPresetsResponse>{inner}</tptz:GetPresetsResponse>"

    def _on_set_preset(self, call: ElementTree.Element, request: web.Request) -> str:
        token = _text(call, "PresetToken")
        if token and token not in self.presets:
            raise FaultError("ter:NoToken", "No token")
        token = token or str(max((int(one) for one in self.presets), default=0) + 1)
        if not self.forgets_presets:
            self.presets[token] = _text(call, "PresetName") or self.presets.get(token, "")
        if self.is_tongue_tied:
            return "<tptz:SetPresetResponse/>"
        return (
            f"<tptz:SetPresetResponse><tptz:PresetToken>{token}</tptz:PresetToken>"
            "</tptz:SetPresetResponse>"
        )

    def _on_goto_preset(self, call: ElementTree.Element, request: web.Request) -> str:
        self.at_preset = self._find_preset(call)
        return "<tptz:GotoPresetResponse/>"

    def _on_remove_preset(self, call: ElementTree.Element, request: web.Request) -> str:
        del self.presets[self._find_preset(call)]
        return "<tptz:RemovePresetResponse/>"

    def _find_preset(self, call: ElementTree.Element) -> str:
        token = _text(call, "PresetToken")
        if token not in self.presets:
            raise FaultError("ter:NoToken", "No token")
        return token

    def _on_create_pull_point_subscription(
        self, call: ElementTree.Element, request: web.Request
    ) -> str:
        self.subscriptions += 1
        name = f"sub{self.subscriptions}"
        self._live.add(name)
        now = f"{self.clock:%Y-%m-%dT%H:%M:%SZ}"
        return (
            "<tev:CreatePullPointSubscriptionResponse><tev:SubscriptionReference><wsa:Address>"
            f"{self._base()}{SUBSCRIPTION}?id={name}</wsa:Address></tev:SubscriptionReference>"
            f"<wsnt:CurrentTime>{now}</wsnt:CurrentTime><wsnt:TerminationTime>{now}"
            "</wsnt:TerminationTime></tev:CreatePullPointSubscriptionResponse>"
        )

    async def _on_pull_messages(self, call: ElementTree.Element, request: web.Request) -> str:
        self._check_subscription(request)
        if not self._news:
            self._has_news.clear()
            try:
                async with asyncio.timeout(self.hold_s):
                    await self._has_news.wait()
            except TimeoutError:
                pass
        self._check_subscription(request)
        news, self._news = "".join(self._news), []
        now = f"{self.clock:%Y-%m-%dT%H:%M:%SZ}"
        return (
            f"<tev:PullMessagesResponse><tev:CurrentTime>{now}</tev:CurrentTime>"
            f"<tev:TerminationTime>{now}</tev:TerminationTime>{news}</tev:PullMessagesResponse>"
        )

    def _on_renew(self, call: ElementTree.Element, request: web.Request) -> str:
        self._check_subscription(request)
        self.renewals += 1
        now = f"{self.clock:%Y-%m-%dT%H:%M:%SZ}"
        return (
            f"<wsnt:RenewResponse><wsnt:TerminationTime>{now}</wsnt:TerminationTime>"
            f"<wsnt:CurrentTime>{now}</wsnt:CurrentTime></wsnt:RenewResponse>"
        )

    def _on_unsubscribe(self, call: ElementTree.Element, request: web.Request) -> str:
        self._check_subscription(request)
        self._live.discard(request.query["id"])
        return "<wsnt:UnsubscribeResponse/>"

    @property
    def listeners(self) -> int:
        """Return how many subscriptions it has now."""
        return len(self._live)

    def _check_subscription(self, request: web.Request) -> None:
        if request.query.get("id") not in self._live:
            raise FaultError("wsnt:ResourceUnknownFault", "no such subscription")


def _text(call: ElementTree.Element, name: str) -> str:
    for element in call.iter():
        if element.tag.rpartition("}")[2] == name:
            return element.text or ""
    return ""
