"""What an output may ask about the request it was handed."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from h5sup.auth.guard import Identity


@dataclass(frozen=True, slots=True)
class Visit:
    """One admitted request; `request[VISIT]` in every output."""

    identity: Identity

    def may_see(self, token: str) -> bool:
        """Return whether the visitor may know of this source: whoever is admitted sees all."""
        del token
        return True


VISIT = web.RequestKey("VISIT", Visit)
