"""One playback: what is read goes on the viewer's timeline when it is due, as it is steered."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from h5sup.base.clock import from_us, to_us, utc_now
from h5sup.base.errors import InvalidError, NotFoundError, UnavailableError
from h5sup.bus.fragment import Fragment
from h5sup.bus.playback import (
    FASTEST,
    SLOWEST,
    Item,
    PlaybackRequest,
    Position,
)
from h5sup.formats.isobmff.gop_table import StoredGop
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.formats.isobmff.squeeze import squeeze_step
from h5sup.recording.playback.converter import Kit
from h5sup.recording.playback.delivery import Delivery, Outfit
from h5sup.recording.playback.landing import find_landing
from h5sup.recording.playback.pace import Pace
from h5sup.recording.playback.retiming import NORMAL, Retiming
from h5sup.recording.playback.stored import SECOND_US
from h5sup.recording.playback.supply import Edge, Footage, Piece, StoredFragment, Supply
from h5sup.recording.playback.wardrobe import Wardrobe, is_reordered, mime_of

LEAST_SLEEP_S = 0.001  # what rounding leaves over must not keep the loop busy
MAX_SEEK_S = 1e9  # some thirty years
TELL_EVERY_S = 1.0
GAP_US = SECOND_US // 2  # less is how much the camera's clock and ours differ
LOOK_AGAIN_S = 0.5  # for what is being recorded now
ROOM_AGAIN_S = 0.05  # for what ffmpeg has not taken
NOTHING_NEW_S = 5.0  # between two files of a recording that goes on passes less
LASTING_S = 0.005  # see ffmpeg.command.build_conversion
EXTRA = 4  # pictures that ffmpeg keeps for itself
KEYS_FROM = 4  # times as fast
MAX_PICTURES_PER_S = 60  # browsers show no more ...
MAX_BITS_PER_S = 8_000_000  # ... and many networks carry no more
KEY_EVERY_S = 1.0  # though a key frame may be too large for that
SPEED_STEPS = 100  # a speed is a multiple of a hundredth


@dataclass(frozen=True, slots=True)
class Spot:
    """A picture that was handed over."""

    start_s: float
    """On the viewer's timeline."""
    at_us: int
    """When it was taken."""
    source: Footage
    gop: StoredGop


class Player:
    """A Playback of what was recorded. Used from the loop alone; `open()` comes first.

    Its state is that of next(): commands change it and wake next(), which does what there is to
    do and waits for the earliest of what may come.
    """

    def __init__(
        self,
        request: PlaybackRequest,
        make_reel: Callable[[Callable[[], None]], Supply],
        wardrobe: Wardrobe,
        *,
        kit: Kit | None = None,
        admit: Callable[[Player], None] = lambda _: None,
        on_close: Callable[[Player], None] = lambda _: None,
        wall: Callable[[], datetime] = utc_now,
    ) -> None:
        """Take what to play; `admit` is asked before pictures are converted, and may raise."""
        self.request = request
        self._id = secrets.token_urlsafe(16)
        self._loop = asyncio.get_running_loop()
        self._reel = make_reel(self._wake)
        self._reel.stride = self._stride
        self._wardrobe = wardrobe
        self._delivery = Delivery(kit, self._wake)
        self._admit = admit
        self._is_admitted = False
        self._wall = wall
        self._on_close = on_close
        self._mime = ""
        self._has_sound = False
        self._retiming = Retiming()
        self._pace = Pace(request.lead_s)
        self._speed = NORMAL
        self._source: Footage | None = None
        self._reordered: dict[int, bool] = {}  # by footage
        self._laid_init: InitSegment | None = None
        self._changing: Outfit | None = None  # before more is laid
        self._piece: Piece | None = None
        self._coming: deque[StoredFragment] = deque()  # of the piece, not yet laid
        self._step = 1  # of a squeezed picture, in ticks
        self._spots: deque[Spot] = deque()  # the picture that is shown, and those after it
        self._waker: asyncio.Future[None] | None = None
        self._is_started = self._is_paused = self._is_closed = False
        self._is_landing = True  # the asked picture has not been laid yet
        self._is_over = self._has_ended = False  # all is laid; all is played
        self._extra = 0  # pictures that push the asked one out of ffmpeg while it is paused
        self._told_at = float("-inf")
        self._next_us = 0  # when the picture after the newest one was taken, if there is no gap
        self._look_again_at = 0.0
        self._nothing_since: float | None = None
        self._saw_growth = False
        self._picture_s = 0.04  # of the newest pictures, at speed 1
        self._key_bytes = 0  # of the newest key fragment

    async def open(self) -> None:
        """Read what comes first; raises NotFoundError, UnavailableError."""
        found = await self._reel.open()
        if found is Edge.NOT_YET:
            raise UnavailableError("the recording has just begun: try again in a moment")
        if not isinstance(found, Piece):
            raise NotFoundError("nothing was recorded in this time")
        programme = self._reel.programme
        programme.begin_us = programme.begin_us or found.gop.wall_us
        self._note_rate(found.fragments[0])
        self._wardrobe = self._wardrobe.fitted(found.fragments)
        outfit = self._dress(found)
        if outfit.converts:
            self._begin_converting()
        self._mime, self._has_sound = mime_of(outfit), outfit.init.audio is not None

    @property
    def id(self) -> str:
        """Return its secret name."""
        return self._id

    @property
    def mime(self) -> str:
        """Return what all of it is."""
        return self._mime

    @property
    def has_sound(self) -> bool:
        """Return whether there is sound, which may be silence."""
        return self._has_sound

    def start(self) -> None:
        """Play; twice is harmless."""
        self._is_started = True
        self.resume()

    def pause(self) -> None:
        """Stand still; a jump still shows the picture it goes to."""
        self._is_paused = True
        self._reel.steer(float(self._speed), is_paused=True)

    def resume(self) -> None:
        """Go on."""
        self._is_paused = False
        self._reel.steer(float(self._speed), is_paused=False)
        self._wake()

    def seek(self, seconds: float) -> None:
        """Go on at so many seconds of time after the begin."""
        self._jump(self._reel.programme.begin_us + round(min(seconds, MAX_SEEK_S) * SECOND_US))

    def move_to(self, at: datetime) -> None:
        """Go on at a moment, or at the next picture after it."""
        self._jump(to_us(at))

    def set_speed(self, speed: float) -> None:
        """Play so many times as fast; raises InvalidError."""
        if not SLOWEST <= speed <= FASTEST:
            raise InvalidError("nSpeed", f"must be from {SLOWEST:g} to {FASTEST:g}")
        self._speed = Fraction(speed).limit_denominator(SPEED_STEPS)
        self._reel.steer(speed, is_paused=self._is_paused)
        piece = self._piece
        is_waiting = piece is not None and piece.is_key_alone and len(self._coming) > 0
        if piece is not None and is_waiting and not self._stride(piece.source, piece.gop):
            self._coming.clear()  # a key picture that would stand for seconds now
            self._reel.seek(piece.gop.wall_us)
        self._wake()

    @property
    def is_running(self) -> bool:
        """Return whether it takes up a place among those that convert pictures."""
        return self._is_admitted and not self._is_closed

    async def next(self) -> Item | None:
        """Return what is due next, once it is; None once closed."""
        while not self._is_closed:
            now = self._loop.time()
            self._delivery.collect(now)
            if self._delivery.items:
                return self._delivery.items.popleft()
            if await self._change(now):
                continue
            wait_s = self._advance(now)
            if wait_s is None or wait_s > 0:
                await self._sleep(wait_s)
        return None

    async def close(self) -> None:
        """Close its file; next() returns None from now on."""
        self._is_closed = True
        self._wake()
        await self._delivery.close()
        await self._reel.close()
        self._on_close(self)

    @property
    def waiting_bytes(self) -> int:
        """Return how much it has read and not handed over."""
        return sum(len(one.data) for one in self._coming) + self._reel.waiting_bytes

    @property
    def shown(self) -> Spot | None:
        """Return the picture the viewer sees now."""
        self._forget_passed(self._loop.time())
        return self._spots[0] if self._spots else None

    def _jump(self, at_us: int) -> None:
        programme = self._reel.programme
        self._reel.seek(min(max(at_us, programme.begin_us), programme.end_us))
        self._coming.clear()
        self._is_landing = True
        self._is_over = self._has_ended = False
        self._look_again_at = 0.0
        self._nothing_since = None
        self._wake()

    def _wake(self) -> None:
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)

    async def _sleep(self, seconds: float | None) -> None:
        self._waker = self._loop.create_future()
        timer = None
        if seconds is not None:
            timer = self._loop.call_later(max(seconds, LEAST_SLEEP_S), self._wake)
        try:
            await self._waker
        finally:
            self._waker = None
            if timer is not None:
                timer.cancel()

    async def _change(self, now: float) -> bool:
        """Change how it is shown, if that is to be done; return whether it was."""
        outfit, self._changing = self._changing, None
        if outfit is not None:
            if outfit.converts:
                self._begin_converting()
            await self._delivery.begin(outfit, now)
            return True
        if self._is_over and self._delivery.is_converting:
            await self._delivery.flush(now)
            return True
        return False

    def _begin_converting(self) -> None:
        if not self._is_admitted:
            self._admit(self)
            self._is_admitted = True

    def _dress(self, piece: Piece) -> Outfit:
        """Return how a piece's file is shown; a single key picture does not tell of its order."""
        number = piece.source.number
        if not piece.is_key_alone and number not in self._reordered:
            self._reordered = {number: is_reordered(piece.fragments)}
        return self._wardrobe.dress(piece.source, reordered=self._reordered.get(number, False))

    def _advance(self, now: float) -> float | None:
        """Do the next thing; return how long there is nothing to do, None for until woken."""
        if not self._is_started:
            return None
        if self._tell(now):
            return 0.0
        wait_s = self._play(now)
        tell_s = self._tell_in(now)
        return wait_s if tell_s is None else tell_s if wait_s is None else min(wait_s, tell_s)

    def _play(self, now: float) -> float | None:
        if self._has_ended or (self._is_paused and not self._is_landing and not self._extra):
            return None
        if self._is_over:
            return self._end(now)
        if not self._coming:
            return self._fetch(now)
        if not self._delivery.has_room:
            return ROOM_AGAIN_S
        if not self._is_landing and (due_s := self._pace.due_in(now)) > 0:
            return due_s
        self._lay(now)
        return 0.0

    def _fetch(self, now: float) -> float | None:
        """Take the next piece, if it is there."""
        if now < self._look_again_at:
            return self._look_again_at - now
        found = self._reel.take()
        if isinstance(found, Piece):
            self._nothing_since = None
            self._begin(found)
            return 0.0
        if found is None:
            return None
        if self._may_go_on(found, now):
            self._look_again_at = now + LOOK_AGAIN_S
            return LOOK_AGAIN_S
        self._is_over = True
        return 0.0

    def _may_go_on(self, edge: Edge, now: float) -> bool:
        """Return whether to wait at the edge for what is being recorded."""
        if edge is Edge.NOT_YET:
            self._saw_growth = True
            self._nothing_since = None
            return True
        if not self._saw_growth or to_us(self._wall()) > self._reel.programme.end_us:
            return False
        if self._nothing_since is None:
            self._nothing_since = now
        return now - self._nothing_since < NOTHING_NEW_S

    def _begin(self, piece: Piece) -> None:
        """Make ready to lay a piece."""
        if piece.is_first:
            outfit = self._dress(piece)
            is_other = self._source is None or self._source.number != piece.source.number
            if is_other or outfit.init != self._laid_init:
                self._retiming.begin(outfit.init, keeps_sound=outfit.keeps_sound)
                self._laid_init = outfit.init
            if not self._delivery.suits(outfit):
                self._changing = outfit
        self._source, self._piece = piece.source, piece
        self._coming.extend(piece.fragments)
        if piece.is_first and piece.land_us is not None:
            picture_us = max(1, piece.fragments[0].end_us - piece.fragments[0].start_us)
            count = (piece.land_us - piece.gop.wall_us) // picture_us + 1
            self._step = squeeze_step(count, piece.source.video.timescale)

    def _lay(self, now: float) -> None:
        """Put the next fragment, or all up to the asked picture, on the timeline."""
        piece = self._piece
        assert piece is not None
        if piece.land_us is not None:
            count = find_landing(list(self._coming), piece.land_us)
            if count:
                self._squeeze([self._coming.popleft() for _ in range(count)], piece, now)
                return
        stored = self._coming.popleft()
        if stored.start_us >= self._reel.programme.end_us and not self._is_landing:
            self._coming.clear()
            self._is_over = True
            return
        if piece.is_key_alone:
            self._key_bytes = len(stored.data)
            key = self._retiming.lay_key(stored, piece.duration, self._speed)
            self._hand(key, stored, piece, now)
            return
        fragment = self._retiming.lay(stored, self._speed, is_awaited=self._is_landing)
        if fragment is not None:
            self._hand(fragment, stored, piece, now)

    def _squeeze(self, stored: Sequence[StoredFragment], piece: Piece, now: float) -> None:
        """Lay pictures that are only there for those after them."""
        if not any(one.parsed.video is not None for one in stored):
            return
        last = self._step
        if self._delivery.is_converting:  # it leaves out what comes sooner after another one
            last = max(last, round(LASTING_S * piece.source.video.timescale))
        fragment = self._retiming.squeeze(stored, self._step, last)
        self._put(fragment, stored[0].start_us, now)
        self._spots.append(Spot(self._pace.end_s, stored[-1].start_us, piece.source, piece.gop))

    def _hand(self, fragment: Fragment, stored: StoredFragment, piece: Piece, now: float) -> None:
        start_s = self._pace.end_s
        if fragment.video is not None:
            if self._is_landing:
                self._spots.clear()  # what the viewer still has of before is stale
            self._spots.append(Spot(start_s, stored.start_us, piece.source, piece.gop))
            self._note_rate(stored)
            if self._is_landing or stored.start_us - self._next_us > GAP_US:
                self._told_at = now
                self._delivery.items.append(Position(from_us(stored.start_us), media_s=start_s))
            self._extra = max(0, self._extra - 1)
            if self._is_landing:
                self._is_landing = False
                self._extra = EXTRA if self._delivery.is_converting else 0
            stands_us = piece.duration * SECOND_US // piece.source.video.timescale
            self._next_us = stored.start_us + stands_us if stands_us else stored.end_us
        self._put(fragment, stored.start_us, now)

    def _note_rate(self, stored: StoredFragment) -> None:
        if (run := stored.parsed.video) is not None:
            self._picture_s = (stored.end_us - stored.start_us) / SECOND_US / len(run.samples)

    def _put(self, fragment: Fragment, at_us: int, now: float) -> None:
        self._pace.sent(self._retiming.end_s, now)
        self._delivery.put(fragment, at_us, now)

    def _end(self, now: float) -> float:
        """Say so once all is played; return how long that takes."""
        left_s = self._pace.end_s - self._pace.position(now)
        if left_s > 0:
            return left_s
        self._is_landing, self._has_ended = False, True
        self._told_at = now
        end = Position(from_us(self._end_us()), is_end=True, media_s=self._pace.end_s)
        self._delivery.items.append(end)
        return 0.0

    def _end_us(self) -> int:
        """Return when what was played ends."""
        if self._source is None or not self._spots:
            return self._reel.programme.begin_us
        return min(
            self._spots[-1].at_us + round(self._picture_s * SECOND_US), self._reel.programme.end_us
        )

    # where it stands

    def _tell(self, now: float) -> bool:
        """Tell the position if it is time to."""
        if self._tell_in(now) != 0.0:
            return False
        self._forget_passed(now)
        self._told_at = now
        shown = self._spots[0]
        self._delivery.items.append(Position(from_us(shown.at_us), media_s=shown.start_s))
        return True

    def _tell_in(self, now: float) -> float | None:
        """Return in how many seconds the position is to be told, None for not at all."""
        if not self._spots:
            return None
        if self._is_paused or self._is_over:  # the end is told within its lead
            return None
        return max(0.0, self._told_at + TELL_EVERY_S - now)

    def _forget_passed(self, now: float) -> None:
        position = self._pace.position(now)
        while len(self._spots) > 1 and self._spots[1].start_s <= position:
            self._spots.popleft()

    # how much of it

    def _stride(self, source: Footage, gop: StoredGop) -> int:
        """Return of how many GOPs from this one on one key frame is enough, 0 for all pictures."""
        if self._speed < KEYS_FROM:
            return 0
        if self._delivery.is_converting:
            return 1  # each picture costs the more
        shown_s = gop.duration / source.video.timescale / float(self._speed)
        is_small = gop.size * 8 <= MAX_BITS_PER_S * shown_s
        if is_small and float(self._speed) <= MAX_PICTURES_PER_S * self._picture_s:
            return 0
        needed_s = self._key_bytes * 8 / MAX_BITS_PER_S
        return max(1, math.ceil(min(needed_s, KEY_EVERY_S) / shown_s))
