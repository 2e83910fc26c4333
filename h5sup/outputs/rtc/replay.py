"""A GOP once more, squeezed into the time before the next picture: a viewer is live at once.

The pictures since the key frame get timestamps a millisecond apart at most, above what the viewer
has seen and below what it will see: a picture shown late would be latency for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from h5sup.formats.rtp import MARKER_BIT, TIMESTAMP_MASK, timestamp_distance

LONGEST_STEP = 90  # 1 ms
USUAL_INTERVAL = 3000  # of a GOP with one picture: 1/30 s
LEAST_INTERVAL = 900  # 100 pictures a second
SHARE_OF_INTERVAL = 4  # a quarter of it stays free, for the next picture may come early


@dataclass(frozen=True, slots=True)
class Replay:
    """Packets ready to be numbered; `times` tells the new timestamp of each old one."""

    packets: list[bytes]
    times: dict[int, int]


def squeeze(packets: Sequence[bytes]) -> Replay:
    """Return a GOP's packets with timestamps squeezed to after the newest picture.

    A newest picture that is not whole yet keeps its timestamp, as the rest of it will have it;
    the others then go before it.
    """
    stamps: list[int] = []
    for packet in packets:
        stamp = int.from_bytes(packet[4:8])
        if not stamps or stamps[-1] != stamp:
            stamps.append(stamp)
    times = _squeezed(stamps, is_whole=bool(packets) and bool(packets[-1][1] & MARKER_BIT))
    fields = {stamp: new.to_bytes(4) for stamp, new in times.items()}
    return Replay(
        [packet[:4] + fields[int.from_bytes(packet[4:8])] + packet[8:] for packet in packets],
        times,
    )


def _squeezed(stamps: Sequence[int], *, is_whole: bool) -> dict[int, int]:
    if not stamps:
        return {}
    # The shortest: a pause before the newest picture says nothing of when the next one comes.
    gaps = (abs(timestamp_distance(after, before)) for before, after in pairwise(stamps))
    interval = max(LEAST_INTERVAL, min(gaps, default=USUAL_INTERVAL))
    room = interval - interval // SHARE_OF_INTERVAL
    step = max(1, min(LONGEST_STEP, room // len(stamps)))
    last = stamps[-1]
    begin = last - interval
    if is_whole:  # with B-frames the last one is not the newest
        begin = max(stamps, key=lambda stamp: timestamp_distance(stamp, last))
    times = {
        stamp: begin + (index + 1) * step & TIMESTAMP_MASK for index, stamp in enumerate(stamps)
    }
    if not is_whole:
        times[last] = last
    return times
