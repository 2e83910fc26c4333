from __future__ import annotations

from collections.abc import Callable
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import MediaFormatError
from h5sup.formats.decoder_config import DecoderConfig, parse_avcc, parse_hvcc

SPS, PPS, VPS = b"\x67\x4d\x40\x0d\xec", b"\x68\xee\x3c\x80", b"\x40\x01\x0c\x01"
HEVC_SPS, HEVC_PPS = b"\x42\x01\x01\x01", b"\x44\x01\xc1\x72"


def nal(unit: bytes) -> bytes:
    return pack(">H", len(unit)) + unit


AVCC = b"\x01\x4d\x40\x0d\xff\xe1" + nal(SPS) + b"\x01" + nal(PPS)
# High profile: chroma format and bit depths follow the parameter sets
HIGH_AVCC = AVCC + b"\xfd\xf8\xf8\x00"
HVCC = (
    b"\x01" + bytes(20) + b"\x0f\x03"
    + b"\xa0\x00\x01" + nal(VPS)
    + b"\xa1\x00\x01" + nal(HEVC_SPS)
    + b"\xa2\x00\x02" + nal(HEVC_PPS) + nal(HEVC_PPS)
)  # fmt: skip


@pytest.mark.parametrize("record", [AVCC, HIGH_AVCC])
def test_avcc(record: bytes) -> None:
    assert parse_avcc(record) == DecoderConfig(4, (SPS, PPS))


def test_hvcc() -> None:
    assert parse_hvcc(HVCC) == DecoderConfig(4, (VPS, HEVC_SPS, HEVC_PPS, HEVC_PPS))


@pytest.mark.parametrize("size", [1, 2, 4])
def test_the_size_of_lengths(size: int) -> None:
    assert parse_avcc(AVCC[:4] + bytes([0xFC | size - 1]) + AVCC[5:]).length_size == size


@pytest.mark.parametrize(("parse", "record"), [(parse_avcc, AVCC), (parse_hvcc, HVCC)])
def test_every_cut_is_said(parse: Callable[[bytes], DecoderConfig], record: bytes) -> None:
    for size in range(len(record)):
        with pytest.raises(MediaFormatError, match="is cut off"):
            parse(record[:size])


@given(st.binary(max_size=80))
def test_anything_else_is_refused_or_read(data: bytes) -> None:
    for parse in (parse_avcc, parse_hvcc):
        try:
            parse(data)
        except MediaFormatError:
            continue
