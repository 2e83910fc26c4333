"""Which GOPs an archive takes, and what own recordings lack."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from h5sup.recording.archive.plan import Span, choose, find_holes
from h5sup.recording.playback.stored import Opened, open_file
from h5sup.store.media_records import StoredFile
from tests.fakes.recordings import BEGIN_US, SECOND_US, Scene, Shelf


def opened(root: Path, *files: StoredFile) -> list[Opened]:
    found = [open_file(root, file) for file in files]
    for one in found:
        one.close()
    return found


def span(begin_s: float, end_s: float) -> Span:
    return Span(*(BEGIN_US + round(second * SECOND_US) for second in (begin_s, end_s)))


def test_holes_are_what_no_file_has(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    broken = shelf.record(Scene(), (25, 25, 25, 25), breaks=(2,))  # 0 to 2 and 12 to 14
    other = shelf.record(Scene(), (25,), begin_us=BEGIN_US + 5 * SECOND_US)
    files = opened(tmp_path, broken, other)
    assert find_holes(files, *span(-3, 20)) == [
        span(-3, 0),
        span(2, 5),
        span(6, 12),
        span(14, 20),
    ]
    assert find_holes(files, *span(-0.4, 2.4)) == []  # less is not worth a login
    assert find_holes([], *span(1, 2)) == [span(1, 2)]
    growing = [replace(one, file=replace(one.file, is_growing=True)) for one in files]
    assert find_holes(growing, *span(13, 20)) == []  # what comes is being recorded


def test_another_file_fills_the_hole_within_one(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    broken = shelf.record(Scene(), (25, 25, 25, 25), breaks=(2,))
    filling = shelf.record(Scene(), (25,) * 10, begin_us=BEGIN_US + 2 * SECOND_US)
    taken = choose(opened(tmp_path, broken, filling), *span(0, 20))
    assert [one.file for one, _ in taken] == [broken, filling, broken]
    begins = [gop.wall_us for _, take in taken for gop in take.gops]
    assert begins == [BEGIN_US + second * SECOND_US for second in range(14)]
