"""What an ONVIF camera notices: motion and inputs, by a PullPoint subscription (Core §9.1).

The camera holds each question until something happens, so that it is told at once and costs
nothing meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yarl import URL

from h5sup.devices.model import DeviceError, DeviceFailure
from h5sup.devices.onvif.camera import Camera
from h5sup.devices.onvif.messages import MAX_URL, path_of
from h5sup.devices.onvif.topics import MESSAGES, Kind, Notice, read_notices

PULL_S = 20  # routers forget connections that are silent for longer
LIFE_S = 60  # of a subscription that nobody renews
RENEW_S = 25.0
SHORTEST_PULL_S = 0.2  # a camera that has much to tell has us ask no faster
IDLE_PULL_S = 1.0  # one that answers at once though it has nothing to tell
MAX_STATES = 32  # what one camera can have: inputs, and rules that see motion
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 120.0
LACKING_PAUSE_S = 1800.0  # of a camera that says it tells none: it may be starting, or be updated
BRIEF_S = 5.0  # what only happens, such as a line that is crossed, counts for so long
MOTION: tuple[Kind, str] = ("motion", "")  # of one camera it is all one, whichever rule sees it


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something that a camera sees begin or end."""

    kind: Kind
    source: str
    """Which input; empty for motion, and where the camera has but one."""
    is_on: bool


@dataclass(frozen=True, slots=True)
class Subscription:
    """Where a camera keeps what it has noticed for us."""

    place: URL
    to: str
    """What the camera calls that place: behind a router that is another address."""
    headers: Sequence[Any]
    """What the camera wants back with each question (WS-Addressing 1.0 §2.1)."""


class OnvifEvents:
    """Listens to one camera. `run()` is called once, as a task; cancel it to stop."""

    def __init__(
        self,
        camera: Camera,
        tell: Callable[[Noticed], None],
        logger: logging.Logger,
        *,
        first_pause_s: float = FIRST_PAUSE_S,
        renew_s: float = RENEW_S,
        brief_s: float = BRIEF_S,
        lacking_pause_s: float = LACKING_PAUSE_S,
    ) -> None:
        """Take whom to tell of each change."""
        self._camera = camera
        self._tell = tell
        self._logger = logger
        self._first_pause_s = first_pause_s
        self._renew_s = renew_s
        self._brief_s = brief_s
        self._lacking_pause_s = lacking_pause_s
        self._states: dict[Notice, bool] = {}
        """What each rule and each input says now."""
        self._told: dict[tuple[Kind, str], bool] = {}
        self._ends: dict[Notice, asyncio.TimerHandle] = {}
        self._last_sentence = ""
        self._is_lacking = False

    async def run(self) -> None:
        """Listen until cancelled."""
        try:
            await self._run()
        finally:
            self._drop_ends()

    async def _run(self) -> None:
        pause_s = self._first_pause_s
        while True:
            loop = asyncio.get_running_loop()
            began = loop.time()
            try:
                await self._listen()
            except DeviceError as error:
                self._forget_states()
                if error.failure is DeviceFailure.UNSUPPORTED:
                    if not self._is_lacking:
                        self._logger.info("the camera tells no events")
                    self._is_lacking = True
                    await asyncio.sleep(self._lacking_pause_s)
                    self._camera.forget()  # what it has may be another by now
                    continue
                self._note(str(error))
            else:
                continue
            if loop.time() - began > LONGEST_PAUSE_S:
                pause_s = self._first_pause_s
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _listen(self) -> None:
        """Subscribe and hear what there is, until the camera fails. Raises DeviceError.

        Returns for another subscription where the camera won't renew this one.
        """
        given = {"InitialTerminationTime": f"PT{LIFE_S}S"}
        answer = await self._camera.ask("events", "CreatePullPointSubscription", given)
        camera = self._camera
        subscription = read_subscription(answer, camera.address.at, camera.place_of("events"))
        self._note("")
        try:
            await self._hear(subscription)
        except asyncio.CancelledError:
            await self._leave(subscription)
            raise
        await self._leave(subscription)

    async def _hear(self, subscription: Subscription) -> None:
        loop = asyncio.get_running_loop()
        renewed = loop.time()
        given = {"Timeout": f"PT{PULL_S}S", "MessageLimit": MESSAGES}
        while True:
            began = loop.time()
            answer = await self._ask("pullpoint", "PullMessages", subscription, given, PULL_S)
            notices = read_notices(answer)
            self._take(notices)
            now = loop.time()
            if now - renewed >= self._renew_s:
                if not await self._renew(subscription):
                    return
                renewed = now
            pause_s = SHORTEST_PULL_S if notices else IDLE_PULL_S
            await asyncio.sleep(max(0.0, pause_s - (now - began)))

    async def _renew(self, subscription: Subscription) -> bool:
        """Have it live on; returns whether the camera does that. Raises DeviceError."""
        try:
            life = {"TerminationTime": f"PT{LIFE_S}S"}
            await self._ask("subscription", "Renew", subscription, life)
        except DeviceError as error:
            if error.failure not in (DeviceFailure.UNSUPPORTED, DeviceFailure.NOT_UNDERSTOOD):
                raise
            return False
        return True

    async def _leave(self, subscription: Subscription) -> None:
        """Give the camera its place back: small ones have few. It is no matter if that fails."""
        try:
            async with asyncio.timeout(1.0):
                await self._ask("subscription", "Unsubscribe", subscription, {})
        except (DeviceError, TimeoutError) as error:
            self._logger.debug("the camera did not let go: %s", error)

    async def _ask(
        self,
        service: str,
        operation: str,
        subscription: Subscription,
        given: Mapping[str, Any],
        more_s: float = 0.0,
    ) -> Any:
        return await self._camera.ask(
            service,
            operation,
            given,
            place=subscription.place,
            to=subscription.to,
            headers=subscription.headers,
            more_s=more_s,
        )

    def _take(self, notices: Sequence[tuple[Notice, bool]]) -> None:
        """Tell what has changed, of each only how it is now."""
        for notice, is_on in dict(notices).items():
            if notice not in self._states and len(self._states) >= MAX_STATES:
                continue
            self._states[notice] = is_on
            if notice.is_brief:
                self._end_later(notice)
        self._tell_changes()

    def _end_later(self, notice: Notice) -> None:
        before = self._ends.pop(notice, None)
        if before is not None:
            before.cancel()
        loop = asyncio.get_running_loop()
        self._ends[notice] = loop.call_later(self._brief_s, self._end, notice)

    def _end(self, notice: Notice) -> None:
        del self._ends[notice]
        del self._states[notice]
        self._tell_changes()

    def _tell_changes(self) -> None:
        """Tell what is not as it was told: motion lasts as long as any rule sees some."""
        now = dict.fromkeys(self._told, False)
        for notice, is_on in self._states.items():
            key = MOTION if notice.kind == "motion" else (notice.kind, notice.source)
            now[key] = now.get(key, False) or is_on
        before, self._told = self._told, now
        for (kind, source), is_on in now.items():
            if is_on != before.get((kind, source), False):
                self._tell(Noticed(kind, source, is_on))

    def _forget_states(self) -> None:
        """Tell the end of what can't be seen any more."""
        self._states.clear()
        self._drop_ends()
        self._tell_changes()
        self._told.clear()

    def _drop_ends(self) -> None:
        for end in self._ends.values():
            end.cancel()
        self._ends.clear()

    def _note(self, sentence: str) -> None:
        """Log what is wrong once, and that it is right again."""
        if sentence and sentence != self._last_sentence:
            self._logger.warning("its events are not heard: %s", sentence)
        elif self._last_sentence and not sentence:
            self._logger.info("its events are heard again")
        self._last_sentence = sentence


def read_subscription(answer: Any, at: Callable[[str], URL], otherwise: URL) -> Subscription:
    """Return where CreatePullPointSubscription has put us; raises DeviceError.

    Some cameras tell no address there, or one that nothing can be sent to (`urn:uuid:...`): those
    are asked at `otherwise`, the events service.
    """
    reference = answer.get("SubscriptionReference") if isinstance(answer, Mapping) else None
    if not isinstance(reference, Mapping):
        raise DeviceError(
            DeviceFailure.NOT_UNDERSTOOD, "the camera does not say where its events are"
        )
    address = reference.get("Address")
    told = address.get("_value_1") if isinstance(address, Mapping) else address
    told = told.strip() if isinstance(told, str) else ""
    to = told if len(told) <= MAX_URL and told.isascii() and told.isprintable() else ""
    place = at(path_of(told)) if told.lower().startswith("http") else otherwise
    parameters = reference.get("ReferenceParameters")
    headers = parameters.get("_value_1") if isinstance(parameters, Mapping) else None
    listed = headers if isinstance(headers, list) else []
    return Subscription(place, to, [one for one in listed if hasattr(one, "tag")][:8])
