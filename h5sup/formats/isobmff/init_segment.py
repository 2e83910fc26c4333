"""`ftyp` + `moov`: read, and written anew with a track less (ISO/IEC 14496-12 §8)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from struct import Struct

from h5sup.base.errors import MediaFormatError
from h5sup.formats.isobmff.boxes import BOX, U32, boxes, children
from h5sup.formats.isobmff.sample_entry import SampleEntry, describe_audio, describe_video
from h5sup.formats.isobmff.track import Kind, Track


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


def parse_init(data: bytes) -> InitSegment:
    """Read the tracks of an init segment; raises MediaFormatError."""
    try:
        return _parse_init(data)
    except (struct.error, IndexError) as error:
        raise MediaFormatError("the init segment is cut off") from error


def _parse_init(data: bytes) -> InitSegment:
    defaults: dict[int, tuple[int, int, int]] = {}
    found: list[Track] = []
    for kind, start, end in children(data, 0, len(data), b"moov"):
        if kind == b"mvex":
            defaults |= dict(_parse_trex(data, start, end))
    for kind, start, end in children(data, 0, len(data), b"moov"):
        if kind == b"trak" and (track := _parse_trak(data, start, end, defaults)):
            found.append(track)
    video = next((track for track in found if track.kind == "video"), None)
    audio = next((track for track in found if track.kind == "audio"), None)
    if video is None and audio is None:
        raise MediaFormatError("the init segment has neither video nor audio")
    return InitSegment(data, video, audio)


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
    entry: SampleEntry | None = None
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
    describe = describe_video if handler == b"vide" else describe_audio
    return replace(
        describe(data, entry),
        id=track_id,
        timescale=timescale,
        default_duration=duration,
        default_size=size,
        default_flags=flags,
    )


def _find_sample_entry(data: bytes, start: int, end: int) -> SampleEntry:
    for kind, inner, stop in children(data, start, end, b"stbl"):
        if kind == b"stsd":  # §8.5.2
            return next(boxes(data, inner + 8, stop), (b"", 0, 0))
    raise MediaFormatError("a track has no sample description")


def without_audio(init: InitSegment) -> InitSegment:
    """Return the init segment with its audio track taken out."""
    if init.audio is None or init.video is None:
        return init
    return InitSegment(_without(init.data, init.audio.id), init.video, None)


def without_video(init: InitSegment) -> InitSegment:
    """Return the init segment with its video track taken out."""
    if init.audio is None or init.video is None:
        return init
    return InitSegment(_without(init.data, init.video.id), None, init.audio)


def _without(data: bytes, track_id: int) -> bytes:
    out = bytearray()
    for kind, start, end in boxes(data, 0, len(data)):
        body = data[start:end]
        if kind == b"moov":
            body = _without_track(body, track_id)
        out += BOX.pack(8 + len(body), kind) + body
    return bytes(out)


def _without_track(moov: bytes, track_id: int) -> bytes:
    out = bytearray()
    for kind, start, end in boxes(moov, 0, len(moov)):
        body = moov[start:end]
        if kind == b"trak" and trak_id(body) == track_id:
            continue
        if kind == b"mvex":
            body = b"".join(
                BOX.pack(8 + stop - inner, part) + body[inner:stop]
                for part, inner, stop in boxes(body, 0, len(body))
                if part != b"trex" or U32.unpack_from(body, inner + 4)[0] != track_id
            )
        out += BOX.pack(8 + len(body), kind) + body
    return bytes(out)


def track_box(init: InitSegment, kind: Kind) -> bytes:
    """Return the content of a track's `trak`, empty if there is none: alike for alike media."""
    track = init.video if kind == "video" else init.audio
    if track is not None:
        for name, start, end in children(init.data, 0, len(init.data), b"moov"):
            if name == b"trak" and trak_id(init.data[start:end]) == track.id:
                return init.data[start:end]
    return b""


def trak_id(trak: bytes) -> int:
    """Return the number of the track whose `trak` has this content, 0 if it tells none."""
    for kind, start, _ in boxes(trak, 0, len(trak)):
        if kind == b"tkhd":
            found: int = U32.unpack_from(trak, start + (20 if trak[start] == 1 else 12))[0]
            return found
    return 0
