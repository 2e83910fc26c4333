"""What can happen. Each kind has a record of its own; an Event says when, and which one it is."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime

from h5sup.base.clock import utc_now


@dataclass(frozen=True, slots=True)
class Online:
    """A source gives pictures."""

    token: str


@dataclass(frozen=True, slots=True)
class Offline:
    """A source gives none any more, or not at all."""

    token: str
    reason: str


@dataclass(frozen=True, slots=True)
class RecordStart:
    """A recording of a source has begun."""

    token: str
    filename: str
    """By which it is played and found."""
    trigger: str
    """What it was begun by: `always`, `schedule`, `manual` or `alarm`."""


@dataclass(frozen=True, slots=True)
class RecordStop:
    """A recording of a source has ended, or can't go on for now."""

    token: str
    filename: str
    trigger: str
    reason: str


@dataclass(frozen=True, slots=True)
class DiskLow:
    """A folder's disk is as good as full."""

    disk: str
    """What lies there, such as `ram`; no path."""
    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class LoginFailed:
    """Somebody gave a wrong name or password."""

    user: str
    address: str
    faults: int
    """How often the name failed in a row."""
    unreported: int
    """Failed logins, of whatever name, since the event before this one."""


@dataclass(frozen=True, slots=True)
class Motion:
    """A camera sees something move, or does so no longer."""

    token: str
    is_on: bool


@dataclass(frozen=True, slots=True)
class AlarmIn:
    """An input of a camera is closed or opened, or whatever it calls active."""

    token: str
    name: str
    """Which input; empty where the camera has but one."""
    is_on: bool


What = Online | Offline | RecordStart | RecordStop | DiskLow | LoginFailed | Motion | AlarmIn
OfSource = Online | Offline | RecordStart | RecordStop | Motion | AlarmIn


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, once; `uuid` tells a repeated message from a repeated event."""

    what: What
    at: datetime = field(default_factory=utc_now)
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def token(self) -> str:
        """Return which source it is about; empty for none."""
        return self.what.token if isinstance(self.what, OfSource) else ""
