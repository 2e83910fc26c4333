"""What a player is supplied with: piece after piece of what was recorded, here or on a device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Protocol

from h5sup.formats.isobmff.fragment import ParsedFragment
from h5sup.formats.isobmff.gop_table import StoredGop
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.formats.isobmff.track import Track


class StoredFragment(NamedTuple):
    """A fragment as it was recorded."""

    data: bytes
    parsed: ParsedFragment
    start_us: int
    """When its first picture was taken; of sound alone, that of the picture before."""
    end_us: int


class Footage(Protocol):
    """What shares an init segment and a clock: a file, or one reading from a device."""

    @property
    def number(self) -> int:
        """By which it is told from others of the same playback."""

    @property
    def init(self) -> InitSegment:
        """What its fragments need."""

    @property
    def video(self) -> Track:
        """Its video track."""

    def read_gop(self, root: Path, gop: StoredGop) -> Sequence[bytes]:
        """Return a GOP's fragments; raises OSError, MediaFormatError. Blocks."""


class Edge(Enum):
    """Why there is no next piece."""

    NOT_YET = "not yet"
    """Its recording goes on."""
    END = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some fragments of one GOP that follow each other."""

    source: Footage
    number: int
    """Of its GOP in the file."""
    gop: StoredGop
    fragments: list[StoredFragment]
    is_first: bool
    """They begin with the GOP's key fragment."""
    duration: int = 0
    """Its key fragment stands for so many ticks; 0: it is one of many."""
    land_us: int | None = None
    """Pictures that ended before this moment are only there for those after them."""

    @property
    def is_key_alone(self) -> bool:
        """Return whether it is a key fragment that stands for what was left out."""
        return self.duration > 0


class Span(Protocol):
    """What is played, in microseconds since 1970."""

    begin_us: int
    end_us: int


Stride = Callable[[Footage, StoredGop], int]
"""Of how many GOPs, from this one on, one key fragment is enough; 0: all is wanted."""


class Supply(Protocol):
    """Owned by one player and used from the loop alone. `close()` must follow."""

    stride: Stride

    @property
    def programme(self) -> Span:
        """What is played."""

    @property
    def waiting_bytes(self) -> int:
        """How much was read ahead."""

    async def open(self) -> Piece | Edge:
        """Return the first piece once it is read, which take() gives once more."""

    def take(self) -> Piece | Edge | None:
        """Return the next piece, and have the one after it read; None while it is being read."""

    def seek(self, at_us: int) -> None:
        """Have the next piece be that with the picture of a moment, or the next after it."""

    def steer(self, speed: float, *, is_paused: bool) -> None:
        """Note how it is played: what sends at a pace of its own may follow that."""

    async def close(self) -> None:
        """Free what it holds."""
