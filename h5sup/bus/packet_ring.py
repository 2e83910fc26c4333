"""The newest RTP packets of one channel, numbered without a break, for WebRTC and RTSP.

ffmpeg's RTP muxer (RFC 6184, RFC 7798) feeds it by way of sources/rtp_receiver.py. Every packet
gets a sequence number, timestamp and SSRC of the ring's own, so that viewers see one unbroken
sender across restarts of ffmpeg, each of which starts at random numbers.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from h5sup.base.errors import MediaFormatError
from h5sup.formats import h264, h265
from h5sup.formats.rtcp import SenderReport
from h5sup.formats.rtp import (
    HEADER,
    RTP_HEADER_LENGTH,
    RTP_VERSION,
    SEQUENCE_MASK,
    TIMESTAMP_MASK,
    payload_bounds,
    sequence_distance,
)

HISTORY_PACKETS = 512  # kept from before the newest GOP: viewers ask again for what was lost
PACKET_OVERHEAD_BYTES = 48  # what Python takes for a bytes object and its place in a list
KEPT_OF_LIMIT = 0.75  # after an overflow, so that not every batch overflows again
LARGEST_REORDER = 100  # further back is no late packet but a new count
SHORTEST_STEP_S = 0.01  # between two access units across a restart
PLAIN_FIRST_BYTE = RTP_VERSION << 6  # no padding, extension or CSRC, as ffmpeg writes it
UNKNOWN = -1  # no sequence number or timestamp

Codec = Literal["h264", "hevc", "opus", "pcma", "pcmu"]
VIDEO_CLOCK_HZ = 90_000  # RFC 6184 §8.2.1, RFC 7798 §7.1
CLOCKS_HZ: dict[Codec, int] = {
    "h264": VIDEO_CLOCK_HZ,
    "hevc": VIDEO_CLOCK_HZ,
    "opus": 48_000,  # RFC 7587 §4.1
    "pcma": 8_000,  # RFC 3551 §4.5.14
    "pcmu": 8_000,
}


class PacketSubscriber(Protocol):
    """What takes packets. Called by the ring; must neither block nor raise."""

    def on_packets(self, packets: Sequence[bytes]) -> None:
        """Take packets in order; what arrived together, mostly one access unit, comes together.

        The last packet of an access unit has the marker bit.
        """

    def on_close(self, reason: str) -> None:
        """Learn that what comes next does not continue what came; no more calls follow."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """One instant on two clocks: the ring's, and that of the fragments of its channel."""

    timestamp: int
    media_s: float

    def timestamp_at(self, media_s: float, clock_hz: int) -> int:
        """Return the ring's timestamp for another moment of the channel."""
        return self.timestamp + round((media_s - self.media_s) * clock_hz) & TIMESTAMP_MASK


class Feeder(Protocol):
    """What fills a ring. It may take its time as long as nobody watches."""

    def set_watched(self, is_watched: bool) -> None:
        """Learn whether somebody watches; when so, hand over at once what is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTest:
    """Tells where a GOP can begin; mostly by one or two bytes of a payload that it can't."""

    kinds: bytes
    """By a payload's first byte: NOT_KEY, MAYBE_KEY or FRAGMENT."""
    fragment_at: int
    """Where a packet has its FU header (RFC 6184 §5.8, RFC 7798 §4.4.3)."""
    key_fragments: bytes
    """By the FU header: whether a GOP may begin in this fragment."""
    payload_types: Callable[[bytes], tuple[int, ...]]
    key_types: frozenset[int]
    parameter_types: frozenset[int]
    """Of parameter sets that stand first in an access unit."""


NOT_KEY, MAYBE_KEY, FRAGMENT = range(3)
SOUND = 0  # the one type of a packet with sound, which any viewer can begin with


class PacketRing:
    """A bounded store of packets in which a viewer can start at the newest key frame.

    Used from the event loop alone; `extend()` is the hot path and never waits. It holds the
    newest GOP and some packets before it. After a loss it waits: nothing is stored or given to
    subscribers until an access unit with an SPS or IDR begins. Numbering then goes on as if what
    was dropped had never been, so that viewers don't ask for it again.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.size_bytes = 0
        self.ssrc = secrets.randbits(32)
        self.codec: Codec | None = None
        """None until the first ffmpeg."""
        self.anchor: Anchor | None = None
        """Where the present ffmpeg's timestamps lie on the channel's clock, once that is known."""
        self.began: tuple[int, int] | None = None
        """The first packet of the present ffmpeg: its number there, its timestamp here."""
        self.last_arrival_s = 0.0
        """The loop's time of the newest packets."""
        self.received = 0
        """Packets that came from ffmpeg, those of no use among them."""
        self.lost = 0
        """Packets that ffmpeg sent and nobody received, or that were damaged."""
        self.dropped = 0
        """Packets that came but were of no use: after a loss, until the next key frame."""
        self.is_waiting = True
        """Whether the next packet stored will begin a GOP."""
        self.last_sequence = secrets.randbits(16)
        self.last_timestamp = secrets.randbits(32)
        self._packets: list[bytes] = []
        self._gop_at: int | None = None
        self._gop_is_new = False
        self._subscribers: tuple[PacketSubscriber, ...] = ()
        self._feeder: Feeder | None = None
        self._test = KEY_TESTS["h264"]
        self._held: list[bytes] = []  # while waiting: the unit that may turn out a key one
        self._expected = UNKNOWN
        self._unit_timestamp = UNKNOWN
        self._spoiled_timestamp = UNKNOWN
        """Of an access unit that has lost packets."""
        self._source_ssrc = UNKNOWN
        self._first_sequence = UNKNOWN
        self._base: int | None = None
        """From ffmpeg's timestamps to ours."""
        self._report: SenderReport | None = None
        self._unit_at = 0
        self._is_key_unit = False

    @property
    def clock_hz(self) -> int:
        """Return what a second is in timestamps."""
        return CLOCKS_HZ[self.codec or "h264"]

    @property
    def viewers(self) -> int:
        """Return how many outputs are subscribed."""
        return len(self._subscribers)

    def begin(self, codec: Codec, feeder: Feeder) -> None:
        """Take packets of a new ffmpeg: its numbers continue ours, from its first key frame on."""
        if self.codec not in (None, codec):
            self.end("the codec has changed")
        self.codec = codec
        self._test = KEY_TESTS[codec]
        self._feeder = feeder
        self._forget_numbers()
        feeder.set_watched(bool(self._subscribers))

    def detach(self, feeder: Feeder) -> None:
        """Forget a feeder that closes; what is stored stays."""
        if self._feeder is feeder:
            self._feeder = None

    def end(self, reason: str) -> None:
        """Forget all packets and dismiss all subscribers."""
        self._packets.clear()
        self._gop_at = None
        self.size_bytes = self._unit_at = 0
        self._wait()
        leaving, self._subscribers = self._subscribers, ()
        for subscriber in leaving:
            subscriber.on_close(reason)
        self._tell_feeder()

    def subscribe(self, subscriber: PacketSubscriber) -> Sequence[bytes]:
        """Give the subscriber every packet from now on; return the GOP so far, to start with.

        The numbers of what is returned lead without a gap to what is given next.
        """
        if not self._subscribers and self._feeder is not None:
            self._feeder.set_watched(True)
        self._subscribers = (*self._subscribers, subscriber)
        return self.replay()

    def unsubscribe(self, subscriber: PacketSubscriber) -> None:
        """Stop giving packets; unknown subscribers are ignored, so leaving twice is harmless."""
        self._subscribers = tuple(one for one in self._subscribers if one is not subscriber)
        self._tell_feeder()

    def replay(self) -> Sequence[bytes]:
        """Return the packets from the newest GOP's first one on; none when it is not whole."""
        return [] if self._gop_at is None else self._packets[self._gop_at :]

    def find(self, sequence: int) -> bytes | None:
        """Return the packet with this number of ours, if it is still there."""
        back = sequence_distance(self.last_sequence, sequence)
        return self._packets[-1 - back] if 0 <= back < len(self._packets) else None

    def note_report(self, report: SenderReport) -> None:
        """Keep a sender report; whether it is of the present ffmpeg shows when it is asked for."""
        self._report = report

    def sender_report(self) -> SenderReport | None:
        """Return ffmpeg's newest sender report in our numbers: the wall time of an RTP time."""
        report, base = self._report, self._base
        if report is None or base is None or report.ssrc != self._source_ssrc:
            return None
        timestamp = (report.timestamp + base) & TIMESTAMP_MASK
        return SenderReport(ssrc=self.ssrc, ntp=report.ntp, timestamp=timestamp)

    def extend(self, packets: Sequence[bytes], now_s: float) -> None:
        """Store packets of ffmpeg in the order they came and give them to the subscribers.

        `now_s` is the loop's time. What is not RTP is left out and so counts as lost.
        """
        # Flat and with local names: this runs for every packet of every source.
        unpack, pack, ssrc = HEADER.unpack_from, HEADER.pack, self.ssrc
        stored, test = self._packets, self._test
        kinds, fragment_at, key_fragments = test.kinds, test.fragment_at, test.key_fragments
        expected, unit_timestamp = self._expected, self._unit_timestamp
        first_new = len(stored)
        for packet in packets:
            if len(packet) <= fragment_at or packet[0] != PLAIN_FIRST_BYTE:
                plain = _make_plain(packet, test)
                if plain is None:
                    continue
                packet = plain
            _, marker_and_type, sequence, timestamp, _ = unpack(packet)
            if sequence != expected and not self._check_sequence(packet, expected, unit_timestamp):
                continue
            expected = (sequence + 1) & SEQUENCE_MASK
            if timestamp != unit_timestamp:
                unit_timestamp = timestamp
                self._begin_unit(timestamp, now_s)
            kind = kinds[packet[RTP_HEADER_LENGTH]]
            if (
                kind
                and (kind == MAYBE_KEY or key_fragments[packet[fragment_at]])
                and self._is_gop_start(packet, timestamp)
            ):
                self._begin_gop()
            elif self.is_waiting:
                self._held.append(packet)
                continue
            self.last_sequence = number = (self.last_sequence + 1) & SEQUENCE_MASK
            head = pack(PLAIN_FIRST_BYTE, marker_and_type, number, self.last_timestamp, ssrc)
            stored.append(head + packet[RTP_HEADER_LENGTH:])
        self._expected, self._unit_timestamp = expected, unit_timestamp
        self.last_arrival_s = now_s
        self.received += len(packets)
        self._publish(stored[first_new:])

    def _check_sequence(self, packet: bytes, expected: int, unit_timestamp: int) -> bool:
        """Count what was lost before this packet; return whether it is of use."""
        _, _, sequence, timestamp, ssrc = HEADER.unpack_from(packet)
        if expected == UNKNOWN:
            self._source_ssrc, self._first_sequence = ssrc, sequence
            return True
        if ssrc != self._source_ssrc:
            return False
        ahead = sequence_distance(sequence, expected)
        if -LARGEST_REORDER < ahead < 0:
            return False  # counted as lost when it was missed; its place is taken
        self.lost += max(0, ahead)
        self._wait()
        # The head of this access unit may be among the lost; parameter sets prove it is not.
        is_whole = timestamp != unit_timestamp and self._holds(packet, self._test.parameter_types)
        self._spoiled_timestamp = UNKNOWN if is_whole else timestamp
        return True

    def _begin_unit(self, timestamp: int, now_s: float) -> None:
        """Note that an access unit begins with the next packet stored."""
        if self._base is None:
            passed_s = max(SHORTEST_STEP_S, now_s - self.last_arrival_s)
            step = int(passed_s * self.clock_hz)
            self._base = self.last_timestamp + step - timestamp
        self.last_timestamp = (timestamp + self._base) & TIMESTAMP_MASK
        if self.began is None:
            self.began = self._first_sequence, self.last_timestamp
        self._unit_at = len(self._packets)
        self._is_key_unit = False
        self._drop_held()

    def _is_gop_start(self, packet: bytes, timestamp: int) -> bool:
        """Return whether this packet shows that the present access unit begins a GOP."""
        if self._is_key_unit or timestamp == self._spoiled_timestamp:
            return False
        return self._holds(packet, self._test.key_types)

    def _holds(self, packet: bytes, wanted: frozenset[int]) -> bool:
        """Return whether such a NAL unit begins in the packet; in a damaged one none does."""
        try:
            return not wanted.isdisjoint(self._test.payload_types(packet[RTP_HEADER_LENGTH:]))
        except MediaFormatError:
            return False

    def _begin_gop(self) -> None:
        """Let the GOP begin with the present access unit's first packet."""
        self._is_key_unit = True
        self._gop_is_new = True
        self._gop_at = self._unit_at if self._unit_at >= 0 else None
        self.is_waiting = False
        held, self._held = self._held, []
        for packet in held:  # what stood before the parameter sets, such as a delimiter
            self._store(packet)

    def _store(self, packet: bytes) -> None:
        """Number and keep one packet, as extend() does in its own way."""
        self.last_sequence = (self.last_sequence + 1) & SEQUENCE_MASK
        numbers = (self.last_sequence, self.last_timestamp, self.ssrc)
        head = HEADER.pack(PLAIN_FIRST_BYTE, packet[1], *numbers)
        self._packets.append(head + packet[RTP_HEADER_LENGTH:])

    def _publish(self, new: Sequence[bytes]) -> None:
        """Count what was stored, give it away and forget what is too old."""
        if not new:
            return
        self.size_bytes += _size(new)
        if self._gop_is_new and self._gop_at is not None:
            self._gop_is_new = False
            self._forget(self._gop_at - HISTORY_PACKETS)
        if self.size_bytes > self.limit_bytes:
            self._shrink()
        for subscriber in self._subscribers:
            subscriber.on_packets(new)

    def _shrink(self) -> None:
        """Forget the oldest packets; a GOP that does not fit can't be replayed."""
        if self._gop_at:
            self._forget(self._gop_at)
        excess_bytes = self.size_bytes - int(self.limit_bytes * KEPT_OF_LIMIT)
        if self.size_bytes <= self.limit_bytes:
            return
        count = 0
        while excess_bytes > 0:
            excess_bytes -= len(self._packets[count]) + PACKET_OVERHEAD_BYTES
            count += 1
        self._gop_at = None
        self._forget(count)

    def _forget(self, count: int) -> None:
        """Take the `count` oldest packets out; the GOP's start moves with them."""
        if count <= 0:
            return
        self.size_bytes -= _size(self._packets[:count])
        del self._packets[:count]
        self._unit_at -= count
        if self._gop_at is not None:
            self._gop_at -= count

    def _wait(self) -> None:
        """Store nothing until a GOP begins."""
        self.is_waiting = True
        self._drop_held()

    def _drop_held(self) -> None:
        self.dropped += len(self._held)
        self._held.clear()

    def _forget_numbers(self) -> None:
        """Expect any numbers next: another ffmpeg sends."""
        self._expected = UNKNOWN
        self._unit_timestamp = UNKNOWN
        self._spoiled_timestamp = UNKNOWN
        self._source_ssrc = UNKNOWN
        self._base = self.began = self.anchor = None
        self._report = None
        self._unit_at = len(self._packets)
        self._is_key_unit = False
        self._wait()

    def _tell_feeder(self) -> None:
        if self._feeder is not None and not self._subscribers:
            self._feeder.set_watched(False)


def _make_plain(packet: bytes, test: KeyTest) -> bytes | None:
    """Return the packet with a fixed header alone; None when there is nothing in it to read."""
    try:
        start, end = payload_bounds(packet)
    except MediaFormatError:
        return None
    payload = packet[start:end]
    shortest = test.fragment_at - RTP_HEADER_LENGTH
    if not payload or (len(payload) <= shortest and test.kinds[payload[0]] == FRAGMENT):
        return None
    return bytes([PLAIN_FIRST_BYTE]) + packet[1:RTP_HEADER_LENGTH] + payload


def _size(packets: Sequence[bytes]) -> int:
    """Return what these packets take in memory."""
    return sum(map(len, packets)) + PACKET_OVERHEAD_BYTES * len(packets)


def _h264_kind(first_byte: int) -> int:
    """Return what a payload may be that starts with this byte (RFC 6184 §5.2)."""
    nal_type = first_byte & h264.NAL_TYPE_MASK
    if nal_type == h264.NAL_TYPE_FU_A:
        return FRAGMENT
    is_open = nal_type == h264.NAL_TYPE_STAP_A or nal_type in h264.KEY_TYPES
    return MAYBE_KEY if is_open else NOT_KEY


def _h265_kind(first_byte: int) -> int:
    """Return what a payload may be that starts with this byte (RFC 7798 §4.4)."""
    nal_type = first_byte >> 1 & h265.NAL_TYPE_MASK
    if nal_type == h265.NAL_TYPE_FU:
        return FRAGMENT
    is_open = nal_type == h265.NAL_TYPE_AP or nal_type in h265.KEY_TYPES
    return MAYBE_KEY if is_open else NOT_KEY


def _any_type(payload: bytes) -> tuple[int, ...]:
    """Sound can be entered with any packet."""
    del payload
    return (SOUND,)


def _key_fragments(key_types: frozenset[int], type_mask: int) -> bytes:
    """Return for each FU header whether it starts a NAL unit of these types."""
    start_bit = h264.FU_START_BIT  # as in H.265
    return bytes(fu & start_bit and fu & type_mask in key_types for fu in range(256))


SOUND_TEST = KeyTest(
    kinds=bytes([MAYBE_KEY] * 256),
    fragment_at=RTP_HEADER_LENGTH,
    key_fragments=bytes(256),
    payload_types=_any_type,
    key_types=frozenset({SOUND}),
    parameter_types=frozenset({SOUND}),
)

KEY_TESTS: dict[Codec, KeyTest] = {
    "h264": KeyTest(
        kinds=bytes(map(_h264_kind, range(256))),
        fragment_at=RTP_HEADER_LENGTH + 1,
        key_fragments=_key_fragments(h264.KEY_TYPES, h264.NAL_TYPE_MASK),
        payload_types=h264.payload_types,
        key_types=h264.KEY_TYPES,
        parameter_types=frozenset({h264.NAL_TYPE_SPS}),
    ),
    "hevc": KeyTest(
        kinds=bytes(map(_h265_kind, range(256))),
        fragment_at=RTP_HEADER_LENGTH + h265.NAL_HEADER_LENGTH,
        key_fragments=_key_fragments(h265.KEY_TYPES, h265.NAL_TYPE_MASK),
        payload_types=h265.payload_types,
        key_types=h265.KEY_TYPES,
        parameter_types=frozenset({h265.NAL_TYPE_VPS, h265.NAL_TYPE_SPS}),
    ),
    "opus": SOUND_TEST,
    "pcma": SOUND_TEST,
    "pcmu": SOUND_TEST,
}
