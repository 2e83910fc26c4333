"""What the calls need of the rest, as small Protocols; app.py passes what has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from h5sup.auth.guard import Guard
from h5sup.auth.login import Logins
from h5sup.auth.sessions import Sessions
from h5sup.bus.channel import Channel, ChannelState
from h5sup.config.model import SourceConfig


class Feed(Protocol):
    """One input of a source."""

    @property
    def channel(self) -> Channel:
        """What it carries now."""


class Source(Protocol):
    """One source as GetSrc shows it."""

    @property
    def config(self) -> SourceConfig:
        """As the operator wrote it, password included."""

    @property
    def from_file(self) -> bool:
        """Whether it stands in config.json."""

    @property
    def is_online(self) -> bool:
        """Whether its main input gives pictures."""

    @property
    def state(self) -> ChannelState:
        """How its main input fares."""

    @property
    def viewers(self) -> int:
        """How many hold it open, see sources."""

    @property
    def main(self) -> Feed:
        """Its main input."""


class Sources(Protocol):
    """All sources."""

    def sources(self) -> Sequence[Source]:
        """Return them in the order they were added."""

    def get(self, token: str) -> Source:
        """Return one; raises NotFoundError."""

    async def add(self, config: SourceConfig) -> None:
        """Add, keep and start one; raises ConflictError, ConfigError."""

    async def delete(self, token: str) -> None:
        """Stop and forget one; raises NotFoundError, ConflictError."""


class Pictures(Protocol):
    """The newest picture of each source."""

    async def jpeg(self, token: str) -> bytes | None:
        """Return it as JPEG, None before the first frame; raises NotFoundError."""


class Connections(Protocol):
    """An output that counts who is connected."""

    @property
    def connections(self) -> int:
        """How many are connected now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemFacts:
    """What never changes while the process runs."""

    version: str
    host_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything the calls use."""

    guard: Guard
    logins: Logins
    sessions: Sessions
    sources: Sources
    pictures: Pictures
    ws_viewers: Connections
    rtc_viewers: Connections
    system: SystemFacts
    loading_image: bytes
    """What GetImage answers before the first frame, a JPEG."""


SERVICES = web.AppKey("SERVICES", Services)
