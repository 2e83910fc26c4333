"""All recordings of one source: one intake feeds them all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from h5sup.base.errors import NotFoundError
from h5sup.bus.channel import Channel
from h5sup.config.model import RecordingConfig, SourceConfig
from h5sup.events.hub import Hub
from h5sup.recording.clock import JUMP_S, WallClock
from h5sup.recording.gaps import CLOCK, LOST, OFFLINE, RESTART, Ledger
from h5sup.recording.gop import Gop
from h5sup.recording.intake import Intake, Leases
from h5sup.recording.preroll import PreRoll
from h5sup.recording.recording import Miss, Order, Recording, Volume
from h5sup.recording.schedule import is_within
from h5sup.recording.tape import Desk, Queue
from h5sup.store.media_records import Trigger

PATIENCE_S = 10.0  # with a source that starts; after that it counts as offline
STOPPED = "h5sup was stopped"


class Channels(Leases, Protocol):
    """All sources, as far as recordings need them."""

    def find_channel(self, token: str) -> Channel:
        """Return the channel of a source's main input; raises NotFoundError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """What every recorder works with."""

    settings: RecordingConfig
    channels: Channels
    desk: Desk
    volume: Volume
    hub: Hub
    ledger: Ledger
    wall: Callable[[], float]
    """Seconds since 1970."""
    monotonic: Callable[[], float]
    """The event loop's clock."""


class Recorder:
    """Owned by Recordings; `tick()` about once a second, `close()` last."""

    def __init__(self, config: SourceConfig, studio: Studio) -> None:
        self.config = config
        self.queue = Queue(studio.settings.queue_bytes)
        self._studio = studio
        self._clock = WallClock(studio.wall, studio.monotonic)
        self._intake = Intake(
            config.token, studio.channels, self._clock, self, studio.settings.queue_bytes
        )
        self._preroll = PreRoll(studio.settings.pre_record_bytes)
        self._recordings: list[Recording] = []
        self._ended: list[Recording] = []
        self._last_end_us = 0  # of the newest GOP that recordings were given
        self._waiting_since_s: float | None = None
        self._is_stopping = False
        self._is_closed = False

    @property
    def token(self) -> str:
        """Return which source it records."""
        return self.config.token

    @property
    def recordings(self) -> tuple[Recording, ...]:
        """Return those that run or wait for pictures."""
        return tuple(self._recordings)

    def has_name(self, name: str) -> bool:
        """Return whether a recording of this name runs, or is being closed."""
        return any(one.name == name for one in (*self._recordings, *self._ended))

    @property
    def running(self) -> int:
        """Return how many recordings go to the disk now."""
        return sum(one.is_active for one in self._recordings)

    @property
    def preroll_bytes(self) -> int:
        """Return what is kept for recordings that may begin."""
        return self._preroll.size_bytes

    def wants(self, local: datetime) -> bool:
        """Return whether it is to be recorded at this time without anybody asking."""
        config = self.config
        if config.record == "schedule":
            return is_within(config.record_hours, local)
        return config.record == "always"

    def update(self, config: SourceConfig) -> None:
        """Take another configuration: the source is a new one."""
        self.config = config
        self._preroll.clear()
        self._intake.look_again()

    def add(self, order: Order) -> Recording:
        """Begin a recording, with what was seen just before."""
        studio = self._studio
        recording = Recording(
            order,
            studio.desk,
            self.queue,
            studio.volume,
            studio.hub,
            segment_s=studio.settings.segment_s,
            on_failure=self._on_failure,
        )
        self._recordings.append(recording)
        self._intake.start()
        if self._intake.is_live:
            recording.begin()
            oldest_us = self._clock.now_us() - (self.config.pre_record_s + JUMP_S) * 1e6
            for gop in self._preroll.gops():
                if gop.end_us > oldest_us:
                    recording.take(gop)
        return recording

    def end(self, recording: Recording, reason: str) -> None:
        """End a recording with the newest picture there is."""
        if recording not in self._recordings:
            return
        gop = self._intake.so_far()  # first: what comes by asking may end a GOP and begin one
        if gop is not None:
            recording.take(gop)
        self._recordings.remove(recording)
        recording.end(reason)
        self._ended = [one for one in self._ended if not one.is_over]
        self._ended.append(recording)
        if not self._recordings:
            self._last_end_us = 0
            self._studio.ledger.end(self.token, self._clock.now_us())

    async def tick(self, local: datetime) -> None:
        """Do what the time asks for."""
        if self._is_closed:
            return
        cut = next((one for one in self._recordings if one.is_cut), None)
        wanted = self.wants(local)
        if cut is not None and (not wanted or cut.order.trigger != self.config.record):
            self.end(cut, "its hours are over" if wanted else "it is not to be recorded now")
            cut = None
        if cut is None and wanted:
            trigger: Trigger = "always" if self.config.record == "always" else "schedule"
            self.add(Order(token=self.token, trigger=trigger, form="cut"))
        if self._recordings or self.config.pre_record_s:
            self._intake.start()
        elif self._intake.is_running:
            await self._intake.stop("it is not recorded any more")
            self._preroll.clear()
        self._note_absence()

    async def close(self, reason: str, *, for_good: bool) -> None:
        """End all; `for_good` when the source is gone, else it goes on after a restart."""
        self._is_closed = True
        self._is_stopping = not for_good
        if for_good:
            for recording in self.recordings:
                self.end(recording, reason)
        await self._intake.stop(reason)
        for recording in self.recordings:
            recording.end(reason)
        for recording in (*self._recordings, *self._ended):
            await recording.wait_closed()

    # what the intake tells

    def on_live(self) -> None:
        """Pictures come: all recordings run."""
        self._waiting_since_s = None
        for recording in self._recordings:
            recording.begin()

    def on_gop(self, gop: Gop) -> None:
        """Give it to all recordings."""
        if self.config.pre_record_s:
            self._preroll.add(gop, self.config.pre_record_s)
        if not self._recordings:
            return
        misses = [miss for one in self.recordings if (miss := one.take(gop)) is not None]
        ledger = self._studio.ledger
        if not ledger.cause(self.token):
            self._note_hole(gop)
        if misses:
            ledger.begin(self.token, gop.wall_us, *misses[0])
        else:
            ledger.end(self.token, gop.wall_us)
        self._last_end_us = gop.end_us

    def on_break(self, reason: str) -> None:
        """No pictures come any more."""
        for recording in self._recordings:
            recording.pause(reason)
        if self._recordings:
            cause, why = (RESTART, STOPPED) if self._is_stopping else (OFFLINE, reason)
            since_us = self._last_end_us or self._clock.now_us()
            self._studio.ledger.begin(self.token, since_us, cause, why)

    # gaps

    def _note_hole(self, gop: Gop) -> None:
        """Tell the ledger when there is time missing before a GOP."""
        if not self._last_end_us or gop.wall_us - self._last_end_us <= JUMP_S * 1e6:
            return
        cause, reason = LOST, "pictures were lost on the way from the source"
        if gop.clock_jump_s > 0:
            cause, reason = CLOCK, "the clock of the server was set forward"
        self._studio.ledger.add(self.token, self._last_end_us, gop.wall_us, cause, reason)

    def _note_absence(self) -> None:
        """Tell the ledger of a source that does not come."""
        if not self._recordings or self._intake.is_live:
            self._waiting_since_s = None
            return
        now_s = self._studio.monotonic()
        if self._waiting_since_s is None:
            self._waiting_since_s = now_s
        waited_s = now_s - self._waiting_since_s
        try:
            state = self._studio.channels.find_channel(self.token).state
        except NotFoundError:  # it is being changed
            return
        if state.state in ("BACKOFF", "FATAL") or waited_s > PATIENCE_S:
            reason = state.reason or self._intake.reason or "it is starting"
            since_us = self._clock.now_us() - round(waited_s * 1e6)
            self._studio.ledger.begin(self.token, since_us, OFFLINE, reason)

    def _on_failure(self, since_us: int, miss: Miss) -> None:
        """A file could not be written on; what it had taken since then is lost."""
        if self._recordings:
            self._studio.ledger.begin(self.token, since_us, *miss)


async def close_all(recorders: Iterable[Recorder], reason: str, timeout_s: float) -> None:
    """Close recorders side by side; a disk that hangs is not waited for."""
    work = [asyncio.create_task(one.close(reason, for_good=False)) for one in recorders]
    if work:
        _, late = await asyncio.wait(work, timeout=timeout_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
