"""What a playback hands over, as packets in rings, each when it is due.

A playback may be some tenths of a second ahead. Here it is held back to the moment, for browsers
take uneven arrival for a bad network, and what has been sent can't be taken back by a seek. So
timestamps are simply the time of sending, however the recording's own times lie: over a pause or
a seek they go on like a clock.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from h5sup.base.errors import MediaFormatError, UnavailableError
from h5sup.bus.fragment import Fragment
from h5sup.bus.packet_ring import CLOCKS_HZ, Codec, PacketRing
from h5sup.bus.playback import Begun, Playback, Played, Position
from h5sup.formats.isobmff.fragment import SAMPLE_IS_NON_SYNC, TrackRun, parse_fragment
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.formats.rtp import TIMESTAMP_MASK
from h5sup.formats.rtp_payload import Payloader, build_packets, open_payloader
from h5sup.outputs.rtc.programme import is_hevc

RING_BYTES = 8_000_000  # as a channel's by default
SOUND_RING_BYTES = 200_000
SOON_S = 0.002  # not worth a timer
LATE_S = 0.1  # a picture later than this was kept back: time went on without it
PAYLOAD_TYPE = 96  # in the ring; each viewer gets the number agreed on
OTHER_CODEC = "the recording goes on in another codec: play on from there"

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Lane:
    """One track on its way into a ring."""

    ring: PacketRing
    codec: Codec
    sequence: int = 0
    stamp: int = -1
    """Of what was sent last."""

    def send(self, payloads: list[bytes], due_s: float, stamp: int) -> None:
        """Have one access unit's packets sent; times never go back, whatever is recorded."""
        self.stamp = max(stamp, self.stamp + 1)
        packets = build_packets(
            payloads,
            payload_type=PAYLOAD_TYPE,
            sequence=self.sequence,
            timestamp=self.stamp & TIMESTAMP_MASK,
            ssrc=0,
        )
        self.sequence += len(packets)
        self.ring.extend(packets, due_s)


@dataclass(frozen=True, slots=True, order=True)
class Unit:
    """One picture, or packet of sound."""

    at_s: float
    """On the playback's timeline."""
    ticks: int = field(compare=False)
    """The same in the clock of its codec."""
    lane: Lane = field(compare=False)
    payloads: list[bytes] = field(compare=False)


class Projector:
    """Owned by a Past; `run()` is called once and ends when the playback is closed."""

    def __init__(
        self, playback: Playback, codec: Codec, on_position: Callable[[Position], None]
    ) -> None:
        """Take what to play and what its pictures are."""
        self.video = Lane(PacketRing(RING_BYTES), codec)
        self.sound = Lane(PacketRing(SOUND_RING_BYTES), "opus")
        self._playback = playback
        self._on_position = on_position
        self._init: InitSegment | None = None
        self._payloader: Payloader | None = None
        self._loop = asyncio.get_running_loop()
        self._offset_s: float | None = None
        """The loop's time less the timeline's; unknown until something has been sent."""
        self._needs_key = False
        self._watched = asyncio.Event()
        self._told = asyncio.Event()
        self._jumped = asyncio.Event()
        self.video.ring.begin(self.video.codec, self)
        self.sound.ring.begin(self.sound.codec, self)

    def set_watched(self, is_watched: bool) -> None:
        """Begin when the viewer is connected."""
        if is_watched:
            self._watched.set()

    def wake(self) -> None:
        """Look at the playback again: it has been given a command."""
        self._told.set()

    def jump(self) -> None:
        """Forget what is about to be sent: it belongs to another time."""
        self._needs_key = True
        self._offset_s = None
        self._jumped.set()
        self.wake()

    async def run(self) -> None:
        """Play to the end, and again when a command leads back; raises H5supError."""
        await self._watched.wait()
        while True:
            self._told.clear()
            item = await self._playback.next()
            self._jumped.clear()  # whatever came meanwhile: the next key fragment is its
            match item:
                case Begun(init):
                    self._begin(init)
                case Played(fragment):
                    await self._play(fragment)
                case Position():
                    self._on_position(item)
                case None:
                    await self._told.wait()

    def _begin(self, init: InitSegment) -> None:
        if init.video is None or is_hevc(init) != (self.video.codec == "hevc"):
            raise UnavailableError(OTHER_CODEC)
        self._init = init
        self._payloader = open_payloader(init.video)

    async def _play(self, fragment: Fragment) -> None:
        """Send a fragment bit by bit; a jump meanwhile makes the rest of it void."""
        if self._needs_key and not fragment.is_key:
            return
        self._needs_key = False
        try:
            units = self._units(fragment)
        except MediaFormatError as error:
            logger.debug("a damaged fragment is left out: %s", error)
            return
        for unit in units:
            due_s = await self._wait_for(unit)
            if due_s is None:
                return
            base = round((due_s - unit.at_s) * unit.lane.ring.clock_hz)
            unit.lane.send(unit.payloads, due_s, base + unit.ticks)

    def _units(self, fragment: Fragment) -> list[Unit]:
        assert self._init is not None
        parsed = parse_fragment(fragment.data, self._init)
        found = self._pictures(parsed.video, fragment.data) if parsed.video is not None else []
        if parsed.audio is not None and parsed.audio.track.codec == "opus":
            found += self._sounds(parsed.audio, fragment.data)
        return sorted(found)

    def _pictures(self, run: TrackRun, data: bytes) -> list[Unit]:
        assert self._payloader is not None
        found = []
        dts = run.dts
        for sample in run.samples:
            unit = data[sample.start : sample.start + sample.size]
            is_key = not sample.flags & SAMPLE_IS_NON_SYNC
            payloads = self._payloader.split(unit, is_key=is_key)
            if payloads:
                found.append(_unit(self.video, dts + sample.cts_offset, run, payloads))
            dts += sample.duration
        return found

    def _sounds(self, run: TrackRun, data: bytes) -> list[Unit]:
        found = []
        dts = run.dts
        for sample in run.samples:
            packet = data[sample.start : sample.start + sample.size]
            if packet:
                found.append(_unit(self.sound, dts, run, [packet]))
            dts += sample.duration
        return found

    async def _wait_for(self, unit: Unit) -> float | None:
        """Return when a unit is due, once it is; None when a jump has come first."""
        now_s = self._loop.time()
        is_late = self._offset_s is not None and now_s - self._offset_s - unit.at_s > LATE_S
        if self._offset_s is None or (is_late and unit.lane is self.video):
            self._offset_s = now_s - unit.at_s
        due_s = self._offset_s + unit.at_s
        if due_s - now_s > SOON_S:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due_s):
                    await self._jumped.wait()
        return None if self._jumped.is_set() else due_s


def _unit(lane: Lane, ticks: int, run: TrackRun, payloads: list[bytes]) -> Unit:
    scale = run.track.timescale
    return Unit(ticks / scale, ticks * CLOCKS_HZ[lane.codec] // scale, lane, payloads)
