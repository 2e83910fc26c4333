"""HTTP to one ONVIF camera: bounded in time and size, never sent elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import aiohttp
from yarl import URL

from h5sup.devices.http import TLS_PORT, Digest, is_digest, list_challenges, say_why
from h5sup.devices.model import DeviceError, DeviceFailure
from h5sup.devices.onvif.envelope import not_understood
from h5sup.devices.onvif.soap import Message
from h5sup.devices.trust import Demand, Guard

REQUEST_TIMEOUT_S = 5.0
MAX_ANSWER_BYTES = 2_000_000  # 64 profiles with all that can be said of them are 300 kB
MAX_NEWS_BYTES = 200_000  # 32 events are 30 kB
PIECE_BYTES = 65_536
MAX_DIGESTS = 16  # a camera has a few services


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a camera speaks ONVIF, and with which login."""

    host: str
    port: int
    path: str
    user: str
    password: str
    is_tls: bool = False
    """It speaks HTTPS; see `scheme`."""
    fingerprint: str = ""
    """SHA-256 of the certificate that it has to show; empty for what Trust makes of it."""

    def __repr__(self) -> str:  # the password must not reach a log by way of a traceback
        return f"Address({self.shown!r})"

    @property
    def bare_host(self) -> str:
        """Return the host without the brackets of IPv6."""
        return self.host.removeprefix("[").removesuffix("]")

    @property
    def shown(self) -> str:
        """Return host and port for people."""
        host = self.bare_host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def scheme(self) -> str:
        """Return https or http, and never the other: nothing is tried without TLS for a change."""
        is_tls = self.is_tls or self.fingerprint or self.port == TLS_PORT
        return "https" if is_tls else "http"

    @property
    def url(self) -> URL:
        """Return the address of its device service."""
        return self.at(self.path)

    def at(self, path_qs: str) -> URL:
        """Return an address at this very host and port, by the same scheme."""
        path, _, query = path_qs.partition("?")
        return URL.build(
            scheme=self.scheme,
            host=self.bare_host,
            port=self.port,
            path=path or "/",
            query_string=query,
            encoded=True,
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    body: bytes
    date: datetime | None
    """The camera's time, if HTTP said it."""
    has_digest: bool = False
    """It asked for HTTP digest: that it still refuses has nothing to do with its clock."""


class Connection:
    """Asks one camera. The sockets are the session's; each request has its own."""

    def __init__(
        self,
        http: Callable[[], aiohttp.ClientSession],
        address: Address,
        guard: Guard,
        *,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> None:
        self.address = address
        self._http = http
        self._guard = guard
        self._timeout_s = timeout_s
        # cameras that take no UsernameToken take HTTP digest, and the other way round
        self._digests: dict[str, Digest] = {}

    async def post(self, url: URL, message: Message, *, more_s: float = 0.0) -> Reply:
        """Send a message; `more_s` is for what the camera itself may wait. Raises DeviceError.

        What it has waited for is short: it comes again and again.
        """
        headers = {"Content-Type": message.content_type, "Accept-Encoding": "identity"}
        max_bytes = MAX_NEWS_BYTES if more_s else MAX_ANSWER_BYTES
        return await self._ask(
            "POST", url, headers, message.body, max_bytes, self._timeout_s + more_s
        )

    async def get(self, url: URL, *, max_bytes: int) -> Reply:
        """Fetch something; raises DeviceError."""
        headers = {"Accept-Encoding": "identity"}
        return await self._ask("GET", url, headers, None, max_bytes, self._timeout_s)

    def _digest(self, url: URL) -> Sequence[Digest]:
        """Return what answers a challenge there: Hikvision's nonces are good for one address."""
        user, password = self.address.user, self.address.password
        if not user or ":" in user:  # digest has no way to write such a name
            return ()
        if url.path not in self._digests and len(self._digests) >= MAX_DIGESTS:
            self._digests.clear()
        return (self._digests.setdefault(url.path, Digest(user, password)),)

    async def _ask(
        self,
        method: str,
        url: URL,
        headers: dict[str, str],
        body: bytes | None,
        max_bytes: int,
        timeout_s: float,
    ) -> Reply:
        shown = self.address.shown

        async def send(demand: Demand | bool) -> Reply:
            async with self._http().request(
                method,
                url,
                headers=headers,
                data=body,
                allow_redirects=False,  # it would lead wherever the camera likes
                middlewares=self._digest(url),
                ssl=demand,
            ) as response:
                return await self._read(response, max_bytes)

        try:
            async with asyncio.timeout(timeout_s):
                if url.scheme == "https":
                    return await self._guard.ask(url.port or TLS_PORT, send)
                return await send(True)
        except aiohttp.ClientConnectorDNSError:
            raise DeviceError(
                DeviceFailure.UNREACHABLE, f"there is no host {self.address.bare_host!r}"
            ) from None
        except aiohttp.ClientConnectorError as error:
            why = say_why(error)
            raise DeviceError(
                DeviceFailure.UNREACHABLE, f"{shown} can't be reached: {why}"
            ) from None
        except TimeoutError:
            raise DeviceError(
                DeviceFailure.NO_ANSWER, f"{shown} did not answer within {timeout_s:g} s"
            ) from None
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            hint = "" if url.scheme == "https" else "; does it speak HTTPS there?"
            raise DeviceError(
                DeviceFailure.NO_ANSWER, f"{shown} closed the connection without an answer{hint}"
            ) from None
        except (aiohttp.ClientError, ValueError):  # no HTTP at all, or an address of no sense
            raise not_understood("it is no HTTP") from None

    async def _read(self, response: aiohttp.ClientResponse, max_bytes: int) -> Reply:
        status = response.status
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            raise not_understood(f"it sends us elsewhere (HTTP {status}), where we don't go")
        if (response.content_length or 0) > max_bytes:
            raise not_understood("it is too long")
        body = bytearray()
        while piece := await response.content.read(PIECE_BYTES):
            body += piece
            if len(body) > max_bytes:
                raise not_understood("it is too long")
        date = _read_date(response.headers.get("Date", ""))
        has_digest = any(map(is_digest, list_challenges(response)))
        return Reply(status, bytes(body), date, has_digest)


def _read_date(text: str) -> datetime | None:
    """Return the time of a Date header (RFC 9110 §6.6.1)."""
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
