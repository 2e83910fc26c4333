"""What ONVIF cameras say, from dicts to ours. Pure: no I/O, no clock.

A camera may say anything: each value is taken for what it should be or left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

MAX_PROFILES = 32
MAX_TOKEN = 64  # ONVIF's ReferenceToken
MAX_URL = 2048
PLAYABLE = "H264"  # what every browser plays
CAPABILITIES = {"media": "Media", "ptz": "PTZ", "imaging": "Imaging", "events": "Events"}
NAMESPACES = {
    "http://www.onvif.org/ver10/media/wsdl": "media",
    "http://www.onvif.org/ver20/media/wsdl": "media2",
    "http://www.onvif.org/ver20/ptz/wsdl": "ptz",
    "http://www.onvif.org/ver20/imaging/wsdl": "imaging",
    "http://www.onvif.org/ver10/events/wsdl": "events",
}
MAX_SERVICES = 64
SPACES = {
    "pan_tilt": "ContinuousPanTiltVelocitySpace",
    "zoom": "ContinuousZoomVelocitySpace",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OnvifProfile:
    """One of the pictures that a camera offers."""

    token: str
    name: str
    codec: str
    """As the camera calls it: JPEG, H264, H265; empty where it does not say."""
    width: int
    height: int
    fps: int
    bitrate_kbps: int
    video_source: str
    """The token of what it looks through."""
    ptz: str
    """The token of its PTZ configuration; empty for a camera that does not move."""
    service: str = "media"
    """Which service tells of it: `media` or `media2`."""
    url: str = ""
    """Where it is had; empty where the camera would not say."""

    @property
    def pixels(self) -> int:
        """Return how large its picture is."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Reach:
    """The speeds that a camera takes, from its slowest to its fastest."""

    low: float = -1.0
    high: float = 1.0

    def at(self, share: float) -> float:
        """Return a speed for -1 to 1."""
        share = max(-1.0, min(1.0, share))
        return share * self.high if share >= 0 else -share * self.low


@dataclass(frozen=True, slots=True)
class Reaches:
    """How fast a camera turns and zooms."""

    pan: Reach = Reach()
    tilt: Reach = Reach()
    zoom: Reach = Reach()


def read_time(answer: Any) -> datetime | None:
    """Return the UTC of GetSystemDateAndTime (Device §8.3.3), None where there is none."""
    date, time = _dig(answer, "UTCDateTime", "Date"), _dig(answer, "UTCDateTime", "Time")
    try:
        return datetime(
            _dig(date, "Year"),
            _dig(date, "Month"),
            _dig(date, "Day"),
            _dig(time, "Hour"),
            _dig(time, "Minute"),
            min(_dig(time, "Second") or 0, 59),  # a leap second is no time of Python's
            tzinfo=UTC,
        )
    except (TypeError, ValueError, OverflowError):
        return None


def read_capabilities(answer: Any) -> dict[str, str]:
    """Return the addresses of GetCapabilities by service (Device §8.1.2)."""
    found = {}
    for service in CAPABILITIES:
        address = _text(_dig(answer, CAPABILITIES[service], "XAddr"), MAX_URL)
        if address:
            found[service] = address
    return found


def read_services(answer: Any) -> dict[str, str]:
    """Return the addresses of GetServices by service (Device §8.1.1)."""
    found: dict[str, str] = {}
    for raw in _list(answer)[:MAX_SERVICES]:
        namespace = _text(_dig(raw, "Namespace"), MAX_URL).rstrip("/")
        address = _text(_dig(raw, "XAddr"), MAX_URL)
        if address and namespace in NAMESPACES:
            found.setdefault(NAMESPACES[namespace], address)
    return found


def read_profiles(answer: Any) -> list[OnvifProfile]:
    """Return the profiles of GetProfiles (Media §5.2) that have a token and a picture."""
    return [
        profile
        for raw in _list(answer)[:MAX_PROFILES]
        if (
            profile := _read_profile(
                raw,
                encoder=_dig(raw, "VideoEncoderConfiguration"),
                video_source=_dig(raw, "VideoSourceConfiguration", "SourceToken"),
                ptz=_dig(raw, "PTZConfiguration", "token"),
                service="media",
            )
        )
    ]


def read_media2_profiles(answer: Any) -> list[OnvifProfile]:
    """Return the same of Media2's GetProfiles (Media2 §5.2)."""
    return [
        profile
        for raw in _list(_dig(answer, "Profiles"))[:MAX_PROFILES]
        if (
            profile := _read_profile(
                raw,
                encoder=_dig(raw, "Configurations", "VideoEncoder"),
                video_source=_dig(raw, "Configurations", "VideoSource", "SourceToken"),
                ptz=_dig(raw, "Configurations", "PTZ", "token"),
                service="media2",
            )
        )
    ]


def _read_profile(
    raw: Any, *, encoder: Any, video_source: Any, ptz: Any, service: str
) -> OnvifProfile | None:
    token = _text(_dig(raw, "token"), MAX_TOKEN)
    if not token or not isinstance(encoder, Mapping):
        return None
    return OnvifProfile(
        token=token,
        name=_text(_dig(raw, "Name"), 64),
        codec=_codec(_text(_dig(encoder, "Encoding"), 32)),
        width=_number(_dig(encoder, "Resolution", "Width")),
        height=_number(_dig(encoder, "Resolution", "Height")),
        fps=_number(_dig(encoder, "RateControl", "FrameRateLimit")),
        bitrate_kbps=_number(_dig(encoder, "RateControl", "BitrateLimit")),
        video_source=_text(video_source, MAX_TOKEN),
        ptz=_text(ptz, MAX_TOKEN),
        service=service,
    )


def _codec(told: str) -> str:
    """Return a codec by one name: Media2 has MIME's (RFC 4855), which some cameras give whole."""
    name = told.upper().rpartition("/")[2].replace(".", "")
    return "H265" if name == "HEVC" else name


def read_uri(answer: Any) -> str:
    """Return the URI of GetStreamUri or GetSnapshotUri; empty for none."""
    return _text(_dig(answer, "Uri"), MAX_URL)


def read_presets(answer: Any) -> list[tuple[str, str]]:
    """Return token and name of GetPresets (PTZ §5.4.2)."""
    found = []
    for raw in _list(answer)[:1000]:
        token = _text(_dig(raw, "token"), MAX_TOKEN)
        if token:
            found.append((token, _text(_dig(raw, "Name"), MAX_TOKEN)))
    return found


def read_reaches(answer: Any) -> Reaches:
    """Return the speeds of GetConfigurationOptions (PTZ §5.2.4)."""
    spaces = _dig(answer, "Spaces")
    pan_tilt = next(iter(_list(_dig(spaces, SPACES["pan_tilt"]))), None)
    zoom = next(iter(_list(_dig(spaces, SPACES["zoom"]))), None)
    return Reaches(
        pan=_reach(_dig(pan_tilt, "XRange")),
        tilt=_reach(_dig(pan_tilt, "YRange")),
        zoom=_reach(_dig(zoom, "XRange")),
    )


def read_preset_token(answer: Any) -> str:
    """Return the token of SetPreset's answer (PTZ §5.4.1); empty where the camera says none."""
    return _text(answer if isinstance(answer, str) else _dig(answer, "PresetToken"), MAX_TOKEN)


def read_focus_reach(answer: Any) -> Reach:
    """Return the speeds of GetMoveOptions (Imaging §5.1.6)."""
    return _reach(_dig(answer, "Continuous", "Speed"))


def read_auxiliaries(answer: Any) -> list[str]:
    """Return the auxiliary commands that the nodes of GetNodes take (PTZ §5.1.1)."""
    return [
        text
        for node in _list(answer)[:MAX_PROFILES]
        for raw in _list(_dig(node, "AuxiliaryCommands"))[:MAX_PROFILES]
        if (text := _text(raw, 128))
    ]


def choose_profiles(
    profiles: Sequence[OnvifProfile], main: str, sub: str
) -> tuple[OnvifProfile | None, OnvifProfile | None]:
    """Return the profiles to show large and small, those of the given tokens if there are any.

    By itself it takes the largest and the smallest that browsers play. None for a token that the
    camera does not know, and for a small one of a camera that has but one.
    """
    there = [one for one in profiles if one.url] or list(profiles)
    playable = [one for one in there if one.codec == PLAYABLE]
    pool = playable or [one for one in there if one.codec != "JPEG"] or there
    by_token = {one.token: one for one in profiles}
    large = by_token.get(main) if main else max(pool, key=_pixels, default=None)
    if sub:
        return large, by_token.get(sub)
    small = min(pool, key=_pixels, default=None)
    if large is None or small is None or small.token == large.token:
        return large, None
    return large, small if small.pixels < large.pixels else None


def rehost(uri: str, host: str) -> str:
    """Return an RTSP address at the host we know, without a login in it; empty for no RTSP.

    Cameras behind a router, or with two interfaces, tell the address that they have themselves.
    """
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme.lower() not in ("rtsp", "rtsps") or not parts.hostname:
        return ""
    if any(ord(letter) <= 0x20 or ord(letter) == 0x7F for letter in uri):
        return ""
    bare = host.removeprefix("[").removesuffix("]")
    netloc = f"[{bare}]" if ":" in bare else bare
    if port is not None:
        netloc += f":{port}"
    return urlunsplit(parts._replace(scheme=parts.scheme.lower(), netloc=netloc, fragment=""))


def path_of(address: str) -> str:
    """Return path and query of an address that a camera told; `/` for one of no sense."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "/"
    path = parts.path if parts.path.startswith("/") else "/"
    found = f"{path}?{parts.query}" if parts.query else path
    return found if found.isascii() and found.isprintable() and " " not in found else "/"


def _pixels(profile: OnvifProfile) -> int:
    return profile.pixels


def _reach(raw: Any) -> Reach:
    low, high = _dig(raw, "Min"), _dig(raw, "Max")
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return Reach()
    if not (math.isfinite(low) and math.isfinite(high) and low <= 0 <= high and low < high):
        return Reach()
    return Reach(float(low), float(high))


def _dig(value: Any, *keys: str) -> Any:
    """Return what lies below keys of nested dicts, None where one is missing."""
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _text(value: Any, longest: int) -> str:
    """Return a text; nothing for what is no text, too long or can't be shown."""
    text = value.strip() if isinstance(value, str) else ""
    return text if len(text) <= longest and text.isprintable() else ""


def _number(value: Any) -> int:
    """Return a count, also of a text; 0 for what is none."""
    if isinstance(value, str):
        try:
            value = float(value[:32])
        except ValueError:
            return 0
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if math.isfinite(value) and 0 <= value <= 10_000_000 else 0
