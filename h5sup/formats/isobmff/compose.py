"""An init segment with the tracks of two (ISO/IEC 14496-12 §8)."""

from __future__ import annotations

from dataclasses import replace

from h5sup.formats.isobmff.boxes import BOX, U32, boxes
from h5sup.formats.isobmff.init_segment import InitSegment


def with_sound_of(picture: InitSegment, sound: InitSegment) -> InitSegment:
    """Return `picture`, which has no sound of its own, with the sound track of another.

    Both must be fragmented: have an `mvex` (§8.8.1).
    """
    assert picture.video is not None
    assert sound.audio is not None
    track_id = picture.video.id + 1
    trak, trex = _find_track(sound, sound.audio.id, track_id)
    out = bytearray()
    for kind, start, end in boxes(picture.data, 0, len(picture.data)):
        body = picture.data[start:end]
        if kind == b"moov":
            body = _with_track(body, trak, trex)
        out += _box(kind, body)
    return InitSegment(bytes(out), picture.video, replace(sound.audio, id=track_id))


def _with_track(moov: bytes, trak: bytes, trex: bytes) -> bytes:
    """Return the content of a `moov` with one track more; its traks lie before its mvex or not."""
    out = bytearray()
    for kind, start, end in boxes(moov, 0, len(moov)):
        body = moov[start:end]
        if kind == b"mvex":
            body += trex
        out += _box(kind, body)
        if kind == b"trak":
            out += trak
    return bytes(out)


def _find_track(init: InitSegment, track_id: int, new_id: int) -> tuple[bytes, bytes]:
    """Return the `trak` and `trex` of a track, with another number."""
    trak = trex = b""
    for kind, start, end in boxes(init.data, 0, len(init.data)):
        if kind != b"moov":
            continue
        for part, inner, stop in boxes(init.data, start, end):
            body = init.data[inner:stop]
            if part == b"trak" and (renamed := _renamed(body, track_id, new_id)):
                trak = _box(part, renamed)
            elif part == b"mvex":
                trex = _find_trex(body, track_id, new_id)
    return trak, trex


def _find_trex(mvex: bytes, track_id: int, new_id: int) -> bytes:
    for kind, start, end in boxes(mvex, 0, len(mvex)):
        if kind == b"trex" and U32.unpack_from(mvex, start + 4)[0] == track_id:  # §8.8.3
            body = bytearray(mvex[start:end])
            U32.pack_into(body, 4, new_id)
            return _box(kind, bytes(body))
    return b""


def _renamed(trak: bytes, track_id: int, new_id: int) -> bytes:
    """Return the content of a `trak` with another number; nothing if it is another track's."""
    for kind, start, _ in boxes(trak, 0, len(trak)):
        if kind == b"tkhd":  # §8.3.2
            at = start + (20 if trak[start] == 1 else 12)
            if U32.unpack_from(trak, at)[0] == track_id:
                body = bytearray(trak)
                U32.pack_into(body, at, new_id)
                return bytes(body)
    return b""


def _box(kind: bytes, body: bytes) -> bytes:
    return BOX.pack(8 + len(body), kind) + body
