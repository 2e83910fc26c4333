"""WebSocket frames of a server, built once for many viewers (RFC 6455 §5.2)."""

from __future__ import annotations

from struct import Struct

OPCODE_TEXT = 0x1
OPCODE_BINARY = 0x2
OPCODE_CLOSE = 0x8
FIN = 0x80

CLOSE_GOING_AWAY = 1001
CLOSE_POLICY = 1008
CLOSE_TRY_AGAIN_LATER = 1013

HEADER_16 = Struct(">BBH")
HEADER_64 = Struct(">BBQ")
CODE = Struct(">H")


def header(opcode: int, size: int) -> bytes:
    """Return the header of an unmasked, unfragmented frame with `size` bytes of payload."""
    if size < 126:
        return bytes((FIN | opcode, size))
    if size < 65536:
        return HEADER_16.pack(FIN | opcode, 126, size)
    return HEADER_64.pack(FIN | opcode, 127, size)


def frame(opcode: int, payload: bytes) -> bytearray:
    """Return a whole frame."""
    whole = bytearray(header(opcode, len(payload)))
    whole += payload
    return whole


def close_frame(code: int, reason: str) -> bytearray:
    """Return a close frame; a control frame holds at most 125 bytes, so the reason is cut."""
    text = reason.encode()[:123].decode(errors="ignore").encode()
    return frame(OPCODE_CLOSE, CODE.pack(code) + text)
