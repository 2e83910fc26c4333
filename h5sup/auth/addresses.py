"""Where a request comes from: this machine, a private network, or anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

# RFC 1122 §3.2.1.3, RFC 1918, RFC 3927, RFC 4193, RFC 4291 §2.5.6. Not 100.64.0.0/10: carriers
# put strangers side by side there.
PRIVATE = tuple(
    ip_network(text)
    for text in (
        "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
        "::1/128", "fc00::/7", "fe80::/10",
    )
)  # fmt: skip
FORWARDED_FOR = re.compile(r'(?i)\bfor\s*=\s*"?([^;,"\s]+)')  # RFC 7239 §4


def is_private(addresses: Iterable[str]) -> bool:
    """Return whether there are addresses and each of them is private or this machine's own."""
    parsed = [_parse(text) for text in addresses]
    return bool(parsed) and all(
        address is not None and any(address in network for network in PRIVATE)
        for address in parsed
    )


def forwarded_for(x_forwarded_for: str, forwarded: str) -> list[str]:
    """Return every address that proxies say they speak for."""
    named = [part.strip() for part in x_forwarded_for.split(",") if part.strip()]
    return named + FORWARDED_FOR.findall(forwarded)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address without brackets, port and zone; None for anything else."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
