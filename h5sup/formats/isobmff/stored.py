"""Recorded files read back: finished, growing, or cut off anywhere by a power cut.

The file is read through a `Read`, so that nothing here knows where it lies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from h5sup.base.errors import MediaFormatError
from h5sup.formats.isobmff.boxes import BOX, BOX_HEADER_LENGTH, LARGE_HEADER_LENGTH, U64
from h5sup.formats.isobmff.fragment import SAMPLE_IS_NON_SYNC, ParsedFragment, parse_fragment
from h5sup.formats.isobmff.gop_table import PRFT, GopTable, StoredGop, parse_gop_table, parse_prft
from h5sup.formats.isobmff.init_segment import InitSegment, parse_init
from h5sup.formats.isobmff.reader import MAX_BOX_BYTES
from h5sup.formats.isobmff.recorded import (
    LAYOUT,
    MAX_GOP_BYTES,
    MAX_NOTE_BYTES,
    MEDIA_HEADER,
    NOTE_VERSION,
    PLACE_HOLDER,
    Closing,
    Contents,
    end_of,
    video_track,
)
from h5sup.formats.isobmff.sample_tables import end_of_run

MAX_HEAD_BYTES = 1 << 20  # of a box before the media; a larger claim is damage

Read = Callable[[int, int], bytes]
"""Returns so many bytes from an offset on, fewer at the end of the file."""


@dataclass(frozen=True, slots=True)
class StoredMovie:
    """A recorded file, as far as it is whole."""

    init: InitSegment
    note: Mapping[str, str]
    gops: GopTable
    is_finished: bool
    """It was closed: every player takes it, and it grows no more."""

    @property
    def end_us(self) -> int:
        """Return the wall time at which the last GOP ends; 0 without any."""
        return end_of(self.gops[-1], video_track(self.init)) if self.gops else 0


@dataclass(frozen=True, slots=True)
class Recovery:
    """What makes a file that was never closed a closed one.

    Cut it to `keep_bytes`, then append, sync, overwrite and sync as `closing` says. If that is
    cut short too, the file can be recovered again. A finished file keeps all and has no `closing`.
    One that holds no picture keeps nothing and has no `movie`: it can be deleted.
    """

    keep_bytes: int = 0
    closing: Closing | None = None
    movie: StoredMovie | None = None


def read_movie(read: Read, size_bytes: int, known: StoredMovie | None = None) -> StoredMovie:
    """Read what a file holds; raises MediaFormatError if h5sup has not recorded it.

    A growing file is scanned from box to box, but not again what is `known` from before.
    """
    head = _read_head(read, size_bytes)
    if (gops := _finished_table(read, size_bytes, head)) is not None:
        return StoredMovie(head.init, head.note, gops, is_finished=True)
    gops, begin = GopTable(), head.media_at
    if known is not None and known.gops:  # its last GOP may have been half there
        gops, begin = known.gops.copy(len(known.gops) - 1), known.gops[-1].offset
    newest: _Found | None = None
    for found in _scan(read, size_bytes, begin):
        if newest is not None:
            if found.dts <= newest.dts:
                break
            gops.append(newest.to_gop(found.dts))
        newest = found
    if newest is not None and (gop := _take(read, newest, Contents(head.init), head.init)):
        gops.append(gop)
    return StoredMovie(head.init, head.note, gops, is_finished=False)


def read_init(read: Read, size_bytes: int) -> InitSegment:
    """Return the init segment alone; raises MediaFormatError if it is no recording of h5sup."""
    return _read_head(read, size_bytes).init


def recover(read: Read, size_bytes: int) -> Recovery:
    """Return how to close a file after its last whole fragment.

    Raises MediaFormatError if h5sup has not recorded it.
    """
    try:
        head = _read_head(read, size_bytes)
    except _CutOffError:
        return Recovery()
    if (gops := _finished_table(read, size_bytes, head)) is not None:
        return Recovery(size_bytes, None, StoredMovie(head.init, head.note, gops, True))
    contents, end = Contents(head.init), 0
    for found in _scan(read, size_bytes, head.media_at):
        whole_end = found.end
        gop = _take(read, found, contents, head.init)
        if gop is None:
            break
        contents.gops.append(gop)
        end = gop.offset + gop.size
        if end != whole_end:
            break
    if not end:
        return Recovery()
    movie = StoredMovie(head.init, head.note, contents.gops, is_finished=True)
    return Recovery(end, contents.close(head.patch_at, end), movie)


class _CutOffError(MediaFormatError):
    """The file ends before it should."""


class _Head(NamedTuple):
    init: InitSegment
    note: Mapping[str, str]
    patch_at: int
    media_at: int
    """Where the first GOP lies."""


class _Fragment(NamedTuple):
    offset: int
    moof_bytes: int
    size: int


@dataclass(slots=True)
class _Found:
    """A GOP found by its boxes; its fragments have not been looked into."""

    offset: int
    wall_us: int
    dts: int
    fragments: list[_Fragment] = field(default_factory=list)

    @property
    def end(self) -> int:
        """Return where its last whole fragment ends."""
        last = self.fragments[-1]
        return last.offset + last.size

    def to_gop(self, end_dts: int) -> StoredGop:
        """Return it as the file's table has it."""
        size, duration = self.end - self.offset, end_dts - self.dts
        return StoredGop(self.offset, size, self.dts, duration, self.wall_us)


def _read_head(read: Read, size_bytes: int) -> _Head:
    kind = _read_box(read, 0, b"ftyp", size_bytes)
    told = _read_box(read, len(kind), b"free", size_bytes)
    note = _parse_note(told[BOX_HEADER_LENGTH:])
    patch_at = len(kind) + len(told)
    moov_at = patch_at + len(PLACE_HOLDER)
    moov = _read_box(read, moov_at, b"moov", size_bytes)
    init = parse_init(kind + moov)
    video_track(init)
    return _Head(init, note, patch_at, moov_at + len(moov))


def _read_box(read: Read, at: int, wanted: bytes, size_bytes: int) -> bytes:
    """Return a whole small box of the head; its size has 32 bits."""
    header = read(at, BOX_HEADER_LENGTH)
    if len(header) < BOX_HEADER_LENGTH:
        raise _CutOffError("the recording ends within its head")
    size, kind = BOX.unpack(header)
    if kind != wanted or not BOX_HEADER_LENGTH <= size <= MAX_HEAD_BYTES:
        raise MediaFormatError(f"this is no recording of h5sup: it lacks {wanted.decode()!r}")
    if at + size > size_bytes:
        raise _CutOffError("the recording ends within its head")
    return _read_whole(read, at, size)


def _parse_note(text: bytes) -> dict[str, str]:
    try:
        note = json.loads(text) if len(text) <= MAX_NOTE_BYTES else None
    except (ValueError, RecursionError):
        note = None
    if not isinstance(note, dict) or not all(isinstance(one, str) for one in note.values()):
        raise MediaFormatError("this is no recording of h5sup: it has no note")
    if note.pop(NOTE_VERSION, None) != LAYOUT:
        raise MediaFormatError("the recording is of another version of h5sup")
    return note


def _finished_table(read: Read, size_bytes: int, head: _Head) -> GopTable | None:
    """Return the GOPs of a file that was closed, None if it was not or its end is damaged."""
    size, kind, length = MEDIA_HEADER.unpack(_read_whole(read, head.patch_at, MEDIA_HEADER.size))
    if (size, kind) != (1, b"mdat"):
        return None
    media_end = head.patch_at + length
    table = _find_box(read, media_end, size_bytes)
    movie = _find_box(read, table.end, size_bytes) if table else None
    if table is None or movie is None or (movie.kind, movie.end) != (b"moov", size_bytes):
        return None
    try:
        gops = parse_gop_table(_read_whole(read, table.at, table.end - table.at))
    except MediaFormatError:
        return None
    return gops if _is_consistent(gops, head.media_at, media_end) else None


def _is_consistent(gops: GopTable, begin: int, end: int) -> bool:
    """Return whether the GOPs fill the media from end to end."""
    for gop in gops:
        if gop.offset != begin or not gop.size or not gop.duration:
            return False
        begin += gop.size
    return begin == end


class _Box(NamedTuple):
    kind: bytes
    at: int
    end: int
    header: bytes


def _find_box(read: Read, at: int, size_bytes: int) -> _Box | None:
    """Return the box at an offset, or None if there is no whole one."""
    header = read(at, PRFT.size)
    if len(header) < BOX_HEADER_LENGTH:
        return None
    size, kind = BOX.unpack_from(header)
    least = BOX_HEADER_LENGTH
    if size == 1 and len(header) >= LARGE_HEADER_LENGTH:
        size, least = U64.unpack_from(header, BOX_HEADER_LENGTH)[0], LARGE_HEADER_LENGTH
    if not least <= size <= size_bytes - at:
        return None
    return _Box(kind, at, at + size, header)


def _scan(read: Read, size_bytes: int, at: int) -> Iterator[_Found]:
    """Yield the GOPs from an offset on, up to a box that is none of theirs or not whole."""
    found: _Found | None = None
    while box := _find_box(read, at, size_bytes):
        if box.kind == b"prft" and box.end - at == PRFT.size:
            if found is not None and found.fragments:
                yield found
            try:
                found = _Found(at, *parse_prft(box.header))
            except MediaFormatError:
                return
        elif box.kind == b"moof" and found is not None and box.end - at <= MAX_BOX_BYTES:
            media = _find_box(read, box.end, size_bytes)
            if media is None or media.kind != b"mdat" or media.end - found.offset > MAX_GOP_BYTES:
                break
            found.fragments.append(_Fragment(at, box.end - at, media.end - at))
            box = media
        else:
            break
        at = box.end
    if found is not None and found.fragments:
        yield found


def _take(read: Read, found: _Found, contents: Contents, init: InitSegment) -> StoredGop | None:
    """Add a GOP up to a damaged fragment, and return it so; None, and nothing, without picture."""
    whole = list(_whole_fragments(read, found, contents, init))
    pictures = [parsed.video for _, parsed in whole if parsed.video is not None]
    if not pictures or pictures[0].samples[0].flags & SAMPLE_IS_NON_SYNC:
        return None
    for fragment, parsed in whole:
        contents.add(found.offset, fragment.offset - found.offset, parsed)
    found.fragments = [fragment for fragment, _ in whole]
    return found.to_gop(contents.video.next_dts)


def _whole_fragments(
    read: Read, found: _Found, contents: Contents, init: InitSegment
) -> Iterator[tuple[_Fragment, ParsedFragment]]:
    """Yield the fragments up to one that is damaged or goes back before the one before it."""
    video_next: int | None = max(contents.video.next_dts, found.dts)
    sound_next = contents.sound.expected if contents.sound else None
    for fragment in found.fragments:
        moof = _read_whole(read, fragment.offset, fragment.moof_bytes)
        try:
            parsed = parse_fragment(moof, init, fragment.size)
            if parsed.video is not None:
                video_next = end_of_run(parsed.video, video_next)
            if parsed.audio is not None:
                sound_next = end_of_run(parsed.audio, sound_next)
        except MediaFormatError:
            return
        if parsed.video is None and parsed.audio is None:
            return
        yield fragment, parsed


def _read_whole(read: Read, at: int, size: int) -> bytes:
    data = read(at, size)
    if len(data) < size:
        raise _CutOffError("the recording was cut while it was read")
    return data
