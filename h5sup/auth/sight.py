"""Which sources a user may see: tokens, and beginnings of tokens followed by `*`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from h5sup.base.errors import InvalidError
from h5sup.config.model import SEE_ALL, SOURCE_PATTERN

MAX_PATTERNS = 256


def may_see(patterns: Iterable[str], token: str) -> bool:
    """Return whether one of the patterns is the token or its beginning.

    A device's token stands for all of its channels, `<device>--<channel>`.
    """
    device = token.partition("--")[0]
    return any(
        token.startswith(one[:-1]) if one.endswith("*") else one in (token, device)
        for one in patterns
    )


def may_see_device(patterns: Iterable[str], device: str) -> bool:
    """Return whether one of the patterns is about a device, or about channels of it."""
    return any(may_see((one,), device) or one.startswith(f"{device}--") for one in patterns)


def parse_patterns(text: str) -> tuple[str, ...]:
    """Return the patterns of a list with commas; raises InvalidError."""
    patterns = tuple(one for part in text.split(",") if (one := part.strip()))
    if len(patterns) > MAX_PATTERNS:
        raise InvalidError("sources", f"must not hold more than {MAX_PATTERNS} tokens")
    for one in patterns:
        if not re.match(SOURCE_PATTERN, one):
            raise InvalidError(
                "sources", "must be tokens with commas between them; `*` at an end means any end"
            )
    return SEE_ALL if "*" in patterns else patterns
