"""What an archive is made of, read from its files and poured into a pipe. All here blocks."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from h5sup.base.errors import MediaFormatError, UnavailableError
from h5sup.ffmpeg.archive_command import Pipe
from h5sup.formats.isobmff.build import NewRun, build_fragment, new_run
from h5sup.formats.isobmff.fragment import SYNC_FLAGS, TrackRun, parse_fragment, run_payload
from h5sup.formats.isobmff.gop_table import SECOND_US, StoredGop
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.formats.isobmff.laying import Clock, lay_gop
from h5sup.formats.isobmff.reader import SegmentReader
from h5sup.formats.isobmff.recorded import video_track
from h5sup.formats.isobmff.track import Track
from h5sup.recording.archive.plan import ALL_US, Part, Take

KEY_BYTES = 128 * 1024  # of a GOP of which the key picture alone is wanted, at first
MAX_REST_S = 0.05  # between two GOPs: live media comes first
ROOM_EVERY_BYTES = 16_000_000  # so often the disk is looked at
ROOM_WAIT_S = 60.0  # for retention, which looks every few seconds
ROOM_LOOK_S = 0.5
NO_ROOM = "there is no room on the disk of the recordings: make some, and ask for it again"
GONE = "a recording of this time was deleted before it could be archived"


@dataclass(frozen=True, slots=True)
class Measure:
    """Where in the feed the archive begins and ends."""

    begin_s: float
    end_s: float
    has_sound: bool
    last_s: float = 0.0
    """How long the last picture lasts; 0 for as long as others."""

    @property
    def duration_s(self) -> float:
        """Return how long it lasts at its recorded speed."""
        return max(0.001, self.end_s - self.begin_s)

    def to_pipe(self, fd: int) -> Pipe:
        """Return it as ffmpeg is told of it."""
        return Pipe(
            fd=fd,
            begin_s=self.begin_s,
            end_s=self.end_s,
            has_sound=self.has_sound,
            last_s=self.last_s,
        )


class Feed:
    """Reads the GOPs of a part and lays them one behind the other. `stop()` is for other threads.

    While less than `floor_bytes` are free it waits for retention: an archive must not stop what
    is being recorded.
    """

    def __init__(
        self, root: Path, part: Part, *, keys_speed: int = 0, floor_bytes: int = 0
    ) -> None:
        """Take key pictures alone, so many times as fast, if `keys_speed` is given."""
        self._floor_bytes = floor_bytes
        self._root = root
        self._part = part
        self._keys_speed = keys_speed
        self._video: Track = video_track(part.init)
        self._is_stopped = threading.Event()

    def stop(self) -> None:
        """End `pour()` soon."""
        self._is_stopped.set()

    def measure(self) -> Measure:
        """Look at the first GOP; raises OSError, UnavailableError, MediaFormatError."""
        part, scale = self._part, self._video.timescale
        first, last = part.first, part.last
        if self._keys_speed:
            ticks = sum(self._shortened(take, gop) for take in part.takes for gop in take.gops)
            last_s = self._shortened(part.takes[-1], last) / scale
            return Measure(0.0, ticks / scale, has_sound=False, last_s=last_s)
        with self._open(part.takes[0].path) as fd:
            laid = lay_gop(part.init, Clock(), read_gop(fd, first))
        runs = [one.parsed.video for one in laid.parts if one.parsed.video is not None]
        shown = [pts for run in runs for pts in presentation_times(run)]
        wanted = shown[0] + max(0, self._ticks(part.begin_us - first.wall_us))
        begin = min((pts for pts in shown if pts >= wanted), default=max(shown))
        *others, last_take = part.takes
        before = sum(self._ticks_of(take) for take in others)
        before += sum(gop.duration for gop in last_take.gops) - last.duration
        end = shown[0] + before + min(last.duration, self._ticks(part.end_us - last.wall_us))
        return Measure(begin / scale, end / scale, has_sound=part.init.audio is not None)

    def pour(self, fd: int) -> None:
        """Write all of it and close the pipe; one whose other end is closed ends it early.

        Raises OSError, UnavailableError, MediaFormatError for what can't be read, and where there
        is no room.
        """
        unseen_bytes = ROOM_EVERY_BYTES
        try:
            for piece in self._pieces():
                unseen_bytes += len(piece)
                if unseen_bytes >= ROOM_EVERY_BYTES:
                    self._wait_for_room()
                    unseen_bytes = 0
                if self._is_stopped.is_set() or not _write(fd, piece):
                    return
        finally:
            os.close(fd)

    def _wait_for_room(self) -> None:
        until = time.monotonic() + ROOM_WAIT_S
        while free_bytes(self._root) < self._floor_bytes and not self._is_stopped.is_set():
            if time.monotonic() > until:
                raise UnavailableError(NO_ROOM)
            self._is_stopped.wait(ROOM_LOOK_S)

    def _pieces(self) -> Iterator[bytes]:
        yield self._part.init.data
        clock = Clock()
        for take in self._part.takes:
            with self._open(take.path) as fd:
                for gop in take.gops:
                    began = time.monotonic()
                    if self._keys_speed:
                        piece, clock = self._lay_key(fd, take, gop, clock)
                    else:
                        laid = lay_gop(self._part.init, clock, self._read(fd, take, gop))
                        piece, clock = b"".join(laid.buffers()), laid.clock
                    took_s = time.monotonic() - began
                    yield piece
                    self._is_stopped.wait(min(took_s, MAX_REST_S))

    def _read(self, fd: int, take: Take, gop: StoredGop) -> list[bytes]:
        """Return the fragments of a GOP, up to where it is cut."""
        fragments = read_gop(fd, gop)
        if take.end_us < ALL_US and gop == take.gops[-1]:
            is_last = take is self._part.takes[-1]
            return self._without_end(fragments, gop, take.end_us, shows_needed=is_last)
        return fragments

    def _ticks_of(self, take: Take) -> int:
        """Return how long the pictures of a take last that is not the last one."""
        *others, last = take.gops
        ticks = sum(gop.duration for gop in others)
        if take.end_us == ALL_US:
            return ticks + last.duration
        with self._open(take.path) as fd:
            parsed = [parse_fragment(one, self._part.init) for one in self._read(fd, take, last)]
        return ticks + sum(one.video.duration for one in parsed if one.video is not None)

    def _lay_key(self, fd: int, take: Take, gop: StoredGop, clock: Clock) -> tuple[bytes, Clock]:
        """Return the key picture of a GOP alone, for as long as the GOP lasts."""
        data, run = read_key(fd, gop, self._part.init)
        sample = run.samples[0]._replace(
            duration=self._shortened(take, gop), flags=SYNC_FLAGS, cts_offset=0
        )
        payload = run_payload(data, TrackRun(run.track, 0, 0, (sample,), ()))
        new = NewRun(self._video, clock.video_next, [sample], payload)
        return build_fragment(1, new), Clock(video_next=clock.video_next + sample.duration)

    def _shortened(self, take: Take, gop: StoredGop) -> int:
        """Return how long a key picture stands for its GOP, which others may cut short."""
        lasts = gop.duration
        if gop == take.gops[-1] and take is not self._part.takes[-1]:
            lasts = min(lasts, self._ticks(take.end_us - gop.wall_us))
        return max(1, lasts // self._keys_speed)

    def _ticks(self, span_us: int) -> int:
        return -(-span_us * self._video.timescale // SECOND_US)

    def _without_end(
        self, fragments: Sequence[bytes], gop: StoredGop, end_us: int, *, shows_needed: bool
    ) -> list[bytes]:
        """Leave out what is decoded after the last picture before the end, and its sound.

        Those that others need are kept if `shows_needed`; where pictures follow they would be in
        the way, and those that need them go.
        """
        init = self._part.init
        parsed = [parse_fragment(data, init) for data in fragments]
        pictures = [pts for one in parsed if one.video for pts in presentation_times(one.video)]
        end = pictures[0] + self._ticks(end_us - gop.wall_us)
        wanted = [pts < end for pts in pictures]
        if shows_needed:
            left = len(wanted) - wanted[::-1].index(True)
        else:
            left = [*wanted, False].index(False)
        kept: list[bytes] = []
        for data, one in zip(fragments, parsed, strict=True):
            runs = []
            if one.video is not None and left > 0:
                runs.append(_first_of(data, one.video, left))
                left -= len(one.video.samples)
            if one.audio is not None:
                sound_end = end * one.audio.track.timescale // self._video.timescale
                count = sum(pts < sound_end for pts in presentation_times(one.audio))
                runs += [_first_of(data, one.audio, count)] if count else []
            if runs:
                kept.append(build_fragment(1, *runs))
        return kept

    @contextmanager
    def _open(self, path: str) -> Iterator[int]:
        try:
            fd = os.open(self._root / path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError as error:
            raise UnavailableError(GONE) from error
        try:
            yield fd
        finally:
            os.close(fd)


def free_bytes(folder: Path) -> int:
    """Return how much of a disk is free for us."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def read_gop(fd: int, gop: StoredGop) -> list[bytes]:
    """Return a GOP's fragments; raises OSError, MediaFormatError."""
    data = os.pread(fd, gop.size, gop.offset)
    if len(data) < gop.size:
        raise MediaFormatError("a recording of this time is cut off")
    return SegmentReader().feed(data)


def read_key(fd: int, gop: StoredGop, init: InitSegment) -> tuple[bytes, TrackRun]:
    """Return the fragment with a GOP's key picture; raises OSError, MediaFormatError."""
    for size in (KEY_BYTES, gop.size):
        for data in SegmentReader().feed(os.pread(fd, min(size, gop.size), gop.offset)):
            video = parse_fragment(data, init).video
            if video is not None:
                return data, video
    raise MediaFormatError("a recording of this time is cut off")


def presentation_times(run: TrackRun) -> Iterator[int]:
    """Yield when each sample of a run is shown, in ticks of its track."""
    dts = run.dts
    for sample in run.samples:
        yield dts + sample.cts_offset
        dts += sample.duration


def _first_of(data: bytes, run: TrackRun, count: int) -> NewRun:
    return new_run(replace(run, samples=run.samples[:count]), data)


def _write(fd: int, piece: bytes) -> bool:
    """Write all of it; False when nobody reads it any more."""
    left = memoryview(piece)
    with suppress(BrokenPipeError):
        while left:
            left = left[os.write(fd, left) :]
        return True
    return False
