"""Write the bits that h5sup.formats.bits reads, to make parameter sets no encoder offers."""

from __future__ import annotations


class BitWriter:
    """Collects bits; `nal(header)` gives the NAL unit with them in it."""

    def __init__(self) -> None:
        self._bits = ""

    def bits(self, value: int, count: int) -> BitWriter:
        """Add `count` bits: u(n)."""
        self._bits += f"{value:0{count}b}" if count else ""
        return self

    def golomb(self, *values: int) -> BitWriter:
        """Add Exp-Golomb numbers: ue(v)."""
        for value in values:
            code = f"{value + 1:b}"
            self._bits += "0" * (len(code) - 1) + code
        return self

    def signed_golomb(self, *values: int) -> BitWriter:
        """Add signed Exp-Golomb numbers: se(v)."""
        return self.golomb(*(2 * value - 1 if value > 0 else -2 * value for value in values))

    def nal(self, header: bytes) -> bytes:
        """Return header, bits, the stop bit and what escaping they need."""
        padded = self._bits + "1" + "0" * (-(len(self._bits) + 1) % 8)
        raw = int(padded, 2).to_bytes(len(padded) // 8)
        escaped = bytearray()
        for byte in raw:
            if byte <= 3 and escaped[-2:] == b"\x00\x00":
                escaped.append(3)
            escaped.append(byte)
        return header + bytes(escaped)
