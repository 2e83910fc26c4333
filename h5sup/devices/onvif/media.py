"""What pictures a camera offers, and where: Media2 is asked first, Media where that won't do.

Media2 alone can say H.265. It lists all profiles that there are, so Media is asked too only where
Media2 is missing or broken, or tells none that browsers play.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, Protocol

from h5sup.devices.model import DeviceError, DeviceFailure
from h5sup.devices.onvif.media2 import MEDIA2
from h5sup.devices.onvif.messages import (
    MAX_PROFILES,
    PLAYABLE,
    OnvifProfile,
    read_media2_profiles,
    read_profiles,
    read_uri,
    rehost,
)

MEDIA = "media"
MEDIA_SERVICES = frozenset({MEDIA, MEDIA2})
AT_ONCE = 4  # small cameras answer few requests side by side
# What does not speak against the rest of a camera; a refused login does.
FORGIVABLE = frozenset(
    {DeviceFailure.NO_ANSWER, DeviceFailure.UNSUPPORTED, DeviceFailure.NOT_UNDERSTOOD}
)


class Asked(Protocol):
    """A camera. Every method raises DeviceError."""

    async def services(self) -> Set[str]:
        """Return which services it has."""

    async def ask(
        self, service: str, operation: str, parameters: Mapping[str, Any] | None = None
    ) -> Any:
        """Call an operation."""


async def list_profiles(camera: Asked, host: str) -> list[OnvifProfile]:
    """Return what a camera offers, with addresses at a host; none if it offers nothing.

    A token that both services know is one profile, as Media2 describes it. Raises DeviceError.
    """
    services = await camera.services()
    modern: list[OnvifProfile] = []
    if MEDIA2 in services:
        try:
            modern = await _offer(camera, MEDIA2, host, frozenset())
        except DeviceError as error:
            if error.failure not in FORGIVABLE or MEDIA not in services:
                raise
    if MEDIA not in services or any(one.url and one.codec == PLAYABLE for one in modern):
        return modern
    had = {one.token for one in modern if one.url}
    try:
        classic = await _offer(camera, MEDIA, host, had)
    except DeviceError as error:
        if error.failure not in FORGIVABLE or not had:
            raise
        return modern
    told = {one.token for one in classic}
    kept = [one for one in modern if one.url or one.token not in told]
    return [*kept, *classic][:MAX_PROFILES]


async def find_picture(camera: Asked, profile: str, known: Sequence[OnvifProfile]) -> str:
    """Return the address of a profile's snapshot; raises DeviceError."""
    services = await camera.services()
    first = next((one.service for one in known if one.token == profile), MEDIA)
    order = [one for one in (MEDIA, MEDIA2) if one in services]
    order.sort(key=lambda one: one != first)
    given = {"ProfileToken": profile}
    for service in order[:-1]:
        try:
            return read_uri(await camera.ask(service, "GetSnapshotUri", given))
        except DeviceError as error:
            if error.failure not in FORGIVABLE:
                raise
    return read_uri(await camera.ask(order[-1], "GetSnapshotUri", given))


async def _offer(camera: Asked, service: str, host: str, without: Set[str]) -> list[OnvifProfile]:
    """Return the profiles of one service with their addresses, but for some."""
    if service == MEDIA2:
        profiles = read_media2_profiles(await camera.ask(service, "GetProfiles", {"Type": "All"}))
    else:
        profiles = read_profiles(await camera.ask(service, "GetProfiles"))
    wanted = [one for one in profiles if one.token not in without]
    if not wanted:
        return []
    gate = asyncio.Semaphore(AT_ONCE)

    async def find(profile: OnvifProfile) -> OnvifProfile:
        async with gate:
            return replace(profile, url=rehost(await _find_uri(camera, profile), host))

    # one alone first: a login that is refused is refused once, not four times
    found = [await find(wanted[0])]
    rest = await asyncio.gather(*(find(one) for one in wanted[1:]), return_exceptions=True)
    for outcome in rest:
        if isinstance(outcome, BaseException):
            raise outcome
        found.append(outcome)
    return found


async def _find_uri(camera: Asked, profile: OnvifProfile) -> str:
    """Return where a profile is had; empty where the camera refuses to say.

    That one profile has no address is no reason to lose all.
    """
    setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
    ways: list[dict[str, Any]] = [{"StreamSetup": setup, "ProfileToken": profile.token}]
    if profile.service == MEDIA2:
        # over TCP; what refuses that may know RTSP by its other name, and the address is the same
        ways = [
            {"Protocol": protocol, "ProfileToken": profile.token}
            for protocol in ("RTSP", "RtspUnicast")
        ]
    for given in ways:
        try:
            return read_uri(await camera.ask(profile.service, "GetStreamUri", given))
        except DeviceError as error:
            if error.failure is not DeviceFailure.NOT_UNDERSTOOD:
                raise
    return ""
