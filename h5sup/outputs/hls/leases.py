"""What the HLS outputs need of the sources, and all they know of them."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from h5sup.bus.channel import Channel


class Lease(Protocol):
    """A channel held open."""

    @property
    def ts_folder(self) -> Path | None:
        """Return where the channel's ffmpeg writes MPEG-TS segments; known after ready()."""

    async def ready(self, timeout_s: float) -> Channel:
        """Return the channel once it can be played; raises UnavailableError."""

    def release(self) -> None:
        """Let the source stop when nobody else holds it; twice is harmless."""


class Leases(Protocol):
    """Who gives leases."""

    def lease(self, token: str, *, profile: str = "main", hevc: bool = False) -> Lease:
        """Hold a channel open; raises NotFoundError, UnavailableError."""
