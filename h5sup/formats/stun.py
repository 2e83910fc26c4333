"""STUN messages of ICE connectivity checks (RFC 8489, RFC 8445 §7).

Every viewer checks each few seconds whether its path still works, so reading a check and building
the answer cost a few microseconds.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv6Address, ip_address
from struct import Struct
from zlib import crc32

from h5sup.base.errors import MediaFormatError

# RFC 8489 §5
HEADER_LENGTH = 20
MAGIC_COOKIE = 0x2112A442
COOKIE_BYTES = MAGIC_COOKIE.to_bytes(4)
TRANSACTION_ID_LENGTH = 12
CLASS_MASK = 0x0110
METHOD_BINDING = 0x001
LARGEST_TYPE = 0x3FFF
LARGEST_FIRST_BYTE = 3  # RFC 7983 §7: above it is DTLS, RTP or TURN's channel data

# RFC 8489 §18.3 and RFC 8445 §16.1
MAPPED_ADDRESS = 0x0001
USERNAME = 0x0006
MESSAGE_INTEGRITY = 0x0008
ERROR_CODE = 0x0009
UNKNOWN_ATTRIBUTES = 0x000A
XOR_MAPPED_ADDRESS = 0x0020
PRIORITY = 0x0024
USE_CANDIDATE = 0x0025
FINGERPRINT = 0x8028
ICE_CONTROLLED = 0x8029
ICE_CONTROLLING = 0x802A
FIRST_OPTIONAL = 0x8000  # §14: what isn't known below it must not be passed over
KNOWN_REQUIRED = frozenset(
    {
        MAPPED_ADDRESS,
        USERNAME,
        MESSAGE_INTEGRITY,
        ERROR_CODE,
        UNKNOWN_ATTRIBUTES,
        XOR_MAPPED_ADDRESS,
        PRIORITY,
        USE_CANDIDATE,
    }
)

FAMILY_IPV4 = 1  # §14.1
FAMILY_IPV6 = 2
LARGEST_USERNAME_BYTES = 508  # §14.3
INTEGRITY_LENGTH = 20  # §14.5: HMAC-SHA1
FINGERPRINT_XOR = 0x5354554E  # §14.7
FINGERPRINT_SIZE = 8  # with its attribute header

# RFC 8489 §14.8 and RFC 8445 §7.2.1.1
BAD_REQUEST = 400
UNAUTHENTICATED = 401
UNKNOWN_ATTRIBUTE = 420
ROLE_CONFLICT = 487
REASONS = {
    BAD_REQUEST: "Bad Request",
    UNAUTHENTICATED: "Unauthenticated",
    UNKNOWN_ATTRIBUTE: "Unknown Attribute",
    ROLE_CONFLICT: "Role Conflict",
}

HEADER = Struct("!HHI12s")
ATTRIBUTE = Struct("!HH")
UINT16 = Struct("!H")
UINT32 = Struct("!I")
UINT64 = Struct("!Q")
ADDRESS = Struct("!xBH")


class MessageClass(IntEnum):
    """What a message is for (§5)."""

    REQUEST = 0x000
    INDICATION = 0x010
    SUCCESS = 0x100
    ERROR = 0x110


@dataclass(frozen=True, slots=True, kw_only=True)
class StunMessage:
    """What a message says; an attribute that is missing is None."""

    message_class: MessageClass
    method: int
    transaction_id: bytes
    username: str | None = None
    priority: int | None = None
    use_candidate: bool = False
    ice_controlling: int | None = None
    """The tie-breaker of a sender that takes the controlling role."""
    ice_controlled: int | None = None
    """The tie-breaker of a sender that takes the controlled role."""
    mapped_address: tuple[str, int] | None = None
    """Of XOR-MAPPED-ADDRESS."""
    error_code: int | None = None
    error_reason: str = ""
    unknown_required: tuple[int, ...] = ()
    """Attributes that must be understood and aren't: the answer is 420."""
    integrity_at: int | None = None
    """Where MESSAGE-INTEGRITY begins; None without."""
    has_fingerprint: bool = False
    """Whether a FINGERPRINT is there; a wrong one is not parsed at all."""


def is_stun(data: bytes | memoryview) -> bool:
    """Return whether a datagram among DTLS and SRTP is STUN (RFC 7983 §7)."""
    return (
        len(data) >= HEADER_LENGTH and data[0] <= LARGEST_FIRST_BYTE and data[4:8] == COOKIE_BYTES
    )


def parse_message(data: bytes) -> StunMessage:
    """Read one message; raises MediaFormatError, also for a FINGERPRINT that is wrong.

    MESSAGE-INTEGRITY is only found, not checked: `has_valid_integrity` needs the key, which
    depends on the user name. What follows it is ignored but for FINGERPRINT (§14.5).
    """
    kind, transaction_id = _parse_header(data)
    values, integrity_at, has_fingerprint = _split_attributes(data)
    code, reason = _parse_error(values.get(ERROR_CODE))
    return StunMessage(
        message_class=MessageClass(kind & CLASS_MASK),
        method=kind & 0x000F | (kind & 0x00E0) >> 1 | (kind & 0x3E00) >> 2,
        transaction_id=transaction_id,
        username=_parse_username(values.get(USERNAME)),
        priority=_parse_number(UINT32, values.get(PRIORITY)),
        use_candidate=USE_CANDIDATE in values,
        ice_controlling=_parse_number(UINT64, values.get(ICE_CONTROLLING)),
        ice_controlled=_parse_number(UINT64, values.get(ICE_CONTROLLED)),
        mapped_address=_parse_address(values.get(XOR_MAPPED_ADDRESS), transaction_id),
        error_code=code,
        error_reason=reason,
        unknown_required=tuple(
            kind for kind in values if kind < FIRST_OPTIONAL and kind not in KNOWN_REQUIRED
        ),
        integrity_at=integrity_at,
        has_fingerprint=has_fingerprint,
    )


def has_valid_integrity(data: bytes, message: StunMessage, key: bytes) -> bool:
    """Return whether who sent `data`, parsed as `message`, knows `key` (§14.5)."""
    at = message.integrity_at
    if at is None:
        return False
    value = data[at + ATTRIBUTE.size : at + ATTRIBUTE.size + INTEGRITY_LENGTH]
    return hmac.compare_digest(value, _integrity(data[:at], key))


def build_binding_request(
    transaction_id: bytes,
    *,
    username: str,
    key: bytes,
    priority: int,
    tie_breaker: int,
    is_controlling: bool = True,
    use_candidate: bool = False,
) -> bytes:
    """Return a connectivity check (RFC 8445 §7.2.4)."""
    role = ICE_CONTROLLING if is_controlling else ICE_CONTROLLED
    attributes = [
        _attribute(USERNAME, username.encode()),
        _attribute(PRIORITY, UINT32.pack(priority)),
        _attribute(role, UINT64.pack(tie_breaker)),
    ]
    if use_candidate:
        attributes.append(_attribute(USE_CANDIDATE, b""))
    return _build(MessageClass.REQUEST, transaction_id, b"".join(attributes), key)


def build_binding_response(transaction_id: bytes, address: tuple[str, int], key: bytes) -> bytes:
    """Return the answer to a connectivity check that came from `address` (§7.3.1.1)."""
    value = _pack_address(address, transaction_id)
    attribute = _attribute(XOR_MAPPED_ADDRESS, value)
    return _build(MessageClass.SUCCESS, transaction_id, attribute, key)


def build_error_response(
    transaction_id: bytes, code: int, *, key: bytes | None = None, unknown: Sequence[int] = ()
) -> bytes:
    """Return the refusal of a request (§7.3.1.1).

    Without `key` when the request's integrity failed (§9.1.3); `unknown` are the attributes that
    a 420 complains about.
    """
    reason = REASONS.get(code, "").encode()
    attributes = _attribute(ERROR_CODE, UINT32.pack(code // 100 << 8 | code % 100) + reason)
    if unknown:
        attributes += _attribute(UNKNOWN_ATTRIBUTES, b"".join(map(UINT16.pack, unknown)))
    return _build(MessageClass.ERROR, transaction_id, attributes, key)


def _parse_header(data: bytes) -> tuple[int, bytes]:
    """Return message type and transaction id."""
    if len(data) < HEADER_LENGTH:
        raise MediaFormatError(f"a STUN message of {len(data)} bytes is shorter than its header")
    kind, length, cookie, transaction_id = HEADER.unpack_from(data)
    if kind > LARGEST_TYPE or cookie != MAGIC_COOKIE:
        raise MediaFormatError("a datagram does not begin like a STUN message")
    if length % 4 or length != len(data) - HEADER_LENGTH:
        raise MediaFormatError(f"a STUN message of {len(data)} bytes says it has {length} more")
    return kind, transaction_id


def _split_attributes(data: bytes) -> tuple[dict[int, bytes], int | None, bool]:
    """Return values by type, where MESSAGE-INTEGRITY begins, and whether FINGERPRINT is there.

    Of several attributes of a type the first counts (§14).
    """
    values: dict[int, bytes] = {}
    integrity_at = None
    at, end = HEADER_LENGTH, len(data)
    while at < end:  # both are multiples of four: an attribute's header is never cut
        kind, size = ATTRIBUTE.unpack_from(data, at)
        value_end = at + ATTRIBUTE.size + size
        if value_end > end:
            raise MediaFormatError(f"a STUN message ends inside its attribute {kind:#06x}")
        if kind == FINGERPRINT:
            _check_fingerprint(data, at)
            return values, integrity_at, True
        if integrity_at is None:
            values.setdefault(kind, data[at + ATTRIBUTE.size : value_end])
            if kind == MESSAGE_INTEGRITY:
                integrity_at = _check_integrity_size(at, size)
        at = value_end + -size % 4
    return values, integrity_at, False


def _check_integrity_size(at: int, size: int) -> int:
    if size != INTEGRITY_LENGTH:
        raise MediaFormatError(f"a MESSAGE-INTEGRITY has {size} bytes instead of 20")
    return at


def _check_fingerprint(data: bytes, at: int) -> None:
    """Refuse a FINGERPRINT that doesn't fit what stands before it (§14.7)."""
    if at + FINGERPRINT_SIZE != len(data):
        raise MediaFormatError("a FINGERPRINT is not the end of its STUN message")
    if data[at:] != _fingerprint(data[:at]):
        raise MediaFormatError("a STUN message does not fit its FINGERPRINT")


def _parse_number(form: Struct, value: bytes | None) -> int | None:
    if value is None:
        return None
    if len(value) != form.size:
        raise MediaFormatError(f"a STUN number has {len(value)} bytes instead of {form.size}")
    number: int = form.unpack(value)[0]
    return number


def _parse_username(value: bytes | None) -> str | None:
    if value is None:
        return None
    if len(value) > LARGEST_USERNAME_BYTES:
        raise MediaFormatError(f"a USERNAME has {len(value)} bytes, more than 508")
    return _decode(value)


def _parse_error(value: bytes | None) -> tuple[int | None, str]:
    """Read class, number and reason of an ERROR-CODE (§14.8)."""
    if value is None:
        return None, ""
    if len(value) < UINT32.size:
        raise MediaFormatError("an ERROR-CODE ends before its number")
    return (value[2] & 7) * 100 + value[3], _decode(value[UINT32.size :])


def _parse_address(value: bytes | None, transaction_id: bytes) -> tuple[str, int] | None:
    """Read an XOR-MAPPED-ADDRESS (§14.2)."""
    if value is None:
        return None
    if len(value) < ADDRESS.size:
        raise MediaFormatError("a STUN address ends before its port")
    family, port = ADDRESS.unpack_from(value)
    raw = value[ADDRESS.size :]
    if (family, len(raw)) not in ((FAMILY_IPV4, 4), (FAMILY_IPV6, 16)):
        raise MediaFormatError(f"a STUN address of family {family} has {len(raw)} bytes")
    return str(ip_address(_mask(raw, transaction_id))), port ^ MAGIC_COOKIE >> 16


def _pack_address(address: tuple[str, int], transaction_id: bytes) -> bytes:
    """Return the value of an XOR-MAPPED-ADDRESS.

    An IPv4 sender reaches an IPv6 socket under a mapped address, which it doesn't know itself.
    """
    try:
        host = ip_address(address[0])
    except ValueError as error:
        raise MediaFormatError(f"{address[0]!r} is not an IP address") from error
    if isinstance(host, IPv6Address):
        host = host.ipv4_mapped or host
    family = FAMILY_IPV4 if host.version == 4 else FAMILY_IPV6
    fields = ADDRESS.pack(family, address[1] ^ MAGIC_COOKIE >> 16)
    return fields + _mask(host.packed, transaction_id)


def _mask(raw: bytes, transaction_id: bytes) -> bytes:
    """Return an address with the cookie and transaction id XORed over it; twice gives it back."""
    mask = (COOKIE_BYTES + transaction_id)[: len(raw)]
    return (int.from_bytes(raw) ^ int.from_bytes(mask)).to_bytes(len(raw))


def _attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute, padded to a multiple of four bytes (§14)."""
    return ATTRIBUTE.pack(kind, len(value)) + value + bytes(-len(value) % 4)


def _build(
    message_class: MessageClass, transaction_id: bytes, attributes: bytes, key: bytes | None
) -> bytes:
    """Return a Binding message, signed with `key` and with a FINGERPRINT."""
    if len(transaction_id) != TRANSACTION_ID_LENGTH:
        raise MediaFormatError(f"a transaction id has {len(transaction_id)} bytes instead of 12")
    kind = message_class | METHOD_BINDING
    data = HEADER.pack(kind, len(attributes), MAGIC_COOKIE, transaction_id) + attributes
    if key is not None:
        data += _attribute(MESSAGE_INTEGRITY, _integrity(data, key))
    data = _with_length(data, FINGERPRINT_SIZE)
    return data + _fingerprint(data)


def _integrity(data: bytes, key: bytes) -> bytes:
    """Return the HMAC of a message that ends where its MESSAGE-INTEGRITY follows (§14.5)."""
    return hmac.digest(key, _with_length(data, ATTRIBUTE.size + INTEGRITY_LENGTH), "sha1")


def _fingerprint(data: bytes) -> bytes:
    """Return the FINGERPRINT of a message whose length already counts it."""
    value = UINT32.pack(crc32(data) ^ FINGERPRINT_XOR)
    return ATTRIBUTE.pack(FINGERPRINT, UINT32.size) + value


def _with_length(data: bytes, more: int) -> bytes:
    """Return a message whose length counts `more` bytes that will follow."""
    return data[:2] + UINT16.pack(len(data) - HEADER_LENGTH + more) + data[4:]


def _decode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise MediaFormatError("a text in a STUN message is not UTF-8") from error
