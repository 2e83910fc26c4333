"""What a player may ask of a playlist in its address (RFC 8216bis §6.2.5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from h5sup.base.errors import InvalidError

SEQUENCE = "_HLS_msn"
PART = "_HLS_part"
SKIP = "_HLS_skip"
SKIPS = ("YES", "v2")  # v2 may leave out dates of events, too: there are none
NUMBER = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Directives:
    """Which segment, or which part of it by its place, the playlist shall hold at least."""

    sequence: int | None
    part: int | None
    is_delta: bool
    """The player knows what is older: it may be left out."""


def parse_directives(query: Mapping[str, str]) -> Directives:
    """Read the directives of an address; raises InvalidError.

    The API's dispatcher hands on names of parameters in lower case.
    """
    given = {name.lower(): value for name, value in query.items()}
    sequence, part = _number(given, SEQUENCE), _number(given, PART)
    if sequence is None and part is not None:
        raise InvalidError(PART, f"needs {SEQUENCE} beside it")
    return Directives(sequence, part, given.get(SKIP.lower()) in SKIPS)


def _number(given: Mapping[str, str], name: str) -> int | None:
    text = given.get(name.lower())
    if text is None:
        return None
    if not NUMBER.fullmatch(text):
        raise InvalidError(name, "must be a whole number of up to 15 digits")
    return int(text)
