"""A WebRTC viewer without a decoder: real ICE and DTLS over UDP or TCP, then it takes packets.

It loses packets on request and asks for them again, or lets the kernel drop all media and only
count it, so that many viewers cost the machine little.
"""

from __future__ import annotations

import asyncio
import ctypes
import secrets
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiortc.rtcdtlstransport import SRTP_PROFILES, RTCCertificate
from OpenSSL import SSL
from pylibsrtp import Error, Policy, Session

from h5sup.base.errors import MediaFormatError
from h5sup.formats.rtcp import build_nack, build_pli, is_rtcp, parse_sender_reports
from h5sup.formats.rtp import RtpHeader, parse_header, payload_bounds, sequence_distance
from h5sup.formats.sdp.build import build_description
from h5sup.formats.sdp.candidate import Candidate, host_priority
from h5sup.formats.sdp.model import (
    Codec,
    Direction,
    Fingerprint,
    MediaSection,
    SessionDescription,
    Setup,
)
from h5sup.formats.sdp.parse import parse_description
from h5sup.formats.stun import (
    MessageClass,
    build_binding_request,
    build_binding_response,
    is_stun,
    parse_message,
)

VIDEO, RTX, SOUND, ALAW = 102, 103, 111, 8
PROFILES = {one.openssl_profile.decode(): one for one in SRTP_PROFILES}
CHECK_EVERY_S = 0.1
CONSENT_EVERY_S = 4.0
NAG_EVERY_S = 0.1
TIMEOUT_S = 20.0
DATAGRAM_BYTES = 2048
SO_ATTACH_FILTER = 26
# Let pass what begins with a byte below 128: STUN and DTLS; the rest is dropped and counted.
DROP_MEDIA = struct.pack(
    "HBBI" * 4, 0x30, 0, 0, 8, 0x35, 0, 1, 128, 0x06, 0, 0, 0, 0x06, 0, 0, 0xFFFF
)


@dataclass(frozen=True, slots=True)
class Got:
    """One packet of media as a depacketiser sees it: retransmissions are in their place."""

    header: RtpHeader
    payload: bytes
    is_again: bool
    at: float


class RtcClient:
    """One viewer by WHEP; use it in `async with`, which connects it."""

    def __init__(
        self,
        base: str,
        token: str,
        *,
        http: aiohttp.ClientSession,
        query: str = "",
        sound: bool = True,
        alaw: bool = False,
        rtx: bool = True,
        tcp: bool = False,
        profile: str = "",
        address: str = "127.0.0.1",
        counts: bool = False,
    ) -> None:
        """Take who to watch; `counts` leaves media to the kernel once connected."""
        self.got: list[Got] = []
        self.reports: dict[int, Any] = {}
        """The newest sender report of each SSRC, and when it came."""
        self.loses: Callable[[RtpHeader], bool] = lambda _: False
        self.nacks = True
        self.missing: set[int] = set()
        self.bad = 0
        self.answer = SessionDescription()
        self.location = ""
        self.srtp_profile = ""
        self._base, self._token, self._query, self._http = base, token, query, http
        self._sound, self._alaw, self._rtx, self._tcp = sound, alaw, rtx, tcp
        self._profiles = [PROFILES[profile]] if profile else SRTP_PROFILES
        self._address = address
        self._counts = counts
        self._loop = asyncio.get_running_loop()
        self._ufrag, self._pwd = secrets.token_hex(4), secrets.token_hex(16)
        self._certificate = RTCCertificate.generateCertificate()
        self._ssl: Any = None
        self._session: Session | None = None
        self._sender: Session | None = None
        self._udp: socket.socket | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._remote: Any = None
        self._checked = asyncio.Event()
        self._dtls: asyncio.Queue[bytes] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._highest: dict[int, int] = {}
        self._early: list[bytes] = []

    @property
    def port(self) -> int:
        """Return the local port."""
        assert self._udp is not None
        return int(self._udp.getsockname()[1])

    @property
    def video(self) -> list[Got]:
        """Return the packets of the picture."""
        return [one for one in self.got if one.header.payload_type == VIDEO]

    @property
    def sound(self) -> list[Got]:
        """Return the packets of the sound."""
        return [one for one in self.got if one.header.payload_type in (SOUND, ALAW)]

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self.signal()
                await self.connect()
        except BaseException:
            await self.leave()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.location:
            with suppress(aiohttp.ClientError):
                async with self._http.delete(self._base + self.location):
                    pass
        await self.leave()

    async def signal(self) -> None:
        """Exchange offer and answer."""
        if not self._tcp:
            self._open_udp()
        headers = {"Content-Type": "application/sdp"}
        url = f"{self._base}/whep/{self._token}{self._query}"
        async with self._http.post(url, data=self._offer(), headers=headers) as response:
            text = await response.text()
            assert response.status == 201, (response.status, text)
            self.location = response.headers["Location"]
        self.answer = parse_description(text)

    async def connect(self) -> None:
        """Check the path and shake hands."""
        section = self.answer.media[0]
        wanted = [
            one
            for one in section.candidates
            if one.address == self._address and (one.transport == "tcp") == self._tcp
        ]
        assert wanted, section.candidates
        self._remote = (self._address, wanted[0].port)
        if self._tcp:
            reader, self._writer = await asyncio.open_connection(*self._remote)
            self._tasks.append(asyncio.create_task(self._read_tcp(reader)))
        while not self._checked.is_set():
            self.check()
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_EVERY_S):
                    await self._checked.wait()
        await self._shake_hands()
        self._tasks += (asyncio.create_task(self._consent()), asyncio.create_task(self._nag()))

    def check(self, *, use_candidate: bool = True, pwd: str = "") -> None:
        """Send a connectivity check; `pwd` makes it a wrong one."""
        section = self.answer.media[0]
        self.send(
            build_binding_request(
                secrets.token_bytes(12),
                username=f"{section.ufrag}:{self._ufrag}",
                key=(pwd or section.pwd).encode(),
                priority=1_853_817_087,
                tie_breaker=7,
                use_candidate=use_candidate,
            )
        )

    def send(self, data: bytes) -> None:
        """Send one datagram."""
        if self._writer is not None:
            self._writer.write(len(data).to_bytes(2) + data)
        elif self._udp is not None:
            with suppress(BlockingIOError, ConnectionRefusedError):
                self._udp.sendto(data, self._remote)

    def ask_picture(self) -> None:
        """Say that the picture is lost."""
        self._send_rtcp(build_pli(1, self._ssrc("video")))

    def ask_again(self, sequences: list[int]) -> None:
        """Ask for packets again."""
        self._send_rtcp(build_nack(1, self._ssrc("video"), sequences))

    async def leave(self) -> None:
        """Fall silent without a word."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        if self._udp is not None:
            self._loop.remove_reader(self._udp)
            self._udp.close()
            self._udp = None
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None

    @property
    def _is_dtls_server(self) -> bool:
        return self.answer.media[0].setup is Setup.ACTIVE

    def _ssrc(self, kind: str) -> int:
        section = next(one for one in self.answer.media if one.kind == kind)
        return next(iter(section.cnames))

    def _offer(self) -> str:
        prints = self._certificate.getFingerprints()
        value = next(one.value for one in prints if one.algorithm == "sha-256")

        def section(kind: str, mid: str, codecs: list[Codec]) -> MediaSection:
            return MediaSection(
                kind=kind,
                mid=mid,
                codecs=tuple(codecs),
                direction=Direction.RECVONLY,
                has_rtcp_mux=True,
                ufrag=self._ufrag,
                pwd=self._pwd,
                candidates=self._candidates(),
                ends_candidates=True,
                fingerprints=(Fingerprint("sha-256", value),),
                setup=Setup.ACTPASS,
            )

        level = {"level-asymmetry-allowed": "1", "packetization-mode": "1"}
        h264 = Codec(
            payload_type=VIDEO,
            name="H264",
            clock_hz=90_000,
            parameters=level | {"profile-level-id": "42e01f"},
            feedback=("nack", "nack pli"),
        )
        codecs = [h264]
        if self._rtx:
            apt = {"apt": str(VIDEO)}
            codecs.append(Codec(payload_type=RTX, name="rtx", clock_hz=90_000, parameters=apt))
        media = [section("video", "0", codecs)]
        if self._sound:
            sounds = [Codec(payload_type=SOUND, name="opus", clock_hz=48_000, channels=2)]
            if self._alaw:
                sounds.insert(0, Codec(payload_type=ALAW, name="PCMA", clock_hz=8000))
            media.append(section("audio", "1", sounds))
        bundle = tuple(one.mid for one in media)
        return build_description(SessionDescription(media=tuple(media), bundle=bundle))

    def _candidates(self) -> tuple[Candidate, ...]:
        """Return where we are; h5sup doesn't care, but a full ICE agent does."""
        if self._tcp:
            return ()
        return (Candidate(priority=host_priority(), address=self._address, port=self.port),)

    def _open_udp(self) -> None:
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        self._udp = socket.socket(family, socket.SOCK_DGRAM)
        self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._udp.setblocking(False)
        self._udp.bind((self._address, 0))
        self._loop.add_reader(self._udp, self._read_udp)

    def _read_udp(self) -> None:
        while self._udp is not None:
            try:
                data = self._udp.recv(DATAGRAM_BYTES)
            except (BlockingIOError, ConnectionRefusedError):
                return
            self._take(data)

    async def _read_tcp(self, reader: asyncio.StreamReader) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                size = int.from_bytes(await reader.readexactly(2))
                self._take(await reader.readexactly(size))

    def _take(self, data: bytes) -> None:
        if is_stun(data):
            message = parse_message(data)
            if message.message_class is MessageClass.SUCCESS:
                self._checked.set()
            elif self._remote is not None:  # a check of a full ICE agent
                key = self._pwd.encode()
                self.send(build_binding_response(message.transaction_id, self._remote, key))
        elif data[0] < 64:
            self._dtls.put_nowait(data)
        elif self._session is None:
            self._early.append(data)  # on the heels of the handshake's last message
        else:
            try:
                self._take_media(data)
            except (Error, MediaFormatError, TypeError):
                self.bad += 1

    def _take_media(self, data: bytes) -> None:
        assert self._session is not None
        if is_rtcp(data):
            for report in parse_sender_reports(self._session.unprotect_rtcp(data)):
                self.reports[report.ssrc] = (report, self._loop.time())
            return
        header = parse_header(data)  # which is not encrypted; what is lost was never decrypted
        if header.payload_type != RTX and self.loses(header):
            return
        clear = self._session.unprotect(data)
        start, end = payload_bounds(clear)
        payload, is_again = clear[start:end], False
        if header.payload_type == RTX:
            sequence, payload, is_again = int.from_bytes(payload[:2]), payload[2:], True
            header = RtpHeader(
                payload_type=VIDEO,
                sequence=sequence,
                timestamp=header.timestamp,
                ssrc=self._ssrc("video"),
                is_marked=header.is_marked,
            )
        self.got.append(Got(header, payload, is_again, self._loop.time()))
        self._note(header)

    def _note(self, header: RtpHeader) -> None:
        """Ask for what is missing, as browsers do."""
        if header.payload_type != VIDEO:
            return
        highest = self._highest.get(header.ssrc)
        if highest is None:
            self._highest[header.ssrc] = header.sequence
            return
        ahead = sequence_distance(header.sequence, highest)
        self.missing.discard(header.sequence)
        if ahead <= 0:
            return
        self._highest[header.ssrc] = header.sequence
        missing = [(highest + step) & 0xFFFF for step in range(1, ahead)]
        if missing:
            self.missing.update(missing)
            if self.nacks:
                self.ask_again(missing)

    async def _shake_hands(self) -> None:
        ssl = self._ssl = SSL.Connection(self._certificate._create_ssl_context(self._profiles))
        if self._is_dtls_server:
            ssl.set_accept_state()
        else:
            ssl.set_connect_state()
        while True:
            try:
                ssl.do_handshake()
                done = True
            except SSL.WantReadError:
                done = False
            self._flush()
            if done:
                break
            try:
                async with asyncio.timeout(0.5):
                    ssl.bio_write(await self._dtls.get())
            except TimeoutError:
                ssl.DTLSv1_handle_timeout()
        self._make_sessions()

    def _flush(self) -> None:
        with suppress(SSL.Error):
            while True:
                self.send(self._ssl.bio_read(1500))

    def _make_sessions(self) -> None:
        self.srtp_profile = self._ssl.get_selected_srtp_profile().decode()
        profile = PROFILES[self.srtp_profile]
        if self._counts:
            self._count_only()
            return
        size = 2 * (profile.key_length + profile.salt_length)
        material = self._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", size)

        def session(index: int, kind: int) -> Session:
            key = profile.get_key_and_salt(material, index)
            policy = Policy(key=key, ssrc_type=kind, srtp_profile=profile.libsrtp_profile)
            policy.allow_repeat_tx = True
            policy.window_size = 8192
            return Session(policy)

        theirs, ours = (0, 1) if self._is_dtls_server else (1, 0)
        self._session = session(theirs, Policy.SSRC_ANY_INBOUND)
        self._sender = session(ours, Policy.SSRC_ANY_OUTBOUND)
        early, self._early = self._early, []
        for data in early:
            self._take(data)

    def _count_only(self) -> None:
        assert self._udp is not None
        program = ctypes.create_string_buffer(DROP_MEDIA)
        attached = struct.pack("HxxxxxxP", 4, ctypes.addressof(program))
        self._udp.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, attached)

    def _send_rtcp(self, packet: bytes) -> None:
        if self._sender is not None:
            self.send(self._sender.protect_rtcp(packet))

    async def _consent(self) -> None:
        while True:
            await asyncio.sleep(CONSENT_EVERY_S)
            self.check(use_candidate=False)

    async def _nag(self) -> None:
        """Ask again for what did not come: a packet sent again may be lost as well."""
        while True:
            await asyncio.sleep(NAG_EVERY_S)
            if self.missing and self.nacks:
                self.ask_again(sorted(self.missing)[:50])


def count_dropped(clients: list[RtcClient]) -> dict[int, int]:
    """Return by local port how many packets of media the kernel has counted."""
    ports = {client.port for client in clients}
    found = {}
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        fields = line.split()
        port = int(fields[1].split(":")[1], 16)
        if port in ports:
            found[port] = int(fields[-1])
    return found
