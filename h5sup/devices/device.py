"""One recorder, asked again and again for its channels: what is known of it, and how it fares."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from h5sup.base.clock import utc_now
from h5sup.base.tasks import report_crash
from h5sup.config.model import DeviceConfig
from h5sup.devices.model import (
    DEVICE_TIMEOUT_S,
    DeviceChannel,
    DeviceError,
    DeviceFailure,
    MediaAddress,
    Recorder,
)
from h5sup.events.event import Offline, Online
from h5sup.events.hub import Hub

MAX_CHANNELS = 1024
MAX_DIGITS = 6
MAX_NUMBER = 10**MAX_DIGITS - 1
MAX_NAME_LETTERS = 128
SPREAD = 0.1  # so that a hundred recorders are not asked in the same second for ever
EVENTS_AT_ONCE = 32  # of one recorder; subscribers get a turn between, for their queues are short
LOST_PICTURE = "the recorder has no picture of this camera"
BUG = "the server failed on its answer: the server's log says why"
CONTROL = re.compile(r"[\x00-\x1f\x7f]+")

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often recorders are asked."""

    poll_s: float = 30.0
    confirm_s: float = 3.0
    """A change for the worse is looked at again after so long, before it is believed."""
    first_pause_s: float = 5.0
    longest_pause_s: float = 60.0
    locked_pause_s: float = 300.0
    answer_s: float = DEVICE_TIMEOUT_S + 5.0
    """No answer may take longer, whatever a Recorder promises."""


@dataclass(frozen=True, slots=True)
class DeviceState:
    """How a recorder fares."""

    is_online: bool = False
    reason: str = "it has not been asked yet"
    """Why it is offline; empty while it is online."""
    since: datetime = field(default_factory=utc_now)


class Device:
    """A recorder and its channels. Owned by Devices: `start()` once, `aclose()` last.

    After a refused password it is not asked any more, by nobody: whoever changes the password
    makes a new Device. A recorder or a channel that fails once is looked at again before it
    counts as offline, so nothing flaps.
    """

    def __init__(
        self,
        config: DeviceConfig,
        recorder: Recorder,
        hub: Hub,
        *,
        from_file: bool,
        gate: asyncio.Semaphore,
        pace: Pace,
        known: Iterable[DeviceChannel] = (),
        on_change: Callable[[Device], Awaitable[None]],
    ) -> None:
        """Take what to ask; `known` are the channels of an earlier run, `gate` bounds polls."""
        self.config = config
        self.from_file = from_file
        """It stands in config.json, so the API can't delete it."""
        self.recorder = recorder
        self.state = DeviceState()
        self._hub = hub
        self._gate = gate
        self._pace = pace
        self._on_change = on_change
        self._channels = {one.number: replace(one, is_online=False) for one in known}
        self._told: dict[str, bool] = {}
        self._refusal: DeviceError | None = None
        self._is_doubted = False
        self._failures = 0
        self._events = 0
        self._tried = asyncio.Event()
        self._soon = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    @property
    def channels(self) -> Sequence[DeviceChannel]:
        """Return its channels as it told them last, by number."""
        return tuple(self._channels.values())

    def find(self, number: int) -> DeviceChannel | None:
        """Return one channel, if there is such."""
        return self._channels.get(number)

    def start(self) -> None:
        """Ask from now on."""
        name = f"device {self.config.token}"
        self._following = asyncio.create_task(self._follow(), name=name)
        self._following.add_done_callback(report_crash)

    async def aclose(self, reason: str) -> None:
        """Ask no more; who heard that it is online hears the reason why it is not."""
        following, self._following = self._following, None
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        self.state = DeviceState(reason=reason)
        self._refusal = DeviceError(DeviceFailure.UNREACHABLE, reason)
        self._tried.set()
        for token in [token for token, is_online in self._told.items() if is_online]:
            await self._tell(token, is_online=False, reason=reason)
        await self.recorder.close()

    async def first_try(self, timeout_s: float) -> bool:
        """Wait until it was asked once; return False when that takes longer."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._tried.wait()
        except TimeoutError:
            return False
        return True

    async def ask(self, work: Callable[[Recorder], Awaitable[T]]) -> T:
        """Have it do something; raises DeviceError. What it refused it is not asked again."""
        self._check()
        try:
            async with asyncio.timeout(self._pace.answer_s):
                return await work(self.recorder)
        except TimeoutError:
            raise DeviceError(
                DeviceFailure.NO_ANSWER, f"{self.config.host} does not answer in time"
            ) from None
        except DeviceError as error:
            if error.failure is DeviceFailure.WRONG_PASSWORD:
                self._refusal = error
                self._soon.set()  # to say so
            raise

    async def live(self, number: int, *, sub: bool) -> MediaAddress:
        """Return where a channel's picture is had; raises DeviceError.

        Waits for the first answer, from which the ports are known.
        """
        self._check()
        await self.first_try(self._pace.answer_s)
        self._check()
        try:
            return self.recorder.live(number, sub=sub)
        except DeviceError as error:
            if self.state.is_online:
                raise
            raise DeviceError(error.failure, self.state.reason) from error
        finally:
            if not self.state.is_online:
                self._soon.set()  # somebody waits: is it back?

    def note_media_refused(self, reason: str) -> None:
        """Note that its RTSP has refused the login.

        While it is online that is asked about at once over its own protocol; else nothing tells
        that the password is right, and it is not tried again.
        """
        if not self.state.is_online and self._refusal is None:
            self._refusal = DeviceError(DeviceFailure.WRONG_PASSWORD, reason)
        self._soon.set()

    def _check(self) -> None:
        if self._refusal is not None:
            raise DeviceError(self._refusal.failure, str(self._refusal))

    async def _follow(self) -> None:
        while True:
            self._soon.clear()
            pause_s = await self._look()
            self._tried.set()
            if pause_s is None:
                logger.warning("device %s: %s", self.config.token, self.state.reason)
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s * random.uniform(1 - SPREAD, 1 + SPREAD)):  # noqa: S311 (no secret)
                    await self._soon.wait()

    async def _look(self) -> float | None:
        """Ask once; return how long to wait before the next time, None for ever."""
        try:
            async with self._gate:
                found = _tidy(await self.ask(lambda recorder: recorder.channels()))
        except DeviceError as error:
            return await self._note_failure(error)
        except Exception:  # a bug must not end this recorder's task: it is asked again
            logger.exception("device %s: unexpected error", self.config.token)
            return await self._note_failure(DeviceError(DeviceFailure.NOT_UNDERSTOOD, BUG))
        return await self._note_found(found)

    async def _note_failure(self, error: DeviceError) -> float | None:
        is_final = error.failure is DeviceFailure.WRONG_PASSWORD
        is_final |= error.failure is DeviceFailure.LOCKED_OUT
        if self.state.is_online and not self._is_doubted and not is_final:
            self._is_doubted = True
            return self._pace.confirm_s
        self._is_doubted = False
        was_known = self.config.token in self._told and not self.state.is_online
        if not was_known:
            logger.warning("device %s is offline: %s", self.config.token, error)
        self._enter(DeviceState(False, str(error)))
        await self._on_change(self)
        await self._tell(self.config.token, is_online=False, reason=str(error))
        for token in [token for token, is_online in self._told.items() if is_online]:
            await self._tell(token, is_online=False, reason=str(error))
        if error.failure is DeviceFailure.WRONG_PASSWORD:
            return None
        if error.failure is DeviceFailure.LOCKED_OUT:
            return self._pace.locked_pause_s
        self._failures += 1
        longest_s = self._pace.longest_pause_s
        return min(self._pace.first_pause_s * 2.0 ** min(self._failures - 1, 8), longest_s)

    async def _note_found(self, found: dict[int, DeviceChannel]) -> float:
        self._failures = 0
        if not self._is_doubted and self.state.is_online and self._is_worse(found):
            self._is_doubted = True
            return self._pace.confirm_s
        self._is_doubted = False
        if not self.state.is_online:
            logger.info("device %s is online, %d channels", self.config.token, len(found))
        has_changed = found != self._channels or not self.state.is_online
        self._channels = found
        self._enter(DeviceState(True, ""))
        if has_changed:
            await self._on_change(self)
        await self._tell(self.config.token, is_online=True)
        online = {
            channel_token(self.config.token, number): one.is_online
            for number, one in found.items()
        }
        for token in self._told.keys() - online.keys() - {self.config.token}:
            await self._tell(token, is_online=False, reason="the recorder lists it no more")
            del self._told[token]
        for token, is_online in online.items():
            await self._tell(token, is_online=is_online, reason=LOST_PICTURE)
        return self._pace.poll_s

    def _is_worse(self, found: dict[int, DeviceChannel]) -> bool:
        """Return whether a channel is gone or without its picture."""
        return any(
            one.number not in found or (one.is_online and not found[one.number].is_online)
            for one in self._channels.values()
        )

    def _enter(self, state: DeviceState) -> None:
        if (state.is_online, state.reason) != (self.state.is_online, self.state.reason):
            self.state = state

    async def _tell(self, token: str, *, is_online: bool, reason: str = "") -> None:
        """Say that the recorder or a channel comes or goes, once each."""
        if self._told.get(token) is is_online:
            return
        self._told[token] = is_online
        self._hub.tell(Online(token) if is_online else Offline(token, reason))
        self._events += 1
        if self._events % EVENTS_AT_ONCE == 0:
            await asyncio.sleep(0)


def channel_token(device: str, number: int) -> str:
    """Return the token of a channel as a source."""
    return f"{device}--{number}"


def split_token(token: str) -> tuple[str, int] | None:
    """Return a channel's device and number, None for what is no token of a channel."""
    device, dashes, digits = token.partition("--")
    if not dashes or not digits.isascii() or not digits.isdecimal() or len(digits) > MAX_DIGITS:
        return None
    number = int(digits)
    return (device, number) if str(number) == digits else None


def _tidy(told: Sequence[DeviceChannel]) -> dict[int, DeviceChannel]:
    """Return what may be true of what a recorder tells: numbers once each, names for people."""
    found: dict[int, DeviceChannel] = {}
    for one in told[:MAX_CHANNELS]:
        if 0 <= one.number <= MAX_NUMBER and one.number not in found:
            name = CONTROL.sub(" ", one.name).strip()[:MAX_NAME_LETTERS]
            found[one.number] = one if name == one.name else replace(one, name=name)
    return dict(sorted(found.items()))
