"""Logins that HTTP and RTSP ask for: Digest (RFC 7616, RFC 2617) and Basic (RFC 7617)."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import md5, sha256

from h5sup.base.errors import MediaFormatError

PARAMETER = re.compile(r'([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
ALGORITHMS = {"MD5": md5, "SHA-256": sha256}
MAX_CHALLENGE = 4096


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to log in that a server offers."""

    scheme: str
    """In small letters."""
    parameters: dict[str, str]

    @property
    def is_stale(self) -> bool:
        """Return whether a login was right, but its nonce too old (RFC 7616 §3.3)."""
        return self.parameters.get("stale", "").lower() == "true"

    @property
    def is_usable(self) -> bool:
        """Return whether build_authorization() can answer it."""
        if self.scheme == "basic":
            return True
        told = self.parameters.get("algorithm", "MD5").upper()
        quality = self.parameters.get("qop")
        has_auth = quality is None or "auth" in [one.strip() for one in quality.split(",")]
        return (
            self.scheme == "digest" and told in ALGORITHMS and "nonce" in self.parameters
        ) and has_auth


def parse_challenge(value: str) -> Challenge:
    """Return what a WWW-Authenticate header says; raises MediaFormatError."""
    scheme, _, rest = value.strip().partition(" ")
    if not scheme or len(value) > MAX_CHALLENGE:
        raise MediaFormatError("a demand for a login that can't be read")
    found = {
        name.lower(): re.sub(r"\\(.)", r"\1", quoted) if quoted else plain
        for name, quoted, plain in PARAMETER.findall(rest)
    }
    return Challenge(scheme.lower(), found)


def choose_challenge(values: Iterable[str]) -> Challenge | None:
    """Return what to answer of several: Digest before Basic; None where none can be answered."""
    found = [parse_challenge(value) for value in values]
    usable = [one for one in found if one.is_usable]
    return min(usable, key=lambda one: one.scheme == "basic", default=None)


def build_authorization(
    challenge: Challenge,
    *,
    user: str,
    password: str,
    method: str,
    uri: str,
    count: int = 1,
    cnonce: str = "",
) -> str:
    """Return the Authorization header that answers a usable challenge.

    `count` is how many requests its nonce was used for, `cnonce` a value nobody can foresee.
    """
    if challenge.scheme == "basic":
        return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"
    given = challenge.parameters
    realm, nonce = given.get("realm", ""), given["nonce"]
    algorithm = given.get("algorithm")
    hashed = ALGORITHMS[(algorithm or "MD5").upper()]

    def digest(text: str) -> str:
        return hashed(text.encode()).hexdigest()

    secret, asked = digest(f"{user}:{realm}:{password}"), digest(f"{method}:{uri}")
    parts = [f'username="{_quoted(user)}"', f'realm="{_quoted(realm)}"']
    parts += [f'nonce="{_quoted(nonce)}"', f'uri="{_quoted(uri)}"']
    if "qop" in given:
        used = f"{count:08x}"
        response = digest(f"{secret}:{nonce}:{used}:{cnonce}:auth:{asked}")
        parts += ["qop=auth", f"nc={used}", f'cnonce="{cnonce}"']
    else:
        response = digest(f"{secret}:{nonce}:{asked}")
    parts.append(f'response="{response}"')
    if algorithm is not None:
        parts.append(f"algorithm={algorithm.upper()}")
    if "opaque" in given:
        parts.append(f'opaque="{_quoted(given["opaque"])}"')
    return "Digest " + ", ".join(parts)


def _quoted(value: str) -> str:
    """Return a value as it goes between quotes, without what would end the header."""
    return CONTROL.sub("", value).replace("\\", "\\\\").replace('"', '\\"')
