"""Who is asked when somebody scrapes /metrics."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from h5sup.api.dispatch import Handler
from h5sup.api.event_metrics import collect_events
from h5sup.api.metrics import (
    collect_hls,
    collect_outputs,
    collect_playbacks,
    collect_rtc,
    collect_sources,
    serve,
)
from h5sup.api.process_metrics import (
    collect_certificate,
    collect_connections,
    collect_limits,
    collect_loop,
    collect_processes,
    collect_queues,
    collect_restarts,
)
from h5sup.api.recorder_metrics import collect_recorders
from h5sup.api.recording_metrics import collect_mediastore, collect_recordings
from h5sup.app.parts import Parts
from h5sup.metrics.exposition import Exposition
from h5sup.metrics.loop_lag import LoopLag
from h5sup.outputs.hls.window import ROOM_BYTES as HLS_ROOM_BYTES
from h5sup.web.door import Door


def build_metrics(
    parts: Parts, door: Door, lag: LoopLag, find_expiry: Callable[[], float | None]
) -> Handler:
    """Return what answers /metrics; `find_expiry` tells when the certificate ends, if any."""
    sources, recording, notifier = parts.sources, parts.recording, parts.notifier
    limits = parts.ground.config.limits
    outputs = (
        ("ws", parts.ws),
        ("hls_keepalive", parts.hls),
        ("rtc", parts.rtc),
        ("stored", parts.stored),
        ("events", parts.events),
    )
    exposition = Exposition()
    for collect in (
        lambda: collect_sources(sources),
        lambda: collect_restarts(sources),
        lambda: collect_outputs(outputs),
        lambda: collect_playbacks(recording.playbacks),
        lambda: collect_hls(parts.hls),
        lambda: collect_rtc(parts.rtc),
        lambda: collect_queues(parts.ws),
        lambda: collect_events(notifier.hub, notifier.webhooks.hooks, notifier.mqtt),
        lambda: collect_recorders(recording.recordings.recorders),
        lambda: collect_limits(limits, HLS_ROOM_BYTES),
        lambda: collect_connections(door),
        lambda: collect_mediastore(recording.volume, recording.forecast),
        lambda: collect_recordings(recording.index, recording.retention),
        lambda: collect_loop(lag),
        lambda: collect_processes(parts.processes),
        lambda: () if (expiry := find_expiry()) is None else collect_certificate(expiry),
    ):
        exposition.add(collect)

    async def answer(request: web.Request) -> web.StreamResponse:
        del request
        return serve(exposition)

    return answer
