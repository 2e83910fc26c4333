"""Say in plain words why a process failed, from its last words and its exit code."""

from __future__ import annotations

import re
from collections.abc import Iterable

from h5sup.base.errors import Failure, SourceError

LINES_LOOKED_AT = 30
# After its socket timeout of 5 s ffmpeg calls silence "Invalid data", as it calls garbage at once.
SILENCE_S = 4.5
NO_ANSWER = "the camera gives no answer that can be understood"
CLOSED = "the camera closed the connection"
RAM_IS_FULL = "the RAM folder is full"

# First match wins: the reason stands before its consequences.
REASONS: tuple[tuple[str, Failure, str], ...] = (
    (
        r"401 Unauthorized|authorization failed|Authentication failed",
        Failure.WRONG_PASSWORD,
        "the camera refused user name or password",
    ),
    (r"403 Forbidden", Failure.WRONG_PASSWORD, "the camera forbids this user to watch"),
    (
        r"404 (Stream )?Not Found",
        Failure.NOT_FOUND,
        "the camera knows no such address, check the path of the URL",
    ),
    (r"Connection refused", Failure.REFUSED, "the camera refused the connection, check the port"),
    (
        r"Failed to resolve hostname|Name or service not known",
        Failure.UNKNOWN_HOST,
        "the host name is not known",
    ),
    (
        r"No route to host|Network is unreachable|Host is unreachable",
        Failure.UNREACHABLE,
        "there is no way to the camera's address",
    ),
    (r"5XX Server Error", Failure.REFUSED, "the camera answers with an error of its own"),
    (r"No space left on device", Failure.DISK_FULL, RAM_IS_FULL),
    (r"Connection timed out|Operation timed out", Failure.NO_ANSWER, NO_ANSWER),
    (r"No such file or directory", Failure.NOT_FOUND, "the file does not exist"),
    (
        r"Connection reset by peer|Broken pipe|End of file",
        Failure.CLOSED,
        CLOSED,
    ),
    (
        r"Invalid data found|moov atom not found|not on whitelist",
        Failure.NOT_MEDIA,
        "what came is no media that can be read",
    ),
)
PATTERNS = tuple((re.compile(pattern), failure, says) for pattern, failure, says in REASONS)


def diagnose(
    lines: Iterable[str], exit_code: int | None, *, had_video: bool = False, took_s: float = 0.0
) -> SourceError:
    """Return why a process ended, from its last lines on standard error and its exit code."""
    newest = list(lines)[-LINES_LOOKED_AT:]
    for pattern, failure, sentence in PATTERNS:
        if any(pattern.search(line) for line in newest):
            if failure is Failure.NOT_MEDIA and took_s >= SILENCE_S and not had_video:
                return SourceError(Failure.NO_ANSWER, NO_ANSWER)
            return SourceError(failure, sentence)
    if exit_code == 0:  # ffmpeg's word for a connection that ended, whatever the reason
        return SourceError(Failure.CLOSED, CLOSED)
    if exit_code is not None and exit_code < 0:
        return SourceError(Failure.FFMPEG, f"ffmpeg was killed by signal {-exit_code}")
    return SourceError(Failure.FFMPEG, f"ffmpeg ended with exit code {exit_code}")


def diagnose_stall(
    last_video: float | None, last_audio: float | None, limit_s: float
) -> SourceError:
    """Return what it means that no picture came for `limit_s`."""
    if last_video is None and last_audio is None:
        return SourceError(Failure.NO_ANSWER, f"no media came within {limit_s:g} s")
    if last_video is None:
        return SourceError(Failure.NO_VIDEO, f"only sound came within {limit_s:g} s")
    if last_audio is not None and last_audio - last_video >= limit_s / 2:
        return SourceError(
            Failure.VIDEO_STOPPED, f"the video stopped {limit_s:g} s ago, the sound goes on"
        )
    return SourceError(Failure.STALLED, f"no media for {limit_s:g} s")
