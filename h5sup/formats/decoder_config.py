"""avcC and hvcC: how the samples of a video track are written, and its parameter sets.

ISO/IEC 14496-15 §5.3.3.1 (AVCDecoderConfigurationRecord) and §8.3.3.1 (that of HEVC).
"""

from __future__ import annotations

from dataclasses import dataclass

from h5sup.base.errors import MediaFormatError

LENGTH_SIZE_MASK = 0x03  # lengthSizeMinusOne
AVC_LENGTH_SIZE_AT = 4
AVC_SPS_COUNT_MASK = 0x1F
HEVC_LENGTH_SIZE_AT = 21


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """What a decoder must know before a track's first sample."""

    length_size: int
    """Bytes of the length before each NAL unit."""
    parameter_sets: tuple[bytes, ...]
    """In the order in which a decoder takes them."""


def parse_avcc(record: bytes) -> DecoderConfig:
    """Read an AVCDecoderConfigurationRecord; raises MediaFormatError."""
    cursor = _Cursor(record, "avcC")
    cursor.skip(AVC_LENGTH_SIZE_AT)
    length_size = 1 + (cursor.number(1) & LENGTH_SIZE_MASK)
    found = [cursor.nal() for _ in range(cursor.number(1) & AVC_SPS_COUNT_MASK)]
    found += [cursor.nal() for _ in range(cursor.number(1))]
    return DecoderConfig(length_size, tuple(found))


def parse_hvcc(record: bytes) -> DecoderConfig:
    """Read an HEVCDecoderConfigurationRecord; raises MediaFormatError."""
    cursor = _Cursor(record, "hvcC")
    cursor.skip(HEVC_LENGTH_SIZE_AT)
    length_size = 1 + (cursor.number(1) & LENGTH_SIZE_MASK)
    found: list[bytes] = []
    for _ in range(cursor.number(1)):
        cursor.skip(1)  # array_completeness, NAL_unit_type
        found += [cursor.nal() for _ in range(cursor.number(2))]
    return DecoderConfig(length_size, tuple(found))


class _Cursor:
    """Reads a record from its start; past its end it raises MediaFormatError."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._what = what
        self._at = 0

    def skip(self, count: int) -> None:
        self._take(count)

    def number(self, size: int) -> int:
        return int.from_bytes(self._take(size))

    def nal(self) -> bytes:
        return self._take(self.number(2))

    def _take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise MediaFormatError(f"box {self._what!r} is cut off")
        taken = self._data[self._at : end]
        self._at = end
        return taken
