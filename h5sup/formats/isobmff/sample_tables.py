"""The `moov` that closes a recorded file: every sample of it (ISO/IEC 14496-12 §8.5 to §8.7).

What it needs is kept in arrays while the file grows: some 650 bytes per second of media at 25
pictures a second with sound, some 300 without.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Sequence
from struct import Struct

from h5sup.base.errors import MediaFormatError
from h5sup.formats.isobmff.boxes import BOX, U32, boxes
from h5sup.formats.isobmff.fragment import SAMPLE_IS_NON_SYNC, Sample, TrackRun
from h5sup.formats.isobmff.gop_table import big_endian
from h5sup.formats.isobmff.init_segment import trak_id
from h5sup.formats.isobmff.track import Track

MAX_U16 = 0xFFFF
MAX_U32 = 0xFFFFFFFF
NORMAL_RATE = 1 << 16  # of an edit: 1.0
EMPTY_EDIT = -1
MAX_HOLE = 1 << 31  # so much longer a sample can get: twelve hours of sound that did not come
MAX_S = 1 << 31  # 68 years; times in any scale fit into 64 bits
# Two dates, the time scale, the duration: in version 0, in version 1.
HEADERS = (Struct(">IIII"), Struct(">QQIQ"))
TRACK_HEADERS = (Struct(">III4xI"), Struct(">QQI4xQ"))  # the track's number, and 4 bytes more


class SampleTable:
    """What is known of all samples of one track; times in its ticks from the file's start."""

    def __init__(self, track: Track) -> None:
        self.track = track
        self.first_dts = 0
        self.next_dts = 0
        """Where the newest sample ends."""
        self.shown_until = 0
        """When the last picture is over: with B-frames later than `next_dts`."""
        self._sizes = array("I")
        self._durations = _RunLengths()
        self._cts_offsets = array("i")  # of all samples, once one has any
        self._sync = array("I")  # numbers of the samples that decoding can start at, from 1
        self._gop_offsets = array("Q")
        self._gop_chunks = array("I")  # so many chunks each GOP has of this track
        self._chunk_offsets = array("I")  # from the GOP's beginning
        self._chunk_samples = array("H")

    def __len__(self) -> int:
        return len(self._sizes)

    @property
    def expected(self) -> int | None:
        """Return where the next run should begin; None for anywhere."""
        return self.next_dts if self._sizes else None

    def add(self, gop_offset: int, fragment_offset: int, run: TrackRun) -> None:
        """Add a run of a fragment that lies so far into its GOP; raises MediaFormatError.

        A hole before it is filled by the sample before: it lasts longer.
        """
        dts = run.dts
        end_of_run(run, self.expected)
        if not self._sizes:
            self.first_dts = self.next_dts = dts
        if dts > self.next_dts:
            self._durations.lengthen(dts - self.next_dts)
        if not self._gop_offsets or self._gop_offsets[-1] != gop_offset:
            self._gop_offsets.append(gop_offset)
            self._gop_chunks.append(0)
        end = -1
        for sample in run.samples:
            if sample.start != end or self._chunk_samples[-1] == MAX_U16:
                self._chunk_offsets.append(fragment_offset + sample.start)
                self._chunk_samples.append(0)
                self._gop_chunks[-1] += 1
            self._chunk_samples[-1] += 1
            end = sample.start + sample.size
            self._add_sample(sample, dts)
            dts += sample.duration
        self.next_dts = dts

    def _add_sample(self, sample: Sample, dts: int) -> None:
        self._sizes.append(sample.size)
        self._durations.append(sample.duration)
        if sample.cts_offset and not self._cts_offsets:
            self._cts_offsets.extend([0] * (len(self._sizes) - 1))
        if sample.cts_offset or self._cts_offsets:
            self._cts_offsets.append(sample.cts_offset)
        if self.track.kind == "video" and not sample.flags & SAMPLE_IS_NON_SYNC:
            self._sync.append(len(self._sizes))
        self.shown_until = max(self.shown_until, dts + sample.duration + sample.cts_offset)

    def to_box(self, description: bytes) -> bytes:
        """Return `stbl`; `description` is the `stsd` box of the init segment."""
        tables = [description, _full(b"stts", 0, *self._durations.to_table())]
        if self._cts_offsets:
            tables.append(self._cts_box())
        if self.track.kind == "video" and len(self._sync) < len(self._sizes):
            tables.append(_full(b"stss", 0, _count(self._sync), big_endian(self._sync)))
        tables.append(_full(b"stsc", 0, *self._chunk_table()))
        tables.append(_full(b"stsz", 0, bytes(4), _count(self._sizes), big_endian(self._sizes)))
        tables.append(self._offsets_box())
        return _box(b"stbl", *tables)

    def _cts_box(self) -> bytes:
        """Return `ctts`; in version 1 offsets are signed (§8.6.1.3)."""
        runs = _RunLengths("i")
        for offset in self._cts_offsets:
            runs.append(offset)
        return _full(b"ctts", int(min(self._cts_offsets) < 0), *runs.to_table())

    def _chunk_table(self) -> Iterator[bytes]:
        """Yield the content of `stsc`: from which chunk on each holds how many samples."""
        table = array("I")
        for number, samples in enumerate(self._chunk_samples, 1):
            if not table or table[-2] != samples:
                table.extend((number, samples, 1))
        yield U32.pack(len(table) // 3)
        yield big_endian(table)

    def _offsets_box(self) -> bytes:
        offsets = array("Q", self._absolute_offsets())
        if offsets[-1] <= MAX_U32:  # as old players read only these
            return _full(b"stco", 0, _count(offsets), big_endian(array("I", offsets)))
        return _full(b"co64", 0, _count(offsets), big_endian(offsets))

    def _absolute_offsets(self) -> Iterator[int]:
        chunks = iter(self._chunk_offsets)
        for offset, count in zip(self._gop_offsets, self._gop_chunks, strict=True):
            for _ in range(count):
                yield offset + next(chunks)


def end_of_run(run: TrackRun, expected: int | None) -> int:
    """Return where a run ends that goes on at `expected` or a little later.

    Raises MediaFormatError when it can't.
    """
    end = run.dts + run.duration
    late = 0 if expected is None else run.dts - expected
    if not 0 <= late <= MAX_HOLE:
        raise MediaFormatError(f"{run.track.kind} can't go on {late} ticks off its end")
    if end > run.track.timescale * MAX_S:
        raise MediaFormatError("the recording is longer than a file can be")
    return end


class _RunLengths:
    """Numbers that mostly repeat, as `stts` and `ctts` hold them."""

    def __init__(self, typecode: str = "I") -> None:
        self._counts = array("I")
        self._values: array[int] = array(typecode)

    def append(self, value: int) -> None:
        if self._values and self._values[-1] == value:
            self._counts[-1] += 1
        else:
            self._counts.append(1)
            self._values.append(value)

    def lengthen(self, more: int) -> None:
        """Add to the last number alone."""
        value = min(self._values[-1] + more, MAX_U32)
        self._counts[-1] -= 1
        if not self._counts[-1]:
            self._counts.pop()
            self._values.pop()
        self.append(value)

    def to_table(self) -> Iterator[bytes]:
        yield _count(self._counts)
        pair = Struct(f">I{self._values.typecode}")
        yield b"".join(map(pair.pack, self._counts, self._values))


def build_movie(moov: bytes, tables: Sequence[SampleTable]) -> bytes:
    """Return the `moov` of a whole file out of an init segment's; raises MediaFormatError.

    All tracks share one timeline, in ticks of the first table's track. A track without samples
    is left out: players take it for damage.
    """
    try:
        return _build_movie(moov, tables)
    except (struct.error, IndexError) as error:
        raise MediaFormatError("the init segment is cut off") from error


def _build_movie(moov: bytes, tables: Sequence[SampleTable]) -> bytes:
    by_id = {table.track.id: table for table in tables if len(table)}
    scale = tables[0].track.timescale
    parts: list[bytes] = []
    longest = max(_in_movie(table.shown_until, table, scale) for table in by_id.values())
    for kind, start, end in boxes(moov, 0, len(moov)):
        body = moov[start:end]
        if kind == b"mvhd":
            parts.append(_header(b"mvhd", body, longest, scale))
        elif kind == b"trak":
            table = by_id.get(trak_id(body))
            if table is not None:
                parts.append(_build_trak(body, table, scale))
        elif kind != b"mvex":
            parts.append(_box(kind, body))
    return _box(b"moov", *parts)


def _in_movie(ticks: int, table: SampleTable, scale: int) -> int:
    """Return a track's time in ticks of the movie, rounded up: no picture is to be cut off."""
    return -(-ticks * scale // table.track.timescale)


def _build_trak(trak: bytes, table: SampleTable, scale: int) -> bytes:
    parts: list[bytes] = []
    for kind, start, end in boxes(trak, 0, len(trak)):
        body = trak[start:end]
        if kind == b"tkhd":
            parts.append(_header(b"tkhd", body, _in_movie(table.shown_until, table, scale)))
            parts.append(_edits(table, scale))
        elif kind == b"mdia":
            parts.append(_build_mdia(body, table))
        elif kind != b"edts":
            parts.append(_box(kind, body))
    return _box(b"trak", *parts)


def _edits(table: SampleTable, scale: int) -> bytes:
    """Return `edts` for a track that begins later than the file (§8.6.6), else nothing."""
    if not table.first_dts:
        return b""
    late = table.first_dts * scale // table.track.timescale
    shown = _in_movie(table.shown_until - table.first_dts, table, scale)
    entry = Struct(">QqI" if max(late, shown) > MAX_U32 else ">IiI")
    edits = entry.pack(late, EMPTY_EDIT, NORMAL_RATE) + entry.pack(shown, 0, NORMAL_RATE)
    return _box(b"edts", _full(b"elst", int(entry.size == 20), U32.pack(2), edits))


def _build_mdia(mdia: bytes, table: SampleTable) -> bytes:
    parts: list[bytes] = []
    for kind, start, end in boxes(mdia, 0, len(mdia)):
        body = mdia[start:end]
        if kind == b"mdhd":
            parts.append(_header(b"mdhd", body, table.next_dts - table.first_dts))
        elif kind == b"minf":
            parts.append(_build_minf(body, table))
        else:
            parts.append(_box(kind, body))
    return _box(b"mdia", *parts)


def _build_minf(minf: bytes, table: SampleTable) -> bytes:
    parts: list[bytes] = []
    for kind, start, end in boxes(minf, 0, len(minf)):
        body = minf[start:end]
        if kind == b"stbl":
            parts.append(table.to_box(_description(body)))
        else:
            parts.append(_box(kind, body))
    return _box(b"minf", *parts)


def _description(stbl: bytes) -> bytes:
    found = boxes(stbl, 0, len(stbl))
    return b"".join(_box(kind, stbl[at:end]) for kind, at, end in found if kind == b"stsd")


def _header(kind: bytes, body: bytes, duration: int, scale: int | None = None) -> bytes:
    """Return `mvhd`, `tkhd` or `mdhd` with a duration, and a time scale if one is given.

    Version 1 has 64 bits for the two dates and the duration (§8.2.2, §8.3.2, §8.4.2); old players
    know version 0 alone, so that is written as long as it does.
    """
    forms = TRACK_HEADERS if kind == b"tkhd" else HEADERS
    given = forms[body[0] == 1]
    if len(body) < 4 + given.size:
        raise MediaFormatError(f"box {kind.decode()!r} is cut off")
    created, modified, middle, _ = given.unpack_from(body, 4)
    version = max(created, modified, duration) > MAX_U32
    packed = forms[version].pack(created, modified, middle if scale is None else scale, duration)
    return _box(kind, bytes((version,)), body[1:4], packed, body[4 + given.size :])


def _count(values: array[int]) -> bytes:
    return U32.pack(len(values))


def _box(kind: bytes, *content: bytes) -> bytes:
    size = BOX.size + sum(map(len, content))
    return b"".join((BOX.pack(size, kind), *content))


def _full(kind: bytes, version: int, *content: bytes) -> bytes:
    return _box(kind, U32.pack(version << 24), *content)
