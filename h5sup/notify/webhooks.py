"""Events posted to addresses of the operator's choice, signed, in order, tried again.

A body is signed with HMAC-SHA256 over the timestamp, a dot and the body, with a new timestamp
for each try, so that a receiver can refuse what is old.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp

from h5sup import __version__
from h5sup.config.model import WebhookConfig
from h5sup.events.event import Event
from h5sup.events.hub import Hub, Subscription
from h5sup.events.wire import encode, name_of
from h5sup.notify.work import Work

TIMEOUT_S = 10.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
TRIES = 8  # two minutes, not counting the time-outs; then the next event has its turn
TRY_LATER = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)

logger = logging.getLogger(__name__)


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """Return what X-H5sup-Signature holds."""
    message = f"{timestamp}.".encode() + body
    return "sha256=" + hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


class RefusedError(Exception):
    """A delivery that did not arrive; `is_final` when trying again is of no use."""

    def __init__(self, sentence: str, *, is_final: bool) -> None:
        super().__init__(sentence)
        self.is_final = is_final


class Webhook:
    """One address. `run()` is called once, as a task; cancel it to stop."""

    def __init__(
        self,
        config: WebhookConfig,
        subscription: Subscription,
        http: aiohttp.ClientSession,
        *,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self.delivered = 0
        self.given_up = 0
        self._config = config
        self._subscription = subscription
        self._http = http
        self._first_pause_s = first_pause_s
        # of the address the log shows the server alone: with many services the rest is a secret
        parts = urlsplit(config.url)
        self._name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._lost = 0

    async def run(self) -> None:
        """Deliver event after event, in order."""
        while True:
            event = await self._subscription.next()
            self._note_losses()
            await self._deliver(event)

    async def _deliver(self, event: Event) -> None:
        """Try until it has arrived, is refused for good, or has been tried often enough."""
        pause_s = self._first_pause_s
        for left in reversed(range(TRIES)):
            try:
                await self._post(event)
            except RefusedError as error:
                if error.is_final or not left:
                    self.given_up += 1
                    logger.warning("webhook %s: %s; %s is given up", self._name, error, event.uuid)
                    return
                logger.info("webhook %s: %s; next try in %g s", self._name, error, pause_s)
            else:
                self.delivered += 1
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _post(self, event: Event) -> None:
        """Post once; raises RefusedError. What the receiver says beyond its status is not read."""
        body = encode(event).encode()
        timestamp = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "X-H5sup-Event": name_of(event),
            "X-H5sup-Timestamp": str(timestamp),
            "X-H5sup-Signature": sign(self._config.secret, timestamp, body),
        }
        try:
            async with self._http.post(
                self._config.url, data=body, headers=headers, allow_redirects=False
            ) as response:
                _check_status(response.status)
        except TimeoutError:
            raise RefusedError(f"no answer within {TIMEOUT_S:g} s", is_final=False) from None
        except aiohttp.ClientConnectorError as error:  # its words name no more than the server
            raise RefusedError(str(error), is_final=False) from error
        except (aiohttp.ClientError, OSError) as error:
            raise RefusedError(type(error).__name__, is_final=False) from error

    def _note_losses(self) -> None:
        lost = self._subscription.dropped - self._lost
        if lost:
            self._lost += lost
            logger.warning("webhook %s is too slow: %d events were lost", self._name, lost)


class Webhooks:
    """All webhooks; `start()` and `close()` from the event loop."""

    def __init__(self, configs: Iterable[WebhookConfig], hub: Hub) -> None:
        self._configs = tuple(configs)
        self._hub = hub
        self.hooks: list[Webhook] = []
        """Those at work, in the order of config.json."""
        self._http: aiohttp.ClientSession | None = None
        self._subscriptions: list[Subscription] = []
        self._work = Work()

    def start(self) -> None:
        """Begin to listen and to deliver."""
        if not self._configs:
            return
        self._http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"h5sup/{__version__}"},
        )
        for config in self._configs:
            subscription = self._hub.subscribe(_wants(config))
            self._subscriptions.append(subscription)
            hook = Webhook(config, subscription, self._http)
            self.hooks.append(hook)
            self._work.start(hook.run(), "webhook")

    async def close(self) -> None:
        """Stop now; what is not delivered is lost."""
        for subscription in self._subscriptions:
            subscription.close()
        await self._work.close()
        if self._http is not None:
            await self._http.close()


def _wants(config: WebhookConfig) -> Callable[[Event], bool]:
    names = config.events
    return lambda event: not names or name_of(event) in names


def _check_status(status: int) -> None:
    """Raise RefusedError unless it was taken."""
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return
    if status < HTTPStatus.BAD_REQUEST:
        raise RefusedError(f"it redirects ({status}): give the address it leads to", is_final=True)
    may_come = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in TRY_LATER
    raise RefusedError(f"it answered {status}", is_final=not may_come)
