"""All REST calls there are."""

from __future__ import annotations

from h5sup.api import (
    archive,
    cloud,
    connections,
    devices,
    library,
    machine,
    onvif,
    openapi,
    ptz,
    recording,
    snapshots,
    sources,
    streams,
    system,
    users,
)
from h5sup.api.call import AnyCall

DECLARED: tuple[AnyCall, ...] = (
    *system.CALLS,
    *machine.CALLS,
    *users.CALLS,
    *sources.CALLS,
    *devices.CALLS,
    *onvif.CALLS,
    *ptz.CALLS,
    *streams.CALLS,
    *recording.CALLS,
    *snapshots.CALLS,
    *library.CALLS,
    *archive.CALLS,
    *cloud.CALLS,
    *connections.CALLS,
)
CALLS: tuple[AnyCall, ...] = (*DECLARED, openapi.declare(DECLARED))
