"""Every way an input is known to fail, with ffmpeg's own words, in plain ones."""

from __future__ import annotations

import pytest

from h5sup.base.errors import Failure
from h5sup.ffmpeg.diagnosis import diagnose, diagnose_stall

URL = "rtsp://u:***@192.0.2.5/live"


@pytest.mark.parametrize(
    ("lines", "exit_code", "failure", "sentence"),
    [
        (
            [
                "[rtsp @ 0x5557f5ba0bc0] [error] method DESCRIBE failed: 401 Unauthorized",
                f"[error] {URL}: Server returned 401 Unauthorized (authorization failed)",
            ],
            1,
            Failure.WRONG_PASSWORD,
            "refused user name or password",
        ),
        (
            [
                "[in#0 @ 0x5] [error] method OPTIONS failed: 401 (Unauthorized)",
                "[fatal] Error opening input files: Server returned 401 Unauthorized "
                "(authorization failed)",
            ],
            8,
            Failure.WRONG_PASSWORD,
            "refused user name or password",
        ),
        (
            [f"[error] {URL}: Server returned 403 Forbidden (access denied)"],
            1,
            Failure.WRONG_PASSWORD,
            "forbids this user",
        ),
        (
            [
                "[rtsp @ 0x5] [error] method DESCRIBE failed: 404 Stream Not Found",
                f"[error] {URL}: Server returned 404 Not Found",
            ],
            1,
            Failure.NOT_FOUND,
            "check the path of the URL",
        ),
        (
            [f"[error] {URL}: Server returned 5XX Server Error reply"],
            1,
            Failure.REFUSED,
            "an error of its own",
        ),
        (
            [
                "[tcp @ 0x5] [error] Connection to tcp://192.0.2.5:554?timeout=5000000 failed: "
                "Connection refused",
                f"[error] {URL}: Connection refused",
            ],
            1,
            Failure.REFUSED,
            "check the port",
        ),
        (
            [
                "[tcp @ 0x5] [error] Failed to resolve hostname cam.invalid: Name or service not "
                "known",
                f"[error] {URL}: Input/output error",
            ],
            1,
            Failure.UNKNOWN_HOST,
            "host name is not known",
        ),
        (
            ["[tcp @ 0x5] [error] Connection to tcp://10.0.0.9:554 failed: No route to host"],
            1,
            Failure.UNREACHABLE,
            "no way to the camera",
        ),
        ([f"[error] {URL}: Connection timed out"], 0, Failure.NO_ANSWER, "no answer"),
        ([f"[error] {URL}: Connection timed out"], 146, Failure.NO_ANSWER, "no answer"),
        (
            [f"[error] {URL}: Invalid data found when processing input"],
            1,
            Failure.NOT_MEDIA,
            "no media",
        ),
        (
            ["[error] /media/gone.mp4: No such file or directory"],
            1,
            Failure.NOT_FOUND,
            "the file does not exist",
        ),
        (
            ["[error] av_interleaved_write_frame(): No space left on device"],
            1,
            Failure.DISK_FULL,
            "RAM folder is full",
        ),
        ([], 0, Failure.CLOSED, "closed the connection"),
        (["[error] http://cam/x.ts: End of file"], 1, Failure.CLOSED, "closed the connection"),
        ([], 255, Failure.FFMPEG, "ended with exit code 255"),
        ([], -9, Failure.FFMPEG, "killed by signal 9"),
        ([], None, Failure.FFMPEG, "exit code None"),
    ],
)
def test_failure_is_named(
    lines: list[str], exit_code: int | None, failure: Failure, sentence: str
) -> None:
    error = diagnose(lines, exit_code)
    assert error.failure is failure
    assert sentence in str(error)


def test_silence_is_told_from_garbage_by_its_length() -> None:
    lines = [f"[error] {URL}: Invalid data found when processing input"]
    assert diagnose(lines, 1, took_s=0.3).failure is Failure.NOT_MEDIA
    assert diagnose(lines, 1, took_s=5.2).failure is Failure.NO_ANSWER
    assert diagnose(lines, 1, took_s=600, had_video=True).failure is Failure.NOT_MEDIA


def test_words_of_long_ago_do_not_count() -> None:
    old = [f"[error] {URL}: Connection refused"]
    assert diagnose(old + ["[h264] [error] no frame!"] * 50, 0).failure is Failure.CLOSED


@pytest.mark.parametrize(
    ("last_video", "last_audio", "failure"),
    [
        (None, None, Failure.NO_ANSWER),
        (None, 99.0, Failure.NO_VIDEO),
        (90.0, None, Failure.STALLED),
        (90.0, 90.1, Failure.STALLED),
        (90.0, 99.9, Failure.VIDEO_STOPPED),
    ],
)
def test_stall_is_told_from_video_that_stopped(
    last_video: float | None, last_audio: float | None, failure: Failure
) -> None:
    error = diagnose_stall(last_video, last_audio, 10.0)
    assert error.failure is failure
    assert "10 s" in str(error)
