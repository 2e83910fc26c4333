"""WebSocket frames and the squeezed GOP."""

from __future__ import annotations

import pytest

from h5sup.bus.channel import Channel
from h5sup.bus.ingest import Ingest
from h5sup.formats.isobmff.fragment import parse_fragment
from h5sup.outputs.ws import wire
from h5sup.outputs.ws.replay import replay
from tests.fakes.mp4 import VIDEO_SCALE, Camera


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "8200"),
        (125, "827d"),
        (126, "827e007e"),
        (65535, "827effff"),
        (65536, "827f0000000000010000"),
    ],
)
def test_header_lengths_are_those_of_the_rfc(size: int, expected: str) -> None:
    assert wire.header(wire.OPCODE_BINARY, size).hex() == expected


def test_a_close_reason_is_cut_to_a_control_frame_at_a_whole_letter() -> None:
    frame = wire.close_frame(1001, "é" * 100)
    assert frame[1] == len(frame) - 2 <= 125
    assert frame[4:].decode() == "é" * 61


@pytest.mark.parametrize(("count", "longest_s"), [(2, 0.002), (25, 0.025), (500, 0.25)])
def test_a_gop_is_squeezed_into_a_moment(count: int, longest_s: float) -> None:
    channel = Channel("front", "main", "copy", gop_bytes=10_000_000)
    ingest = Ingest(channel)
    camera = Camera()
    ingest.open()
    ingest.feed(camera.data, 0.0)
    for data in camera.gop(count):
        ingest.feed(data, 10.0)
    assert channel.init is not None
    data, duration = replay(channel.gop, channel.init)
    parsed = parse_fragment(data, channel.init)
    assert parsed.audio is None
    assert parsed.video is not None
    assert len(parsed.video.samples) == count
    assert parsed.video.has_sync_sample
    assert parsed.video.duration == duration <= longest_s * VIDEO_SCALE + 1
