"""Which addresses of this machine viewers may reach us at."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

import psutil

from h5sup.formats.sdp.candidate import Candidate, host_priority

MOST_ADDRESSES = 32  # a machine full of containers has hundreds
TCP_PREFERENCE = 8191  # RFC 6544 §4.2: TCP only where UDP doesn't get through
REACHED_PREFERENCE = 65_535
PUBLIC_PREFERENCE = 65_500
HOST_PREFERENCE = 65_000

Address = IPv4Address | IPv6Address


def host_addresses() -> list[Address]:
    """Return the machine's addresses, loopback among them; link-local IPv6 needs a zone: none."""
    found: list[Address] = []
    for entries in psutil.net_if_addrs().values():
        for entry in entries:
            if entry.family not in (socket.AF_INET, socket.AF_INET6):
                continue
            address = ip_address(entry.address.partition("%")[0])
            if not (address.version == 6 and address.is_link_local):
                found.append(address)
    return sorted(set(found), key=lambda one: (one.is_loopback, one.version, int(one)))[
        :MOST_ADDRESSES
    ]


def build_candidates(
    bound: Iterable[Address], public: Iterable[str], port: int, reached: str
) -> list[Candidate]:
    """Return what to tell a viewer whose request came to the address `reached`.

    The loopback is told to viewers on this machine alone; the address that has just worked comes
    first. `public` are addresses that a router maps to this machine (RFC 8445 §5.1.1.1).
    """
    at = _as_address(reached)
    is_local = at is not None and at.is_loopback
    hosts = [one for one in bound if is_local or not one.is_loopback]
    preferences = [(str(one), REACHED_PREFERENCE) for one in hosts if one == at]
    preferences += [(text, PUBLIC_PREFERENCE - index) for index, text in enumerate(public)]
    others = [one for one in hosts if one != at]
    preferences += [(str(one), HOST_PREFERENCE - index) for index, one in enumerate(others)]
    candidates = []
    for index, (address, preference) in enumerate(dict(preferences).items(), start=1):
        candidates.append(
            Candidate(
                foundation=str(index),
                priority=host_priority(preference),
                address=address,
                port=port,
            )
        )
    for index, address in enumerate(dict(preferences), start=len(candidates) + 1):
        candidates.append(
            Candidate(
                foundation=str(index),
                transport="tcp",
                priority=host_priority(TCP_PREFERENCE - index),
                address=address,
                port=port,
                tcp_type="passive",
            )
        )
    return candidates


def _as_address(text: str) -> Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
