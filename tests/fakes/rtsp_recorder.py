"""A recorder's RTSP server on a real socket, in Python: it pauses, jumps and hurries, or does not.

It has one endless recording, in which at noon and so many seconds the clip's picture of that time
is shown. Beside tests/fakes/rtsp_camera.py, which is GStreamer's and does what that can.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from h5sup.formats.decoder_config import parse_avcc
from h5sup.formats.isobmff.fragment import SAMPLE_IS_NON_SYNC, parse_fragment
from h5sup.formats.rtp_payload import H264Payloader
from h5sup.formats.rtsp import Request, RtspReader, build_response
from tests.fakes.playback import Tape, read_tape

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
CLOCK_HZ = 90_000
NONCE = "3e1f5a"
REALM = "recorder"


class Hurry(Enum):
    """What a recorder makes of `Scale`."""

    IGNORES = "plays on, and says nothing of a scale"
    LIES = "grants it and plays on as before"
    REFUSES = "answers with 451"
    ORIGINAL = "sends faster, with the timestamps of before"
    COMPRESSED = "sends faster, with timestamps that pass as time does (RFC 2326 §12.34)"
    KEYS = "sends key pictures alone, with the timestamps of before"


@dataclass
class Ways:
    """Switches: how the recorder does what it is asked."""

    hurry: Hurry = Hurry.ORIGINAL
    pause: int = 200
    """With which status PAUSE is answered; 0: it pauses and says nothing."""
    unit: str = "clock"
    """In which it tells the Range; empty: not at all."""
    zone: timedelta = timedelta(hours=8)
    """That its clock is ahead of UTC."""
    jumps: bool = True
    """It goes where a Range says, else it plays on and says so."""
    from_key: bool = True
    """It begins with the key picture before, else with the eighth picture after."""
    is_mute: bool = False
    """After a jump it sends nothing."""
    session_s: int | None = None
    """After which it ends a session without a sign of life."""
    drifts_s: float = 0.0
    """By which timestamps are ahead after a pause."""
    basic: bool = False
    knows_relay: bool = True
    """It plays for more than ffmpeg alone."""


@dataclass
class Asked:
    """A request that came."""

    method: str
    headers: dict[str, str]
    connection: int


@dataclass
class RtspRecorder:
    """Use it in `async with`."""

    clip: Path
    user: str = "admin"
    password: str = "pass:@/ü"
    ways: Ways = field(default_factory=Ways)
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    refusals: int = 0
    """How many logins were wrong."""
    frames: int = 0
    """That were sent to it: what a receiver has to say."""
    port: int = 0

    @property
    def methods(self) -> list[str]:
        """Return what was asked, signs of life left out."""
        return [one.method for one in self.asked if one.method not in ("OPTIONS", "GET_PARAMETER")]

    def url(self, begin: datetime) -> str:
        """Return where the recording is had from a moment on, in the recorder's own time."""
        at = begin + self.ways.zone
        return f"rtsp://127.0.0.1:{self.port}/Streaming/tracks/101?starttime={at:%Y%m%dT%H%M%SZ}"

    async def __aenter__(self) -> Self:
        self._load(await asyncio.to_thread(read_tape, self.clip))
        self._viewers: set[_Viewer] = set()
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Viewer(self), "127.0.0.1", 0
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for viewer in list(self._viewers):
            viewer.hang_up()
        await self._server.wait_closed()

    @property
    def open_connections(self) -> int:
        """Return how many are connected."""
        return len(self._viewers)

    def hang_up(self) -> None:
        """Close all connections."""
        for viewer in list(self._viewers):
            viewer.hang_up()

    def _load(self, tape: Tape) -> None:
        track = tape.init.video
        assert track is not None
        config = parse_avcc(track.video_config)
        payloader = H264Payloader(config)
        self.sets = [b64encode(nal).decode() for nal in config.parameter_sets]
        self.pictures: list[tuple[list[bytes], bool]] = []
        ticks = 0
        for data in tape.fragments:
            run = parse_fragment(data, tape.init).video
            for sample in run.samples if run is not None else ():
                is_key = not sample.flags & SAMPLE_IS_NON_SYNC
                unit = data[sample.start : sample.start + sample.size]
                self.pictures.append((payloader.split(unit, is_key=is_key), is_key))
                ticks += sample.duration
        self.picture_s = ticks / track.timescale / len(self.pictures)

    def describe(self) -> bytes:
        """Return its SDP."""
        return "\r\n".join(
            [
                "v=0", "o=- 1 1 IN IP4 10.1.1.1", "s=-", "t=0 0", "a=control:*",
                "m=video 0 RTP/AVP 96", "a=control:trackID=1", "a=rtpmap:96 H264/90000",
                "a=fmtp:96 packetization-mode=1; sprop-parameter-sets=" + ",".join(self.sets), "",
            ]
        ).encode()  # fmt: skip

    def key_before(self, number: int) -> int:
        """Return the key picture to begin with."""
        while not self.pictures[number % len(self.pictures)][1]:
            number -= 1
        return number


class _Viewer(asyncio.Protocol):
    """One connection and its session."""

    def __init__(self, recorder: RtspRecorder) -> None:
        self._recorder = recorder
        self._reader = RtspReader()
        self._transport: asyncio.Transport | None = None
        self._begin_s = 0.0  # of its recording, after noon
        self._at = 0  # the picture to send next
        self._stamp = 1_000_000.0
        self._sequence = count(0)
        self._scale = 1.0
        self._sending: asyncio.Task[None] | None = None
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._end: asyncio.TimerHandle | None = None
        self._number = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._recorder.connections += 1
        self._number = self._recorder.connections
        self._recorder._viewers.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._recorder._viewers.discard(self)
        self._stop()
        if self._end is not None:
            self._end.cancel()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def hang_up(self) -> None:
        assert self._transport is not None
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        for found in self._reader.feed(data):
            if isinstance(found, bytes):
                self._recorder.frames += 1
            elif isinstance(found, Request):
                self._live()
                self._answer(found)

    def _live(self) -> None:
        if self._end is not None:
            self._end.cancel()
        if self._recorder.ways.session_s is not None:
            loop = asyncio.get_running_loop()
            self._end = loop.call_later(self._recorder.ways.session_s, self.hang_up)

    def _say(self, asked: Request, status: int, body: bytes = b"", /, **headers: str) -> None:
        assert self._transport is not None
        given = {"CSeq": str(asked.sequence)}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        self._transport.write(build_response(status, "As asked", given, body))

    def _answer(self, asked: Request) -> None:
        recorder = self._recorder
        recorder.asked.append(Asked(asked.method, dict(asked.headers), self._number))
        if asked.method == "OPTIONS":
            self._say(asked, 200, Public="OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, GET_PARAMETER")
            return
        if not self._is_welcome(asked):
            return
        if asked.method == "DESCRIBE":
            found = re.search(r"starttime=(\d{8}T\d{6})Z", asked.url)
            assert found is not None
            begin = datetime.strptime(found[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
            self._begin_s = (begin - recorder.ways.zone - NOON).total_seconds()
            self._say(asked, 200, recorder.describe(), Content_Type="application/sdp")
        elif asked.method == "SETUP":
            lasts = recorder.ways.session_s
            timeout = "" if lasts is None else f";timeout={lasts}"
            transport = "RTP/AVP/TCP;unicast;interleaved=4-5"
            self._say(asked, 200, Session=f"77{timeout}", Transport=transport)
        elif asked.method == "PLAY":
            is_ours = asked.find("user-agent") == "h5sup"
            if is_ours and not recorder.ways.knows_relay:
                self._say(asked, 455)
            else:
                self._play(asked)
        elif asked.method == "PAUSE":
            if recorder.ways.pause in (0, 200):
                self._stop()
                self._stamp += recorder.ways.drifts_s * CLOCK_HZ
            if recorder.ways.pause:
                self._say(asked, recorder.ways.pause, Session="77")
        else:
            self._say(asked, 200, Session="77")

    def _is_welcome(self, asked: Request) -> bool:
        recorder = self._recorder
        told = asked.find("authorization") or ""
        if recorder.ways.basic:
            login = b64encode(f"{recorder.user}:{recorder.password}".encode()).decode()
            is_right, demand = told == f"Basic {login}", f'Basic realm="{REALM}"'
        else:

            def digest(text: str) -> str:
                return hashlib.md5(text.encode()).hexdigest()

            secret = digest(f"{recorder.user}:{REALM}:{recorder.password}")
            wanted = digest(f"{secret}:{NONCE}:{digest(f'{asked.method}:{asked.url}')}")
            is_right = f'response="{wanted}"' in told
            demand = f'Digest realm="{REALM}", nonce="{NONCE}"'
        if not is_right:
            recorder.refusals += bool(told)
            self._say(asked, 401, WWW_Authenticate=demand)
        return is_right

    def _play(self, asked: Request) -> None:
        recorder, ways = self._recorder, self._recorder.ways
        where = asked.find("range")
        answer: dict[str, str] = {"Session": "77"}
        scale = float(asked.find("scale") or "1")
        if scale != 1.0 and ways.hurry is Hurry.REFUSES:
            self._say(asked, 451)
            return
        is_first = not any(
            one.method == "PLAY" for one in recorder.asked[:-1] if one.connection == self._number
        )
        if where is not None:
            at_s = self._read_range(where)
            if is_first or ways.jumps:
                number = int(at_s / recorder.picture_s + 1e-6)
                self._at = recorder.key_before(number) if ways.from_key else number + 8
                self._stamp += 12345  # timestamps jump with the place
                lead = (number - self._at) * recorder.picture_s * CLOCK_HZ
                info = f"url={asked.url}/trackID=1;seq=1;rtptime={int(self._stamp + lead)}"
                answer["RTP_Info"] = info
            told_s = at_s if is_first or ways.jumps else self._at * recorder.picture_s
            if ways.unit == "npt":
                answer["Range"] = f"npt={told_s - self._begin_s:.3f}-"
            elif ways.unit == "clock":
                at = NOON + ways.zone + timedelta(seconds=told_s)
                answer["Range"] = f"clock={at:%Y%m%dT%H%M%S.%fZ-}"
        if scale != 1.0 and ways.hurry is not Hurry.IGNORES:
            answer["Scale"] = f"{scale:.1f}"
        self._scale = 1.0 if ways.hurry in (Hurry.IGNORES, Hurry.LIES) else scale
        self._say(asked, 200, **answer)
        self._stop()
        if is_first or not ways.is_mute:
            self._sending = asyncio.create_task(self._send())

    def _read_range(self, where: str) -> float:
        unit, _, value = where.partition("=")
        begin = value.rstrip("-")
        if unit == "npt":
            return self._begin_s + float(begin)
        at = datetime.strptime(begin[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        return (at - self._recorder.ways.zone - NOON).total_seconds()

    def _stop(self) -> None:
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.cancel()

    async def _send(self) -> None:
        """Send pictures in time."""
        loop = asyncio.get_running_loop()
        recorder, scale = self._recorder, self._scale
        is_compressed = scale != 1.0 and recorder.ways.hurry is Hurry.COMPRESSED
        keys_alone = scale != 1.0 and recorder.ways.hurry is Hurry.KEYS
        step = recorder.picture_s * CLOCK_HZ / (scale if is_compressed else 1.0)
        due = loop.time()
        with suppress(asyncio.CancelledError):
            while True:
                payloads, is_key = recorder.pictures[self._at % len(recorder.pictures)]
                if is_key or not keys_alone:
                    assert self._transport is not None
                    self._transport.write(b"".join(self._packets(payloads)))
                    await self._may_write.wait()
                self._at += 1
                self._stamp += step
                due = max(due + recorder.picture_s / scale, loop.time() - 1.0)
                await asyncio.sleep(max(0.0, due - loop.time()))

    def _packets(self, payloads: list[bytes]) -> Iterator[bytes]:
        for number, payload in enumerate(payloads):
            marker = 0x80 if number == len(payloads) - 1 else 0
            head = bytes([0x80, 96 | marker]) + (next(self._sequence) & 0xFFFF).to_bytes(2)
            head += (int(self._stamp) & 0xFFFFFFFF).to_bytes(4) + b"\x00\x00\x00\x07"
            packet = head + payload
            yield b"$\x04" + len(packet).to_bytes(2) + packet
