"""What a request asks for, however its URL is written.

H5Stream's dashboards call `//api/v1/X`, `/api/v1//X`, `/api/v1/GetSrc&session=S` (an `&` where
the `?` belongs), `?&name=` and `&%20session=`; each must reach its call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes, urlencode

from yarl import URL

from h5sup.base.errors import InvalidError

MAX_QUERY_LENGTH = 8000
MAX_PARAMETERS = 64
SLASHES = re.compile(r"/{2,}")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
API_PREFIX = "/api/v1/"


@dataclass(frozen=True, slots=True)
class Target:
    """A decoded path with single slashes, and its parameters with names in lower case."""

    path: str
    parameters: Mapping[str, str]

    @property
    def call(self) -> str | None:
        """Return what follows `/api/v1/` in lower case, or None for another path."""
        lowered = self.path.lower()
        if not lowered.startswith(API_PREFIX):
            return None
        return lowered.removeprefix(API_PREFIX).strip("/")

    @property
    def url(self) -> URL:
        """Return it as a well-formed relative URL, for handlers that read the request's own."""
        query = urlencode(self.parameters)
        path = quote(self.path, safe="/~")
        return URL(f"{path}?{query}" if query else path, encoded=True)


def normalise_path(raw_path: str) -> str:
    """Return the decoded path with single slashes and without what follows a misplaced `&`."""
    path = _decode(raw_path.partition("&")[0])
    return SLASHES.sub("/", "/" + path)


def read_target(raw_path: str, raw_query: str) -> Target:
    """Return what is asked for; raises InvalidError for a query beyond all reason."""
    misplaced = raw_path.partition("&")[2]
    query = f"{misplaced}&{raw_query}" if misplaced else raw_query
    return Target(normalise_path(raw_path), read_parameters(query))


def read_parameters(query: str) -> dict[str, str]:
    """Return the parameters that have a value; of repeated ones the last counts."""
    if len(query) > MAX_QUERY_LENGTH:
        raise InvalidError("query", f"must not be longer than {MAX_QUERY_LENGTH} characters")
    pairs = [part.partition("=") for part in query.split("&") if part]
    if len(pairs) > MAX_PARAMETERS:
        raise InvalidError("query", f"must not hold more than {MAX_PARAMETERS} parameters")
    parameters: dict[str, str] = {}
    for raw_name, _, raw_value in pairs:
        name = _decode(raw_name.replace("+", " ")).strip().lower()
        value = _decode(raw_value.replace("+", " "))
        if CONTROL.search(name) or CONTROL.search(value):
            raise InvalidError(CONTROL.sub("?", name)[:64], "must not hold control characters")
        if value:
            parameters[name] = value
    return parameters


def _decode(raw: str) -> str:
    # aiohttp hands on bytes above 127 as lone surrogates, which no answer could be encoded with
    return unquote_to_bytes(raw.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")
