"""Recorded files in memory: written, closed, and read by the tables of their last `moov`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import unpack_from
from typing import NamedTuple

from h5sup.formats.isobmff.boxes import boxes, children
from h5sup.formats.isobmff.recorded import Closing, MovieWriter
from h5sup.formats.isobmff.stored import Read

SECOND_US = 1_000_000
BEGIN_US = 1_795_600_000 * SECOND_US


@dataclass(frozen=True)
class Piece:
    """A fragment as MovieWriter takes it."""

    data: bytes


def write(writer: MovieWriter, *gops: Sequence[bytes], begin_us: int = BEGIN_US) -> bytes:
    """Return the file that these GOPs grow into, taken a second apart."""
    data = bytearray(writer.head)
    for index, gop in enumerate(gops):
        pieces = [Piece(one) for one in gop]
        data += b"".join(writer.add_gop(pieces, begin_us + index * SECOND_US))
    return bytes(data)


def close(data: bytes, closing: Closing) -> bytes:
    """Return a growing file as it is once it is closed."""
    whole = bytearray(data + closing.tail)
    whole[closing.patch_at : closing.patch_at + len(closing.patch)] = closing.patch
    return bytes(whole)


def reader_of(data: bytes) -> Read:
    return lambda offset, size: data[offset : offset + size]


class Stored(NamedTuple):
    """A sample as the tables tell of it."""

    data: bytes
    dts: int
    cts_offset: int
    is_sync: bool


@dataclass(frozen=True)
class StoredTrack:
    """A track of a closed file."""

    samples: list[Stored]
    scale: int
    duration: int
    edits: list[tuple[int, int]]
    boxes: set[bytes]


def read_tracks(data: bytes) -> dict[int, StoredTrack]:
    """Return the tracks by number, as a player finds them in the last `moov`."""
    at, end = [(at, end) for kind, at, end in boxes(data, 0, len(data)) if kind == b"moov"][-1]
    traks = [data[a:b] for kind, a, b in boxes(data, at, end) if kind == b"trak"]
    return dict(_read_trak(data, trak) for trak in traks)


def movie_header(data: bytes) -> tuple[int, int]:
    """Return the time scale and the duration of the last `moov`."""
    at, end = [(at, end) for kind, at, end in boxes(data, 0, len(data)) if kind == b"moov"][-1]
    body = next(data[a:b] for kind, a, b in boxes(data, at, end) if kind == b"mvhd")
    return unpack_from(">IQ" if body[0] else ">II", body, 20 if body[0] else 12)


def _read_trak(data: bytes, trak: bytes) -> tuple[int, StoredTrack]:
    mdia = {kind: trak[a:b] for kind, a, b in children(trak, 0, len(trak), b"mdia")}
    found = {kind: trak[a:b] for kind, a, b in boxes(trak, 0, len(trak))}
    header, media = found[b"tkhd"], mdia[b"mdhd"]
    number = unpack_from(">I", header, 20 if header[0] else 12)[0]
    scale, duration = unpack_from(">IQ" if media[0] else ">II", media, 20 if media[0] else 12)
    minf = mdia[b"minf"]
    tables = {kind: minf[a:b] for kind, a, b in children(minf, 0, len(minf), b"stbl")}
    samples = list(_samples(data, tables))
    edits = _edits(found.get(b"edts", b""))
    return number, StoredTrack(samples, scale, duration, edits, set(tables))


def _edits(edts: bytes) -> list[tuple[int, int]]:
    if not edts:
        return []
    elst = edts[8:]
    form, size = (">Qq", 20) if elst[0] else (">Ii", 12)
    count = unpack_from(">I", elst, 4)[0]
    return [unpack_from(form, elst, 8 + index * size) for index in range(count)]


def _samples(data: bytes, tables: dict[bytes, bytes]) -> Iterator[Stored]:
    sizes = unpack_from(f">{(len(tables[b'stsz']) - 12) // 4}I", tables[b"stsz"], 12)
    durations = list(_pairs(tables[b"stts"], "I"))
    ctts = tables.get(b"ctts")
    offsets = list(_pairs(ctts, "i" if ctts[0] else "I")) if ctts else [0] * len(sizes)
    stss = tables.get(b"stss")
    sync = set(unpack_from(f">{(len(stss) - 8) // 4}I", stss, 8)) if stss else None
    places = _places(tables, sizes)
    dts = 0
    assert len(durations) == len(offsets) == len(sizes)
    for number, (size, at) in enumerate(zip(sizes, places, strict=True)):
        is_sync = sync is None or number + 1 in sync
        yield Stored(data[at : at + size], dts, offsets[number], is_sync)
        dts += durations[number]


def _pairs(table: bytes, form: str) -> Iterator[int]:
    for at in range(8, len(table), 8):
        count, value = unpack_from(f">I{form}", table, at)
        yield from [value] * count


def _places(tables: dict[bytes, bytes], sizes: Sequence[int]) -> Iterator[int]:
    if b"stco" in tables:
        chunks = unpack_from(f">{(len(tables[b'stco']) - 8) // 4}I", tables[b"stco"], 8)
    else:
        chunks = unpack_from(f">{(len(tables[b'co64']) - 8) // 8}Q", tables[b"co64"], 8)
    stsc = tables[b"stsc"]
    starts = [unpack_from(">II", stsc, at) for at in range(8, len(stsc), 12)]
    per_chunk, left = 0, iter(sizes)
    for number, at in enumerate(chunks, 1):
        per_chunk = dict(starts).get(number, per_chunk)
        for _ in range(per_chunk):
            yield at
            at += next(left)
