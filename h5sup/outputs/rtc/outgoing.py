"""One track on its way to one viewer: its numbers there, and what was sent."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from h5sup.bus.packet_ring import PacketRing
from h5sup.formats.rtp import SEQUENCE_MASK, build_rtx, sequence_distance
from h5sup.outputs.rtc.burst import MOST_PACKETS, Burst
from h5sup.outputs.rtc.keys import Keys, protect_one
from h5sup.outputs.rtc.paths import Path
from h5sup.outputs.rtc.replay import Replay

RESENDS_PER_S = 500.0  # of a viewer who loses a tenth of 4 Mbit/s it takes 50
RESEND_BURST = 300.0

Numbers = tuple[int, bytes, int]
"""What viewers must have in common to share a burst: payload type, SSRC, length of the tag."""


class Outgoing:
    """Owned by a Viewer; played to by a Fanout. `start()` once the keys are there."""

    def __init__(
        self, ring: PacketRing, *, payload_type: int, ssrc: int, rtx: tuple[int, int] | None
    ) -> None:
        """Take the numbers agreed on; `rtx` are payload type and SSRC of what is sent again."""
        self.ring = ring
        self.ssrc = ssrc
        self.sequence_offset = 0
        """What this viewer's sequence numbers are ahead of the ring's: it got some twice."""
        self.backlog: deque[bytes] = deque()
        """What it has still to get before it is live."""
        self.timer: asyncio.TimerHandle | None = None
        self.packets = 0
        self.octets = 0
        self.dropped = 0
        """Bursts that found no room."""
        self.resent = 0
        self.replays = 0
        self._payload_type = payload_type
        self._ssrc_field = ssrc.to_bytes(4)
        self._rtx = rtx
        self._rtx_sequence = 0
        self._path: Path | None = None
        self._context: Any = None
        self.numbers: Numbers = (payload_type, self._ssrc_field, 0)
        self._first_sequence = 0
        self._begins_at = 0  # the sequence number there of the newest replay's first packet
        self._packets_before = 0  # what had been sent by then
        self._replayed = 0  # packets of that replay
        self._times: dict[int, int] = {}
        self._resends = RESEND_BURST
        self._resends_at = 0.0

    @property
    def has_news(self) -> bool:
        """Return whether packets have come since the last replay."""
        return not self.replays or self.packets > self._packets_before + self._replayed

    def start(self, keys: Keys, path: Path) -> None:
        """Send on this path from now on."""
        self._context = keys.context
        self._path = path
        self.numbers = (self._payload_type, self._ssrc_field, keys.tag_bytes)

    def move(self, path: Path) -> None:
        """Send on another path."""
        self._path = path

    def send(self, burst: Burst, packets: int, octets: int) -> None:
        """Encrypt a burst with our numbers and send it."""
        assert self._path is not None
        self.packets += packets
        self.octets += octets
        is_encrypted = burst.encrypt_for(self._context, self.sequence_offset)
        if not is_encrypted or not self._path.send_burst(burst):
            self.dropped += 1

    def send_some(self) -> bool:
        """Send the next packets of the backlog; return whether more is left."""
        backlog = self.backlog
        chunk = [backlog.popleft() for _ in range(min(len(backlog), MOST_PACKETS))]
        if chunk:
            self.send(Burst(chunk, *self.numbers), len(chunk), payload_octets(chunk))
        return bool(backlog)

    def begin(self, replay: Replay) -> None:
        """Have the GOP sent, again if this viewer has had it: then under new numbers."""
        packets = replay.packets
        if not packets:
            return
        first = int.from_bytes(packets[0][2:4])
        if not self.replays:
            self._first_sequence = first
        # whatever of the ring it had or did not have: its own numbers go on
        self._begins_at = self._first_sequence + self.packets & SEQUENCE_MASK
        self.sequence_offset = self._begins_at - first & SEQUENCE_MASK
        self.replays += 1
        self._packets_before = self.packets
        self._replayed = len(packets)
        self._times = replay.times
        self.backlog = deque(packets)

    def resend(self, sequences: Sequence[int], now_s: float) -> None:
        """Send packets again that the viewer misses, as far as they are there (RFC 4588)."""
        passed_s = now_s - self._resends_at
        self._resends = min(RESEND_BURST, self._resends + passed_s * RESENDS_PER_S)
        self._resends_at = now_s
        for sequence in sequences:
            if self._resends < 1:
                return
            packet = self._find(sequence)
            if packet is not None and self._send_again(packet):
                self._resends -= 1
                self.resent += 1

    def _find(self, sequence: int) -> bytearray | None:
        """Return the packet that had this number for this viewer, as it was sent.

        Before the newest replay numbers meant other packets, and after what was sent none: so it
        is counted how many were sent since. The numbers alone don't tell, for they wrap.
        """
        sent = self.packets - self._packets_before
        back = sequence_distance(self._begins_at + sent - 1, sequence)
        if not 0 <= back < sent:
            return None
        packet = self.ring.find(sequence - self.sequence_offset & SEQUENCE_MASK)
        if packet is None:
            return None
        found = bytearray(packet)
        found[2:4] = sequence.to_bytes(2)
        if sent - back <= self._replayed:
            stamp = int.from_bytes(found[4:8])
            found[4:8] = self._times[stamp].to_bytes(4)
        found[1] = found[1] & 0x80 | self._payload_type
        found[8:12] = self._ssrc_field
        return found

    def _send_again(self, packet: bytearray) -> bool:
        assert self._path is not None
        if self._rtx is not None:
            payload_type, ssrc = self._rtx
            packet = bytearray(
                build_rtx(
                    bytes(packet),
                    payload_type=payload_type,
                    ssrc=ssrc,
                    sequence=self._rtx_sequence,
                )
            )
            self._rtx_sequence = self._rtx_sequence + 1 & SEQUENCE_MASK
        protected = protect_one(self._context, packet)
        if protected is None:  # too old for libsrtp's window
            return False
        self._path.send(protected)
        return True


def payload_octets(packets: Sequence[bytes]) -> int:
    """Return what sender reports count (RFC 3550 §6.4.1): all but the headers."""
    return sum(map(len, packets)) - 12 * len(packets)
