"""How long an MP4 plays."""

from __future__ import annotations

from contextlib import suppress
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import MediaFormatError
from h5sup.formats.isobmff.duration import read_duration_s
from tests.fakes.mp4 import box
from tests.fakes.recorded import reader_of

HEAD = box(b"ftyp", b"isom", bytes(4))
MDAT = box(b"mdat", bytes(100))
LARGE_MDAT = pack(">I4sQ", 1, b"mdat", 116) + bytes(100)


def mvhd(version: int = 0, scale: int = 1000, duration: int = 2500) -> bytes:
    form = ">IIII" if version == 0 else ">QQIQ"
    return box(b"mvhd", bytes((version, 0, 0, 0)), pack(form, 0, 0, scale, duration), bytes(80))


def duration_of(data: bytes) -> float:
    return read_duration_s(reader_of(data), len(data))


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("media", [MDAT, LARGE_MDAT])
def test_the_movie_header_tells(version: int, media: bytes) -> None:
    moov = box(b"moov", box(b"free"), mvhd(version))
    assert duration_of(HEAD + media + moov) == 2.5
    assert duration_of(HEAD + moov + media) == 2.5


@pytest.mark.parametrize(
    "moov",
    [
        box(b"moov"),
        box(b"moov", mvhd(scale=0)),
        box(b"moov", mvhd(2)),
        box(b"moov", box(b"mvhd", bytes(10))),
        pack(">I4s", 4, b"moov"),
        b"",
    ],
)
def test_what_does_not_tell(moov: bytes) -> None:
    with pytest.raises(MediaFormatError):
        duration_of(HEAD + MDAT + moov)


def test_every_truncation_is_refused() -> None:
    data = HEAD + LARGE_MDAT + box(b"moov", mvhd())
    for length in range(len(data)):
        with pytest.raises(MediaFormatError):
            duration_of(data[:length])


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(data: bytes) -> None:
    for whole in (data, HEAD + box(b"moov", data)):
        with suppress(MediaFormatError):
            assert duration_of(whole) >= 0
