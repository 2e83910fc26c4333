"""Recordings of one source in pretended time: clips as fast as they can be written."""

from __future__ import annotations

import asyncio
import errno
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from h5sup.base.errors import NotFoundError, UnavailableError
from h5sup.bus.channel import Channel
from h5sup.bus.fragment import Fragment
from h5sup.bus.ingest import RESUME_S, Ingest
from h5sup.config.loading import parse_source
from h5sup.config.model import RecordingConfig, SourceConfig
from h5sup.events.event import Event, RecordStart, RecordStop
from h5sup.events.hub import Hub
from h5sup.formats.isobmff.fragment import parse_fragment
from h5sup.formats.isobmff.init_segment import InitSegment, parse_init
from h5sup.formats.isobmff.reader import SegmentReader
from h5sup.recording.recordings import Recordings
from h5sup.store.media_index import MediaIndex
from h5sup.store.media_records import Gap, StoredFile

TOKEN = "cam"
EPOCH_S = 1_795_600_000.0
FOR_EVER_US = 2**62
FLAGS = "frag_keyframe+empty_moov+default_base_moof+delay_moov"  # as h5sup.ffmpeg.command has them
WAIT_S = 10.0
T = TypeVar("T")


class Reel:
    """A clip as ffmpeg writes it into a channel: init segment and a fragment per picture."""

    def __init__(self, clip: Path, *options: str, slower: float = 1.0) -> None:
        argv = ["ffmpeg", "-v", "error", "-itsscale", str(slower), "-i", str(clip)]
        argv += ["-c", "copy", *options, "-f", "mp4"]
        argv += ["-movflags", FLAGS, "-frag_duration", "30000", "-use_editlist", "0", "pipe:1"]
        done = subprocess.run(argv, stdout=subprocess.PIPE, check=True, timeout=60)
        self.head, *self.fragments = SegmentReader().feed(done.stdout)
        self.init: InitSegment = parse_init(self.head)

    def timed(self) -> Iterator[tuple[bytes, float]]:
        """Yield each fragment and how long its pictures last."""
        for data in self.fragments:
            run = parse_fragment(data, self.init).video
            yield data, run.duration / run.track.timescale if run is not None else 0.0


@dataclass
class Taker:
    """A viewer that remembers what it was given."""

    taken: list[Fragment] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def on_fragment(self, fragment: Fragment) -> None:
        self.taken.append(fragment)

    def on_close(self, reason: str) -> None:
        self.closed.append(reason)


class Disk:
    """A volume that refuses when the test says so."""

    def __init__(self) -> None:
        self.why = ""
        self.failures: list[OSError] = []
        self.is_away = False

    def refusal(self) -> str:
        return self.why

    def note_failure(self, error: OSError) -> None:
        self.failures.append(error)
        self.why = "the disk is full"

    def require(self) -> None:
        if self.is_away:
            raise OSError(errno.ENODEV, "it is not mounted")


class Orders:
    """A store that lives as long as the test."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}

    async def recordings(self) -> list[dict[str, Any]]:
        return list(self.kept.values())

    async def save_recording(self, raw: Mapping[str, Any]) -> None:
        self.kept[raw["key"]] = dict(raw)

    async def delete_recording(self, key: str) -> None:
        self.kept.pop(key, None)


@dataclass
class Held:
    """A hold on the one source."""

    sources: OneSource
    is_released: bool = False

    async def ready(self, timeout_s: float) -> Channel:
        if self.sources.why_not:
            raise UnavailableError(self.sources.why_not)
        await self.sources.channel.wait_ready(timeout_s)
        return self.sources.channel

    def catch_up(self) -> None:
        self.sources.caught_up += 1
        in_pipe, self.sources.in_pipe = self.sources.in_pipe, lambda: None
        in_pipe()

    def release(self) -> None:
        self.is_released = True


class OneSource:
    """A registry of at most one source, whose channel the test fills."""

    def __init__(self, **settings: Any) -> None:
        self.config = configured(**settings)
        self.channel = Channel(TOKEN, "main", "copy", gop_bytes=8_000_000)
        self.leases: list[Held] = []
        self.quiet: set[bool] = set()
        self.caught_up = 0
        self.in_pipe: Callable[[], None] = lambda: None
        """What is published once somebody wants what has come so far."""
        self.why_not = ""
        self.is_gone = False
        self._followers: list[Callable[[], None]] = []

    def lease(self, token: str, *, hevc: bool, quiet: bool) -> Held:
        self.get(token)
        assert hevc
        assert quiet
        self.leases.append(Held(self))
        return self.leases[-1]

    @property
    def holders(self) -> int:
        return sum(not one.is_released for one in self.leases)

    def find_channel(self, token: str) -> Channel:
        return self.get(token).channel

    def opened(self) -> list[OneSource]:
        return [] if self.is_gone else [self]

    def get(self, token: str) -> OneSource:
        if self.is_gone or token != TOKEN:
            raise NotFoundError("there is no source with this token")
        return self

    def on_change(self, follower: Callable[[], None]) -> None:
        self._followers.append(follower)

    def change(self, **settings: Any) -> None:
        """Configure the source anew, as a reload does."""
        self.config = configured(**settings)
        self.tell()

    def tell(self) -> None:
        for follower in self._followers:
            follower()


def configured(**settings: Any) -> SourceConfig:
    return parse_source({"token": TOKEN, "type": "rtsp", "url": "rtsp://127.0.0.1:1/x"} | settings)


class Stage:
    """One source, its recordings, and time that passes as media is played."""

    def __init__(self, folder: Path, settings: RecordingConfig, sources: OneSource) -> None:
        self.root = folder / "mediastore"
        self.sources = sources
        self.disk = Disk()
        self.hub = Hub()
        self.told: list[Event] = []
        self.store = Orders()
        self.index = MediaIndex(folder)
        self.now_s = 100.0
        self.set_s = 0.0
        """How far the clock on the wall was set by hand."""
        self.settings = settings
        self.recordings = self._build()
        self._subscription = self.hub.subscribe(limit=10_000)
        self._ingest = Ingest(sources.channel)
        self._reel: Reel | None = None
        self._closed_at_s = 0.0

    def _build(self) -> Recordings:
        return Recordings(
            self.settings,
            self.sources,
            self.index,
            self.disk,
            self.hub,
            self.store,
            self.root,
            wall=self.wall_s,
            monotonic=lambda: self.now_s,
        )

    def wall_s(self) -> float:
        return EPOCH_S + self.now_s + self.set_s

    async def restart(self, *, away_s: float = 0.0) -> None:
        """Stop all and start it anew after a while."""
        await self.recordings.close()
        if self._reel is not None:
            await self.lose("the server stops", away_s)
        self.sources.channel.end("the server stops")
        self.sources.channel.set_state("STARTING", "")
        self.recordings = self._build()
        await self.recordings.start()

    async def play(
        self, reel: Reel, *, first: int = 0, count: int | None = None, waits: bool = True
    ) -> None:
        """Play some fragments of a reel, going on with it or beginning anew."""
        if reel is not self._reel:
            self.begin(reel)
        end = None if count is None else first + count
        for data, duration_s in list(reel.timed())[first:end]:
            self.now_s += duration_s
            self._ingest.feed(data, self.now_s)
            await asyncio.sleep(0)  # a GOP that waits for the disk shall not wait for the test
        if waits:
            await self.settle()

    def hold_back(self, reel: Reel, *, first: int, count: int) -> None:
        """Have some fragments wait in the pipe, as those of an idle source do."""

        def publish() -> None:
            for data, duration_s in list(reel.timed())[first : first + count]:
                self.now_s += duration_s
                self._ingest.feed(data, self.now_s)

        self.sources.in_pipe = publish

    async def while_playing(self, reel: Reel, call: Awaitable[T]) -> T:
        """Play 30 fragments if nothing has been played yet, and answer what a call answers."""
        if reel is not self._reel:
            await self.play(reel, count=30)
        return await call

    async def tick(self) -> None:
        """Have the recordings look at the clock."""
        for recorder in self.recordings.recorders:
            await recorder.tick(datetime.fromtimestamp(self.wall_s(), UTC).astimezone())
        await self.settle()

    def begin(self, reel: Reel) -> None:
        """Have the next fragments come from another process."""
        self._reel = reel
        self._ingest.open()
        self._ingest.feed(reel.head, self.now_s)

    async def lose(self, reason: str = "the camera did not answer", away_s: float = 10.0) -> None:
        """End the source's process, and wait so long before the next."""
        self._ingest.close(self.now_s)
        self._reel = None
        self.now_s += away_s
        if away_s > RESUME_S:
            self.sources.channel.set_state("BACKOFF", reason)
            self._ingest.expire(reason)
        await self.settle()

    async def settle(self) -> None:
        """Wait until nothing waits for the disk."""
        async with asyncio.timeout(WAIT_S):
            while any(one.queue.size_bytes for one in self.recordings.recorders):
                await asyncio.sleep(0.002)
        await asyncio.sleep(0.005)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition, looking often."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                await asyncio.sleep(0.002)

    async def files(self) -> list[StoredFile]:
        """Return what the index lists, in its order."""
        return await self.index.find_files("record", TOKEN, 0, FOR_EVER_US)

    async def closed_files(self) -> list[StoredFile]:
        """Return what the index lists, once nothing grows any more."""
        async with asyncio.timeout(WAIT_S):
            while any(one.is_growing for one in await self.files()):
                await asyncio.sleep(0.002)
        return await self.files()

    async def lasting_gaps(self) -> list[str]:
        """Return the causes of the gaps that last."""
        return [one.cause for one in await self.gaps() if one.end_us is None]

    async def gaps(self) -> list[Gap]:
        """Return the gaps, once the ledger has written them."""
        await asyncio.sleep(0.02)
        return await self.index.gaps.find(TOKEN, 0, FOR_EVER_US)

    def events(self) -> list[RecordStart | RecordStop]:
        """Return what has been told so far."""
        while len(self._subscription):
            self.told.append(self._subscription._events.popleft())
        return [one.what for one in self.told if isinstance(one.what, RecordStart | RecordStop)]

    def paths(self, files: Sequence[StoredFile]) -> list[Path]:
        return [self.root / one.path for one in files]


@asynccontextmanager
async def staged(
    folder: Path, *, source: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[Stage]:
    """Record one source; keywords are those of RecordingConfig, not checked for their range."""
    stage = Stage(folder, RecordingConfig(**settings), OneSource(**(source or {})))
    stage.root.mkdir()
    await stage.index.open()
    await stage.recordings.start()
    try:
        yield stage
    finally:
        await stage.recordings.close()
        await stage.index.close()
