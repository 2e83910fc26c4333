"""An ONVIF camera on real sockets: SOAP 1.2 over HTTP, events, PTZ with state, and misbehaviour.

It checks what a camera checks: HTTP digest or a UsernameToken of its own time, profile and preset
tokens, the ranges of speeds. What its services say is in tests/fakes/onvif. Its media comes from
tests/fakes/rtsp_camera.py, or from nowhere.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self
from xml.etree import ElementTree

from aiohttp import web

from tests.fakes.onvif.device import DeviceService
from tests.fakes.onvif.events import EventService
from tests.fakes.onvif.imaging import ImagingService
from tests.fakes.onvif.login import Login
from tests.fakes.onvif.media import PICTURE, MediaService
from tests.fakes.onvif.media2 import Media2Service
from tests.fakes.onvif.ptz import PtzService
from tests.fakes.onvif.soap import NAMESPACES, FaultError, envelope, fault, text_of

SERVICE = "/onvif/device_service"
OPEN = frozenset({"GetSystemDateAndTime"})  # what needs no login
JPEG = b"\xff\xd8\xff\xe0 a picture by the camera's own address \xff\xd9"
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


@dataclass
class OnvifCamera:
    """The camera; use it in `async with`. What it can do wrong is switched by its fields."""

    rtsp_port: int = 554
    rtsp_scheme: str = "rtsp"
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
    """Code and reason that an operation is answered with instead; Media2's are `tr2:...`."""
    lacks: frozenset[str] = frozenset()
    """Services it does not name: `Media`, `Imaging`."""
    services_lack: frozenset[str] = frozenset()
    """What it names in GetCapabilities alone."""
    media2_profiles: tuple[FakeProfile, ...] | None = None
    """What Media2 tells; None for a camera without it."""
    refuses_protocols: frozenset[str] = frozenset()
    """Of Media2: `RTSP`, `RtspUnicast`."""
    answers: dict[str, str] = field(default_factory=dict)
    """What an operation such as `tr2:GetProfiles` is answered with instead, as XML."""
    wants_digest: bool = False
    """It takes HTTP digest alone."""
    binds_nonces: bool = False
    """A nonce of its digest is good for one path."""
    offers_basic: bool = False
    """Before digest."""
    lies_about_address: bool = False
    """Its addresses are those of another network, and another port."""
    delay_s: float = 0.0
    is_silent: bool = False
    hangs_on: str = ""
    """The one operation that it never answers."""
    answer_with: bytes | None = None
    """Sent instead of every answer."""
    is_huge: bool = False
    redirects_to: str = ""
    has_ptz: bool = True
    has_events: bool = True
    hold_s: float = 1.0
    """How long it waits for something to tell."""
    subscription_address: str | None = None
    """Told instead of where its subscriptions are; it answers where its events service is too."""
    writes_odd_dates: bool = False
    """As Hikvision's firmware does of subscriptions."""
    addressed: list[str] = field(default_factory=list)
    """By which address messages with WS-Addressing called it."""
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
    ways: frozenset[str] = frozenset({"Continuous"})
    """How it turns and zooms: `Continuous`, `Relative`, `Absolute`."""
    place: dict[str, float] = field(default_factory=lambda: {"x": 0.0, "y": 0.0, "zoom": 0.0})
    """Where it looks."""
    hides_place: bool = False
    """It does not say where it looks, nor where its lens is."""
    lens_ways: frozenset[str] = frozenset({"Continuous"})
    focus_place: float = 50.0
    """From 0 to 100."""
    iris: float | None = None
    """In dB; None for a lens whose iris does not move."""
    iris_range: tuple[float, float] = (0.0, 20.0)
    exposure: str = "MANUAL"
    imaging_settings: dict[str, str] = field(default_factory=dict)
    """What was set last, by name."""
    presets: dict[str, str] = field(default_factory=lambda: {"1": "Gate"})
    at_preset: str = ""
    takes_no_timeout: bool = False
    own_timeout: str = ""
    """After which it stops by itself, as the newest motion says."""
    has_auxiliaries: bool = True
    forgets_presets: bool = False
    is_tongue_tied: bool = False
    """It answers SetPreset with nothing."""
    keeps_presets_apart: bool = False
    """It changes no preset, and takes no name twice and none that is empty."""
    auxiliary: list[str] = field(default_factory=list)
    subscriptions: int = 0
    renewals: int = 0
    tls: ssl.SSLContext | None = None
    port: int = 0

    def __post_init__(self) -> None:
        self._runner: web.AppRunner | None = None
        self._never = asyncio.Event()
        self._login = Login(self)
        self._events = EventService(self)
        self._services: dict[str, object] = {
            "tds": DeviceService(self),
            "trt": MediaService(self),
            "tr2": Media2Service(self),
            "tptz": PtzService(self),
            "timg": ImagingService(self),
            "tev": self._events,
            "wsnt": self._events,
        }

    @property
    def clock(self) -> datetime:
        """Return what it takes for the time."""
        return datetime.now(UTC) + self.skew

    @property
    def base(self) -> str:
        """Return where it says that it is."""
        if self.lies_about_address:
            return "http://10.11.12.13:8899"
        scheme = "https" if self.tls else "http"
        return f"{scheme}://127.0.0.1:{self.port}"

    @property
    def has_news(self) -> bool:
        """Return whether there is something to tell that nobody has heard."""
        return self._events.has_news

    @property
    def listeners(self) -> int:
        """Return how many subscriptions it has now."""
        return self._events.listeners

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self.tls)
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
        self._events.wake()
        assert self._runner is not None
        await self._runner.cleanup()

    def tell(self, topic: str, name: str, value: str, operation: str = "Changed") -> None:
        """Have an event: a topic such as `tns1:VideoSource/MotionAlarm`, and its value."""
        self._events.tell(topic, name, value, operation)

    def drop_subscriptions(self) -> None:
        """Forget who listens, as a camera does that was switched off."""
        self._events.drop_subscriptions()

    def find_profile(
        self, call: ElementTree.Element, among: Sequence[FakeProfile] | None = None
    ) -> FakeProfile:
        """Return the profile that a call names, of all or some."""
        token = text_of(call, "ProfileToken")
        every = (*self.profiles, *(self.media2_profiles or ()))
        for profile in every if among is None else among:
            if profile.token == token:
                return profile
        raise FaultError("ter:NoProfile", "no such profile")

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
        if self.is_picture_closed or not self._login.is_digest_right(request):
            self.refused += "Authorization" in request.headers
            return self._login.challenge(request)
        return web.Response(body=self.jpeg, content_type="image/jpeg")

    async def _soap(self, request: web.Request) -> web.Response:
        try:
            message = ElementTree.fromstring(await request.read())
        except ElementTree.ParseError:
            return self._fault(FaultError("ter:WellFormed", "no XML"))
        body = message.find("s:Body", NAMESPACES)
        assert body is not None
        (call,) = body
        namespace, _, operation = call.tag.removeprefix("{").rpartition("}")
        prefix = next((short for short, uri in NAMESPACES.items() if uri == namespace), "")
        name = f"tr2:{operation}" if prefix == "tr2" else operation
        self.asked.append(name)
        if to := message.findtext("s:Header/wsa:To", "", NAMESPACES):
            self.addressed.append(to)
        is_open = operation in OPEN and not self.hides_clock
        if not is_open and self.user:
            refusal = self._check_login(request, message)
            if refusal is not None:
                return refusal
        if name == self.hangs_on:
            await self._never.wait()
        try:
            if name in self.faults:
                raise FaultError(*self.faults[name])  # noqa: TRY301 (answered below)
            if name in self.answers:
                return self._envelope(self.answers[name])
            told = self._find_answer(prefix, operation)(call, request)
            return self._envelope(told if isinstance(told, str) else await told)
        except FaultError as error:
            return self._fault(error)

    def _find_answer(self, prefix: str, operation: str) -> Callable[..., str | Awaitable[str]]:
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
        service = self._services.get(prefix)
        answer: Callable[..., str | Awaitable[str]] | None = getattr(service, f"on_{name}", None)
        if answer is None:
            raise FaultError("ter:ActionNotSupported", f"no {operation} here")
        return answer

    def _check_login(
        self, request: web.Request, message: ElementTree.Element
    ) -> web.Response | None:
        if self.wants_digest:
            if self._login.is_digest_right(request):
                return None
            self.refused += "Authorization" in request.headers
            return self._login.challenge(request)
        if self._login.is_token_right(message):
            return None
        self.refused += 1
        return self._fault(FaultError("ter:NotAuthorized", "Sender not Authorized"), status=400)

    def _envelope(self, inner: str, status: int = 200) -> web.Response:
        text = envelope(inner)
        response = web.Response(text=text, status=status, content_type="application/soap+xml")
        date = datetime.now(UTC) if self.hides_clock else self.clock
        response.headers["Date"] = (
            "soon" if self.hides_clock else f"{date:%a, %d %b %Y %H:%M:%S} GMT"
        )
        return response

    def _fault(self, error: FaultError, status: int = 500) -> web.Response:
        return self._envelope(fault(error), status)
