"""What a playback hands over, as packets in rings, each when it is due.

A playback may be some tenths of a second ahead, and what passes through an ffmpeg comes unevenly.
Here it waits for its moment, for browsers take uneven arrival for a bad network, and what has been
sent can't be taken back by a seek. So timestamps are simply the time of sending, however the
recording's own times lie: over a pause or a seek they go on like a clock.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from heapq import heappop, heappush

from h5sup.base.errors import MediaFormatError, UnavailableError
from h5sup.bus.fragment import Fragment
from h5sup.bus.packet_ring import CLOCKS_HZ, Codec, PacketRing
from h5sup.bus.playback import LEAD_S, Begun, Playback, Played, Position
from h5sup.formats.isobmff.fragment import SAMPLE_IS_NON_SYNC, TrackRun, parse_fragment
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.formats.rtp import TIMESTAMP_MASK
from h5sup.formats.rtp_payload import Payloader, build_packets, open_payloader
from h5sup.outputs.rtc.supply import is_hevc

RING_BYTES = 8_000_000  # as a channel's by default
SOUND_RING_BYTES = 200_000
AHEAD_S = LEAD_S  # that much may wait here; a jump makes it void at once
MOST_WAITING = 1000  # however short they are
SOON_S = 0.002  # not worth a timer
LATE_S = 0.1  # a picture later than this was kept back: time went on without it
PASSING_S = 0.012  # pictures that a jump only passes last less
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


@dataclass(frozen=True, slots=True)
class Unit:
    """One picture, or packet of sound."""

    at_s: float
    """On the playback's timeline."""
    ticks: int
    """The same in the clock of its codec."""
    lane: Lane
    payloads: list[bytes]
    lasts_s: float


class Projector:
    """Owned by a Past; `run()` is called once and ends by an error or when it is cancelled.

    One task takes what the playback hands over, up to AHEAD_S before it is due, another one sends
    it. Commands go to the playback first and are told here then.
    """

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
        self._waiting: list[tuple[float, int, Unit | Position]] = []  # a heap, the soonest first
        self._taken = 0
        self._newest_s = 0.0  # up to where the timeline has come
        self._offset_s = 0.0
        """The loop's time less the timeline's, since it was anchored."""
        self._is_anchored = False
        self._is_frozen = False
        self._is_landing = True  # the picture that was gone to has not been sent yet
        self._needs_key = False
        self._watched = asyncio.Event()
        self._told = asyncio.Event()  # of a command
        self._stirred = asyncio.Event()  # what is to be sent next may be another
        self._has_room = asyncio.Event()
        self.video.ring.begin(self.video.codec, self)
        self.sound.ring.begin(self.sound.codec, self)

    def set_watched(self, is_watched: bool) -> None:
        """Begin when the viewer is connected."""
        if is_watched:
            self._watched.set()

    def freeze(self) -> None:
        """Stand still, at the picture that was gone to last: the playback has been paused."""
        self._is_frozen = True
        self._stir()

    def go_on(self) -> None:
        """Look at the playback again: it has been given a command that may set it going."""
        self._is_frozen = False
        self._stir()

    def jump(self) -> None:
        """Forget what is about to be sent: it belongs to another time.

        A playback in a pause stays in it and hands over the picture there.
        """
        self._waiting.clear()
        self._needs_key = self._is_landing = True
        self._is_anchored = False
        self._stir()

    async def run(self) -> None:
        """Play to the end, and again when a command leads back; raises H5supError."""
        await self._watched.wait()
        tasks = [asyncio.create_task(self._take_all()), asyncio.create_task(self._send_all())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _stir(self) -> None:
        self._told.set()
        self._stirred.set()
        self._has_room.set()

    async def _take_all(self) -> None:
        """Take from the playback as far ahead as is good."""
        while True:
            self._told.clear()
            item = await self._playback.next()
            match item:
                case Begun(init):
                    self._begin(init)
                case Played(fragment):
                    self._take(fragment)
                case Position():
                    self._await(self._newest_s if item.media_s is None else item.media_s, item)
                case None:
                    await self._told.wait()
            while self._is_full():
                self._has_room.clear()
                await self._has_room.wait()

    def _is_full(self) -> bool:
        waiting = self._waiting
        return bool(waiting) and (
            self._newest_s - waiting[0][0] >= AHEAD_S or len(waiting) >= MOST_WAITING
        )

    def _begin(self, init: InitSegment) -> None:
        if init.video is None or is_hevc(init) != (self.video.codec == "hevc"):
            raise UnavailableError(OTHER_CODEC)
        self._init = init
        self._payloader = open_payloader(init.video)

    def _take(self, fragment: Fragment) -> None:
        """Have a fragment wait, picture by picture; one on its way as a jump came is void."""
        if self._needs_key and not fragment.is_key:
            return
        self._needs_key = False
        try:
            units = self._units(fragment)
        except MediaFormatError as error:
            logger.debug("a damaged fragment is left out: %s", error)
            return
        for unit in units:
            self._newest_s = max(self._newest_s, unit.at_s)
            self._await(unit.at_s, unit)

    def _await(self, at_s: float, item: Unit | Position) -> None:
        """Keep what is to be sent; sound that comes later than its picture still goes first."""
        self._taken += 1
        heappush(self._waiting, (at_s, self._taken, item))
        self._stirred.set()

    def _units(self, fragment: Fragment) -> list[Unit]:
        assert self._init is not None
        parsed = parse_fragment(fragment.data, self._init)
        found = self._pictures(parsed.video, fragment.data) if parsed.video is not None else []
        if parsed.audio is not None and parsed.audio.track.codec == "opus":
            found += self._sounds(parsed.audio, fragment.data)
        return found

    def _pictures(self, run: TrackRun, data: bytes) -> list[Unit]:
        assert self._payloader is not None
        found = []
        dts = run.dts
        for sample in run.samples:
            picture = data[sample.start : sample.start + sample.size]
            is_key = not sample.flags & SAMPLE_IS_NON_SYNC
            payloads = self._payloader.split(picture, is_key=is_key)
            if payloads:
                shown = dts + sample.cts_offset
                found.append(_unit(self.video, shown, run, payloads, sample.duration))
            dts += sample.duration
        return found

    def _sounds(self, run: TrackRun, data: bytes) -> list[Unit]:
        found = []
        dts = run.dts
        for sample in run.samples:
            packet = data[sample.start : sample.start + sample.size]
            if packet:
                found.append(_unit(self.sound, dts, run, [packet], sample.duration))
            dts += sample.duration
        return found

    async def _send_all(self) -> None:
        """Send what waits, each when it is due."""
        while True:
            self._stirred.clear()
            if not self._waiting or (self._is_frozen and not self._is_landing):
                await self._stirred.wait()
                continue
            at_s, _, item = self._waiting[0]
            due_s = self._due(at_s, item)
            if due_s - self._loop.time() > SOON_S:
                await self._rest(due_s)
                continue
            heappop(self._waiting)
            self._has_room.set()
            if isinstance(item, Position):
                self._on_position(item)
            else:
                self._send(item, due_s)

    def _send(self, unit: Unit, due_s: float) -> None:
        base = round((due_s - unit.at_s) * unit.lane.ring.clock_hz)
        unit.lane.send(unit.payloads, due_s, base + unit.ticks)
        if unit.lane is self.video and unit.lasts_s > PASSING_S:
            self._is_landing = False

    def _due(self, at_s: float, item: Unit | Position) -> float:
        """Return when it is time for this, in the loop's time.

        At the begin, after a jump, and when a picture was kept back, the next picture is due now
        and what follows counts from it.
        """
        now_s = self._loop.time()
        is_picture = isinstance(item, Unit) and item.lane is self.video
        if is_picture and (not self._is_anchored or now_s - self._offset_s - at_s > LATE_S):
            self._offset_s = now_s - at_s
            self._is_anchored = True
        elif not self._is_anchored:
            return now_s
        return self._offset_s + at_s

    async def _rest(self, due_s: float) -> None:
        """Wait until then, or until there is something else to look at first."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(due_s):
                await self._stirred.wait()


def _unit(lane: Lane, ticks: int, run: TrackRun, payloads: list[bytes], duration: int) -> Unit:
    scale = run.track.timescale
    ticks_there = ticks * CLOCKS_HZ[lane.codec] // scale
    return Unit(ticks / scale, ticks_there, lane, payloads, duration / scale)
