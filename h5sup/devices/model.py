"""What a device is to the rest, whichever protocol it speaks.

A device is never asked in a loop with a password it has refused: most lock out whoever does.
Each method that asks one ends within DEVICE_TIMEOUT_S and raises DeviceError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Literal, Protocol

from h5sup.base.errors import H5supError

DEVICE_TIMEOUT_S = 10.0
STILL_AFTER_S = 10.0  # a camera that nobody stops is stopped: its client may have died

RecordTrigger = Literal["schedule", "alarm", "manual"]


class DeviceFailure(Enum):
    """Why a device did not do it, for code; the sentence for people goes with it."""

    UNREACHABLE = "unreachable"
    NO_ANSWER = "no_answer"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 (a failure's name, not a secret)
    LOCKED_OUT = "locked_out"
    CLOCK = "clock"
    """Its clock and ours are so far apart that it takes no signature."""
    NO_LOGIN = "no_login"
    """It takes no login of a kind that we have."""
    CERTIFICATE = "certificate"
    """It shows another certificate than the one it is known by."""
    UNSUPPORTED = "unsupported"
    NOT_UNDERSTOOD = "not_understood"


class DeviceError(H5supError):
    """A device did not do what it was asked."""

    def __init__(self, failure: DeviceFailure, sentence: str) -> None:
        super().__init__(sentence)
        self.failure = failure


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceChannel:
    """One camera behind a device."""

    number: int
    """As the device counts: the part after `--` of its token."""
    name: str
    is_online: bool
    has_ptz: bool = True


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """A stretch that a device has recorded."""

    begin: datetime
    end: datetime
    trigger: RecordTrigger


@dataclass(frozen=True, slots=True)
class RecordDay:
    """A day of a month on which a device has recorded."""

    day: int
    has_alarm: bool


@dataclass(frozen=True, slots=True)
class MediaAddress:
    """Where a device gives media, its login apart so that no log shows it."""

    url: str
    user: str
    password: str

    def __repr__(self) -> str:  # the password must not reach a log by way of a traceback
        return "MediaAddress()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """Which way to move, each from -1 to 1; 0 leaves that alone."""

    pan: float = 0.0
    """Positive is right."""
    tilt: float = 0.0
    """Positive is up."""
    zoom: float = 0.0
    """Positive is nearer."""
    focus: float = 0.0
    """Positive is farther away."""
    iris: float = 0.0
    """Positive is open."""


class Switch(Enum):
    """Something on a camera that is on or off."""

    WIPER = "wiper"
    LIGHT = "light"


@dataclass(frozen=True, slots=True)
class Preset:
    """A place that a camera can turn to."""

    token: str
    name: str


class Steerable(Protocol):
    """A camera that moves. Every method raises DeviceError."""

    async def move(self, motion: Motion) -> None:
        """Move on until stop()."""

    async def stop(self) -> None:
        """Stand still, whatever moves."""

    async def switch(self, what: Switch, *, on: bool) -> None:
        """Switch the wiper or the light."""

    async def presets(self) -> Sequence[Preset]:
        """Return the places it knows, in its own order."""

    async def go_to(self, preset: str) -> None:
        """Turn to a place."""

    async def set_preset(self, preset: str, name: str) -> str:
        """Keep where it looks now as a place, in the stead of one of that token if there is one.

        Returns the token by which the device knows the place, which may be another: always for an
        empty one, which asks for a new place.
        """

    async def delete_preset(self, preset: str) -> None:
        """Forget a place."""


class Recorder(Protocol):
    """A network video recorder: channels, and what it has recorded of each.

    Every method raises DeviceError; channels are counted as DeviceChannel.number does.
    """

    async def channels(self) -> Sequence[DeviceChannel]:
        """Return its channels, with which of them give pictures."""

    def live(self, channel: int, *, sub: bool) -> MediaAddress:
        """Return where a channel's picture is had; `sub` is the smaller one."""

    def playback(self, channel: int, begin: datetime, end: datetime) -> MediaAddress:
        """Return where what was recorded between two moments is had, from its beginning."""

    def steering(self, channel: int) -> Steerable:
        """Return what moves a channel's camera; the same each time, if it remembers what moves."""

    async def search(
        self, channel: int, begin: datetime, end: datetime
    ) -> tuple[Sequence[DeviceRecord], bool]:
        """Return what was recorded between two moments, oldest first, and whether that is all."""

    async def calendar(self, channel: int, year: int, month: int) -> Sequence[RecordDay]:
        """Return the days of a month with recordings."""

    async def close(self) -> None:
        """Let go of the connection."""
