"""Where a jump lands inside a GOP: which pictures are only there for those after them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from h5sup.formats.isobmff.fragment import TrackRun
from h5sup.recording.playback.supply import StoredFragment

REORDERED = 4  # fragments by which a landing is moved for pictures that are shown out of order


def find_landing(fragments: Sequence[StoredFragment], land_us: int) -> int:
    """Return how many of the fragments ended before a moment.

    With B-frames it may be some less: none of those after is shown before one of those.
    """
    count = 0
    while count < len(fragments) and fragments[count].end_us <= land_us:
        count += 1
    for fewer in range(min(REORDERED, count)):
        if _is_closed(fragments, count - fewer):
            return count - fewer
    return count


def _is_closed(fragments: Sequence[StoredFragment], count: int) -> bool:
    """Return whether the first fragments are shown before all others."""
    earlier = [_shown(one.parsed.video) for one in fragments[:count] if one.parsed.video]
    later = [_shown(one.parsed.video) for one in fragments[count:] if one.parsed.video]
    if not earlier or not later:
        return True
    return max(last for _, last in earlier) < min(first for first, _ in later)


def _shown(run: TrackRun) -> tuple[int, int]:
    """Return when the first and the last picture of a run are shown, in ticks."""
    at, times = run.dts, []
    for sample in run.samples:
        times.append(at + sample.cts_offset)
        at += sample.duration
    return min(times), max(times)
