from __future__ import annotations

import hashlib
import os
from typing import Any

import pytest
from aioice import stun as reference
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import MediaFormatError
from h5sup.formats.stun import (
    BAD_REQUEST,
    REASONS,
    ROLE_CONFLICT,
    UNAUTHENTICATED,
    UNKNOWN_ATTRIBUTE,
    MessageClass,
    StunMessage,
    build_binding_request,
    build_binding_response,
    build_error_response,
    has_valid_integrity,
    is_stun,
    parse_message,
)
from tests.fakes.steps import count_calls

# RFC 5769: the vectors of §2.1 to §2.4 and the password of the first three.
KEY = b"VOkJxbRl1RmTxUk/WvJxBt"
ID = bytes.fromhex("b7e7a701bc34d686fa87dfae")
REQUEST = bytes.fromhex(
    "00010058 2112a442 b7e7a701bc34d686fa87dfae"
    "80220010 5354554e207465737420636c69656e74"
    "00240004 6e0001ff"
    "80290008 932ff9b151263b36"
    "00060009 6576746a3a68367659202020"
    "00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
    "80280004 e57a3bcf"
)
IPV4_RESPONSE = bytes.fromhex(
    "0101003c 2112a442 b7e7a701bc34d686fa87dfae"
    "8022000b 7465737420766563746f7220"
    "00200008 0001a147e112a643"
    "00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7"
    "80280004 c07d4c96"
)
IPV6_RESPONSE = bytes.fromhex(
    "01010048 2112a442 b7e7a701bc34d686fa87dfae"
    "8022000b 7465737420766563746f7220"
    "00200014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
    "00080014 a382954e4be67bf11784c97c8292c275bfe3ed41"
    "80280004 c8fb0b4c"
)
LONG_TERM_REQUEST = bytes.fromhex(
    "00010060 2112a442 78ad3433c6ad72c029da412e"
    "00060012 e3839ee38388e383aae38383e382afe382b90000"
    "0015001c 662f2f3439396b39353464364f4c33346f4c394653547679363473 41"
    "0014000b 6578616d706c652e6f726700"
    "00080014 f67024656dd64a3e02b8e0712e85c9a28ca89666"
)
HEADER_END = 20
CHECK: dict[str, Any] = {
    "username": "abcd:efgh",
    "key": b"a password of 24 letters",
    "priority": 1853824767,
    "tie_breaker": 0x0123456789ABCDEF,
}

addresses = st.tuples(st.ip_addresses().map(str), st.integers(0, 0xFFFF))
ids = st.binary(min_size=12, max_size=12)


def message(attributes: bytes, kind: int = 1, length: int | None = None) -> bytes:
    """Return a message of our own making."""
    size = len(attributes) if length is None else length
    return kind.to_bytes(2) + size.to_bytes(2) + b"\x21\x12\xa4\x42" + ID + attributes


def attribute(kind: int, value: bytes) -> bytes:
    return kind.to_bytes(2) + len(value).to_bytes(2) + value + bytes(-len(value) % 4)


def test_the_request_of_rfc_5769_is_read() -> None:
    found = parse_message(REQUEST)
    assert found == StunMessage(
        message_class=MessageClass.REQUEST,
        method=1,
        transaction_id=ID,
        username="evtj:h6vY",
        priority=0x6E0001FF,
        ice_controlled=0x932FF9B151263B36,
        integrity_at=76,
        has_fingerprint=True,
    )
    assert has_valid_integrity(REQUEST, found, KEY)


@pytest.mark.parametrize(
    ("data", "address"),
    [
        (IPV4_RESPONSE, ("192.0.2.1", 32853)),
        (IPV6_RESPONSE, ("2001:db8:1234:5678:11:2233:4455:6677", 32853)),
    ],
)
def test_the_responses_of_rfc_5769_are_read(data: bytes, address: tuple[str, int]) -> None:
    found = parse_message(data)
    assert found.message_class is MessageClass.SUCCESS
    assert found.mapped_address == address
    assert found.has_fingerprint
    assert has_valid_integrity(data, found, KEY)


def test_the_long_term_request_of_rfc_5769_is_read() -> None:
    found = parse_message(LONG_TERM_REQUEST)
    assert found.username == "マトリックス"
    assert found.unknown_required == (0x0015, 0x0014)
    key = hashlib.md5("マトリックス:example.org:TheMatrIX".encode()).digest()
    assert not found.has_fingerprint
    assert has_valid_integrity(LONG_TERM_REQUEST, found, key)


def test_integrity_needs_the_right_key() -> None:
    assert not has_valid_integrity(REQUEST, parse_message(REQUEST), KEY + b"x")
    assert not has_valid_integrity(REQUEST, parse_message(REQUEST), b"")


def test_integrity_covers_all_that_stands_before_it() -> None:
    plain = REQUEST[:-8]  # without FINGERPRINT, which would notice as well
    plain = plain[:2] + (len(plain) - HEADER_END).to_bytes(2) + plain[4:]
    assert has_valid_integrity(plain, parse_message(plain), KEY)
    at = plain.index(b"evtj")
    forged = plain[:at] + b"evil" + plain[at + 4 :]
    assert parse_message(forged).username == "evil:h6vY"
    assert not has_valid_integrity(forged, parse_message(forged), KEY)


def test_a_message_without_integrity_has_none_that_is_valid() -> None:
    data = message(b"")
    assert not has_valid_integrity(data, parse_message(data), b"")


def test_what_follows_the_integrity_is_not_believed() -> None:
    signed = reference.Message(
        reference.Method.BINDING, reference.Class.REQUEST, transaction_id=ID
    )
    signed.add_message_integrity(KEY)
    data = bytes(signed)[:HEADER_END] + bytes(signed)[HEADER_END:-8]
    added = attribute(0x0025, b"") + attribute(0x0024, bytes(4)) + attribute(0x7777, b"")
    data = message(data[HEADER_END:] + added)
    found = parse_message(data)
    assert (found.use_candidate, found.priority, found.unknown_required) == (False, None, ())
    assert has_valid_integrity(data, found, KEY)


def test_of_two_attributes_the_first_counts() -> None:
    data = message(attribute(0x0006, b"one") + attribute(0x0006, b"two"))
    assert parse_message(data).username == "one"


@pytest.mark.parametrize("use_candidate", [False, True])
@pytest.mark.parametrize("is_controlling", [False, True])
def test_requests_are_read_by_a_reference(use_candidate: bool, is_controlling: bool) -> None:
    data = build_binding_request(
        ID, **CHECK, use_candidate=use_candidate, is_controlling=is_controlling
    )
    theirs = reference.parse_message(data)
    assert theirs.check_message_integrity(CHECK["key"])
    assert (theirs.message_method, theirs.message_class, theirs.transaction_id) == (1, 0, ID)
    assert theirs.attributes["USERNAME"] == "abcd:efgh"
    assert theirs.attributes["PRIORITY"] == 1853824767
    assert ("USE-CANDIDATE" in theirs.attributes) == use_candidate
    role = "ICE-CONTROLLING" if is_controlling else "ICE-CONTROLLED"
    assert theirs.attributes[role] == 0x0123456789ABCDEF


@given(ids, st.text(max_size=100), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1))
def test_requests_come_back(
    transaction_id: bytes, username: str, priority: int, tie_breaker: int
) -> None:
    for is_controlling in (True, False):
        data = build_binding_request(
            transaction_id,
            username=username,
            key=KEY,
            priority=priority,
            tie_breaker=tie_breaker,
            is_controlling=is_controlling,
            use_candidate=True,
        )
        found = parse_message(data)
        assert found.transaction_id == transaction_id
        assert (found.username, found.priority) == (username, priority)
        assert found.ice_controlling == (tie_breaker if is_controlling else None)
        assert found.ice_controlled == (None if is_controlling else tie_breaker)
        assert found.use_candidate
        assert has_valid_integrity(data, found, KEY)


@given(ids, addresses)
def test_responses_come_back(transaction_id: bytes, address: tuple[str, int]) -> None:
    data = build_binding_response(transaction_id, address, KEY)
    found = parse_message(data)
    assert found.message_class is MessageClass.SUCCESS
    if not address[0].startswith("::ffff:"):
        assert found.mapped_address == address
    assert has_valid_integrity(data, found, KEY)
    theirs = reference.parse_message(data)
    assert theirs.check_message_integrity(KEY)
    assert theirs.attributes["XOR-MAPPED-ADDRESS"] == found.mapped_address


def test_an_ipv4_sender_on_an_ipv6_socket_learns_its_own_address() -> None:
    data = build_binding_response(ID, ("::ffff:192.0.2.1", 5), KEY)
    assert parse_message(data).mapped_address == ("192.0.2.1", 5)


def test_a_scope_is_not_part_of_an_address() -> None:
    data = build_binding_response(ID, ("fe80::1%eth0", 5), KEY)
    assert parse_message(data).mapped_address == ("fe80::1", 5)


@pytest.mark.parametrize("code", [BAD_REQUEST, UNAUTHENTICATED, ROLE_CONFLICT])
def test_error_responses_come_back(code: int) -> None:
    data = build_error_response(ID, code)
    found = parse_message(data)
    assert found.message_class is MessageClass.ERROR
    assert (found.error_code, found.error_reason) == (code, REASONS[code])
    assert found.integrity_at is None
    assert reference.parse_message(data).attributes["ERROR-CODE"] == (code, REASONS[code])


def test_a_code_without_a_known_reason_comes_back() -> None:
    found = parse_message(build_error_response(ID, 699))
    assert (found.error_code, found.error_reason) == (699, "")


def test_a_420_names_what_was_not_understood() -> None:
    data = build_error_response(ID, UNKNOWN_ATTRIBUTE, key=KEY, unknown=(0x0015, 0x7777, 0x0014))
    found = parse_message(data)
    assert found.error_code == 420
    assert data[HEADER_END:].find(bytes.fromhex("000a0006001577770014")) > 0
    assert has_valid_integrity(data, found, KEY)


def test_only_required_attributes_must_be_known() -> None:
    data = message(attribute(0x7FFF, b"x") + attribute(0x8000, b"y") + attribute(0xC057, b"z"))
    assert parse_message(data).unknown_required == (0x7FFF,)


@pytest.mark.parametrize(
    ("kind", "message_class", "method"),
    [
        (0x0001, MessageClass.REQUEST, 1),
        (0x0011, MessageClass.INDICATION, 1),
        (0x0101, MessageClass.SUCCESS, 1),
        (0x0111, MessageClass.ERROR, 1),
        (0x0003, MessageClass.REQUEST, 3),
        (0x3EEF, MessageClass.REQUEST, 0xFFF),
        (0x3FFF, MessageClass.ERROR, 0xFFF),
    ],
)
def test_class_and_method_share_a_field(
    kind: int, message_class: MessageClass, method: int
) -> None:
    found = parse_message(message(b"", kind))
    assert (found.message_class, found.method) == (message_class, method)


@pytest.mark.parametrize("data", [REQUEST, IPV4_RESPONSE, IPV6_RESPONSE, message(b"")])
def test_stun_is_told_from_its_neighbours(data: bytes) -> None:
    assert is_stun(data)
    assert is_stun(memoryview(data))
    for first in (20, 63, 64, 127, 128, 191):  # DTLS, TURN channels, RTP
        assert not is_stun(bytes([first]) + data[1:])
    assert not is_stun(data[:19])
    assert not is_stun(b"")
    assert not is_stun(data[:4] + b"\x21\x12\xa4\x43" + data[8:])


@pytest.mark.parametrize("data", [REQUEST, IPV4_RESPONSE, LONG_TERM_REQUEST])
def test_every_truncation_is_refused(data: bytes) -> None:
    for length in range(len(data)):
        with pytest.raises(MediaFormatError, match="STUN message"):
            parse_message(data[:length])


@pytest.mark.parametrize("data", [REQUEST, IPV4_RESPONSE, IPV6_RESPONSE, LONG_TERM_REQUEST])
def test_every_truncation_of_the_attributes_is_read_or_refused(data: bytes) -> None:
    """The header tells of the cut, as an attacker would write it."""
    refused = 0
    for length in range(0, len(data) - HEADER_END, 4):
        try:
            parse_message(message(data[HEADER_END : HEADER_END + length]))
        except MediaFormatError as error:
            assert "STUN message ends inside" in str(error)  # noqa: PT017 (some are whole)
            refused += 1
    assert refused > length // 8


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (message(b"", kind=0x4001), "does not begin like a STUN message"),
        (message(b"")[:4] + bytes(16), "does not begin like a STUN message"),
        (message(bytes(3)), "of 23 bytes says it has 3 more"),
        (message(bytes(4), length=8), "of 24 bytes says it has 8 more"),
        (message(attribute(0x0024, bytes(3))), "number has 3 bytes instead of 4"),
        (message(attribute(0x802A, bytes(4))), "number has 4 bytes instead of 8"),
        (message(attribute(0x0006, bytes(509))), "USERNAME has 509 bytes"),
        (message(attribute(0x0006, b"\xff\xfe")), "not UTF-8"),
        (message(attribute(0x0009, bytes(3))), "ERROR-CODE ends before its number"),
        (message(attribute(0x0009, b"\x00\x00\x04\x00\xff")), "not UTF-8"),
        (message(attribute(0x0020, bytes(3))), "address ends before its port"),
        (message(attribute(0x0020, bytes([0, 1, 0, 0, 1, 2, 3]))), "family 1 has 3 bytes"),
        (message(attribute(0x0020, bytes([0, 3, 0, 0, 1, 2, 3, 4]))), "family 3 has 4 bytes"),
        (message(attribute(0x0008, bytes(16))), "MESSAGE-INTEGRITY has 16 bytes instead of 20"),
        (message(attribute(0x8028, bytes(4))), "does not fit its FINGERPRINT"),
        (message(attribute(0x8028, b"")), "FINGERPRINT is not the end"),
        (message(attribute(0x8028, bytes(4)) * 2), "FINGERPRINT is not the end"),
        (REQUEST[:-1] + b"\x00", "does not fit its FINGERPRINT"),
        (REQUEST[:44] + b"\x00" + REQUEST[45:], "does not fit its FINGERPRINT"),
    ],
)
def test_damaged_messages_are_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(MediaFormatError, match=sentence):
        parse_message(data)


def test_what_can_not_be_said_is_not_built() -> None:
    with pytest.raises(MediaFormatError, match=r"'camera\.local' is not an IP address"):
        build_binding_response(ID, ("camera.local", 1), KEY)
    with pytest.raises(MediaFormatError, match="transaction id has 4 bytes"):
        build_binding_response(b"four", ("192.0.2.1", 1), KEY)


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(data: bytes) -> None:
    is_stun(data)
    for whole in (data, message(data)):
        try:
            found = parse_message(whole)
        except MediaFormatError:
            continue
        has_valid_integrity(whole, found, KEY)


@given(st.lists(st.tuples(st.integers(0, 0x2A), st.binary(max_size=40)), max_size=8))
def test_random_attributes_raise_nothing_else(attributes: list[tuple[int, bytes]]) -> None:
    kinds = [(0x8000 if low in (0x28, 0x29, 0x2A) else 0) | low for low, _ in attributes]
    values = [value for _, value in attributes]
    data = message(b"".join(map(attribute, kinds, values)))
    try:
        assert parse_message(data).transaction_id == ID
    except MediaFormatError as error:
        assert str(error)  # noqa: PT017 (many inputs raise nothing)


def test_the_work_grows_with_the_attributes_and_no_faster() -> None:
    few, many = (
        message(b"".join(attribute(0x9000 + i, b"") for i in range(count)))
        for count in (1000, 16000)
    )
    work = [count_calls(lambda: parse_message(data)) for data in (few, many)]  # noqa: B023
    assert work[1] < 16 * work[0]


def test_answers_to_real_checks_satisfy_a_reference() -> None:
    transaction_id = os.urandom(12)
    theirs = reference.Message(
        reference.Method.BINDING, reference.Class.REQUEST, transaction_id=transaction_id
    )
    theirs.attributes["USERNAME"] = "mine:yours"
    theirs.attributes["PRIORITY"] = 1
    theirs.attributes["ICE-CONTROLLING"] = 2
    theirs.attributes["USE-CANDIDATE"] = None
    theirs.add_message_integrity(KEY)
    data = bytes(theirs)
    found = parse_message(data)
    assert has_valid_integrity(data, found, KEY)
    assert (found.username, found.priority, found.ice_controlling) == ("mine:yours", 1, 2)
    assert found.use_candidate
    answer = build_binding_response(found.transaction_id, ("198.51.100.7", 40000), KEY)
    back = reference.parse_message(answer)
    assert back.check_message_integrity(KEY)
    assert back.transaction_id == transaction_id
    assert back.attributes["XOR-MAPPED-ADDRESS"] == ("198.51.100.7", 40000)
