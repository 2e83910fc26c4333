"""What ffprobe answers, as tracks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from h5sup.base.errors import Failure, SourceError
from h5sup.ffmpeg.media import AudioTrack, VideoTrack
from h5sup.ffmpeg.probe import is_whole, parse_answer

VIDEO = {
    "codec_name": "h264",
    "codec_type": "video",
    "width": 1920,
    "height": 1080,
    "has_b_frames": 1,
    "pix_fmt": "yuv420p",
    "is_avc": "true",
    "r_frame_rate": "25/1",
    "avg_frame_rate": "30000/1001",
    "disposition": {"attached_pic": 0},
}
AUDIO = {
    "codec_name": "aac",
    "codec_type": "audio",
    "sample_rate": "48000",
    "channels": 2,
    "extradata_size": 5,
}
COVER = {"codec_name": "mjpeg", "codec_type": "video", "disposition": {"attached_pic": 1}}


def answer(*tracks: dict[str, Any], name: str = "mov,mp4,m4a,3gp,3g2,mj2") -> bytes:
    return json.dumps({"streams": tracks, "format": {"format_name": name}}).encode()


def test_tracks_are_read() -> None:
    tracks = parse_answer(answer(COVER, AUDIO, VIDEO))
    assert tracks.video == VideoTrack(
        codec="h264",
        width=1920,
        height=1080,
        fps=30000 / 1001,
        pix_fmt="yuv420p",
        has_b_frames=True,
    )
    assert tracks.audio == AudioTrack(codec="aac", sample_rate=48000, channels=2)
    assert not tracks.is_annex_b


def test_sound_that_brings_its_configuration_along_is_known() -> None:
    without = {key: value for key, value in AUDIO.items() if key != "extradata_size"}
    audio = parse_answer(answer(VIDEO, without)).audio
    assert audio is not None
    assert not audio.has_config


def test_unknown_rate_falls_back_and_then_is_zero() -> None:
    first = VIDEO | {"avg_frame_rate": "0/0"}
    assert parse_answer(answer(first)).video.fps == 25
    assert parse_answer(answer(first | {"r_frame_rate": "x"})).video.fps == 0


def test_audio_without_a_sample_rate_does_not_count() -> None:
    assert parse_answer(answer(VIDEO, AUDIO | {"sample_rate": "0"})).audio is not None
    assert parse_answer(answer(VIDEO, {"codec_type": "audio"})).audio is None


@pytest.mark.parametrize(
    ("track", "name", "annex_b"),
    [
        (VIDEO, "rtsp", False),
        (VIDEO | {"is_avc": "false"}, "mov,mp4", True),
        ({"codec_type": "video", "codec_name": "hevc"}, "mov,mp4", False),
        ({"codec_type": "video", "codec_name": "hevc"}, "flv", False),
        ({"codec_type": "video", "codec_name": "hevc"}, "mpegts", True),
        ({"codec_type": "video", "codec_name": "hevc"}, "rtsp", True),
    ],
)
def test_form_of_nal_units_is_known(track: dict[str, Any], name: str, annex_b: bool) -> None:
    assert parse_answer(answer(track, name=name)).is_annex_b is annex_b


def test_sound_alone_is_no_source() -> None:
    with pytest.raises(SourceError) as caught:
        parse_answer(answer(AUDIO, COVER))
    assert caught.value.failure is Failure.NO_VIDEO


@pytest.mark.parametrize(
    "garbage", [b"", b"{}", b"[]", b'{"streams": 1, "format": {"format_name": "x"}}', b"\xff"]
)
def test_answer_that_is_none_is_a_source_error(garbage: bytes) -> None:
    with pytest.raises(SourceError) as caught:
        parse_answer(garbage)
    assert caught.value.failure is Failure.NOT_MEDIA


@pytest.mark.parametrize(
    ("tracks", "whole"),
    [
        ((VIDEO, AUDIO), True),
        ((VIDEO, {"codec_type": "data"}), True),
        ((VIDEO | {"width": 0}, AUDIO), False),
        (({key: value for key, value in VIDEO.items() if key != "pix_fmt"},), False),
        ((VIDEO, AUDIO | {"sample_rate": "0"}), False),
        ((VIDEO, {"codec_type": "audio"}), False),
    ],
)
def test_what_a_quick_look_did_not_see_is_noticed(
    tracks: tuple[dict[str, Any], ...], whole: bool
) -> None:
    assert is_whole(answer(*tracks)) is whole


@pytest.mark.parametrize("garbage", [b"", b"{}", b"[]", b'{"streams": [1]}', b"\xff"])
def test_a_quick_look_at_garbage_is_none(garbage: bytes) -> None:
    assert not is_whole(garbage)
