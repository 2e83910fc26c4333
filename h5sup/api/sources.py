"""Chapter 5.3 of the manual: sources and their pictures."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from aiohttp import web
from msgspec import Meta, Struct

from h5sup.api import present
from h5sup.api.call import Call, Caller, NoParameters
from h5sup.api.onvif import DEFAULT_PATH, Https, KnownBy
from h5sup.api.services import RtcFigures, Source
from h5sup.api.subject import CallToken
from h5sup.auth.guard import Access
from h5sup.base.errors import InvalidError
from h5sup.config.checks import check_host, check_onvif_path
from h5sup.config.loading import parse_source
from h5sup.devices.model import DeviceError

TypeFilter = Literal[
    "H5_FILE", "H5_STREAM", "H5_ONVIF", "H5_RTMP_PUSH", "H5_CLOUD", "H5_CH_DEV", "H5_CH_GB"
]
# Tokens are looked up, so their letters need no check here; channels of devices reach 128.
Token = Annotated[str, Meta(max_length=128)]
NewToken = Annotated[
    str, Meta(max_length=128, description="1 to 64 letters, digits, `_`, `.` or `-`, no `--`")
]
Url = Annotated[str, Meta(max_length=2048, description="URL-escaped")]
logger = logging.getLogger(__name__)

Short = Annotated[str, Meta(max_length=128)]


class GetSrcParameters(Struct, frozen=True):
    """Which sources to list."""

    token: Annotated[str, Meta(max_length=128, description="empty means all")] = ""
    getonline: Annotated[
        bool, Meta(description="taken for compatibility: the state costs nothing here")
    ] = True
    type: TypeFilter | None = None


class AddSrcFileParameters(Struct, frozen=True):
    """A file to loop."""

    token: NewToken
    name: Short
    url: Annotated[
        str, Meta(max_length=2048, description="path under paths.media_root, URL-escaped")
    ]
    servertoken: Annotated[str, Meta(max_length=128, description="must be empty")] = ""
    audio: bool = False


class AddSrcRTSPParameters(Struct, frozen=True):
    """A camera or server to connect to."""

    token: NewToken
    name: Short
    url: Annotated[
        str,
        Meta(
            max_length=2048,
            description="rtsp, rtsps, rtmp, rtmps, http or https address, URL-escaped; "
            "may hold user and password, which are taken out of it",
        ),
    ]
    user: Short = ""
    password: Short = ""
    servertoken: Annotated[str, Meta(max_length=128, description="must be empty")] = ""
    playback: Annotated[
        bool, Meta(description="the address is that of a recording, which plays once")
    ] = False
    speed: Annotated[float, Meta(ge=0.1, le=16, description="of a playback")] = 1.0
    audio: bool = False
    fingerprint: Annotated[KnownBy, Meta(description="of rtsps, as of AddSrcONVIF")] = ""


class AddSrcONVIFParameters(Struct, frozen=True):
    """A camera that is asked for its addresses by ONVIF."""

    token: NewToken
    name: Short
    user: Short
    password: Short
    ip: Annotated[str, Meta(min_length=1, max_length=255)]
    port: Annotated[int, Meta(ge=1, le=65535)]
    onvifaddr: Annotated[str, Meta(max_length=512)] = DEFAULT_PATH
    https: Https = False
    fingerprint: KnownBy = ""
    main: Annotated[
        str, Meta(max_length=128, description="profile to show; empty: the largest playable one")
    ] = ""
    sub: Annotated[
        str, Meta(max_length=128, description="profile for `profile=sub`; empty: the smallest")
    ] = ""
    servertoken: Annotated[str, Meta(max_length=128, description="must be empty")] = ""
    audio: bool = False


class TokenParameters(Struct, frozen=True):
    """One source."""

    token: Token


async def get_src(caller: Caller, given: GetSrcParameters) -> web.Response:
    """List the sources."""
    return present.answer(present.SourcesAnswer(list_sources(caller, given)))


async def add_src_file(caller: Caller, given: AddSrcFileParameters) -> web.Response:
    """Add a file."""
    _refuse_server(given.servertoken)
    config = parse_source(
        {
            "token": given.token,
            "name": given.name,
            "type": "file",
            "url": given.url,
            "audio": given.audio,
        }
    )
    await caller.services.sources.add(config)
    return present.done("Add successfully")


async def add_src_rtsp(caller: Caller, given: AddSrcRTSPParameters) -> web.Response:
    """Add a camera or server."""
    _refuse_server(given.servertoken)
    url, user, password = take_out_credentials(given.url)
    config = parse_source(
        {
            "token": given.token,
            "name": given.name,
            "type": "rtsp",
            "url": url,
            "user": given.user or user,
            "password": given.password or password,
            "audio": given.audio,
            "fingerprint": given.fingerprint,
            "playback": given.playback,
            "playback_speed": given.speed if given.playback else 1.0,
        }
    )
    await caller.services.sources.add(config)
    return present.done("Add successfully")


async def add_src_onvif(caller: Caller, given: AddSrcONVIFParameters) -> web.Response:
    """Add a camera by ONVIF; it is asked when it is started, and again when it has moved."""
    _refuse_server(given.servertoken)
    path = given.onvifaddr or DEFAULT_PATH
    check_host(given.ip, "ip")
    check_onvif_path(path, "onvifaddr")
    config = parse_source(
        {
            "token": given.token,
            "name": given.name,
            "type": "onvif",
            "host": given.ip,
            "port": given.port,
            "onvif_addr": path,
            "https": given.https,
            "fingerprint": given.fingerprint,
            "user": given.user,
            "password": given.password,
            "onvif_profile_main": given.main,
            "onvif_profile_sub": given.sub,
            "audio": given.audio,
        }
    )
    await caller.services.sources.add(config)
    return present.done("Add successfully")


async def del_src(caller: Caller, given: TokenParameters) -> web.Response:
    """Stop and forget a source."""
    await caller.services.sources.delete(given.token)
    return present.done("Delete successfully")


async def get_image(caller: Caller, given: TokenParameters) -> web.Response:
    """Return the newest picture, or the loading picture before the first frame."""
    services = caller.services
    jpeg = await services.pictures.jpeg(given.token) or await _find_own_picture(
        services.sources.get(given.token)
    )
    return web.Response(body=jpeg or services.loading_image, content_type="image/jpeg")


async def _find_own_picture(source: Source) -> bytes | None:
    """Return what an ONVIF camera itself gives as its picture, None where it gives none."""
    if source.onvif is None:
        return None
    try:
        return await source.onvif.picture()
    except DeviceError as error:
        logger.debug("%s gives no picture: %s", source.config.token, error)
        return None


async def get_loading_image(caller: Caller, given: NoParameters) -> web.Response:
    """Return the picture that is shown until the first frame."""
    del given
    return web.Response(body=caller.services.loading_image, content_type="image/jpeg")


def list_sources(caller: Caller, given: GetSrcParameters) -> list[present.SourceAnswer]:
    """Return the sources that are asked for; raises NotFoundError for a token without one."""
    services = caller.services
    if given.token:
        found: Sequence[Source] = [services.sources.get(given.token)]
    else:
        found = [one for one in services.sources.sources() if caller.may_see(one.config.token)]
    return _show(
        caller,
        [
            one
            for one in found
            if given.type is None or present.source_type(one.config) == given.type
        ],
    )


def list_channels(caller: Caller, device: str) -> list[present.SourceAnswer]:
    """Return the channels of a device that may be seen."""
    prefix = f"{device}--"
    return _show(
        caller,
        [
            one
            for one in caller.services.sources.sources()
            if one.config.token.startswith(prefix) and caller.may_see(one.config.token)
        ],
    )


def _show(caller: Caller, found: Sequence[Source]) -> list[present.SourceAnswer]:
    services = caller.services
    viewers: dict[str, list[RtcFigures]] = {}
    for figures in services.rtc_viewers.figures:
        viewers.setdefault(figures.token, []).append(figures)
    return [
        present.source(
            one,
            viewers.get(one.config.token, ()),
            is_recording=services.recordings.is_recording(one.config.token),
        )
        for one in found
    ]


def take_out_credentials(url: str) -> tuple[str, str, str]:
    """Return the URL without its user and password, and both of them decoded."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url, "", ""  # whoever checks the address says what is wrong with it
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, "", ""
    user, _, password = userinfo.partition(":")
    return urlunsplit(parts._replace(netloc=host)), unquote(user), unquote(password)


def _refuse_server(servertoken: str) -> None:
    if servertoken:
        raise InvalidError("servertoken", "must be empty: this server stands alone")


CALLS = (
    Call(
        name="GetSrc",
        section="5.3.1",
        description="Lists the sources with their state. Passwords are masked.",
        parameters=GetSrcParameters,
        answer=present.SourcesAnswer,
        role="Viewer",
        access=Access.READ,
        handler=get_src,
    ),
    Call(
        name="AddSrcFile",
        section="5.3.2",
        description="Adds a file of the media folder, played in a loop.",
        parameters=AddSrcFileParameters,
        answer=present.Outcome,
        role="Administrator",
        access=Access.ACT,
        handler=add_src_file,
        token=CallToken.NEW,
    ),
    Call(
        name="AddSrcRTSP",
        section="5.3.3",
        description="Adds a camera or server by its address.",
        parameters=AddSrcRTSPParameters,
        answer=present.Outcome,
        role="Administrator",
        access=Access.ACT,
        handler=add_src_rtsp,
        token=CallToken.NEW,
    ),
    Call(
        name="AddSrcONVIF",
        section="5.3.4",
        description="Adds an ONVIF camera, which tells its addresses itself.",
        parameters=AddSrcONVIFParameters,
        answer=present.Outcome,
        role="Administrator",
        access=Access.ACT,
        handler=add_src_onvif,
        token=CallToken.NEW,
    ),
    Call(
        name="DelSrc",
        section="5.3.6",
        description="Deletes a source that was added by API; one of config.json is refused.",
        parameters=TokenParameters,
        answer=present.Outcome,
        role="Administrator",
        access=Access.ACT,
        handler=del_src,
    ),
    Call(
        name="GetImage",
        section="5.3.1",
        description="The newest picture; before the first frame the one that an ONVIF camera "
        "gives by itself, or the loading picture.",
        parameters=TokenParameters,
        answer="image/jpeg",
        role="Viewer",
        access=Access.READ,
        handler=get_image,
    ),
    Call(
        name="GetLoadingImage",
        section="",
        description="The picture that is shown until the first frame.",
        parameters=NoParameters,
        answer="image/jpeg",
        role=None,
        access=Access.READ,
        handler=get_loading_image,
    ),
)
