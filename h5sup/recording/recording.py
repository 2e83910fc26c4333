"""One recording: who asked for it, how it goes from file to file, and what is told of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple, Protocol

from h5sup.base.errors import MediaFormatError
from h5sup.events.event import RecordStart, RecordStop
from h5sup.events.hub import Hub
from h5sup.recording.clock import JUMP_S
from h5sup.recording.gaps import DISK, LOST
from h5sup.recording.gop import Gop
from h5sup.recording.names import build_name, build_path
from h5sup.recording.tape import Desk, Queue, Tape
from h5sup.store.media_records import Kind, StoredFile, Trigger

KIND: Kind = "record"
Form = Literal["cut", "single", "extra", "timed", "path"]

logger = logging.getLogger(__name__)


class Volume(Protocol):
    """The disk that recordings go to."""

    def refusal(self) -> str:
        """Return why nothing may be written now; empty when it may."""

    def note_failure(self, error: OSError) -> None:
        """Learn that writing failed."""

    def require(self) -> None:
        """Raise OSError when the disk is away; for threads."""


class Miss(NamedTuple):
    """Why a GOP is not recorded."""

    cause: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be recorded."""

    token: str
    trigger: Trigger
    form: Form
    """`cut` runs always or by hours; a `single` one is what ManualRecordStart begins but once."""
    name: str = ""
    """By which it is played; those that are cut have a new one for each file."""
    path: str = ""
    """Of its first file."""
    ends_us: int = 0
    """When it ends by itself, on the wall's clock; 0 for never."""
    goes_on: bool = False
    """It was begun before a restart, and its first file is closed."""

    @property
    def key(self) -> str:
        """Return what tells it from all others."""
        return f"{self.token}/{self.name}"


class Recording:
    """Takes GOPs until `end()`. Owned by a Recorder; used from the event loop alone.

    What is cut goes on in a new file after `segment_s`. All others are one file for as long as
    the source sends the same, also over its outages, and further files of the same name after.
    """

    def __init__(
        self,
        order: Order,
        desk: Desk,
        queue: Queue,
        volume: Volume,
        hub: Hub,
        *,
        segment_s: int,
        on_failure: Callable[[int, Miss], None],
    ) -> None:
        self.order = order
        self.name = order.name or build_name(KIND, order.token)
        self.started = asyncio.Event()
        """It has, and perhaps stands still again."""
        self.is_active = False
        """Whether pictures go to the disk."""
        self._desk = desk
        self._queue = queue
        self._volume = volume
        self._hub = hub
        self._segment_s = segment_s
        self._on_failure = on_failure
        self._path = "" if order.goes_on else order.path
        self._tape: Tape | None = None
        self._tapes: list[Tape] = []

    @property
    def tapes(self) -> Sequence[Tape]:
        """Return those that may still be written."""
        return tuple(self._tapes)

    @property
    def is_over(self) -> bool:
        """Return whether nothing of it will be written any more."""
        return all(tape.is_over for tape in self._tapes)

    @property
    def is_cut(self) -> bool:
        """Return whether it goes on in a new file every so often."""
        return self.order.form == "cut"

    def begin(self) -> None:
        """Say that it runs, once."""
        if not self.is_active and not self._volume.refusal():
            self.is_active = True
            self.started.set()
            self._hub.tell(RecordStart(self.order.token, self.name, self.order.trigger))

    def take(self, gop: Gop) -> Miss | None:
        """Record a GOP, or return why not."""
        refusal = self._volume.refusal()
        if refusal:
            self._stop(refusal, keeps_file=False)
            self._queue.dropped_gops += 1
            return Miss(DISK, refusal)
        if self._tape is not None and (self._tape.is_over or self._must_cut(self._tape, gop)):
            self._put_away()
        if self._tape is None:
            try:
                self._tape = self._open(gop)
            except MediaFormatError as error:
                return Miss(LOST, f"what the source sends can't be recorded: {error}")
        if not self._tape.offer(gop):
            return Miss(DISK, "the disk is too slow for what is recorded")
        self.begin()
        return None

    def pause(self, reason: str) -> None:
        """The source gives no pictures for now."""
        self._stop(reason, keeps_file=not self.is_cut)

    def end(self, reason: str) -> None:
        """Take no more."""
        self._stop(reason, keeps_file=False)

    async def wait_closed(self, timeout_s: float | None = None) -> None:
        """Return when all its files are as they will stay, or after the time."""
        if self._tapes:
            await asyncio.gather(*(tape.wait_closed(timeout_s) for tape in self._tapes))

    def _stop(self, reason: str, *, keeps_file: bool) -> None:
        if self.is_active:
            self.is_active = False
            self._hub.tell(RecordStop(self.order.token, self.name, self.order.trigger, reason))
        if not keeps_file:
            self._put_away()

    def _must_cut(self, tape: Tape, gop: Gop) -> bool:
        if tape.init.data != gop.init.data:
            return True
        if gop.wall_us < tape.end_us - JUMP_S * 1e6:  # one file's times never go back
            return True
        return self.is_cut and (tape.duration_s >= self._segment_s or bool(gop.clock_jump_s))

    def _open(self, gop: Gop) -> Tape:
        self._tapes = [tape for tape in self._tapes if not tape.is_over]
        file = self._next_file(gop)
        tape = Tape(file, gop, self._desk, self._queue, self._fail)
        self._tapes.append(tape)
        return tape

    def _next_file(self, gop: Gop) -> StoredFile:
        token = self.order.token
        path, self._path = self._path, ""
        filename = self.name if self.is_cut or path else build_name(KIND, token)
        if not path:
            begun = datetime.fromtimestamp(gop.wall_us / 1e6, UTC)
            path = build_path(KIND, token, begun, filename)
        return StoredFile(
            kind=KIND,
            token=token,
            path=path,
            filename=filename,
            recording=self.name,
            trigger=self.order.trigger,
            start_us=gop.wall_us,
            end_us=gop.wall_us,
        )

    def _put_away(self) -> None:
        tape, self._tape = self._tape, None
        if tape is not None:
            tape.close()
            if self.is_cut:
                self.name = build_name(KIND, self.order.token)

    def _fail(self, tape: Tape, error: OSError) -> None:
        """The disk refused: go on in a new file once it takes one."""
        logger.error("source %s is not recorded: %s", self.order.token, error)
        if not isinstance(error, FileExistsError):  # a stray file: the next one has another name
            self._volume.note_failure(error)
        reason = f"the disk refused: {error.strerror}"
        if tape is self._tape:
            self._stop(reason, keeps_file=False)
        self._on_failure(tape.written_us, Miss(DISK, reason))
