"""Cuts a channel's fragments into HLS parts and segments, in memory.

A part is a tuple of references to fragments, and a segment one of parts; bytes are put together
when a player asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from h5sup.base.clock import utc_now
from h5sup.bus.channel import Channel
from h5sup.bus.fragment import Fragment
from h5sup.config.model import HlsConfig
from h5sup.outputs.hls.pace import Pace
from h5sup.outputs.hls.segment import Dates
from h5sup.outputs.hls.window import STALE_S, History, Room, Window

HOLD_S = 10.0  # how long a playlist request may wait; old players come back only after 12 s
EARLY_AT_KEY_S = 4.0  # waited for so long, the first segment ends at the next key frame ...
EARLY_S = 8.0  # ... and in the end anywhere: a GOP may last longer than a request can wait
LEAST_EARLY_S = 0.5
CUT_TOLERANCE_S = 0.1  # a camera's key frames come a little early and a little late
SEGMENT_LIMIT_BYTES = 16_000_000  # a GOP without an end is cut here


class Muxer:
    """Follows one channel while players ask for its playlist; `start()` and `stop()` once each.

    Stays subscribed over the channel's generations: the next one follows a discontinuity. A part
    always holds video, and the sound that came with it: sound alone, as it comes from cameras of
    few pictures a second, goes along with the next picture.
    """

    def __init__(self, channel: Channel, history: History, room: Room, config: HlsConfig) -> None:
        self.channel = channel
        self.window = Window(history, room, segment_s=config.segment_s, listed=config.segments)
        self.pace = Pace(config.part_s)
        self._segment_s = config.segment_s
        self._generation = 0
        self._is_stopped = False
        self._first_dts: int | None = None  # of the open segment; None between two
        self._open_bytes = 0
        self._pending: list[Fragment] = []  # the part that is not complete
        self._pending_dts: int | None = None  # of its first picture
        self._pending_end = 0
        self._arrived = 0.0  # when the newest fragment came
        self._dates: Dates | None = None
        self._asked_at: list[float] = []  # by those who wait for the first segment
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def waiting(self) -> int:
        """Return how many requests wait for what is to come."""
        return len(self._waiters)

    def start(self) -> None:
        """Follow the channel, from the GOP it has cached."""
        if self.channel.init is not None:
            self._begin_generation()
        self.channel.subscribe(self)

    def stop(self) -> None:
        """Let go of the channel and of all segments; whoever waits waits no longer."""
        self.channel.unsubscribe(self)
        self._is_stopped = True
        self._forget_open()
        self.window.clear()
        self._wake()

    async def wait_first(self, asked_at: float, timeout_s: float) -> bool:
        """Wait until there is a segment; False when the time is over.

        `asked_at` is when the player asked: who waits long is given a segment cut short.
        """
        self._asked_at.append(asked_at)
        try:
            return await self._wait_until(lambda: not self.window.is_empty, timeout_s)
        finally:
            self._asked_at.remove(asked_at)

    async def wait_segments(self, count: int, timeout_s: float) -> bool:
        """Wait until the playlist names so many segments; False when the time is over."""
        return await self._wait_until(lambda: len(self.window.listed) >= count, timeout_s)

    async def wait_for(self, sequence: int, part: int | None, timeout_s: float) -> bool:
        """Wait until the playlist holds a segment or part; False when the time is over."""
        window = self.window
        return await self._wait_until(
            lambda: not window.is_empty and window.has(sequence, part), timeout_s
        )

    async def wait_part(self, number: int, timeout_s: float) -> bool:
        """Wait until there is a part of this number; False when the time is over."""
        return await self._wait_until(lambda: self.window.next_part > number, timeout_s)

    def drop_stale(self, now: float) -> None:
        """Forget what is too old to be taken for live pictures."""
        if now - self._arrived > STALE_S:
            self.window.clear()
            self._forget_open()

    def on_fragment(self, fragment: Fragment) -> None:
        """Take a fragment, which may end a part or a segment."""
        if self.channel.generation != self._generation:
            self.drop_stale(fragment.arrived)
            self._begin_generation()  # the cached GOP ends with this very fragment
        else:
            self._take(fragment)

    def on_close(self, reason: str) -> None:
        """Stay, and learn from the generation of what comes next whether it goes on."""
        del reason
        self.channel.subscribe(self)

    def _begin_generation(self) -> None:
        init = self.channel.init
        assert init is not None
        gop = self.channel.gop
        self._finish(gop)
        self._generation = self.channel.generation
        timescale = init.video.timescale if init.video else 1
        self._dates = dates = Dates(timescale, utc_now(), asyncio.get_running_loop().time())
        self.window.begin(self.channel, init, dates)
        runs = [fragment.video for fragment in gop if fragment.video is not None]
        self.pace.learn([dates.seconds(run.duration) for run in runs])
        for fragment in gop:
            self._take(fragment)

    def _finish(self, gop: Sequence[Fragment]) -> None:
        """Close the last segment of a generation; what the next one begins with is its own.

        Only what went into a part before is told again: the next generation has to begin with a
        key frame.
        """
        again = {id(fragment) for fragment in gop}
        rest = [fragment for fragment in self._pending if id(fragment) not in again]
        ends = [fragment.video.end for fragment in rest if fragment.video is not None]
        if ends:
            self._pending, self._pending_end = rest, ends[-1]
            self._cut_part()
        if self.window.draft is not None:
            self._close_segment()
        self._forget_open()

    def _take(self, fragment: Fragment) -> None:
        video = fragment.video
        if video is None:
            if self._first_dts is not None:
                self._keep(fragment)
            return
        assert self._dates is not None
        self.pace.note(self._dates.seconds(video.duration))
        if self._first_dts is not None and self._ends_before(fragment):
            self._end_segment()
        elif self._first_dts is None and not fragment.is_key:
            return
        if self._first_dts is None:
            self._first_dts = video.dts
            self.pace.fit()
        elif self._pending_dts is not None and self.pace.overflows(self._length_s(video.end)):
            self._cut_part()
        self._keep(fragment)
        if self.pace.is_full(self._length_s(video.end)):
            self._cut_part()

    def _keep(self, fragment: Fragment) -> None:
        self._pending.append(fragment)
        self._open_bytes += len(fragment.data)
        self._arrived = fragment.arrived
        if fragment.video is not None:
            self._pending_end = fragment.video.end
            if self._pending_dts is None:
                self._pending_dts = fragment.video.dts

    def _length_s(self, end: int) -> float:
        """Return how long the open part's video is up to `end`."""
        assert self._dates is not None
        return 0.0 if self._pending_dts is None else self._dates.seconds(end - self._pending_dts)

    def _ends_before(self, fragment: Fragment) -> bool:
        """Return whether the open segment is complete: as a rule only at a key frame."""
        assert self._first_dts is not None
        assert fragment.video is not None
        assert self._dates is not None
        length_s = self._dates.seconds(fragment.video.dts - self._first_dts)
        waited_s = self._waited_s(fragment.arrived) if length_s >= LEAST_EARLY_S else 0.0
        if fragment.is_key:
            return length_s >= self._segment_s - CUT_TOLERANCE_S or waited_s >= EARLY_AT_KEY_S
        if waited_s >= EARLY_S:
            self.window.expect_duration(HOLD_S)  # of the next ones, with such long GOPs
            return True
        return self._open_bytes >= SEGMENT_LIMIT_BYTES

    def _waited_s(self, now: float) -> float:
        """Return for how long someone has waited for the first segment."""
        return now - min(self._asked_at) if self._asked_at and self.window.is_empty else 0.0

    def _end_segment(self) -> None:
        """Close the open segment; sound at its end without a picture goes into the next one."""
        if self._pending_dts is not None:
            self._cut_part()
        sound = self._pending
        self._close_segment()
        self._forget_open()
        for one in sound:
            self._keep(one)

    def _cut_part(self) -> None:
        self.window.add(self._pending, self._length_s(self._pending_end))
        self._pending = []
        self._pending_dts = None
        self._wake()

    def _close_segment(self) -> None:
        self.window.close()
        self._wake()

    def _forget_open(self) -> None:
        self._first_dts = self._pending_dts = None
        self._pending = []
        self._open_bytes = 0

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _wait_until(self, is_met: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for a part or segment that makes it so; False when the time is over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while not is_met():
            if self._is_stopped:
                return False
            waiter = loop.create_future()
            self._waiters.add(waiter)
            try:
                async with asyncio.timeout_at(deadline):
                    await waiter
            except TimeoutError:
                return False
            finally:
                self._waiters.discard(waiter)
        return True
