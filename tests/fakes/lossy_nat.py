"""A router on the loopback that loses packets of media on their way, in both directions.

Each who sends to `port` gets a socket of its own towards the server, as behind a NAT.
"""

from __future__ import annotations

import asyncio
import random
import socket
from types import TracebackType
from typing import Self

MEDIA = range(128, 192)  # RFC 7983 §7: RTP and RTCP; connectivity checks and DTLS always arrive
DATAGRAM_BYTES = 2048


class LossyNat:
    """Stands before a server's UDP port; use it in `async with`."""

    def __init__(self, target: int, loss: float, *, seed: int = 1) -> None:
        self.loss = loss
        self.passed = 0
        self.lost = 0
        self._target = ("127.0.0.1", target)
        self._random = random.Random(seed)
        self._loop = asyncio.get_running_loop()
        self._inside = _bind()
        self._outside: dict[tuple[str, int], socket.socket] = {}

    @property
    def port(self) -> int:
        """Return where to send to."""
        return int(self._inside.getsockname()[1])

    async def __aenter__(self) -> Self:
        self._loop.add_reader(self._inside, self._from_inside)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for one in (self._inside, *self._outside.values()):
            self._loop.remove_reader(one)
            one.close()

    def _from_inside(self) -> None:
        for data, sender in _read(self._inside):
            if sender not in self._outside:
                one = self._outside[sender] = _bind()
                self._loop.add_reader(one, self._from_outside, one, sender)
            if self._passes(data):
                self._outside[sender].sendto(data, self._target)

    def _from_outside(self, one: socket.socket, receiver: tuple[str, int]) -> None:
        for data, _ in _read(one):
            if self._passes(data):
                self._inside.sendto(data, receiver)

    def _passes(self, data: bytes) -> bool:
        if data and data[0] in MEDIA and self._random.random() < self.loss:
            self.lost += 1
            return False
        self.passed += 1
        return True


def _bind() -> socket.socket:
    bound = socket.socket(type=socket.SOCK_DGRAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    bound.setblocking(False)
    bound.bind(("127.0.0.1", 0))
    return bound


def _read(one: socket.socket) -> list[tuple[bytes, tuple[str, int]]]:
    found = []
    while True:
        try:
            found.append(one.recvfrom(DATAGRAM_BYTES))
        except BlockingIOError:
            return found
        except ConnectionRefusedError:
            continue
