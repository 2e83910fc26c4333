"""A source whose addresses an ONVIF camera tells: which profiles it plays, and where they are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from h5sup.base.errors import Failure, SourceError
from h5sup.base.logs import source_logger
from h5sup.base.tasks import report_crash
from h5sup.config.model import SourceConfig
from h5sup.devices.model import DeviceError, DeviceFailure, Steerable
from h5sup.devices.onvif.camera import Camera
from h5sup.devices.onvif.connection import Address
from h5sup.devices.onvif.events import Noticed, OnvifEvents
from h5sup.devices.onvif.messages import OnvifProfile, choose_profiles
from h5sup.devices.onvif.ptz import OnvifSteering
from h5sup.events.event import AlarmIn, Motion
from h5sup.events.hub import Hub
from h5sup.ffmpeg.media import Input

FAILURES: dict[DeviceFailure, Failure] = {
    DeviceFailure.UNREACHABLE: Failure.UNREACHABLE,
    DeviceFailure.NO_ANSWER: Failure.NO_ANSWER,
    DeviceFailure.WRONG_PASSWORD: Failure.WRONG_PASSWORD,
    DeviceFailure.LOCKED_OUT: Failure.WRONG_PASSWORD,
    DeviceFailure.CLOCK: Failure.WRONG_PASSWORD,
    DeviceFailure.NO_LOGIN: Failure.WRONG_PASSWORD,
    DeviceFailure.CERTIFICATE: Failure.REFUSED,
    DeviceFailure.UNSUPPORTED: Failure.NOT_FOUND,
    DeviceFailure.NOT_UNDERSTOOD: Failure.NOT_FOUND,
}
GONE = frozenset({DeviceFailure.UNREACHABLE, DeviceFailure.NO_ANSWER})
PICTURE_S = 1.0  # a picture this old is shown again rather than fetched anew
PICTURE_PAUSE_S = 10.0  # after a camera gave none


class Cameras(Protocol):
    """What makes cameras, shared by all sources of this kind."""

    def camera(self, address: Address, *, token: str = "") -> Camera:
        """Return a camera, of which nothing is known yet but perhaps its certificate."""


class OnvifSource:
    """The camera behind one source. Owned by the Source."""

    def __init__(self, config: SourceConfig, cameras: Cameras, hub: Hub) -> None:
        self._config = config
        self._hub = hub
        self._listening: asyncio.Task[None] | None = None
        self.camera = cameras.camera(address_of(config), token=config.token)
        self.steering: Steerable = OnvifSteering(self.camera, config.onvif_profile_main)
        """What moves it; says so itself where it can't be moved."""
        self._main: OnvifProfile | None = None
        self._sub: OnvifProfile | None = None
        self._is_known = False
        self.can_move = False
        """Whether it has a profile that moves; False before it was asked."""
        self._proven: dict[str, bool] = {}
        self._picture: tuple[float, bytes] | None = None
        self._no_picture: tuple[float, DeviceError] | None = None
        self._fetching = asyncio.Lock()

    def start(self) -> None:
        """Listen to what the camera notices, also while nobody watches."""
        events = OnvifEvents(self.camera, self._tell, source_logger(self._config.token))
        self._listening = asyncio.create_task(events.run(), name=f"events of {self._config.token}")
        self._listening.add_done_callback(report_crash)

    async def aclose(self) -> None:
        """Listen no longer."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    @property
    def main(self) -> str:
        """Return the token of the large profile: the chosen one, or the one found."""
        return self._config.onvif_profile_main or (self._main.token if self._main else "")

    @property
    def sub(self) -> str:
        """Return the token of the small profile: the chosen one, or the one found."""
        return self._config.onvif_profile_sub or (self._sub.token if self._sub else "")

    @property
    def url(self) -> str:
        """Return where the large picture is; empty before the camera was asked."""
        return self._main.url if self._main else ""

    @property
    def has_sub(self) -> bool:
        """Return whether there is a small picture, as far as is known."""
        return bool(self.sub)

    @property
    def may_have_sub(self) -> bool:
        """Return whether a small picture is worth asking for."""
        return self.has_sub or not self._is_known

    async def locate(self, name: str) -> Input:
        """Return where `main` or `sub` is; raises SourceError.

        The camera is asked at first and whenever the address it told has not led to pictures,
        for then the address or the profile may be another.
        """
        known = self._address(name)
        if known is None or not self._proven.get(name, False):
            try:
                await self._ask()
            except DeviceError as error:
                if known is None or error.failure not in GONE:
                    raise as_source_error(error) from error
                # its pictures may be there though its other services are not
        self._proven[name] = False
        found = self._address(name)
        if found is None:
            raise SourceError(Failure.NOT_FOUND, self._why_none(name))
        config = self._config
        return Input(
            kind="rtsp",
            url=found,
            transport=config.transport,
            user=config.user,
            password=config.password,
        )

    def worked(self, name: str) -> None:
        """Note that `main` or `sub` gives pictures: its address holds until it fails."""
        self._proven[name] = True

    async def picture(self) -> bytes:
        """Return a JPEG by the camera's own address; raises DeviceError."""
        loop = asyncio.get_running_loop()
        async with self._fetching:
            if self._picture is not None and loop.time() - self._picture[0] < PICTURE_S:
                return self._picture[1]
            if self._no_picture is not None and loop.time() < self._no_picture[0]:
                raise DeviceError(self._no_picture[1].failure, str(self._no_picture[1]))
            try:
                token = self.main or (await self._ask()).token
                jpeg = await self.camera.picture(token)
            except DeviceError as error:
                self._no_picture = (loop.time() + PICTURE_PAUSE_S, error)
                raise
            self._picture = (loop.time(), jpeg)
            return jpeg

    def _tell(self, noticed: Noticed) -> None:
        token = self._config.token
        if noticed.kind == "motion":
            self._hub.tell(Motion(token, noticed.is_on))
        else:
            self._hub.tell(AlarmIn(token, noticed.source, noticed.is_on))

    async def _ask(self) -> OnvifProfile:
        config, profiles = self._config, await self.camera.profiles()
        self._main, self._sub = choose_profiles(
            profiles, config.onvif_profile_main, config.onvif_profile_sub
        )
        self._is_known = True
        self.can_move = any(profile.ptz for profile in profiles)
        if self._main is None:
            raise DeviceError(DeviceFailure.NOT_UNDERSTOOD, self._why_none("main", profiles))
        return self._main

    def _address(self, name: str) -> str | None:
        profile = self._main
        if name == "sub" and (self._sub is not None or self._config.onvif_profile_sub):
            profile = self._sub
        return (profile.url or None) if profile is not None else None

    def _why_none(self, name: str, profiles: Sequence[OnvifProfile] = ()) -> str:
        config = self._config
        token = config.onvif_profile_main if name == "main" else config.onvif_profile_sub
        if token and (profiles or name == "sub"):
            known = ", ".join(profile.token for profile in profiles)
            return f"the camera has no profile {token!r}" + (known and f"; it has: {known}")
        return "the camera does not tell an RTSP address for this profile"


def address_of(config: SourceConfig) -> Address:
    """Return where a source's camera speaks ONVIF."""
    return Address(
        host=config.host,
        port=config.port,
        path=config.onvif_addr,
        user=config.user,
        password=config.password,
        is_tls=config.https,
        fingerprint=config.fingerprint,
    )


def as_source_error(error: DeviceError) -> SourceError:
    """Return what a device said as what the supervisor understands."""
    return SourceError(FAILURES[error.failure], str(error))
