"""Cuts a channel's fragments into HLS segments, in memory.

A segment is a tuple of references to fragments; bytes are put together when a player asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from h5sup.base.clock import utc_now
from h5sup.bus.channel import Channel
from h5sup.bus.fragment import Fragment
from h5sup.outputs.hls.segment import Dates
from h5sup.outputs.hls.window import STALE_S, History, Window

HOLD_S = 10.0  # how long a playlist request may wait; old players come back only after 12 s
EARLY_AT_KEY_S = 4.0  # waited for so long, the first segment ends at the next key frame ...
EARLY_S = 8.0  # ... and in the end anywhere: a GOP may last longer than a request can wait
LEAST_EARLY_S = 0.5
CUT_TOLERANCE_S = 0.1  # a camera's key frames come a little early and a little late
SEGMENT_LIMIT_BYTES = 16_000_000  # a GOP without an end is cut here


class Muxer:
    """Follows one channel while players ask for its playlist; `start()` and `stop()` once each.

    Stays subscribed over the channel's generations: the next one follows a discontinuity.
    """

    def __init__(
        self, channel: Channel, history: History, *, segment_s: float, segments: int
    ) -> None:
        self.channel = channel
        self.window = Window(history, segment_s=segment_s, listed=segments)
        self._segment_s = segment_s
        self._generation = 0
        self._open: list[Fragment] = []
        self._open_bytes = 0
        self._dates: Dates | None = None
        self._asked_at: list[float] = []  # by those who wait for the first segment
        self._waiters: set[asyncio.Future[None]] = set()

    def start(self) -> None:
        """Follow the channel, from the GOP it has cached."""
        if self.channel.init is not None:
            self._begin_generation()
        self.channel.subscribe(self)

    def stop(self) -> None:
        """Let go of the channel and of all segments."""
        self.channel.unsubscribe(self)
        self._forget_open()
        self.window.clear()

    async def wait_first(self, asked_at: float, timeout_s: float) -> bool:
        """Wait until there is a segment; False when the time is over.

        `asked_at` is when the player asked: who waits long is given a segment cut short.
        """
        self._asked_at.append(asked_at)
        try:
            return await self._wait_until(lambda: not self.window.is_empty, timeout_s)
        finally:
            self._asked_at.remove(asked_at)

    def drop_stale(self, now: float) -> None:
        """Forget what is too old to be taken for live pictures."""
        self.window.drop_stale(now)
        if self._open and now - self._open[-1].arrived > STALE_S:
            self._forget_open()

    def on_fragment(self, fragment: Fragment) -> None:
        """Take a fragment, which may end a segment."""
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
        self._dates = Dates(timescale, utc_now(), asyncio.get_running_loop().time())
        self.window.begin(self.channel, init, self._dates)
        for fragment in gop:
            self._take(fragment)

    def _finish(self, gop: Sequence[Fragment]) -> None:
        """Close the last segment of a generation; what the next one begins with is its own."""
        again = {id(fragment) for fragment in gop}
        rest = [fragment for fragment in self._open if id(fragment) not in again]
        ends = [fragment.video.end for fragment in rest if fragment.video is not None]
        if ends:
            self._append(rest, ends[-1])
        self._forget_open()

    def _take(self, fragment: Fragment) -> None:
        if self._open and fragment.video is not None and self._ends_before(fragment):
            self._append(self._open, fragment.video.dts)
            self._forget_open()
        elif not self._open and not fragment.is_key:
            return
        self._open.append(fragment)
        self._open_bytes += len(fragment.data)

    def _ends_before(self, fragment: Fragment) -> bool:
        """Return whether the open segment is complete: as a rule only at a key frame."""
        first = self._open[0].video
        assert first is not None
        assert fragment.video is not None
        assert self._dates is not None
        length_s = self._dates.seconds(fragment.video.dts - first.dts)
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

    def _append(self, fragments: Sequence[Fragment], end: int) -> None:
        self.window.append(fragments, end)
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _forget_open(self) -> None:
        self._open = []
        self._open_bytes = 0

    async def _wait_until(self, is_met: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for a segment that makes it so; False when the time is over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while not is_met():
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
