"""`/metrics`: the disk of recordings, what lies there, and the index of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from h5sup.api.services import Forecast, Mediastore
from h5sup.metrics.exposition import Family, Sample
from h5sup.recording.volume import State
from h5sup.store.media_records import StoredFile


class Index(Protocol):
    """The list of files."""

    @property
    def is_lost(self) -> bool:
        """Whether it was begun anew since the start."""

    @property
    def is_in_memory(self) -> bool:
        """Whether it can't be written."""

    def growing(self) -> Sequence[StoredFile]:
        """Return what is being written."""


class Retention(Protocol):
    """What deletes old files."""

    @property
    def deleted_files(self) -> int:
        """How many since the start."""

    @property
    def deleted_bytes(self) -> int:
        """How much since the start."""


def collect_mediastore(store: Mediastore, forecast: Forecast) -> Iterator[Family]:
    """Yield how the disk is and what lies there."""
    yield Family(
        name="mediastore_state",
        help="1 for what the disk of recordings is like: ok, full, read_only or missing.",
        labels=("state",),
        samples=[Sample(one is store.state, (one.value,)) for one in State],
    )
    yield _gauge("mediastore_free_bytes", "Free on the disk of recordings.", store.free_bytes)
    yield _gauge("mediastore_total_bytes", "Its size.", store.total_bytes)
    outlook = forecast.newest
    for name, help_text, values in (
        ("mediastore_files", "Files of the source.", [one.files for one in outlook.shares]),
        ("mediastore_bytes", "What they take.", [one.size_bytes for one in outlook.shares]),
        (
            "mediastore_bytes_per_day",
            "What a day adds, over the last week.",
            [one.bytes_per_day for one in outlook.shares],
        ),
    ):
        labels = [(one.token,) for one in outlook.shares]
        samples = [Sample(*one) for one in zip(values, labels, strict=True)]
        yield Family(name=name, help=help_text, labels=("token",), samples=samples)
    if outlook.days_left is not None:
        yield _gauge(
            "mediastore_days_left",
            "Until the oldest recordings go for want of room; absent where age makes room.",
            outlook.days_left,
        )


def collect_recordings(index: Index, retention: Retention) -> Iterator[Family]:
    """Yield what is being written and deleted, and whether the index is whole."""
    yield _gauge("recordings_growing", "Files that are being written.", len(index.growing()))
    yield Family(
        name="retention_deleted_files",
        help="Files that went for age or want of room.",
        samples=[Sample(retention.deleted_files)],
        kind="counter",
    )
    yield Family(
        name="retention_deleted_bytes",
        help="What they took.",
        samples=[Sample(retention.deleted_bytes)],
        kind="counter",
    )
    yield _gauge("media_index_lost", "1 if it was begun anew since the start.", index.is_lost)
    yield _gauge("media_index_in_memory", "1 while it can't be written.", index.is_in_memory)


def _gauge(name: str, help_text: str, value: float) -> Family:
    return Family(name=name, help=help_text, samples=[Sample(value)])
