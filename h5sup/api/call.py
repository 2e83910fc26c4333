"""How a call is declared: once, for routing, parsing, rights and docs/api.md alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from aiohttp import web
from msgspec import Struct

from h5sup.api.services import SERVICES, Services
from h5sup.api.subject import CallToken
from h5sup.auth.guard import Access, Identity
from h5sup.config.model import Role


class NoParameters(Struct, frozen=True):
    """For calls that take none."""


P = TypeVar("P", bound=Struct)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls and by which request."""

    request: web.Request
    identity: Identity | None
    """None where no session is needed: `Call.role` is None."""

    @property
    def services(self) -> Services:
        """Return what app/routes.py composed."""
        return self.request.app[SERVICES]

    def may_see(self, token: str) -> bool:
        """Return whether a source may be listed to them; one they name is checked before."""
        return self.identity is not None and self.identity.may_see(token)

    def may_see_device(self, token: str) -> bool:
        """Return whether a device may be listed to them."""
        return self.identity is not None and self.identity.may_see_device(token)


Handler = Callable[[Caller, P], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[P]):
    """One REST call, `GET /api/v1/<name>`."""

    name: str
    section: str
    """Of the manual; empty for calls that it does not have."""
    description: str
    parameters: type[P]
    answer: type[Struct] | str
    """The shape of the JSON answer, or a MIME type."""
    role: Role | None
    """The least role; None means that nobody needs to be signed in."""
    access: Access
    handler: Handler[P]
    token: CallToken = CallToken.SOURCE
    """What the parameter of that name names; see subject.py."""


AnyCall = Call[Any]
