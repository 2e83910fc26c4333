"""`/metrics`: the figures of sources and outputs, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from aiohttp import web

from h5sup.api.services import Connections, RtcViewers, Sources
from h5sup.metrics.exposition import MIME, Exposition, Family, Sample


class Holding(Protocol):
    """What keeps bytes within a bound."""

    @property
    def size_bytes(self) -> int:
        """How many it keeps now."""


class Playbacks(Protocol):
    """What plays recordings."""

    @property
    def count(self) -> int:
        """How many play."""

    @property
    def converting(self) -> int:
        """Of how many the pictures are converted."""


def serve(exposition: Exposition) -> web.Response:
    """Return the text."""
    return web.Response(body=exposition.render(), headers={"Content-Type": MIME})


def collect_sources(sources: Sources) -> Iterator[Family]:
    """Yield how each source fares."""
    found = sources.sources()
    names = [(one, (one.config.token,)) for one in found]
    yield Family(
        name="source_online",
        help="1 while the source gives pictures.",
        labels=("token",),
        samples=[Sample(one.is_online, labels) for one, labels in names],
    )
    yield Family(
        name="source_fps",
        help="Pictures a second over the last two seconds or so.",
        labels=("token",),
        samples=[Sample(one.main.channel.rates.fps, labels) for one, labels in names],
    )
    yield Family(
        name="source_bitrate_kbps",
        help="Kilobits a second over the last two seconds or so.",
        labels=("token",),
        samples=[Sample(one.main.channel.rates.bitrate_kbps, labels) for one, labels in names],
    )
    yield Family(
        name="source_viewers",
        help="Who holds the source open: viewers, and HLS playlists that are asked for.",
        labels=("token",),
        samples=[Sample(one.viewers, labels) for one, labels in names],
    )
    rings = [(one.main.channel.ring, labels) for one, labels in names]
    yield Family(
        name="source_packets_lost",
        help="Packets that ffmpeg sent on the loopback and nobody received.",
        labels=("token",),
        samples=[Sample(ring.lost, labels) for ring, labels in rings if ring is not None],
        kind="counter",
    )
    yield Family(
        name="source_ring_bytes",
        help="What the packet ring holds.",
        labels=("token",),
        samples=[Sample(ring.size_bytes, labels) for ring, labels in rings if ring is not None],
    )
    yield Family(
        name="source_gop_bytes",
        help="What the cache of the newest GOP holds.",
        labels=("token",),
        samples=[Sample(one.main.channel.cache.size_bytes, labels) for one, labels in names],
    )


def collect_outputs(outputs: Sequence[tuple[str, Connections]]) -> Iterator[Family]:
    """Yield how many viewers each output has."""
    yield Family(
        name="viewers",
        help="Connected viewers by output.",
        labels=("output",),
        samples=[Sample(one.connections, (name,)) for name, one in outputs],
    )


def collect_playbacks(playbacks: Playbacks) -> Iterator[Family]:
    """Yield how many recordings play."""
    yield Family(name="playbacks", help="Recordings that play.", samples=[Sample(playbacks.count)])
    yield Family(
        name="playbacks_converting",
        help="Playbacks whose pictures are converted; limits.transcodes counts them.",
        samples=[Sample(playbacks.converting)],
    )


def collect_hls(hls: Holding) -> Iterator[Family]:
    """Yield what HLS keeps in memory."""
    yield Family(
        name="hls_bytes", help="What HLS segments hold.", samples=[Sample(hls.size_bytes)]
    )


def collect_rtc(viewers: RtcViewers) -> Iterator[Family]:
    """Yield how media arrives at each WebRTC viewer, as it reports itself."""
    found = viewers.figures
    labels = ("token", "viewer")
    named = [(one, (one.token, one.name)) for one in found]
    yield Family(
        name="rtc_loss_ratio",
        help="Share of packets lost, of the viewer's last report.",
        labels=labels,
        samples=[Sample(one.loss, name) for one, name in named],
    )
    yield Family(
        name="rtc_jitter_ms",
        help="Jitter of arrival.",
        labels=labels,
        samples=[Sample(one.jitter_ms, name) for one, name in named],
    )
    yield Family(
        name="rtc_round_trip_ms",
        help="Time of a packet there and back.",
        labels=labels,
        samples=[
            Sample(one.round_trip_ms, name) for one, name in named if one.round_trip_ms is not None
        ],
    )
    yield Family(
        name="rtc_packets_sent",
        help="Packets sent to the viewer.",
        labels=labels,
        samples=[Sample(one.packets, name) for one, name in named],
        kind="counter",
    )
    yield Family(
        name="rtc_packets_resent",
        help="Packets sent again because the viewer missed them.",
        labels=labels,
        samples=[Sample(one.resent, name) for one, name in named],
        kind="counter",
    )
    yield Family(
        name="rtc_replays",
        help="GOPs played, the one at joining among them.",
        labels=labels,
        samples=[Sample(one.replays, name) for one, name in named],
        kind="counter",
    )
    yield Family(
        name="rtc_bursts_dropped",
        help="Bursts for which the socket had no room.",
        labels=labels,
        samples=[Sample(one.dropped, name) for one, name in named],
        kind="counter",
    )
