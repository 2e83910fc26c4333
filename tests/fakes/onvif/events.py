"""The fake camera's events: PullPoint subscriptions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from aiohttp import web

from tests.fakes.onvif.soap import NAMESPACES, FaultError

if TYPE_CHECKING:
    from tests.fakes.onvif_camera import OnvifCamera

SUBSCRIPTION = "/onvif/Subscription"


class EventService:
    """Tells what the camera notices to whoever has subscribed."""

    def __init__(self, camera: OnvifCamera) -> None:
        self._camera = camera
        self._news: list[str] = []
        self._has_news = asyncio.Event()
        self._live: set[str] = set()

    def tell(self, topic: str, name: str, value: str, operation: str = "Changed") -> None:
        """Have an event: a topic such as `tns1:VideoSource/MotionAlarm`, and its value."""
        self._news.append(
            f'<wsnt:NotificationMessage><wsnt:Topic Dialect="{NAMESPACES["tev"]}">{topic}'
            f'</wsnt:Topic><wsnt:Message><tt:Message UtcTime="{self._now}" '
            f'PropertyOperation="{operation}"><tt:Source>'
            '<tt:SimpleItem Name="Source" Value="in1"/></tt:Source>'
            f'<tt:Data><tt:SimpleItem Name="{name}" Value="{value}"/></tt:Data>'
            "</tt:Message></wsnt:Message></wsnt:NotificationMessage>"
        )
        self._has_news.set()

    def drop_subscriptions(self) -> None:
        """Forget who listens, as a camera does that was switched off."""
        self._live.clear()
        self.wake()

    def wake(self) -> None:
        """Answer whoever waits for something to tell."""
        self._has_news.set()

    @property
    def has_news(self) -> bool:
        """Return whether there is something to tell."""
        return bool(self._news)

    @property
    def listeners(self) -> int:
        """Return how many subscriptions it has now."""
        return len(self._live)

    @property
    def _now(self) -> str:
        between = "-" if self._camera.writes_odd_dates else "T"
        return f"{self._camera.clock:%Y-%m-%d}{between}{self._camera.clock:%H:%M:%SZ}"

    def on_create_pull_point_subscription(
        self, call: ElementTree.Element, request: web.Request
    ) -> str:
        self._camera.subscriptions += 1
        name = f"sub{self._camera.subscriptions}"
        self._live.add(name)
        now = self._now
        told = self._camera.subscription_address
        address = f"{self._camera.base}{SUBSCRIPTION}?id={name}" if told is None else told
        return (
            "<tev:CreatePullPointSubscriptionResponse><tev:SubscriptionReference><wsa:Address>"
            f"{address}</wsa:Address></tev:SubscriptionReference>"
            f"<wsnt:CurrentTime>{now}</wsnt:CurrentTime><wsnt:TerminationTime>{now}"
            "</wsnt:TerminationTime></tev:CreatePullPointSubscriptionResponse>"
        )

    async def on_pull_messages(self, call: ElementTree.Element, request: web.Request) -> str:
        self._check_subscription(request)
        if not self._news:
            self._has_news.clear()
            try:
                async with asyncio.timeout(self._camera.hold_s):
                    await self._has_news.wait()
            except TimeoutError:
                pass
        self._check_subscription(request)
        news, self._news = "".join(self._news), []
        now = self._now
        return (
            f"<tev:PullMessagesResponse><tev:CurrentTime>{now}</tev:CurrentTime>"
            f"<tev:TerminationTime>{now}</tev:TerminationTime>{news}</tev:PullMessagesResponse>"
        )

    def on_renew(self, call: ElementTree.Element, request: web.Request) -> str:
        self._check_subscription(request)
        self._camera.renewals += 1
        now = self._now
        return (
            f"<wsnt:RenewResponse><wsnt:TerminationTime>{now}</wsnt:TerminationTime>"
            f"<wsnt:CurrentTime>{now}</wsnt:CurrentTime></wsnt:RenewResponse>"
        )

    def on_unsubscribe(self, call: ElementTree.Element, request: web.Request) -> str:
        self._check_subscription(request)
        self._live.discard(request.query.get("id") or max(self._live))
        return "<wsnt:UnsubscribeResponse/>"

    def _check_subscription(self, request: web.Request) -> None:
        name = request.query.get("id")
        is_by_service = name is None and self._camera.subscription_address is not None
        if name not in self._live and not (is_by_service and self._live):
            raise FaultError("wsnt:ResourceUnknownFault", "no such subscription")
