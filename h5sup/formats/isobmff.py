"""Fragmented MP4, read and written (ISO/IEC 14496-12, -14, -15).

Pure code: bytes in, objects out. `SegmentReader` cuts a byte pipe into init segments and
fragments; `parse_init` and `parse_fragment` read what the bus needs to know of them, with the
positions of the few fields that h5sup rewrites; `build_fragment` writes new ones.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from struct import Struct
from typing import Literal, NamedTuple

from h5sup.base.errors import MediaFormatError

MAX_BOX_BYTES = 64 * 1024 * 1024  # far above a 4K GOP; a larger claim is damage
MAX_SAMPLES = 100_000  # of one run; a larger claim is damage

U16 = Struct(">H")
U32 = Struct(">I")
U64 = Struct(">Q")
BOX = Struct(">I4s")  # §4.2: size, type

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

Kind = Literal["video", "audio"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One track of an init segment; times are in ticks of `timescale` per second."""

    kind: Kind
    codec: str
    """As RFC 6381 writes it, e.g. `avc1.4D002A`."""
    id: int = 0
    timescale: int = 0
    width: int = 0
    height: int = 0
    sample_rate: int = 0
    channels: int = 0
    audio_config: bytes = b""
    """AudioSpecificConfig of AAC (ISO/IEC 14496-3 §1.6.2.1)."""
    default_duration: int = 0
    default_size: int = 0
    default_flags: int = 0


@dataclass(frozen=True, slots=True)
class InitSegment:
    """`ftyp` + `moov`: what a decoder must know before the first fragment."""

    data: bytes
    video: Track | None
    audio: Track | None

    @property
    def mime(self) -> str:
        """Return the type for addSourceBuffer, e.g. `video/mp4; codecs="avc1.4D002A"`."""
        return f'video/mp4; codecs="{self.codecs}"'

    @property
    def codecs(self) -> str:
        """Return the codecs, video first, as RFC 6381 lists them."""
        return ", ".join(track.codec for track in (self.video, self.audio) if track)


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


class SegmentReader:
    """Turns arbitrarily cut chunks into whole init segments and fragments."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0  # bytes of the buffer that are known whole boxes of one segment
        self._wanted = 8  # the buffer is not worth a look before it holds so many

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the segments that `chunk` completed, each `ftyp+moov` or `moof+mdat`."""
        buffer = self._buffer
        buffer += chunk
        segments: list[bytes] = []
        while len(buffer) >= self._wanted:
            size, kind = BOX.unpack_from(buffer, self._scanned)
            header = 8
            if size == 1:
                if len(buffer) < self._scanned + 16:
                    self._wanted = self._scanned + 16
                    break
                size = U64.unpack_from(buffer, self._scanned + 8)[0]
                header = 16
            # size 0 ("to the end of the file") is legal in a file, but a pipe has no end
            if not header <= size <= MAX_BOX_BYTES:
                raise MediaFormatError(f"box {kind!r} claims {size} bytes")
            end = self._scanned + size
            if len(buffer) < end:
                self._wanted = end
                break
            if kind in (b"moov", b"mdat"):
                with memoryview(buffer) as view:
                    segments.append(bytes(view[:end]))
                del buffer[:end]
                self._scanned = 0
            elif kind in (b"ftyp", b"moof"):
                self._scanned = end
            else:  # styp, sidx, free, mfra: nothing a viewer needs
                del buffer[self._scanned : end]
            self._wanted = self._scanned + 8
        return segments


def is_init(segment: bytes) -> bool:
    """Return whether a segment of SegmentReader is an init segment."""
    return segment[4:8] in (b"ftyp", b"moov")


def boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, start of the content, end) of the boxes in `data[start:end]`."""
    while start < end:
        if end - start < 8:
            raise MediaFormatError("a box is cut off in its header")
        size, kind = BOX.unpack_from(data, start)
        header = 8
        if size == 1:
            if end - start < 16:
                raise MediaFormatError("a box is cut off in its header")
            size = U64.unpack_from(data, start + 8)[0]
            header = 16
        if size < header or start + size > end:
            raise MediaFormatError(f"box {kind!r} claims {size} of {end - start} bytes")
        yield kind, start + header, start + size
        start += size


def parse_init(data: bytes) -> InitSegment:
    """Read the tracks of an init segment; raises MediaFormatError."""
    try:
        return _parse_init(data)
    except (struct.error, IndexError) as error:
        raise MediaFormatError("the init segment is cut off") from error


def _parse_init(data: bytes) -> InitSegment:
    defaults: dict[int, tuple[int, int, int]] = {}
    found: list[Track] = []
    for kind, start, end in _children(data, 0, len(data), b"moov"):
        if kind == b"mvex":
            defaults |= dict(_parse_trex(data, start, end))
    for kind, start, end in _children(data, 0, len(data), b"moov"):
        if kind == b"trak" and (track := _parse_trak(data, start, end, defaults)):
            found.append(track)
    video = next((track for track in found if track.kind == "video"), None)
    audio = next((track for track in found if track.kind == "audio"), None)
    if video is None and audio is None:
        raise MediaFormatError("the init segment has neither video nor audio")
    return InitSegment(data, video, audio)


def _children(data: bytes, start: int, end: int, *path: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the boxes inside the first box found along `path`."""
    for wanted in path:
        for kind, inner, stop in boxes(data, start, end):
            if kind == wanted:
                start, end = inner, stop
                break
        else:
            raise MediaFormatError(f"there is no {wanted.decode()!r} box")
    yield from boxes(data, start, end)


def _parse_trex(data: bytes, start: int, end: int) -> Iterator[tuple[int, tuple[int, int, int]]]:
    """Yield (track, (duration, size, flags)) of each `trex`, §8.8.3."""
    for kind, inner, _ in boxes(data, start, end):
        if kind == b"trex":
            track, _, duration, size, flags = Struct(">5I").unpack_from(data, inner + 4)
            yield track, (duration, size, flags)


def _parse_trak(
    data: bytes, start: int, end: int, defaults: dict[int, tuple[int, int, int]]
) -> Track | None:
    track_id = timescale = 0
    handler = b""
    entry: tuple[bytes, int, int] | None = None
    for kind, inner, stop in boxes(data, start, end):
        if kind == b"tkhd":  # §8.3.2
            track_id = U32.unpack_from(data, inner + (20 if data[inner] == 1 else 12))[0]
        elif kind == b"mdia":
            for part, at, until in boxes(data, inner, stop):
                if part == b"mdhd":  # §8.4.2
                    timescale = U32.unpack_from(data, at + (20 if data[at] == 1 else 12))[0]
                elif part == b"hdlr":  # §8.4.3
                    handler = data[at + 8 : at + 12]
                elif part == b"minf":
                    entry = _find_sample_entry(data, at, until)
    if handler not in (b"vide", b"soun") or entry is None:
        return None
    if not timescale:
        raise MediaFormatError("a track has no timescale")
    duration, size, flags = defaults.get(track_id, (0, 0, 0))
    describe = _video_track if handler == b"vide" else _audio_track
    return replace(
        describe(data, entry),
        id=track_id,
        timescale=timescale,
        default_duration=duration,
        default_size=size,
        default_flags=flags,
    )


def _find_sample_entry(data: bytes, start: int, end: int) -> tuple[bytes, int, int]:
    for kind, inner, stop in _children(data, start, end, b"stbl"):
        if kind == b"stsd":  # §8.5.2
            return next(boxes(data, inner + 8, stop), (b"", 0, 0))
    raise MediaFormatError("a track has no sample description")


def _video_track(data: bytes, entry: tuple[bytes, int, int]) -> Track:
    kind, start, end = entry  # VisualSampleEntry, §12.1.3
    width, height = Struct(">HH").unpack_from(data, start + 24)
    codec = kind.decode("latin-1")
    for part, at, until in boxes(data, start + 78, end):
        if part == b"avcC":  # ISO/IEC 14496-15 §5.3.3.1
            codec = f"{codec}.{data[at + 1 : at + 4].hex().upper()}"
        elif part == b"hvcC":
            codec = _hevc_codec(codec, data[at:until])
        elif part == b"esds":
            codec = f"{codec}.{_parse_esds(data, at, until)[0]:02X}"
    return Track(kind="video", codec=codec, width=width, height=height)


def _hevc_codec(entry: str, record: bytes) -> str:
    """Return the codec of an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 annex E.3)."""
    if len(record) < 13:
        raise MediaFormatError("box 'hvcC' is cut off")
    space = ("", "A", "B", "C")[record[1] >> 6]
    compatibility = int(f"{U32.unpack_from(record, 2)[0]:032b}"[::-1], 2)
    tier = "H" if record[1] & 0x20 else "L"
    constraints = record[6:12].rstrip(b"\0")
    parts = [entry, f"{space}{record[1] & 0x1F}", f"{compatibility:X}", f"{tier}{record[12]}"]
    return ".".join(parts + [f"{byte:X}" for byte in constraints])


def _audio_track(data: bytes, entry: tuple[bytes, int, int]) -> Track:
    kind, start, end = entry  # AudioSampleEntry, §12.2.3
    channels = U16.unpack_from(data, start + 16)[0]
    sample_rate = U32.unpack_from(data, start + 24)[0] >> 16
    codec, config = kind.decode("latin-1"), b""
    for part, at, until in boxes(data, start + 28, end):
        if part == b"esds":
            object_type, config = _parse_esds(data, at, until)
            codec = f"{codec}.{object_type:02X}"
            if object_type == 0x40:  # MPEG-4 audio: RFC 6381 §3.3 wants its object type too
                codec = f"{codec}.{_audio_object_type(config)}"
    return Track(
        kind="audio",
        codec=codec.replace("Opus", "opus"),
        channels=channels,
        sample_rate=sample_rate,
        audio_config=config,
    )


def _audio_object_type(config: bytes) -> int:
    if len(config) < 2:
        raise MediaFormatError("AAC has no AudioSpecificConfig")
    kind = config[0] >> 3
    if kind == 31:  # escape value, ISO/IEC 14496-3 §1.6.2.1
        kind = 32 + ((config[0] & 7) << 3 | config[1] >> 5)
    return kind


def _parse_esds(data: bytes, start: int, end: int) -> tuple[int, bytes]:
    """Return (objectTypeIndication, DecoderSpecificInfo) (ISO/IEC 14496-1 §7.2.6)."""
    position = start + 4
    object_type, config = 0, b""
    while position < end:
        tag = data[position]
        position += 1
        size = 0
        while True:
            byte = data[position]
            position += 1
            size = size << 7 | byte & 0x7F
            if not byte & 0x80:
                break
        if tag == 3:  # ES_Descriptor: id, flags; the optional fields never occur in MP4
            position += 3
        elif tag == 4:  # DecoderConfigDescriptor
            object_type = data[position]
            position += 13
        else:
            if tag == 5:
                config = data[position : position + size]
            position += size
    return object_type, config


def without_audio(init: InitSegment) -> InitSegment:
    """Return the init segment with its audio track taken out."""
    if init.audio is None or init.video is None:
        return init
    track_id = init.audio.id
    out = bytearray()
    for kind, start, end in boxes(init.data, 0, len(init.data)):
        body = init.data[start:end]
        if kind == b"moov":
            body = _without_track(body, track_id)
        out += BOX.pack(8 + len(body), kind) + body
    return InitSegment(bytes(out), init.video, None)


def _without_track(moov: bytes, track_id: int) -> bytes:
    out = bytearray()
    for kind, start, end in boxes(moov, 0, len(moov)):
        body = moov[start:end]
        if kind == b"trak" and _trak_id(body) == track_id:
            continue
        if kind == b"mvex":
            body = b"".join(
                BOX.pack(8 + stop - inner, part) + body[inner:stop]
                for part, inner, stop in boxes(body, 0, len(body))
                if part != b"trex" or U32.unpack_from(body, inner + 4)[0] != track_id
            )
        out += BOX.pack(8 + len(body), kind) + body
    return bytes(out)


def _trak_id(trak: bytes) -> int:
    for kind, start, _ in boxes(trak, 0, len(trak)):
        if kind == b"tkhd":
            found: int = U32.unpack_from(trak, start + (20 if trak[start] == 1 else 12))[0]
            return found
    return 0


def parse_fragment(data: bytes, init: InitSegment) -> ParsedFragment:
    """Read the runs of one `moof+mdat`; raises MediaFormatError."""
    try:
        return _parse_fragment(data, init)
    except struct.error as error:
        raise MediaFormatError("the fragment is cut off") from error


def _parse_fragment(data: bytes, init: InitSegment) -> ParsedFragment:
    size, kind = BOX.unpack_from(data, 0)
    if kind != b"moof" or size > len(data):
        raise MediaFormatError("a fragment must begin with a whole moof box")
    video = audio = None
    for part, start, end in boxes(data, 8, size):
        if part != b"traf":
            continue
        run = _parse_traf(data, start, end, init)
        if run is None:
            continue
        if run.track.kind == "video":
            video = run
        else:
            audio = run
    return ParsedFragment(video, audio)


def _parse_traf(data: bytes, start: int, end: int, init: InitSegment) -> TrackRun | None:
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
            _parse_trun(data, at, until, (duration, size, flags), samples, durations_at)
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
        if start + size > len(data):
            raise MediaFormatError("a sample lies outside its fragment")
        samples.append(Sample(start, size, duration, sample_flags, cts_offset))
        start += size


class NewRun(NamedTuple):
    """A track's share of a fragment to build; `payload` holds its samples one after another."""

    track: Track
    dts: int
    samples: Sequence[Sample]
    payload: bytes


def build_fragment(sequence: int, *runs: NewRun) -> bytes:
    """Return a `moof+mdat` with one run per track; the samples' `start` is not used."""
    trafs = [_build_traf(run, 0) for run in runs]
    moof_size = 8 + 16 + sum(len(traf) for traf in trafs)
    offset = moof_size + 8
    parts = [BOX.pack(moof_size, b"moof"), Struct(">I4sII").pack(16, b"mfhd", 0, sequence)]
    for run in runs:
        parts.append(_build_traf(run, offset))
        offset += len(run.payload)
    parts.append(BOX.pack(8 + offset - moof_size - 8, b"mdat"))
    parts.extend(run.payload for run in runs)
    return b"".join(parts)


def _build_traf(run: NewRun, data_offset: int) -> bytes:
    has_cts = any(sample.cts_offset for sample in run.samples)
    given = TRUN_DATA_OFFSET | TRUN_DURATION | TRUN_SIZE | TRUN_FLAGS
    given |= TRUN_CTS_OFFSET if has_cts else 0
    entries = bytearray()
    for sample in run.samples:
        entries += Struct(">III").pack(sample.duration, sample.size, sample.flags)
        if has_cts:
            entries += Struct(">i").pack(sample.cts_offset)
    trun = BOX.pack(20 + len(entries), b"trun") + Struct(">III").pack(
        given | 1 << 24,  # version 1: composition offsets are signed
        len(run.samples),
        data_offset,
    )
    tfhd = Struct(">I4sII").pack(16, b"tfhd", TFHD_DEFAULT_BASE_IS_MOOF, run.track.id)
    tfdt = Struct(">I4sIQ").pack(20, b"tfdt", 1 << 24, run.dts)
    size = 8 + len(tfhd) + len(tfdt) + len(trun) + len(entries)
    return BOX.pack(size, b"traf") + tfhd + tfdt + trun + bytes(entries)


def run_payload(data: bytes, run: TrackRun) -> bytes:
    """Return the bytes of a run's samples, one after another."""
    return b"".join([data[sample.start : sample.start + sample.size] for sample in run.samples])
