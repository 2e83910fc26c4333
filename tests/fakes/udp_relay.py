"""A UDP port on the loopback that hands datagrams on, except those it is told to lose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self


class UdpRelay(asyncio.DatagramProtocol):
    """Forwards from `port` to `target`; use it in `async with`.

    `loses` is asked for every datagram, with how many came before it.
    """

    def __init__(self, target: int, loses: Callable[[int, bytes], bool]) -> None:
        self.port = 0
        self.lost = 0
        self._count = 0
        self._target = target
        self._loses = loses
        self._transport: asyncio.DatagramTransport | None = None
        self._closed = asyncio.Event()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._transport is not None
        self._transport.close()
        await self._closed.wait()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Hand the datagram on, or lose it."""
        assert self._transport is not None
        count, self._count = self._count, self._count + 1
        if self._loses(count, data):
            self.lost += 1
        else:
            self._transport.sendto(data, ("127.0.0.1", self._target))

    def connection_lost(self, exc: Exception | None) -> None:
        """Learn that the port is closed."""
        self._closed.set()
