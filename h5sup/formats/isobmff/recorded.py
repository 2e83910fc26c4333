"""A recorded file: a fragmented MP4 while it grows, an ordinary MP4 once closed.

While it grows (ISO/IEC 14496-12 §8.8, docs/recording.md says why):

    ftyp | free: the note | free: 16 bytes | moov | [prft moof mdat [moof mdat ...]] per GOP

Closed, a table of the GOPs and a `moov` with all samples are behind that, and the second `free`
has become the head of an `mdat` that holds all media, the first `moov` included:

    ftyp | free: the note | mdat ............................................ | uuid | moov

Bytes in, bytes out: who records does the writing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from struct import Struct
from typing import Protocol

from h5sup.base.errors import MediaFormatError
from h5sup.formats.isobmff.boxes import BOX, BOX_HEADER_LENGTH, boxes
from h5sup.formats.isobmff.fragment import ParsedFragment, Sample, TrackRun
from h5sup.formats.isobmff.gop_table import PRFT, SECOND_US, GopTable, StoredGop, build_prft
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.formats.isobmff.laying import Buffer as Buffer
from h5sup.formats.isobmff.laying import Clock, lay_gop
from h5sup.formats.isobmff.sample_tables import SampleTable, build_movie
from h5sup.formats.isobmff.track import Track

NOTE_VERSION = "h5sup"  # the key whose value tells which version of this layout a file has
LAYOUT = "1"
PLACE_HOLDER = Struct(">I4s8x").pack(16, b"free")
MEDIA_HEADER = Struct(">I4sQ")  # an mdat of 64 bits: as long as the place holder
MAX_NOTE_BYTES = 64 * 1024
MAX_GOP_BYTES = 1 << 31  # offsets within a GOP have 32 bits


class Recordable(Protocol):
    """A fragment as the bus hands it out; it stays as it is."""

    @property
    def data(self) -> bytes:
        """`moof+mdat`."""


@dataclass(frozen=True, slots=True)
class Closing:
    """What makes a growing file an ordinary one: append `tail`, sync, overwrite, sync."""

    tail: bytes
    patch_at: int
    patch: bytes


class Contents:
    """What a file holds so far: its GOPs and the tables of all samples."""

    def __init__(self, init: InitSegment) -> None:
        self.gops = GopTable()
        self.video = SampleTable(video_track(init))
        self.sound = SampleTable(init.audio) if init.audio else None
        self._moov = split_init(init.data)[1]
        self._try_closing(init)

    def _try_closing(self, init: InitSegment) -> None:
        """Raise MediaFormatError now rather than at the end if the init segment is no good."""
        trial = [SampleTable(track) for track in (init.video, init.audio) if track]
        for table in trial:
            table.add(0, 0, TrackRun(table.track, 0, 0, (Sample(0, 1, 1, 0, 0),), ()))
        build_movie(self._moov, trial)

    def add(self, gop_offset: int, fragment_offset: int, fragment: ParsedFragment) -> None:
        """Note the samples of a fragment that lies so far into its GOP."""
        video, sound = fragment.video, fragment.audio
        if video is not None:
            self.video.add(gop_offset, fragment_offset, video)
        if sound is not None and self.sound is not None:
            self.sound.add(gop_offset, fragment_offset, sound)

    def close(self, patch_at: int, end: int) -> Closing:
        """Return what closes a file whose media ends at `end`; raises MediaFormatError."""
        if not len(self.video):
            raise MediaFormatError("a recording without a picture can't be closed")
        tables = [self.video, self.sound] if self.sound else [self.video]
        tail = self.gops.to_box() + build_movie(self._moov, tables)
        return Closing(tail, patch_at, MEDIA_HEADER.pack(1, b"mdat", end - patch_at))


class MovieWriter:
    """Builds one file. Not for several threads; nothing is written here.

    Its timeline starts at 0 and its pictures have no hole: where the channel's times jump, as
    after an outage, they go on without a pause, and the GOPs' wall times tell of it.
    """

    def __init__(self, init: InitSegment, note: Mapping[str, str]) -> None:
        self.init = init
        self.head, self._patch_at = build_head(init, note)
        self.size_bytes = len(self.head)
        """How long the file is, once all that was returned is written."""
        self._contents = Contents(init)
        self._clock = self._clock_before = Clock()
        # (offset in the GOP, fragment): in the tables once the next GOP is there
        self._newest: list[tuple[int, ParsedFragment]] = []

    @property
    def gops(self) -> GopTable:
        """Return the GOPs so far."""
        return self._contents.gops

    @property
    def end_us(self) -> int:
        """Return the wall time at which the newest GOP ends; 0 before the first."""
        if not self.gops:
            return 0
        return end_of(self.gops[-1], self._contents.video.track)

    def add_gop(self, fragments: Sequence[Recordable], wall_us: int) -> list[Buffer]:
        """Return what to append for a GOP whose first picture was taken at `wall_us`.

        The fragments' media is shared, not copied: two buffers per fragment, so mind IOV_MAX. If
        it can't be written, call `take_back()`. Raises MediaFormatError and changes nothing when
        the GOP does not begin with a key picture or its times go back.
        """
        laid = lay_gop(self.init, self._clock, [one.data for one in fragments])
        prft = build_prft(self._contents.video.track.id, wall_us, laid.dts)
        size = len(prft) + sum(part.size for part in laid.parts)
        if size > MAX_GOP_BYTES:
            raise MediaFormatError(f"a GOP of {size} bytes can't be recorded")
        self._note_newest()
        self._clock_before, self._clock = self._clock, laid.clock
        offsets = accumulate((part.size for part in laid.parts), initial=PRFT.size)
        self._newest = [(at, part.parsed) for at, part in zip(offsets, laid.parts, strict=False)]
        duration = laid.clock.video_next - laid.dts
        self.gops.append(StoredGop(self.size_bytes, size, laid.dts, duration, wall_us))
        self.size_bytes += size
        return [prft, *laid.buffers()]

    def take_back(self) -> None:
        """Forget the newest GOP, once: it could not be written."""
        self.size_bytes = self.gops[-1].offset
        self.gops.pop()
        self._clock, self._newest = self._clock_before, []

    def close(self) -> Closing:
        """Return what makes the file an ordinary MP4; raises MediaFormatError without pictures."""
        self._note_newest()
        return self._contents.close(self._patch_at, self.size_bytes)

    def _note_newest(self) -> None:
        for offset, parsed in self._newest:
            self._contents.add(self.gops[-1].offset, offset, parsed)
        self._newest = []


def build_head(init: InitSegment, note: Mapping[str, str]) -> tuple[bytes, int]:
    """Return what a file begins with, and where its place holder lies."""
    kind, moov = split_init(init.data)
    text = json.dumps({NOTE_VERSION: LAYOUT, **note})
    size = len(kind) + BOX_HEADER_LENGTH + len(text)
    # Sixteen bytes at a multiple of sixteen lie in one sector: they are overwritten at once.
    text += " " * (-size % len(PLACE_HOLDER))
    if len(text) > MAX_NOTE_BYTES:
        raise MediaFormatError(f"a note of {len(text)} bytes is too long for a recording")
    told = kind + BOX.pack(BOX_HEADER_LENGTH + len(text), b"free") + text.encode("ascii")
    moov_box = BOX.pack(BOX_HEADER_LENGTH + len(moov), b"moov") + moov
    return told + PLACE_HOLDER + moov_box, len(told)


def split_init(data: bytes) -> tuple[bytes, bytes]:
    """Return the `ftyp` box and the content of `moov`; raises MediaFormatError."""
    found = {kind: data[start:end] for kind, start, end in boxes(data, 0, len(data))}
    if found.keys() != {b"ftyp", b"moov"}:
        raise MediaFormatError("an init segment must be ftyp and moov to be recorded")
    kind = found[b"ftyp"]
    return BOX.pack(BOX_HEADER_LENGTH + len(kind), b"ftyp") + kind, found[b"moov"]


def video_track(init: InitSegment) -> Track:
    """Return the track whose times are those of the file; raises MediaFormatError."""
    if init.video is None:
        raise MediaFormatError("a recording needs a video track")
    return init.video


def end_of(gop: StoredGop, video: Track) -> int:
    """Return the wall time at which a GOP ends."""
    return gop.wall_us + gop.duration * SECOND_US // video.timescale
