"""What a recorder means by a Scale that it grants: seen by how its timestamps pass. Pure.

Some send faster and leave timestamps as they are, or send key pictures alone so; some have them
pass as time does (RFC 2326 §12.34), so that a second of them is several of the recording; some
grant a Scale and play on as before.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import sqrt

from h5sup.formats.rtp import TIMESTAMP_MASK, timestamp_distance
from h5sup.formats.rtsp import FRAME_HEAD_BYTES, list_frames

BURST_S = 0.2  # what comes at once, as some send first, tells nothing
LOOK_S = 0.6  # so long it takes to tell by the time at which pictures come
LONGEST_LOOK_S = 1.5
LEAST_PICTURES = 4
ENOUGH_PICTURES = 8  # to tell by what lies between them
ALIKE = 0.3  # by so much of themselves two spacings may differ: with B-frames the last is not last


class Tempo(Enum):
    """How timestamps pass."""

    ORIGINAL = "as when it was recorded"
    COMPRESSED = "as time does"


@dataclass(slots=True)
class Passing:
    """Pictures that come: how many, and when which timestamp did."""

    pictures: int = 0
    first: int = 0
    first_at: float = 0.0
    base: int = 0
    """The timestamp after what may have come at once."""
    base_at: float = 0.0
    last: int = 0
    last_at: float = 0.0

    def see(self, timestamp: int, now: float) -> None:
        """Note a packet's timestamp; those of one picture are alike."""
        if self.pictures and timestamp == self.last:
            return
        if not self.pictures:
            self.first = self.base = timestamp
            self.first_at = self.base_at = now
        elif self.base == self.first and now - self.first_at >= BURST_S:
            self.base, self.base_at = timestamp, now
        self.pictures += 1
        self.last, self.last_at = timestamp, now

    @property
    def spacing(self) -> float:
        """Return how many ticks lie between two pictures; 0 where that isn't known."""
        if self.pictures < ENOUGH_PICTURES:
            return 0.0
        return timestamp_distance(self.last, self.first) / (self.pictures - 1)

    def judge(self, scale: float, clock_hz: int, spacing: float, now: float) -> Tempo | None:
        """Return what they tell of a scale; None while they don't yet.

        `spacing` is that of pictures at scale 1, 0 where nobody knows. It tells most; where there
        are too few pictures, or others lie between, how much time passed must do.
        """
        if spacing and self.spacing:
            if _are_alike(self.spacing, spacing):
                return Tempo.ORIGINAL
            if _are_alike(self.spacing * scale, spacing):
                return Tempo.COMPRESSED
        took_s = now - self.first_at
        is_late = took_s >= LONGEST_LOOK_S
        if not is_late and (took_s < LOOK_S or self.pictures < LEAST_PICTURES):
            return None
        begin, began = self.base, self.base_at
        if self.last_at <= began:
            begin, began = self.first, self.first_at
        passed_s = self.last_at - began
        if passed_s <= 0:
            return Tempo.ORIGINAL
        pace = timestamp_distance(self.last, begin) / clock_hz / passed_s
        return Tempo.ORIGINAL if pace > sqrt(scale) else Tempo.COMPRESSED


def _are_alike(one: float, other: float) -> bool:
    return abs(one - other) <= ALIKE * other


def stretch(run: bytes, channel: int, base: int, factor: int) -> bytes:
    """Return a run of frames, in which the timestamps of a channel pass so many times as fast."""
    changed = bytearray(run)
    for found, begin, end in list_frames(run):
        at = begin + FRAME_HEAD_BYTES
        if found == channel and end >= at + 4:
            told = int.from_bytes(run[at : at + 4])
            since = timestamp_distance(told, base) * factor
            changed[at : at + 4] = ((base + since) & TIMESTAMP_MASK).to_bytes(4)
    return bytes(changed)
