"""The one place that decides who a request comes from and whether they may.

REST calls, WebSockets, HLS, images and pages all ask here.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import urlsplit

from h5sup.auth.roles import suffices
from h5sup.auth.sessions import Session, Sessions
from h5sup.auth.sight import may_see, may_see_device
from h5sup.auth.users import Users
from h5sup.base.errors import AuthError, ForbiddenError
from h5sup.config.model import SEE_ALL, AuthConfig, Role


class Access(Enum):
    """What a request wants to do; it decides which proofs count."""

    READ = "read"
    """Sees something: `session=`, `Authorization` or the cookie."""
    ACT = "act"
    """Changes something: `session=` or `Authorization`, and never from another site."""
    SCRAPE = "scrape"
    """Reads figures: as READ, or by the key of auth.metrics_key as `Authorization`."""
    SOCKET = "socket"
    """Opens a WebSocket: as READ, but the cookie only from a page of this server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a request says about itself. Its secrets never show in a repr."""

    session: str = field(default="", repr=False)
    authorization: str = field(default="", repr=False)
    cookie: str = field(default="", repr=False)
    host: str = ""
    origin: str = ""
    referer: str = field(default="", repr=False)
    fetch_site: str = ""
    user_agent: str = ""

    @property
    def explicit(self) -> str:
        """Return the session id that was given on purpose, or an empty text."""
        if self.session:
            return self.session
        scheme, _, value = self.authorization.strip().partition(" ")
        return value.strip() if scheme.lower() in ("token", "bearer") else ""

    @property
    def is_same_origin(self) -> bool:
        """Return whether a browser says that a page of this server asks."""
        return bool(self.origin) and _netloc(self.origin) == self.host.lower()


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a request comes from."""

    name: str
    role: Role
    session: Session | None = field(default=None, repr=False)
    is_anonymous: bool = False
    sources: tuple[str, ...] = SEE_ALL

    @property
    def sees_all(self) -> bool:
        """Return whether no source is kept from them."""
        return "*" in self.sources

    def may_see(self, token: str) -> bool:
        """Return whether they may know of this source."""
        return may_see(self.sources, token)

    def may_see_device(self, token: str) -> bool:
        """Return whether they may know of this device: of all its channels, or of some."""
        return may_see_device(self.sources, token)


ANONYMOUS = Identity("", "Viewer", is_anonymous=True)


class Guard:
    """Admits or refuses; see Access for the rules."""

    def __init__(
        self,
        config: AuthConfig,
        users: Users,
        sessions: Sessions,
        trusted_origins: tuple[str, ...],
    ) -> None:
        self._config = config
        self._users = users
        self._sessions = sessions
        self._trusted_origins = frozenset(trusted_origins)

    def admit(self, claim: Claim, access: Access, least: Role) -> Identity:
        """Return who it is; raises AuthError (nobody) or ForbiddenError (may not)."""
        if access is Access.ACT:
            self.refuse_cross_site(claim)
        identity = self._identify(claim, access)
        strict = self._config.strict_roles or identity.is_anonymous
        if not suffices(identity.role, least, strict=strict):
            raise ForbiddenError(
                f"this takes the role {least}, {identity.name!r} is {identity.role}"
            )
        return identity

    def refuse_cross_site(self, claim: Claim) -> None:
        """Raise ForbiddenError for what another web site makes a browser do."""
        if claim.fetch_site == "cross-site" and claim.origin not in self._trusted_origins:
            raise ForbiddenError(
                "a page of another site may not do this: list its origin in http.cors_origins"
            )

    def _identify(self, claim: Claim, access: Access) -> Identity:
        session_id = claim.explicit
        if access is Access.SCRAPE and self._is_scraper(session_id):
            return Identity("metrics", "Administrator")
        if not session_id and (
            access in (Access.READ, Access.SCRAPE)
            or (access is Access.SOCKET and claim.is_same_origin)
        ):
            session_id = claim.cookie
        session = self._sessions.find(session_id) if session_id else None
        if session is not None:
            identity = self._identity_of(session)
            if identity is not None:
                return identity
        is_open = self._config.anonymous_view or not self._config.enabled
        if is_open and access is Access.SOCKET and self._is_foreign(claim):
            raise ForbiddenError(
                "a page of another site may not watch without a session: "
                "list its origin in http.cors_origins"
            )
        if not self._config.enabled and (access is not Access.ACT or self._is_deliberate(claim)):
            return Identity("everybody", "Administrator")
        if self._config.anonymous_view and access is not Access.ACT:
            return ANONYMOUS
        raise AuthError(
            "the session has ended: sign in again"
            if session_id
            else "there is no session: sign in"
        )

    def _is_foreign(self, claim: Claim) -> bool:
        """Return whether a browser says that a page of another site asks.

        What it reads by a plain request it keeps from that page; what comes by a WebSocket it
        does not.
        """
        return (
            bool(claim.origin)
            and not claim.is_same_origin
            and claim.origin not in self._trusted_origins
        )

    def _is_scraper(self, given: str) -> bool:
        key = self._config.metrics_key
        return bool(key) and hmac.compare_digest(given.encode(), key.encode())

    def _identity_of(self, session: Session) -> Identity | None:
        if not self._config.enabled:
            return Identity(session.user, "Administrator", session)
        user = self._users.find(session.user)
        if user is None:
            return None
        return Identity(user.name, user.role, session, sources=user.sources)

    def _is_deliberate(self, claim: Claim) -> bool:
        """Return whether no strange site's page can have sent this without a session.

        Matters with auth.enabled=false alone. Over plain HTTP browsers leave Sec-Fetch-Site out,
        and a foreign page's `<img src=".../DelSrc?...">` sends neither Origin nor, if it likes,
        Referer. So a browser must show that the request is its own: by a header that names this
        server or a listed one, or by an Authorization header of any content, which other sites
        can't send without a preflight.
        """
        return (
            bool(claim.authorization)
            or not claim.user_agent.startswith("Mozilla/")
            or claim.fetch_site in ("same-origin", "none")
            or claim.is_same_origin
            or claim.origin in self._trusted_origins
            or _netloc(claim.referer) == claim.host.lower()
        )


def _netloc(url: str) -> str:
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""
