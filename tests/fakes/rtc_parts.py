"""What stands around the WebRTC output: an ffmpeg's packets, a browser's keys, a path to it."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import pairwise

from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi, lib

from h5sup.base.errors import NotFoundError, UnavailableError
from h5sup.bus.channel import Channel
from h5sup.bus.packet_ring import CLOCKS_HZ, Codec, PacketRing
from h5sup.formats.rtcp import is_rtcp
from h5sup.formats.rtp import (
    MARKER_BIT,
    SEQUENCE_MASK,
    TIMESTAMP_MASK,
    RtpHeader,
    build_header,
    parse_header,
    sequence_distance,
)
from h5sup.formats.sdp.model import Fingerprint
from h5sup.formats.stun import StunMessage, parse_message
from h5sup.outputs.rtc.burst import Burst
from h5sup.outputs.rtc.keys import Keys
from h5sup.outputs.rtc.outgoing import Outgoing
from tests.fakes.mp4 import Camera

AES_256_GCM = "SRTP_AEAD_AES_256_GCM"
AES_128_SHA1_80 = "SRTP_AES128_CM_SHA1_80"
PROFILES = {
    AES_256_GCM: (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 44),
    AES_128_SHA1_80: (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30),
}
VIDEO_PT, RTX_PT = 102, 103
VIDEO_SSRC, RTX_SSRC = 0x11223344, 0x11223345


class Feed:
    """A ring, and the ffmpeg before it: each call of `picture()` is one access unit."""

    def __init__(
        self, codec: Codec = "h264", *, limit_bytes: int = 8_000_000, fps: float = 25
    ) -> None:
        self.ring = PacketRing(limit_bytes)
        self.codec: Codec = codec
        self.pictures = 0
        self._step = int(CLOCKS_HZ[codec] / fps)
        self._header = RtpHeader(payload_type=96, sequence=65_500, timestamp=2**32 - 9000, ssrc=7)
        self.ring.begin(codec, self)

    def set_watched(self, is_watched: bool) -> None:
        """Learn what nothing depends on here."""

    def picture(self, *, key: bool = False, packets: int = 2, size: int = 100) -> list[bytes]:
        """Send one picture; return its packets as the ring numbers them."""
        return self.part(key=key, packets=packets, size=size, is_last=True)

    def part(
        self, *, key: bool = False, packets: int = 1, size: int = 100, is_last: bool = False
    ) -> list[bytes]:
        """Send packets of a picture, to be followed by more of the same unless it is the last."""
        sent = []
        for number in range(1, packets + 1):
            header = replace(self._header, is_marked=is_last and number == packets)
            start = 0x80 if number == 1 else 0
            head = bytes([0x7C, start | (5 if key else 1)])  # FU-A
            body = self.pictures.to_bytes(4) + number.to_bytes(2)
            sent.append((build_header(header) + head + body).ljust(size, b"\x55"))
            sequence = self._header.sequence + 1 & SEQUENCE_MASK
            self._header = replace(self._header, sequence=sequence)
        if is_last:
            self.pictures += 1
            timestamp = self._header.timestamp + self._step & TIMESTAMP_MASK
            self._header = replace(self._header, timestamp=timestamp)
        before = self.ring.last_sequence
        self.ring.extend(sent, asyncio.get_running_loop().time())
        count = sequence_distance(self.ring.last_sequence, before)
        found = [self.ring.find(before + one & SEQUENCE_MASK) for one in range(1, count + 1)]
        return [packet for packet in found if packet is not None]

    def gop(self, count: int = 25, *, packets: int = 2, size: int = 100) -> list[bytes]:
        """Send pictures of which the first is a key frame."""
        return [
            packet
            for index in range(count)
            for packet in self.picture(key=not index, packets=packets, size=size)
        ]


class Browser:
    """The other end of the encryption."""

    def __init__(self, profile: str = AES_256_GCM) -> None:
        libsrtp_profile, length = PROFILES[profile]
        ours, theirs = secrets.token_bytes(length), secrets.token_bytes(length)
        self.keys = Keys(send=ours, receive=theirs, srtp_profile=libsrtp_profile, name=profile)
        """The server's."""
        self.stranger = Keys(send=theirs, receive=ours, srtp_profile=libsrtp_profile, name=profile)
        inbound = Policy(key=ours, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=libsrtp_profile)
        inbound.window_size = 1024
        self._inbound = Session(inbound)
        self._outbound = Session(
            Policy(key=theirs, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=libsrtp_profile)
        )

    def decrypt(self, packet: bytes) -> bytes:
        """Return RTP; what is no such packet, or comes twice, fails the test."""
        room = ffi.new("char[]", packet)  # pylibsrtp's own way has room for 1500 bytes
        length = ffi.new("int *", len(packet))
        status = lib.srtp_unprotect(self._inbound._srtp[0], room, length)
        assert status == 0, f"libsrtp says {status}"
        return bytes(ffi.buffer(room, length[0]))

    def decrypt_rtcp(self, packet: bytes) -> bytes:
        """Return RTCP."""
        clear: bytes = self._inbound.unprotect_rtcp(packet)
        return clear

    def say(self, rtcp: bytes) -> bytes:
        """Return SRTCP for the server."""
        protected: bytes = self._outbound.protect_rtcp(rtcp)
        return protected


class ClearPath:
    """A path whose far end decrypts all it gets and keeps it."""

    def __init__(self, browser: Browser, *, is_udp: bool = True, port: int = 5000) -> None:
        self.browser = browser
        self.is_udp = is_udp
        self.remote = ("127.0.0.1", port)
        self.is_full = False
        self.packets: list[bytes] = []
        self.rtcp: list[bytes] = []
        self.other: list[bytes] = []
        """What is neither RTP nor RTCP."""

    def send(self, data: bytes) -> None:
        """Take one datagram."""
        if is_rtcp(data):
            self.rtcp.append(self.browser.decrypt_rtcp(data))
        elif data[0] & 0xC0 == 0x80:
            self.packets.append(self.browser.decrypt(data))
        else:
            self.other.append(data)

    def send_burst(self, burst: Burst) -> bool:
        """Take a burst, unless there is no room."""
        if self.is_full:
            return False
        for piece in burst.pieces:
            self.send(bytes(piece))
        return True


class UdpClient:
    """A browser's socket."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        self.socket = socket.socket(
            socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM
        )
        self.socket.setblocking(False)
        self.socket.connect((address, port))

    @property
    def address(self) -> tuple[str, int]:
        """Return where it is."""
        host, port = self.socket.getsockname()[:2]
        return host, port

    def send(self, data: bytes) -> None:
        """Send one datagram."""
        self.socket.send(data)

    async def receive(self) -> bytes:
        """Return the next datagram."""
        async with asyncio.timeout(5):
            return await asyncio.get_running_loop().sock_recv(self.socket, 4096)

    async def ask(self, data: bytes) -> StunMessage:
        """Return the answer to a check."""
        self.send(data)
        return parse_message(await self.receive())

    def heard_nothing(self) -> bool:
        """Return whether no datagram has come."""
        try:
            self.socket.recv(4096)
        except BlockingIOError:
            return True
        return False


class FakeDtls:
    """A handshake of one datagram each way, in place of aiortc's."""

    HELLO, FINISHED, REFUSED, GOODBYE = b"\x16hello", b"\x16finished", b"\x16no", b"\x15bye"

    def __init__(self, send: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        self.browser = Browser()
        """Who decrypts what is sent after it."""
        self.role = ""
        self.fingerprints: list[Fingerprint] = []
        self.is_closed = False
        self._send = send
        self._on_close = on_close
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def feed(self, data: bytes) -> None:
        """Take a datagram."""
        if data == self.FINISHED:
            self._done.set_result(None)
        elif data == self.REFUSED:
            self._done.set_exception(UnavailableError("the encryption could not be agreed on"))
        elif data == self.GOODBYE:
            self._on_close()

    async def handshake(self, role: str, fingerprints: Iterable[Fingerprint]) -> Keys:
        """Greet, and wait for the answer."""
        self.role, self.fingerprints = role, list(fingerprints)
        self._send(self.HELLO)
        await self._done
        return self.browser.keys

    async def close(self) -> None:
        """Say goodbye."""
        self._send(self.GOODBYE)
        self.is_closed = True


class FakeCertificate:
    """Opens a FakeDtls for each viewer and keeps it."""

    fingerprint = Fingerprint("sha-256", ":".join(["AB"] * 32))

    def __init__(self) -> None:
        self.opened: list[FakeDtls] = []

    def open(self, send: Callable[[bytes], None], on_close: Callable[[], None]) -> FakeDtls:
        """Return the handshake with one viewer."""
        self.opened.append(FakeDtls(send, on_close))
        return self.opened[-1]


class Timer:
    """One thing to do later, or not."""

    def __init__(self, when_s: float, work: Callable[[], object]) -> None:
        self.when_s = when_s
        self.work = work
        self.is_cancelled = False

    def cancel(self) -> None:
        """Leave it."""
        self.is_cancelled = True


class Clock:
    """Stands for a loop where only its time is asked for."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self._timers: list[Timer] = []

    def time(self) -> float:
        """Return the time."""
        return self.now_s

    def call_later(self, delay_s: float, work: Callable[..., object], *given: object) -> Timer:
        """Do something when so much time has passed."""
        self._timers.append(Timer(self.now_s + delay_s, partial(work, *given)))
        return self._timers[-1]

    def advance(self, seconds: float) -> None:
        """Let time pass, and what is due happen."""
        self.now_s += seconds
        due = [one for one in self._timers if one.when_s <= self.now_s]
        self._timers = [one for one in self._timers if one.when_s > self.now_s]
        for one in due:
            if not one.is_cancelled:
                one.work()


class FakeLeases:
    """Holds channels by token and profile; those with H.265 only for who takes it."""

    def __init__(self, channel: Channel, *, h264: Channel | None = None) -> None:
        self.channel = channel
        self.h264 = h264 or channel
        self.opus_ring = PacketRing(1_000_000)
        self.held: set[FakeLease] = set()
        self.asked: list[tuple[str, str, bool, bool]] = []

    def lease(
        self, token: str, *, profile: str = "main", hevc: bool = False, b_frames: bool = True
    ) -> FakeLease:
        """Hold a channel."""
        self.asked.append((token, profile, hevc, b_frames))
        if token != self.channel.token:
            raise NotFoundError(f"there is no source {token!r}")
        lease = FakeLease(self, self.channel if hevc else self.h264)
        self.held.add(lease)
        return lease


class FakeLease:
    """One of them."""

    def __init__(self, leases: FakeLeases, channel: Channel) -> None:
        self.channel = channel
        self.has_opus = False
        self._leases = leases

    async def ready(self, timeout_s: float) -> Channel:
        """Return the channel once it has an init segment."""
        await self.channel.wait_ready(timeout_s)
        return self.channel

    def opus(self) -> PacketRing:
        """Return the ring of Opus."""
        self.has_opus = True
        return self._leases.opus_ring

    def release(self) -> None:
        """Let go."""
        self._leases.held.discard(self)


def make_channel(feed: Feed, *, codec: str = "", audio: bool = True) -> Channel:
    """Return a channel that runs, with this feed's packets."""
    channel = Channel("front", "main", "copy", gop_bytes=1_000_000, ring=feed.ring)
    init = Camera(audio=audio).init
    assert init.video is not None
    if codec:
        init = replace(init, video=replace(init.video, codec=codec))
    channel.begin(init, "")
    channel.set_state("RUNNING", "")
    return channel


def make_outgoing(
    ring: PacketRing, *, payload_type: int = VIDEO_PT, has_rtx: bool = True
) -> Outgoing:
    """Return a track of video to one viewer."""
    rtx = (RTX_PT, RTX_SSRC) if has_rtx else None
    return Outgoing(ring, payload_type=payload_type, ssrc=VIDEO_SSRC, rtx=rtx)


def free_port() -> int:
    """Return a port that neither UDP nor TCP uses on any address now."""
    for _ in range(100):
        with (
            socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp,
            socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as tcp,
        ):
            udp.bind(("::", 0))
            port: int = udp.getsockname()[1]
            with suppress(OSError):
                tcp.bind(("::", port))
                return port
    raise AssertionError("no port is free")


def numbers(packets: Sequence[bytes]) -> list[int]:
    """Return the sequence numbers."""
    return [parse_header(packet).sequence for packet in packets]


def stamps(packets: Sequence[bytes]) -> list[int]:
    """Return the timestamps."""
    return [parse_header(packet).timestamp for packet in packets]


def payloads(packets: Sequence[bytes]) -> list[bytes]:
    """Return what follows the headers."""
    return [packet[12:] for packet in packets]


def assert_contiguous(packets: Sequence[bytes]) -> None:
    """No number is left out and none comes twice."""
    assert packets
    found = numbers(packets)
    assert {sequence_distance(after, before) for before, after in pairwise(found)} <= {1}


def is_marked(packet: bytes) -> bool:
    """Return whether a packet is the last of its picture."""
    return bool(packet[1] & MARKER_BIT)
