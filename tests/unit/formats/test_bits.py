from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import MediaFormatError
from h5sup.formats.bits import BitReader, unescape
from tests.fakes.bits import BitWriter


def test_unescape_removes_only_emulation_prevention() -> None:
    assert unescape(bytes.fromhex("0000030000030103000001")) == bytes.fromhex("000000000103000001")


@given(st.binary(max_size=64))
def test_escaped_bytes_come_back(data: bytes) -> None:
    writer = BitWriter()
    for byte in data:
        writer.bits(byte, 8)
    nal = writer.nal(b"")
    assert b"\x00\x00\x00" not in nal
    assert b"\x00\x00\x01" not in nal
    assert unescape(nal)[:-1] == data


@given(st.lists(st.integers(0, 2**32 - 2), max_size=20), st.integers(-(2**31) + 1, 2**31 - 1))
def test_golomb_numbers_come_back(values: list[int], signed: int) -> None:
    data = unescape(BitWriter().golomb(*values).signed_golomb(signed).nal(b""))
    reader = BitReader(data, "a test")
    assert [reader.golomb() for _ in values] == values
    assert reader.signed_golomb() == signed


def test_reading_past_the_end_names_what_was_read() -> None:
    with pytest.raises(MediaFormatError, match="an SPS ends too early"):
        BitReader(b"\x80", "an SPS").bits(9)


def test_an_endless_golomb_prefix_is_refused() -> None:
    with pytest.raises(MediaFormatError, match="an SPS holds an impossible number"):
        BitReader(bytes(20), "an SPS").golomb()
