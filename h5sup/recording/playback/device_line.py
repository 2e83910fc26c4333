"""The way to what a recorder plays: by a relay of ours while that works, else straight by ffmpeg.

Whatever a recorder does not do as the relay needs it costs the way of before and no more: of what
failed once nothing is tried again in the same playback.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from h5sup.base.errors import Failure, SourceError
from h5sup.devices.model import MediaAddress
from h5sup.devices.rtsp.connection import ANSWER_S
from h5sup.devices.rtsp.relay import Relay
from h5sup.devices.rtsp.showing import Showing
from h5sup.ffmpeg.media import Input

FASTEST_SCALE = 16
SESSION_FIRST_S = 2.5  # to the first picture after a jump in the same session
# Nobody gets farther than the relay did; a login above all is tried once.
FINAL = frozenset(
    {
        Failure.WRONG_PASSWORD,
        Failure.NOT_FOUND,
        Failure.REFUSED,
        Failure.UNREACHABLE,
        Failure.UNKNOWN_HOST,
    }
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opening:
    """What one ffmpeg reads."""

    source: Input
    find_begin: Callable[[], int | None]
    """When its first picture was taken, known once that has come; None: as it was asked for."""
    first_s: float
    """So long it may take."""


class DeviceLine:
    """Owned by a DeviceReel, which calls one method at a time, and `close()` last."""

    def __init__(self, name: str, *, first_s: float) -> None:
        """Take what the log calls it, and how long the first picture may take."""
        self._name = name
        self._first_s = first_s
        self._relay = Relay(answer_s=ANSWER_S)
        self._turn: asyncio.Task[Showing] | None = None
        self._is_relayed = self._may_go_to = self._may_pause = self._may_scale = True
        self._has_worked = False
        self._is_in_session = False
        self._is_lost = False  # whether it has paused nobody knows

    @property
    def is_quick(self) -> bool:
        """Return whether a jump costs the device next to nothing."""
        return self._is_relayed and self._may_go_to and self._relay.can_go_to

    @property
    def is_paused(self) -> bool:
        """Return whether the device sends nothing and keeps the place."""
        return self._relay.is_paused

    def find_scale(self, speed: float) -> int:
        """Return how many times as fast the device should send for a speed."""
        scale = 1
        while self._is_relayed and self._may_scale and scale < min(speed, FASTEST_SCALE):
            scale *= 2
        return scale

    async def read(self, address: MediaAddress, at_us: int, scale: int) -> Opening:
        """Return where what begins at a moment is read; raises SourceError if nobody can.

        One that is cancelled is waited for by the next: the device is in the midst of something.
        """
        if self._turn is not None and not self._turn.done():
            await asyncio.gather(asyncio.shield(self._turn), return_exceptions=True)
        self._is_in_session = self.is_quick
        if self._is_in_session:
            try:
                return self._opened(await self._take_turn(self._relay.go_to(at_us, scale)), scale)
            except SourceError as error:
                logger.info("%s: it is asked anew for each jump: %s", self._name, error)
                self._may_go_to = self._is_in_session = False
        if self._is_relayed:
            try:
                return self._opened(
                    await self._take_turn(self._relay.open(address, at_us, scale)), scale
                )
            except SourceError as error:
                await self._relay.close()
                if error.failure in FINAL:
                    raise
                self._give_up(error)
        source = Input(
            kind="rtsp",
            url=address.url,
            transport="tcp",
            user=address.user,
            password=address.password,
        )
        return Opening(source, lambda: None, self._first_s)

    async def retry(self, failure: SourceError) -> bool:
        """Return whether another way is left after a reading without a single picture."""
        await self._relay.close()
        if self._is_in_session:
            logger.info("%s: it is asked anew for each jump: %s", self._name, failure)
            self._may_go_to = self._is_in_session = False
            return True
        if self._has_worked or not self._is_relayed:
            return False
        self._give_up(failure)
        return True

    def note_worked(self) -> None:
        """Note that pictures have come."""
        self._has_worked = self._is_relayed

    async def pause(self) -> None:
        """Have the device send nothing, if it can."""
        if not self._is_relayed or not self._may_pause:
            return
        try:
            await self._relay.pause()
        except SourceError as error:
            logger.info("%s: it is held up in place of a pause: %s", self._name, error)
            self._may_pause = False
            self._is_lost = error.failure in (Failure.NO_ANSWER, Failure.CLOSED)

    async def wake(self) -> bool:
        """Go on after a pause; return False where what reads must be opened anew."""
        is_lost, self._is_lost = self._is_lost, False
        if is_lost:
            await self._relay.close()
            return False
        if not self._relay.is_paused:
            return True
        try:
            await self._relay.resume()
        except SourceError as error:
            logger.info("%s: it is asked anew after a pause: %s", self._name, error)
            await self._relay.close()
            return False
        return True

    async def close(self) -> None:
        """Let go of the device, whatever it is in the midst of; read() may open it again."""
        if self._turn is not None:
            self._turn.cancel()
            await asyncio.gather(self._turn, return_exceptions=True)
        await self._relay.close()

    async def _take_turn(self, work: Awaitable[Showing]) -> Showing:
        async def run() -> Showing:
            return await work

        self._turn = asyncio.create_task(run(), name="device playback relay")
        return await asyncio.shield(self._turn)

    def _opened(self, showing: Showing, scale: int) -> Opening:
        if scale > 1 and showing.scale <= 1:
            logger.info("%s: it sends no faster than it recorded", self._name)
            self._may_scale = False
        source = Input(
            kind="rtsp",
            url=showing.url,
            transport="tcp",
            is_relayed=True,
            is_described=showing.is_described,
        )
        first_s = min(self._first_s, SESSION_FIRST_S) if self._is_in_session else self._first_s
        return Opening(source, lambda: showing.begin_us, first_s)

    def _give_up(self, failure: SourceError) -> None:
        logger.warning(
            "%s: it is read without a pause, jump and speed of its own: %s", self._name, failure
        )
        self._is_relayed = False
