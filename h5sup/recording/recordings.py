"""Every recording of every source: what configuration, API and broker ask of them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Protocol

from h5sup.base.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from h5sup.base.tasks import end_tasks, start_task
from h5sup.config.model import RecordingConfig, SourceConfig
from h5sup.events.hub import Hub
from h5sup.formats.isobmff.stored import StoredMovie
from h5sup.recording.gaps import Ledger
from h5sup.recording.names import build_name, build_path, check_name
from h5sup.recording.orders import OrderBook, OrderStore
from h5sup.recording.recorder import Channels, Recorder, Studio, close_all
from h5sup.recording.recording import KIND, Form, Order, Recording, Volume
from h5sup.recording.tape import Desk
from h5sup.store.media_index import MediaIndex

THREADS = 8  # a disk that hangs holds one for each file
MOST_PER_SOURCE = 16  # beside what runs always or by hours
TICK_S = 1.0
FIRST_PICTURE_S = 2.0  # an answer waits so long to tell whether it records
CLOSE_TIMEOUT_S = 10.0

logger = logging.getLogger(__name__)


class Source(Protocol):
    """One source."""

    @property
    def config(self) -> SourceConfig:
        """As the operator wrote it."""


class Sources(Channels, Protocol):
    """All sources."""

    def opened(self) -> Sequence[Source]:
        """Return them, but for channels of recorders that nobody has named yet."""

    def get(self, token: str) -> Source:
        """Return one; raises NotFoundError."""

    def on_change(self, follower: Callable[[], None]) -> None:
        """Have this called whenever a source was added, changed or deleted."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What a call began, or found running."""

    name: str
    path: str
    """Of its first file, below mediastore."""
    sentence: str


@dataclass(frozen=True, slots=True)
class Moment:
    """A path as PathRecord names it."""

    at: datetime
    zone: tzinfo | None
    """The server's own for None."""


class Recordings:
    """Owned by the RecordingService. `start()` once the sources are there, `close()` before them.

    Methods named by an API call raise what it answers: InvalidError, NotFoundError, ConflictError,
    UnavailableError.
    """

    def __init__(
        self,
        settings: RecordingConfig,
        sources: Sources,
        index: MediaIndex,
        volume: Volume,
        hub: Hub,
        store: OrderStore,
        root: Path,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._sources = sources
        self._index = index
        self._volume = volume
        self._wall = wall
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="h5sup-record")
        self._ledger = Ledger(index)
        self._studio = Studio(
            settings=settings,
            channels=sources,
            desk=Desk(root, self._threads, volume.require, index),
            volume=volume,
            hub=hub,
            ledger=self._ledger,
            wall=wall,
            monotonic=monotonic,
        )
        self._recorders: dict[str, Recorder] = {}
        self._orders = OrderBook(store, wall, self._end_now)
        self._starting = asyncio.Lock()
        self._look = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Record what is to be, and go on with what ran when h5sup stopped."""
        await self._ledger.start()
        self._sources.on_change(self._reconcile)
        self._reconcile()
        for order in await self._orders.load():
            with suppress(NotFoundError):
                self._sources.get(order.token)  # a channel of a recorder is opened by that
            recorder = self._recorders.get(order.token)
            if recorder is None:
                self._orders.forget(order)
            else:
                self._place(recorder, order)
        for recorder in self._recorders.values():
            await recorder.tick(self._local())
        self._drop_foreign_gaps()
        self._watching = start_task(self._watch(), "recordings")

    async def close(self) -> None:
        """Write what is there and close all files."""
        await end_tasks(self._watching)
        await close_all(self._recorders.values(), "the server stops", CLOSE_TIMEOUT_S)
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await self._orders.close()
        await self._ledger.close()
        self._threads.shutdown(wait=False)  # a disk that hangs would hold up the end

    @property
    def recorders(self) -> Sequence[Recorder]:
        """Return one for each source, for their figures."""
        return tuple(self._recorders.values())

    def find_growing(self, path: str) -> StoredMovie | None:
        """Return what a file that is being recorded holds or soon will, by its path."""
        for recorder in self._recorders.values():
            for recording in recorder.recordings:
                for tape in recording.tapes:
                    if tape.path == path:
                        return tape.movie
        return None

    def is_recording(self, token: str) -> bool:
        """Return whether pictures of the source go to the disk."""
        recorder = self._recorders.get(token)
        return recorder is not None and recorder.running > 0

    def has_manual(self, token: str) -> bool:
        """Return whether a recording that was begun by hand runs, or waits for pictures."""
        recorder = self._recorders.get(token)
        return recorder is not None and _find_single(recorder) is not None

    # calls

    async def record(self, token: str, duration_s: float, name: str = "") -> Begun:
        """Record for so long."""
        async with self._starting:
            recording = await self._begin(token, "timed", duration_s, name)
        return await self._first_answer(recording)

    async def start_manual(
        self, token: str, *, always_create: bool = False, limit_s: float | None = None
    ) -> Begun:
        """Record until stop_manual(); one that runs is answered unless `always_create`."""
        form: Form = "extra" if always_create else "single"
        async with self._starting:
            running = None if always_create else _find_single(self._get(token))
            if running is not None:
                return _answer(running, "this recording runs already")
            recording = await self._begin(token, form, limit_s or self._settings.manual_max_s)
        return await self._first_answer(recording)

    async def stop_manual(self, token: str, name: str = "") -> str:
        """End the recording of this name, or the one that was begun by hand; say how it went."""
        recorder = self._get(token)
        recording = _find_named(recorder, name) if name else _find_single(recorder)
        if recording is None:
            what = f"no recording {name!r}" if name else "no recording that was begun by hand"
            raise NotFoundError(f"{what} of source {token!r} runs")
        has_begun = recording.started.is_set()
        self._orders.forget(recording.order)
        recorder.end(recording, "it was stopped")
        await recording.wait_closed(CLOSE_TIMEOUT_S)  # who looks for the file finds it whole
        if not has_begun:
            return "the recording is called off: there was no picture yet"
        return "the recording is stopped"

    async def record_path(
        self,
        token: str,
        moment: Moment,
        duration_s: float,
        name: str,
        *,
        always_create: bool = False,
    ) -> Begun:
        """Record to a path for so long, or lengthen the recording that runs there."""
        recorder = self._get(token)
        path = build_path(KIND, token, moment.at, check_name("filename", name, KIND), moment.zone)
        async with self._starting:
            running = next((one for one in recorder.recordings if one.order.path == path), None)
            if running is not None and not always_create:
                self._check_duration("duration", duration_s)
                most_s = self._settings.manual_max_s
                await self._orders.lengthen(running, duration_s, most_s)
                return _answer(running, f"this recording goes on for {duration_s:g} s more")
            recording = await self._begin(token, "path", duration_s, name, path)
        return await self._first_answer(recording)

    # how they begin and end

    async def _begin(
        self, token: str, form: Form, duration_s: float, name: str = "", path: str = ""
    ) -> Recording:
        """Begin a recording. One after another, so that no name is taken twice."""
        recorder = self._get(token)
        is_timed = form in ("timed", "path")
        self._check_duration("duration" if is_timed else "limittime", duration_s)
        filename = check_name("filename", name, KIND) if name else build_name(KIND, token)
        await self._check_room(recorder, filename, path)
        now = datetime.fromtimestamp(self._wall(), UTC)
        order = Order(
            token=token,
            trigger="manual",
            form=form,
            name=filename,
            path=path or build_path(KIND, token, now, filename),
            ends_us=round((self._wall() + duration_s) * 1e6),
        )
        await self._orders.keep(order)
        recording = self._place(recorder, order)
        if recording is None:
            raise NotFoundError("there is no source with this token")
        return recording

    def _place(self, recorder: Recorder, order: Order) -> Recording | None:
        """Add a recording that ends by itself; None when its source was deleted meanwhile."""
        if self._recorders.get(order.token) is not recorder:
            self._orders.forget(order)
            return None
        recording = recorder.add(order)
        self._orders.time(recording)
        return recording

    async def _check_room(self, recorder: Recorder, filename: str, path: str) -> None:
        refusal = self._volume.refusal()
        if refusal:
            raise UnavailableError(refusal)
        running = [one for one in recorder.recordings if not one.is_cut]
        if len(running) >= MOST_PER_SOURCE:
            raise UnavailableError(
                f"{MOST_PER_SOURCE} recordings of source {recorder.token!r} run already: stop one"
            )
        is_taken = recorder.has_name(filename)
        is_taken |= bool(await self._index.find_recording(KIND, recorder.token, filename))
        is_taken |= bool(path and await self._index.find_path(path))
        if is_taken:
            raise ConflictError(f"there is a recording {filename!r} already: choose another name")

    async def _first_answer(self, recording: Recording) -> Begun:
        """Wait a moment for the first picture, to say whether there is one."""
        try:
            async with asyncio.timeout(FIRST_PICTURE_S):
                await recording.started.wait()
        except TimeoutError:
            reason = self._sources.find_channel(recording.order.token).state.reason
            why = reason or "the source has no picture yet"
            return _answer(recording, f"recording starts with the first picture: {why}")
        return _answer(recording, "recording has started")

    def _check_duration(self, name: str, duration_s: float) -> None:
        most_s = self._settings.manual_max_s
        if not 1 <= duration_s <= most_s:
            raise InvalidError(
                name, f"must be 1 to {most_s} seconds (recording.manual_max_s in config.json)"
            )

    def _end_now(self, recording: Recording) -> None:
        """End a recording whose time is over."""
        self._orders.forget(recording.order)
        recorder = self._recorders.get(recording.order.token)
        if recorder is not None:
            recorder.end(recording, "its time is over")

    # sources that come, change and go

    def _get(self, token: str) -> Recorder:
        self._sources.get(token)
        if token not in self._recorders:
            raise UnavailableError("the server is starting: try again in a moment")
        return self._recorders[token]

    def _reconcile(self) -> None:
        """Have one recorder for each source. When told alone: a change takes it away first."""
        present = {source.config.token: source.config for source in self._sources.opened()}
        for token in self._recorders.keys() - present.keys():
            self._retire(self._recorders.pop(token))
        for token, config in present.items():
            if token not in self._recorders:
                self._recorders[token] = Recorder(config, self._studio)
            elif self._recorders[token].config is not config:
                self._recorders[token].update(config)
        self._look.set()

    def _retire(self, recorder: Recorder) -> None:
        """End what runs of a source that was deleted."""
        for recording in recorder.recordings:
            if not recording.is_cut:
                self._orders.forget(recording.order)
        task = asyncio.create_task(
            recorder.close("the source was deleted", for_good=True), name="retire recorder"
        )
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _watch(self) -> None:
        """Follow the sources and the clock."""
        while True:
            self._look.clear()
            local = self._local()
            for recorder in list(self._recorders.values()):
                await recorder.tick(local)
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._look.wait()

    def _local(self) -> datetime:
        return datetime.fromtimestamp(self._wall(), UTC).astimezone()

    def _drop_foreign_gaps(self) -> None:
        """End gaps of what is no longer to be recorded."""
        for token in self._ledger.tokens():
            recorder = self._recorders.get(token)
            if recorder is None or not recorder.recordings:
                self._ledger.end(token, round(self._wall() * 1e6))


def _answer(recording: Recording, sentence: str) -> Begun:
    return Begun(recording.name, recording.order.path, sentence)


def _find_single(recorder: Recorder) -> Recording | None:
    return next((one for one in recorder.recordings if one.order.form == "single"), None)


def _find_named(recorder: Recorder, name: str) -> Recording | None:
    names = (name, f"{name}.mp4")
    return next((one for one in recorder.recordings if not one.is_cut and one.name in names), None)
