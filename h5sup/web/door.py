"""Who may be connected: bounds on all connections and on those of one address.

When all places are taken, the connection that was made first and asks nothing now gives way. So
neither forgotten sockets nor clients that never finish a request lock others out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from typing import Protocol

SAY_EVERY_S = 60.0  # a flood must not fill the log

logger = logging.getLogger(__name__)


class Guest(Protocol):
    """A connection."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being answered on it: it may give way."""

    def cut_off(self) -> None:
        """End it now."""


class Door:
    """Counts who is in. Used from the event loop alone."""

    def __init__(self, *, limit: int, per_address: int) -> None:
        """Take how many may be in at once, and of one address; 0 of one address: no bound."""
        self.limit = limit
        self.refused = 0
        self.gave_way = 0
        self._per_address = per_address
        self._groups: dict[Guest, str] = {}
        self._by_group: dict[str, dict[Guest, None]] = {}
        self._said_at = -SAY_EVERY_S

    @property
    def connections(self) -> int:
        """Return how many are in."""
        return len(self._groups)

    def enter(self, guest: Guest, address: str) -> bool:
        """Let one in, or return False: there is no place and nobody gives way."""
        group = group_of(address)
        neighbours = self._by_group.get(group, {})
        is_many = bool(group and self._per_address) and len(neighbours) >= self._per_address
        if is_many and not self._make_room(neighbours):
            return self._refuse(address, "limits.connections_per_address")
        if self.connections >= self.limit and not self._make_room(self._groups):
            return self._refuse(address, "limits.connections")
        self._groups[guest] = group
        self._by_group.setdefault(group, {})[guest] = None
        return True

    def leave(self, guest: Guest) -> None:
        """Forget one; unknown ones are ignored."""
        group = self._groups.pop(guest, None)
        if group is None:
            return
        neighbours = self._by_group[group]
        del neighbours[guest]
        if not neighbours:
            del self._by_group[group]

    def _make_room(self, guests: Iterable[Guest]) -> bool:
        oldest = next((guest for guest in guests if guest.is_idle), None)
        if oldest is None:
            return False
        self.gave_way += 1
        self.leave(oldest)
        oldest.cut_off()
        return True

    def _refuse(self, address: str, key: str) -> bool:
        self.refused += 1
        now = time.monotonic()
        if now - self._said_at >= SAY_EVERY_S:
            self._said_at = now
            logger.warning(
                "a connection from %s is refused: all places are taken (%s); %d refused so far",
                address,
                key,
                self.refused,
            )
        return False


def group_of(address: str) -> str:
    """Return what counts as one address; nothing for this machine, whose proxies speak for many.

    Whoever has one IPv6 address has its whole /64 (RFC 6177).
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if parsed.is_loopback:
        return ""
    return parsed.packed[:8].hex() if isinstance(parsed, IPv6Address) else str(parsed)
