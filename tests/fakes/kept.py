"""Recorded files as an earlier run would have left them: on the disk and in the index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from pathlib import Path

from h5sup.base.clock import from_us
from h5sup.bus.fragment import Fragment
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.formats.isobmff.recorded import MovieWriter, Recordable
from h5sup.recording.names import build_path
from h5sup.store.media_index import MediaIndex
from h5sup.store.media_records import StoredFile

SECOND_US = 1_000_000
Timed = tuple[int, Sequence[Recordable]]
"""A GOP and when its first picture was taken."""


def write_recording(
    root: Path, token: str, init: InitSegment, gops: Sequence[Timed], *, is_growing: bool = False
) -> StoredFile:
    """Write one file and return its row, not yet in the index."""
    begin_us = gops[0][0]
    name = f"{token}-{begin_us}.mp4"
    writer = MovieWriter(init, {"token": token, "recording": name, "trigger": "manual"})
    data = bytearray(writer.head)
    for wall_us, fragments in gops:
        data += b"".join(writer.add_gop(fragments, wall_us))
    file = StoredFile(
        kind="record",
        token=token,
        path=build_path("record", token, from_us(begin_us), name, UTC),
        filename=name,
        recording=name,
        trigger="manual",
        start_us=begin_us,
        end_us=writer.end_us,
        size_bytes=len(data),
        is_growing=is_growing,
        codecs=", ".join(track.codec for track in (init.video, init.audio) if track),
    )
    if not is_growing:
        closing = writer.close()
        data += closing.tail
        data[closing.patch_at : closing.patch_at + len(closing.patch)] = closing.patch
    place = root / file.path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return replace(file, size_bytes=len(data))


async def shelve(index: MediaIndex, file: StoredFile) -> StoredFile:
    """Put a file's row into the index and return it with its id."""
    return replace(file, id=await index.add(file))


def timed(gops: Sequence[Sequence[Fragment]], begin_us: int, init: InitSegment) -> list[Timed]:
    """Return GOPs with when each was taken, one after another from a moment on."""
    assert init.video is not None
    found: list[Timed] = []
    for gop in gops:
        found.append((begin_us, gop))
        ticks = sum(one.video.duration for one in gop if one.video)
        begin_us += ticks * SECOND_US // init.video.timescale
    return found
