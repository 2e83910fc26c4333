"""What one ffmpeg is shown of a recording, and how a recorder counts its time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from h5sup.base.clock import from_us, to_us
from h5sup.devices.rtsp.tempo import Tempo
from h5sup.formats.rtsp import PlayRange, build_clock_range, build_npt_range

SECOND_US = 1_000_000
BELIEVED_US = 20 * SECOND_US  # a long GOP: so far from what was asked for a recorder may begin
ZONES_US = 15 * 60 * SECOND_US  # recorders tell clocks of some zone: zones differ by quarters


@dataclass(slots=True)
class Showing:
    """What one ffmpeg is shown."""

    url: str
    """Where it is had; good for one ffmpeg."""
    asked_us: int
    scale: float
    """How many times as fast the device says that it sends."""
    is_described: bool
    """Pictures need not be looked at to know what they are."""
    tempo: Tempo | None
    """How its timestamps pass; None while that is being found out."""
    range_us: int | None = None
    """When the device says that it begins."""
    lead_us: int = 0
    """So much after that its first picture was taken; negative: before."""

    @property
    def begin_us(self) -> int:
        """Return when its first picture was taken, as far as that is known."""
        begin_us = self.asked_us if self.range_us is None else self.range_us
        return begin_us + self.lead_us * self.stretching

    @property
    def stretching(self) -> int:
        """Return how many seconds of the recording one second of timestamps is."""
        return round(self.scale) if self.tempo is Tempo.COMPRESSED else 1


class Calendar:
    """How a recorder counts time: seconds after the beginning, or a clock of some zone."""

    def __init__(self) -> None:
        self._origin_us: int | None = None  # of seconds
        self._zone_us: int | None = None  # that its clock is ahead of UTC

    @property
    def is_known(self) -> bool:
        """Return whether a moment can be told to it."""
        return self._origin_us is not None or self._zone_us is not None

    def learn(self, asked_us: int, told: PlayRange | None) -> None:
        """Note how it told where it began, when it was asked by another way for a moment."""
        if told is None:
            return
        if told.npt_s is not None:
            npt_us = round(told.npt_s * SECOND_US)
            is_start = npt_us <= BELIEVED_US  # else it counts from another beginning
            self._origin_us = asked_us - (0 if is_start else npt_us)
        elif told.clock is not None:
            self._zone_us = round((to_us(told.clock) - asked_us) / ZONES_US) * ZONES_US

    def build_range(self, at_us: int) -> str:
        """Return a Range that begins at a moment; it must be known how."""
        if self._origin_us is not None:
            return build_npt_range(max(0, at_us - self._origin_us) / SECOND_US)
        assert self._zone_us is not None
        return build_clock_range(from_us(at_us) + timedelta(microseconds=self._zone_us))

    def find(self, asked_us: int, told: PlayRange | None) -> int | None:
        """Return the moment a Range means; None if that can't be what was asked for."""
        if told is None:
            return None
        if told.npt_s is not None and self._origin_us is not None:
            at_us = self._origin_us + round(told.npt_s * SECOND_US)
        elif told.clock is not None and self._zone_us is not None:
            at_us = to_us(told.clock) - self._zone_us
        else:
            return None
        return at_us if abs(at_us - asked_us) <= BELIEVED_US else None


def match_times(told: Sequence[tuple[str, int]], urls: Sequence[str]) -> dict[int, int]:
    """Return the timestamps of RTP-Info by the number of their track, given all tracks' addresses.

    Devices name them whole, by their end, or not at all.
    """
    found: dict[int, int] = {}
    for number, wanted in enumerate(urls):
        for place, (url, rtptime) in enumerate(told):
            is_it = url.rpartition("/")[2] == wanted.rpartition("/")[2]
            if is_it or (not url and place == number):
                found[number] = rtptime
                break
    return found
