"""What ONVIF cameras say, from dicts to ours. Pure: no I/O, no clock.

A camera may say anything: each value is taken for what it should be or left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from h5sup.devices.onvif.values import MAX_TOKEN, dig, items, number, text

MAX_PROFILES = 32
MAX_URL = 2048
MAX_PORT = 65535
PLACE = re.compile(
    r"(?:.*@)?(?:\[[^]]*]|[^][:@]*)(?::\d{1,5})*?(?::(\d{1,5}))?:?"
)  # the last port
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


def read_time(answer: Any) -> datetime | None:
    """Return the UTC of GetSystemDateAndTime (Device §8.3.3), None where there is none."""
    date, time = dig(answer, "UTCDateTime", "Date"), dig(answer, "UTCDateTime", "Time")
    try:
        return datetime(
            dig(date, "Year"),
            dig(date, "Month"),
            dig(date, "Day"),
            dig(time, "Hour"),
            dig(time, "Minute"),
            min(dig(time, "Second") or 0, 59),  # a leap second is no time of Python's
            tzinfo=UTC,
        )
    except (TypeError, ValueError, OverflowError):
        return None


def read_capabilities(answer: Any) -> dict[str, str]:
    """Return the addresses of GetCapabilities by service (Device §8.1.2)."""
    found = {}
    for service in CAPABILITIES:
        address = text(dig(answer, CAPABILITIES[service], "XAddr"), MAX_URL)
        if address:
            found[service] = address
    return found


def read_services(answer: Any) -> dict[str, str]:
    """Return the addresses of GetServices by service (Device §8.1.1)."""
    found: dict[str, str] = {}
    for raw in items(answer)[:MAX_SERVICES]:
        namespace = text(dig(raw, "Namespace"), MAX_URL).rstrip("/")
        address = text(dig(raw, "XAddr"), MAX_URL)
        if address and namespace in NAMESPACES:
            found.setdefault(NAMESPACES[namespace], address)
    return found


def read_profiles(answer: Any) -> list[OnvifProfile]:
    """Return the profiles of GetProfiles (Media §5.2) that have a token and a picture."""
    return [
        profile
        for raw in items(answer)[:MAX_PROFILES]
        if (
            profile := _read_profile(
                raw,
                encoder=dig(raw, "VideoEncoderConfiguration"),
                video_source=dig(raw, "VideoSourceConfiguration", "SourceToken"),
                ptz=dig(raw, "PTZConfiguration", "token"),
                service="media",
            )
        )
    ]


def read_media2_profiles(answer: Any) -> list[OnvifProfile]:
    """Return the same of Media2's GetProfiles (Media2 §5.2)."""
    return [
        profile
        for raw in items(dig(answer, "Profiles"))[:MAX_PROFILES]
        if (
            profile := _read_profile(
                raw,
                encoder=dig(raw, "Configurations", "VideoEncoder"),
                video_source=dig(raw, "Configurations", "VideoSource", "SourceToken"),
                ptz=dig(raw, "Configurations", "PTZ", "token"),
                service="media2",
            )
        )
    ]


def _read_profile(
    raw: Any, *, encoder: Any, video_source: Any, ptz: Any, service: str
) -> OnvifProfile | None:
    token = text(dig(raw, "token"), MAX_TOKEN)
    if not token or not isinstance(encoder, Mapping):
        return None
    return OnvifProfile(
        token=token,
        name=text(dig(raw, "Name"), 64),
        codec=_codec(text(dig(encoder, "Encoding"), 32)),
        width=number(dig(encoder, "Resolution", "Width")),
        height=number(dig(encoder, "Resolution", "Height")),
        fps=number(dig(encoder, "RateControl", "FrameRateLimit")),
        bitrate_kbps=number(dig(encoder, "RateControl", "BitrateLimit")),
        video_source=text(video_source, MAX_TOKEN),
        ptz=text(ptz, MAX_TOKEN),
        service=service,
    )


def _codec(told: str) -> str:
    """Return a codec by one name: Media2 has MIME's (RFC 4855), which some cameras give whole."""
    name = told.upper().rpartition("/")[2].replace(".", "")
    return "H265" if name == "HEVC" else name


def read_uri(answer: Any) -> str:
    """Return the URI of GetStreamUri or GetSnapshotUri; empty for none."""
    return text(dig(answer, "Uri"), MAX_URL)


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

    Cameras behind a router, or with two interfaces, tell the address that they have themselves,
    some none, some put RTSP's port behind the one that they were asked at (`rtsp://h:8000:554/`).
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        return ""
    place = PLACE.fullmatch(parts.netloc)
    if parts.scheme.lower() not in ("rtsp", "rtsps") or place is None:
        return ""
    port = int(place[1]) if place[1] else None
    if port is not None and not 1 <= port <= MAX_PORT:
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
