"""A connection to a device's RTSP server: requests with a login, and media on the same socket."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from h5sup.base.errors import Failure, MediaFormatError, SourceError
from h5sup.devices.model import MediaAddress
from h5sup.formats.http_auth import Challenge, build_authorization, choose_challenge
from h5sup.formats.rtsp import (
    Request,
    Response,
    RtspReader,
    build_request,
    build_response,
    parse_session,
)

ANSWER_S = 3.0  # players wait 8 s for a playback to open, its first picture included
RTSP_PORT = 554
AGENT = "h5sup"
MAX_WAITING = 16  # answers
REFUSED = "the device refused user name or password"
REASONS = {
    403: (Failure.WRONG_PASSWORD, "the device forbids this user to watch"),
    404: (Failure.NOT_FOUND, "the device knows no such address"),
}


class RtspConnection(asyncio.Protocol):
    """Owned by a Relay: `open()` once, `close()` last. Frames are handed on as they come.

    A login that is refused is tried once: asking again is up to who changes the password.
    """

    def __init__(
        self,
        address: MediaAddress,
        *,
        on_media: Callable[[bytes], None],
        on_lost: Callable[[], None],
        answer_s: float = ANSWER_S,
    ) -> None:
        self._address = address
        self._on_media = on_media
        self._on_lost = on_lost
        self._answer_s = answer_s
        self._transport: asyncio.Transport | None = None
        self._reader = RtspReader()
        self._sequence = 0
        self._waiting: dict[int, asyncio.Future[Response]] = {}
        self._challenge: Challenge | None = None
        self._uses = 0  # of its nonce
        self._is_accepted = False
        self._failure: SourceError | None = None
        self.session = ""
        """Its name, once a SETUP was answered."""
        self.session_s: int | None = None
        """After how long without a sign of life it ends, if the device says so."""

    @property
    def is_open(self) -> bool:
        """Return whether it can be asked."""
        return self._transport is not None and self._failure is None

    async def open(self) -> None:
        """Connect; raises SourceError."""
        try:
            parts = urlsplit(self._address.url)
            host, port = parts.hostname or "", parts.port or RTSP_PORT
        except ValueError as error:
            raise SourceError(Failure.NOT_MEDIA, "the device's address can't be read") from error
        if parts.scheme != "rtsp":
            raise SourceError(Failure.NOT_MEDIA, "the device's address is not one of RTSP")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._answer_s):
                await loop.create_connection(lambda: self, host, port)
        except TimeoutError:
            raise SourceError(Failure.UNREACHABLE, "the device does not answer") from None
        except socket.gaierror as error:
            raise SourceError(Failure.UNKNOWN_HOST, "the device's host is not known") from error
        except ConnectionRefusedError as error:
            raise SourceError(
                Failure.REFUSED, "the device refused the connection, check the port of RTSP"
            ) from error
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else "no connection"
            raise SourceError(
                Failure.UNREACHABLE, f"the device can't be reached: {why}"
            ) from error

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Return the answer, whatever it says but for the login; raises SourceError."""
        for _ in range(3):  # bare, with the login, and once more where its nonce was too old
            used = self._challenge
            answer = await self._ask(method, url, headers or {})
            if answer.status != 401:
                self._is_accepted = self._is_accepted or used is not None
                return self._judged(answer)
            self._renew(answer)
            is_stale = self._challenge is not None and self._challenge.is_stale
            if used is not None and not is_stale and not self._is_accepted:
                break
            self._is_accepted = False
        raise SourceError(Failure.WRONG_PASSWORD, REFUSED)

    def tell(self, method: str, url: str) -> None:
        """Ask without waiting for the answer, which is of no interest; only within a session.

        Where there is none the login may have been refused, and no second one must follow.
        """
        if self.is_open and self.session:
            self._send(method, url, {})

    def send_frames(self, data: bytes) -> None:
        """Send interleaved frames."""
        if self._transport is not None and self.is_open:
            self._transport.write(data)

    def hold(self, *, holds: bool) -> None:
        """Read no more for now, so that the device is held up; or go on."""
        if self._transport is None or self._transport.is_closing():
            return
        if holds:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def close(self) -> None:
        """Hang up."""
        self._fail(SourceError(Failure.CLOSED, "the connection was closed"))
        if self._transport is not None and self._transport.get_write_buffer_size():
            self._transport.abort()
        elif self._transport is not None:
            self._transport.close()

    # asyncio's

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._failure is not None:  # it was closed while it connected
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take apart what came."""
        try:
            for found in self._reader.feed(data):
                if isinstance(found, bytes):
                    self._on_media(found)
                elif isinstance(found, Response):
                    self._take(found)
                else:
                    self._refuse(found)
        except MediaFormatError as error:
            self._fail(SourceError(Failure.NOT_MEDIA, str(error)))
            assert self._transport is not None
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        del exc
        self._fail(SourceError(Failure.CLOSED, "the device closed the connection"))
        self._on_lost()

    # requests

    async def _ask(self, method: str, url: str, headers: Mapping[str, str]) -> Response:
        if self._failure is not None:
            raise SourceError(self._failure.failure, str(self._failure))
        if len(self._waiting) >= MAX_WAITING:
            raise SourceError(Failure.NO_ANSWER, "the device does not answer")
        waiting: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        sequence = self._send(method, url, headers)
        self._waiting[sequence] = waiting
        try:
            async with asyncio.timeout(self._answer_s):
                return await waiting
        except TimeoutError:
            said = f"the device does not answer {method} within {self._answer_s:g} s"
            raise SourceError(Failure.NO_ANSWER, said) from None
        finally:
            self._waiting.pop(sequence, None)

    def _send(self, method: str, url: str, headers: Mapping[str, str]) -> int:
        assert self._transport is not None
        self._sequence += 1
        given = {"CSeq": str(self._sequence), "User-Agent": AGENT, **headers}
        if self.session:
            given["Session"] = self.session
        if self._challenge is not None:
            self._uses += 1
            given["Authorization"] = build_authorization(
                self._challenge,
                user=self._address.user,
                password=self._address.password,
                method=method,
                uri=url,
                count=self._uses,
                cnonce=secrets.token_hex(8),
            )
        self._transport.write(build_request(method, url, given))
        return self._sequence

    def _take(self, answer: Response) -> None:
        waiting = self._waiting.get(answer.sequence or 0)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
        elif answer.status == 401 and self._challenge is not None:
            with suppress(SourceError):  # a sign of life with a nonce that was too old
                self._renew(answer)

    def _refuse(self, asked: Request) -> None:
        """Answer what a device asks: it may, and nothing of it is of use here."""
        assert self._transport is not None
        self._transport.write(
            build_response(501, "Not Implemented", {"CSeq": str(asked.sequence or 0)})
        )

    def _renew(self, answer: Response) -> None:
        """Take a demand for a login; raises SourceError where none can be answered."""
        try:
            challenge = choose_challenge(answer.find_all("www-authenticate"))
        except MediaFormatError:
            challenge = None
        if challenge is None:
            raise SourceError(Failure.NOT_MEDIA, "the device takes no login that is known here")
        self._challenge, self._uses = challenge, 0

    def _judged(self, answer: Response) -> Response:
        if (known := REASONS.get(answer.status)) is not None:
            raise SourceError(*known)
        if answer.is_ok and (told := answer.find("session")) is not None:
            try:
                self.session, lasts_s = parse_session(told)
            except MediaFormatError as error:
                raise SourceError(Failure.NOT_MEDIA, str(error)) from error
            self.session_s = lasts_s or self.session_s
        return answer

    def _fail(self, failure: SourceError) -> None:
        if self._failure is None:
            self._failure = failure
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(SourceError(self._failure.failure, str(self._failure)))
