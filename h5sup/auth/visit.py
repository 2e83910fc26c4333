"""What an output may ask about the request it was handed: what may be seen, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from h5sup.auth.guard import Identity
from h5sup.auth.sessions import Sessions


@dataclass(slots=True)
class Visit:
    """One admitted request; `request[VISIT]` in every output."""

    identity: Identity
    sessions: Sessions
    has_ended: bool = False
    """The session was closed while the request was being answered."""

    def may_see(self, token: str) -> bool:
        """Return whether the visitor may know of this source, for what shows several."""
        return self.identity.may_see(token)

    def on_end(self, end: Callable[[], None]) -> Callable[[], None]:
        """Call `end` when the session is closed, at once if it was; return what calls that off.

        A visitor without a session stays.
        """
        session = self.identity.session
        if self.has_ended:
            end()
        elif session is not None:
            return self.sessions.watch(session, end)
        return _nothing


VISIT = web.RequestKey("VISIT", Visit)


def _nothing() -> None:
    """There is nothing to call off."""
