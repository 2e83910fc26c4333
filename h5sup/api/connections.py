"""Chapter 5.7 of the manual: who is connected to which output."""

from __future__ import annotations

from aiohttp import web

from h5sup.api import present
from h5sup.api.call import Call, Caller, NoParameters
from h5sup.auth.guard import Access


async def ws_status(caller: Caller, given: NoParameters) -> web.Response:
    """Count the WebSocket viewers."""
    del given
    return present.answer(present.ConnectionsAnswer(caller.services.ws_viewers.connections))


async def rtc_status(caller: Caller, given: NoParameters) -> web.Response:
    """Count the WebRTC viewers."""
    del given
    return present.answer(present.ConnectionsAnswer(caller.services.rtc_viewers.connections))


CALLS = (
    Call(
        name="h5swsapi/Status",
        section="5.7.1",
        description="Counts the viewers over WebSocket.",
        parameters=NoParameters,
        answer=present.ConnectionsAnswer,
        role="Viewer",
        access=Access.READ,
        handler=ws_status,
    ),
    Call(
        name="h5srtcapi/Status",
        section="5.7.2",
        description="Counts the viewers over WebRTC.",
        parameters=NoParameters,
        answer=present.ConnectionsAnswer,
        role="Viewer",
        access=Access.READ,
        handler=rtc_status,
    ),
)
