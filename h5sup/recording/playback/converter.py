"""One ffmpeg for a playback whose viewer can't take what was recorded as it is.

It is fed with fragments that lie on the viewer's timeline already, paced as they are due, and what
comes out is laid there again by the running sum of its durations. Pictures and sound that need no
conversion never pass through it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from h5sup.base.errors import MediaFormatError, UnavailableError
from h5sup.base.tasks import end_tasks
from h5sup.config.profile import Profile, VideoRecipe
from h5sup.ffmpeg.command import build_conversion
from h5sup.ffmpeg.process import Child, Launcher
from h5sup.ffmpeg.tools import Tools
from h5sup.formats.isobmff.build import NewRun, build_fragment, new_run
from h5sup.formats.isobmff.fragment import (
    ParsedFragment,
    TrackRun,
    parse_fragment,
    run_payload,
)
from h5sup.formats.isobmff.init_segment import (
    InitSegment,
    parse_init,
    without_audio,
    without_video,
)
from h5sup.formats.isobmff.reader import SegmentReader, is_init

PROFILE = "h264_software"
CHUNK_BYTES = 64 * 1024
WAITING_BYTES = 2_000_000  # for ffmpeg to take: a few pictures, or one large key picture
FINISH_S = 5.0  # for what it still has to come out
LINES = 20

logger = logging.getLogger(__name__)


def find_recipe(profiles: Mapping[str, Profile]) -> VideoRecipe:
    """Return how H.264 is made; the profile that says so may have been taken away."""
    profile = profiles.get(PROFILE)
    return VideoRecipe() if profile is None else profile.video


@dataclass(frozen=True, slots=True)
class Kit:
    """What conversions are made with."""

    tools: Tools
    launcher: Launcher
    recipe: VideoRecipe


@dataclass(frozen=True, slots=True)
class Converted:
    """A run that came out, with its payload."""

    init: InitSegment
    run: TrackRun
    payload: bytes

    def as_new(self, dts: int) -> NewRun:
        """Return the run as it goes into a new fragment."""
        return NewRun(self.run.track, dts, self.run.samples, self.payload)


class Converter:
    """One run of ffmpeg. `open()` comes first, `close()` last; used from the loop alone.

    `on_output` is called when there is something in `out`, and at the end.
    """

    def __init__(
        self,
        kit: Kit,
        init: InitSegment,
        *,
        video: bool,
        opus: bool,
        on_output: Callable[[], None],
    ) -> None:
        self.out: deque[Converted] = deque()
        self.is_over = False
        """Nothing more will come out."""
        self._kit = kit
        self._init = init
        self._video = video
        self._opus = opus
        self._on_output = on_output
        self._child: Child | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._transports: list[asyncio.BaseTransport] = []
        self._video_start: int | None = None
        self._sound_start: int | None = None
        self._sequence = 0
        self._is_finishing = False
        self._lines: deque[str] = deque(maxlen=LINES)

    @property
    def feed_init(self) -> InitSegment:
        """Return the init segment of what goes in."""
        if not self._opus:
            return without_audio(self._init)
        return self._init if self._video else without_video(self._init)

    @property
    def has_room(self) -> bool:
        """Return whether it keeps up with what it is fed."""
        stdin = self._stdin
        return stdin.transport.get_write_buffer_size() < WAITING_BYTES

    async def open(self) -> None:
        """Start it; raises UnavailableError."""
        sound_end = child_end = None
        try:
            if self._opus:
                sound_end, child_end = os.pipe2(os.O_CLOEXEC)
            channels = min(2, max(1, self._init.audio.channels)) if self._init.audio else 1
            argv = build_conversion(
                self._kit.tools,
                self._kit.recipe if self._video else None,
                sound_fd=child_end,
                channels=channels,
            )
            self._child = await self._kit.launcher.spawn(
                argv,
                pass_fds=() if child_end is None else (child_end,),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                kind="playback",
            )
            readers = []
            if sound_end is not None:
                readers.append(await self._open_reader(sound_end))
                sound_end = None
        except OSError as error:
            raise UnavailableError(f"ffmpeg can't be started: {error.strerror}") from error
        finally:
            for fd in (sound_end, child_end):
                if fd is not None:
                    os.close(fd)
        if self._video:
            assert self._child.process.stdout is not None
            readers.append(self._child.process.stdout)
        self._tasks = [asyncio.create_task(self._read(one), name="conversion") for one in readers]
        self._tasks.append(asyncio.create_task(self._child.read_lines(self._lines.append)))
        self._stdin.write(self.feed_init.data)

    def feed(self, data: bytes, parsed: ParsedFragment) -> None:
        """Have a fragment of the timeline converted, as far as it is to be.

        Each track begins at 0 in there: ffmpeg stretches the first picture of one that does not.
        """
        runs = []
        if self._video and (run := parsed.video) is not None:
            self._video_start = run.dts if self._video_start is None else self._video_start
            runs.append(new_run(run, data, run.dts - self._video_start))
        if self._opus and (run := parsed.audio) is not None:
            self._sound_start = run.dts if self._sound_start is None else self._sound_start
            runs.append(new_run(run, data, run.dts - self._sound_start))
        if runs and not self._stdin.is_closing():
            self._sequence += 1
            self._stdin.write(build_fragment(self._sequence, *runs))

    async def finish(self) -> None:
        """Return once all that went in has come out."""
        self._is_finishing = True
        self._stdin.close()
        assert self._child is not None
        ending = asyncio.create_task(self._child.wait())
        # also for its exit code: asyncio's close() may take that from asyncio's own watcher
        await asyncio.wait({*self._tasks, ending}, timeout=FINISH_S)
        ending.cancel()

    async def close(self) -> None:
        """End it."""
        if self._child is None:
            return
        for transport in self._transports:
            transport.close()
        self._child.close()  # first: asyncio sees no end while a full pipe is unread
        await self._child.stop(grace_s=0)
        await end_tasks(*self._tasks)

    def check(self) -> None:
        """Raise UnavailableError when it has ended before its time."""
        if self.is_over and not self._is_finishing:
            said = self._lines[-1] if self._lines else "it said nothing"
            raise UnavailableError(f"the recording could not be converted: {said}")

    @property
    def _stdin(self) -> asyncio.StreamWriter:
        assert self._child is not None
        assert self._child.process.stdin is not None
        return self._child.process.stdin

    async def _open_reader(self, fd: int) -> asyncio.StreamReader:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", 0)
        )
        self._transports.append(transport)
        return reader

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Cut what comes out into runs."""
        segments = SegmentReader()
        init: InitSegment | None = None
        try:
            while chunk := await reader.read(CHUNK_BYTES):
                for segment in segments.feed(chunk):
                    if is_init(segment):
                        init = parse_init(segment)
                    elif init is not None:
                        self._take(segment, init)
                self._on_output()
        except MediaFormatError as error:
            self._lines.append(str(error))
        finally:
            self.is_over = True
            self._on_output()

    def _take(self, data: bytes, init: InitSegment) -> None:
        parsed = parse_fragment(data, init)
        for run in (parsed.video, parsed.audio):
            if run is not None:
                self.out.append(Converted(init, run, run_payload(data, run)))
