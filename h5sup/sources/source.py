"""One configured source: its inputs, what is derived from them, and who holds them open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from h5sup.base.errors import Failure, SourceError, UnavailableError
from h5sup.bus.channel import Channel, ChannelState
from h5sup.bus.packet_ring import PacketRing
from h5sup.config.model import SourceConfig
from h5sup.config.profile import Profile
from h5sup.devices.model import Steerable
from h5sup.devices.trust import Trust
from h5sup.events.hub import Hub
from h5sup.ffmpeg.media import Input
from h5sup.sources.attempts import DerivedAttempt, InputAttempt
from h5sup.sources.device import DeviceSource
from h5sup.sources.feed import Feed, Workshop, build_channel
from h5sup.sources.locate import locate_file, locate_network
from h5sup.sources.onvif import Cameras, OnvifSource
from h5sup.sources.presence import Presence
from h5sup.sources.rtsps import is_rtsps, judge
from h5sup.sources.sound import SoundFeed

FALLBACK_PROFILE = "h264_software"
DERIVED_RENEW_S = 4 * 3600.0  # ffmpeg's index of an endless feed grows by 0.6 GB a day
DERIVED_STALL_S = 20.0  # its parent's watchdog comes first and knows the reason


class Source:
    """A source and its feeds. Owned by the Registry."""

    def __init__(
        self,
        config: SourceConfig,
        workshop: Workshop,
        media_root: Path,
        hub: Hub,
        cameras: Cameras,
        trust: Trust,
        *,
        from_file: bool,
        link: DeviceSource | None = None,
    ) -> None:
        """Take what is configured; `link` is the recorder of a channel."""
        self.config = config
        self.from_file = from_file
        """It stands in config.json, so the API can't delete it."""
        self._workshop = workshop
        self._media_root = media_root
        self._trust = trust
        always = config.connect != "ondemand"
        # whether a recorder has a channel's picture the recorder knows, not who watches it
        self._presence = Presence(config.token, hub) if link is None else None
        self.onvif = OnvifSource(config, cameras, hub) if config.type == "onvif" else None
        """The camera, where it is asked for its addresses."""
        self._link = link
        self._guide: OnvifSource | DeviceSource | None = link or self.onvif
        self.main = self._build_input(
            "main",
            config.url,
            always=always,
            on_state=self._presence.note if self._presence else lambda _: None,
        )
        # a second stream is for those who ask for it: nobody records or snapshots it
        self.sub = (
            self._build_input("sub", config.sub.url, always=False)
            if config.sub.url or self._guide is not None
            else None
        )
        self._derived: dict[tuple[str, str], Feed] = {}
        self._sounds: dict[Channel, SoundFeed] = {}

    @property
    def state(self) -> ChannelState:
        """Return how the main input fares."""
        state = self.main.channel.state
        return self._link.state(state) if self._link is not None else state

    @property
    def note(self) -> str:
        """Return why viewers get another picture than the camera's, or nothing."""
        tracks, own = self.main.tracks, self.own_profile()
        if tracks is None or own.video.encoder != "copy":
            return ""
        if not tracks.browser_playable:
            return f"it sends {tracks.video.codec}, which is transcoded for browsers"
        if tracks.video.has_b_frames:
            return "it sends B-frames, so WebRTC viewers get it transcoded: switch them off there"
        return ""

    @property
    def has_sub(self) -> bool:
        """Return whether it has a second, smaller picture, as far as is known."""
        return self._guide.has_sub if self._guide is not None else self.sub is not None

    @property
    def steering(self) -> Steerable | None:
        """Return what moves its camera, None where nothing can."""
        return self._guide.steering if self._guide is not None else None

    @property
    def can_move(self) -> bool:
        """Return whether its camera moves, as far as is known."""
        return self._guide is not None and self._guide.can_move

    @property
    def is_online(self) -> bool:
        """Return whether the main input gives pictures, or would if somebody watched."""
        state = self.main.channel.state.state
        if self._link is not None and state in ("STOPPED", "STARTING"):
            return self._link.is_online
        return state == "RUNNING"

    @property
    def feeds(self) -> list[Feed]:
        """Return all feeds, running or not."""
        inputs = [self.main] if self.sub is None else [self.main, self.sub]
        return [*inputs, *self._derived.values()]

    @property
    def viewers(self) -> int:
        """Return how many hold its inputs open: viewers, and HLS playlists that are asked for."""
        return sum(feed.watchers for feed in (self.main, self.sub) if feed is not None)

    def start(self) -> None:
        """Start what always runs."""
        if self.onvif is not None:
            self.onvif.start()
        if self.main.always:
            self.main.start()

    async def aclose(self, reason: str) -> None:
        """Stop everything; viewers are dismissed with the reason."""
        if self._presence is not None:
            self._presence.close(reason)
        leaving = asyncio.create_task(self._leave_camera(), name=f"leave {self.config.token}")
        await asyncio.gather(*(sound.aclose() for sound in self._sounds.values()))
        derived = list(self._derived.values())
        await asyncio.gather(*(feed.aclose(reason) for feed in derived))
        inputs = [feed for feed in self.feeds if feed not in derived]
        await asyncio.gather(*(feed.aclose(reason) for feed in inputs), leaving)

    async def _leave_camera(self) -> None:
        """Listen to it no longer, which takes a second when it does not answer."""
        if self.onvif is not None:
            await self.onvif.aclose()

    def input_feed(self, profile: str) -> Feed:
        """Return the input a viewer's `profile=` means."""
        if profile != "sub" or self.sub is None:
            return self.main
        if self._guide is not None and not self._guide.may_have_sub:
            return self.main
        return self.sub

    def derived(self, parent: Feed, profile_name: str) -> Feed:
        """Return the feed that makes `profile_name` of an input, shared by all who need it."""
        key = (parent.channel.input_name, profile_name)
        if key not in self._derived:
            profile = self._workshop.profiles[profile_name]
            channel = build_channel(
                self.config.token, parent.channel.input_name, profile_name, self._workshop.limits
            )
            self._derived[key] = Feed(
                channel,
                lambda feed: DerivedAttempt(feed, self._workshop, parent, profile),
                self._workshop,
                always=False,
                stall_timeout_s=DERIVED_STALL_S,
                renew_after_s=DERIVED_RENEW_S,
            )
        return self._derived[key]

    def sound(self, channel: Channel) -> SoundFeed:
        """Return the feed that makes Opus of a channel's sound, shared by all who listen."""
        if channel not in self._sounds:
            self._sounds[channel] = SoundFeed(channel, self._workshop)
        return self._sounds[channel]

    def own_profile(self) -> Profile:
        """Return what the input's own ffmpeg does; `auto` copies and derives where need be."""
        name = self.config.profile
        return self._workshop.profiles["copy" if name == "auto" else name]

    def profile_for(
        self, parent: Feed, wanted: str, *, hevc: bool, b_frames: bool = True
    ) -> str | None:
        """Return the profile to derive for a viewer, or None where the input itself will do.

        Raises UnavailableError where the source's profile forbids it.
        """
        own = self.own_profile()
        if wanted in self._workshop.profiles and wanted not in ("copy", own.name):
            return wanted
        tracks = parent.tracks
        if own.video.encoder != "copy" or tracks is None:
            return None
        bars_b_frames = not b_frames and tracks.video.has_b_frames
        is_taken = tracks.browser_playable or (hevc and tracks.video.codec == "hevc")
        if is_taken and not bars_b_frames:
            return None
        if self.config.profile == "copy":
            what = "B-frames" if is_taken else tracks.video.codec
            raise UnavailableError(
                f"source {self.config.token!r} sends {what}, which this player "
                "can't take, and its profile 'copy' forbids to transcode it"
            )
        return FALLBACK_PROFILE

    def _build_input(
        self,
        name: str,
        url: str,
        *,
        always: bool,
        on_state: Callable[[ChannelState], None] = lambda _: None,
    ) -> Feed:
        channel = build_channel(
            self.config.token, name, self.own_profile().name, self._workshop.limits
        )
        speed = self.config.playback_speed if self.config.playback and name == "main" else None
        return Feed(
            channel,
            lambda feed: InputAttempt(
                feed,
                self._workshop,
                self._locator(name, url),
                self.own_profile(),
                audio=self.config.audio and speed in (None, 1.0),  # frames can't last otherwise
                speed=speed,
            ),
            self._workshop,
            always=always,
            stall_timeout_s=self.config.stall_timeout_s,
            plays_once=speed is not None,
            secrets=self._secrets(url),
            on_state=self._follower(name, on_state),
        )

    def _secrets(self, url: str) -> tuple[str, ...]:
        if self.config.type == "file":
            return ()
        login = self.config if self._link is None else self._link.device.config
        return Input(kind="rtsp", url=url, user=login.user, password=login.password).secrets

    def _follower(
        self, name: str, on_state: Callable[[ChannelState], None]
    ) -> Callable[[ChannelState], None]:
        """Return what hears of an input's state: the camera learns which addresses are good."""
        guide, link = self._guide, self._link
        if guide is None:
            return on_state
        refusals = 0

        def follow(state: ChannelState) -> None:
            nonlocal refusals
            if state.state == "RUNNING":
                guide.worked(name)
            elif state.state == "BACKOFF" and link is not None:
                feed = self.sub if name == "sub" else self.main
                before, refusals = refusals, feed.restarts[Failure.WRONG_PASSWORD] if feed else 0
                if refusals > before:
                    link.refused(state.reason)
            on_state(state)

        return follow

    def _locator(self, name: str, url: str) -> Callable[[], Awaitable[Input]]:
        """Return what finds an input before each attempt."""
        guide = self._guide

        async def locate() -> Input:
            found = await (guide.locate(name) if guide else asyncio.to_thread(self._locate, url))
            if is_rtsps(found):
                await judge(found, self._trust, self.config)
            return found

        return locate

    def _locate(self, url: str) -> Input:
        if self.config.type == "file":
            path = locate_file(self._media_root, url)
            if not path.is_file():
                raise SourceError(
                    Failure.NOT_FOUND, f"there is no file {url!r} in the media folder"
                )
            return Input(kind="file", url=str(path))
        return locate_network(self.config, url)


class Lease:
    """A hold on a source. `release()` must follow; twice is harmless.

    A quiet one keeps the source running and does not have its media published any sooner than
    while nobody watches: recordings lose nothing by a quarter of a second.
    """

    def __init__(
        self,
        source: Source,
        wanted: str,
        *,
        hevc: bool,
        b_frames: bool,
        transcodes: Transcodes,
        quiet: bool = False,
    ) -> None:
        self._source = source
        self._wanted = wanted
        self._hevc = hevc
        self._b_frames = b_frames
        self._quiet = quiet
        self._transcodes = transcodes
        self._input = source.input_feed(wanted)
        self._derived: Feed | None = None
        self._sound: SoundFeed | None = None
        self._released = False
        self._input.hold(quiet=quiet)

    @property
    def ts_folder(self) -> Path | None:
        """Return where the HLS v1 segments lie; None before ready() or where HLS v1 is off."""
        return (self._derived or self._input).ts_folder

    async def ready(self, timeout_s: float) -> Channel:
        """Return the channel that suits the viewer, with its init segment known.

        Raises UnavailableError with the reason when it can't be had in time.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        await self._input.wait_tracks(timeout_s)
        profile = self._source.profile_for(
            self._input, self._wanted, hevc=self._hevc, b_frames=self._b_frames
        )
        if profile is not None and self._derived is None and not self._released:
            feed = self._source.derived(self._input, profile)
            self._transcodes.admit(feed)
            feed.hold(quiet=self._quiet)
            self._derived = feed
        channel = (self._derived or self._input).channel
        await channel.wait_ready(deadline - loop.time())
        return channel

    def opus(self) -> PacketRing:
        """Have Opus made of the sound that ready()'s channel carries, until release()."""
        if self._sound is None:
            self._sound = self._source.sound((self._derived or self._input).channel)
            self._sound.hold()
        return self._sound.ring

    def catch_up(self) -> None:
        """Have what has come so far published now."""
        (self._derived or self._input).catch_up()

    def release(self) -> None:
        """Let go."""
        if not self._released:
            self._released = True
            if self._sound is not None:
                self._sound.release()
            self._input.release(quiet=self._quiet)
            if self._derived is not None:
                self._derived.release(quiet=self._quiet)


class Conversion(Protocol):
    """Something that may convert pictures now."""

    @property
    def is_running(self) -> bool:
        """Whether it does."""


class Transcodes:
    """What converts pictures, feeds and playbacks, bounded by limits.transcodes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running: set[Conversion] = set()

    def admit(self, job: Conversion) -> None:
        """Count it in; raises UnavailableError when too many run."""
        self._running = {one for one in self._running if one.is_running}
        if job not in self._running and len(self._running) >= self._limit:
            raise UnavailableError(
                f"all {self._limit} transcodes are in use (limits.transcodes in config.json)"
            )
        self._running.add(job)
