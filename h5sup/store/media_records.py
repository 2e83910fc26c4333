"""What the index of mediastore knows: files, gaps, sums and archives.

Times are whole microseconds since 1970 in UTC, so that they sort, subtract and never round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["record", "snapshot", "archive"]
Trigger = Literal["always", "schedule", "manual", "alarm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """One file below mediastore."""

    id: int = 0
    """0 until it has been added."""
    kind: Kind
    token: str
    path: str
    """Below mediastore: `record/cam/2026-11-24TZ08/10-00-00/cam-<uuid>.mp4`."""
    filename: str
    """The last part of `path`."""
    recording: str
    """The name that plays it: `filename`, or that of the file it goes on from."""
    trigger: Trigger
    start_us: int
    end_us: int
    """Of its newest picture while it grows."""
    size_bytes: int = 0
    is_growing: bool = False
    codecs: str = ""
    """As RFC 6381 lists them, video first."""
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Time that should have been recorded and was not."""

    id: int = 0
    token: str
    start_us: int
    end_us: int | None
    """None while it lasts."""
    cause: str
    """One word for code, see recording/gaps.py."""
    reason: str
    """One sentence for people, without secrets."""


@dataclass(frozen=True, slots=True)
class Total:
    """What the finished files of one source, kind and day (UTC, by their beginning) come to."""

    kind: Kind
    token: str
    day: int
    """Days since 1970."""
    files: int
    size_bytes: int
    duration_us: int


ArchiveState = Literal["waiting", "running", "done", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """An archive that was asked for, whatever became of it."""

    id: int = 0
    token: str
    filename: str
    path: str
    """Below mediastore, once it is done."""
    state: ArchiveState = "waiting"
    reason: str = ""
    """Why it failed, one sentence."""
