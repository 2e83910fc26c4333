"""What types can't say: rules across keys of config.json and about addresses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from h5sup.base.errors import ConfigError
from h5sup.config.model import Config, DeviceConfig, HttpConfig, RtcConfig, SourceConfig
from h5sup.config.outward import check_outward

ICE_URL = re.compile(r"(stuns?|turns?):[^\s/]{1,255}")  # RFC 7064, RFC 7065
HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,253}[A-Za-z0-9_])?\.?", re.ASCII)
ONVIF_PATH = re.compile(r"/[A-Za-z0-9_./~%+-]{0,511}", re.ASCII)
FINGERPRINT = re.compile(r"([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}")
METRICS_KEY_LETTERS = 16  # it is never locked, so it must not be guessed
SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "http", "https"})


def check_config(config: Config) -> None:
    """Raise ConfigError for what stands against the rest of the file."""
    _check_unique((source.token for source in config.sources), "sources", "token")
    _check_unique((device.token for device in config.devices), "devices", "token")
    _check_unique((user.name for user in config.auth.users), "auth.users", "name")
    for index, source in enumerate(config.sources):
        check_source(source, f"sources[{index}].")
    for index, device in enumerate(config.devices):
        check_device(device, f"devices[{index}].")
        if any(source.token == device.token for source in config.sources):
            raise ConfigError(f"devices[{index}].token", f"{device.token!r} is a source already")
    if config.auth.enabled and not any(user.role == "Administrator" for user in config.auth.users):
        raise ConfigError("auth.users", "needs at least one Administrator")
    for index, user in enumerate(config.auth.users):
        if user.role == "Administrator" and "*" not in user.sources:
            raise ConfigError(
                f"auth.users[{index}].sources", "an Administrator sees every source: leave it out"
            )
    if 0 < len(config.auth.metrics_key) < METRICS_KEY_LETTERS:
        raise ConfigError("auth.metrics_key", f"needs {METRICS_KEY_LETTERS} letters or more")
    _check_http(config.http)
    _check_rtc(config.rtc)
    check_outward(config)


def check_source(source: SourceConfig, path: str) -> None:
    """Raise ConfigError for a source that can't work; `path` ends in a dot or is empty."""
    if source.type == "device":
        raise ConfigError(path + "type", "channels of devices come by themselves: see `devices`")
    if source.playback and source.type != "rtsp":
        raise ConfigError(path + "playback", "is for sources of type rtsp")
    if source.type == "onvif":
        check_host(source.host, path + "host")
        check_onvif_path(source.onvif_addr, path + "onvif_addr")
        check_fingerprint(source.fingerprint, path + "fingerprint")
        if source.url or source.sub.url:
            raise ConfigError(
                path + ("url" if source.url else "sub.url"), "is what an ONVIF camera tells itself"
            )
        return
    if source.https:
        raise ConfigError(path + "https", "is for sources of type onvif")
    if source.fingerprint:
        if not source.url.startswith("rtsps://"):
            raise ConfigError(
                path + "fingerprint", "is for sources of type onvif and rtsps:// addresses"
            )
        check_fingerprint(source.fingerprint, path + "fingerprint")
    if not source.url:
        raise ConfigError(path + "url", "is missing")
    for key, url in (("url", source.url), ("sub.url", source.sub.url)):
        if url:
            check_url(source.type, url, path + key)


def check_device(device: DeviceConfig, path: str) -> None:
    """Raise ConfigError for a device that can't be asked."""
    check_host(device.host, path + "host")
    check_fingerprint(device.fingerprint, path + "fingerprint")


def check_fingerprint(fingerprint: str, path: str) -> None:
    """Refuse what is no SHA-256 of a certificate; empty is none."""
    if fingerprint and not FINGERPRINT.fullmatch(fingerprint):
        raise ConfigError(path, "must be a SHA-256: 64 hexadecimal digits, colons between or not")


def check_onvif_path(onvif_path: str, path: str) -> None:
    """Refuse what is no path of a device service."""
    if not ONVIF_PATH.fullmatch(onvif_path):
        raise ConfigError(path, "must look like /onvif/device_service")


def check_host(host: str, path: str) -> None:
    """Refuse what is neither a name nor an address; IPv6 may stand in brackets."""
    bare = host.removeprefix("[").removesuffix("]")
    try:
        ip_address(bare)
    except ValueError:
        if not HOST_NAME.fullmatch(host):
            raise ConfigError(path, "must be a host name or an address, without port") from None


def check_url(source_type: str, url: str, path: str) -> None:
    """Refuse an address that the type of source must not open."""
    if any(ord(letter) < 0x20 or ord(letter) == 0x7F for letter in url):
        raise ConfigError(path, "must not hold control characters")
    if source_type == "file":
        if "://" in url or url.split(":", 1)[0] in ("file", "concat", "exec", "pipe", "subfile"):
            raise ConfigError(path, "must be the path of a file under paths.media_root")
        return
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError(path, "is not an address, check host and port") from None
    if parts.scheme not in SCHEMES:
        raise ConfigError(path, f"must begin with one of {', '.join(sorted(SCHEMES))} and ://")
    if not parts.hostname or " " in parts.netloc:
        raise ConfigError(path, "names no host")
    if port == 0:
        raise ConfigError(path, "port 0 can't be connected to")


def _check_http(http: HttpConfig) -> None:
    for index, origin in enumerate(http.cors_origins):
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}":
            raise ConfigError(
                f"http.cors_origins[{index}]", "must look like https://dashboard.example"
            )
    if http.tls_port and http.tls_port == http.port:
        raise ConfigError("http.tls_port", "must not be http.port: the two listen side by side")
    if http.tls_cert and not http.tls_key:
        raise ConfigError("http.tls_key", "names the key that belongs to http.tls_cert")
    if http.tls_key and not http.tls_cert:
        raise ConfigError("http.tls_cert", "names the certificate that belongs to http.tls_key")


def _check_rtc(rtc: RtcConfig) -> None:
    for index, text in enumerate(rtc.public_ips):
        try:
            ip_address(text)
        except ValueError:
            raise ConfigError(
                f"rtc.public_ips[{index}]", "must be an IPv4 or IPv6 address"
            ) from None
    for index, server in enumerate(rtc.ice_servers):
        for place, url in enumerate(server.urls):
            if not ICE_URL.fullmatch(url):
                raise ConfigError(
                    f"rtc.ice_servers[{index}].urls[{place}]",
                    "must look like stun:stun.example:3478 or turn:turn.example:3478",
                )


def _check_unique(names: Iterable[str], path: str, key: str) -> None:
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if name in seen:
            raise ConfigError(
                f"{path}[{index}].{key}", f"{name!r} stands already at {path}[{seen[name]}]"
            )
        seen[name] = index
