"""Which certificate a device may show over HTTPS: judged before anything is said to it.

Devices come with certificates that nobody signed. One that the system's authorities vouch for,
for the host that was given, is taken; any other is kept at first contact and has to stay the same,
over restarts too (trust on first use). One that was vouched for once has to stay so.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Protocol, TypeVar

import aiohttp
import msgspec
from msgspec import Meta

from h5sup.base.errors import UnavailableError
from h5sup.devices.model import DeviceError, DeviceFailure

AUTHORITIES = "authorities"
WHAT_TO_DO = (
    "if that is right give `fingerprint`, or delete and add it again; nothing was sent to it"
)

T = TypeVar("T")
Demand = aiohttp.Fingerprint | ssl.SSLContext
"""What aiohttp is to ask of a certificate, before it sends anything."""

logger = logging.getLogger(__name__)


class CertificateStore(Protocol):
    """Where is kept which certificate each device is known by."""

    async def certificates(self) -> list[dict[str, Any]]:
        """Return them as they were saved."""

    async def save_certificate(self, raw: Mapping[str, Any]) -> None:
        """Keep that of one device, in place of what was kept by the same `key`."""

    async def delete_certificates(self, token: str) -> None:
        """Forget those of one device."""


class KeptCertificate(msgspec.Struct, frozen=True):
    """What a device is known by."""

    key: str
    """Token and place."""
    token: str
    place: str
    """Host and ports as the user gave them: another place is another device."""
    certificate: Annotated[str, Meta(pattern=f"^({AUTHORITIES}|[0-9a-f]{{64}})$")]
    """Its SHA-256 in hexadecimal digits, or AUTHORITIES."""


class Trust:
    """What is known of all devices' certificates. Used from the event loop alone."""

    def __init__(self, store: CertificateStore | None = None) -> None:
        """Take where to keep it; without a store it is known as long as this object lives."""
        self._store = store
        self._kept: dict[str, KeptCertificate] = {}
        self._strict: ssl.SSLContext | None = None
        self._lax: ssl.SSLContext | None = None

    async def start(self) -> None:
        """Read what was kept."""
        for raw in await self._store.certificates() if self._store else ():
            try:
                kept = msgspec.convert(raw, KeptCertificate)
            except msgspec.ValidationError as error:
                logger.warning(
                    "the certificate of %s is not known any more: %s", raw.get("token"), error
                )
                continue
            self._kept[kept.key] = kept

    def guard(self, token: str, host: str, place: str, fingerprint: str = "") -> Guard:
        """Return what watches one device; an empty `token` is for one that is only looked at."""
        return Guard(self, token, host, place, fingerprint)

    def find(self, token: str, place: str) -> str | None:
        """Return what a device is known by; who has no token is known as another at its place."""
        if token:
            kept = self._kept.get(_key(token, place))
            return kept.certificate if kept else None
        return next((one.certificate for one in self._kept.values() if one.place == place), None)

    async def keep(self, token: str, place: str, certificate: str) -> None:
        """Know a device by a certificate from now on."""
        key = _key(token, place)
        kept = self._kept[key] = KeptCertificate(key, token, place, certificate)
        if self._store is None:
            return
        try:
            await self._store.save_certificate(msgspec.to_builtins(kept))
        except UnavailableError as error:
            logger.warning("the certificate of %s is unknown after a restart: %s", token, error)

    async def forget(self, token: str) -> None:
        """Know nothing of a device any more, wherever it was; raises UnavailableError."""
        keys = [key for key, kept in self._kept.items() if kept.token == token]
        for key in keys:
            del self._kept[key]
        if keys and self._store is not None:
            await self._store.delete_certificates(token)

    async def strict(self) -> ssl.SSLContext:
        """Return what takes certificates that the system's authorities vouch for."""
        if self._strict is None:  # reading them takes up to 50 ms
            self._strict = await asyncio.to_thread(ssl.create_default_context)
        return self._strict

    def lax(self) -> ssl.SSLContext:
        """Return what takes any: to look at it, and to say nothing."""
        if self._lax is None:
            self._lax = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._lax.check_hostname = False
            self._lax.verify_mode = ssl.CERT_NONE
        return self._lax


def _say_why(error: OSError) -> str:
    """Return in a few words why there is no connection."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "it ends before TLS is there").replace("_", " ").lower()
    if isinstance(error, socket.gaierror):
        return "the host is not known"
    return os.strerror(error.errno).lower() if error.errno else "it ends before TLS is there"


def _key(token: str, place: str) -> str:
    return f"{token} {place}"  # no token has a blank in it


class Guard:
    """Sees that one device shows the certificate that it is known by."""

    def __init__(self, trust: Trust, token: str, host: str, place: str, fingerprint: str) -> None:
        self._trust = trust
        self._token = token
        self._host = host.removeprefix("[").removesuffix("]")
        self._place = place
        self._given = fingerprint.replace(":", "").lower()
        self._seen: str | None = None
        self._meeting = asyncio.Lock()
        self._fingerprints: dict[str, aiohttp.Fingerprint] = {}

    @property
    def has_met(self) -> bool:
        """Return whether the device is known by HTTPS: then it is never asked without."""
        return self._known is not None

    async def ask(self, port: int, send: Callable[[Demand], Awaitable[T]]) -> T:
        """Have `send` ask under the demand it is given; raises DeviceError, and what it raises.

        A certificate that is not the known one is taken if the authorities vouch for it: somebody
        has given the device a better one.
        """
        known = self._known or await self._meet(port)
        try:
            return await send(await self._demand(known))
        except aiohttp.ServerFingerprintMismatch as error:
            if self._given or not await self._is_vouched_for(port):
                raise self._other(error.got) from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise self._not_vouched_for(error.certificate_error) from error
        await self._keep(AUTHORITIES)
        return await send(await self._demand(AUTHORITIES))

    async def judge(self, port: int) -> None:
        """Look at a certificate, for who asks the device by other means; raises DeviceError."""
        known = self._known or await self._meet(port)
        if known == AUTHORITIES:
            try:
                await self._look(port, await self._trust.strict())
            except ssl.SSLCertVerificationError as error:
                raise self._not_vouched_for(error) from error
            return
        shown = await self._look(port, self._trust.lax())
        if shown == known:
            return
        if self._given or not await self._is_vouched_for(port):
            raise self._other(bytes.fromhex(shown))
        await self._keep(AUTHORITIES)

    def _other(self, shown: bytes) -> DeviceError:
        return DeviceError(
            DeviceFailure.CERTIFICATE,
            f"{self._host} shows another certificate than it is known by, of SHA-256 "
            f"{shown.hex(':').upper()}: {WHAT_TO_DO}",
        )

    def _not_vouched_for(self, error: Exception) -> DeviceError:
        why = getattr(error, "verify_message", "") or "it does not fit"
        return DeviceError(
            DeviceFailure.CERTIFICATE,
            f"no authority vouches any more for the certificate of {self._host} ({why}): "
            f"{WHAT_TO_DO}",
        )

    @property
    def _known(self) -> str | None:
        return self._given or self._seen or self._trust.find(self._token, self._place)

    async def _meet(self, port: int) -> str:
        """Look at a device's certificate for the first time, and keep it."""
        async with self._meeting:
            if self._known is not None:
                return self._known
            if await self._is_vouched_for(port):
                await self._keep(AUTHORITIES)
                return AUTHORITIES
            shown = await self._look(port, self._trust.lax())
            await self._keep(shown)
            return shown

    async def _keep(self, certificate: str) -> None:
        logger.info(
            "%s is known by %s from now on", self._token or self._host,
            "what the authorities vouch for" if certificate == AUTHORITIES
            else f"the certificate of SHA-256 {certificate}",
        )  # fmt: skip
        if self._token:
            await self._trust.keep(self._token, self._place, certificate)
        else:
            self._seen = certificate

    async def _demand(self, known: str) -> Demand:
        if known == AUTHORITIES:
            return await self._trust.strict()
        # the same object each time: aiohttp keeps connections by it
        return self._fingerprints.setdefault(known, aiohttp.Fingerprint(bytes.fromhex(known)))

    async def _is_vouched_for(self, port: int) -> bool:
        try:
            await self._look(port, await self._trust.strict())
        except ssl.SSLCertVerificationError:
            return False
        return True

    async def _look(self, port: int, context: ssl.SSLContext) -> str:
        """Return the SHA-256 of what it shows; all that is said to it is the beginning of TLS."""
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_connection(
                asyncio.Protocol, self._host, port, ssl=context
            )
        except ssl.SSLCertVerificationError:
            raise
        except OSError as error:
            raise DeviceError(
                DeviceFailure.UNREACHABLE,
                f"no TLS connection to port {port} of {self._host}: {_say_why(error)}",
            ) from error
        try:
            shown = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        finally:
            transport.abort()
        return hashlib.sha256(shown).hexdigest()
