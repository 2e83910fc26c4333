"""Bits of a NAL unit's payload, read from the left (H.264 §7.2 and §9.1, H.265 §9.2)."""

from __future__ import annotations

from h5sup.base.errors import MediaFormatError

MAX_GOLOMB_ZEROS = 32  # a longer prefix is no 32-bit value


def unescape(nal: bytes) -> bytes:
    """Return `nal` without its emulation prevention bytes (H.264 §7.4.1.1, H.265 §7.4.2)."""
    parts = []
    start = 0
    while (at := nal.find(b"\x00\x00\x03", start)) >= 0:
        parts.append(nal[start : at + 2])
        start = at + 3
    parts.append(nal[start:])
    return b"".join(parts)


class BitReader:
    """A cursor over bits; reading past the end raises MediaFormatError."""

    def __init__(self, data: bytes, what: str) -> None:
        self._value = int.from_bytes(data)
        self._left = len(data) * 8
        self._what = what

    def bits(self, count: int) -> int:
        """Return the next `count` bits as an unsigned number: u(n)."""
        if count > self._left:
            raise MediaFormatError(f"{self._what} ends too early")
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def flag(self) -> bool:
        """Return the next bit: u(1)."""
        return self.bits(1) == 1

    def skip(self, count: int) -> None:
        """Pass over `count` bits."""
        self.bits(count)

    def golomb(self) -> int:
        """Return the next Exp-Golomb number: ue(v)."""
        zeros = 0
        while not self.bits(1):
            zeros += 1
            if zeros > MAX_GOLOMB_ZEROS:
                raise MediaFormatError(f"{self._what} holds an impossible number")
        return (1 << zeros) - 1 + self.bits(zeros)

    def signed_golomb(self) -> int:
        """Return the next signed Exp-Golomb number: se(v)."""
        code = self.golomb()
        return (code + 1) // 2 if code % 2 else -(code // 2)
