"""Chapter 5.4 of the manual: cameras that speak ONVIF, found and asked."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct, field

from h5sup.api import present
from h5sup.api.call import Call, Caller
from h5sup.api.subject import CallToken
from h5sup.auth.guard import Access
from h5sup.base.errors import InvalidError
from h5sup.config.checks import check_fingerprint, check_host, check_onvif_path
from h5sup.devices.model import DeviceError
from h5sup.devices.onvif.connection import Address
from h5sup.devices.onvif.messages import OnvifProfile

CANNOT_CONNECT = "can't connect device"  # the manual's words, which its clients look for
DEFAULT_PATH = "/onvif/device_service"
Https = Annotated[bool, Meta(description="it speaks HTTPS, as at port 443 it always does")]
KnownBy = Annotated[
    str,
    Meta(
        max_length=95,
        description="SHA-256 of the certificate that it shows over HTTPS, 64 hexadecimal digits, "
        "colons between them or not; empty: what the authorities vouch for, else the first seen",
    ),
]
Server = Annotated[str, Meta(max_length=128, description="must be empty")]


class OnvifSearchParameters(Struct, frozen=True):
    """How long to listen."""

    timeout: Annotated[float, Meta(ge=1, le=60, description="in seconds")] = 10.0
    servertoken: Server = ""


class OnvifProbeParameters(Struct, frozen=True):
    """Which camera to ask."""

    ip: Annotated[str, Meta(min_length=1, max_length=255)]
    port: Annotated[int, Meta(ge=1, le=65535)]
    user: Annotated[str, Meta(max_length=128)]
    password: Annotated[str, Meta(max_length=128)]
    onvifaddr: Annotated[str, Meta(max_length=512)] = DEFAULT_PATH
    https: Https = False
    fingerprint: KnownBy = ""
    servertoken: Server = ""


class OnvifDeviceAnswer(Struct, frozen=True):
    """A camera that answered a search."""

    host: str = field(name="strIp")
    port: str = field(name="strPort")
    path: str = field(name="strOnvifAddr")
    model: str = field(name="strModel")
    is_tls: bool = field(name="bHttps", default=False)
    """It is to be asked with `https`."""


class OnvifDevicesAnswer(Struct, frozen=True):
    """All that answered."""

    devices: list[OnvifDeviceAnswer] = field(name="device")


class OnvifProfileAnswer(Struct, frozen=True, kw_only=True):
    """One of the pictures that a camera offers."""

    token: str = field(name="strToken")
    codec: str = field(name="strCodecName")
    name: str = field(name="strName")
    url: str = field(name="strRtspUrl")
    width: int = field(name="nWidth")
    height: int = field(name="nHeight")
    fps: int = field(name="nFps")
    bandwidth: int = field(name="nBandwidth")
    """In kbit/s."""
    has_url: bool = field(name="bGotUrl")


class OnvifProfilesAnswer(Struct, frozen=True):
    """All that a camera offers."""

    profiles: list[OnvifProfileAnswer] = field(name="profile")


class OnvifRefusal(Struct, frozen=True):
    """A camera that can't be asked: the manual's sentence, and what it was in truth."""

    sentence: str = field(name="strReason")
    failure: str = field(name="strFailure")
    is_done: bool = field(name="bStatus", default=False)
    code: str = field(name="strCode", default=CANNOT_CONNECT)


async def onvif_search(caller: Caller, given: OnvifSearchParameters) -> web.Response:
    """Search all networks for cameras."""
    _refuse_server(given.servertoken)
    found = await caller.services.onvif.search(given.timeout)
    return present.answer(
        OnvifDevicesAnswer(
            [
                OnvifDeviceAnswer(one.host, str(one.port), one.path, one.model, one.is_tls)
                for one in found
            ]
        )
    )


async def onvif_probe(caller: Caller, given: OnvifProbeParameters) -> web.Response:
    """Ask a camera for its profiles."""
    _refuse_server(given.servertoken)
    path = given.onvifaddr or DEFAULT_PATH
    check_host(given.ip, "ip")
    check_onvif_path(path, "onvifaddr")
    check_fingerprint(given.fingerprint, "fingerprint")
    address = Address(
        host=given.ip,
        port=given.port,
        path=path,
        user=given.user,
        password=given.password,
        is_tls=given.https,
        fingerprint=given.fingerprint,
    )
    try:
        profiles = await caller.services.onvif.probe(address)
    except DeviceError as error:
        return present.answer(OnvifRefusal(str(error), error.failure.value))
    return present.answer(OnvifProfilesAnswer([_profile(one) for one in profiles]))


def _profile(one: OnvifProfile) -> OnvifProfileAnswer:
    return OnvifProfileAnswer(
        token=one.token,
        codec=one.codec,
        name=f"{one.codec} {one.width} x {one.height} {one.fps}fps {one.bitrate_kbps}kbps",
        url=one.url,
        width=one.width,
        height=one.height,
        fps=one.fps,
        bandwidth=one.bitrate_kbps,
        has_url=bool(one.url),
    )


def _refuse_server(servertoken: str) -> None:
    if servertoken:
        raise InvalidError("servertoken", "must be empty: this server stands alone")


CALLS = (
    Call(
        name="OnvifSearch",
        section="5.4.1",
        description="Searches all networks of this server for ONVIF cameras. Searches follow one "
        "another; the answer comes when the time is over.",
        parameters=OnvifSearchParameters,
        answer=OnvifDevicesAnswer,
        role="Administrator",
        access=Access.ACT,
        handler=onvif_search,
        token=CallToken.OTHER,
    ),
    Call(
        name="OnvifProbe",
        section="5.4.2",
        description="Asks an ONVIF camera for its profiles. Where that fails strCode is the "
        "manual's `can't connect device`, strReason says why, and strFailure is one of "
        "`unreachable`, `no_answer`, `wrong_password`, `locked_out`, `clock`, `certificate`, "
        "`unsupported` and `not_understood`.",
        parameters=OnvifProbeParameters,
        answer=OnvifProfilesAnswer,
        role="Administrator",
        access=Access.ACT,
        handler=onvif_probe,
        token=CallToken.OTHER,
    ),
)
