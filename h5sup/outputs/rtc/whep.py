"""WHEP, the standard way to watch over WebRTC by HTTP (draft-ietf-wish-whep). The viewer offers.

`POST /whep/<token>` with an offer gives 201, an answer and the address of the viewing; DELETE
there ends it. PATCH may bring candidates, which are not needed: see signalling.py.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import deque

from aiohttp import hdrs, web

from h5sup.auth.visit import VISIT
from h5sup.base.errors import (
    H5supError,
    InvalidError,
    MediaFormatError,
    NotFoundError,
    UnavailableError,
)
from h5sup.config.model import RtcConfig
from h5sup.formats.sdp import model
from h5sup.formats.sdp.parse import parse_fragment
from h5sup.outputs.rtc.hall import Hall, Seat
from h5sup.outputs.rtc.negotiation import CodecError, answer_offer
from h5sup.outputs.rtc.signalling import local_address, profile_of, wants_sound

PREFIX = "/whep/"
MAX_OFFER_BYTES = 65_536
READ_WITHIN_S = 10.0
MOST_ENDED = 256  # addresses of viewings that may still be asked to end
METHODS = ("POST", "PATCH", "DELETE")
JSON = "application/json"
STATUSES: dict[type[H5supError], type[web.HTTPError]] = {
    CodecError: web.HTTPNotAcceptable,
    InvalidError: web.HTTPBadRequest,
    MediaFormatError: web.HTTPBadRequest,
    NotFoundError: web.HTTPNotFound,
    UnavailableError: web.HTTPServiceUnavailable,
}


class Whep:
    """All viewings begun this way."""

    def __init__(self, hall: Hall, config: RtcConfig) -> None:
        self._hall = hall
        self._links = [
            _link(url, server.username, server.credential)
            for server in config.ice_servers
            for url in server.urls
        ]
        self._viewings: dict[str, Seat] = {}
        self._ended: deque[tuple[str, str]] = deque(maxlen=MOST_ENDED)

    @property
    def viewings(self) -> int:
        """Return how many addresses are valid."""
        return len(self._viewings)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer whatever lies under /whep."""
        token, _, viewing = request.path.removeprefix(PREFIX).partition("/")
        try:
            if not viewing:
                _allow(request, "POST")
                return await self._begin(request, token)
            _allow(request, "PATCH", "DELETE")
            if request.method == "DELETE":
                return self._end(token, viewing)
            self._find(token, viewing)
            return await _take_candidates(request)
        except H5supError as error:
            raise _failure(error) from error

    async def _begin(self, request: web.Request, token: str) -> web.Response:
        if request.content_type != model.MIME:
            raise _status(web.HTTPUnsupportedMediaType, f"send the offer as {model.MIME}")
        offer = await _read(request)
        seat = await self._hall.take_seat(token, profile_of(request), sound=wants_sound(request))
        try:
            transport = await self._hall.transport_for(seat, local_address(request))
            answer, agreement = answer_offer(offer, seat.choices, transport)
            await self._hall.play(seat, agreement)
        except BaseException as error:
            self._hall.let_go(seat.viewer, str(error))
            raise
        viewing = secrets.token_urlsafe(16)
        self._viewings[viewing] = seat
        seat.gone.add_done_callback(lambda _: self._note_end(token, viewing))
        call_off = request[VISIT].on_end(
            lambda: self._hall.let_go(seat.viewer, "its session was closed")
        )
        seat.gone.add_done_callback(lambda _: call_off())
        response = web.Response(status=201, text=answer, content_type=model.MIME)
        response.headers[hdrs.LOCATION] = f"{PREFIX}{token}/{viewing}"
        response.headers[hdrs.ETAG] = f'"{seat.viewer.peer.ufrag}"'
        response.headers["Accept-Patch"] = model.FRAGMENT_MIME
        for link in self._links:
            response.headers.add(hdrs.LINK, link)
        return response

    def _end(self, token: str, viewing: str) -> web.Response:
        """Let a viewer go; one that closed its connection first has just gone by itself."""
        if (token, viewing) not in self._ended:
            self._hall.let_go(self._find(token, viewing).viewer, "it has said goodbye")
        return web.Response(status=200)

    def _note_end(self, token: str, viewing: str) -> None:
        del self._viewings[viewing]
        self._ended.append((token, viewing))

    def _find(self, token: str, viewing: str) -> Seat:
        seat = self._viewings.get(viewing)
        if seat is None or seat.token != token:
            raise NotFoundError("this viewing has ended")
        return seat


async def _take_candidates(request: web.Request) -> web.Response:
    """Check a trickled fragment (RFC 8840); an ICE restart would need a new offer."""
    if request.content_type != model.FRAGMENT_MIME:
        raise _status(web.HTTPUnsupportedMediaType, f"send candidates as {model.FRAGMENT_MIME}")
    parse_fragment(await _read(request))
    return web.Response(status=204)


async def _read(request: web.Request) -> str:
    body = bytearray()
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > MAX_OFFER_BYTES:
                    raise _status(
                        web.HTTPRequestEntityTooLarge,
                        f"a description has at most {MAX_OFFER_BYTES} bytes",
                    )
    except TimeoutError:
        raise InvalidError("body", f"did not come within {READ_WITHIN_S:g} s") from None
    return body.decode("utf-8", "replace")


def _allow(request: web.Request, *methods: str) -> None:
    if request.method not in methods:
        text = _sentence(f"the methods here are {', '.join(methods)}")
        raise web.HTTPMethodNotAllowed(request.method, methods, text=text, content_type=JSON)


def _link(url: str, username: str, credential: str) -> str:
    """Return an ICE server as WHEP tells it (§4.6)."""
    link = f'<{url}>; rel="ice-server"'
    if username:
        link += f'; username="{username}"; credential="{credential}"; credential-type="password"'
    return link


def _failure(error: H5supError) -> web.HTTPError:
    kind = next((STATUSES[one] for one in type(error).__mro__ if one in STATUSES), None)
    return _status(kind or web.HTTPInternalServerError, str(error))


def _status(kind: type[web.HTTPError], reason: str) -> web.HTTPError:
    """Return an error with a sentence, to be raised."""
    text = _sentence(reason)
    if kind is web.HTTPRequestEntityTooLarge:
        return web.HTTPRequestEntityTooLarge(
            MAX_OFFER_BYTES, MAX_OFFER_BYTES, text=text, content_type=JSON
        )
    error = kind(text=text, content_type=JSON)
    error.headers[hdrs.CACHE_CONTROL] = "private, no-store"
    if kind is web.HTTPServiceUnavailable:
        error.headers[hdrs.RETRY_AFTER] = "2"
    return error


def _sentence(reason: str) -> str:
    """Return a sentence in the API's shape."""
    return json.dumps({"bStatus": False, "strCode": reason}) + "\r\n"
