"""Says that logins fail, seldom enough that a flood of guesses drowns no other event."""

from __future__ import annotations

import time
from collections.abc import Callable

from h5sup.events.event import LoginFailed
from h5sup.events.hub import Hub

AT_ONCE = 10
ONE_EVERY_S = 6.0


class LoginAlarm:
    """At most ten events at once and ten a minute; each says how many went without one."""

    def __init__(self, hub: Hub, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._hub = hub
        self._clock = clock
        self._left = float(AT_ONCE)
        self._since = clock()
        self._unreported = 0

    def note(self, user: str, address: str, faults: int) -> None:
        """A login failed."""
        now = self._clock()
        self._left = min(AT_ONCE, self._left + (now - self._since) / ONE_EVERY_S)
        self._since = now
        if self._left < 1:
            self._unreported += 1
            return
        self._left -= 1
        self._hub.tell(LoginFailed(user, address, faults, self._unreported))
        self._unreported = 0
