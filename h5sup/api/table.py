"""All REST calls there are."""

from __future__ import annotations

from h5sup.api import connections, sources, system, users
from h5sup.api.call import AnyCall

CALLS: tuple[AnyCall, ...] = (*system.CALLS, *users.CALLS, *sources.CALLS, *connections.CALLS)
