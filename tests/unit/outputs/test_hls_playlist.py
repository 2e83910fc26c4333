"""How the variants of a source are described."""

from __future__ import annotations

from itertools import pairwise

import pytest

from h5sup.bus.channel import Channel
from h5sup.formats.isobmff.init_segment import parse_init
from h5sup.outputs.hls.playlist import Variant, write_index
from tests.fakes.mp4 import build_init
from tests.unit.outputs.hls_fakes import Feeder, replace_codec
from tests.unit.outputs.hls_rules import attributes


def described(text: str) -> dict[str, dict[str, str]]:
    """Return the attributes of each variant by its address."""
    lines = text.splitlines()
    assert lines[0] == "#EXTM3U"
    found = {}
    for tags, uri in pairwise(lines):
        if tags.startswith("#EXT-X-STREAM-INF:"):
            found[uri] = attributes(tags.partition(":")[2])
    return found


def channel() -> Channel:
    return Channel("cam", "main", "copy", gop_bytes=1000)


@pytest.mark.parametrize("codec", ["hvc1.1.6.L93.90", "hev1.2.4.H150.B0"])
def test_h265_comes_with_h264_as_it_will_be_encoded(codec: str) -> None:
    init = replace_codec(parse_init(build_init(audio=True)), codec)
    variants = described(write_index(channel(), init, {}, ""))
    assert list(variants) == ["hevc.m3u8", "h264.m3u8"]
    assert variants["hevc.m3u8"]["CODECS"] == f"{codec},mp4a.40.2"
    assert variants["h264.m3u8"]["CODECS"] == "avc1.64001F,mp4a.40.2"
    assert variants["h264.m3u8"]["RESOLUTION"] == "640x360"
    # who takes both must not prefer the one that would have to be encoded
    bandwidths = [int(one["BANDWIDTH"]) for one in variants.values()]
    assert bandwidths[0] >= bandwidths[1]


@pytest.mark.parametrize("codec", ["avc1.4D002A", "mp4v.6C"])
def test_all_else_is_offered_as_h264_alone(codec: str) -> None:
    init = replace_codec(parse_init(build_init(audio=False)), codec)
    variants = described(write_index(channel(), init, {}, ""))
    assert list(variants) == ["h264.m3u8"]
    assert variants["h264.m3u8"]["CODECS"] == ("avc1.4D002A" if codec[0] == "a" else "avc1.64001F")


async def test_a_variant_that_runs_is_described_as_it_is() -> None:
    feeder = Feeder()
    feeder.begin(audio=True)
    feeder.seconds(1)
    hevc = replace_codec(parse_init(build_init(audio=True)), "hvc1.1.6.L93.90")
    index = write_index(channel(), hevc, {Variant.H264: feeder.channel}, "")
    assert described(index)["h264.m3u8"] == {
        "BANDWIDTH": "691200",
        "CODECS": "avc1.4D002A,mp4a.40.2",
        "RESOLUTION": "640x360",
        "FRAME-RATE": "25.000",
    }


async def test_the_bandwidth_lies_above_the_measured_rate() -> None:
    feeder = Feeder()
    feeder.picture_bytes = 10_000  # 2 Mbit/s at 25 a second
    feeder.begin()
    feeder.seconds(5)
    assert feeder.channel.init is not None
    index = write_index(feeder.channel, feeder.channel.init, {}, "")
    assert 2_500_000 < int(described(index)["h264.m3u8"]["BANDWIDTH"]) < 3_500_000
