"""One ffmpeg that reads what a recorder plays: fragments with the times at which they were taken.

Where nobody knows when the first picture was taken, the moment that was asked for is taken for it.
Most recorders begin with the key picture before: so far the times may be off then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from h5sup.base.errors import MediaFormatError, SourceError, UnavailableError
from h5sup.ffmpeg.command import build_playback
from h5sup.ffmpeg.diagnosis import diagnose, diagnose_stall
from h5sup.ffmpeg.lines import build_redactor
from h5sup.ffmpeg.media import Input
from h5sup.ffmpeg.process import STDERR_TIMEOUT_S, Child
from h5sup.formats.isobmff.fragment import SAMPLE_IS_NON_SYNC, parse_fragment
from h5sup.formats.isobmff.gop_table import SECOND_US, StoredGop
from h5sup.formats.isobmff.init_segment import InitSegment, parse_init
from h5sup.formats.isobmff.reader import SegmentReader, is_init
from h5sup.formats.isobmff.track import Track
from h5sup.recording.playback.converter import Kit
from h5sup.recording.playback.supply import StoredFragment

CHUNK_BYTES = 64 * 1024
LINES = 50
KEPT_BYTES = 8_000_000  # of the GOPs that a snapshot may be taken of
KEPT_GOPS = 3  # the one that is shown, and what is read ahead


class DeviceFootage:
    """What one reading gives. Keeps its newest GOPs: nowhere else could a snapshot read them."""

    def __init__(self, number: int, init: InitSegment, video: Track) -> None:
        self.number = number
        self.init = init
        self.video = video
        self._gops: dict[int, list[bytes]] = {}  # by the decode time of their key picture

    def read_gop(self, root: Path, gop: StoredGop) -> Sequence[bytes]:
        """Return a GOP's fragments, as far as they have come."""
        del root
        found = self._gops.get(gop.dts)
        if not found:
            raise MediaFormatError("the device has sent too much since")
        return tuple(found)

    def keep(self, gop: StoredGop, data: bytes) -> None:
        """Note a fragment; the oldest GOPs go."""
        self._gops.setdefault(gop.dts, []).append(data)
        while self._gops and (len(self._gops) > KEPT_GOPS or self._kept_bytes > KEPT_BYTES):
            del self._gops[next(iter(self._gops))]

    @property
    def _kept_bytes(self) -> int:
        return sum(sum(map(len, gop)) for gop in self._gops.values())


class DeviceRun:
    """Owned by a DeviceReel: `start()` once, then `next()` and `peek()`, `close()` last.

    It reads no further ahead than a pipe holds: a recorder that nobody listens to is held up.
    """

    def __init__(
        self,
        kit: Kit,
        source: Input,
        number: int,
        start_us: int,
        *,
        find_begin: Callable[[], int | None] = lambda: None,
        first_s: float,
        stall_s: float,
    ) -> None:
        """Take what to read; its first picture counts as taken at `start_us`.

        When `find_begin` knows better once that has come, `start_us` becomes what it says.
        """
        self.footage: DeviceFootage | None = None
        """Known once peek() has returned something."""
        self.gop: StoredGop | None = None
        """That of the fragment which next() returned last."""
        self.reached_us = start_us
        """Up to when next() has returned pictures."""
        self.start_us = start_us
        self._kit = kit
        self._source = source
        self._number = number
        self._find_begin = find_begin
        self._limit_s = first_s
        self._stall_s = stall_s
        self._redact = build_redactor(source.secrets)
        self._starting: asyncio.Task[None] | None = None
        self._child: Child | None = None
        self._saying: asyncio.Task[None] | None = None
        self._lines: deque[str] = deque(maxlen=LINES)
        self._segments = SegmentReader()
        self._coming: deque[StoredFragment] = deque()
        self._first_dts: int | None = None
        self._end_us = start_us
        self._gop_bytes = self._gop_ticks = 0  # of the newest GOP that is known whole
        self._read_bytes = 0
        self._failure: SourceError | None = None

    @property
    def failure(self) -> SourceError | None:
        """Why there is no more; also when it has come to its end."""
        return self._failure

    @property
    def has_more(self) -> bool:
        """Return whether peek() need not wait."""
        return bool(self._coming)

    async def start(self) -> None:
        """Start it; raises UnavailableError. Goes on when cancelled: close() ends what comes."""
        self._starting = asyncio.create_task(self._start(), name="device playback start")
        await asyncio.shield(self._starting)

    async def peek(self) -> StoredFragment | None:
        """Return the next fragment, which begins with a key picture at first; None at the end."""
        while not self._coming and self._failure is None:
            await self._read()
        return self._coming[0] if self._coming else None

    async def next(self) -> StoredFragment | None:
        """Return the next fragment and go on; None at the end."""
        stored = await self.peek()
        if stored is None:
            return None
        self._coming.popleft()
        self.reached_us = stored.end_us
        if is_key(stored):
            self.gop = self._begin_gop(stored)
            self._read_bytes = 0
        self._read_bytes += len(stored.data)
        assert self.gop is not None
        assert self.footage is not None
        self.footage.keep(self.gop, stored.data)
        return stored

    async def close(self) -> None:
        """End it."""
        if self._starting is not None:
            await asyncio.gather(self._starting, return_exceptions=True)
        child, self._child = self._child, None
        if child is None:
            return
        child.close()  # first: asyncio sees no end while a full pipe is unread
        await child.stop(grace_s=0)
        if self._saying is not None:
            self._saying.cancel()
            await asyncio.gather(self._saying, return_exceptions=True)

    async def _start(self) -> None:
        argv = build_playback(self._kit.tools, self._source)
        try:
            self._child = await self._kit.launcher.spawn(
                argv, stdout=asyncio.subprocess.PIPE, kind="device_playback"
            )
        except OSError as error:
            raise UnavailableError(f"ffmpeg can't be started: {error.strerror}") from error
        self._saying = asyncio.create_task(
            self._child.read_lines(lambda line: self._lines.append(self._redact(line))),
            name="device playback stderr",
        )

    def _begin_gop(self, stored: StoredFragment) -> StoredGop:
        run = stored.parsed.video
        assert run is not None
        if self.gop is not None:
            self._gop_bytes, self._gop_ticks = self._read_bytes, run.dts - self.gop.dts
        return StoredGop(
            offset=0,
            size=self._gop_bytes,
            dts=run.dts,
            duration=self._gop_ticks or run.track.timescale,
            wall_us=stored.start_us,
        )

    async def _read(self) -> None:
        """Read a chunk; note why there is none."""
        assert self._child is not None
        assert self._child.process.stdout is not None
        try:
            async with asyncio.timeout(self._limit_s):
                chunk = await self._child.process.stdout.read(CHUNK_BYTES)
        except TimeoutError:
            now = asyncio.get_running_loop().time()
            last = None if self._first_dts is None else now
            self._failure = diagnose_stall(last, None, self._limit_s)
            return
        try:
            for segment in self._segments.feed(chunk):
                self._take(segment)
        except MediaFormatError as error:
            self._failure = SourceError(diagnose((), 1).failure, str(error))
            return
        if not chunk:
            await self._end()

    async def _end(self) -> None:
        assert self._child is not None
        assert self._saying is not None
        ending = asyncio.create_task(self._child.wait())
        await asyncio.wait({ending, self._saying}, timeout=STDERR_TIMEOUT_S)
        ending.cancel()
        had_video = self._first_dts is not None
        self._failure = diagnose(self._lines, self._child.exit_code, had_video=had_video)

    def _take(self, segment: bytes) -> None:
        if is_init(segment):
            # ffmpeg names H.265 so when it does not know beforehand that it is; hvcC holds all
            # that `hvc1` promises, and Safari plays nothing else
            init = parse_init(segment.replace(b"hev1", b"hvc1", 1))
            if init.video is None:
                raise MediaFormatError("there is no picture in it")
            self.footage = DeviceFootage(self._number, init, init.video)
            return
        if self.footage is None:
            return
        parsed = parse_fragment(segment, self.footage.init)
        start_us = self._end_us
        if (run := parsed.video) is not None:
            if self._first_dts is None:
                if run.samples[0].flags & SAMPLE_IS_NON_SYNC:
                    return  # it can't be decoded
                self._first_dts = run.dts
                found_us = self._find_begin()
                if found_us is not None:
                    self.start_us = self.reached_us = found_us
                self._limit_s = self._stall_s
            scale = run.track.timescale
            since = run.dts - self._first_dts
            start_us = self.start_us + since * SECOND_US // scale
            self._end_us = self.start_us + (since + run.duration) * SECOND_US // scale
        if self._first_dts is not None:
            self._coming.append(StoredFragment(segment, parsed, start_us, self._end_us))


def is_key(stored: StoredFragment) -> bool:
    """Return whether a fragment begins a GOP."""
    run = stored.parsed.video
    return run is not None and not run.samples[0].flags & SAMPLE_IS_NON_SYNC
