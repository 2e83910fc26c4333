"""Pictures squeezed into a moment: all are decoded, the last one is what stays on the screen.

Players that never seek can be shown a picture in the middle of a GOP in this way alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from h5sup.formats.isobmff.fragment import Sample

STEP_S = 0.001  # of one picture
LONGEST_S = 0.25  # of all of them


def squeeze_step(count: int, timescale: int) -> int:
    """Return how many ticks each of so many pictures lasts."""
    return max(1, int(min(STEP_S, LONGEST_S / max(1, count)) * timescale))


def squeeze(samples: Sequence[Sample], step: int, delay: int) -> list[Sample]:
    """Return the samples with `step` ticks each, in the order they are shown in.

    With B-frames all are shown a little after they are decoded, the key picture by `delay` ticks;
    that stays, so that what follows is shown right after them.
    """
    usual = max(1, sum(sample.duration for sample in samples) // len(samples))
    return [
        Sample(0, one.size, step, one.flags, delay + (one.cts_offset - delay) * step // usual)
        for one in samples
    ]
