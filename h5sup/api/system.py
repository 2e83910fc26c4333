"""Chapter 5.2 of the manual: sessions and what the server is."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct

from h5sup.api import present
from h5sup.api.call import Call, Caller, NoParameters
from h5sup.auth.addresses import forwarded_for
from h5sup.auth.guard import Access
from h5sup.base.errors import AuthError

COOKIE = "h5s_session"
# Browsers keep one cookie for both ports, and let HTTP not replace one that HTTPS has set. The
# prefix has them take it from HTTPS alone (RFC 6265bis §4.1.3.2).
TLS_COOKIE = "__Host-h5s_session"


class LoginParameters(Struct, frozen=True):
    """Who signs in."""

    user: Annotated[str, Meta(max_length=64)]
    password: Annotated[str, Meta(max_length=128, description="in clear, or its MD5 in hex")]


async def login(caller: Caller, given: LoginParameters) -> web.Response:
    """Open a session; the cookie is for what can't carry one, such as images and HLS."""
    signed_in = await caller.services.logins.login(
        given.user, given.password, addresses_of(caller.request)
    )
    response = present.answer(present.session(signed_in))
    response.set_cookie(
        cookie_name(caller.request),
        signed_in.session_id,
        path="/",
        httponly=True,
        samesite="Strict",
        secure=caller.request.secure,
    )
    return response


async def logout(caller: Caller, given: NoParameters) -> web.Response:
    """End the session that calls."""
    del given
    assert caller.identity is not None
    if caller.identity.session is not None:
        caller.services.sessions.close(caller.identity.session)
    response = present.done("Logout successfully")
    response.del_cookie(
        cookie_name(caller.request),
        path="/",
        httponly=True,
        samesite="Strict",
        secure=caller.request.secure,
    )
    return response


async def keepalive(caller: Caller, given: NoParameters) -> web.Response:
    """Extend the session, as every call does; this one does nothing else."""
    del given
    assert caller.identity is not None
    if caller.identity.is_anonymous:
        raise AuthError("there is no session: sign in")
    return present.done("Keepalive successfully")


async def get_system_info(caller: Caller, given: NoParameters) -> web.Response:
    """Say which server this is."""
    del given
    services = caller.services
    may_know = caller.identity is not None and caller.identity.role == "Administrator"
    has_default = may_know and services.logins.has_default_password
    return present.answer(present.system(services.system, has_default_password=has_default))


def cookie_name(request: web.Request) -> str:
    """Return the name of the cookie that holds the session on this connection."""
    return TLS_COOKIE if request.secure else COOKIE


def addresses_of(request: web.Request) -> list[str]:
    """Return whom a request comes from: the peer, and whoever proxies say they speak for."""
    headers = request.headers
    named = forwarded_for(headers.get("X-Forwarded-For", ""), headers.get("Forwarded", ""))
    return [request.remote or "", *named]


CALLS = (
    Call(
        name="Login",
        section="5.2.1",
        description="Signs in. Also sets the cookie h5s_session, which is good for reading alone. "
        "A failure carries nFaultTimes and, once the name is locked, tLockTimeResidue in seconds.",
        parameters=LoginParameters,
        answer=present.SessionAnswer,
        role=None,
        access=Access.ACT,
        handler=login,
    ),
    Call(
        name="Logout",
        section="5.2.2",
        description="Ends the session.",
        parameters=NoParameters,
        answer=present.Outcome,
        role="Viewer",
        access=Access.ACT,
        handler=logout,
    ),
    Call(
        name="Keepalive",
        section="5.2.3",
        description="Extends the session by nTimeout, as every other call does too.",
        parameters=NoParameters,
        answer=present.Outcome,
        role="Viewer",
        access=Access.READ,
        handler=keepalive,
    ),
    Call(
        name="GetSystemInfo",
        section="5.2.4",
        description="Says which server this is, and to Administrators by bDefaultPassword "
        "whether 12345 still opens it.",
        parameters=NoParameters,
        answer=present.SystemAnswer,
        role="Viewer",
        access=Access.READ,
        handler=get_system_info,
    ),
)
