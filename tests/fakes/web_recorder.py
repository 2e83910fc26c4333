"""What fake recorders have in common: HTTP with digest and a lock, and misbehaviour on demand.

`opened()` gives h5sup's side of one, `failure()` tells why its channels can't be had.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any, ClassVar, Generic, Self, TypeVar

import pytest
from aiohttp import web

from h5sup.config.model import DeviceConfig, DeviceType
from h5sup.devices.model import DeviceError, Recorder
from h5sup.devices.trust import Trust

USER, PASSWORD = "admin", "p:a/s@s wörd"
PAIR = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')
HUGE_BYTES = 50_000_000

R = TypeVar("R", bound=Recorder)


class Fault(Enum):
    """How a recorder treats whoever is logged in."""

    SILENT = "never answers"
    SLOW = "a letter a moment, without end"
    HUGE = "50 MB"
    PACKED = "gzip that nobody asked for"
    REDIRECTS = "302 to `location`"
    BUSY = "503"
    CLOSES = "hangs up in the middle"
    SAME_PAGE = "every page of a search is the first one"
    BROKEN_XML = "half a document"
    BOMB = "XML with entities"
    EXTERNAL = "XML with an entity out of a file"
    BINARY = "what is no text"
    EMPTY = "nothing"
    NESTED = "JSON of a great depth"
    CUT_PAGE = "pages announce one recording more than they have"


OF_PAGES = (Fault.SAME_PAGE, Fault.CUT_PAGE)


@dataclass(kw_only=True)
class WebRecorder(ABC, Generic[R]):
    """A recorder on a real socket; use it in `async with`.

    Every field may be changed while it runs.
    """

    device_type: ClassVar[DeviceType]
    sdk_port: ClassVar[int]

    user: str = USER
    """Empty: it wants no login."""
    password: str = PASSWORD
    rtsp_port: int = 554
    lock_after: int = 5
    faults: dict[str, Fault] = field(default_factory=dict)
    """By any part of a path with its query."""
    location: str = "http://127.0.0.1:9/"
    is_behind_redirect: bool = False
    """Redirects also who is not logged in."""
    closes_each: bool = False
    tls: ssl.SSLContext | None = None

    port: int = 0
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path with query, and body of all that were logged in."""
    refusals: int = 0
    """How often it asked for a login."""
    wrong_logins: int = 0
    logins: int = 0
    """How often somebody has sent one, the right ones too."""
    _nonces: set[str] = field(default_factory=set)

    def config(self, **changes: object) -> DeviceConfig:
        """Return how this device stands in config.json."""
        values: dict[str, object] = {
            "token": "nvr", "type": self.device_type, "host": "127.0.0.1", "port": self.sdk_port,
            "user": self.user, "password": self.password, "http_port": self.port,
        }  # fmt: skip
        return DeviceConfig(**(values | changes))  # type: ignore[arg-type]  # tests name the keys

    @abstractmethod
    def recorder(
        self,
        config: DeviceConfig,
        *,
        timeout_s: float,
        find_timeout_s: float,
        trust: Trust | None = None,
    ) -> R:
        """Return h5sup's side of it."""

    @property
    def asked(self) -> list[str]:
        """Return the paths with queries that were asked for with a login."""
        return [path for _, path, _ in self.requests]

    def expire_nonces(self) -> None:
        """Take no login that was computed so far."""
        self._nonces.clear()

    async def __aenter__(self) -> Self:
        server = web.Server(self._handle)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self.tls)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = (await request.read()).decode()
        self.logins += "Authorization" in request.headers
        if self.is_behind_redirect:
            return web.Response(status=302, headers={"Location": self.location})
        if (refusal := self._check_login(request)) is not None:
            return refusal
        self.requests.append((request.method, request.path_qs, body))
        faults = (fault for part, fault in self.faults.items() if part in request.path_qs)
        fault = next(faults, None)
        if fault is not None and fault not in OF_PAGES:
            return await self._misbehave(request, fault)
        answer = self._answer(request, body)
        if self.closes_each:
            answer.force_close()
        return answer

    @abstractmethod
    def _answer(self, request: web.BaseRequest, body: str) -> web.Response:
        """Answer whoever is logged in."""

    @abstractmethod
    def _busy(self) -> web.Response:
        """Say in its maker's words that it has no time."""

    @abstractmethod
    def _refusal(self, nonce: str, *, lock: bool) -> web.Response:
        """Ask for a login in its maker's words, or say that it takes none any more."""

    # Login

    def _check_login(self, request: web.BaseRequest) -> web.Response | None:
        """Return a refusal, or None; digest as in RFC 7616, whose nonces it takes for good."""
        if not self.user:
            return None
        scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Digest":
            return self._refuse()
        if self.is_locked:
            return self._refuse(lock=True)
        said = {key: quoted or plain for key, quoted, plain in PAIR.findall(rest)}
        if said.get("nonce") not in self._nonces or said.get("uri") != request.path_qs:
            return self._refuse()
        if said.get("response") != self._expected(request.method, said):
            self.wrong_logins += 1
            return self._refuse(lock=self.is_locked)
        self.wrong_logins = 0
        return None

    @property
    def is_locked(self) -> bool:
        """Return whether it takes no login at all, the right one included."""
        return self.wrong_logins >= self.lock_after

    def _expected(self, method: str, said: dict[str, str]) -> str:
        def md5(*parts: str) -> str:
            return hashlib.md5(":".join(parts).encode()).hexdigest()

        secret = md5(self.user, said["realm"], self.password)
        rest = (said["nonce"], said["nc"], said["cnonce"], said["qop"])
        return md5(secret, *rest, md5(method, said["uri"]))

    def _refuse(self, *, lock: bool = False) -> web.Response:
        self.refusals += 1
        nonce = secrets.token_hex(16)
        self._nonces.add(nonce)
        return self._refusal(nonce, lock=lock)

    # Faults

    async def _misbehave(self, request: web.BaseRequest, fault: Fault) -> web.StreamResponse:
        match fault:
            case Fault.SILENT:
                await asyncio.Event().wait()
            case Fault.SLOW:
                await self._send(request, b" ", None, pause_s=0.05)
            case Fault.HUGE:
                await self._send(request, self._padding() * 6250, HUGE_BYTES, pause_s=0)
            case Fault.REDIRECTS:
                return web.Response(status=302, headers={"Location": self.location})
            case Fault.BUSY:
                return self._busy()
            case Fault.CLOSES:
                assert request.transport is not None
                request.transport.abort()
            case _:
                return self._answer_badly(fault)
        return web.Response()

    def _padding(self) -> bytes:
        """Return 16 bytes that may come again and again in its answers."""
        return b" " * 16

    @abstractmethod
    def _answer_badly(self, fault: Fault) -> web.Response:
        """Answer in a way that only its kind of answer can be wrong."""

    async def _send(
        self, request: web.BaseRequest, piece: bytes, most_bytes: int | None, *, pause_s: float
    ) -> None:
        answer = web.StreamResponse()
        await answer.prepare(request)
        sent = 0
        with suppress(ConnectionError):
            while most_bytes is None or sent < most_bytes:
                await answer.write(piece)
                sent += len(piece)
                await asyncio.sleep(pause_s)


@asynccontextmanager
async def opened(
    fake: WebRecorder[R], timeout_s: float = 20, find_timeout_s: float = 20, **changes: Any
) -> AsyncIterator[R]:
    """Give a recorder that talks to the fake; `changes` are to its configuration."""
    recorder = fake.recorder(
        fake.config(**changes), timeout_s=timeout_s, find_timeout_s=find_timeout_s
    )
    try:
        yield recorder
    finally:
        await recorder.close()


async def failure(fake: WebRecorder[R], **changes: Any) -> DeviceError:
    """Return why its channels can't be had."""
    async with opened(fake, **changes) as recorder:
        with pytest.raises(DeviceError) as caught:
            await recorder.channels()
        return caught.value
