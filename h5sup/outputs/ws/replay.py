"""The cached GOP squeezed into a moment, so that a viewer starts at once and at the live edge.

Players that never seek keep for good what they are behind when they join. So the pictures since
the key frame are replayed at about a millisecond each: the first is shown at once, the last
stands where the live ones go on.
"""

from __future__ import annotations

from collections.abc import Sequence

from h5sup.bus.fragment import Fragment
from h5sup.formats.isobmff.build import NewRun, build_fragment
from h5sup.formats.isobmff.fragment import Sample, TrackRun, parse_fragment, run_payload
from h5sup.formats.isobmff.init_segment import InitSegment

STEP_S = 0.001
LONGEST_S = 0.25


def squeeze(gop: Sequence[Fragment], init: InitSegment) -> tuple[bytes, int]:
    """Return one fragment with all pictures of `gop`, without sound, and its duration in ticks.

    Its decode time is 0, to be patched: it must end where the GOP's successor begins.
    """
    assert init.video is not None
    runs: list[TrackRun] = []
    payload: list[bytes] = []
    for fragment in gop:
        if fragment.video is not None:
            run = parse_fragment(fragment.data, init).video
            assert run is not None
            runs.append(run)
            payload.append(run_payload(fragment.data, run))
    samples = [sample for run in runs for sample in run.samples]
    step = _step_ticks(len(samples), init.video.timescale)
    usual = max(1, sum(sample.duration for sample in samples) // len(samples))
    squeezed = [
        Sample(0, one.size, step, one.flags, one.cts_offset * step // usual) for one in samples
    ]
    data = build_fragment(0, NewRun(init.video, 0, squeezed, b"".join(payload)))
    return data, step * len(squeezed)


def _step_ticks(count: int, timescale: int) -> int:
    return max(1, int(min(STEP_S, LONGEST_S / count) * timescale))
