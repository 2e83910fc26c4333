"""Recordings without a disk: fragments of a clip as a playback hands them over.

It keeps no pace of its own: whoever takes from it must do so when media is due.
"""

from __future__ import annotations

import asyncio
import secrets
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from h5sup.base.errors import InvalidError, NotFoundError
from h5sup.bus.fragment import Fragment, run_of
from h5sup.bus.playback import (
    FASTEST,
    SLOWEST,
    Begun,
    Item,
    Playback,
    PlaybackRequest,
    Played,
    Position,
)
from h5sup.formats.isobmff.build import NewRun, build_fragment
from h5sup.formats.isobmff.fragment import (
    NON_SYNC_FLAGS,
    SYNC_FLAGS,
    Sample,
    TrackRun,
    parse_fragment,
    run_payload,
)
from h5sup.formats.isobmff.init_segment import InitSegment, parse_init
from h5sup.formats.isobmff.reader import SegmentReader, is_init
from tests.fakes.mp4 import PICTURE, Camera

BEGAN = datetime(2026, 5, 1, 10, tzinfo=UTC)
SPS, PPS = b"\x67\x4d\x40\x0d\xec", b"\x68\xee\x3c\x80"
AVCC = b"\x01\x4d\x40\x0d\xff\xe1\x00\x05" + SPS + b"\x01\x00\x04" + PPS
SLICE_HEADS = {True: b"\x65", False: b"\x41"}
STEP_S = 0.001  # of a picture on the way to the one that was asked for


@dataclass(frozen=True)
class Tape:
    """What is recorded: fragments with a picture each, and sound as it came."""

    init: InitSegment
    fragments: tuple[bytes, ...]


def read_tape(path: Path, ffmpeg: str = "ffmpeg", *, audio: Sequence[str] = ("-an",)) -> Tape:
    """Return a clip's pictures, and its sound encoded with the options `audio`. Blocks."""
    argv = [ffmpeg, "-hide_banner", "-loglevel", "error", "-i", str(path), "-c:v", "copy", *audio]
    argv += ["-movflags", "frag_keyframe+empty_moov+default_base_moof", "-use_editlist", "0"]
    argv += ["-frag_duration", "30000", "-f", "mp4", "pipe:1"]
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=True, timeout=60)
    init, *fragments = SegmentReader().feed(done.stdout)
    assert is_init(init)
    return Tape(parse_init(init), tuple(fragments))


class FakePlayback:
    """Plays a tape."""

    def __init__(self, tape: Tape) -> None:
        self.id = secrets.token_hex(4)
        self.mime = tape.init.mime
        self.has_sound = tape.init.audio is not None
        self.commands: list[str] = []
        self.is_closed = False
        self.speed = 1.0
        self.taken = 0
        """Fragments handed over."""
        self._tape = tape
        self._starts = self._starts_s()
        self._items: deque[Item] = deque([Begun(tape.init)])
        self._next = 0
        self._ends = {"video": 0, "audio": 0}
        self._is_started = self._is_paused = self._is_ended = False
        self._may_play = asyncio.Event()
        self._told_s = -1.0

    def start(self) -> None:
        self.commands.append("start")
        self._is_started = True
        self._look()

    def pause(self) -> None:
        self.commands.append("pause")
        self._is_paused = True
        self._look()

    def resume(self) -> None:
        self.commands.append("resume")
        self._is_paused = False
        self._look()

    def seek(self, seconds: float) -> None:
        self.commands.append(f"seek {seconds:g}")
        wanted = max(index for index, at_s in enumerate(self._starts) if at_s <= seconds + 1e-6)
        key = max(index for index in range(wanted + 1) if self._is_key(index))
        self._items = deque(self._lay(index, STEP_S) for index in range(key, wanted))
        self._next, self._is_ended, self._told_s = wanted, False, -1.0
        self._look()

    def move_to(self, at: datetime) -> None:
        self.seek((at - BEGAN).total_seconds())

    def set_speed(self, speed: float) -> None:
        if not SLOWEST <= speed <= FASTEST:
            raise InvalidError("nSpeed", f"must be {SLOWEST:g} to {FASTEST:g}")
        self.commands.append(f"speed {speed:g}")
        self.speed = speed

    async def next(self) -> Item | None:
        if self._items and isinstance(self._items[0], Begun):
            return self._items.popleft()
        await self._may_play.wait()
        if self.is_closed or self._is_ended:
            return None
        if self._items:
            self.taken += 1
            return self._items.popleft()
        if self._next == len(self._tape.fragments):
            self._is_ended = True
            return Position(self._at(len(self._starts) - 1), is_end=True)
        at_s = self._starts[self._next]
        if self._told_s < 0 or at_s - self._told_s >= self.speed:
            self._told_s = at_s
            return Position(self._at(self._next))
        self._next += 1
        self.taken += 1
        return self._lay(self._next - 1)

    async def close(self) -> None:
        assert not self.is_closed
        self.is_closed = True
        self._may_play.set()

    def _look(self) -> None:
        if self.is_closed or (self._is_started and not self._is_paused):
            self._may_play.set()
        else:
            self._may_play.clear()

    def _at(self, index: int) -> datetime:
        return BEGAN + timedelta(seconds=self._starts[index])

    def _starts_s(self) -> list[float]:
        """Return when the pictures of each fragment begin, in seconds of the tape."""
        starts = []
        end_s = 0.0
        for data in self._tape.fragments:
            starts.append(end_s)
            video = parse_fragment(data, self._tape.init).video
            if video is not None:
                end_s = (video.dts + video.duration) / video.track.timescale
        return starts

    def _is_key(self, index: int) -> bool:
        video = parse_fragment(self._tape.fragments[index], self._tape.init).video
        return video is not None and video.has_sync_sample

    def _lay(self, index: int, step_s: float | None = None) -> Played:
        """Return a fragment on the timeline, mute and each picture so long if `step_s` says it."""
        data = self._tape.fragments[index]
        parsed = parse_fragment(data, self._tape.init)
        runs = []
        if parsed.video is not None:
            runs.append(self._run(parsed.video, data, step_s))
        if parsed.audio is not None and step_s is None and self.speed == 1.0:
            runs.append(self._run(parsed.audio, data, None))
        made = parse_fragment(build_fragment(index, *runs), self._tape.init)
        video = run_of(made.video, made.video.dts, made.video.duration) if made.video else None
        audio = run_of(made.audio, made.audio.dts, made.audio.duration) if made.audio else None
        laid = build_fragment(index, *runs)
        return Played(
            Fragment(index, laid, self._is_key(index), video, audio, 0.0), self._at(index)
        )

    def _run(self, run: TrackRun, data: bytes, step_s: float | None) -> NewRun:
        step = None if step_s is None else int(step_s * run.track.timescale)
        kind = run.track.kind
        speed = self.speed if kind == "video" else 1.0
        samples: list[Sample] = [
            one._replace(duration=step or int(one.duration / speed)) for one in run.samples
        ]
        begin = self._ends[kind]
        self._ends[kind] += sum(one.duration for one in samples)
        return NewRun(run.track, begin, samples, run_payload(data, run))


@dataclass
class FakeOpener:
    """Has a tape, and one in H.264 for those who take no H.265."""

    tape: Tape
    h264: Tape | None = None
    requests: list[PlaybackRequest] = field(default_factory=list)
    opened: list[FakePlayback] = field(default_factory=list)
    on_open: Callable[[], None] = lambda: None

    @property
    def playing(self) -> list[FakePlayback]:
        """Return those that are not closed."""
        return [one for one in self.opened if not one.is_closed]

    async def open(self, request: PlaybackRequest) -> Playback:
        """Open the tape."""
        self.requests.append(request)
        self.on_open()
        if request.filename == "unknown.mp4":
            raise NotFoundError("there is no recording 'unknown.mp4'")
        tape = self.tape if request.hevc or self.h264 is None else self.h264
        self.opened.append(FakePlayback(tape))
        return self.opened[-1]


def build_tape(
    pictures: int = 50, *, gop: int = 5, picture_ticks: int = PICTURE, codec: str = "avc1.4D002A"
) -> Tape:
    """Return a tape made by hand: NAL units that only look like pictures, numbered."""
    camera = Camera(audio=False)
    assert camera.init.video is not None
    track = replace(camera.init.video, codec=codec, video_config=AVCC)
    init = InitSegment(camera.data, track, None)
    found = []
    for number in range(pictures):
        is_key = not number % gop
        nal = (SLICE_HEADS[is_key] + number.to_bytes(2)).ljust(50, b"\x55")
        sample = Sample(
            0, 4 + len(nal), picture_ticks, SYNC_FLAGS if is_key else NON_SYNC_FLAGS, 0
        )
        run = NewRun(track, number * picture_ticks, [sample], len(nal).to_bytes(4) + nal)
        found.append(build_fragment(number, run))
    return Tape(init, tuple(found))
