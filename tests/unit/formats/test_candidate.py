from __future__ import annotations

import pytest
from aiortc import sdp as reference
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import MediaFormatError
from h5sup.formats.sdp.candidate import (
    Candidate,
    build_candidate,
    host_priority,
    parse_candidate,
)
from tests.fakes.steps import count_calls

HOST = "candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host"
# RTCIceCandidate.candidate of Chromium 156
CHROMIUM = (
    "candidate:2987093444 1 udp 2113937151 35d1feec-380b-4e6b-9463-d9d51d8a2511.local 52784 "
    "typ host generation 0 ufrag Brn9 network-cost 999"
)
TCP = "candidate:2 1 TCP 2105524479 192.0.2.1 9 typ host tcptype active"
RELAYED = "candidate:3 2 udp 1694498815 2001:db8::7 3478 typ relay raddr 198.51.100.7 rport 51234"

candidates = st.builds(
    Candidate,
    foundation=st.text("abcXYZ019+/", min_size=1, max_size=32),
    component=st.integers(0, 256),
    transport=st.sampled_from(["udp", "tcp"]),
    priority=st.integers(0, 2**32 - 1),
    address=st.ip_addresses().map(str) | st.just("f3a7.local"),
    port=st.integers(0, 65535),
    kind=st.sampled_from(["host", "srflx", "prflx", "relay"]),
    tcp_type=st.sampled_from([None, "active", "passive", "so"]),
    related=st.none() | st.tuples(st.ip_addresses().map(str), st.integers(0, 65535)),
    ufrag=st.text("abcXYZ019+/", max_size=8),
)


def test_a_host_candidate_is_read_and_written() -> None:
    expected = Candidate(priority=2130706431, address="192.0.2.1", port=50000)
    assert parse_candidate(HOST) == expected
    assert parse_candidate("a=" + HOST) == expected
    assert parse_candidate(HOST.removeprefix("candidate:")) == expected
    assert build_candidate(expected) == HOST
    assert not expected.is_mdns


def test_a_hidden_address_of_chromium_is_recognised() -> None:
    found = parse_candidate(CHROMIUM)
    assert found == Candidate(
        foundation="2987093444",
        priority=2113937151,
        address="35d1feec-380b-4e6b-9463-d9d51d8a2511.local",
        port=52784,
        ufrag="Brn9",
    )
    assert found.is_mdns


def test_tcp_candidates_say_who_connects() -> None:
    found = parse_candidate(TCP)
    assert (found.transport, found.tcp_type, found.port) == ("tcp", "active", 9)


def test_what_a_relay_stands_for_is_read() -> None:
    found = parse_candidate(RELAYED)
    assert (found.kind, found.component, found.address) == ("relay", 2, "2001:db8::7")
    assert found.related == ("198.51.100.7", 51234)
    assert build_candidate(found) == RELAYED


@pytest.mark.parametrize("part", ["raddr 192.0.2.1", "rport 5", "raddr"])
def test_half_a_related_address_is_none(part: str) -> None:
    assert parse_candidate(f"{HOST} {part}").related is None


@given(candidates)
def test_candidates_come_back(candidate: Candidate) -> None:
    assert parse_candidate(build_candidate(candidate)) == candidate


@given(candidates)
def test_a_reference_reads_what_is_written(candidate: Candidate) -> None:
    theirs = reference.candidate_from_sdp(build_candidate(candidate).removeprefix("candidate:"))
    assert (theirs.foundation, theirs.component) == (candidate.foundation, candidate.component)
    assert (theirs.protocol, theirs.priority) == (candidate.transport, candidate.priority)
    assert (theirs.ip, theirs.port) == (candidate.address, candidate.port)
    assert (theirs.type, theirs.tcpType) == (candidate.kind, candidate.tcp_type)
    related = (theirs.relatedAddress, theirs.relatedPort)
    assert related == (candidate.related or (None, None))


def test_priorities_are_those_of_rfc_8445() -> None:
    """§5.1.2.1: 2^24 * 126 + 2^8 * 65535 + (256 - 1), what everybody writes for one address."""
    assert host_priority() == 2130706431
    assert host_priority(0) == (126 << 24) + 255


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not an ICE candidate"),
        ("candidate:", "is not an ICE candidate"),
        (HOST.replace("typ", "type"), "is not an ICE candidate"),
        (HOST.removesuffix(" host"), "is not an ICE candidate"),
        (HOST.replace("192.0.2.1", "<script>"), "impossible address '<script>'"),
        (HOST.replace("50000", "65536"), "impossible port '65536'"),
        (HOST.replace("50000", "-1"), "impossible port '-1'"),
        (HOST.replace("50000", "٣"), "impossible port '٣'"),
        (HOST.replace("2130706431", "4294967296"), "impossible priority"),
        (HOST.replace("2130706431", "9" * 300), "impossible priority"),
        (HOST.replace(":1 1 ", ":1 257 "), "impossible component '257'"),
        (HOST.replace(":1 1 ", ":ü 1 "), "impossible foundation 'ü'"),
        (HOST + " tcptype both", "unknown tcptype 'both'"),
        (HOST + " raddr ! rport 1", "impossible related address '!'"),
        (HOST + " raddr 192.0.2.1 rport x", "impossible related port 'x'"),
        (HOST + " x" * 600, "of 1253 characters is too long"),
    ],
)
def test_damaged_candidates_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(MediaFormatError, match=sentence):
        parse_candidate(text)


@pytest.mark.parametrize("text", [HOST, CHROMIUM, TCP, RELAYED])
def test_truncations_are_read_or_refused(text: str) -> None:
    fixed = text.index("typ ") + len("typ ")
    for length in range(len(text)):
        try:
            parse_candidate(text[:length])
        except MediaFormatError as error:
            assert str(error)  # noqa: PT017 (what comes after the type may be cut)
        else:
            assert length > fixed


@given(st.text(max_size=120) | st.text("candidate: 01typhosraddr.", max_size=120))
def test_random_text_raises_nothing_else(text: str) -> None:
    for whole in (text, f"{HOST} {text}"):
        try:
            parse_candidate(whole)
        except MediaFormatError as error:
            assert str(error)  # noqa: PT017 (some of it is a candidate)


def test_the_work_does_not_grow_with_what_is_passed_over() -> None:
    few, many = (count_calls(lambda n=n: parse_candidate(HOST + " a b" * n)) for n in (1, 200))  # type: ignore[misc]  # binds now
    assert few == many
