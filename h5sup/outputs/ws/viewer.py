"""One viewer's socket: written to directly, never waited for."""

from __future__ import annotations

import asyncio
import os
import socket
from enum import Enum
from typing import TYPE_CHECKING

from h5sup.outputs.ws import wire

if TYPE_CHECKING:
    from h5sup.outputs.ws.fanout import Fanout

TCP_NOTSENT_LOWAT = 25  # linux/tcp.h; Python has no name for it before 3.13
NOTSENT_BYTES = 65_536  # else the kernel swallows 4 MB before a slow viewer shows
FAREWELL_S = 2.0  # for the close frame to leave


class Flow(Enum):
    """What a viewer is given now."""

    WAITING = "waiting"  # for a key frame to start with
    PLAYING = "playing"
    BEHIND = "behind"  # slow: nothing until its buffer has drained and a key frame comes


class Viewer:
    """Owned by the handler of its request, played to by a Fanout."""

    __slots__ = ("_fd", "_transport", "behind_since", "fanout", "flow", "held", "joined_at")

    def __init__(self, transport: asyncio.Transport) -> None:
        tcp: socket.socket = transport.get_extra_info("socket")
        tcp.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_BYTES)
        self._transport = transport
        # What leaves through TLS must pass the transport; plain sockets are written to directly.
        self._fd = -1 if transport.get_extra_info("ssl_object") else tcp.fileno()
        self.fanout: Fanout | None = None
        self.flow = Flow.WAITING
        self.behind_since = 0.0
        self.held: tuple[int, int] = (0, 0)
        """Where this viewer's video and audio ended when it fell behind, on its own timeline."""
        self.joined_at = asyncio.get_running_loop().time()

    @property
    def is_gone(self) -> bool:
        """Return whether nothing can be sent any more."""
        return self._transport.is_closing()

    @property
    def unsent_bytes(self) -> int:
        """Return what the kernel has not taken yet."""
        return self._transport.get_write_buffer_size()

    def send(self, data: bytearray) -> None:
        """Write one or more whole frames; `data` may be changed when this returns."""
        transport = self._transport
        if transport.is_closing():  # its descriptor may belong to another by now
            return
        if self._fd < 0 or transport.get_write_buffer_size():
            transport.write(bytes(data))
            return
        try:
            sent = os.write(self._fd, data)
        except BlockingIOError:
            sent = 0
        except OSError:
            transport.abort()
            return
        if sent < len(data):
            with memoryview(data) as view:
                transport.write(bytes(view[sent:]))

    def dismiss(self, code: int, reason: str) -> None:
        """Say why and close; a viewer that does not take the words is cut off."""
        if self._transport.is_closing():
            return
        self.send(wire.close_frame(code, reason))
        self._transport.close()
        asyncio.get_running_loop().call_later(FAREWELL_S, self._transport.abort)

    def cut_off(self) -> None:
        """Drop the connection with what is unsent."""
        self._transport.abort()
