"""From a source's channel to whole GOPs: what every recording of a source is fed from.

Nothing published is missed: a channel that ends or begins anew tells its subscribers before the
next fragment, and they join again in that very moment.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from h5sup.base.errors import NotFoundError, UnavailableError
from h5sup.base.tasks import end_tasks, start_task
from h5sup.bus.channel import Channel
from h5sup.bus.fragment import Fragment
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.recording.clock import Arrival, WallClock
from h5sup.recording.gop import Gop

READY_S = 2.0  # until it is looked whether the source is another one by now
RETRY_S = 1.0  # where it refuses at once, such as when all transcodes are in use

logger = logging.getLogger(__name__)


class Lease(Protocol):
    """A hold on a source."""

    async def ready(self, timeout_s: float) -> Channel:
        """Return the channel to record; raises UnavailableError."""

    def catch_up(self) -> None:
        """Have what has come so far published now."""

    def release(self) -> None:
        """Let go; twice is harmless."""


class Leases(Protocol):
    """What holds sources."""

    def lease(self, token: str, *, hevc: bool, quiet: bool) -> Lease:
        """Hold one; raises NotFoundError."""


class Listener(Protocol):
    """Who is told of a source's media. Must neither block nor raise."""

    def on_live(self) -> None:
        """Learn that pictures come, before the first GOP is whole."""

    def on_gop(self, gop: Gop) -> None:
        """Take a GOP; one that was cut off by the end of its source is short."""

    def on_break(self, reason: str) -> None:
        """Learn that no pictures come any more."""


class Intake:
    """Holds a source and collects its GOPs, from `start()` to `stop()`; both may come again."""

    def __init__(
        self, token: str, leases: Leases, clock: WallClock, listener: Listener, limit_bytes: int
    ) -> None:
        self.reason = ""
        """Why the source can't be had, while it is waited for."""
        self._token = token
        self._leases = leases
        self._clock = clock
        self._listener = listener
        self._limit_bytes = limit_bytes
        self._following: asyncio.Task[None] | None = None
        self._lease: Lease | None = None
        self._must_look = asyncio.Event()
        self._channel: Channel | None = None
        self._generation = -1
        self._init: InitSegment | None = None
        self._next_init: InitSegment | None = None  # from the next key fragment on
        self._pending: list[Fragment] = []
        self._size_bytes = 0
        self._ended = ""  # why the channel ended, until it is known whether it goes on at once
        self.is_live = False
        """Whether pictures come."""

    @property
    def is_running(self) -> bool:
        """Return whether it holds the source."""
        return self._following is not None

    def start(self) -> None:
        """Hold the source, or wait for it; once it runs this changes nothing."""
        if self._following is None:
            self._following = start_task(self._follow(), f"record {self._token}")

    async def stop(self, reason: str) -> None:
        """Hand over what has come so far and let go."""
        following, self._following = self._following, None
        if following is not None:
            self._leave(reason)
            await end_tasks(following)

    def look_again(self) -> None:
        """The source may be another one now: hold that."""
        if self._lease is not None:
            self._leave("the source was changed")
        self._must_look.set()

    def so_far(self) -> Gop | None:
        """Return what there is of the GOP that is coming."""
        if self._lease is not None:
            self._lease.catch_up()
        if not self._pending:
            return None
        begins_s, arrivals = self._times()
        return self._build(self._clock.estimate_us(begins_s, arrivals))

    # the source

    async def _follow(self) -> None:
        while True:
            try:
                lease = self._lease = self._leases.lease(self._token, hevc=True, quiet=True)
            except NotFoundError:  # it is being changed, or it is gone for good
                await self._until_told()
                continue
            try:
                await self._stay(lease)
            finally:
                lease.release()

    async def _stay(self, lease: Lease) -> None:
        """Be subscribed to what the lease gives, until the source is another one."""
        loop = asyncio.get_running_loop()
        while self._lease is lease:
            self._must_look.clear()
            again_s = loop.time() + RETRY_S
            try:
                channel = await lease.ready(READY_S)
            except UnavailableError as error:
                self.reason = str(error)
                await asyncio.sleep(again_s - loop.time())
                continue
            if self._lease is not lease:
                return
            if channel is not self._channel:
                self._leave("the source sends something else now", release=False)
                self._join(channel)
            await self._until_told()

    async def _until_told(self) -> None:
        await self._must_look.wait()
        self._must_look.clear()

    def _join(self, channel: Channel) -> None:
        self.reason = ""
        self._channel = channel
        self._generation = channel.generation
        self._restart(channel.init)
        channel.subscribe(self)
        for fragment in channel.gop:
            self._add(fragment)

    def _leave(self, reason: str, *, release: bool = True) -> None:
        if self._channel is not None:
            if self._lease is not None:
                self._lease.catch_up()
            self._channel.unsubscribe(self)
            self._channel = None
            self._break(reason)
        if release and self._lease is not None:
            self._lease.release()
            self._lease = None

    # the channel

    def on_fragment(self, fragment: Fragment) -> None:
        """Take a fragment of the channel. Runs for each of every source: nothing twice."""
        assert self._channel is not None
        if self._channel.generation != self._generation:
            self._begin(self._channel, fragment)
        else:
            self._add(fragment)

    def on_close(self, reason: str) -> None:
        """Join again at once; whether the channel goes on is seen a moment later."""
        if self._channel is None:
            return
        self._channel.subscribe(self)
        if self._channel.init is None:
            self._ended = reason
            asyncio.get_running_loop().call_soon(self._settle)

    def _settle(self) -> None:
        """The channel ended, and nothing has begun in the same turn: the source is gone."""
        if self._ended and self._channel is not None and self._channel.init is None:
            self._break(self._ended)
            self._must_look.set()  # it may be transcoded when it comes again

    def _begin(self, channel: Channel, fragment: Fragment) -> None:
        """Take the first fragment of a generation."""
        init = channel.init
        assert init is not None
        reason, self._ended = self._ended, ""
        self._generation = channel.generation
        pending, gop = self._pending, channel.gop
        if pending and gop and gop[0] is pending[0]:  # sound has come: all of the GOP fits
            self._init, self._next_init = init, None
        elif pending and not init.audio and _follows(pending, fragment):  # sound has stopped
            self._next_init = init
        else:
            self._break(reason)
            self._restart(init)
            for one in gop or [fragment]:
                self._add(one)
            return
        self._add(fragment)

    def _restart(self, init: InitSegment | None) -> None:
        self._clock.restart()
        self._init, self._next_init = init, None

    def _add(self, fragment: Fragment) -> None:
        if fragment.is_key:
            self._complete()
            if self._next_init is not None:
                self._init, self._next_init = self._next_init, None
            if not self.is_live:
                self.is_live = True
                self._listener.on_live()
        elif not self._pending:
            return
        self._pending.append(fragment)
        self._size_bytes += len(fragment.data)
        if self._size_bytes > self._limit_bytes:
            logger.warning(
                "source %s sends GOPs of more than %d bytes: the rest of one is not recorded",
                self._token,
                self._limit_bytes,
            )
            self._complete()

    def _complete(self) -> None:
        """Hand over what has come since the last key fragment."""
        if not self._pending:
            return
        begins_s, arrivals = self._times()
        placed = self._clock.place(begins_s, arrivals)
        gop = self._build(placed.wall_us, placed.clock_jump_s)
        self._pending, self._size_bytes = [], 0
        self._listener.on_gop(gop)

    def _break(self, reason: str) -> None:
        self._ended = ""
        self._complete()
        if self.is_live:
            self.is_live = False
            self._listener.on_break(reason)

    def _times(self) -> tuple[float, list[Arrival]]:
        """Return where the GOP begins on the channel, and when its pictures came."""
        assert self._init is not None
        assert self._init.video is not None
        scale = self._init.video.timescale
        runs = [(one.arrived, one.video) for one in self._pending if one.video is not None]
        arrivals = [Arrival(at_s, run.end / scale) for at_s, run in runs]
        return runs[0][1].dts / scale, arrivals

    def _build(self, wall_us: int, clock_jump_s: float = 0.0) -> Gop:
        assert self._init is not None
        assert self._init.video is not None
        ticks = sum(one.video.duration for one in self._pending if one.video is not None)
        return Gop(
            init=self._init,
            fragments=tuple(self._pending),
            size_bytes=self._size_bytes,
            duration_s=ticks / self._init.video.timescale,
            wall_us=wall_us,
            clock_jump_s=clock_jump_s,
        )


def _follows(pending: list[Fragment], fragment: Fragment) -> bool:
    """Return whether a fragment's picture is the next one after those that wait."""
    last = next((one.video for one in reversed(pending) if one.video is not None), None)
    return last is not None and fragment.video is not None and last.end == fragment.video.dts
