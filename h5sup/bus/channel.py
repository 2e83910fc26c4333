"""One source's input at one profile: where sources publish and outputs subscribe."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from h5sup.base.clock import utc_now
from h5sup.base.errors import UnavailableError
from h5sup.bus.fragment import Fragment
from h5sup.formats.isobmff.init_segment import InitSegment

if TYPE_CHECKING:
    from h5sup.bus.packet_ring import PacketRing

RATE_WINDOW_S = 2.0


class Subscriber(Protocol):
    """What takes fragments. Called by the channel; must neither block nor raise."""

    def on_fragment(self, fragment: Fragment) -> None:
        """Take a fragment of the channel's present init segment."""

    def on_close(self, reason: str) -> None:
        """Learn that what comes next does not continue what came; no more calls follow."""


@dataclass(frozen=True, slots=True)
class ChannelState:
    """How a channel fares, in the supervisor's words."""

    state: str = "STOPPED"
    reason: str = ""
    since: datetime = field(default_factory=utc_now)


class GopCache:
    """The fragments from the newest key fragment on, bounded in bytes."""

    def __init__(self, limit_bytes: int) -> None:
        self.fragments: list[Fragment] = []
        self.size_bytes = 0
        self.limit_bytes = limit_bytes

    def add(self, fragment: Fragment) -> None:
        """Keep the fragment if a viewer could start with what is kept."""
        if fragment.is_key:
            self.clear()
        elif not self.fragments:
            return
        self.size_bytes += len(fragment.data)
        if self.size_bytes > self.limit_bytes:
            self.clear()  # half a GOP is of no use: viewers wait for the next one
            return
        self.fragments.append(fragment)

    def clear(self) -> None:
        """Forget the GOP."""
        self.fragments = []
        self.size_bytes = 0


@dataclass(slots=True)
class Rates:
    """What a channel carries, over the last two seconds or so."""

    fps: float = 0.0
    bitrate_kbps: float = 0.0
    fragments: int = 0
    """Since the start of the process."""
    _since: float = 0.0
    _pictures: int = 0
    _bytes: int = 0

    def count(self, fragment: Fragment) -> None:
        """Count one fragment."""
        self.fragments += 1
        elapsed = fragment.arrived - self._since
        if elapsed >= RATE_WINDOW_S:
            if elapsed < 2 * RATE_WINDOW_S:
                self.fps = self._pictures / elapsed
                self.bitrate_kbps = self._bytes * 8 / elapsed / 1000
            self._since = fragment.arrived
            self._pictures = self._bytes = 0
        if fragment.video is not None:
            self._pictures += fragment.video.samples
        self._bytes += len(fragment.data)

    def reset(self) -> None:
        """Nothing flows any more."""
        self.fps = self.bitrate_kbps = 0.0
        self._since = 0.0
        self._pictures = self._bytes = 0


class Channel:
    """Fan-out point: a source publishes, any number of outputs subscribe.

    Used from the event loop alone. Publishing never waits. `generation` counts the init
    segments: within one generation the timeline has neither hole nor jump.
    """

    def __init__(
        self,
        token: str,
        input_name: str,
        profile: str,
        *,
        gop_bytes: int,
        ring: PacketRing | None = None,
        sound_ring: PacketRing | None = None,
    ) -> None:
        self.token = token
        self.input_name = input_name
        self.profile = profile
        self.init: InitSegment | None = None
        self.generation = 0
        self.state = ChannelState()
        self.rates = Rates()
        self.ring = ring
        """Packets of its video, where they are kept."""
        self.sound_ring = sound_ring
        """Packets of its sound as the camera sends it, where browsers take that."""
        self.cache = GopCache(gop_bytes)
        self._subscribers: tuple[Subscriber, ...] = ()
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def gop(self) -> Sequence[Fragment]:
        """Return the cached fragments, from the newest key fragment on."""
        return self.cache.fragments

    @property
    def is_ready(self) -> bool:
        """Return whether a viewer can start: the init segment is known."""
        return self.init is not None

    @property
    def viewers(self) -> int:
        """Return how many outputs are subscribed."""
        return len(self._subscribers)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Give the subscriber every fragment from the next one on."""
        self._subscribers = (*self._subscribers, subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Stop giving fragments; unknown subscribers are ignored, so leaving twice is harmless."""
        self._subscribers = tuple(one for one in self._subscribers if one is not subscriber)

    def begin(self, init: InitSegment, reason: str) -> None:
        """Start a new generation: all subscribers are dismissed, then may join again."""
        self.end(reason)
        self.init = init
        self.generation += 1
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    def publish(self, fragment: Fragment) -> None:
        """Keep the fragment for those who join later and give it to all subscribers."""
        self.cache.add(fragment)
        self.rates.count(fragment)
        for subscriber in self._subscribers:
            subscriber.on_fragment(fragment)

    def end(self, reason: str) -> None:
        """Dismiss all subscribers and forget the init segment and the GOP."""
        self.init = None
        self.cache.clear()
        self.rates.reset()
        self.dismiss(reason)

    def dismiss(self, reason: str) -> None:
        """Tell every subscriber to start afresh; what is cached stays."""
        leaving, self._subscribers = self._subscribers, ()
        for subscriber in leaving:
            subscriber.on_close(reason)

    def set_state(self, state: str, reason: str) -> None:
        """Note how the channel fares; `since` changes with the state alone."""
        since = self.state.since if self.state.state == state else utc_now()
        self.state = ChannelState(state, reason, since)

    async def wait_ready(self, timeout_s: float) -> InitSegment:
        """Return the init segment once it is known; raises UnavailableError after the time."""
        if self.init is None:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.add(waiter)
            try:
                async with asyncio.timeout(timeout_s):
                    await waiter
            except TimeoutError:
                raise UnavailableError(self._why_not_ready()) from None
            finally:
                self._waiting.discard(waiter)
        if self.init is None:  # it ended in the same turn of the loop
            raise UnavailableError(self._why_not_ready())
        return self.init

    def _why_not_ready(self) -> str:
        return f"source {self.token!r} has no picture yet: {self.state.reason or 'it is starting'}"
