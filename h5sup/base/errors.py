"""Every error h5sup raises on purpose, in one tree.

H5supError              one plain sentence for a person
├── ConfigError         config.json, a profile or the command line; names the JSON path
├── InvalidError        a parameter of a call; names the parameter
├── NotFoundError       a token, profile or file that does not exist
├── ConflictError       a token that exists already, or one that can't be changed this way
├── UnavailableError    a source without media, a limit that is reached
├── AuthError           no session or a dead one
├── LoginError          a login that failed; carries what its caller may know
├── ForbiddenError      a session without the right
├── SourceError         a source's process failed; carries the kind of failure
└── MediaFormatError    bytes that are not the format they claim to be
"""

from __future__ import annotations

from enum import Enum


class H5supError(Exception):
    """Any failure with a plain sentence for a person; `str(error)` is that sentence."""


class ConfigError(H5supError):
    """A configuration that can't be used; `path` is a JSON path such as `sources[2].url`."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem


class InvalidError(H5supError):
    """A call's parameter that can't be used."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name
        self.problem = problem


class NotFoundError(H5supError):
    """What was asked for does not exist."""


class ConflictError(H5supError):
    """What was asked for stands against what exists."""


class UnavailableError(H5supError):
    """What was asked for exists but can't be had now."""


class AuthError(H5supError):
    """Nobody is signed in."""


class LoginError(H5supError):
    """A name and password that open nothing, or a name that is locked."""

    def __init__(self, sentence: str, *, faults: int, locked_s: int) -> None:
        super().__init__(sentence)
        self.faults = faults
        self.locked_s = locked_s


class ForbiddenError(H5supError):
    """Somebody is signed in who may not do this."""


class MediaFormatError(H5supError):
    """Bytes that are not the format they claim to be."""


class Failure(Enum):
    """Why a source's process failed, for code; the sentence for people goes with it."""

    WRONG_PASSWORD = "wrong_password"  # noqa: S105 (a failure's name, not a secret)
    NOT_FOUND = "not_found"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    UNKNOWN_HOST = "unknown_host"
    NO_ANSWER = "no_answer"
    NOT_MEDIA = "not_media"
    NO_VIDEO = "no_video"
    CLOSED = "closed"
    STALLED = "stalled"
    VIDEO_STOPPED = "video_stopped"
    DISK_FULL = "disk_full"
    FFMPEG = "ffmpeg"


class SourceError(H5supError):
    """A source's process failed."""

    def __init__(self, failure: Failure, sentence: str) -> None:
        super().__init__(sentence)
        self.failure = failure
