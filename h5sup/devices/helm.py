"""One camera that is moved: one command after another, the newest wins, nothing for ever."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from h5sup.base.errors import H5supError, UnavailableError
from h5sup.base.tasks import report_crash
from h5sup.devices.model import STILL_AFTER_S, DeviceError, DeviceFailure, Motion, Steerable

T = TypeVar("T")

MAX_WAITING = 8  # each takes up to DEVICE_TIMEOUT_S
RETRY_S = 0.3  # before a stop that failed is sent once more
CLOSE_S = 5.0  # for the last stop when the server ends
# what was refused for these is refused again, and nothing has moved
HOPELESS = frozenset(
    {
        DeviceFailure.WRONG_PASSWORD,
        DeviceFailure.LOCKED_OUT,
        DeviceFailure.CLOCK,
        DeviceFailure.NO_LOGIN,
        DeviceFailure.CERTIFICATE,
        DeviceFailure.UNSUPPORTED,
    }
)
UNTOUCHED = HOPELESS | {DeviceFailure.UNREACHABLE}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done; `drop` tells who waits for it that it won't be."""

    do: Callable[[], Awaitable[None]]
    drop: Callable[[], None]


class Helm:
    """Moves one camera. Used from the event loop alone; `close()` must follow.

    A motion that nobody repeats is stopped after `still_after_s`. Of motions that wait the newest
    alone is carried out; what is no motion waits in a short queue behind them. A task lives as
    long as there is something to do or something moves.
    """

    def __init__(
        self, name: str, *, still_after_s: float = STILL_AFTER_S, retry_s: float = RETRY_S
    ) -> None:
        self._name = name
        self._still_after_s = still_after_s
        self._retry_s = retry_s
        self._newest: Order | None = None
        self._waiting: deque[Order] = deque()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._mover: Steerable | None = None
        """What moves the camera now, and alone knows how to stop that."""
        self._axes: frozenset[str] = frozenset()
        self._deadline_s = float("inf")
        self._is_closed = False

    @property
    def is_moving(self) -> bool:
        """Return whether the camera moves, as far as is known."""
        return self._mover is not None

    async def move(self, steerable: Steerable, motion: Motion) -> bool:
        """Replace what moves by this; False says that a newer command took its place.

        Raises DeviceError, UnavailableError.
        """
        return await self._steer(lambda: self._move(steerable, motion))

    async def stop(self, steerable: Steerable) -> bool:
        """Stand still; as move()."""
        return await self._steer(lambda: self._stop(steerable))

    async def go_to(self, steerable: Steerable, preset: str) -> bool:
        """Turn to a place; as move()."""
        return await self._steer(lambda: self._go_to(steerable, preset))

    async def queue(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do what is no motion in its turn; raises what it raises, and UnavailableError."""
        if len(self._waiting) >= MAX_WAITING:
            raise UnavailableError(f"{MAX_WAITING} commands wait for this camera: try again soon")
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        order = Order(lambda: _carry_out(work, outcome), lambda: _abandon(outcome))
        self._waiting.append(order)
        self._wake()
        return await outcome

    async def close(self) -> None:
        """Do nothing more, and stop what moves."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._drop_all()
        if self._mover is None:
            return
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._halt(self._mover)
        except (DeviceError, TimeoutError) as error:
            reason = str(error) or f"no answer within {CLOSE_S:g} s"
            logger.warning("%s may still move: %s", self._name, reason)

    async def _steer(self, work: Callable[[], Awaitable[None]]) -> bool:
        outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        async def steer() -> bool:
            await work()
            return True

        overtaken, self._newest = (
            self._newest,
            Order(lambda: _carry_out(steer, outcome), lambda: _tell(outcome, result=False)),
        )
        if overtaken is not None:
            overtaken.drop()
        self._wake()
        return await outcome

    def _wake(self) -> None:
        if self._is_closed:
            self._drop_all()
        elif self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=f"steering {self._name}")
            self._task.add_done_callback(report_crash)
        else:
            self._news.set()

    def _drop_all(self) -> None:
        """Tell all who wait that nothing comes of it."""
        if self._newest is not None:
            self._newest.drop()
        for order in self._waiting:
            order.drop()
        self._newest = None
        self._waiting.clear()

    async def _run(self) -> None:
        while True:
            self._news.clear()
            now_s = asyncio.get_running_loop().time()
            if self._newest is not None:
                order, self._newest = self._newest, None
                await order.do()
            elif self._mover is not None and now_s >= self._deadline_s:
                await self._end_motion(self._mover)
            elif self._waiting:
                await self._waiting.popleft().do()
            elif self._mover is not None:
                await self._rest()
            else:
                return

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout_at(self._deadline_s):
                await self._news.wait()
        except TimeoutError:
            pass

    async def _end_motion(self, mover: Steerable) -> None:
        """Stop what nobody has stopped: its client may have died."""
        logger.warning("%s is stopped: nobody did within %g s", self._name, self._still_after_s)
        try:
            await self._halt(mover)
        except DeviceError as error:
            logger.error("%s may still move: %s", self._name, error)  # noqa: TRY400 (no bug)
            self._forget_motion()

    async def _move(self, steerable: Steerable, motion: Motion) -> None:
        axes = _axes_of(motion)
        mover = self._mover or steerable
        if not self._axes <= axes:  # cameras leave an axis alone that a command does not name
            await self._halt(mover)
            mover = steerable
        before_s, was_moving = self._deadline_s, self.is_moving
        # from the moment it is sent on: an answer that is lost does not say that nothing moves
        self._mover, self._axes = mover, axes
        self._deadline_s = asyncio.get_running_loop().time() + self._still_after_s
        try:
            await mover.move(motion)
        except DeviceError as error:
            if error.failure in UNTOUCHED:
                self._deadline_s = before_s
                if not was_moving:
                    self._forget_motion()
            raise

    async def _stop(self, steerable: Steerable) -> None:
        await self._halt(self._mover or steerable)

    async def _go_to(self, steerable: Steerable, preset: str) -> None:
        if self._mover is not None:
            await self._halt(self._mover)
        await steerable.go_to(preset)

    async def _halt(self, mover: Steerable) -> None:
        """Stop, and once more where that fails; raises DeviceError, and then it may still move."""
        try:
            await mover.stop()
        except DeviceError as error:
            if error.failure in HOPELESS:
                raise
            await asyncio.sleep(self._retry_s)
            await mover.stop()
        self._forget_motion()

    def _forget_motion(self) -> None:
        self._mover, self._axes, self._deadline_s = None, frozenset(), float("inf")


async def _carry_out(work: Callable[[], Awaitable[T]], outcome: asyncio.Future[T]) -> None:
    """Do it and tell whoever waits, unless they have gone meanwhile."""
    if outcome.done():
        return
    try:
        result = await work()
    except H5supError as error:
        if not outcome.done():
            outcome.set_exception(error)
    else:
        _tell(outcome, result=result)
    finally:
        _abandon(outcome)  # a bug, or the end of the server


def _tell(outcome: asyncio.Future[T], *, result: T) -> None:
    if not outcome.done():
        outcome.set_result(result)


def _abandon(outcome: asyncio.Future[T]) -> None:
    if not outcome.done():
        outcome.set_exception(UnavailableError("the camera is not steered any more"))


def _axes_of(motion: Motion) -> frozenset[str]:
    """Return what moves, by what cameras move together."""
    groups: dict[str, Sequence[float]] = {
        "place": (motion.pan, motion.tilt),
        "zoom": (motion.zoom,),
        "focus": (motion.focus,),
        "iris": (motion.iris,),
    }
    return frozenset(name for name, speeds in groups.items() if any(speeds))
