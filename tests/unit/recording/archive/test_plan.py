"""Which GOPs an archive takes, and what own recordings lack."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from h5sup.recording.archive.plan import ALL_US, Span, choose, find_holes
from h5sup.recording.playback.stored import Opened, open_file
from h5sup.store.media_records import StoredFile
from tests.fakes.recordings import BEGIN_US, SECOND_US, Scene, Shelf


def opened(root: Path, *files: StoredFile) -> list[Opened]:
    found = [open_file(root, file) for file in files]
    for one in found:
        one.close()
    return found


def as_fetched(files: list[Opened]) -> list[Opened]:
    """No index has given them a number."""
    return [replace(one, file=replace(one.file, id=0)) for one in files]


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


def test_where_fetched_and_own_ones_meet_the_later_begins_with_its_key_picture(
    tmp_path: Path,
) -> None:
    """Also when that takes the whole last GOP of those before, or has nothing new."""
    shelf = Shelf(tmp_path)
    own = opened(
        tmp_path,
        shelf.record(Scene(), (25, 20), begin_us=BEGIN_US + 2 * SECOND_US),  # 2 to 3.8
        shelf.record(Scene(), (25,), begin_us=BEGIN_US + 6 * SECOND_US),
    )
    coming = opened(
        tmp_path,
        shelf.record(Scene(), (25, 25, 3), begin_us=BEGIN_US + 2000),  # 0 to 2.1
        shelf.record(Scene(), (15, 25, 25, 25), begin_us=BEGIN_US + 31 * SECOND_US // 10),
    )
    fetched = as_fetched(coming)
    taken = choose([*own, *fetched], *span(0, 7))
    assert [one.file for one, _ in taken] == [
        fetched[0].file, own[0].file, fetched[1].file, own[1].file,
    ]  # fmt: skip
    assert [len(take.gops) for _, take in taken] == [2, 2, 3, 1]
    ends = [take.end_us - BEGIN_US for _, take in taken[:3]]
    assert ends == [2 * SECOND_US - 10_000, 37 * SECOND_US // 10 - 10_000, 6 * SECOND_US - 10_000]
    as_own = [take for _, take in choose([*own, *coming], *span(0, 7))]
    assert {take.end_us for take in as_own} == {ALL_US}  # those go on where others ended


def test_what_was_fetched_may_stand_for_all_that_was_recorded_in_its_time(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    short = opened(tmp_path, shelf.record(Scene(), (5,), begin_us=BEGIN_US + SECOND_US))
    whole = opened(tmp_path, shelf.record(Scene(), (50,), begin_us=BEGIN_US + SECOND_US))
    whole = as_fetched(whole)
    ((only, take),) = choose([*short, *whole], *span(0, 7))
    assert only is whole[0]
    assert len(take.gops) == 1
