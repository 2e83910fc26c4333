"""What sources and viewers are like, in GetSrc and for Prometheus."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import SimpleNamespace

from h5sup.api.metrics import (
    collect_hls,
    collect_outputs,
    collect_playbacks,
    collect_rtc,
    collect_sources,
    serve,
)
from h5sup.api.recorder_metrics import collect_recorders
from h5sup.api.recording_metrics import collect_mediastore, collect_recordings
from h5sup.metrics.exposition import Exposition
from h5sup.recording.tape import Queue
from tests.api.fakes import (
    FakeConnections,
    FakeForecast,
    FakeMediastore,
    FakeRtcFigures,
    FakeRtcViewers,
    FakeSources,
    source,
)


@dataclass
class FakeRecorder:
    token: str
    queue: Queue
    running: int = 2
    preroll_bytes: int = 30


class FakeHls:
    size_bytes = 4711


class FakePlaybacks:
    count = 3
    converting = 1


def render(*, figures: list[FakeRtcFigures]) -> dict[str, str]:
    """Return every sample's value by its name and labels."""
    yard = source('yard"1')
    yard.main.channel.set_state("RUNNING", "")
    yard.main.channel.rates.fps = 24.5
    yard.viewers = 3
    rtc = FakeRtcViewers()
    rtc.figures = figures
    exposition = Exposition()
    exposition.add(lambda: collect_sources(FakeSources(yard, source("door"))))
    exposition.add(lambda: collect_outputs((("ws", FakeConnections()),)))
    exposition.add(lambda: collect_playbacks(FakePlaybacks()))
    exposition.add(lambda: collect_hls(FakeHls()))
    exposition.add(lambda: collect_rtc(rtc))
    response = serve(exposition)
    assert response.content_type == "text/plain"
    assert isinstance(response.body, bytes)
    lines = response.body.decode().splitlines()
    found = [re.fullmatch(r"(\S+) (\S+)", line) for line in lines if not line.startswith("#")]
    return {one[1]: one[2] for one in found if one is not None}


def test_prometheus_is_told_of_sources_outputs_and_viewers() -> None:
    found = render(
        figures=[FakeRtcFigures("door", round_trip_ms=8.5), FakeRtcFigures("door", "8")]
    )
    assert found['h5sup_source_online{token="yard\\"1"}'] == "1.0"
    assert found['h5sup_source_online{token="door"}'] == "0.0"
    assert found['h5sup_source_fps{token="yard\\"1"}'] == "24.5"
    assert (found["h5sup_playbacks"], found["h5sup_playbacks_converting"]) == ("3.0", "1.0")
    assert found['h5sup_source_viewers{token="yard\\"1"}'] == "3.0"
    assert found['h5sup_viewers{output="ws"}'] == "2.0"
    assert found["h5sup_hls_bytes"] == "4711.0"
    assert found['h5sup_rtc_loss_ratio{token="door",viewer="7"}'] == "0.25"
    assert found['h5sup_rtc_packets_resent_total{token="door",viewer="8"}'] == "12.0"
    assert found['h5sup_rtc_round_trip_ms{token="door",viewer="7"}'] == "8.5"
    assert 'h5sup_rtc_round_trip_ms{token="door",viewer="8"}' not in found


def test_prometheus_is_told_of_the_disk_of_recordings() -> None:
    growing = SimpleNamespace(growing=lambda: [1, 2], is_lost=True, is_in_memory=False)
    gone = SimpleNamespace(deleted_files=4, deleted_bytes=4711)
    exposition = Exposition()
    exposition.add(lambda: collect_mediastore(FakeMediastore(), FakeForecast()))
    exposition.add(lambda: collect_recordings(growing, gone))
    found = dict(
        line.split() for line in exposition.render().decode().splitlines() if "#" not in line
    )
    assert found == {
        'h5sup_mediastore_state{state="ok"}': "0.0",
        'h5sup_mediastore_state{state="full"}': "1.0",
        'h5sup_mediastore_state{state="read_only"}': "0.0",
        'h5sup_mediastore_state{state="missing"}': "0.0",
        "h5sup_mediastore_free_bytes": "1e+06",
        "h5sup_mediastore_total_bytes": "6.4e+10",
        'h5sup_mediastore_files{token="door"}': "2.0",
        'h5sup_mediastore_files{token="yard"}': "1.0",
        'h5sup_mediastore_bytes{token="door"}': "7000.0",
        'h5sup_mediastore_bytes{token="yard"}': "2000.0",
        'h5sup_mediastore_bytes_per_day{token="door"}': "1000.0",
        'h5sup_mediastore_bytes_per_day{token="yard"}': "0.0",
        "h5sup_mediastore_days_left": "3.04",
        "h5sup_recordings_growing": "2.0",
        "h5sup_retention_deleted_files_total": "4.0",
        "h5sup_retention_deleted_bytes_total": "4711.0",
        "h5sup_media_index_lost": "1.0",
        "h5sup_media_index_in_memory": "0.0",
    }


def test_nothing_connected_is_no_error() -> None:
    assert not any("rtc_" in name for name in render(figures=[]))


def test_prometheus_is_told_of_recordings_and_of_what_waits_for_the_disk() -> None:
    exposition = Exposition()
    queue = Queue(1_000_000, size_bytes=500, dropped_gops=4, written_bytes=70)
    exposition.add(lambda: collect_recorders([FakeRecorder("yard", queue)]))
    lines = exposition.render().decode().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        'h5sup_recordings_running{token="yard"} 2.0',
        'h5sup_recording_written_bytes_total{token="yard"} 70.0',
        'h5sup_recording_gops_dropped_total{token="yard"} 4.0',
        'h5sup_recording_queue_bytes{token="yard"} 500.0',
        "h5sup_recording_queue_limit_bytes 1e+06",
        'h5sup_recording_preroll_bytes{token="yard"} 30.0',
    ]
