"""How a device is asked over HTTP: within bounds, by digest, at a port that may have to be found.

For devices/hik and devices/dahua, which bring paths and messages. What holds for each of them:
redirects are not followed, nothing is unpacked, an answer has a largest size and a time, and over
HTTPS the certificate is judged before anything is asked, but for the looking around without a
login. A device that refuses the password is not asked again by this object; one that locks its
user out is, when that is over, and one that takes no digest after a while.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from types import SimpleNamespace
from typing import Literal, cast

import aiohttp
from yarl import URL

from h5sup.devices.model import DEVICE_TIMEOUT_S, DeviceError, DeviceFailure
from h5sup.devices.trust import Demand, Guard

MAX_ANSWER_BYTES = 1_000_000
FIND_TIMEOUT_S = 2.0
FIND_GRACE_S = 0.2  # what answers first is taken, unless a likelier port answers right after
USUAL_PORTS = (80, 443, 8080, 81)
TLS_PORT = 443
AT_ONCE = 2  # recorders have few connections to give, and count wrong logins over all of them
KEEP_ALIVE_S = 5.0  # recorders hang up after 10 s, and a POST that meets that can't be repeated
ONLY_HTTPS = "it is known by HTTPS, so plain HTTP is not tried: delete and add it again for that"
NO_DIGEST_S = 600.0

DOMAIN = re.compile(r'(?i)\bdomain="[^"]*",?')

Method = Literal["GET", "PUT", "POST", "DELETE"]
FindLock = Callable[[bytes], float | None]
"""Reads a refusal: how many seconds the user is locked out, or None."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a device said."""

    status: int
    body: bytes

    @property
    def is_ok(self) -> bool:
        """Return whether it did it."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


@dataclass(frozen=True, slots=True)
class HttpPort:
    """Where HTTP may be had."""

    port: int
    is_tls: bool = False


def list_ports(given: int, http_port: int) -> tuple[HttpPort, ...]:
    """Return where to look, likeliest first; `http_port` leaves no choice but that of TLS."""
    if http_port:
        return _both(http_port)
    places = [*_both(given), *(HttpPort(port, port == TLS_PORT) for port in USUAL_PORTS)]
    return tuple(dict.fromkeys(places))


def _both(port: int) -> tuple[HttpPort, HttpPort]:
    is_tls = port == TLS_PORT
    return HttpPort(port, is_tls), HttpPort(port, not is_tls)


class DeviceHttp:
    """One device's HTTP, with one user. Every method but close() raises DeviceError."""

    def __init__(
        self,
        host: str,
        *,
        user: str,
        password: str,
        guard: Guard,
        find_lock: FindLock = lambda _: None,
        timeout_s: float = DEVICE_TIMEOUT_S,
        find_timeout_s: float = FIND_TIMEOUT_S,
    ) -> None:
        self.place: HttpPort | None = None
        """Where it is asked, once it was found."""
        self._host = host.removeprefix("[").removesuffix("]")
        self._user = user
        self._password = password
        self._guard = guard
        self._find_lock = find_lock
        self._timeout_s = timeout_s
        self._find_timeout_s = find_timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False
        self._digest: tuple[aiohttp.DigestAuthMiddleware, ...] = ()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._refusal: DeviceError | None = None
        self._refused_until: float | None = None

    async def find(
        self, places: Iterable[HttpPort], path: str, recognises: Callable[[bytes], bool]
    ) -> HttpPort:
        """Return and keep where `path` is answered, asking everywhere at once and with no login.

        Found is what asks for a digest login, and what answers without any in a form that
        `recognises` knows. A device that is known by HTTPS is not looked for without.
        """
        self.check()
        has_met = self._guard.has_met
        places = tuple(place for place in places if place.is_tls or not has_met)
        tasks = [asyncio.create_task(self._look(each, path, recognises)) for each in places]
        try:
            self.place = await _choose(tasks, places, ONLY_HTTPS if has_met else "")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._digest = (self._make_digest(),)
        return self.place

    async def ask(self, method: Method, path: str, body: bytes = b"", kind: str = "") -> Answer:
        """Ask for a path with its query; `kind` is the body's media type. find() comes first."""
        assert self.place is not None
        async with self._turns:
            self.check()
            headers = {"Content-Type": kind} if kind else {}
            answer, sent_login = await self._send(
                method, self.place, path, body, headers, digest=True, timeout_s=self._timeout_s
            )
            self._note_refusal(answer, sent_login=sent_login)
            if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
                raise DeviceError(
                    DeviceFailure.NOT_UNDERSTOOD,
                    f"{self._host} redirects elsewhere, which is not followed: "
                    "give the port it leads to as http_port",
                )
            return answer

    def check(self) -> None:
        """Raise what refused the login, while that holds."""
        if self._refusal is None:
            return
        until = self._refused_until
        if until is None or asyncio.get_running_loop().time() < until:
            raise DeviceError(self._refusal.failure, str(self._refusal))
        self._refusal = None

    async def close(self) -> None:
        """Let go of the connections; nothing is asked any more."""
        self._is_closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _look(
        self, place: HttpPort, path: str, recognises: Callable[[bytes], bool]
    ) -> HttpPort:
        """Return `place` if the device is there."""
        answer, asks_digest = await self._send(
            "GET", place, path, b"", {}, digest=False, timeout_s=self._find_timeout_s
        )
        if answer.status == HTTPStatus.UNAUTHORIZED and asks_digest:
            return place
        if answer.is_ok and recognises(answer.body):
            return place
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise DeviceError(
                DeviceFailure.NO_LOGIN,
                f"what answers at port {place.port} of {self._host} takes no digest login: "
                "switch that on in its web settings",
            )
        raise DeviceError(
            DeviceFailure.NOT_UNDERSTOOD,
            f"what answers at port {place.port} of {self._host} is not such a device",
        )

    async def _send(
        self,
        method: Method,
        place: HttpPort,
        path: str,
        body: bytes,
        headers: dict[str, str],
        *,
        digest: bool,
        timeout_s: float,
    ) -> tuple[Answer, bool]:
        """Return the answer, and whether a digest went along (or, without one, is asked for)."""
        where = f"port {place.port} of {self._host}"

        async def send(demand: Demand | bool) -> tuple[Answer, bool]:
            async with self._open_session().request(
                method,
                self._url(place, path),
                data=body or None,
                headers=headers,
                allow_redirects=False,
                middlewares=self._digest if digest else (),
                ssl=demand,
            ) as response:
                answer = Answer(response.status, await _read(response, self._host))
                if digest:
                    return answer, "Authorization" in response.request_info.headers
                return answer, any(map(is_digest, list_challenges(response)))

        try:
            async with asyncio.timeout(timeout_s):
                if place.is_tls and digest:
                    return await self._guard.ask(place.port, send)
                return await send(False)
        except TimeoutError:
            raise DeviceError(
                DeviceFailure.NO_ANSWER, f"no answer at {where} within {timeout_s:g} s"
            ) from None
        except aiohttp.ClientConnectorDNSError as error:
            raise DeviceError(
                DeviceFailure.UNREACHABLE, f"the host {self._host} is not known"
            ) from error
        except aiohttp.ClientConnectorError as error:
            raise DeviceError(
                DeviceFailure.UNREACHABLE, f"can't connect to {where}: {say_why(error)}"
            ) from error
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            raise DeviceError(
                DeviceFailure.UNREACHABLE, f"the connection to {where} was closed"
            ) from error
        except (aiohttp.ClientError, ValueError) as error:  # ValueError: headers out of the rules
            raise DeviceError(
                DeviceFailure.NOT_UNDERSTOOD, f"what answers at {where} is not understood as HTTP"
            ) from error

    def _note_refusal(self, answer: Answer, *, sent_login: bool) -> None:
        """Remember a refusal of the login, and raise it."""
        if answer.status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return
        locked_s = self._find_lock(answer.body)
        if locked_s is not None:
            self._refused_until = asyncio.get_running_loop().time() + locked_s
            self._refusal = DeviceError(
                DeviceFailure.LOCKED_OUT,
                f"{self._host} has locked the user out after wrong logins, "
                f"for {max(1, round(locked_s / 60))} min",
            )
            raise self._refusal
        if answer.status == HTTPStatus.FORBIDDEN:
            return
        self._refused_until = None
        if sent_login:
            self._refusal = DeviceError(
                DeviceFailure.WRONG_PASSWORD,
                f"{self._host} refuses the user name or the password; "
                "it is not asked again until they are changed",
            )
        else:
            # no login was sent, so looking again harms nobody: digest may be switched on by then
            self._refused_until = asyncio.get_running_loop().time() + NO_DIGEST_S
            self._refusal = DeviceError(
                DeviceFailure.NO_LOGIN,
                f"{self._host} takes no digest login: switch that on in its web settings",
            )
        raise self._refusal

    def _make_digest(self) -> aiohttp.DigestAuthMiddleware:
        try:
            return Digest(self._user, self._password)
        except ValueError:
            raise DeviceError(
                DeviceFailure.NO_LOGIN, "a user name with a colon can't log in by digest"
            ) from None

    def _url(self, place: HttpPort, path: str) -> URL:
        host = f"[{self._host}]" if ":" in self._host else self._host
        scheme = "https" if place.is_tls else "http"
        return URL(f"{scheme}://{host}:{place.port}{path}", encoded=True)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._is_closed:
            raise DeviceError(DeviceFailure.UNREACHABLE, "the device has just been let go of")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(keepalive_timeout=KEEP_ALIVE_S),
                timeout=aiohttp.ClientTimeout(total=None),  # each request has one around it
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                headers={"Accept-Encoding": "identity"},
            )
        return self._session


class Digest(aiohttp.DigestAuthMiddleware):
    """aiohttp's, which looks at the first challenge alone; devices put Basic before Digest.

    Their `domain` is left out: `domain="::"`, which old ones write, would cost each request a 401.
    """

    def _authenticate(self, response: aiohttp.ClientResponse) -> bool:
        challenge = next(filter(is_digest, list_challenges(response)), "")
        alone = SimpleNamespace(
            status=response.status,
            headers={"www-authenticate": DOMAIN.sub("", challenge)},
            url=response.url,
        )
        return super()._authenticate(cast(aiohttp.ClientResponse, alone))


async def _choose(
    tasks: list[asyncio.Task[HttpPort]], places: tuple[HttpPort, ...], note: str
) -> HttpPort:
    """Return the likeliest place of the first to answer, or raise the failure that says most."""
    waiting: set[asyncio.Task[HttpPort]] = set(tasks)
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not any(task.exception() is None for task in done):
            continue
        if waiting:
            await asyncio.wait(waiting, timeout=FIND_GRACE_S)
        answered = (task for task in tasks if task.done() and task.exception() is None)
        return next(answered).result()
    raise _tell_most([task.exception() for task in tasks], places, note)


def _tell_most(
    errors: list[BaseException | None], places: tuple[HttpPort, ...], note: str
) -> BaseException:
    """Return the failure to show: a lone port's own, else the one that got farthest."""
    rank = [
        DeviceFailure.NO_LOGIN,
        DeviceFailure.NOT_UNDERSTOOD,
        DeviceFailure.NO_ANSWER,
        DeviceFailure.UNREACHABLE,
    ]
    known = [error for error in errors if isinstance(error, DeviceError)]
    if len(known) < len(errors):  # a bug of ours: let it be seen
        return next(error for error in errors if error and not isinstance(error, DeviceError))
    best = min(known, key=lambda error: rank.index(error.failure))
    if "is not known" in str(best):
        return best
    ports = {place.port: None for place in places}
    notes = [note] if note else []
    if len(ports) > 1:
        notes.append(f"tried ports {', '.join(map(str, ports))}; http_port names another")
    return DeviceError(best.failure, f"{best} ({'; '.join(notes)})") if notes else best


async def _read(response: aiohttp.ClientResponse, host: str) -> bytes:
    """Return the body; raises DeviceError when it is packed or too large."""
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise DeviceError(DeviceFailure.NOT_UNDERSTOOD, f"{host} packs its answers unasked")
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            response.close()
            raise DeviceError(
                DeviceFailure.NOT_UNDERSTOOD,
                f"{host} answers with more than {MAX_ANSWER_BYTES // 1_000_000} MB",
            )
    return bytes(body)


def say_why(error: aiohttp.ClientConnectorError) -> str:
    """Return in a few words why there is no connection."""
    if isinstance(error, aiohttp.ClientSSLError):
        return "no TLS that both sides know"  # its number is OpenSSL's, not the system's
    return os.strerror(error.os_error.errno).lower() if error.os_error.errno else "no route"


def list_challenges(response: aiohttp.ClientResponse) -> list[str]:
    """Return each way to log in that a device offers."""
    return response.headers.getall("WWW-Authenticate", [])


def is_digest(challenge: str) -> bool:
    """Return whether that way is digest."""
    return challenge.lower().startswith("digest ")
