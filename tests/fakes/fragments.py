"""Fragments of real media, as the bus hands them out, made in one go."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from h5sup.bus.fragment import Fragment
from h5sup.bus.timeline import Timeline
from h5sup.formats.isobmff.init_segment import InitSegment, parse_init
from h5sup.formats.isobmff.reader import SegmentReader

MUXER = (
    "-f", "mp4", "-use_editlist", "0", "-frag_duration", "30000",
    "-movflags", "frag_keyframe+empty_moov+default_base_moof", "pipe:1",
)  # fmt: skip


def fragments_of(
    clip: Path, ffmpeg: str = "ffmpeg", *options: str
) -> tuple[InitSegment, list[Fragment]]:
    """Return a clip as a channel would carry it; `options` stand before the output."""
    argv = [ffmpeg, "-hide_banner", "-loglevel", "error", "-i", str(clip)]
    argv += [*options, "-c", "copy", *MUXER]
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=True, timeout=60)
    init, *segments = SegmentReader().feed(done.stdout)
    timeline, parsed = Timeline(), parse_init(init)
    timeline.begin(parsed, keep_clock=False)
    return parsed, [one for data in segments for one in timeline.place(data, 0.0)]


def gops_of(fragments: Iterable[Fragment]) -> list[list[Fragment]]:
    """Return the fragments, those of each GOP by themselves."""
    gops: list[list[Fragment]] = []
    for fragment in fragments:
        if fragment.is_key or not gops:
            gops.append([])
        gops[-1].append(fragment)
    return gops
