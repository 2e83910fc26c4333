"""DTLS with one viewer, by aiortc's transport (RFC 5763, RFC 5764).

aiortc is imported with the first viewer: it takes 40 MB and most of a second. It leans on some
of its private names, so its version is pinned and tests/media/test_rtc_dtls.py keeps watch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Literal

from aiortc.rtcdtlstransport import (
    SRTP_PROFILES,
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
)

from h5sup.base.errors import UnavailableError
from h5sup.formats.sdp.model import Fingerprint
from h5sup.outputs.rtc.keys import Keys

WAITING_DATAGRAMS = 32
EXPORTER = b"EXTRACTOR-dtls_srtp"  # RFC 5764 §4.2

Role = Literal["server", "client"]


class Certificate:
    """This server's own, made anew at each start: viewers learn its fingerprint by signalling."""

    def __init__(self) -> None:
        self._made = RTCCertificate.generateCertificate()
        found = self._made.getFingerprints()
        value = next(one.value for one in found if one.algorithm == "sha-256")
        self.fingerprint = Fingerprint("sha-256", value.upper())

    def open(self, send: Callable[[bytes], None], on_close: Callable[[], None]) -> Dtls:
        """Return a transport to one viewer."""
        return Dtls(self._made, send, on_close)


class _Wire:
    """What aiortc's transport needs of an ICE transport."""

    role = "controlled"
    state = "completed"

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._write = send
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(WAITING_DATAGRAMS)

    def feed(self, data: bytes | None) -> None:
        """Hand on a datagram, or the end; in a flood datagrams are lost, as on any network."""
        if data is None and self._waiting.full():
            self._waiting.get_nowait()
        if not self._waiting.full():
            self._waiting.put_nowait(data)

    async def _recv(self) -> bytes:
        data = await self._waiting.get()
        if data is None:
            raise ConnectionError
        return data

    async def _send(self, data: bytes) -> None:
        self._write(data)


class Dtls:
    """One handshake and what follows it. `close()` ends its task."""

    def __init__(
        self,
        certificate: RTCCertificate,
        send: Callable[[bytes], None],
        on_close: Callable[[], None],
    ) -> None:
        self._wire = _Wire(send)
        self._transport = RTCDtlsTransport(self._wire, [certificate])  # type: ignore[arg-type]  # all it uses of it is there
        self._on_close = on_close

    def feed(self, data: bytes) -> None:
        """Take a datagram of the viewer."""
        self._wire.feed(data)

    async def handshake(self, role: Role, fingerprints: Iterable[Fingerprint]) -> Keys:
        """Return the keys; raises UnavailableError when it fails or the certificate is another."""
        transport = self._transport
        transport._set_role(role)
        expected = [RTCDtlsFingerprint(one.algorithm, one.value) for one in fingerprints]
        await transport.start(RTCDtlsParameters(fingerprints=expected))
        if transport.state != "connected":
            raise UnavailableError("the encryption could not be agreed on (DTLS)")
        transport.on("statechange", self._on_state)
        return self._derive(role)

    async def close(self) -> None:
        """Say goodbye and stop."""
        self._transport.remove_all_listeners()
        await self._transport.stop()
        self._wire.feed(None)

    def _derive(self, role: Role) -> Keys:
        """Make sessions of our own of the keys: aiortc's have windows that cost time."""
        ssl = self._transport._ssl
        assert ssl is not None
        chosen = ssl.get_selected_srtp_profile()
        profile = next(one for one in SRTP_PROFILES if one.openssl_profile == chosen)
        material = ssl.export_keying_material(
            EXPORTER, 2 * (profile.key_length + profile.salt_length)
        )
        ours, theirs = (1, 0) if role == "server" else (0, 1)
        return Keys(
            send=profile.get_key_and_salt(material, ours),
            receive=profile.get_key_and_salt(material, theirs),
            srtp_profile=profile.libsrtp_profile,
            name=chosen.decode(),
        )

    def _on_state(self) -> None:
        if self._transport.state in ("closed", "failed"):
            self._on_close()
