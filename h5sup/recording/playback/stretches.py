"""In which times a recorder has recorded, asked for as a playback gets there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from h5sup.base.clock import from_us, to_us
from h5sup.base.errors import UnavailableError
from h5sup.devices.model import DeviceError, DeviceRecord, MediaAddress
from h5sup.formats.isobmff.gop_table import SECOND_US
from h5sup.recording.playback.supply import Span

JOIN_US = 2 * SECOND_US  # recorders cut their files with a second's loss
LEAST_US = SECOND_US // 2  # what is not worth an ffmpeg
WINDOW_US = 6 * 3600 * SECOND_US  # that is asked for at once; a month would take many seconds
MAX_SEARCHES = 100  # for one jump


class DeviceRecordings(Protocol):
    """What a recorder has of one channel. Raises DeviceError."""

    async def search(self, begin: datetime, end: datetime) -> tuple[Sequence[DeviceRecord], bool]:
        """Return what was recorded, oldest first, and whether that is all."""

    async def playback(self, begin: datetime, end: datetime) -> MediaAddress:
        """Return where it is had."""


class Stretch(NamedTuple):
    """A time in which all was recorded."""

    begin_us: int
    end_us: int


class Stretches:
    """What is known of them between two moments. Owned by a DeviceReel."""

    def __init__(self, recordings: DeviceRecordings, programme: Span) -> None:
        self._recordings = recordings
        self._programme = programme
        self._stretches: list[Stretch] = []
        self._known_from_us = self._known_us = programme.begin_us  # there is no other between

    async def find(self, at_us: int) -> Stretch | None:
        """Return what was recorded at a moment or next after it; raises UnavailableError."""
        if not self._known_from_us <= at_us <= self._known_us:
            self._stretches.clear()
            self._known_from_us = self._known_us = at_us
        window_us = WINDOW_US
        for _ in range(MAX_SEARCHES):
            for stretch in self._stretches:
                if stretch.end_us > at_us + LEAST_US:
                    return stretch
            if self._known_us >= self._programme.end_us:
                break
            await self._look_on(min(self._programme.end_us, self._known_us + window_us))
            window_us *= 2
        return None

    async def _look_on(self, end_us: int) -> None:
        """Ask for what comes after all that is known."""
        found, is_all = await self._search(self._known_us, end_us)
        for stretch in found:
            self._add(*stretch)
        reached_us = found[-1].end_us if found else self._known_us
        self._known_us = end_us if is_all or reached_us <= self._known_us else reached_us

    async def find_last(self) -> Stretch | None:
        """Return what was recorded last; raises UnavailableError."""
        end_us, window_us = self._programme.end_us, WINDOW_US
        begin_us = end_us
        while begin_us > self._programme.begin_us:
            begin_us = max(self._programme.begin_us, end_us - window_us)
            found, _ = await self._search(begin_us, end_us)
            if found:
                return max(found, key=lambda stretch: stretch.end_us)
            window_us *= 4
        return None

    async def _search(self, begin_us: int, end_us: int) -> tuple[list[Stretch], bool]:
        try:
            found, is_all = await self._recordings.search(from_us(begin_us), from_us(end_us))
        except DeviceError as error:
            raise UnavailableError(str(error)) from error
        clipped = [
            Stretch(max(to_us(one.begin), begin_us), min(to_us(one.end), end_us)) for one in found
        ]
        return sorted(one for one in clipped if one.end_us > one.begin_us), is_all

    def _add(self, begin_us: int, end_us: int) -> None:
        last = self._stretches[-1] if self._stretches else None
        if last is not None and begin_us <= last.end_us + JOIN_US:
            self._stretches[-1] = Stretch(last.begin_us, max(last.end_us, end_us))
        else:
            self._stretches.append(Stretch(begin_us, end_us))
