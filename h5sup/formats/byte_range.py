"""The part of a body that is asked for (RFC 9110 §14.1.2, §14.2)."""

from __future__ import annotations

import re

UNIT = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.ASCII)


def parse_range(header: str, size_bytes: int) -> range | None:
    """Return the one range that a `Range` header asks for, or None for all of the body.

    What is malformed, has several ranges or another unit is ignored, as §14.2 allows. An empty
    range means that nothing of it lies in the body (§15.5.17).
    """
    found = UNIT.fullmatch(header)
    if found is None:
        return None
    first, last = found[1], found[2]
    if not first:
        if not last:
            return None
        return range(max(0, size_bytes - int(last)), size_bytes)
    if last and int(last) < int(first):
        return None
    start = min(int(first), size_bytes)
    return range(start, min(int(last) + 1, size_bytes) if last else size_bytes)
