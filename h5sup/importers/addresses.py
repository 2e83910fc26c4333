"""Addresses as other products write them: user and password apart, references to themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urlsplit

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,31}):")
PORT = re.compile(r"\d{1,5}")
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
DURATION_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
THIS_MACHINE = frozenset({"127.0.0.1", "localhost", "::1", "0.0.0.0"})  # noqa: S104 (compared)
RESTREAM_PORT = 8554


@dataclass(frozen=True, slots=True)
class Address:
    """An address whose user and password stand apart, decoded."""

    url: str = field(repr=False)
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def fields(self) -> dict[str, object]:
        """Return the keys of a source in config.json."""
        given = {"url": self.url, "user": self.user, "password": self.password}
        return {key: value for key, value in given.items() if value}

    @property
    def joined(self) -> str:
        """Return the address with user and password in it; variables stay as they are."""
        if not self.user:
            return self.url
        scheme, _, rest = self.url.partition("://")
        user, password = (quote(text, safe="${}") for text in (self.user, self.password))
        return f"{scheme}://{user}:{password}@{rest}"


def split_credentials(text: str) -> Address:
    """Take user and password out of an address, also a password with `@`, `/` or `#` as it is."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        return Address(text)
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    userinfo, at, _ = authority.rpartition("@")
    if not at and ":" in authority and not PORT.fullmatch(authority.rpartition(":")[2]):
        userinfo, at, _ = rest.rpartition("@")  # no port: the password holds a "/", "?" or "#"
    if not at:
        return Address(text)
    user, _, password = userinfo.partition(":")
    return Address(f"{scheme}://{rest[len(userinfo) + 1 :]}", unquote(user), unquote(password))


def find_scheme(text: str) -> str:
    """Return what stands before the first colon when it can be a scheme, in lower case."""
    match = SCHEME.match(text)
    return match[1].lower() if match else ""


def find_restream(text: str) -> str | None:
    """Return which of its own outputs a product reads back, as Frigate does from go2rtc."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme != "rtsp" or parts.hostname not in THIS_MACHINE or port != RESTREAM_PORT:
        return None
    return unquote(parts.path.strip("/"))


def place_file(text: str) -> str:
    """Return where a file belongs below paths.media_root."""
    path = PurePosixPath(text.replace("\\", "/"))
    drive = re.match(r"[A-Za-z]:", text)
    if path.is_absolute() or drive or ".." in path.parts:
        return path.name
    return str(path)


def parse_duration_s(text: str) -> float | None:
    """Parse a duration as Go writes it, such as `200ms` or `1m30s`, and `7d` as MediaMTX does."""
    parts = DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return round(sum(float(number) * DURATION_S[unit] for number, unit in parts), 3)
