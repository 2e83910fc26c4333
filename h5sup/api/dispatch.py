"""The one route: finds what a URL means, asks the guard, hands on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from h5sup.api.call import AnyCall, Caller
from h5sup.api.errors import CALL_STATUS, FETCH_STATUS, MethodError, answered, note_begun
from h5sup.api.headers import add_headers, preflight
from h5sup.api.parameters import parse_parameters
from h5sup.api.services import SERVICES, Services
from h5sup.api.system import COOKIE
from h5sup.api.table import CALLS
from h5sup.api.target import Target, normalise_path, read_parameters, read_target
from h5sup.auth.guard import Access, Claim, Guard
from h5sup.auth.visit import VISIT, Visit
from h5sup.base.errors import InvalidError, NotFoundError

MAX_FORM_BYTES = 16_384
FORM_TIMEOUT_S = 10.0
FORM = "application/x-www-form-urlencoded"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Mount:
    """What answers below a path, to whom."""

    handler: Handler
    methods: tuple[str, ...] = ("GET", "HEAD")
    access: Access = Access.READ


def create_api(
    app: web.Application,
    services: Services,
    *,
    pages: Handler,
    sockets: Mapping[str, Handler],
    prefixes: Mapping[str, Mount],
    trusted_origins: tuple[str, ...] = (),
) -> None:
    """Make `app` answer everything: the calls, the outputs given, and `pages` for the rest.

    `sockets` are WebSocket handlers by name, found at `/<name>` and `/api/v1/<name>`; `prefixes`
    answer whatever lies below a path such as `/hls/`. Both are asked only once the
    guard has admitted the request, and get it with a well-formed URL.
    """
    app[SERVICES] = services
    app.on_response_prepare.append(add_headers(trusted_origins))
    app.on_response_prepare.append(note_begun)
    dispatcher = Dispatcher(CALLS, services.guard, pages=pages, sockets=sockets, prefixes=prefixes)
    app.router.add_route("*", r"/{path:[\s\S]*}", dispatcher.handle)


class Dispatcher:
    """Finds the handler of each request."""

    def __init__(
        self,
        calls: Sequence[AnyCall],
        guard: Guard,
        *,
        pages: Handler,
        sockets: Mapping[str, Handler],
        prefixes: Mapping[str, Mount],
    ) -> None:
        self._calls = {call.name.lower(): call for call in calls}
        self._guard = guard
        self._pages = pages
        self._sockets = {
            name.lower(): Mount(handler, access=Access.SOCKET) for name, handler in sockets.items()
        }
        self._prefixes = dict(prefixes)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        if request.method == "OPTIONS":
            return preflight()
        path = normalise_path(request.rel_url.raw_path)
        if not {".", ".."}.isdisjoint(path.split("/")):
            return await answered(request, FETCH_STATUS, _refuse_dots)
        socket = self._sockets.get(path.lower().removeprefix("/api/v1").strip("/"))
        if socket is not None:
            return await self._handle_output(request, socket)
        for prefix, mount in self._prefixes.items():
            if path.startswith(prefix):
                return await self._handle_output(request, mount)
        if path.lower().startswith("/api/"):
            return await answered(request, CALL_STATUS, lambda: self._handle_call(request))
        page = request.clone(rel_url=Target(path, {}).url)
        return await answered(page, FETCH_STATUS, lambda: self._pages(page))

    async def _handle_call(self, request: web.Request) -> web.StreamResponse:
        target = _target_of(request)
        name = target.call or ""
        call = self._calls.get(name)
        parameters = dict(target.parameters)
        if call is not None and request.method == "POST":
            parameters |= await _read_form(request)
        claim = _claim_of(request, parameters)
        if call is None:
            self._guard.admit(claim, Access.READ, "Viewer")
            raise NotFoundError(
                f"there is no call {name[:64]!r}: see docs/api.md for those there are"
            )
        # HEAD reads; POST is for all, since a form keeps a password out of the URL
        reads = call.access is Access.READ
        _check_method(request, ("GET", "HEAD", "POST") if reads else ("GET", "POST"))
        identity = None
        if call.role is not None:
            identity = self._guard.admit(claim, call.access, call.role)
        elif call.access is Access.ACT:
            self._guard.refuse_cross_site(claim)
        given = parse_parameters(parameters, call.parameters)
        return await call.handler(Caller(request, identity), given)

    async def _handle_output(self, request: web.Request, mount: Mount) -> web.StreamResponse:
        async def admitted() -> web.StreamResponse:
            _check_method(request, mount.methods)
            target = _target_of(request)
            claim = _claim_of(request, target.parameters)
            identity = self._guard.admit(claim, mount.access, "Viewer")
            seen = request.clone(rel_url=target.url)
            seen[VISIT] = Visit(identity)
            return await mount.handler(seen)

        return await answered(request, FETCH_STATUS, admitted)


def _target_of(request: web.Request) -> Target:
    return read_target(request.rel_url.raw_path, request.rel_url.raw_query_string)


def _claim_of(request: web.Request, parameters: Mapping[str, str]) -> Claim:
    headers = request.headers
    return Claim(
        session=parameters.get("session", ""),
        authorization=headers.get("Authorization", ""),
        cookie=request.cookies.get(COOKIE, ""),
        host=headers.get("Host", ""),
        origin=headers.get("Origin", ""),
        referer=headers.get("Referer", ""),
        fetch_site=headers.get("Sec-Fetch-Site", ""),
        user_agent=headers.get("User-Agent", ""),
    )


def _check_method(request: web.Request, allowed: tuple[str, ...]) -> None:
    if request.method not in allowed:
        raise MethodError(allowed)


async def _refuse_dots() -> web.StreamResponse:
    raise NotFoundError("there is nothing here")


async def _read_form(request: web.Request) -> dict[str, str]:
    if request.content_type != FORM:
        return {}
    body = bytearray()
    try:
        async with asyncio.timeout(FORM_TIMEOUT_S):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > MAX_FORM_BYTES:
                    raise InvalidError("body", f"must not be larger than {MAX_FORM_BYTES} bytes")
    except TimeoutError:
        raise InvalidError("body", f"did not come within {FORM_TIMEOUT_S:g} s") from None
    return read_parameters(body.decode("ascii", "replace"))
