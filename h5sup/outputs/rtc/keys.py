"""What a DTLS handshake leaves: keys for both directions (RFC 5764 §4.2)."""

from __future__ import annotations

from typing import Any

from pylibsrtp import Error, Policy, Session
from pylibsrtp._binding import ffi, lib

from h5sup.base.errors import MediaFormatError

WINDOW_PACKETS = 128  # a larger one is shifted for every packet
GCM_TAG_BYTES = 16  # RFC 7714 §12
SHA1_80_TAG_BYTES = 10  # RFC 3711 §4.2.1


class Keys:
    """Encrypts what goes to one viewer and decrypts what it says."""

    def __init__(self, *, send: bytes, receive: bytes, srtp_profile: int, name: str) -> None:
        self.name = name
        self.tag_bytes = GCM_TAG_BYTES if "GCM" in name else SHA1_80_TAG_BYTES
        outbound = Policy(key=send, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=srtp_profile)
        outbound.allow_repeat_tx = True  # packets are sent again to those without RTX
        outbound.window_size = WINDOW_PACKETS
        inbound = Policy(key=receive, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=srtp_profile)
        self._outbound, self._inbound = Session(outbound), Session(inbound)

    @property
    def context(self) -> Any:
        """Return libsrtp's own, for Burst.encrypt_for()."""
        return self._outbound._srtp[0]

    def protect_rtcp(self, packet: bytes) -> bytes:
        """Return SRTCP."""
        protected: bytes = self._outbound.protect_rtcp(packet)
        return protected

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """Return RTCP; raises MediaFormatError for what this viewer has not sent."""
        try:
            clear: bytes = self._inbound.unprotect_rtcp(packet)
        except (Error, TypeError, ValueError) as error:  # the last one for too many bytes
            raise MediaFormatError("SRTCP with a wrong key, or sent twice") from error
        return clear


def protect_one(context: Any, packet: bytearray) -> bytes | None:
    """Return one packet encrypted; None when libsrtp refuses it."""
    size = len(packet)
    room = ffi.new("char[]", size + GCM_TAG_BYTES)
    ffi.memmove(room, packet, size)
    length = ffi.new("int *", size)
    if lib.srtp_protect(context, room, length):
        return None
    return bytes(ffi.buffer(room, length[0]))
