"""Find what is secret in a configuration, and hide it there and wherever else it stands. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote

from h5sup.base.logs import redact

MASKED = "***"  # as in the logs, whose rules go over the whole bundle once more
SHORTEST_NUMBER = 4  # shorter ones stand everywhere
SECRET_KEY = re.compile(r"(?i)pass|pwd|secret|credential|hash|key|authorization")
USERINFO = re.compile(r"://(.*)@")
QUERY_VALUE = re.compile(
    r"(?i)[?&;](?:session|password|passwd|pass|pwd|token_secret|key)=([^&#]+)"
)

Json = Any  # what json.loads returns


def find_secrets(value: Json, *, is_secret: bool = False) -> Iterator[str]:
    """Yield every secret below `value`, in each form in which a log could show it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from find_secrets(inner, is_secret=is_secret or bool(SECRET_KEY.search(key)))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from find_secrets(inner, is_secret=is_secret)
    elif isinstance(value, str):
        if is_secret:
            yield from _forms(value)
        yield from _in_address(value)
    elif is_secret and is_number(value) and len(str(value)) >= SHORTEST_NUMBER:
        yield from _forms(str(value))


def mask(value: Json) -> Json:
    """Return a copy in which secrets are hidden: by their key, and in addresses."""
    if isinstance(value, dict):
        return {
            key: _mask_all(inner) if SECRET_KEY.search(key) else mask(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [mask(inner) for inner in value]
    return redact(value) if isinstance(value, str) else value


def _mask_all(value: Json) -> Json:
    """Hide every text below a secret key; an empty one tells that there is none."""
    if isinstance(value, dict):
        return {key: _mask_all(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_mask_all(inner) for inner in value]
    is_given = is_number(value) or (isinstance(value, str) and value != "")
    return MASKED if is_given else value


def is_number(value: Json) -> bool:
    """Return whether a password was written without its quotes."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _in_address(text: str) -> Iterator[str]:
    if userinfo := USERINFO.search(text):
        yield from _forms(userinfo[1].partition(":")[2])
    for value in QUERY_VALUE.findall(text):
        yield from _forms(value)


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as it is, in addresses, in JSON, and as the MD5 that clients send."""
    if secret:
        yield from {secret, quote(secret, safe=""), quote(secret), unquote(secret)}
        yield from {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
        yield hashlib.md5(secret.encode(), usedforsecurity=False).hexdigest()
