"""Recorded files of real media: what ffmpeg and ffprobe make of them, growing, cut and closed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import imageio_ffmpeg
import pytest

from h5sup.bus.fragment import Fragment
from h5sup.formats.isobmff.fragment import parse_fragment
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.formats.isobmff.recorded import MovieWriter
from h5sup.formats.isobmff.stored import read_movie, recover
from tests.fakes.clips import CLIPS, Clips, decode_frame_indexes
from tests.fakes.fragments import fragments_of, gops_of
from tests.fakes.recorded import BEGIN_US, SECOND_US, close, reader_of

pytestmark = pytest.mark.media

CUTS = 30
NOTE = {"token": "cam"}


class Packet(NamedTuple):
    kind: str
    pts: Fraction
    size: int
    is_key: bool


def write_gops(writer: MovieWriter, gops: Sequence[Sequence[Fragment]]) -> bytes:
    data = bytearray(writer.head)
    for number, gop in enumerate(gops):
        data += b"".join(writer.add_gop(gop, BEGIN_US + number * SECOND_US))
    return bytes(data)


def expected_packets(init: InitSegment, data: bytes) -> set[Packet]:
    """Return what the GOPs of a file hold, by our own parser."""
    movie = read_movie(reader_of(data), len(data))
    found = set()
    for gop in movie.gops:
        at, end = gop.offset + 32, gop.offset + gop.size
        while at < end:
            moof = int.from_bytes(data[at : at + 4], "big")
            size = moof + int.from_bytes(data[at + moof : at + moof + 4], "big")
            parsed = parse_fragment(data[at : at + size], init)
            for run in (parsed.video, parsed.audio):
                dts = run.dts if run else 0
                for one in run.samples if run else ():
                    assert run is not None
                    pts = Fraction(dts + one.cts_offset, run.track.timescale)
                    is_key = not one.flags & 0x10000
                    found.add(Packet(run.track.kind, pts, one.size, is_key))
                    dts += one.duration
            at += size
    return found


def probe(ffprobe: str, path: Path) -> set[Packet]:
    """Return the packets that ffprobe finds; it must not complain."""
    argv = [ffprobe, "-v", "warning", "-show_packets", "-show_streams", "-of", "json", str(path)]
    done = subprocess.run(argv, capture_output=True, check=True, timeout=60)
    assert done.stderr == b""
    told = json.loads(done.stdout)
    scales = {one["index"]: Fraction(one["time_base"]) for one in told["streams"]}
    return {
        Packet(
            one["codec_type"],
            one["pts"] * scales[one["stream_index"]],
            int(one["size"]),
            "K" in one["flags"],
        )
        for one in told["packets"]
    }


def check_same(found: set[Packet], expected: set[Packet], exactly: bool) -> None:
    """Two files have the same packets; an edit list is only as fine as the pictures' clock."""
    tolerance = Fraction(0) if exactly else Fraction(1, 10_000)
    assert len(found) == len(expected)
    for one, other in zip(sorted(found), sorted(expected), strict=True):
        assert one._replace(pts=other.pts) == other
        assert abs(one.pts - other.pts) <= (tolerance if one.kind == "audio" else 0)


def decode(ffmpeg: str, path: Path) -> None:
    """Decode all of a file; raises when ffmpeg has anything to say."""
    argv = [ffmpeg, "-v", "warning", "-i", str(path), "-f", "null", "-"]
    done = subprocess.run(argv, capture_output=True, check=True, timeout=60)
    assert done.stderr == b""


@pytest.mark.parametrize("name", ["h264_cuts", "h264_cuts_2997", "hevc_cuts"])
def test_growing_recovered_and_closed_files_are_the_same_to_every_ffmpeg(
    clips: Clips, ffmpeg: str, ffprobe: str, tmp_path: Path, name: str
) -> None:
    init, fragments = fragments_of(clips[name], ffmpeg)
    writer = MovieWriter(init, NOTE)
    growing = write_gops(writer, gops_of(fragments)[:10])
    half = growing[: writer.gops[-1].offset + writer.gops[-1].size // 2]
    found = recover(reader_of(half), len(half))
    assert found.closing is not None
    files = {
        "growing": growing,
        "recovered": close(half[: found.keep_bytes], found.closing),
        "closed": close(growing, writer.close()),
    }
    shown = {}
    for kind, data in files.items():
        path = tmp_path / f"{kind}.mp4"
        path.write_bytes(data)
        kept = half[: found.keep_bytes] if kind == "recovered" else growing
        check_same(probe(ffprobe, path), expected_packets(init, kept), kind == "growing")
        for program in (ffmpeg, imageio_ffmpeg.get_ffmpeg_exe()):
            decode(program, path)
        shown[kind] = decode_frame_indexes(path, ffmpeg)
    per_gop = round(CLIPS[name].fps * CLIPS[name].gop_s)
    assert shown["growing"] == shown["closed"] == list(range(10 * per_gop))
    assert shown["recovered"] == list(range(len(shown["recovered"])))
    assert len(shown["recovered"]) >= 9 * per_gop


@pytest.mark.parametrize("lead_s", [-0.1, 0.0, 0.3])
@pytest.mark.parametrize("name", ["h264_cuts", "h264_cuts_2997"])
def test_files_cut_at_every_gop_have_every_picture_and_all_sound(
    clips: Clips, ffmpeg: str, tmp_path: Path, name: str, lead_s: float
) -> None:
    """Audio leads by `lead_s`; each GOP has a file of its own."""
    shifted = ("-itsoffset", str(lead_s), "-i", str(clips[name]), "-map", "0:v", "-map", "1:a")
    init, fragments = fragments_of(clips[name], ffmpeg, *shifted)
    gops = gops_of(fragments)
    listing, sounds = ["ffconcat version 1.0"], 0
    for number, gop in enumerate(gops[: CUTS + 1]):
        writer = MovieWriter(init, NOTE)
        growing = write_gops(writer, [gop])
        (tmp_path / f"{number}.mp4").write_bytes(close(growing, writer.close()))
        listing.append(f"file {number}.mp4")
        sounds += sum(one.kind == "audio" for one in expected_packets(init, growing))
    joined = tmp_path / "joined.ffconcat"
    joined.write_text("\n".join(listing))
    assert decode_frame_indexes(joined, ffmpeg) == list(range((CUTS + 1) * len_of(gops[1])))
    kept = [one.audio for gop in gops[: CUTS + 1] for one in gop if one.audio]
    assert sounds == sum(run.samples for run in kept)


def len_of(gop: Sequence[Fragment]) -> int:
    return sum(one.video.samples for one in gop if one.video)
