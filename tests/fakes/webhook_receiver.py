"""A server that takes webhooks, on a real socket, and can misbehave in turn."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

WAIT_S = 20.0


@dataclass(frozen=True)
class Delivery:
    """One request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """Return what it says."""
        said: dict[str, Any] = json.loads(self.body)
        return said


@dataclass
class WebhookReceiver:
    """Use it in `async with`. `plan` is what it does with the next requests; then it takes all.

    A number answers with that status; `hang` never answers, `close` cuts the connection,
    `endless` answers 200 with a body that never ends.
    """

    plan: deque[int | str] = field(default_factory=deque)
    deliveries: list[Delivery] = field(default_factory=list)
    location: str = "/elsewhere"
    """Where it sends with a status of 3xx."""
    port: int = 0

    @property
    def url(self) -> str:
        """Return its address; what follows the host is a secret, as with many services."""
        return f"http://127.0.0.1:{self.port}/hooks/path-secret"

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition, looking often."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                await asyncio.sleep(0.005)

    async def until_taken(self, count: int) -> None:
        """Wait for so many requests in all."""
        await self.until(lambda: len(self.deliveries) >= count)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.deliveries.append(Delivery(request.path, dict(request.headers), body))
        does = self.plan.popleft() if self.plan else 200
        if does == "hang":
            await asyncio.Event().wait()
        if does == "close":
            assert request.transport is not None
            request.transport.abort()
        if does == "endless":
            return await self._answer_for_ever(request)
        status = does if isinstance(does, int) else 200
        headers = {"Location": self.location} if 300 <= status < 400 else {}
        return web.Response(status=status, headers=headers)

    async def _answer_for_ever(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b"x" * 65_536)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()
