"""GOPs from anywhere laid one behind the other on one timeline that starts at 0.

Only heads of fragments are copied and changed: media is shared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from h5sup.base.errors import MediaFormatError
from h5sup.formats.isobmff.boxes import BOX, BOX_HEADER_LENGTH, U64
from h5sup.formats.isobmff.build import build_fragment, new_run
from h5sup.formats.isobmff.fragment import (
    SAMPLE_IS_NON_SYNC,
    ParsedFragment,
    TrackRun,
    parse_fragment,
)
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.formats.isobmff.sample_tables import end_of_run

Buffer = bytes | bytearray | memoryview


class Clock(NamedTuple):
    """How a source's times become the timeline's, and where the tracks on it end."""

    video_shift: int = 0
    audio_shift: int = 0
    source_next: int | None = None  # by the source: there the pictures go on
    video_next: int = 0
    audio_next: int = 0


class LaidFragment(NamedTuple):
    """A fragment with its new times."""

    head: bytearray
    media: memoryview
    parsed: ParsedFragment

    @property
    def size(self) -> int:
        """Return how many bytes it has."""
        return len(self.head) + len(self.media)


@dataclass(frozen=True, slots=True)
class LaidGop:
    """A GOP with its new times, and the clock for the next one."""

    dts: int
    """Of its first picture."""
    parts: list[LaidFragment]
    clock: Clock

    def buffers(self) -> Iterator[Buffer]:
        """Yield its bytes, two pieces per fragment."""
        for part in self.parts:
            yield part.head
            yield part.media


def lay_gop(init: InitSegment, clock: Clock, fragments: Sequence[bytes]) -> LaidGop:
    """Lay a GOP behind those before it; their times may jump, the pictures go on without a hole.

    Raises MediaFormatError when it does not begin with a key picture or its times go back.
    """
    sources = [(data, parse_fragment(data, init)) for data in fragments]
    clock = _begin(clock, sources, init)
    dts = clock.video_next
    parts: list[LaidFragment] = []
    for source in sources:
        data, parsed = _without_overlap(*source, clock, init)
        if parsed.video is None and parsed.audio is None:
            continue
        head, parsed, clock = _place(data, parsed, clock)
        parts.append(LaidFragment(head, memoryview(data)[len(head) :], parsed))
    return LaidGop(dts, parts, clock)


def _begin(
    clock: Clock, sources: Sequence[tuple[bytes, ParsedFragment]], init: InitSegment
) -> Clock:
    """Return the clock by which the pictures of a GOP go on where those before end."""
    video = next((parsed.video for _, parsed in sources if parsed.video), None)
    audio = next((parsed.audio for _, parsed in sources if parsed.audio), None)
    if video is None or video.samples[0].flags & SAMPLE_IS_NON_SYNC:
        raise MediaFormatError("a GOP to record must begin with a key picture")
    if video.dts == clock.source_next:
        return clock
    picture_hz = video.track.timescale
    sound_hz = init.audio.timescale if init.audio else 1
    if (
        clock.source_next is None
        and audio is not None
        and audio.dts * picture_hz < video.dts * sound_hz
    ):
        video_shift = -(audio.dts * picture_hz // sound_hz)  # the file begins with sound
        audio_shift = -audio.dts
    else:
        video_shift = clock.video_next - video.dts
        audio_shift = video_shift * sound_hz // picture_hz
    return clock._replace(
        video_shift=video_shift, audio_shift=audio_shift, video_next=video.dts + video_shift
    )


def _place(
    data: bytes, parsed: ParsedFragment, clock: Clock
) -> tuple[bytearray, ParsedFragment, Clock]:
    """Return the head of a fragment with the file's times, what it holds, and the clock after."""
    head = bytearray(data[: BOX.unpack_from(data, 0)[0] + BOX_HEADER_LENGTH])
    video, audio = parsed.video, parsed.audio
    if video is not None:
        source_next = video.dts + video.duration
        video, video_next = _moved(head, video, clock.video_shift, clock.video_next)
        clock = clock._replace(source_next=source_next, video_next=video_next)
    if audio is not None:
        audio, audio_next = _moved(head, audio, clock.audio_shift, clock.audio_next)
        clock = clock._replace(audio_next=audio_next)
    return head, ParsedFragment(video, audio), clock


def _moved(head: bytearray, run: TrackRun, shift: int, expected: int) -> tuple[TrackRun, int]:
    """Write a run's time in the file into the head; return the run with that, and its end."""
    moved = replace(run, dts=run.dts + shift)
    end = end_of_run(moved, expected)
    U64.pack_into(head, run.tfdt_at, moved.dts)
    return moved, end


def _without_overlap(
    data: bytes, parsed: ParsedFragment, clock: Clock, init: InitSegment
) -> tuple[bytes, ParsedFragment]:
    """Leave out sound that belongs to before the file, or to where sound is already.

    It comes a little before or after its picture, so this happens where times jump.
    """
    sound = parsed.audio
    if sound is None or sound.dts + clock.audio_shift >= clock.audio_next:
        return data, parsed
    dts, kept = sound.dts, list(sound.samples)
    while kept and dts + clock.audio_shift < clock.audio_next:
        dts += kept.pop(0).duration
    runs = [] if parsed.video is None else [new_run(parsed.video, data)]
    if kept:
        runs.append(new_run(replace(sound, samples=tuple(kept)), data, dts))
    if not runs:
        return data, ParsedFragment(None, None)
    data = build_fragment(0, *runs)
    return data, parse_fragment(data, init)
