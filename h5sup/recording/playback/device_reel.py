"""What a recorder has recorded, for a playback: read by one ffmpeg at a time, one piece ahead.

RTSP has PAUSE, Scale and Range for that, ffmpeg gives none of them to us. So whatever jumps starts
an ffmpeg anew at the new time. While nobody takes, the recorder is held up by its own connection;
after a while that is closed, and opened again where it was left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from h5sup.base.clock import from_us, to_us
from h5sup.base.errors import Failure, NotFoundError, SourceError, UnavailableError
from h5sup.devices.model import DeviceError, DeviceRecord, MediaAddress
from h5sup.ffmpeg.media import Input
from h5sup.formats.isobmff.gop_table import SECOND_US
from h5sup.recording.playback.converter import Kit
from h5sup.recording.playback.device_run import DeviceRun, is_key
from h5sup.recording.playback.supply import Edge, Piece, Span, StoredFragment, Stride

PIECE_BYTES = 512 * 1024
JOIN_US = 2 * SECOND_US  # recorders cut their files with a second's loss
LEAST_US = SECOND_US // 2  # what is not worth an ffmpeg
NEAR_END_US = 4 * SECOND_US  # a recording that ends so early is over: their lists are coarse
LAST_US = SECOND_US  # of the end, for who jumps beyond it
PROGRESS_US = SECOND_US  # less since the last start is none
WINDOW_US = 6 * 3600 * SECOND_US  # that is asked for at once; a month would take many seconds
MAX_SEARCHES = 100  # for one jump


class DeviceRecordings(Protocol):
    """What a recorder has of one channel. Raises DeviceError."""

    async def search(self, begin: datetime, end: datetime) -> tuple[Sequence[DeviceRecord], bool]:
        """Return what was recorded, oldest first, and whether that is all."""

    async def playback(self, begin: datetime, end: datetime) -> MediaAddress:
        """Return where it is had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a recorder may take, and how often it is asked."""

    first_s: float = 7.0  # to the first picture; players wait 8 s for all of an opening
    stall_s: float = 10.0
    idle_s: float = 20.0  # that nobody takes anything; recorders have few places
    restart_every_s: float = 1.0  # who drags a slider must not have it opened ten times a second


@dataclass(slots=True)
class Extent:
    """From when to when is played."""

    begin_us: int
    end_us: int


class Stretch(NamedTuple):
    """A time in which all was recorded."""

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
        looks_at: int = 1,
        patience: Patience | None = None,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        """Take what to play.

        `looks_at` is how many fragments each reading's first piece has at least, which tell in
        which order pictures come.
        """
        self.programme: Span = Extent(to_us(begin), to_us(end))
        self.stride: Stride = lambda *_: 0
        self._on_ready: Callable[[], None] = lambda: None
        self._recordings = recordings
        self._kit = kit
        self._looks_at = looks_at
        self._on_close = on_close
        self._patience = patience or Patience()
        self._stretches: list[Stretch] = []
        self._known_from_us = self._known_us = self.programme.begin_us  # there is no other between
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

    async def close(self) -> None:
        """End what reads."""
        self._stay_awake()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._end_run()
        self._on_close()

    # one at a time

    def _read(self) -> None:
        self._reading = asyncio.create_task(self._next(), name="device playback read")
        self._reading.add_done_callback(self._note_read)

    def _note_read(self, reading: asyncio.Task[Piece | Edge]) -> None:
        if reading is self._reading and not reading.cancelled():
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._patience.idle_s, self._rest)
        self._on_ready()

    def _stay_awake(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _rest(self) -> None:
        """Free the recorder's place: nobody has taken anything for long."""
        self._idle = None
        self._drop_run()

    def _drop_run(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            self._resting = asyncio.create_task(run.close(), name="device playback close")

    async def _end_run(self) -> None:
        """Return once nothing reads; one that was dropped before is waited for."""
        if self._resting is not None:
            await asyncio.shield(self._resting)
        self._drop_run()
        if self._resting is not None:
            await asyncio.shield(self._resting)
        self._resting = None

    async def _next(self) -> Piece | Edge:
        """Return the next piece; what is read goes on where it ended too early."""
        if self._is_sought or self._resting is not None:
            await self._end_run()
        if self._is_sought:
            self._land_us = None
        while True:
            if self._run is None and not await self._begin():
                return Edge.END
            run = self._run
            assert run is not None
            stored = await run.next()
            if stored is not None and stored.start_us < self._stretch.end_us:
                piece = await self._piece(run, stored)
                self._place_us = run.reached_us
                self._has_played = True
                return piece
            await self._go_on(run, run.failure)

    async def _begin(self) -> bool:
        """Start reading at the place, or at what was recorded next; False when there is nothing.

        Raises NotFoundError, UnavailableError.
        """
        stretch = await self._find(self._place_us)
        if stretch is None:
            if not self._is_sought:
                return False
            stretch = await self._find_last()
            if stretch is None:
                raise NotFoundError("the device has recorded nothing in this time")
            self._land_us = self._place_us
            self._place_us = max(stretch.begin_us, stretch.end_us - LAST_US)
        # addresses of recorders know whole seconds: what is asked for must be what is told
        whole_us = self._place_us - self._place_us % SECOND_US
        self._place_us = max(whole_us, stretch.begin_us)
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, self._started_at + self._patience.restart_every_s - now))
        try:
            address = await self._recordings.playback(
                from_us(self._place_us), from_us(stretch.end_us)
            )
        except DeviceError as error:
            raise UnavailableError(str(error)) from error
        self._runs += 1
        self._stretch = stretch
        run = DeviceRun(
            self._kit,
            Input(
                kind="rtsp",
                url=address.url,
                transport="tcp",
                user=address.user,
                password=address.password,
            ),
            self._runs,
            self._place_us,
            first_s=self._patience.first_s,
            stall_s=self._patience.stall_s,
        )
        self._started_at = asyncio.get_running_loop().time()
        self._run = run
        await run.start()
        self._is_sought = False
        return True

    async def _go_on(self, run: DeviceRun, failure: SourceError | None) -> None:
        """Set the place after a reading ended; raises UnavailableError when that was too early."""
        reached_us, start_us = run.reached_us, run.start_us
        await self._end_run()
        has_come = reached_us > start_us
        if failure is None or (has_come and reached_us >= self._stretch.end_us - NEAR_END_US):
            self._place_us = self._stretch.end_us
            return
        is_refused = failure.failure is Failure.WRONG_PASSWORD
        if not is_refused and reached_us - start_us >= PROGRESS_US:
            self._place_us = reached_us
            return
        if (
            not is_refused
            and self._has_played
            and failure.failure
            in (
                Failure.CLOSED,
                Failure.NOT_FOUND,
            )
        ):
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
        least = self._looks_at if is_first and self._place_us == run.start_us else 1
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

    # what there is

    async def _find(self, at_us: int) -> Stretch | None:
        """Return what was recorded at a moment or next after it; raises UnavailableError."""
        if not self._known_from_us <= at_us <= self._known_us:
            self._stretches.clear()
            self._known_from_us = self._known_us = at_us
        window_us = WINDOW_US
        for _ in range(MAX_SEARCHES):
            for stretch in self._stretches:
                if stretch.end_us > at_us + LEAST_US:
                    return stretch
            if self._known_us >= self.programme.end_us:
                break
            await self._look_on(min(self.programme.end_us, self._known_us + window_us))
            window_us *= 2
        return None

    async def _look_on(self, end_us: int) -> None:
        """Ask for what comes after all that is known."""
        found, is_all = await self._search(self._known_us, end_us)
        for stretch in found:
            self._add(*stretch)
        reached_us = found[-1].end_us if found else self._known_us
        self._known_us = end_us if is_all or reached_us <= self._known_us else reached_us

    async def _find_last(self) -> Stretch | None:
        """Return what was recorded last; raises UnavailableError."""
        end_us, window_us = self.programme.end_us, WINDOW_US
        begin_us = end_us
        while begin_us > self.programme.begin_us:
            begin_us = max(self.programme.begin_us, end_us - window_us)
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
