"""How recorded files become one timeline without doubles."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from h5sup.formats.isobmff.gop_table import GopTable, StoredGop
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.formats.isobmff.stored import StoredMovie
from h5sup.formats.isobmff.track import Track
from h5sup.outputs.stored import stretches as stretches_module
from h5sup.outputs.stored.stretches import FOR_EVER_US, START_S, Stretch, line_up
from h5sup.store.media_records import StoredFile

SECOND_US = 1_000_000
SCALE = 12_800
HEAD_BYTES = 1000
GOP_BYTES = 500


class Archive:
    """Files whose GOPs last a second unless a test says otherwise."""

    def __init__(self) -> None:
        self.files: list[StoredFile] = []
        self.movies: dict[int, StoredMovie] = {}
        self.read: list[int] = []

    def add(
        self,
        begin_s: float,
        gops: int,
        *,
        jumps: Sequence[int] = (),
        scale: int = SCALE,
        gop_s: float = 1.0,
    ) -> int:
        """Add a file; before each GOP in `jumps` passes a minute. Return its number."""
        number = len(self.files) + 1
        table, wall_us, dts = GopTable(), round(begin_s * SECOND_US), 0
        for index in range(gops):
            wall_us += 60 * SECOND_US * (index in jumps)
            ticks = round(gop_s * scale)
            table.append(StoredGop(HEAD_BYTES + index * GOP_BYTES, GOP_BYTES, dts, ticks, wall_us))
            wall_us += round(gop_s * SECOND_US)
            dts += ticks
        video = Track(kind="video", codec="avc1", id=1, timescale=scale)
        self.movies[number] = StoredMovie(InitSegment(b"", video, None), {}, table, True)
        self.files.append(
            StoredFile(
                id=number,
                kind="record",
                token="cam",
                path=f"record/cam/{number}",
                filename=f"{number}.mp4",
                recording=f"{number}.mp4",
                trigger="always",
                start_us=round(begin_s * SECOND_US),
                end_us=wall_us,
            )
        )
        return number

    def line_up(self, begin_s: float = 0, end_s: float = 10_000) -> list[Stretch]:
        begin_us, end_us = round(begin_s * SECOND_US), round(end_s * SECOND_US)
        return line_up(self.files, self._read, begin_us, end_us)

    def _read(self, file: StoredFile) -> StoredMovie | None:
        self.read.append(file.id)
        return self.movies.get(file.id)


@pytest.fixture
def archive() -> Archive:
    return Archive()


def shape(found: Sequence[Stretch]) -> list[tuple[int, float, float, bool]]:
    """Return of each: its file, when it begins, how long it lasts, whether it breaks."""
    return [
        (one.file.id, one.begin_us / SECOND_US, one.duration_s, one.is_discontinuous)
        for one in found
    ]


def assert_gapless(found: Sequence[Stretch], scales: Sequence[int] = ()) -> None:
    """Fail unless each begins where the one before it ends, to a tick."""
    end_s = float(START_S)
    for index, one in enumerate(found):
        scale = scales[index] if scales else SCALE
        assert one.start / scale == pytest.approx(end_s, abs=1 / scale)
        end_s += one.duration_s


def test_gops_are_put_together_to_stretches_of_six_seconds(archive: Archive) -> None:
    archive.add(100, 14)
    found = archive.line_up()

    assert shape(found) == [
        (1, 100, 6, False), (1, 106, 6, False), (1, 112, 2, False),
    ]  # fmt: skip
    assert [one.span for one in found] == [
        range(1000, 4000), range(4000, 7000), range(7000, 8000),
    ]  # fmt: skip
    assert_gapless(found)


def test_long_gops_stay_whole(archive: Archive) -> None:
    archive.add(0, 3, gop_s=10)
    assert [one.duration_s for one in archive.line_up()] == [10, 10, 10]


def test_large_gops_are_not_put_together(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretches_module, "STRETCH_BYTES", 2 * GOP_BYTES)
    archive.add(0, 5)
    assert [one.duration_s for one in archive.line_up()] == [2, 2, 1]


def test_a_time_begins_and_ends_with_the_gop_that_shows_it(archive: Archive) -> None:
    archive.add(100, 20)

    assert shape(archive.line_up(103.5, 105.5)) == [(1, 103, 3, False)]
    assert shape(archive.line_up(103, 105)) == [(1, 103, 2, False)]
    assert archive.line_up(103.5, 105.5)[0].start == round(START_S * SCALE)
    assert archive.line_up(120, 130) == []
    assert archive.line_up(90, 100) == []


def test_files_follow_each_other_with_a_break(archive: Archive) -> None:
    archive.add(0, 3)
    archive.add(3.01, 3)  # the clocks differ a little
    archive.add(100, 3)
    found = archive.line_up()

    assert shape(found) == [
        (1, 0, 3, False), (2, 3.01, 3, True), (3, 100, 3, True),
    ]  # fmt: skip
    assert_gapless(found)


def test_an_outage_inside_a_file_is_a_break(archive: Archive) -> None:
    archive.add(0, 5, jumps=[2])
    found = archive.line_up()

    assert shape(found) == [(1, 0, 2, False), (1, 62, 3, True)]
    assert_gapless(found)
    assert [one.start - found[0].start for one in found] == [0, 2 * SCALE]


def test_what_is_left_out_of_a_file_leaves_no_hole(archive: Archive) -> None:
    """The clock was put back: a part of the file lies before the time that is asked for."""
    archive.add(0, 6)
    moved = GopTable()
    for index, gop in enumerate(archive.movies[1].gops):
        wall_us = gop.wall_us if index in (0, 1, 4, 5) else 10**12
        moved.append(StoredGop(gop.offset, gop.size, gop.dts, gop.duration, wall_us))
    archive.movies[1] = StoredMovie(archive.movies[1].init, {}, moved, True)
    found = archive.line_up()

    assert [one.span for one in found] == [range(1000, 2000), range(3000, 4000)]
    assert [one.is_discontinuous for one in found] == [False, True]
    assert_gapless(found)


def test_of_files_that_overlap_one_is_shown(archive: Archive) -> None:
    archive.add(0, 10)
    by_hand = archive.add(2, 20)
    archive.add(10, 10)
    archive.add(20, 10)
    found = archive.line_up()

    assert [one[0] for one in shape(found)] == [1, 1, by_hand, by_hand, 4, 4]
    assert [one[1] for one in shape(found)] == [0, 6, 10, 16, 22, 28]
    assert_gapless(found)
    assert 3 not in archive.read


def test_of_files_that_begin_together_the_longest_is_shown(archive: Archive) -> None:
    archive.add(0, 5)
    archive.add(0, 10)
    archive.add(0.1, 7)

    assert {one[0] for one in shape(archive.line_up())} == {2}


def test_a_file_that_cant_be_read_is_left_out(archive: Archive) -> None:
    archive.add(0, 3)
    del archive.movies[archive.add(3, 3)]
    archive.movies[archive.add(6, 3)] = StoredMovie(
        InitSegment(b"", None, None), {}, GopTable(), True
    )
    archive.add(9, 3)
    found = archive.line_up()

    assert shape(found) == [(1, 0, 3, False), (4, 9, 3, True)]
    assert_gapless(found)


def test_files_of_other_clocks_join_to_a_tick(archive: Archive) -> None:
    archive.add(0, 7, gop_s=1.001)
    archive.add(7.007, 7, scale=90_000, gop_s=1.001)
    archive.add(14.014, 7, scale=30_000, gop_s=1.001)
    found = archive.line_up()

    scales = {1: SCALE, 2: 90_000, 3: 30_000}
    assert_gapless(found, [scales[one.file.id] for one in found])


def test_a_whole_recording_begins_where_it_begins(archive: Archive) -> None:
    archive.add(1_795_600_000, 3)
    found = line_up(archive.files, lambda file: archive.movies[file.id], 0, FOR_EVER_US)

    assert shape(found) == [(1, 1_795_600_000, 3, False)]
    assert found[0].start == round(START_S * SCALE)


def test_a_day_in_pieces_of_ten_seconds_is_lined_up_quickly(archive: Archive) -> None:
    for number in range(8640):
        archive.add(number * 10, 10)
    found = archive.line_up(0, 86_400)

    assert len(found) == 2 * 8640
    assert archive.read == [file.id for file in archive.files]
