"""Init segments with other tracks than they came with (ISO/IEC 14496-12 §8)."""

from __future__ import annotations

from dataclasses import replace
from struct import pack

from h5sup.formats.isobmff.boxes import BOX, U32, boxes
from h5sup.formats.isobmff.init_segment import InitSegment, parse_init

OPUS_RATE_HZ = 48_000
OPUS_PRE_SKIP = 312  # what libopus begins with for low delay (RFC 7845 §4.2)
MATRIX = pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)  # §6.2.2: as it is


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


def build_opus(channels: int) -> InitSegment:
    """Return an init segment with a track of Opus alone (Opus in ISOBMFF §4.3)."""
    dops = pack(">BBHIhB", 0, channels, OPUS_PRE_SKIP, OPUS_RATE_HZ, 0, 0)
    entry = bytes(6) + pack(">HQHHII", 1, 0, channels, 16, 0, OPUS_RATE_HZ << 16)
    stsd = pack(">II", 0, 1) + _box(b"Opus", entry + _box(b"dOps", dops))
    tables = [(b"stsd", stsd), (b"stts", bytes(8)), (b"stsc", bytes(8)), (b"stsz", bytes(12))]
    stbl = b"".join(_box(kind, body) for kind, body in (*tables, (b"stco", bytes(8))))
    dinf = _box(b"dref", pack(">II", 0, 1) + _box(b"url ", pack(">I", 1)))
    minf = _box(b"smhd", bytes(8)) + _box(b"dinf", dinf) + _box(b"stbl", stbl)
    mdhd = pack(">5I2H", 0, 0, 0, OPUS_RATE_HZ, 0, 0x55C4, 0)  # of no language
    hdlr = pack(">II4s", 0, 0, b"soun") + bytes(13)
    mdia = _box(b"mdhd", mdhd) + _box(b"hdlr", hdlr) + _box(b"minf", minf)
    tkhd = pack(">6I8x4H", 3, 0, 0, 1, 0, 0, 0, 0, 0x0100, 0) + MATRIX + bytes(8)
    trak = _box(b"tkhd", tkhd) + _box(b"mdia", mdia)
    mvhd = pack(">6IH10x", 0, 0, 0, 1000, 0, 1 << 16, 0x0100) + MATRIX + pack(">24xI", 2)
    moov = _box(b"mvhd", mvhd) + _box(b"trak", trak)
    moov += _box(b"mvex", _box(b"trex", pack(">6I", 0, 1, 1, 0, 0, 0)))
    return parse_init(_box(b"ftyp", b"iso5\0\0\2\0iso5iso6mp41") + _box(b"moov", moov))


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
