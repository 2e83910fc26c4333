"""What `/metrics` says of recordings and of what waits for the disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from h5sup.metrics.exposition import Family, Sample


class Queue(Protocol):
    """What waits for the disk, of one source."""

    size_bytes: int
    limit_bytes: int
    dropped_gops: int
    written_bytes: int


class Recorder(Protocol):
    """All recordings of one source."""

    @property
    def token(self) -> str:
        """Which source it records."""

    @property
    def queue(self) -> Queue:
        """What waits for the disk."""

    @property
    def running(self) -> int:
        """How many recordings go to the disk now."""

    @property
    def preroll_bytes(self) -> int:
        """What is kept for recordings that may begin."""


def collect_recorders(recorders: Sequence[Recorder]) -> Iterator[Family]:
    """Yield how much is recorded, and how far the disk is behind."""
    named = [(one, (one.token,)) for one in recorders]
    labels = ("token",)
    yield Family(
        name="recordings_running",
        help="Recordings of the source that go to the disk now.",
        labels=labels,
        samples=[Sample(one.running, name) for one, name in named],
    )
    yield Family(
        name="recording_written_bytes",
        help="Bytes recorded of the source.",
        labels=labels,
        samples=[Sample(one.queue.written_bytes, name) for one, name in named],
        kind="counter",
    )
    yield Family(
        name="recording_gops_dropped",
        help="GOPs that are missing because the disk was too slow or refused.",
        labels=labels,
        samples=[Sample(one.queue.dropped_gops, name) for one, name in named],
        kind="counter",
    )
    yield Family(
        name="recording_queue_bytes",
        help="What waits for the disk.",
        labels=labels,
        samples=[Sample(one.queue.size_bytes, name) for one, name in named],
    )
    yield Family(
        name="recording_queue_limit_bytes",
        help="What may wait for the disk, for each source.",
        samples=[Sample(one.queue.limit_bytes) for one, _ in named[:1]],
    )
    yield Family(
        name="recording_preroll_bytes",
        help="What is kept in memory for recordings that may begin.",
        labels=labels,
        samples=[Sample(one.preroll_bytes, name) for one, name in named],
    )
