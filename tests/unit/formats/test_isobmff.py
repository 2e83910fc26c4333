"""Fragmented MP4: cut anywhere, damaged anyhow."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from h5sup.base.errors import MediaFormatError
from h5sup.formats.aac import parse_config
from h5sup.formats.isobmff.fragment import parse_fragment
from h5sup.formats.isobmff.init_segment import parse_init, without_audio
from h5sup.formats.isobmff.reader import SegmentReader
from tests.fakes.mp4 import Camera, build_init

CAMERA = Camera()
FRAGMENT = CAMERA.fragment(key=True, pictures=[512, 512], sounds=[1024])
FOLLOWING = CAMERA.fragment(sounds=[1024])
WHOLE = CAMERA.data + FRAGMENT + FOLLOWING


@given(st.lists(st.integers(1, 400), max_size=40))
def test_any_cut_gives_the_same_segments(sizes: list[int]) -> None:
    reader, found, position = SegmentReader(), [], 0
    for size in [*sizes, len(WHOLE)]:
        found += reader.feed(WHOLE[position : position + size])
        position += size
    assert found == [CAMERA.data, FRAGMENT, FOLLOWING]


def test_every_shortened_fragment_is_refused() -> None:
    for length in range(len(FRAGMENT)):
        with pytest.raises(MediaFormatError):
            parse_fragment(FRAGMENT[:length], CAMERA.init)


def test_every_shortened_init_segment_is_refused_or_says_less() -> None:
    data = build_init()
    for length in range(len(data)):
        with pytest.raises(MediaFormatError):
            parse_init(data[:length])


@settings(max_examples=300)
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_flipped_byte_raises_nothing_else(place: int, value: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[place] = value
    reader = SegmentReader()
    try:
        for segment in reader.feed(bytes(damaged)):
            if segment[4:8] in (b"ftyp", b"moov"):
                parse_init(segment)
            else:
                parse_fragment(segment, CAMERA.init)
    except MediaFormatError:
        pass


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(data: bytes) -> None:
    for parse in (
        SegmentReader().feed,
        parse_init,
        lambda one: parse_fragment(one, CAMERA.init),
        parse_config,
    ):
        try:
            parse(data)
        except MediaFormatError:
            continue


def test_codecs_are_named_as_browsers_want_them() -> None:
    assert CAMERA.init.mime == 'video/mp4; codecs="avc1.4D002A, mp4a.40.2"'
    alone = without_audio(CAMERA.init)
    assert alone.mime == 'video/mp4; codecs="avc1.4D002A"'
    assert parse_init(alone.data).audio is None


def test_a_fragment_reads_as_it_was_built() -> None:
    parsed = parse_fragment(FRAGMENT, CAMERA.init)
    assert parsed.video is not None
    assert parsed.audio is not None
    assert [one.duration for one in parsed.video.samples] == [512, 512]
    assert parsed.video.has_sync_sample
    assert parsed.audio.duration == 1024
