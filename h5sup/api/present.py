"""Our objects in H5Stream's words; the only place that knows the wire names."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec
from aiohttp import web
from msgspec import Struct, field

from h5sup.api.services import RtcFigures, Source, SystemFacts
from h5sup.auth.guard import Identity
from h5sup.auth.login import SignedIn
from h5sup.auth.users import User
from h5sup.base.clock import iso_ms
from h5sup.base.errors import LoginError
from h5sup.base.logs import redact
from h5sup.config.model import Connect, SourceConfig, SourceType, Transport

MASKED = "*****"
MAX_ADDRESSES = 1024
TYPES: dict[SourceType, str] = {
    "file": "H5_FILE",
    "rtsp": "H5_STREAM",
    "onvif": "H5_ONVIF",
    "device": "H5_CH_DEV",
}
CONNECTS: dict[Connect, str] = {
    "always": "H5_ALWAYS",
    "ondemand": "H5_ONDEMAND",
    "auto": "H5_AUTO",
}
TRANSPORTS: dict[Transport, str] = {
    "auto": "H5_RTSP_AUTO",
    "tcp": "H5_RTSP_TCP",
    "udp": "H5_RTSP_UDP",
    "http": "H5_RTSP_HTTP",
    "https": "H5_RTSP_HTTPS",
}
DEFAULT_PORTS = {
    "rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443, "http": 80, "https": 443,
}  # fmt: skip
CODECS = {"avc1": "H.264", "avc3": "H.264", "hvc1": "H.265", "hev1": "H.265"}


class Outcome(Struct, frozen=True):
    """Whether it worked, and a sentence."""

    is_done: bool = field(name="bStatus")
    sentence: str = field(name="strCode")


class LoginRefusal(Struct, frozen=True, omit_defaults=True):
    """A login that failed."""

    is_done: bool = field(name="bStatus")
    sentence: str = field(name="strCode")
    faults: int = field(name="nFaultTimes")
    locked_s: int = field(name="tLockTimeResidue", default=0)


class SessionAnswer(Struct, frozen=True):
    """A login that worked."""

    is_done: bool = field(name="bStatus")
    session_id: str = field(name="strSession")
    timeout_s: int = field(name="nTimeout")
    role: str = field(name="strRole")


class SystemAnswer(Struct, frozen=True):
    """Which server this is."""

    version: str = field(name="strVersion")
    host_id: str = field(name="strHostId")
    license_type: str = field(name="strLicenseType", default="None")
    license_full: str = field(name="strLicenseFull", default="")
    channel_limit: str = field(name="strChannelLimit", default="unlimited")
    end_time: str = field(name="strEndtime", default="unlimited")
    has_default_password: bool = field(name="bDefaultPassword", default=False)
    """Told to Administrators alone."""


class RtcViewerAnswer(Struct, frozen=True, kw_only=True):
    """How media arrives at one WebRTC viewer, as it reports itself."""

    name: str = field(name="strViewer")
    loss_percent: float = field(name="fLossPercent")
    jitter_ms: float = field(name="fJitterMs")
    round_trip_ms: float | None = field(name="fRoundTripMs")
    packets: int = field(name="nPackets")
    resent: int = field(name="nResent")


class SourceAnswer(Struct, frozen=True, kw_only=True):
    """One source: the manual's keys first, then ours."""

    type: str = field(name="nType")
    name: str = field(name="strName")
    token: str = field(name="strToken")
    url: str = field(name="strUrl")
    user: str = field(name="strUser")
    password: str = field(name="strPasswd")
    is_password_encrypted: bool = field(name="bPasswdEncrypt", default=False)
    has_audio: bool = field(name="bEnableAudio")
    connect: str = field(name="nConnectType")
    transport: str = field(name="nRTSPType")
    host: str = field(name="strSrcIpAddress")
    port: str = field(name="strSrcPort")
    channel_number: int = field(name="nChannelNumber", default=0)
    is_onvif_profile_auto: bool = field(name="bOnvifProfileAuto", default=False)
    onvif_address: str = field(name="strOnvifAddr", default="")
    onvif_profile_main: str = field(name="strOnvifProfileMain", default="")
    onvif_profile_sub: str = field(name="strOnvifProfileSub", default="")
    is_playback: bool = field(name="bRTSPPlayback", default=False)
    """It plays a recording once, as AddSrcRTSP was told. A channel of a recorder never does: its
    recordings are played by playbacks."""
    playback_speed: float = field(name="nRTSPPlaybackSpeed", default=0)
    """0, as in the manual, where nothing is played back."""
    is_online: bool = field(name="bOnline")
    picture_url: str = field(name="strSnapshotUrl")
    is_recording: bool = field(name="bRec")
    """Its pictures go to the disk."""
    server_token: str = field(name="strServerToken", default="")
    original_token: str = field(name="strOriginalToken", default="")
    server_uuid: str = field(name="strServerUuid", default="")
    state: str = field(name="strState")
    reason: str = field(name="strReason")
    since: str = field(name="strSince")
    fps: int = field(name="nFps")
    bitrate_kbps: int = field(name="nBitrateKbps")
    viewers: int = field(name="nViewers")
    video_codec: str = field(name="strVideoCodec")
    width: int = field(name="nWidth")
    height: int = field(name="nHeight")
    has_sub: bool = field(name="bSub")
    can_move: bool = field(name="bPtz")
    """Its camera can be steered, as far as is known: an ONVIF camera is asked when it starts."""
    is_fixed: bool = field(name="bFixed")
    """It stands in config.json, so DelSrc refuses it."""
    note: str = field(name="strNote")
    """Why viewers get another picture than the camera's; empty for most."""
    rtc: list[RtcViewerAnswer] = field(name="rtc")


class SourcesAnswer(Struct, frozen=True):
    """The list of GetSrc."""

    sources: list[SourceAnswer] = field(name="src")


class UserAnswer(Struct, frozen=True):
    """One user: H5Stream's keys first, then ours. No password, in no form."""

    name: str = field(name="strUser")
    role: str = field(name="strUserType")
    sources: tuple[str, ...] = field(name="sources")
    is_fixed: bool = field(name="bFixed")
    """It stands in config.json, so DeleteUser refuses it."""


class UsersAnswer(Struct, frozen=True):
    """The list of GetUserList."""

    users: list[UserAnswer] = field(name="users")


class UserInfoAnswer(Struct, frozen=True):
    """What one user may."""

    name: str = field(name="strUser")
    user_type: str = field(name="strUserType")
    role: str = field(name="strRole")
    sources: tuple[str, ...] = field(name="sources")


class ConnectionsAnswer(Struct, frozen=True):
    """How many viewers an output has."""

    connections: int = field(name="nConnectCount")


def answer(body: Struct, *, status: int = 200) -> web.Response:
    """Return JSON followed by CRLF, as every call answers."""
    return web.Response(
        body=msgspec.json.encode(body) + b"\r\n", content_type="application/json", status=status
    )


def done(sentence: str) -> web.Response:
    """Return that it worked."""
    return answer(Outcome(is_done=True, sentence=sentence))


def refusal(error: Exception) -> Struct:
    """Return why it did not work."""
    if isinstance(error, LoginError):
        return LoginRefusal(False, str(error), error.faults, error.locked_s)
    return Outcome(is_done=False, sentence=str(error))


def session(signed_in: SignedIn) -> SessionAnswer:
    """Return what a login gives."""
    return SessionAnswer(
        is_done=True,
        session_id=signed_in.session_id,
        timeout_s=signed_in.timeout_s,
        role=signed_in.role,
    )


def user(one: User) -> UserAnswer:
    """Return a user without the hash."""
    return UserAnswer(one.name, one.role, one.sources, one.is_fixed)


def user_info(one: Identity) -> UserInfoAnswer:
    """Return what one may."""
    return UserInfoAnswer(one.name, one.role, one.role, one.sources)


def system(facts: SystemFacts, *, has_default_password: bool) -> SystemAnswer:
    """Return which server this is."""
    return SystemAnswer(
        version=facts.version, host_id=facts.host_id, has_default_password=has_default_password
    )


def source_type(config: SourceConfig) -> str:
    """Return a source's type in H5Stream's words."""
    return TYPES[config.type]


def source(
    one: Source, rtc: Iterable[RtcFigures] = (), *, is_recording: bool = False
) -> SourceAnswer:
    """Return a source without its password, with how its WebRTC viewers fare."""
    config, state, channel = one.config, one.state, one.main.channel
    video = channel.init.video if channel.init else None
    url, host, port = _address(config.type, one.onvif.url if one.onvif else config.url)
    if one.onvif is not None:
        host, port = config.host, str(config.port)
    return SourceAnswer(
        type=source_type(config),
        name=config.name or config.token,
        token=config.token,
        url=url,
        user=config.user,
        password=MASKED if config.password else "",
        has_audio=config.audio,
        connect=CONNECTS[config.connect],
        transport=TRANSPORTS[config.transport],
        host=host,
        port=port,
        channel_number=int(config.token.rpartition("--")[2]) if config.type == "device" else 0,
        is_onvif_profile_auto=one.onvif is not None and not config.onvif_profile_main,
        onvif_address=config.onvif_addr if one.onvif else "",
        onvif_profile_main=one.onvif.main if one.onvif else "",
        onvif_profile_sub=one.onvif.sub if one.onvif else "",
        is_playback=config.playback,
        playback_speed=_whole(config.playback_speed) if config.playback else 0,
        is_online=one.is_online,
        picture_url=f"/api/v1/GetImage?token={quote(config.token)}",
        is_recording=is_recording,
        state=state.state,
        reason=redact(state.reason) if state.reason else "",
        since=iso_ms(state.since),
        fps=round(channel.rates.fps),
        bitrate_kbps=round(channel.rates.bitrate_kbps),
        viewers=one.viewers,
        video_codec=CODECS.get(video.codec[:4], video.codec) if video else "",
        width=video.width if video else 0,
        height=video.height if video else 0,
        has_sub=one.has_sub,
        can_move=one.can_move,
        is_fixed=one.from_file,
        note=one.note,
        rtc=[_rtc_viewer(viewer) for viewer in rtc],
    )


def _whole(number: float) -> float:
    """Return a number without the `.0` that those who want an integer would stumble over."""
    return int(number) if number.is_integer() else number


def _rtc_viewer(one: RtcFigures) -> RtcViewerAnswer:
    trip_ms = one.round_trip_ms
    return RtcViewerAnswer(
        name=one.name,
        loss_percent=round(one.loss * 100, 1),
        jitter_ms=round(one.jitter_ms, 1),
        round_trip_ms=None if trip_ms is None else round(trip_ms, 1),
        packets=one.packets,
        resent=one.resent,
    )


@lru_cache(MAX_ADDRESSES)
def _address(source_type: SourceType, url: str) -> tuple[str, str, str]:
    """Return an address without secrets, its host and its port.

    Remembered: taking addresses apart is half of what a long list costs.
    """
    if source_type == "file":
        return url, "", ""
    if not url:
        return "", "", ""
    parts = urlsplit(url)
    safe = redact(urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])))
    return safe, parts.hostname or "", str(parts.port or DEFAULT_PORTS[parts.scheme])
