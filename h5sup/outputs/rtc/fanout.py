"""One ring of packets to all its WebRTC viewers, each starting with the GOP so far."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from h5sup.bus.packet_ring import PacketRing
from h5sup.outputs.rtc.burst import MOST_PACKETS, Burst
from h5sup.outputs.rtc.outgoing import Numbers, Outgoing, payload_octets
from h5sup.outputs.rtc.replay import Replay, squeeze

PACE_S = 0.004  # between two bursts to a viewer that catches up: 200 Mbit/s


class Fanout:
    """Plays one ring. Owned by RtcOutput; subscribed while it has viewers.

    Stays with the ring over restarts of its source: numbers go on, and what comes begins with a
    key frame. `on_end` is told when what comes is of another kind.
    """

    def __init__(self, ring: PacketRing, on_end: Callable[[Fanout, str], None]) -> None:
        self.ring = ring
        self.codec = ring.codec
        self.end_reason = ""
        """Why nothing comes, when the ring has been told so."""
        self._on_end = on_end
        self._live: dict[Numbers, list[Outgoing]] = {}
        self._catching_up: set[Outgoing] = set()
        self._waiting: set[Outgoing] = set()  # for a key frame: there is no whole GOP
        self._replay: Replay | None = None  # of the GOP as it is now

    @property
    def viewers(self) -> int:
        """Return how many it plays to."""
        live = sum(len(group) for group in self._live.values())
        return live + len(self._catching_up) + len(self._waiting)

    def join(self, one: Outgoing) -> None:
        """Play to a viewer, the GOP so far first."""
        if not self.viewers:
            self.ring.subscribe(self)
            self.codec = self.ring.codec
            self._replay = None  # nobody has told us of what came meanwhile
        self._start(one)

    def leave(self, one: Outgoing) -> None:
        """Stop playing to a viewer; unknown ones are ignored."""
        self._detach(one)
        self._waiting.discard(one)
        if not self.viewers:
            self.ring.unsubscribe(self)

    def play_again(self, one: Outgoing) -> None:
        """Give a viewer that has lost its picture the GOP again, and it alone.

        Without a whole GOP it goes on with what comes: to leave that out would only cost it more.
        """
        if one in self._catching_up or one in self._waiting or not self._gop().packets:
            return
        self._detach(one)
        if one.has_news:
            self._start(one)
        else:  # it has just had this very GOP: its times go on with the next picture
            self._waiting.add(one)

    def on_packets(self, packets: Sequence[bytes]) -> None:
        """Send new packets to all who are live."""
        self._replay = None
        self.end_reason = ""
        if self.codec != self.ring.codec:
            if self.codec is not None:
                self._on_end(self, "the source sends another codec now")
                return
            self.codec = self.ring.codec
        for one in self._catching_up:
            one.backlog.extend(packets)
        if self._live:
            self._send(packets)
        for one in list(self._waiting):
            self._waiting.discard(one)
            self._start(one)

    def on_close(self, reason: str) -> None:
        """Stay: the ring's numbers go on when its source comes back."""
        self._replay = None
        self.end_reason = reason
        self.ring.subscribe(self)

    def _send(self, packets: Sequence[bytes]) -> None:
        for start in range(0, len(packets), MOST_PACKETS):
            chunk = packets[start : start + MOST_PACKETS]
            count, octets = len(chunk), payload_octets(chunk)
            for numbers, viewers in self._live.items():
                burst = Burst(chunk, *numbers)
                for one in viewers:
                    one.send(burst, count, octets)

    def _gop(self) -> Replay:
        """Return the GOP so far, squeezed once for all who ask before it grows."""
        if self._replay is None:
            self._replay = squeeze(self.ring.replay())
        return self._replay

    def _start(self, one: Outgoing) -> None:
        replay = self._gop()
        if not replay.packets:
            self._waiting.add(one)
            return
        one.begin(replay)
        self._catching_up.add(one)
        self._advance(one)

    def _advance(self, one: Outgoing) -> None:
        """Send the next burst to a viewer that catches up, or make it live."""
        one.timer = None
        if one.send_some():
            one.timer = asyncio.get_running_loop().call_later(PACE_S, self._advance, one)
            return
        self._catching_up.discard(one)
        self._live.setdefault(one.numbers, []).append(one)

    def _detach(self, one: Outgoing) -> None:
        if one.timer is not None:
            one.timer.cancel()
            one.timer = None
        one.backlog.clear()
        self._catching_up.discard(one)
        group = self._live.get(one.numbers)
        if group is not None and one in group:
            group.remove(one)
            if not group:
                del self._live[one.numbers]
