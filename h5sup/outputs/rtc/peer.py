"""The connection to one browser: ICE-lite, DTLS, keys, and whether it still lives."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from h5sup.base.errors import MediaFormatError, UnavailableError
from h5sup.base.tasks import end_tasks
from h5sup.formats.rtcp import Feedback, parse_feedback
from h5sup.formats.sdp.model import Fingerprint
from h5sup.formats.stun import StunMessage
from h5sup.outputs.rtc.endpoint import Endpoint
from h5sup.outputs.rtc.paths import Path

if TYPE_CHECKING:
    from h5sup.outputs.rtc.dtls import Certificate, Dtls, Role
    from h5sup.outputs.rtc.keys import Keys

CONNECT_WITHIN_S = 20.0
GONE_AFTER_S = 25.0  # RFC 7675 §5.1: consent lasts 30 s, and browsers check each few seconds
PATH_SILENT_S = 5.0  # after this a worse path may take over

logger = logging.getLogger(__name__)


class PeerOwner(Protocol):
    """Who is told what becomes of a peer."""

    def on_connected(self, keys: Keys, path: Path) -> None:
        """Media may be sent."""

    def on_path(self, path: Path) -> None:
        """Media goes another way from now on."""

    def on_feedback(self, feedback: Feedback) -> None:
        """The browser says how media arrives."""

    def on_gone(self, reason: str) -> None:
        """Nothing more can be sent."""


class Peer:
    """Owned by a Viewer. `accept()` once signalling is done, `close()` at the end."""

    def __init__(self, endpoint: Endpoint, certificate: Certificate, owner: PeerOwner) -> None:
        self.ufrag = secrets.token_hex(4)
        self.pwd = secrets.token_hex(16)
        self.key = self.pwd.encode()
        self.path: Path | None = None
        self.keys: Keys | None = None
        self.garbage = 0
        """RTCP that could not be read."""
        self._endpoint = endpoint
        self._certificate = certificate
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._opened_at = self._loop.time()
        self._heard_at = self._opened_at
        self._path_heard_at = self._opened_at
        self._agreed: tuple[Role, Sequence[Fingerprint]] | None = None
        self._dtls: Dtls | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._is_closed = False

    def accept(self, role: Role, fingerprints: Sequence[Fingerprint]) -> None:
        """Take what signalling says of the browser's certificate; checks may have come before."""
        self._agreed = (role, fingerprints)
        self._connect_if_ready()

    def ailment(self, now_s: float) -> str:
        """Return why this peer should be given up, or nothing."""
        if self.keys is None and now_s - self._opened_at > CONNECT_WITHIN_S:
            return "no connection came about: is UDP or TCP to this server's rtc.port blocked?"
        if now_s - self._heard_at > GONE_AFTER_S:
            return "the viewer has gone"
        return ""

    def on_check(self, path: Path, message: StunMessage) -> None:
        """Learn that the browser reaches us on a path, and whether it wants this one."""
        now_s = self._loop.time()
        self._heard_at = now_s
        current = self.path
        if current is None:
            self.path = path
            self._connect_if_ready()
        elif path is not current and message.use_candidate:
            is_silent = now_s - self._path_heard_at > PATH_SILENT_S
            if path.is_udp or not current.is_udp or is_silent:
                self.path = path
                self._owner.on_path(path)
        if path is self.path:
            self._path_heard_at = now_s

    def on_dtls(self, path: Path, data: bytes) -> None:
        """Take a datagram of the handshake, or goodbye."""
        if self.keys is None and path is not self.path:
            self.path = path  # the browser has chosen without saying so yet
        if self._dtls is not None:
            self._dtls.feed(data)

    def on_rtcp(self, data: bytes) -> None:
        """Take SRTCP."""
        if self.keys is None:
            return
        try:
            feedback = parse_feedback(self.keys.unprotect_rtcp(data))
        except MediaFormatError:
            self.garbage += 1
            return
        self._owner.on_feedback(feedback)

    def send_rtcp(self, packet: bytes) -> None:
        """Encrypt and send RTCP."""
        if self.keys is not None and self.path is not None:
            self.path.send(self.keys.protect_rtcp(packet))

    async def close(self) -> None:
        """Say goodbye and forget everything."""
        self._is_closed = True
        self._endpoint.remove(self)
        connecting, dtls = self._connecting, self._dtls
        if connecting is not None and connecting is not asyncio.current_task():
            await end_tasks(connecting)
        if dtls is not None:
            await dtls.close()

    def _connect_if_ready(self) -> None:
        if self.path is None or self._agreed is None or self._connecting is not None:
            return
        role, fingerprints = self._agreed
        self._dtls = self._certificate.open(self._send_dtls, self._on_dtls_closed)
        self._connecting = asyncio.create_task(
            self._connect(self._dtls, role, fingerprints), name=f"DTLS with {self.ufrag}"
        )

    async def _connect(self, dtls: Dtls, role: Role, fingerprints: Sequence[Fingerprint]) -> None:
        try:
            self.keys = await dtls.handshake(role, fingerprints)
        except UnavailableError as error:
            self._owner.on_gone(str(error))
            return
        assert self.path is not None
        self._owner.on_connected(self.keys, self.path)

    def _send_dtls(self, data: bytes) -> None:
        if self.path is not None:
            self.path.send(data)

    def _on_dtls_closed(self) -> None:
        if not self._is_closed:
            self._owner.on_gone("the viewer has left")
