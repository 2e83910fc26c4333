from __future__ import annotations

import pytest

from h5sup.auth.addresses import forwarded_for, is_private


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("172.32.0.1", False),
        ("192.168.255.255", True),
        ("169.254.1.1", True),
        ("100.64.0.1", False),
        ("192.0.2.1", False),
        ("8.8.8.8", False),
        ("::1", True),
        ("fe80::1%eth0", True),
        ("fd00::1", True),
        ("::ffff:192.168.1.1", True),
        ("::ffff:8.8.8.8", False),
        ("2001:db8::1", False),
        ("[fd00::1]:443", True),
        ("192.168.1.1:5000", True),
        ("", False),
        ("unknown", False),
        ("10.0.0.1.evil.example", False),
    ],
)
def test_private_is_what_the_standards_call_so(address: str, private: bool) -> None:
    assert is_private([address]) is private


def test_one_public_address_spoils_all() -> None:
    assert is_private(["127.0.0.1", "10.0.0.1"])
    assert not is_private(["127.0.0.1", "8.8.8.8"])
    assert not is_private([])


def test_both_forwarding_headers_are_read() -> None:
    assert forwarded_for(
        "203.0.113.1, 10.0.0.1", 'for="[2001:db8::1]:4711";by=x, For=192.0.2.9'
    ) == [
        "203.0.113.1",
        "10.0.0.1",
        "[2001:db8::1]:4711",
        "192.0.2.9",
    ]
    assert forwarded_for("", "") == []
