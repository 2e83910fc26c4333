"""Inputs: the address with credentials, and what must stay out of logs."""

from __future__ import annotations

import pytest

from h5sup.ffmpeg.media import Input, Tracks, VideoTrack


def test_credentials_are_encoded_into_the_address() -> None:
    source = Input(kind="rtsp", url="rtsp://[::1]:554/a?b=c", user="ann e", password="p:@/?#%")
    assert source.address == "rtsp://ann%20e:p%3A%40%2F%3F%23%25@[::1]:554/a?b=c"


def test_given_credentials_replace_those_of_the_address() -> None:
    source = Input(kind="rtsp", url="rtsp://old:pw@cam/x", user="new", password="other")
    assert source.address == "rtsp://new:other@cam/x"


def test_address_without_credentials_stays_as_it_is() -> None:
    assert Input(kind="rtsp", url="rtsp://old:pw@cam/x").address == "rtsp://old:pw@cam/x"
    path = "/media/a@b:c.mp4"
    assert Input(kind="file", url=path, user="u", password="p").address == path


def test_secrets_are_known_in_every_form() -> None:
    source = Input(kind="rtsp", url="rtsp://old:pw1@cam/x", user="new", password="a@b")
    assert set(source.secrets) == {"old", "pw1", "new", "a@b", "a%40b"}
    assert Input(kind="file", url="/a:b@c").secrets == ()


def test_secrets_do_not_show_in_a_repr() -> None:
    source = Input(kind="rtsp", url="rtsp://old:pw1@cam/x", user="ann", password="hidden")
    assert "pw1" not in repr(source)
    assert "hidden" not in repr(source)


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "playable"),
    [
        ("h264", "yuv420p", True),
        ("h264", "yuvj420p", True),
        ("h264", "yuv420p10le", False),
        ("h264", "yuv422p", False),
        ("hevc", "yuv420p", False),
        ("mjpeg", "yuvj420p", False),
    ],
)
def test_browsers_play_8_bit_420_h264(codec: str, pix_fmt: str, playable: bool) -> None:
    video = VideoTrack(codec=codec, width=640, height=360, pix_fmt=pix_fmt)
    assert Tracks(video=video).browser_playable is playable
