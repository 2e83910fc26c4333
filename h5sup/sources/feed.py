"""One supervised ffmpeg that fills one channel: from a camera or file, or from another channel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from h5sup.base.errors import Failure, UnavailableError
from h5sup.base.logs import source_logger
from h5sup.bus.channel import Channel, ChannelState
from h5sup.bus.ingest import RESUME_S, Ingest
from h5sup.bus.packet_ring import PacketRing
from h5sup.config.model import HlsConfig, LimitsConfig
from h5sup.config.profile import Profile
from h5sup.ffmpeg.media import Tracks
from h5sup.ffmpeg.process import Launcher
from h5sup.ffmpeg.supervisor import Attempt, LogLine, State, Supervisor
from h5sup.ffmpeg.tools import Tools
from h5sup.sources.on_demand import OnDemand
from h5sup.sources.pipes import PipeReader

SOUND_RING_BYTES = 200_000  # what nobody takes is forgotten after some 500 packets anyway


@dataclass(frozen=True, slots=True)
class Workshop:
    """What every feed needs to run its ffmpeg."""

    tools: Tools
    launcher: Launcher
    profiles: dict[str, Profile]
    hls: HlsConfig
    limits: LimitsConfig
    ram: Path


class Feed:
    """Runs while it is wanted: always, or as long as someone holds it and a little longer.

    `start()` and `release()` come from the event loop; `aclose()` ends it for good.
    """

    def __init__(
        self,
        channel: Channel,
        make_attempt: Callable[[Feed], Attempt],
        workshop: Workshop,
        *,
        always: bool,
        stall_timeout_s: float,
        secrets: Iterable[str] = (),
        renew_after_s: float | None = None,
        on_state: Callable[[ChannelState], None] = lambda _: None,
        plays_once: bool = False,
    ) -> None:
        self.channel = channel
        self.ingest = Ingest(channel)
        self.tracks: Tracks | None = None
        """What the probe found; kept so that a restart needs none."""
        self.ts_folder: Path | None = None
        """Where this feed's ffmpeg writes HLS segments, once it is known to do so."""
        self._place = ""
        self._tell_state = on_state
        self._known: asyncio.Event = asyncio.Event()
        self._expiry: asyncio.TimerHandle | None = None
        self._reader: PipeReader | None = None
        self._watchers = 0
        self._supervisor = Supervisor(
            f"{channel.token}/{channel.input_name}/{channel.profile}",
            lambda: make_attempt(self),
            workshop.launcher,
            stall_timeout_s=stall_timeout_s,
            on_state=self._on_state,
            logger=source_logger(channel.token),
            secrets=secrets,
            renew_after_s=renew_after_s,
            plays_once=plays_once,
        )
        self._duty = OnDemand(
            self._supervisor.run,
            name=f"feed {channel.token}/{channel.input_name}",
            linger_s=workshop.limits.linger_s,
            always=always,
            on_idle=lambda: self._expire("nobody watches"),
        )

    @property
    def always(self) -> bool:
        """Return whether it runs without anyone watching."""
        return self._duty.always

    @property
    def watchers(self) -> int:
        """Return how many want its media as it comes: viewers, not recordings."""
        return self._watchers

    @property
    def is_running(self) -> bool:
        """Return whether its supervisor is at work."""
        return self._duty.is_running

    @property
    def pid(self) -> int | None:
        """Return its ffmpeg's process id, while one runs."""
        return self._supervisor.pid

    @property
    def restarts(self) -> Mapping[Failure, int]:
        """Return how often its ffmpeg failed, by cause."""
        return self._supervisor.restarts

    @property
    def log_lines(self) -> list[LogLine]:
        """Return what ffmpeg said last, without secrets."""
        return list(self._supervisor.log_lines)

    def start(self) -> None:
        """Run, if it does not run already."""
        self._duty.start()

    def hold(self, *, quiet: bool = False) -> None:
        """Run at least until the matching release().

        For all but the quiet media is published as it comes, and what has come so far now.
        """
        self._duty.hold()
        if not quiet:
            self._watchers += 1
            if self._watchers == 1 and self._reader is not None:
                self._reader.set_watched(True)

    def release(self, *, quiet: bool = False) -> None:
        """Stop a while after the last holder left, unless it always runs."""
        self._duty.release()
        if not quiet:
            self._watchers -= 1
            if self._watchers == 0 and self._reader is not None:
                self._reader.set_watched(False)

    def catch_up(self) -> None:
        """Publish now what has come so far."""
        if self._reader is not None:
            self._reader.take()

    def attach(self, reader: PipeReader | None) -> None:
        """Take the pipe of the present run, to have it read as it suits those who watch."""
        self._reader = reader
        if reader is not None:
            reader.set_watched(self._watchers > 0)

    async def aclose(self, reason: str) -> None:
        """Stop now; every viewer is dismissed with the reason."""
        await self._duty.aclose()
        if self._expiry is not None:
            self._expiry.cancel()
        self._expire(reason)

    def found(self, tracks: Tracks | None) -> None:
        """Note what the probe found, or that it must be asked again."""
        self.tracks = tracks
        if tracks is not None:
            self._known.set()

    def note_place(self, url: str) -> None:
        """Note where the input is now: what was found elsewhere says nothing about it."""
        if self._place not in ("", url):
            self.found(None)
        self._place = url

    async def wait_tracks(self, timeout_s: float) -> Tracks:
        """Return what the input holds; raises UnavailableError after the time."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.tracks is None:
                    self._known.clear()
                    await self._known.wait()
        except TimeoutError:
            state = self.channel.state
            raise UnavailableError(
                f"source {self.channel.token!r} has no picture yet: "
                f"{state.reason or 'it is starting'}"
            ) from None
        return self.tracks

    def _on_state(self, state: State, failure: Failure | None, reason: str) -> None:
        """Follow the supervisor: outputs and API read the channel's state."""
        self.channel.set_state(state.name, reason)
        self._tell_state(self.channel.state)
        if state is State.RUNNING:
            if self._expiry is not None:
                self._expiry.cancel()
                self._expiry = None
        elif state is State.BACKOFF and self._expiry is None:
            loop = asyncio.get_running_loop()
            self._expiry = loop.call_later(RESUME_S, self._expire, reason)
        elif state is State.STOPPED and reason:  # for good
            self._expire(reason)
        if failure in (Failure.NOT_MEDIA, Failure.NO_VIDEO, Failure.FFMPEG):
            self.found(None)  # the camera may send something else now

    def _expire(self, reason: str) -> None:
        """The source did not come back in time: whoever watches must start afresh."""
        self._expiry = None
        self.ingest.expire(reason)
        for ring in (self.channel.ring, self.channel.sound_ring):
            if ring is not None:
                ring.end(reason)


def build_channel(token: str, input_name: str, profile: str, limits: LimitsConfig) -> Channel:
    """Return an empty channel with its caches bounded as configured."""
    has_packets = limits.ring_bytes > 0
    return Channel(
        token,
        input_name,
        profile,
        gop_bytes=limits.gop_bytes,
        ring=PacketRing(limits.ring_bytes) if has_packets else None,
        sound_ring=PacketRing(SOUND_RING_BYTES) if has_packets else None,
    )
