"""The channel's clock: no hole, no step back, sound held to the picture."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from h5sup.bus.fragment import Fragment
from h5sup.bus.timeline import AUDIO_GONE_S, AUDIO_LEAD_S, SKEW_S, Timeline
from h5sup.formats.isobmff.boxes import U64
from h5sup.formats.isobmff.fragment import parse_fragment
from h5sup.formats.isobmff.init_segment import parse_init
from tests.fakes.mp4 import AAC_FRAME, AUDIO_SCALE, PICTURE, VIDEO_SCALE, Camera


def begin(
    camera: Camera, *, keep_clock: bool = False, timeline: Timeline | None = None
) -> Timeline:
    timeline = timeline or Timeline()
    timeline.begin(parse_init(camera.data), keep_clock=keep_clock)
    return timeline


def place(timeline: Timeline, fragments: Iterable[bytes]) -> list[Fragment]:
    return [placed for one in fragments for placed in timeline.place(one, 0.0)]


def assert_gapless(fragments: list[Fragment]) -> None:
    """Every run begins where the one before it ended, in the objects and in the bytes."""
    init = Camera().init
    for kind in ("video", "audio"):
        expected = None
        for fragment in fragments:
            run = getattr(fragment, kind)
            if run is None:
                continue
            parsed = getattr(parse_fragment(fragment.data, init), kind)
            assert parsed.dts == run.dts == U64.unpack_from(fragment.data, run.tfdt_at)[0]
            assert parsed.duration == run.duration
            assert expected in (None, run.dts)
            expected = run.end


def skew_s(fragments: list[Fragment]) -> float:
    """Return how far the sound's end lies behind the picture's."""
    video = next(one.video for one in reversed(fragments) if one.video)
    audio = next(one.audio for one in reversed(fragments) if one.audio)
    return video.end / VIDEO_SCALE - audio.end / AUDIO_SCALE


def test_a_steady_camera_keeps_its_times() -> None:
    camera = Camera(video_dts=9_000_000, audio_dts=33_750_000)
    fragments = place(begin(camera), camera.gop() + camera.gop())
    assert len(fragments) == 50
    assert [one.is_key for one in fragments].count(True) == 2
    assert_gapless(fragments)
    assert abs(skew_s(fragments)) < 0.03


def test_nothing_is_placed_before_a_key_fragment() -> None:
    camera = Camera()
    timeline = begin(camera)
    assert place(timeline, [camera.fragment(), camera.fragment(sounds=[AAC_FRAME])]) == []
    assert len(place(timeline, [camera.fragment(key=True)])) == 1


def test_the_true_start_is_found_behind_a_first_sample_that_lasts_too_long() -> None:
    camera = Camera()
    timeline = begin(camera)
    early = [camera.fragment(pictures=(), sounds=[AAC_FRAME] * 2) for _ in range(70)]
    # what ffmpeg makes of a key frame that comes 3 s after the first sound
    late = camera.fragment(key=True, pictures=[3 * VIDEO_SCALE + PICTURE], sounds=[AAC_FRAME] * 2)
    fragments = place(timeline, [*early, late, *camera.gop()])
    assert_gapless(fragments)
    assert abs(skew_s(fragments)) < SKEW_S
    assert fragments[0].video is not None
    assert fragments[0].video.duration == PICTURE


def starts_s(fragments: list[Fragment]) -> tuple[float, float]:
    """Return where the picture and the sound begin."""
    video = next(one.video for one in fragments if one.video)
    audio = next(one.audio for one in fragments if one.audio)
    return video.dts / VIDEO_SCALE, audio.dts / AUDIO_SCALE


@pytest.mark.parametrize("lead_s", [0.5, 3.0])
@pytest.mark.parametrize("with_picture", [True, False])
def test_sound_from_long_before_the_first_picture_is_left_out(
    lead_s: float, with_picture: bool
) -> None:
    camera = Camera(video_dts=9_000_000)
    camera.audio_dts = int((9_000_000 / VIDEO_SCALE - lead_s) * AUDIO_SCALE)
    early = [AAC_FRAME] * int(lead_s * AUDIO_SCALE / AAC_FRAME + 4)
    first = [camera.fragment(key=True, sounds=early if with_picture else ())]
    if not with_picture:
        first.append(camera.fragment(pictures=(), sounds=early))
    fragments = place(begin(camera), [*first, *camera.gop()])
    assert_gapless(fragments)
    video_s, audio_s = starts_s(fragments)
    assert 0 <= video_s - audio_s <= AUDIO_LEAD_S + AAC_FRAME / AUDIO_SCALE
    assert abs(skew_s(fragments)) < 0.1


def test_fragments_of_early_sound_alone_are_left_out_whole() -> None:
    camera = Camera(video_dts=9_000_000)
    camera.audio_dts = int((9_000_000 / VIDEO_SCALE - 2) * AUDIO_SCALE)
    key = camera.fragment(key=True)
    early = [camera.fragment(pictures=(), sounds=[AAC_FRAME] * 2) for _ in range(46)]
    with_early = camera.fragment(sounds=[AAC_FRAME])
    fragments = place(begin(camera), [key, *early, with_early, *camera.gop()])
    assert_gapless(fragments)
    video_s, audio_s = starts_s(fragments)
    assert abs(video_s - audio_s) <= AUDIO_LEAD_S + AAC_FRAME / AUDIO_SCALE


def test_two_sounds_with_one_time_are_set_right() -> None:
    camera = Camera()
    timeline = begin(camera)
    uneven = camera.fragment(key=True, sounds=[0, 2048, 1023, 1025])
    fragments = place(timeline, [uneven, camera.fragment()])
    parsed = parse_fragment(fragments[0].data, camera.init)
    assert parsed.audio is not None
    assert [sample.duration for sample in parsed.audio.samples] == [AAC_FRAME] * 4


def test_a_loss_is_closed_up_at_the_next_key_fragment() -> None:
    camera = Camera()
    timeline = begin(camera)
    before = place(timeline, camera.gop())
    camera.video_dts += 5 * VIDEO_SCALE
    camera.audio_dts += 5 * AUDIO_SCALE
    assert place(timeline, [camera.fragment(), camera.fragment()]) == []
    after = place(timeline, camera.gop())
    assert after[0].is_key
    assert_gapless(before + after)
    assert timeline.lost_s == pytest.approx(5.08, abs=0.01)
    assert abs(skew_s(after)) < SKEW_S


def test_a_picture_that_stands_for_lost_ones_is_shortened() -> None:
    camera = Camera()
    timeline = begin(camera)
    fragments = place(timeline, camera.gop())
    camera.audio_dts += 4 * AUDIO_SCALE
    fragments += place(timeline, [camera.fragment(pictures=[4 * VIDEO_SCALE])])
    assert fragments[-1].video is not None
    assert fragments[-1].video.duration < 2 * PICTURE
    fragments += place(timeline, camera.gop())
    assert_gapless(fragments)
    assert abs(skew_s(fragments)) < SKEW_S


def test_a_slow_camera_is_not_hurried() -> None:
    camera = Camera(audio=False)
    timeline = begin(camera)
    slow = [camera.fragment(key=True, pictures=[2 * VIDEO_SCALE]) for _ in range(40)]
    last = place(timeline, slow)[-1]
    assert last.video is not None
    assert last.video.duration == 2 * VIDEO_SCALE


def test_sound_that_stops_is_filled_with_silence() -> None:
    camera = Camera()
    timeline = begin(camera)
    fragments = place(timeline, camera.gop())
    mute = [camera.fragment(key=index % 25 == 0) for index in range(100)]
    fragments += place(timeline, mute)
    assert_gapless(fragments)
    assert skew_s(fragments) <= AUDIO_GONE_S + 0.05
    silent = parse_fragment(
        next(one for one in fragments if one.video is None).data, camera.init
    ).audio
    assert silent is not None
    assert silent.samples[0].duration == AAC_FRAME
    assert silent.samples[0].size == 6


def test_sound_comes_back_in_step_after_silence() -> None:
    camera = Camera()
    timeline = begin(camera)
    fragments = place(timeline, camera.gop())
    fragments += place(timeline, [camera.fragment(key=not n % 25) for n in range(100)])
    camera.audio_dts = camera.video_dts * AUDIO_SCALE // VIDEO_SCALE
    fragments += place(timeline, camera.gop() + camera.gop())
    assert_gapless(fragments)
    assert abs(skew_s(fragments)) < SKEW_S


def test_too_much_sound_is_left_out_whole_frames_at_a_time() -> None:
    camera = Camera()
    timeline = begin(camera)
    fragments = place(timeline, camera.gop())
    doubled = [camera.fragment(key=not n, sounds=[AAC_FRAME] * 2) for n in range(50)]
    camera.audio_dts = 0  # the camera's clock stands still while frames pile up
    for data in doubled:
        fragments += place(timeline, [data])
    assert_gapless(fragments)


def test_a_new_process_goes_on_where_the_old_one_left() -> None:
    first, second = Camera(), Camera(video_dts=777_777, audio_dts=2_916_663)
    timeline = begin(first)
    fragments = place(timeline, first.gop())
    begin(second, keep_clock=True, timeline=timeline)
    fragments += place(timeline, second.gop() + second.gop())
    assert_gapless(fragments)
    assert abs(skew_s(fragments)) < SKEW_S
    assert timeline.lost_s == 0


def test_sound_that_begins_before_the_first_picture_stays_in_step_with_it() -> None:
    camera = Camera(video_dts=VIDEO_SCALE, audio_dts=AUDIO_SCALE // 2)
    timeline = begin(camera)
    early = camera.fragment(key=True, sounds=[AAC_FRAME] * 24)
    fragments = place(timeline, [early, camera.fragment()])
    audio, video = fragments[0].audio, fragments[0].video
    assert audio is not None
    assert video is not None
    left_out_s = 18 * AAC_FRAME / AUDIO_SCALE
    begins_s = video.dts / VIDEO_SCALE - 0.5 + left_out_s
    assert audio.dts / AUDIO_SCALE == pytest.approx(begins_s, abs=0.001)
