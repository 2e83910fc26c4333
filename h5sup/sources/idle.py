"""When media is taken that nobody waits for: all sources in the same turn of the event loop.

Waking up costs more than the work there is to do; twenty cameras that wake the process together
four times a second cost a fraction of what they would one by one.
"""

from __future__ import annotations

import math

IDLE_S = 0.25  # of 25 Mbit/s: four fifths of a pipe of 1 MiB, a fifth of 4 MB of socket buffer


def next_tick(now_s: float, period_s: float) -> float:
    """Return the next multiple of the period on the loop's clock, the same for all who ask."""
    return (math.floor(now_s / period_s) + 1) * period_s
