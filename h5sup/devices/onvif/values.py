"""Values out of dicts that a camera has filled: taken for what they should be, or left out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

MAX_TOKEN = 64  # ONVIF's ReferenceToken


def dig(value: Any, *keys: str) -> Any:
    """Return what lies below keys of nested dicts, None where one is missing."""
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def items(value: Any) -> list[Any]:
    """Return a list, also of one thing or of none."""
    return value if isinstance(value, list) else [] if value is None else [value]


def text(value: Any, longest: int) -> str:
    """Return a text; nothing for what is no text, too long or can't be shown."""
    found = value.strip() if isinstance(value, str) else ""
    return found if len(found) <= longest and found.isprintable() else ""


def number(value: Any) -> int:
    """Return a count, also of a text; 0 for what is none."""
    if isinstance(value, str):
        try:
            value = float(value[:32])
        except ValueError:
            return 0
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if math.isfinite(value) and 0 <= value <= 10_000_000 else 0
