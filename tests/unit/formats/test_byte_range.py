"""Which bytes a `Range` header means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.formats.byte_range import parse_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-", range(100)),
        ("bytes=0-0", range(1)),
        ("bytes=10-19", range(10, 20)),
        ("bytes= 10-19 ", range(10, 20)),
        ("bytes=90-1000", range(90, 100)),
        ("bytes=-30", range(70, 100)),
        ("bytes=-1000", range(100)),
    ],
)
def test_one_range_is_found(header: str, expected: range) -> None:
    assert parse_range(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_what_lies_outside_is_empty(header: str) -> None:
    assert parse_range(header, 100) == range(0)


@pytest.mark.parametrize(
    "header",
    ["", "bytes", "bytes=-", "bytes=5-4", "bytes=0-1,5-6", "items=0-1", "bytes=a-b",
     "bytes=0-1\x00", "bytes=1234567890123456789-", "bytes=\u0661-"],
)  # fmt: skip
def test_what_is_no_single_range_means_all(header: str) -> None:
    assert parse_range(header, 100) is None


@given(st.text(max_size=40).map("bytes=".__add__), st.integers(0, 1000))
def test_a_range_never_leaves_the_body(header: str, size_bytes: int) -> None:
    found = parse_range(header, size_bytes)
    assert found is None or 0 <= found.start <= found.stop <= size_bytes
