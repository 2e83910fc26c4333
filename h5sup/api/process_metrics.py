"""`/metrics`: what h5sup itself costs, how its processes fare, and what bounds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from h5sup.base.errors import Failure
from h5sup.bus.channel import Channel
from h5sup.config.model import LimitsConfig
from h5sup.metrics.exposition import Family, Sample
from h5sup.metrics.loop_lag import LoopLag
from h5sup.metrics.processes import Processes

FEED_LABELS = ("token", "input", "profile")


class Feed(Protocol):
    """One supervised process."""

    @property
    def channel(self) -> Channel:
        """What it fills."""

    @property
    def pid(self) -> int | None:
        """Its process, while there is one."""

    @property
    def restarts(self) -> Mapping[Failure, int]:
        """How often it failed, by cause."""


class Source(Protocol):
    """A source with all its feeds."""

    @property
    def feeds(self) -> Sequence[Feed]:
        """Its inputs and what is derived of them."""


class Sources(Protocol):
    """All sources."""

    def opened(self) -> Sequence[Source]:
        """Return those that have feeds."""


class WsQueues(Protocol):
    """What waits for viewers over WebSocket."""

    @property
    def unsent_bytes(self) -> int:
        """How much waits for all of them."""

    @property
    def dropped_fragments(self) -> int:
        """How many fragments slow viewers did not get."""


class Connections(Protocol):
    """Who is connected."""

    @property
    def connections(self) -> int:
        """How many are in."""

    @property
    def limit(self) -> int:
        """How many may be."""

    @property
    def refused(self) -> int:
        """For how many there was no place."""

    @property
    def gave_way(self) -> int:
        """How many had to make room."""


def labels_of(feed: Feed) -> tuple[str, ...]:
    """Return what names a feed, as in FEED_LABELS."""
    channel = feed.channel
    return (channel.token, channel.input_name, channel.profile)


def find_processes(sources: Sources) -> dict[tuple[str, ...], int]:
    """Return the process of each feed that has one."""
    feeds = [feed for source in sources.opened() for feed in source.feeds]
    return {labels_of(feed): feed.pid for feed in feeds if feed.pid is not None}


def collect_restarts(sources: Sources) -> Iterator[Family]:
    """Yield how often each ffmpeg failed, and why."""
    feeds = [feed for source in sources.opened() for feed in source.feeds]
    yield Family(
        name="source_restarts",
        help="How often ffmpeg ended without being asked to and was started again, by cause.",
        labels=(*FEED_LABELS, "cause"),
        samples=[
            Sample(count, (*labels_of(feed), cause.value))
            for feed in feeds
            for cause, count in feed.restarts.items()
        ],
        kind="counter",
    )


def collect_processes(processes: Processes) -> Iterator[Family]:
    """Yield what each ffmpeg and this process cost; a first scrape may find nothing yet."""
    costs = processes.want()
    yield Family(
        name="ffmpeg_cpu_seconds",
        help="Processor time of the source's present ffmpeg.",
        labels=FEED_LABELS,
        samples=[Sample(cost.cpu_s, labels) for labels, cost in costs.items()],
        kind="counter",
    )
    yield Family(
        name="ffmpeg_pss_bytes",
        help="Memory of the source's present ffmpeg, shared pages divided among those who share.",
        labels=FEED_LABELS,
        samples=[Sample(cost.pss_bytes, labels) for labels, cost in costs.items()],
    )
    jobs = [(job, (kind,)) for kind, job in processes.jobs.items()]
    yield Family(
        name="job_processes",
        help="Processes that are no source's: playbacks, archives, pictures, probes.",
        labels=("kind",),
        samples=[Sample(job.count, labels) for job, labels in jobs],
    )
    yield Family(
        name="job_cpu_seconds",
        help="Processor time of all those. They are looked at every 10 s, so that of short ones "
        "and of the end of each is missing.",
        labels=("kind",),
        samples=[Sample(job.cpu_s, labels) for job, labels in jobs],
        kind="counter",
    )
    yield Family(
        name="job_pss_bytes",
        help="Memory of those that run.",
        labels=("kind",),
        samples=[Sample(job.pss_bytes, labels) for job, labels in jobs],
    )
    own = processes.own
    if own is None:
        return
    for name, words, value in (
        ("process_start_time_seconds", "When h5sup started, in seconds since 1970.", own.started),
        ("process_pss_bytes", "Memory of h5sup without its ffmpegs.", own.pss_bytes),
        ("process_open_fds", "Open files and sockets of h5sup.", own.descriptors),
    ):
        yield Family(name=name, help=words, samples=[Sample(value)])
    yield Family(
        name="process_cpu_seconds",
        help="Processor time of h5sup without its ffmpegs.",
        samples=[Sample(own.cpu_s)],
        kind="counter",
    )


def collect_loop(lag: LoopLag) -> Iterator[Family]:
    """Yield how late the event loop is."""
    yield Family(
        name="event_loop_lag_seconds",
        help="How late the event loop was over the last minute.",
        labels=("figure",),
        samples=[Sample(lag.longest_s, ("longest",)), Sample(lag.mean_s, ("mean",))],
    )


def collect_connections(door: Connections) -> Iterator[Family]:
    """Yield how many are connected and how many were turned away."""
    yield Family(
        name="connections", help="Open HTTP connections.", samples=[Sample(door.connections)]
    )
    yield Family(
        name="connections_limit",
        help="How many there may be: limits.connections, or what the system allows.",
        samples=[Sample(door.limit)],
    )
    yield Family(
        name="connections_refused",
        help="Connections for which there was no place.",
        samples=[Sample(door.refused)],
        kind="counter",
    )
    yield Family(
        name="connections_gave_way",
        help="Idle connections that were closed to make room.",
        samples=[Sample(door.gave_way)],
        kind="counter",
    )


def collect_queues(ws: WsQueues) -> Iterator[Family]:
    """Yield what waits for slow viewers and what they lost."""
    yield Family(
        name="ws_unsent_bytes",
        help="What waits for all viewers over WebSocket.",
        samples=[Sample(ws.unsent_bytes)],
    )
    yield Family(
        name="ws_dropped_fragments",
        help="Fragments that viewers over WebSocket did not get because they were behind.",
        samples=[Sample(ws.dropped_fragments)],
        kind="counter",
    )


def collect_limits(limits: LimitsConfig, hls_bytes: int) -> Iterator[Family]:
    """Yield the bounds of what is kept, to hold the other figures against."""
    for name, words, value in (
        ("source_ring_limit_bytes", "Bound of source_ring_bytes.", limits.ring_bytes),
        ("source_gop_limit_bytes", "Bound of source_gop_bytes.", limits.gop_bytes),
        ("viewer_limit_bytes", "Bound of what waits for one viewer.", limits.viewer_bytes),
        ("viewers_limit", "Bound of viewers, for each output.", limits.viewers),
        ("hls_limit_bytes", "Bound of hls_bytes.", hls_bytes),
    ):
        yield Family(name=name, help=words, samples=[Sample(value)])


def collect_certificate(expires_s: float) -> Iterator[Family]:
    """Yield when HTTPS's certificate ends."""
    yield Family(
        name="tls_certificate_expiry_timestamp_seconds",
        help="When the certificate of http.tls_port ends, in seconds since 1970.",
        samples=[Sample(expires_s)],
    )
