"""Recorded files read back: whole, growing, cut off at every byte, damaged anyhow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import MediaFormatError
from h5sup.formats.isobmff.boxes import boxes
from h5sup.formats.isobmff.fragment import NON_SYNC_FLAGS, SYNC_FLAGS
from h5sup.formats.isobmff.gop_table import (
    GopTable,
    StoredGop,
    build_prft,
    parse_gop_table,
    parse_prft,
)
from h5sup.formats.isobmff.recorded import MAX_NOTE_BYTES, MovieWriter
from h5sup.formats.isobmff.stored import StoredMovie, read_movie, recover
from tests.fakes.mp4 import AAC_FRAME, PICTURE, Camera, box, build_init
from tests.fakes.recorded import BEGIN_US, SECOND_US, close, read_tracks, reader_of, write

NOTE = {"token": "cam", "recording": "cam-1.mp4", "trigger": "manual"}
CAMERA = Camera()
WRITER = MovieWriter(CAMERA.init, NOTE)
LEADING = CAMERA.fragment(pictures=[], sounds=[AAC_FRAME])
GROWING = write(WRITER, [LEADING, *CAMERA.gop(2)], CAMERA.gop(2), CAMERA.gop(2))
CLOSING = WRITER.close()
CLOSED = close(GROWING, CLOSING)
GOPS = list(WRITER.gops)


def read(data: bytes, known: StoredMovie | None = None) -> StoredMovie:
    return read_movie(reader_of(data), len(data), known)


def fragment_ends(data: bytes) -> list[int]:
    """Return where whole fragments of a growing file end, from the first picture on."""
    ends = [end for kind, _, end in boxes(data, 0, len(data)) if kind == b"mdat"]
    return ends[1:]  # the first holds sound alone


def test_a_finished_file_tells_its_gops_without_a_scan() -> None:
    asked: list[tuple[int, int]] = []

    def count(offset: int, size: int) -> bytes:
        asked.append((offset, size))
        return CLOSED[offset : offset + size]

    movie = read_movie(count, len(CLOSED))
    assert movie.is_finished
    assert (list(movie.gops), movie.note) == (GOPS, NOTE)
    assert (movie.init, movie.end_us) == (CAMERA.init, WRITER.end_us)
    assert len(asked) < 12


def test_a_growing_file_is_scanned() -> None:
    movie = read(GROWING)
    assert not movie.is_finished
    assert (list(movie.gops), movie.note, movie.init) == (GOPS, NOTE, CAMERA.init)
    assert movie.end_us == WRITER.end_us
    assert read(WRITER.head).end_us == 0


def test_what_is_known_of_a_growing_file_is_not_scanned_again() -> None:
    cut = GOPS[1].offset + GOPS[1].size - 1  # seen while its second GOP was being written
    known = read(GROWING[:cut])
    assert len(known.gops) == 2
    asked: list[int] = []

    def note(offset: int, size: int) -> bytes:
        asked.append(offset)
        return GROWING[offset : offset + size]

    movie = read_movie(note, len(GROWING), known)
    assert list(movie.gops) == GOPS
    assert not any(GOPS[0].offset <= offset < GOPS[1].offset for offset in asked)
    nothing = read(GROWING[: len(WRITER.head)])
    assert list(read(GROWING, nothing).gops) == GOPS


def check_recovered(data: bytes, whole: bytes = GROWING) -> int:
    """Recover a file; returns how many bytes of media were kept."""
    found = recover(reader_of(data), len(data))
    if not found.keep_bytes:
        assert (found.movie, found.closing) == (None, None)
        return 0
    assert found.movie is not None
    if found.closing is None:
        assert found.keep_bytes == len(data)
        assert list(found.movie.gops) == list(read(data).gops)
        return len(whole)
    mended = close(data[: found.keep_bytes], found.closing)
    again = read(mended)
    assert again.is_finished
    assert list(again.gops) == list(found.movie.gops)
    kept = mended[: found.closing.patch_at] + whole[found.closing.patch_at :][:16]
    kept += mended[found.closing.patch_at + 16 : found.keep_bytes]
    assert kept == whole[: found.keep_bytes]
    return found.keep_bytes


def test_a_file_cut_at_any_byte_keeps_its_whole_fragments() -> None:
    ends = fragment_ends(GROWING)
    for length in range(len(GROWING) + 1):
        kept = check_recovered(GROWING[:length])
        assert kept == max([end for end in ends if end <= length], default=0)


def test_a_recovered_file_tells_of_every_sample_it_kept() -> None:
    data = GROWING[: GOPS[2].offset + GOPS[2].size - 1]
    found = recover(reader_of(data), len(data))
    assert found.closing is not None
    tracks = read_tracks(close(data[: found.keep_bytes], found.closing))
    whole = read_tracks(CLOSED)
    assert len(tracks[1].samples) == 5
    assert tracks[1].samples == whole[1].samples[:5]
    assert tracks[2].samples == whole[2].samples[: len(tracks[2].samples)]


def test_a_power_cut_anywhere_while_it_is_closed_loses_nothing() -> None:
    tail, patch = CLOSING.tail, CLOSING.patch
    for length in range(len(tail) + 1):
        assert check_recovered(GROWING + tail[:length]) == len(GROWING)
    for length in range(len(patch) + 1):
        torn = bytearray(GROWING + tail)
        torn[CLOSING.patch_at : CLOSING.patch_at + length] = patch[:length]
        assert check_recovered(bytes(torn)) == len(GROWING)
    for length in range(len(GROWING), len(CLOSED), 13):  # the tail got lost after the patch
        assert check_recovered(CLOSED[:length]) == len(GROWING)


def test_a_file_that_ends_in_zeros_keeps_what_is_before() -> None:
    """File systems give a file its length before its content."""
    assert check_recovered(GROWING + bytes(5000)) == len(GROWING)


def test_a_finished_file_is_left_alone() -> None:
    assert recover(reader_of(CLOSED), len(CLOSED)).closing is None


@given(st.data())
def test_damage_is_told_or_cut_off(data: st.DataObject) -> None:
    damaged = bytearray(data.draw(st.sampled_from([GROWING, CLOSED])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
    del damaged[data.draw(st.integers(0, len(damaged))) :]
    whole = bytes(damaged)
    try:
        read(whole)
        found = recover(reader_of(whole), len(whole))
    except MediaFormatError:
        return
    if found.closing is not None:
        mended = close(whole[: found.keep_bytes], found.closing)
        assert read(mended).is_finished


@given(st.binary(max_size=300))
def test_anything_else_is_no_recording(data: bytes) -> None:
    with suppress(MediaFormatError):
        assert recover(reader_of(data), len(data)).keep_bytes == 0


INIT = build_init()
FTYP, MOOV = INIT[: INIT.index(b"moov") - 4], INIT[INIT.index(b"moov") - 4 :]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\xff\xd8\xff\xe0JFIF of a snapshot", "lacks 'ftyp'"),
        (INIT + bytes(100), "lacks 'free'"),
        (FTYP + pack(">I4s", 1 << 24, b"free") + bytes(100), "lacks 'free'"),
        (FTYP + box(b"free", bytes(MAX_NOTE_BYTES + 1)) + MOOV, "no note"),
        (FTYP + box(b"free", bytes(8)) + MOOV, "no note"),
        (FTYP + box(b"free", b"[" * 60_000) + MOOV, "no note"),
        (FTYP + box(b"free", b'["h5sup"]') + MOOV, "no note"),
        (FTYP + box(b"free", b'{"h5sup": 1}') + MOOV, "no note"),
        (FTYP + box(b"free", b'{"token": "x"}') + MOOV, "another version"),
        (FTYP + box(b"free", b'{"h5sup": "2"}') + MOOV, "another version"),
    ],
)
def test_a_file_of_others_is_refused_with_a_sentence(data: bytes, problem: str) -> None:
    with pytest.raises(MediaFormatError, match=problem):
        read(data)
    with pytest.raises(MediaFormatError, match=problem):
        recover(reader_of(data), len(data))


def test_sound_alone_is_refused() -> None:
    head = WRITER.head[: -len(MOOV)]
    init = build_init(video=False)
    with pytest.raises(MediaFormatError, match="needs a video track"):
        read(head + init[init.index(b"moov") - 4 :])


def test_a_file_that_shrinks_while_it_is_read_is_told_so() -> None:
    said = set()
    for count in range(40):
        reads = iter(range(count))

        def read_some(offset: int, size: int, left: Iterator[int] = reads) -> bytes:
            return b"" if next(left, None) is None else GROWING[offset : offset + size]

        try:
            recover(read_some, len(GROWING))
        except MediaFormatError as error:
            said.add(str(error))
    assert said == {"the recording was cut while it was read"}


def mend(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def test_a_table_that_does_not_fit_its_file_is_not_believed() -> None:
    table_at = len(GROWING)
    first = table_at + 32
    for at, value in [(first, 1), (first + 8, 0), (first + 24, 0), (first + 8, GOPS[0].size - 1)]:
        damaged = mend(CLOSED, at, pack(">Q", value))
        movie = read(damaged)
        assert not movie.is_finished
        assert list(movie.gops) == GOPS
    assert not read(mend(CLOSED, table_at + 8, b"other")).is_finished
    assert not read(CLOSED + box(b"free")).is_finished


@pytest.mark.parametrize(
    ("box_bytes", "problem"),
    [
        (b"", "cut off"),
        (box(b"free", bytes(40)), "no table"),
        (GopTable().to_box() + b"x", "not as long"),
    ],
)
def test_a_table_that_is_none_is_refused(box_bytes: bytes, problem: str) -> None:
    with pytest.raises(MediaFormatError, match=problem):
        parse_gop_table(box_bytes)


def test_a_table_survives_its_box() -> None:
    table = GopTable()
    for number in range(3):
        table.append(StoredGop(number, 1 << 40, number * 9, 9, BEGIN_US))
    assert list(parse_gop_table(table.to_box())) == list(table)
    assert list(table.copy(2)) == list(table[:2])


@given(st.integers(0, (1 << 32) * SECOND_US - 1), st.integers(0, (1 << 64) - 1))
def test_wall_times_survive_to_the_microsecond(wall_us: int, dts: int) -> None:
    assert parse_prft(build_prft(1, wall_us, dts)) == (wall_us, dts)


def test_wall_times_go_on_after_the_seconds_of_ntp_begin_anew() -> None:
    in_2040_us = 2_208_988_800 * SECOND_US
    assert parse_prft(build_prft(1, in_2040_us, 0)) == (in_2040_us, 0)


def test_a_prft_of_others_is_refused() -> None:
    with pytest.raises(MediaFormatError, match="cut off"):
        parse_prft(build_prft(1, BEGIN_US, 0)[:-1])
    with pytest.raises(MediaFormatError, match="version"):
        parse_prft(mend(build_prft(1, BEGIN_US, 0), 8, b"\0"))


# Damage between whole GOPs


def test_media_after_damage_is_cut_off() -> None:
    second = GOPS[1].offset
    for damaged in (
        mend(GROWING, second + 4, b"junk"),
        mend(GROWING, second + 8, b"\0"),  # prft of version 0
        mend(GROWING, second + 36, b"junk"),  # no moof
        mend(GROWING, second + 24, bytes(8)),  # times that go back
    ):
        assert list(read(damaged).gops) == GOPS[:1]
        kept = recover(reader_of(damaged), len(damaged)).keep_bytes
        assert kept in (second, len(GROWING))  # the fragments' own times decide


def test_a_damaged_fragment_ends_the_file() -> None:
    last = GOPS[2].offset
    moof = GROWING.index(b"moof", last)
    again = GROWING.index(b"moof", moof + 4)
    damaged = mend(GROWING, GROWING.index(b"tfdt", again), b"junk")
    assert [gop.size for gop in read(damaged).gops[:2]] == [gop.size for gop in GOPS[:2]]
    found = recover(reader_of(damaged), len(damaged))
    assert found.keep_bytes == again - 4
    in_between = mend(GROWING, GROWING.index(b"mdat", GOPS[0].offset), b"junk")
    assert recover(reader_of(in_between), len(in_between)).keep_bytes == 0


def test_a_gop_that_begins_without_a_key_picture_is_not_kept() -> None:
    camera = Camera(audio=False)
    writer = MovieWriter(camera.init, NOTE)
    data = write(writer, camera.gop(2), camera.gop(2))
    sample = pack(">III", PICTURE, 100, SYNC_FLAGS)
    damaged = mend(
        data,
        data.index(sample, writer.gops[1].offset),
        pack(">III", PICTURE, 100, NON_SYNC_FLAGS),
    )
    assert recover(reader_of(damaged), len(damaged)).keep_bytes == writer.gops[1].offset
    assert list(read(damaged).gops) == [writer.gops[0]]


def test_a_file_is_cut_behind_a_gop_that_is_whole_but_for_its_end() -> None:
    camera = Camera()
    writer = MovieWriter(camera.init, NOTE)
    data = write(writer, camera.gop(3), camera.gop(3))
    second_moof = data.index(b"moof", data.index(b"moof") + 4)
    damaged = mend(data, data.index(b"tfdt", second_moof), b"junk")
    found = recover(reader_of(damaged), len(damaged))
    assert found.keep_bytes == second_moof - 4
    assert found.movie is not None
    assert len(found.movie.gops) == 1


def test_a_fragment_that_tells_of_nothing_ends_the_file() -> None:
    at = GROWING.index(b"traf", GOPS[1].offset)
    damaged = mend(GROWING, at, b"junk")
    damaged = mend(damaged, GROWING.index(b"traf", at + 4), b"junk")
    assert recover(reader_of(damaged), len(damaged)).keep_bytes == GOPS[1].offset
