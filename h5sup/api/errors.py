"""The one place that turns errors into answers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from h5sup.api import present
from h5sup.base.errors import (
    AuthError,
    ConfigError,
    ForbiddenError,
    H5supError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)

logger = logging.getLogger(__name__)


class MethodError(H5supError):
    """A method that what is asked for does not take."""

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(f"the methods here are {', '.join(allowed)}")
        self.allowed = allowed


@dataclass(slots=True)
class Begun:
    """Whether the head of the answer has been sent; shared with clones of the request."""

    is_so: bool = False


# The contract: "No or dead session: HTTP 401; every other failure: HTTP 200". That is for the
# REST calls; what browsers and players fetch by itself gets the status HTTP has for it.
CALL_STATUS: dict[type[H5supError], int] = {
    AuthError: 401,
    MethodError: 405,
    H5supError: 200,
}
FETCH_STATUS: dict[type[H5supError], int] = {
    AuthError: 401,
    MethodError: 405,
    ForbiddenError: 403,
    NotFoundError: 404,
    InvalidError: 400,
    ConfigError: 400,
    UnavailableError: 503,
    H5supError: 500,
}

BEGUN = web.RequestKey("BEGUN", Begun)

Answer = Callable[[], Awaitable[web.StreamResponse]]


async def answered(
    request: web.Request, statuses: dict[type[H5supError], int], handler: Answer
) -> web.StreamResponse:
    """Return the handler's answer, or JSON that says why there is none."""
    begun = request[BEGUN] = Begun()
    try:
        return await handler()
    except web.HTTPException:
        raise
    except H5supError as error:
        if begun.is_so:
            raise
        return _refuse(error, statuses)
    except ConnectionResetError:  # whoever asked has gone: nobody is left to be answered
        logger.debug("%s %s: the client has gone", request.method, request.path)
        return web.Response()  # aiohttp finds the same, and lets go
    except Exception:  # the API's edge: a bug must not show itself to whoever calls
        if begun.is_so:  # aiohttp cuts the connection: there is no other way to say it now
            raise
        logger.exception("%s %s failed", request.method, request.path)
        bug = present.Outcome(is_done=False, sentence="the server failed: its log says why")
        return present.answer(bug, status=500)


async def note_begun(request: web.Request, response: web.StreamResponse) -> None:
    """Note that the answer is on its way: nothing else can be answered any more."""
    del response
    if BEGUN in request:
        request[BEGUN].is_so = True


def _refuse(error: H5supError, statuses: dict[type[H5supError], int]) -> web.Response:
    status = next(statuses[kind] for kind in type(error).__mro__ if kind in statuses)
    response = present.answer(present.refusal(error), status=status)
    if isinstance(error, MethodError):
        response.headers["Allow"] = ", ".join(error.allowed)
    return response
