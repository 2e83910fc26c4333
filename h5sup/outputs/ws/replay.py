"""The cached GOP squeezed into a moment, so that a viewer starts at once and at the live edge.

Players that never seek keep for good what they are behind when they join. So the pictures since
the key frame are replayed at about a millisecond each: the first is shown at once, the last
stands where the live ones go on.
"""

from __future__ import annotations

from collections.abc import Sequence

from h5sup.bus.fragment import Fragment
from h5sup.formats.isobmff.build import NewRun, build_fragment
from h5sup.formats.isobmff.fragment import TrackRun, parse_fragment, run_payload
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.formats.isobmff.squeeze import squeeze, squeeze_step


def replay(gop: Sequence[Fragment], init: InitSegment) -> tuple[bytes, int]:
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
    step = squeeze_step(len(samples), init.video.timescale)
    squeezed = squeeze(samples, step, samples[0].cts_offset)
    data = build_fragment(0, NewRun(init.video, 0, squeezed, b"".join(payload)))
    return data, step * len(squeezed)
