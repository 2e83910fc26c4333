"""Names that failed to sign in too often are locked for a growing time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

FAULTS_ALLOWED = 5
FIRST_LOCK_S = 30.0
LONGEST_LOCK_S = 3600.0
FORGET_AFTER_S = 24 * 3600.0  # without a further fault
MAX_NAMES = 1024


@dataclass(slots=True)
class Record:
    """What is remembered of a name that failed."""

    faults: int
    last_fault: float
    locked_until: float


class Lockout:
    """Counts failed logins by name, whether the name exists or not. Bounded.

    From the fifth fault in a row on each one locks the name, for twice as long as the one before.
    """

    def __init__(
        self, *, limit: int = MAX_NAMES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._records: dict[str, Record] = {}

    def __len__(self) -> int:
        return len(self._records)

    def faults(self, name: str) -> int:
        """Return how often the name failed in a row."""
        record = self._records.get(name)
        return record.faults if record else 0

    def locked_s(self, name: str) -> int:
        """Return for how many seconds the name stays locked; 0 when it is not."""
        record = self._records.get(name)
        if record is None:
            return 0
        return max(0, math.ceil(record.locked_until - self._clock()))

    def note_fault(self, name: str) -> None:
        """Count a failed login."""
        now = self._clock()
        record = self._records.get(name)
        if record is None or now - record.last_fault > FORGET_AFTER_S:
            self._make_room()
            record = self._records[name] = Record(0, now, now)
        record.faults += 1
        record.last_fault = now
        if record.faults >= FAULTS_ALLOWED:
            doublings = min(record.faults - FAULTS_ALLOWED, 16)
            record.locked_until = now + min(FIRST_LOCK_S * 2**doublings, LONGEST_LOCK_S)

    def note_success(self, name: str) -> None:
        """Forget the name's faults."""
        self._records.pop(name, None)

    def _make_room(self) -> None:
        """Forget the least suspicious name: a flood of new ones frees no locked one."""
        if len(self._records) < self._limit:
            return
        name = min(
            self._records,
            key=lambda one: (self._records[one].faults, self._records[one].last_fault),
        )
        del self._records[name]
