"""What WebRTC needs of the sources, and all it knows of them."""

from __future__ import annotations

from typing import Protocol

from h5sup.bus.channel import Channel
from h5sup.bus.packet_ring import PacketRing


class Lease(Protocol):
    """A channel held open."""

    async def ready(self, timeout_s: float) -> Channel:
        """Return the channel once it can be played; raises UnavailableError."""

    def opus(self) -> PacketRing:
        """Have Opus made of the sound that ready()'s channel carries, until release()."""

    def release(self) -> None:
        """Let the source stop when nobody else holds it; twice is harmless."""


class Leases(Protocol):
    """Who gives leases."""

    def lease(
        self, token: str, *, profile: str = "main", hevc: bool = False, b_frames: bool = True
    ) -> Lease:
        """Hold a channel open; raises NotFoundError, UnavailableError."""
