from __future__ import annotations

import socket
from ipaddress import ip_address
from types import SimpleNamespace

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.formats.sdp.candidate import Candidate, parse_candidate
from h5sup.formats.sdp.candidate import build_candidate as write
from h5sup.outputs.rtc import addresses
from h5sup.outputs.rtc.addresses import MOST_ADDRESSES, build_candidates, host_addresses

LOOPBACK, LOOPBACK6 = ip_address("127.0.0.1"), ip_address("::1")
LAN, OTHER_LAN, LAN6 = (
    ip_address("192.0.2.5"),
    ip_address("198.51.100.5"),
    ip_address("2001:db8::5"),
)
BOUND = [LAN, OTHER_LAN, LAN6, LOOPBACK, LOOPBACK6]
PUBLIC = ("203.0.113.9",)


def reach(candidates: list[Candidate], transport: str = "udp") -> list[str]:
    """Return the addresses of one transport, what a browser tries first at the front."""
    found = [one for one in candidates if one.transport == transport]
    return [one.address for one in sorted(found, key=lambda one: -one.priority)]


@pytest.mark.parametrize("reached", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "127.0.0.53"])
def test_the_loopback_is_told_to_viewers_on_this_machine(reached: str) -> None:
    found = reach(build_candidates(BOUND, (), 50_000, reached))
    assert set(found) == {str(one) for one in BOUND}
    if reached == "127.0.0.1":
        assert found[0] == "127.0.0.1"


@pytest.mark.parametrize("reached", ["192.0.2.5", "198.51.100.5", "", "camera.local"])
def test_nobody_else_is_told_of_the_loopback(reached: str) -> None:
    found = reach(build_candidates(BOUND, (), 50_000, reached))
    assert set(found) == {str(LAN), str(OTHER_LAN), str(LAN6)}


@pytest.mark.parametrize(
    ("reached", "first"),
    [
        ("198.51.100.5", str(OTHER_LAN)),
        ("::ffff:198.51.100.5", str(OTHER_LAN)),
        ("2001:db8::5", str(LAN6)),
        ("2001:db8::5%eth0", str(LAN6)),
        ("10.9.9.9", str(LAN)),  # a container's inside: its port is mapped
    ],
)
def test_the_address_that_has_just_worked_comes_first(reached: str, first: str) -> None:
    candidates = build_candidates(BOUND, (), 50_000, reached)
    assert reach(candidates)[0] == reach(candidates, "tcp")[0] == first


def test_the_address_that_works_comes_before_those_that_a_router_maps() -> None:
    candidates = build_candidates(BOUND, PUBLIC, 50_000, str(LAN))
    assert reach(candidates)[:2] == reach(candidates, "tcp")[:2] == [str(LAN), *PUBLIC]


def test_an_address_is_told_once_for_each_transport() -> None:
    candidates = build_candidates(BOUND, [str(LAN), *PUBLIC], 50_000, str(LAN))
    for transport in ("udp", "tcp"):
        found = reach(candidates, transport)
        assert sorted(found) == sorted({*PUBLIC, str(LAN), str(OTHER_LAN), str(LAN6)})


@given(
    st.lists(st.ip_addresses(), max_size=MOST_ADDRESSES, unique=True),
    st.lists(st.ip_addresses(v=4).map(str), max_size=8),
    st.ip_addresses().map(str) | st.text(max_size=20),
)
def test_whatever_the_addresses_tcp_comes_after_udp_and_browsers_read_all(
    bound: list[addresses.Address], public: list[str], reached: str
) -> None:
    candidates = build_candidates(bound, public, 50_000, reached)
    udp = [one.priority for one in candidates if one.transport == "udp"]
    tcp = [one.priority for one in candidates if one.transport == "tcp"]
    assert len(udp) == len(tcp)
    assert not udp or min(udp) > max(tcp)
    assert len({one.priority for one in candidates}) == len(candidates)
    assert len({one.foundation for one in candidates}) == len(candidates)
    for one in candidates:
        assert parse_candidate(write(one)) == one
        assert (one.port, one.component, one.kind) == (50_000, 1, "host")
        assert one.tcp_type == ("passive" if one.transport == "tcp" else None)


def test_this_machine_has_a_loopback_and_no_address_that_needs_a_zone() -> None:
    found = host_addresses()
    assert LOOPBACK in found
    assert len(found) == len(set(found)) <= MOST_ADDRESSES
    assert not [one for one in found if one.version == 6 and one.is_link_local]


def test_of_too_many_addresses_the_best_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def entry(family: int, address: str) -> SimpleNamespace:
        return SimpleNamespace(family=family, address=address)

    found = {
        "lo": [entry(socket.AF_INET, "127.0.0.1"), entry(socket.AF_INET6, "::1")],
        "eth0": [
            entry(socket.AF_PACKET, "52:54:00:12:34:56"),
            entry(socket.AF_INET, "192.0.2.5"),
            entry(socket.AF_INET6, "fe80::1%eth0"),
            entry(socket.AF_INET6, "2001:db8::5"),
        ],
        "bridge": [entry(socket.AF_INET, f"172.17.{index}.1") for index in range(100)],
    }
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: found)
    kept = host_addresses()
    assert len(kept) == MOST_ADDRESSES
    assert not [one for one in kept if one.is_loopback]
    found["bridge"] = []
    assert [str(one) for one in host_addresses()] == [
        "192.0.2.5",
        "2001:db8::5",
        "127.0.0.1",
        "::1",
    ]
