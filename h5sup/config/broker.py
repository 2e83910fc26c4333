"""The address of an MQTT broker, taken apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from h5sup.base.errors import ConfigError

PORTS = {"mqtt": 1883, "mqtts": 8883}
SHAPE = "must look like mqtt://user:password@broker.example:1883, or mqtts:// for TLS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where a broker is and how to sign in there; the password never shows in a repr."""

    host: str
    port: int
    user: str | None
    password: str | None = field(repr=False)
    has_tls: bool


def parse_broker(url: str, path: str) -> Broker:
    """Read `mqtt.url`; raises ConfigError that names `path` and not the password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError(
            path, f"{SHAPE}; a password's / ? # @ [ ] are written %2F %3F %23 %40 %5B %5D"
        ) from None
    is_plain = parts.path in ("", "/") and not parts.query and not parts.fragment
    if parts.scheme not in PORTS or not parts.hostname or port == 0 or not is_plain:
        raise ConfigError(path, SHAPE)
    return Broker(
        host=parts.hostname,
        port=port or PORTS[parts.scheme],
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
        has_tls=parts.scheme == "mqtts",
    )
