"""When a source comes and goes, as others should hear of it: once each, and no flapping."""

from __future__ import annotations

import asyncio

from h5sup.bus.channel import ChannelState
from h5sup.events.event import Offline, Online
from h5sup.events.hub import Hub

GRACE_S = 3.0  # viewers notice nothing of a source that is back within this time


class Presence:
    """Follows the state of a source's main input. Owned by its Source.

    A source that is not back after a moment is offline, with the newest reason. One that never
    came is told of too; one that is only starting is not.
    """

    def __init__(self, token: str, hub: Hub, *, grace_s: float = GRACE_S) -> None:
        self._token = token
        self._hub = hub
        self._grace_s = grace_s
        self._told_online: bool | None = None
        self._reason = ""
        self._missing: asyncio.TimerHandle | None = None
        self._is_closed = False

    def note(self, state: ChannelState) -> None:
        """Take how the input fares now."""
        if self._is_closed:
            return
        match state.state:
            case "RUNNING":
                self._tell_online()
            case "BACKOFF" | "FATAL":
                self._reason = state.reason
                self._tell_offline_soon()
            case "STOPPED" if self._told_online:
                self._tell_offline(state.reason or "nobody watches")

    def close(self, reason: str) -> None:
        """The source goes for good; what its input does from now on is nobody's concern."""
        if self._told_online:
            self._tell_offline(reason)
        self._stop_waiting()
        self._is_closed = True

    def _tell_online(self) -> None:
        self._stop_waiting()
        if not self._told_online:
            self._told_online = True
            self._hub.tell(Online(self._token))

    def _tell_offline_soon(self) -> None:
        if self._told_online is not False and self._missing is None:
            loop = asyncio.get_running_loop()
            self._missing = loop.call_later(self._grace_s, self._tell_missing)

    def _tell_missing(self) -> None:
        self._tell_offline(self._reason)

    def _tell_offline(self, reason: str) -> None:
        self._stop_waiting()
        self._told_online = False
        self._hub.tell(Offline(self._token, reason))

    def _stop_waiting(self) -> None:
        if self._missing is not None:
            self._missing.cancel()
            self._missing = None
