"""What a recorder has recorded, for a playback: read by one ffmpeg at a time, one piece ahead.

Whatever jumps starts an ffmpeg anew at the new time, on the connection to the recorder that is
there where it allows that (DeviceLine). While nobody takes, the recorder pauses, or is held up by
its own connection; after a while that is closed, and opened again where it was left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from h5sup.base.clock import from_us, to_us
from h5sup.base.errors import Failure, NotFoundError, SourceError, UnavailableError
from h5sup.devices.model import DeviceError
from h5sup.formats.isobmff.gop_table import SECOND_US
from h5sup.recording.playback.converter import Kit
from h5sup.recording.playback.device_line import DeviceLine
from h5sup.recording.playback.device_run import DeviceRun, is_key
from h5sup.recording.playback.stretches import JOIN_US, DeviceRecordings, Stretch, Stretches
from h5sup.recording.playback.supply import Edge, Piece, Span, StoredFragment, Stride

PIECE_BYTES = 512 * 1024
NEAR_END_US = 4 * SECOND_US  # a recording that ends so early is over: their lists are coarse
LAST_US = SECOND_US  # of the end, for who jumps beyond it
PROGRESS_US = SECOND_US  # less since the last start is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a recorder may take, and how often it is asked."""

    first_s: float = 7.0  # to the first picture; players wait 8 s for all of an opening
    stall_s: float = 10.0
    hold_s: float = 0.5  # that a viewer has paused, and the recorder is told to
    idle_s: float = 20.0  # that nobody takes anything; recorders have few places ...
    paused_s: float = 40.0  # ... but one that has paused keeps its place so much longer
    restart_every_s: float = 1.0  # who drags a slider must not have it opened ten times a second
    jump_every_s: float = 0.25  # where it need not be opened


@dataclass(slots=True)
class Extent:
    """From when to when is played."""

    begin_us: int
    end_us: int


class DeviceReel:
    """A Supply. Where it stands is `_place_us`; what reads from there is `_run`, if one does."""

    def __init__(
        self,
        recordings: DeviceRecordings,
        begin: datetime,
        end: datetime,
        kit: Kit,
        *,
        name: str = "a recorder",
        looks_at: int = 1,
        is_strict: bool = False,
        patience: Patience | None = None,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        """Take what to play, and what the log calls it.

        `looks_at` is how many fragments each reading's first piece has at least, which tell in
        which order pictures come. If it `is_strict`, what is listed must be played, but for the
        seconds that recorders lose between two files.
        """
        self.programme: Span = Extent(to_us(begin), to_us(end))
        self.stride: Stride = lambda *_: 0
        self._on_ready: Callable[[], None] = lambda: None
        self._recordings = recordings
        self._kit = kit
        self._looks_at = looks_at
        self._is_strict = is_strict
        self._has_leapt = False
        self._on_close = on_close
        self._patience = patience or Patience()
        self._stretches = Stretches(recordings, self.programme)
        self._place_us = self.programme.begin_us
        self._land_us: int | None = None
        self._is_sought = True
        self._stretch = Stretch(0, 0)
        self._run: DeviceRun | None = None
        self._runs = 0
        self._started_at = float("-inf")
        self._has_played = False
        self._reading: asyncio.Task[Piece | Edge] | None = None
        self._is_stale = False
        self._line = DeviceLine(name, first_s=self._patience.first_s)
        self._speed = 1.0
        self._scale = 1  # at which the recorder was asked to send
        self._asked_us = 0  # the place at which the newest reading began
        self._is_still = False  # as its viewer wants
        self._pausing: asyncio.Task[None] | None = None
        self._is_long = False  # that nobody takes anything
        self._idle: asyncio.TimerHandle | None = None
        self._resting: asyncio.Task[None] | None = None

    @property
    def waiting_bytes(self) -> int:
        """Return how much was read ahead."""
        reading = self._reading
        if reading is None or not reading.done() or reading.cancelled() or reading.exception():
            return 0
        found = reading.result()
        return 0 if isinstance(found, Edge) else sum(len(one.data) for one in found.fragments)

    def handed_to(self, on_ready: Callable[[], None]) -> DeviceReel:
        """Return itself; `on_ready` is called when take() is worth it."""
        self._on_ready = on_ready
        return self

    async def open(self) -> Piece | Edge:
        """Return the first piece once it is read; raises NotFoundError, UnavailableError."""
        if self._reading is None:
            self._read()
        assert self._reading is not None
        return await asyncio.shield(self._reading)

    def take(self) -> Piece | Edge | None:
        """Return the next piece; None while it is being read. Raises UnavailableError."""
        self._stay_awake()
        self._is_long = False
        reading = self._reading
        if reading is not None and not reading.done():
            return None
        self._reading = None
        if reading is None or self._is_stale:
            self._is_stale = False
            if reading is not None and not reading.cancelled():
                reading.exception()  # it is of no interest any more
            self._read()
            return None
        found = reading.result()
        if isinstance(found, Piece):
            self._read()
        return found

    def seek(self, at_us: int) -> None:
        """Have the next piece be that with the picture of a moment, or the next after it."""
        self._place_us, self._is_sought = at_us, True
        self._is_stale = self._reading is not None
        if self._reading is not None:
            self._reading.cancel()
        self._stay_awake()

    def steer(self, speed: float, *, is_paused: bool) -> None:
        """Have the recorder do alike from the next piece on, if it can."""
        self._speed, self._is_still = speed, is_paused
        if self._idle is not None and is_paused:
            self._wait_idly()

    async def close(self) -> None:
        """End what reads."""
        self._stay_awake()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._end_run()
        await self._settle()
        await self._line.close()
        self._on_close()

    # one at a time

    def _read(self) -> None:
        self._reading = asyncio.create_task(self._next(), name="device playback read")
        self._reading.add_done_callback(self._note_read)

    def _note_read(self, reading: asyncio.Task[Piece | Edge]) -> None:
        if reading is self._reading and not reading.cancelled():
            self._wait_idly()
        self._on_ready()

    def _wait_idly(self) -> None:
        """Have the recorder pause, or let go of it, when nobody takes anything for a while."""
        self._stay_awake()
        loop = asyncio.get_running_loop()
        if self._is_still:
            self._idle = loop.call_later(self._patience.hold_s, self._pause)
        else:
            self._idle = loop.call_later(self._patience.idle_s, self._rest)

    def _stay_awake(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _pause(self) -> None:
        """Have the recorder pause, as its viewer has."""
        self._pausing = asyncio.create_task(self._line.pause(), name="device playback pause")
        loop = asyncio.get_running_loop()
        self._idle = loop.call_later(self._patience.idle_s, self._rest)

    def _rest(self) -> None:
        """Free the recorder's place: nobody has taken anything for long."""
        self._idle = None
        if self._line.is_paused and not self._is_long:
            self._is_long = True  # it costs the recorder little
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._patience.paused_s, self._rest)
            return
        self._drop_run(frees=True)

    def _drop_run(self, *, frees: bool = False) -> None:
        run, self._run = self._run, None
        if run is not None or frees:
            self._resting = asyncio.create_task(
                self._close_run(run, frees=frees), name="device playback close"
            )

    async def _close_run(self, run: DeviceRun | None, *, frees: bool) -> None:
        if run is not None:
            await run.close()
        if frees:
            await self._settle()
            await self._line.close()

    async def _end_run(self) -> None:
        """Return once nothing reads; one that was dropped before is waited for."""
        if self._resting is not None:
            await asyncio.shield(self._resting)
        self._drop_run()
        if self._resting is not None:
            await asyncio.shield(self._resting)
        self._resting = None

    async def _settle(self) -> None:
        """Return once the recorder is not told to pause any more."""
        pausing, self._pausing = self._pausing, None
        if pausing is not None:
            await asyncio.shield(pausing)

    async def _next(self) -> Piece | Edge:
        """Return the next piece; what is read goes on where it ended too early."""
        await self._settle()
        if self._is_sought or self._resting is not None or not await self._goes_on():
            await self._end_run()
        if self._is_sought:
            self._land_us = None
        while True:
            run = self._run
            if run is None:
                stretch = await self._choose()
                if stretch is None:
                    return Edge.END
                run = await self._begin(stretch)
                if run is None:
                    continue
            stored = await run.next()
            if stored is not None and stored.start_us < self._stretch.end_us:
                piece = await self._piece(run, stored)
                self._place_us = run.reached_us
                self._has_played = True
                self._line.note_worked()
                return piece
            await self._go_on(run)

    async def _goes_on(self) -> bool:
        """Return whether what reads does so as fast as is wanted, and after a pause."""
        if self._run is None:
            return True
        return self._scale == self._line.find_scale(self._speed) and await self._line.wake()

    async def _choose(self) -> Stretch | None:
        """Return what was recorded at the place or next; the place is in it then.

        Raises NotFoundError, UnavailableError.
        """
        stretch = await self._stretches.find(self._place_us)
        if stretch is None:
            if not self._is_sought:
                return None
            stretch = await self._stretches.find_last()
            if stretch is None:
                raise NotFoundError("the device has recorded nothing in this time")
            self._land_us = self._place_us
            self._place_us = max(stretch.begin_us, stretch.end_us - LAST_US)
        # addresses of recorders know whole seconds: what is asked for must be what is told
        at_us = max(self._place_us, stretch.begin_us)
        self._place_us = at_us - at_us % SECOND_US
        return stretch

    async def _begin(self, stretch: Stretch) -> DeviceRun | None:
        """Start reading at the place; None, with another place, when there is nothing.

        Raises UnavailableError.
        """
        patience = self._patience
        every_s = patience.jump_every_s if self._line.is_quick else patience.restart_every_s
        end_us = stretch.end_us + -stretch.end_us % SECOND_US  # what is too much is left out here
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, self._started_at + every_s - now))
        try:
            address = await self._recordings.playback(from_us(self._place_us), from_us(end_us))
        except DeviceError as error:
            raise UnavailableError(str(error)) from error
        self._runs += 1
        self._stretch = stretch
        self._scale = self._line.find_scale(self._speed)
        self._started_at = asyncio.get_running_loop().time()
        try:
            opening = await self._line.read(address, self._place_us, self._scale)
        except SourceError as error:
            self._is_sought = False
            self._judge(error, self._place_us, self._place_us)
            return None
        run = self._run = DeviceRun(
            self._kit,
            opening.source,
            self._runs,
            self._place_us,
            find_begin=opening.find_begin,
            first_s=opening.first_s,
            stall_s=patience.stall_s,
        )
        self._asked_us = self._place_us
        await run.start()
        self._is_sought = False
        return run

    async def _go_on(self, run: DeviceRun) -> None:
        """Set the place after a reading ended; raises UnavailableError when that was too early."""
        failure, start_us, reached_us = run.failure, run.start_us, run.reached_us
        await self._end_run()
        if failure is not None and reached_us == start_us and await self._line.retry(failure):
            return
        self._judge(failure, start_us, reached_us)

    def _judge(self, failure: SourceError | None, start_us: int, reached_us: int) -> None:
        """Set the place after a reading ended; raises UnavailableError when that was too early."""
        has_come = reached_us > start_us
        is_near = reached_us >= self._stretch.end_us - NEAR_END_US
        if failure is None or ((has_come or self._has_leapt) and is_near):
            self._place_us = self._stretch.end_us
            return
        is_refused = failure.failure is Failure.WRONG_PASSWORD
        gained_us = reached_us - max(start_us, self._asked_us)
        if not is_refused and has_come and gained_us >= PROGRESS_US:
            self._place_us, self._has_leapt = reached_us, False
            return
        is_over = failure.failure in (Failure.CLOSED, Failure.NOT_FOUND)
        if is_over and self._has_played and self._is_strict and not self._has_leapt:
            self._place_us, self._has_leapt = reached_us + JOIN_US, True
            return
        if is_over and self._has_played and not self._is_strict:
            self._place_us = self._stretch.end_us  # its list promised more than there is
            return
        said = str(failure).replace("the camera", "the device")
        raise UnavailableError(f"the device does not play its recording: {said}")

    async def _piece(self, run: DeviceRun, first: StoredFragment) -> Piece:
        """Return what follows a fragment in its GOP and has come, or its key picture alone."""
        assert run.footage is not None
        assert run.gop is not None
        gop, footage, land_us = run.gop, run.footage, self._land_us
        is_first = is_key(first)
        stride = self.stride(footage, gop) if is_first and land_us is None else 0
        if stride:
            ticks = await self._skip(run, first, stride)
            return Piece(
                source=footage, number=0, gop=gop, fragments=[first], is_first=True, duration=ticks
            )
        fragments, size = [first], len(first.data)
        least = self._looks_at if is_first and first.start_us == run.start_us else 1
        while size < PIECE_BYTES and (run.has_more or len(fragments) < least):
            coming = await run.peek()
            if coming is None or is_key(coming) or coming.start_us >= self._stretch.end_us:
                break
            await run.next()
            fragments.append(coming)
            size += len(coming.data)
        return Piece(
            source=footage,
            number=0,
            gop=gop,
            fragments=fragments,
            is_first=is_first,
            land_us=land_us,
        )

    async def _skip(self, run: DeviceRun, first: StoredFragment, stride: int) -> int:
        """Pass over what a key picture stands for; return how many ticks that is."""
        assert first.parsed.video is not None
        begin, end = first.parsed.video.dts, first.parsed.video.dts + first.parsed.video.duration
        while (coming := await run.peek()) is not None:
            if coming.start_us >= self._stretch.end_us:
                break
            if is_key(coming):
                stride -= 1
                if stride == 0:
                    break
            await run.next()
            if (video := coming.parsed.video) is not None:
                end = video.dts + video.duration
        return end - begin
