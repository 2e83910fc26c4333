"""What sources and viewers are like, in GetSrc and for Prometheus."""

from __future__ import annotations

import re

from h5sup.api.metrics import (
    collect_hls,
    collect_outputs,
    collect_rtc,
    collect_sources,
    serve,
)
from h5sup.metrics.exposition import Exposition
from tests.api.fakes import FakeConnections, FakeRtcFigures, FakeRtcViewers, FakeSources, source


class FakeHls:
    size_bytes = 4711


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
    assert found['h5sup_source_viewers{token="yard\\"1"}'] == "3.0"
    assert found['h5sup_viewers{output="ws"}'] == "2.0"
    assert found["h5sup_hls_bytes"] == "4711.0"
    assert found['h5sup_rtc_loss_ratio{token="door",viewer="7"}'] == "0.25"
    assert found['h5sup_rtc_packets_resent_total{token="door",viewer="8"}'] == "12.0"
    assert found['h5sup_rtc_round_trip_ms{token="door",viewer="7"}'] == "8.5"
    assert 'h5sup_rtc_round_trip_ms{token="door",viewer="8"}' not in found


def test_nothing_connected_is_no_error() -> None:
    assert not any("rtc_" in name for name in render(figures=[]))
