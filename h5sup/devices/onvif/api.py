"""What the rest of h5sup calls of ONVIF."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import aiohttp

from h5sup.base.errors import UnavailableError
from h5sup.devices.onvif.camera import FORGIVEN_AFTER_S, LOCKED_S, Camera
from h5sup.devices.onvif.connection import REQUEST_TIMEOUT_S, Address, Connection
from h5sup.devices.onvif.messages import OnvifProfile
from h5sup.devices.onvif.search import Found, search
from h5sup.devices.onvif.soap import Book
from h5sup.devices.trust import Trust

XML_THREADS = 2  # Python runs one of them at a time anyway
MAX_SEARCHES = 4  # they wait for each other, up to a minute each


class Onvif:
    """The threads, the sockets and the WSDL files that all cameras share. `close()` must follow.

    Used from the event loop alone. Nothing is opened before the first camera is asked.
    """

    def __init__(
        self,
        *,
        timeout_s: float = REQUEST_TIMEOUT_S,
        book: Book | None = None,
        trust: Trust | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._trust = trust or Trust()
        self._book = book or Book()
        self._xml = ThreadPoolExecutor(XML_THREADS, thread_name_prefix="onvif-xml")
        # one thread: searches follow one another, for they share a port
        self._searches = ThreadPoolExecutor(1, thread_name_prefix="onvif-search")
        self._stopping = threading.Event()
        self._waiting = 0
        self._session: aiohttp.ClientSession | None = None

    def camera(
        self,
        address: Address,
        *,
        token: str = "",
        forgiven_after_s: float = FORGIVEN_AFTER_S,
        locked_s: float = LOCKED_S,
    ) -> Camera:
        """Return a camera, of which nothing is known yet but perhaps its certificate.

        That is kept by its token; one without a token is only looked at.
        """
        guard = self._trust.guard(token, address.bare_host, address.shown, address.fingerprint)
        return Camera(
            Connection(self._http, address, guard, timeout_s=self._timeout_s),
            self._book,
            self._xml,
            forgiven_after_s=forgiven_after_s,
            locked_s=locked_s,
        )

    async def probe(self, address: Address) -> Sequence[OnvifProfile]:
        """Return what a camera offers; raises DeviceError."""
        return await self.camera(address).profiles()

    async def search(self, timeout_s: float) -> Sequence[Found]:
        """Return the cameras that answer within a time; raises UnavailableError."""
        if self._waiting >= MAX_SEARCHES:
            raise UnavailableError("too many searches wait for each other: try again in a minute")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._searches, search, timeout_s, self._stopping)
        except OSError as error:
            raise UnavailableError(f"the network can't be searched: {error.strerror}") from error
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """End all; whoever is asked gets an error."""
        self._stopping.set()
        if self._session is not None:
            await self._session.close()
        for threads in (self._xml, self._searches):
            threads.shutdown(wait=False, cancel_futures=True)

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # cheap cameras hold on to connections that they forget to answer on
                # and each camera holds one until something happens: there is no bound but theirs
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),  # each request has its own
                auto_decompress=False,
                trust_env=False,
            )
        return self._session
