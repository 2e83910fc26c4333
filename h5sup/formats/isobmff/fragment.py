"""`moof` + `mdat`: what the bus needs to know of it, and where the fields lie that h5sup rewrites.

ISO/IEC 14496-12 §8.8. This runs for every fragment of every source: flat, and nothing twice.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from h5sup.base.errors import MediaFormatError
from h5sup.formats.isobmff.boxes import BOX, U32, U64, boxes
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.formats.isobmff.track import Track

MAX_SAMPLES = 100_000  # of one run; a larger claim is damage

# tfhd flags, §8.8.7
TFHD_BASE_DATA_OFFSET = 0x000001
TFHD_DESCRIPTION_INDEX = 0x000002
TFHD_DEFAULT_DURATION = 0x000008
TFHD_DEFAULT_SIZE = 0x000010
TFHD_DEFAULT_FLAGS = 0x000020
TFHD_DEFAULT_BASE_IS_MOOF = 0x020000
# trun flags, §8.8.8
TRUN_DATA_OFFSET = 0x000001
TRUN_FIRST_FLAGS = 0x000004
TRUN_DURATION = 0x000100
TRUN_SIZE = 0x000200
TRUN_FLAGS = 0x000400
TRUN_CTS_OFFSET = 0x000800
# sample flags, §8.8.3.1
SAMPLE_IS_NON_SYNC = 0x00010000
SYNC_FLAGS = 0x02000000  # depends on no other sample
NON_SYNC_FLAGS = 0x01010000


class Sample(NamedTuple):
    """One sample of a run; `start` is its offset in the fragment."""

    start: int
    size: int
    duration: int
    flags: int
    cts_offset: int


@dataclass(frozen=True, slots=True)
class TrackRun:
    """All samples that one fragment holds of one track."""

    track: Track
    tfdt_at: int
    """Offset of the 64-bit baseMediaDecodeTime in the fragment."""
    dts: int
    samples: tuple[Sample, ...]
    durations_at: tuple[int, ...]
    """Offsets of the 32-bit sample durations, one per sample, or one default for all."""

    @property
    def duration(self) -> int:
        """Return the sum of the sample durations in ticks."""
        return sum([sample.duration for sample in self.samples])

    @property
    def has_sync_sample(self) -> bool:
        """Return whether a decoder can start somewhere in this run."""
        return any(not sample.flags & SAMPLE_IS_NON_SYNC for sample in self.samples)


@dataclass(frozen=True, slots=True)
class ParsedFragment:
    """The runs of one fragment."""

    video: TrackRun | None
    audio: TrackRun | None


def parse_fragment(data: bytes, init: InitSegment, size: int | None = None) -> ParsedFragment:
    """Read the runs of one `moof+mdat`; raises MediaFormatError.

    `data` may be the `moof` alone if `size` says how long the whole fragment is.
    """
    try:
        return _parse_fragment(data, init, len(data) if size is None else size)
    except struct.error as error:
        raise MediaFormatError("the fragment is cut off") from error


def _parse_fragment(data: bytes, init: InitSegment, limit: int) -> ParsedFragment:
    size, kind = BOX.unpack_from(data, 0)
    if kind != b"moof" or size > len(data):
        raise MediaFormatError("a fragment must begin with a whole moof box")
    video = audio = None
    for part, start, end in boxes(data, 8, size):
        if part != b"traf":
            continue
        run = _parse_traf(data, start, end, init, limit)
        if run is None:
            continue
        if run.track.kind == "video":
            video = run
        else:
            audio = run
    return ParsedFragment(video, audio)


def _parse_traf(
    data: bytes, start: int, end: int, init: InitSegment, limit: int
) -> TrackRun | None:
    track: Track | None = None
    tfdt_at = dts = 0
    default_at = 0
    duration = size = flags = 0
    samples: list[Sample] = []
    durations_at: list[int] = []
    for kind, at, until in boxes(data, start, end):
        if kind == b"tfhd":
            given, track_id = (
                U32.unpack_from(data, at)[0] & 0xFFFFFF,
                U32.unpack_from(data, at + 4)[0],
            )
            track = _track_by_id(init, track_id)
            if track is None:
                return None
            duration, size, flags = (
                track.default_duration,
                track.default_size,
                track.default_flags,
            )
            position = at + 8
            if given & TFHD_BASE_DATA_OFFSET:
                raise MediaFormatError("fragments with absolute offsets can't be relayed")
            if given & TFHD_DESCRIPTION_INDEX:
                position += 4
            if given & TFHD_DEFAULT_DURATION:
                duration = U32.unpack_from(data, position)[0]
                default_at = position
                position += 4
            if given & TFHD_DEFAULT_SIZE:
                size = U32.unpack_from(data, position)[0]
                position += 4
            if given & TFHD_DEFAULT_FLAGS:
                flags = U32.unpack_from(data, position)[0]
        elif kind == b"tfdt":  # §8.8.12
            if data[at] != 1:
                raise MediaFormatError("a 32-bit tfdt can't carry a live timeline")
            tfdt_at = at + 4
            dts = U64.unpack_from(data, tfdt_at)[0]
        elif kind == b"trun":
            _parse_trun(data, at, until, (duration, size, flags), samples, durations_at, limit)
    if track is None or not tfdt_at or not samples:
        raise MediaFormatError("a track fragment lacks its header, its time or its samples")
    if not durations_at and default_at:
        durations_at = [default_at]
    return TrackRun(track, tfdt_at, dts, tuple(samples), tuple(durations_at))


def _track_by_id(init: InitSegment, track_id: int) -> Track | None:
    if init.video is not None and init.video.id == track_id:
        return init.video
    if init.audio is not None and init.audio.id == track_id:
        return init.audio
    return None


def _parse_trun(
    data: bytes,
    at: int,
    end: int,
    defaults: tuple[int, int, int],
    samples: list[Sample],
    durations_at: list[int],
    limit: int,
) -> None:
    given = U32.unpack_from(data, at)[0] & 0xFFFFFF
    count = U32.unpack_from(data, at + 4)[0]
    if count > MAX_SAMPLES:
        raise MediaFormatError(f"a run claims {count} samples")
    position = at + 8
    if not given & TRUN_DATA_OFFSET:
        raise MediaFormatError("a run does not say where its data lies")
    start = U32.unpack_from(data, position)[0]
    position += 4
    duration, size, flags = defaults
    first_flags = flags
    if given & TRUN_FIRST_FLAGS:
        first_flags = U32.unpack_from(data, position)[0]
        position += 4
    entry = 4 * (given >> 8 & 0xF).bit_count()
    if position + count * entry > end:
        raise MediaFormatError("a run is longer than its box")
    for index in range(count):
        sample_flags = flags if index else first_flags
        cts_offset = 0
        if given & TRUN_DURATION:
            duration = U32.unpack_from(data, position)[0]
            durations_at.append(position)
            position += 4
        if given & TRUN_SIZE:
            size = U32.unpack_from(data, position)[0]
            position += 4
        if given & TRUN_FLAGS:
            sample_flags = U32.unpack_from(data, position)[0]
            position += 4
        if given & TRUN_CTS_OFFSET:
            cts_offset = U32.unpack_from(data, position)[0]
            if cts_offset & 0x80000000:
                cts_offset -= 1 << 32
            position += 4
        if start + size > limit:
            raise MediaFormatError("a sample lies outside its fragment")
        samples.append(Sample(start, size, duration, sample_flags, cts_offset))
        start += size


def run_payload(data: bytes, run: TrackRun) -> bytes:
    """Return the bytes of a run's samples, one after another."""
    return b"".join([data[sample.start : sample.start + sample.size] for sample in run.samples])
