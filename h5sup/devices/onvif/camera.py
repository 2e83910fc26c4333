"""One ONVIF camera: what it offers, and where."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from yarl import URL

from h5sup.base.clock import utc_now
from h5sup.devices.model import DEVICE_TIMEOUT_S, DeviceError, DeviceFailure
from h5sup.devices.onvif.connection import Address, Connection, Reply
from h5sup.devices.onvif.envelope import SoapFaultError, not_understood
from h5sup.devices.onvif.media import FORGIVABLE, MEDIA_SERVICES, find_picture, list_profiles
from h5sup.devices.onvif.messages import (
    CAPABILITIES,
    OnvifProfile,
    path_of,
    read_capabilities,
    read_services,
    read_time,
)
from h5sup.devices.onvif.soap import Book, Login

SAME_TIME = timedelta(minutes=1)  # between what it says is its time, and the Date of its HTTP
FORGIVEN_AFTER_S = 600.0  # a camera that starts refuses logins for a while
LOCKED_S = 1800.0  # the longest lock that makers have in their manuals
UNTOLD = "which it does not tell"
NEWS_S = 0.5  # main and sub input ask at the same moment
MAX_PICTURE_BYTES = 8_000_000
JPEG_START = b"\xff\xd8"


class Camera:
    """Asks one camera, with the login it was given. Used from the event loop alone.

    A login that was refused is not tried again, for cameras lock out who does. Where it has been
    good before, the camera may be starting: then it is tried again after ten minutes; and a login
    that the camera has locked after half an hour.
    """

    def __init__(
        self,
        connection: Connection,
        book: Book,
        threads: Executor,
        *,
        forgiven_after_s: float = FORGIVEN_AFTER_S,
        locked_s: float = LOCKED_S,
    ) -> None:
        self.address: Address = connection.address
        self._connection = connection
        self._book = book
        self._threads = threads
        self._forgiven_after_s = forgiven_after_s
        self._locked_s = locked_s
        self._lead: timedelta | None = None
        """How far its clock is ahead of ours; None where it does not say."""
        self._doubt = UNTOLD
        """Why its time may be another; empty where that is sure."""
        self._services: dict[str, str] | None = None
        self._profiles: list[OnvifProfile] = []
        self._asked = float("-inf")
        self._meeting = asyncio.Lock()
        self._listing = asyncio.Lock()
        self._refusal: DeviceError | None = None
        self._refused = 0.0
        self._no_picture: DeviceError | None = None
        self._has_been_good = False

    async def profiles(self) -> Sequence[OnvifProfile]:
        """Return what it offers now, with addresses at the host we know; raises DeviceError."""
        loop = asyncio.get_running_loop()
        async with self.in_time(), self._listing:
            if loop.time() - self._asked < NEWS_S and self._profiles:
                return self._profiles
            self.forget()  # it may have moved, or have another clock now
            found = await list_profiles(self, self.address.host)
            if not found:
                raise DeviceError(
                    DeviceFailure.NOT_UNDERSTOOD, f"{self.address.shown} offers no video profile"
                )
            self._has_been_good = True
            self._profiles = found
            self._asked = loop.time()
            return self._profiles

    async def known_profiles(self) -> Sequence[OnvifProfile]:
        """Return what it has offered before, or ask; raises DeviceError."""
        return self._profiles or await self.profiles()

    def forget(self) -> None:
        """Ask anew next time for what it has told: it may have moved."""
        self._services = None
        self._asked = float("-inf")

    async def picture(self, profile: str) -> bytes:
        """Return what it shows now as JPEG, by an address of its own; raises DeviceError."""
        if self._no_picture is not None:
            raise DeviceError(self._no_picture.failure, str(self._no_picture))
        async with self.in_time():
            uri = await find_picture(self, profile, self._profiles)
            reply = await self._connection.get(
                self._place_of_picture(uri), max_bytes=MAX_PICTURE_BYTES
            )
            if reply.status == HTTPStatus.UNAUTHORIZED:
                self._no_picture = DeviceError(
                    DeviceFailure.WRONG_PASSWORD,
                    f"{self.address.shown} gives no picture to this login",
                )
                raise self._no_picture
            if reply.status != HTTPStatus.OK or not reply.body.startswith(JPEG_START):
                raise DeviceError(
                    DeviceFailure.NOT_UNDERSTOOD,
                    f"{self.address.shown} sends no JPEG as its picture (HTTP {reply.status})",
                )
            return reply.body

    async def ask(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        place: URL | None = None,
        to: str = "",
        headers: Sequence[Any] = (),
        more_s: float = 0.0,
    ) -> Any:
        """Call an operation and return its answer as dicts; raises DeviceError.

        `place` is for addresses that are no service's, `to` is how the camera itself calls it,
        with `headers` that belong to it.
        """
        self._bear_refusal()
        await self._meet()
        url = place or self.place_of(service)
        try:
            return await self._call(
                service, operation, parameters or {}, url, to=to, headers=headers, more_s=more_s
            )
        except SoapFaultError as fault:
            raise self._as_error(fault, operation) from fault

    async def services(self) -> Set[str]:
        """Return which services it has; raises DeviceError."""
        self._bear_refusal()
        await self._meet()
        return frozenset(self._services or ())

    async def _meet(self) -> None:
        """Learn its clock and the addresses of its services, once."""
        async with self._meeting:
            if self._services is not None:
                return
            self._bear_refusal()
            await self._learn_time()
            services = await self._learn_services()
            if not services.keys() & MEDIA_SERVICES:
                raise DeviceError(
                    DeviceFailure.UNSUPPORTED, f"{self.address.shown} has no media service"
                )
            self._services = services

    async def _learn_services(self) -> dict[str, str]:
        """Ask what it has: GetServices alone tells Media2, and old cameras don't know it.

        GetCapabilities is asked too unless that told everything: some cameras tell there of
        services that the newer list lacks.
        """
        services: dict[str, str] = {}
        try:
            answer = await self._ask_device("GetServices", {"IncludeCapability": False})
            services = read_services(answer)
        except DeviceError as error:
            if error.failure not in FORGIVABLE:
                raise
        if services.keys() >= CAPABILITIES.keys():
            return services
        try:
            answer = await self._ask_device("GetCapabilities", {"Category": ["All"]})
        except DeviceError as error:
            if error.failure not in FORGIVABLE or not services.keys() & MEDIA_SERVICES:
                raise
            return services
        return {**read_capabilities(answer), **services}

    async def _ask_device(self, operation: str, parameters: Mapping[str, Any]) -> Any:
        try:
            return await self._call("device", operation, parameters, self.address.url)
        except SoapFaultError as fault:
            raise self._as_error(fault, operation) from fault

    async def _learn_time(self) -> None:
        """Ask for its clock, which needs no login (Core §5.9.4), or take HTTP's word for it."""
        address, self._lead, self._doubt = self.address.url, None, UNTOLD
        date: datetime | None = None
        try:
            message = await self._run(self._encode, "device", "GetSystemDateAndTime", {}, address)
            reply = await self._connection.post(address, message)
            date = reply.date
            if date is not None:
                self._doubt = "which HTTP alone tells"
            self._check_path(reply, address)
            if reply.status != HTTPStatus.UNAUTHORIZED:
                decoded = await self._run(
                    self._book.decode, "device", "GetSystemDateAndTime", reply.body
                )
                told = read_time(decoded)
                if told is not None:
                    is_sure = date is None or abs(told - date) < SAME_TIME
                    self._doubt = "" if is_sure else "which says different times"
                date = told or date
        except SoapFaultError:
            pass  # some want a login for it, which would need the time
        if date is not None:
            self._lead = date - utc_now()

    async def _call(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, Any],
        url: URL,
        *,
        to: str = "",
        headers: Sequence[Any] = (),
        more_s: float = 0.0,
    ) -> Any:
        message = await self._run(
            self._encode, service, operation, parameters, to or url, self._login(), headers
        )
        reply = await self._connection.post(url, message, more_s=more_s)
        if reply.status == HTTPStatus.UNAUTHORIZED:
            raise self._refuse_login(has_digest=reply.has_digest)
        self._check_path(reply, url)
        return await self._run(self._book.decode, service, operation, reply.body)

    def _check_path(self, reply: Reply, url: URL) -> None:
        if reply.status == HTTPStatus.NOT_FOUND:
            raise not_understood(f"there is nothing at {url.path} (HTTP 404)")

    def _encode(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, Any],
        to: URL | str,
        login: Login | None = None,
        headers: Sequence[Any] = (),
    ) -> Any:
        return self._book.encode(
            service, operation, parameters, address=str(to), login=login, headers=headers
        )

    async def _run(self, work: Any, *given: Any) -> Any:
        """Do XML's work in a thread: it takes the loop's time otherwise."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *given)

    def _login(self) -> Login | None:
        if not self.address.user:
            return None
        now = datetime.now(UTC) + (self._lead or timedelta())
        return Login(self.address.user, self.address.password, now)

    def place_of(self, service: str) -> URL:
        """Return where a service is: at the host and port we know, whatever the camera says.

        Only once it has answered something.
        """
        assert self._services is not None
        if service == "device":
            return self.address.url
        try:
            return self.address.at(path_of(self._services[service]))
        except KeyError:
            raise DeviceError(
                DeviceFailure.UNSUPPORTED, f"{self.address.shown} has no {service} service"
            ) from None

    def _place_of_picture(self, uri: str) -> URL:
        """Return where a picture is: on the camera, at another port only of the host we know."""
        here = self.address.at(path_of(uri))
        try:
            told = URL(uri)
        except ValueError:
            return here
        if told.host == self.address.bare_host and told.port and told.scheme == here.scheme:
            return here.with_port(told.port)
        return here

    def _as_error(self, fault: SoapFaultError, operation: str) -> DeviceError:
        if fault.is_lock and not fault.is_about_time:
            return self._refuse(
                f"{self.address.shown} has locked this login: {fault.reason}",
                DeviceFailure.LOCKED_OUT,
            )
        if fault.is_about_time:
            return self._refuse(self._about_clock(), DeviceFailure.CLOCK)
        if fault.is_refused_login:
            return self._refuse_login()
        if fault.is_unknown_operation:
            return DeviceError(
                DeviceFailure.UNSUPPORTED, f"{self.address.shown} does not know {operation}"
            )
        return DeviceError(
            DeviceFailure.NOT_UNDERSTOOD,
            f"{self.address.shown} refuses {operation}: {fault.reason or 'it does not say why'}",
        )

    def _refuse_login(self, *, has_digest: bool = False) -> DeviceError:
        """Return why a login failed: who signs with a wrong time may have the right password."""
        if not self.address.user:
            return self._refuse(f"{self.address.shown} wants a user name and a password")
        if not has_digest and self._doubt:
            return self._refuse(self._about_clock(), DeviceFailure.CLOCK)
        return self._refuse(f"{self.address.shown} refuses the user name or the password")

    def _about_clock(self) -> str:
        why = self._doubt or "for it takes our signature for too old or too new"
        return (
            f"{self.address.shown} refuses the login: the password is wrong, or its clock is, "
            f"{why}. Set its clock, then try again"
        )

    def _refuse(
        self, sentence: str, failure: DeviceFailure = DeviceFailure.WRONG_PASSWORD
    ) -> DeviceError:
        self._refusal = DeviceError(failure, sentence)
        self._refused = asyncio.get_running_loop().time()
        return self._refusal

    def _bear_refusal(self) -> None:
        """Raise again what the camera said of this login, instead of asking again."""
        if self._refusal is None:
            return
        age_s = asyncio.get_running_loop().time() - self._refused
        is_over = self._refusal.failure is DeviceFailure.LOCKED_OUT and age_s > self._locked_s
        if is_over or (self._has_been_good and age_s > self._forgiven_after_s):
            self._refusal = None
            return
        raise DeviceError(self._refusal.failure, str(self._refusal))

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """Bound all that belongs together."""
        try:
            async with asyncio.timeout(DEVICE_TIMEOUT_S):
                yield
        except TimeoutError:
            raise DeviceError(
                DeviceFailure.NO_ANSWER,
                f"{self.address.shown} was not done within {DEVICE_TIMEOUT_S:g} s",
            ) from None
