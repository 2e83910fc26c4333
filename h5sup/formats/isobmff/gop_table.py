"""Where the GOPs of a recorded file lie and when they were taken; the boxes that keep it.

`prft` before each GOP: ISO/IEC 14496-12 §8.16.5. The table of a closed file is a `uuid` box
(§11.1) of h5sup's own.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from struct import Struct
from typing import overload

from h5sup.base.errors import MediaFormatError

TABLE_TYPE = bytes.fromhex("68357375702d676f70732d7461626c65")  # "h5sup-gops-table"
TABLE_HEADER = Struct(">I4s16sII")  # size, `uuid`, extended type, version and flags, entries
FIELDS = 5
ENTRY_BYTES = FIELDS * 8

PRFT = Struct(">I4sIIQQ")  # size, `prft`, version 1, track, NTP time, media time
PRFT_VERSION = 1 << 24  # a media time of 64 bits
NTP_EPOCH_S = 2_208_988_800  # 1900 to 1970
NTP_ERA_S = 1 << 32  # its seconds begin anew in 2036
SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class StoredGop:
    """One GOP of a file; times are in ticks of the video track, from the file's start."""

    offset: int
    size: int
    """Bytes of its `prft` and its fragments."""
    dts: int
    duration: int
    wall_us: int
    """When its first picture was taken."""


class GopTable(Sequence[StoredGop]):
    """The GOPs of a file, in 40 bytes each: a day holds 86,400 and more."""

    def __init__(self, fields: array[int] | None = None) -> None:
        self._fields = array("Q") if fields is None else fields

    def __len__(self) -> int:
        return len(self._fields) // FIELDS

    @overload
    def __getitem__(self, index: int) -> StoredGop: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[StoredGop]: ...

    def __getitem__(self, index: int | slice) -> StoredGop | Sequence[StoredGop]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        at = range(len(self))[index] * FIELDS
        return StoredGop(*self._fields[at : at + FIELDS])

    def copy(self, count: int) -> GopTable:
        """Return a table of the first GOPs alone."""
        return GopTable(self._fields[: count * FIELDS])

    def append(self, gop: StoredGop) -> None:
        """Add the next GOP."""
        self._fields.extend(astuple(gop))

    def pop(self) -> None:
        """Forget the newest GOP."""
        del self._fields[-FIELDS:]

    def to_box(self) -> bytes:
        """Return the box that keeps the table."""
        body = big_endian(self._fields)
        size = TABLE_HEADER.size + len(body)
        return TABLE_HEADER.pack(size, b"uuid", TABLE_TYPE, 0, len(self)) + body


def parse_gop_table(box: bytes) -> GopTable:
    """Read a box of `GopTable.to_box()`; raises MediaFormatError."""
    if len(box) < TABLE_HEADER.size:
        raise MediaFormatError("the table of GOPs is cut off")
    size, kind, extended, version, count = TABLE_HEADER.unpack_from(box)
    if (kind, extended, version) != (b"uuid", TABLE_TYPE, 0):
        raise MediaFormatError("there is no table of GOPs")
    if size != len(box) or size != TABLE_HEADER.size + count * ENTRY_BYTES:
        raise MediaFormatError("the table of GOPs is not as long as it says")
    fields = array("Q", box[TABLE_HEADER.size :])
    if sys.byteorder == "little":  # pragma: no branch
        fields.byteswap()
    return GopTable(fields)


def big_endian(values: array[int]) -> bytes:
    """Return numbers as boxes hold them."""
    if sys.byteorder == "little":  # pragma: no branch
        values = values[:]
        values.byteswap()
    return values.tobytes()


def build_prft(track_id: int, wall_us: int, dts: int) -> bytes:
    """Return the box that says when the picture decoded at `dts` was taken."""
    seconds, rest_us = divmod(wall_us, SECOND_US)
    ntp = (seconds + NTP_EPOCH_S) % NTP_ERA_S << 32 | (rest_us << 32) // SECOND_US
    return PRFT.pack(PRFT.size, b"prft", PRFT_VERSION, track_id, ntp, dts)


def parse_prft(box: bytes) -> tuple[int, int]:
    """Return (wall time in microseconds, decoding time); raises MediaFormatError."""
    if len(box) < PRFT.size:
        raise MediaFormatError("box 'prft' is cut off")
    _, _, version, _, ntp, dts = PRFT.unpack_from(box)
    if version >> 24 != 1:
        raise MediaFormatError("box 'prft' is of a version that h5sup does not write")
    seconds, fraction = ntp >> 32, ntp & 0xFFFFFFFF
    if seconds < NTP_EPOCH_S:
        seconds += NTP_ERA_S
    rest_us = (fraction * SECOND_US + (1 << 31)) >> 32
    return (seconds - NTP_EPOCH_S) * SECOND_US + rest_us, dts
