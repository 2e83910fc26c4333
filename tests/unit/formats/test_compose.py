"""Init segments with other tracks than they came with."""

from __future__ import annotations

from struct import pack

import pytest

from h5sup.formats.isobmff.build import NewRun, build_fragment, new_run
from h5sup.formats.isobmff.compose import build_opus, with_sound_of
from h5sup.formats.isobmff.fragment import NON_SYNC_FLAGS, SYNC_FLAGS, Sample, parse_fragment
from h5sup.formats.isobmff.init_segment import (
    InitSegment,
    parse_init,
    without_audio,
    without_video,
)
from h5sup.formats.isobmff.squeeze import squeeze, squeeze_step
from tests.fakes.mp4 import box, build_init

BOTH = parse_init(build_init())
MUTE = parse_init(build_init(audio=False))
SOUND = parse_init(build_init(video=False))


def test_pictures_get_the_sound_of_another_file() -> None:
    found = with_sound_of(MUTE, BOTH)
    assert parse_init(found.data) == found
    assert found.codecs == "avc1.4D002A, mp4a.40.2"
    assert found.audio is not None
    assert found.video is not None
    assert (found.video.id, found.audio.id) == (1, 2)


def test_the_sound_gets_a_number_that_is_free() -> None:
    data = bytearray(build_init(audio=False))
    at = data.index(b"tkhd") + 4 + 12
    data[at : at + 4] = pack(">I", 2)
    at = data.index(b"trex") + 4 + 4
    data[at : at + 4] = pack(">I", 2)
    found = with_sound_of(parse_init(bytes(data)), BOTH)
    assert parse_init(found.data) == found
    assert found.audio is not None
    assert found.audio.id == 3
    assert found.audio.default_duration == 0


def test_a_sound_track_with_64_bit_times_and_without_defaults() -> None:
    def rewrite(data: bytes) -> bytes:
        old = box(b"tkhd", bytes(12), pack(">I", 2), bytes(68))
        new = box(b"tkhd", b"\1" + bytes(19), pack(">I", 2), bytes(72))
        grown = data.replace(old, new)
        for kind in (b"moov", b"trak"):
            at = grown.rindex(kind) - 4
            size = int.from_bytes(grown[at : at + 4]) + len(new) - len(old)
            grown = grown[:at] + pack(">I", size) + grown[at + 4 :]
        return grown.replace(b"trex", b"free")

    sound = parse_init(rewrite(build_init()))
    found = with_sound_of(MUTE, sound)
    assert found.data.count(b"trex") == 1
    assert parse_init(found.data).codecs == "avc1.4D002A, mp4a.40.2"


def test_what_is_not_of_the_movie_stays_as_it_is() -> None:
    extra = box(b"free", b"12")
    sound = InitSegment(extra + BOTH.data, BOTH.video, BOTH.audio)
    found = with_sound_of(InitSegment(extra + MUTE.data, MUTE.video, None), sound)
    assert found.data.startswith(extra)


@pytest.mark.parametrize("channels", [1, 2])
def test_opus_joins_pictures(channels: int) -> None:
    opus = build_opus(channels)
    assert opus.audio is not None
    assert (opus.codecs, opus.audio.channels, opus.audio.timescale) == ("opus", channels, 48_000)
    found = with_sound_of(MUTE, opus)
    assert parse_init(found.data).codecs == "avc1.4D002A, opus"


def test_one_track_alone() -> None:
    assert parse_init(without_video(BOTH).data) == without_video(BOTH)
    assert without_video(BOTH).codecs == "mp4a.40.2"
    assert without_audio(BOTH).codecs == "avc1.4D002A"
    assert without_video(SOUND) is SOUND
    assert without_audio(MUTE) is MUTE


def test_pictures_are_squeezed_in_the_order_they_are_shown_in() -> None:
    samples = [
        Sample(9, 5, 512, SYNC_FLAGS if not index else NON_SYNC_FLAGS, 512 * cts)
        for index, cts in enumerate((1, 3, 0, 0))
    ]
    found = squeeze(samples, 12, 512)
    assert [one.duration for one in found] == [12] * 4
    shown = [12 * index + one.cts_offset for index, one in enumerate(found)]
    assert shown == [512, 548, 524, 536]


@pytest.mark.parametrize(("count", "step"), [(0, 12), (1, 12), (250, 12), (1000, 3), (10**6, 1)])
def test_all_together_take_a_quarter_of_a_second_at_most(count: int, step: int) -> None:
    assert squeeze_step(count, 12_800) == step


@pytest.mark.parametrize(("dts", "expected"), [(None, 77), (0, 0)])
def test_a_run_goes_into_another_fragment(dts: int | None, expected: int) -> None:
    assert BOTH.video is not None
    sample = Sample(0, 3, 512, SYNC_FLAGS, 0)
    data = build_fragment(1, NewRun(BOTH.video, 77, [sample], b"abc"))
    run = parse_fragment(data, BOTH).video
    assert run is not None
    moved = new_run(run, data, dts)
    assert (moved.dts, moved.payload) == (expected, b"abc")
