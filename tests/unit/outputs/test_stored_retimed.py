"""A stretch of a file read with other decode times."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import MediaFormatError
from h5sup.formats.isobmff.fragment import parse_fragment
from h5sup.formats.isobmff.reader import SegmentReader
from h5sup.formats.isobmff.stored import StoredMovie, read_movie
from h5sup.outputs.stored.retimed import Retimed, find_times
from tests.fakes.mp4 import PICTURE, VIDEO_SCALE
from tests.fakes.recorded import reader_of
from tests.fakes.recordings import Scene, Shelf


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, StoredMovie]:
    root = tmp_path_factory.mktemp("mediastore")
    (root / "record").mkdir(exist_ok=True)
    file = Shelf(root).record(Scene(), [25, 25, 25])
    data = Path(root / file.path).read_bytes()
    return data, read_movie(reader_of(data), len(data))


def times_of(data: bytes, movie: StoredMovie) -> list[tuple[Any, ...]]:
    """Return the decode times of pictures and sound, fragment by fragment."""
    parsed = [parse_fragment(one, movie.init) for one in SegmentReader().feed(data)]
    return [tuple(run and run.dts for run in (one.video, one.audio)) for one in parsed]


def span_of(movie: StoredMovie, first: int, last: int) -> range:
    begin, end = movie.gops[first], movie.gops[last]
    return range(begin.offset, end.offset + end.size)


def test_pictures_and_sound_are_moved_together(media: tuple[bytes, StoredMovie]) -> None:
    data, movie = media
    span = span_of(movie, 1, 2)
    before = times_of(data[span.start : span.stop], movie)
    retimed = Retimed(reader_of(data), find_times(reader_of(data), span, movie.init, 1_000_000))
    moved = retimed.read(span.start, len(span))
    after = times_of(moved, movie)

    shift = 1_000_000 - movie.gops[1].dts
    assert [video for video, _ in after] == [
        1_000_000 + index * PICTURE for index in range(len(after))
    ]
    assert movie.init.audio is not None
    sound_shift = round(shift * movie.init.audio.timescale / VIDEO_SCALE)
    assert [sound for _, sound in after] == [
        None if sound is None else sound + sound_shift for _, sound in before
    ]
    assert len(moved) == len(span)
    again = Retimed(lambda at, size: moved[at - span.start :][:size], {}).read(span.start, 10**9)
    assert again == moved


def test_sound_before_the_first_time_is_put_there(media: tuple[bytes, StoredMovie]) -> None:
    data, movie = media
    span = span_of(movie, 2, 2)
    times = find_times(reader_of(data), span, movie.init, 0)

    assert min(times.values()) == 0
    beyond = find_times(reader_of(data), span, movie.init, 1 << 70)
    assert max(beyond.values()) == (1 << 64) - 1


@given(st.data())
def test_it_reads_the_same_in_any_pieces(
    media: tuple[bytes, StoredMovie], data: st.DataObject
) -> None:
    whole, movie = media
    span = span_of(movie, 0, 0)
    retimed = Retimed(reader_of(whole), find_times(reader_of(whole), span, movie.init, 777))
    expected = retimed.read(span.start, len(span))
    cuts = data.draw(st.lists(st.integers(span.start, span.stop), max_size=20).map(sorted))
    edges = [span.start, *cuts, span.stop]
    pieces = [retimed.read(begin, end - begin) for begin, end in pairwise(edges)]
    assert b"".join(pieces) == expected


def test_what_does_not_consist_of_fragments_is_refused(media: tuple[bytes, StoredMovie]) -> None:
    data, movie = media
    whole = span_of(movie, 0, 1)
    for span in (
        range(whole.start + 1, whole.stop),
        range(whole.start, whole.stop - 1),
        range(whole.start, whole.start + 9),
        range(whole.start),  # the head
        range(whole.stop, whole.stop),
        range(len(data), len(data) + 100),
        range(len(data) - 4, len(data) + 100),
    ):
        with pytest.raises(MediaFormatError):
            find_times(reader_of(data), span, movie.init, 0)


@given(st.integers(0, 20_000), st.integers(1, 20_000))
def test_no_address_makes_it_fail_otherwise(
    media: tuple[bytes, StoredMovie], at: int, size: int
) -> None:
    data, movie = media
    with suppress(MediaFormatError):
        find_times(reader_of(data), range(at, at + size), movie.init, 0)
