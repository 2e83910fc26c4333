"""All REST calls there are."""

from __future__ import annotations

from h5sup.api import connections, sources, system
from h5sup.api.call import AnyCall

CALLS: tuple[AnyCall, ...] = (*system.CALLS, *sources.CALLS, *connections.CALLS)
