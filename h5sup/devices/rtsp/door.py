"""Where an ffmpeg is let in: an RTSP server on loopback, for one client that knows its path."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from h5sup.base.errors import MediaFormatError
from h5sup.formats.presentation import PresentedTrack, build_presentation
from h5sup.formats.rtsp import Request, RtspReader, build_response

LOOPBACK = "127.0.0.1"
MAX_STRANGERS = 4
STRANGER_S = 5.0  # until it has named the path
BUFFER_BYTES = 256 * 1024  # beyond it the device is held up
SESSION = "h5sup"
METHODS = ("OPTIONS", "DESCRIBE", "SETUP", "PLAY", "GET_PARAMETER", "TEARDOWN")


@dataclass(frozen=True, slots=True)
class OfferedTrack:
    """A track, on which channels it comes, and the timestamp at which the Range begins."""

    track: PresentedTrack
    channels: tuple[int, int]
    rtptime: int | None = None


@dataclass(slots=True)
class Offer:
    """What is shown to one ffmpeg."""

    tracks: Sequence[OfferedTrack]
    has_begun: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    """Done once the device was told to play, so that the answer to PLAY can be given."""


class Door:
    """Listens for one ffmpeg and serves it. Owned by a Relay: `open()` once, `close()` last.

    It listens until the ffmpeg has come, and no longer.
    """

    def __init__(
        self,
        offer: Offer,
        *,
        on_play: Callable[[], None],
        on_frames: Callable[[bytes], None],
        on_full: Callable[[bool], None],
    ) -> None:
        self.offer = offer
        self._on_play = on_play
        self._on_frames = on_frames
        self._on_full = on_full
        self._path = secrets.token_urlsafe(24)
        self._server: asyncio.Server | None = None
        self._strangers: set[_Client] = set()
        self._client: _Client | None = None
        self.has_played = False

    async def open(self) -> str:
        """Listen; return the address."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Client(self), LOOPBACK, 0)
        port = self._server.sockets[0].getsockname()[1]
        return f"rtsp://{LOOPBACK}:{port}/{self._path}"

    @property
    def waiting_bytes(self) -> int:
        """Return how much the ffmpeg has not taken yet."""
        return 0 if self._client is None else self._client.waiting_bytes

    def send(self, frames: bytes) -> None:
        """Hand frames to the ffmpeg, which has asked for them."""
        if self._client is not None:
            self._client.write(frames)

    def hang_up(self) -> None:
        """Close the connection once all that was sent is taken."""
        self._stop_listening()
        if self._client is not None:
            self._client.hang_up()

    def close(self) -> None:
        """Close all at once."""
        self._stop_listening()
        for client in (*self._strangers, self._client):
            if client is not None:
                client.abort()

    def _stop_listening(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    # its clients'

    def admit(self, client: _Client) -> bool:
        """Return whether one more may ask."""
        if self._server is None or len(self._strangers) >= MAX_STRANGERS:
            return False
        self._strangers.add(client)
        return True

    def forget(self, client: _Client) -> None:
        """Note that one has gone."""
        self._strangers.discard(client)

    def recognise(self, client: _Client, url: str) -> bool:
        """Return whether a client is the ffmpeg that is expected."""
        path = url.partition("://")[2].partition("/")[2].partition("/")[0]
        if not hmac.compare_digest(path.encode(), self._path.encode()):
            return False
        if self._client is None:
            self._client = client
            self._strangers.discard(client)
            self._stop_listening()
        return self._client is client

    def play(self) -> None:
        """Note that the ffmpeg wants media."""
        self.has_played = True
        self._on_play()

    def note_full(self, *, is_full: bool) -> None:
        """Note that the ffmpeg takes no more, or does again."""
        self._on_full(is_full)

    def take_frames(self, frames: bytes) -> None:
        """Hand on what the ffmpeg has to tell the device: RTCP."""
        self._on_frames(frames)


class _Client(asyncio.Protocol):
    """A connection from an ffmpeg, or from whoever."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._transport: asyncio.Transport | None = None
        self._reader = RtspReader()
        self._is_known = False
        self._timer: asyncio.TimerHandle | None = None
        self._playing: Request | None = None

    @property
    def waiting_bytes(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def hang_up(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not self._door.admit(self):
            transport.abort()
            return
        transport.set_write_buffer_limits(high=BUFFER_BYTES)
        self._timer = asyncio.get_running_loop().call_later(STRANGER_S, transport.abort)

    def data_received(self, data: bytes) -> None:
        try:
            for found in self._reader.feed(data):
                if isinstance(found, Request):
                    self._answer(found)
                elif isinstance(found, bytes) and self._is_known:
                    self._door.take_frames(found)
                elif isinstance(found, bytes):
                    self.abort()
        except MediaFormatError:
            self.abort()

    def pause_writing(self) -> None:
        self._door.note_full(is_full=True)

    def resume_writing(self) -> None:
        self._door.note_full(is_full=False)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._timer is not None:
            self._timer.cancel()
        self._door.forget(self)

    def _answer(self, asked: Request) -> None:
        if not self._is_known:
            self._is_known = self._door.recognise(self, asked.url)
            if not self._is_known:
                self._say(asked, 404, "Not Found", {})
                self.hang_up()
                return
            if self._timer is not None:
                self._timer.cancel()
        if asked.method == "DESCRIBE":
            sdp = build_presentation([one.track for one in self._door.offer.tracks])
            self._say(asked, 200, "OK", {"Content-Type": "application/sdp"}, sdp)
        elif asked.method == "SETUP":
            self._set_up(asked)
        elif asked.method == "PLAY":
            self._playing = asked
            self._door.offer.has_begun.add_done_callback(self._begin)
        elif asked.method in METHODS:
            self._say(asked, 200, "OK", {"Public": ", ".join(METHODS)})
            if asked.method == "TEARDOWN":
                self.hang_up()
        else:
            self._say(asked, 501, "Not Implemented", {})

    def _set_up(self, asked: Request) -> None:
        number = asked.url.rpartition("/track")[2]
        tracks = self._door.offer.tracks
        if not (number.isascii() and number.isdecimal()) or int(number[:3]) >= len(tracks):
            self._say(asked, 404, "Not Found", {})
            return
        first, second = tracks[int(number[:3])].channels
        transport = f"RTP/AVP/TCP;unicast;interleaved={first}-{second}"
        self._say(asked, 200, "OK", {"Transport": transport, "Session": SESSION})

    def _begin(self, has_begun: asyncio.Future[None]) -> None:
        """Answer PLAY, now that the device plays."""
        asked, self._playing = self._playing, None
        if asked is None or has_begun.cancelled() or self._transport is None:
            return
        info = [
            f"url={asked.url.rstrip('/')}/track{number};rtptime={one.rtptime}"
            for number, one in enumerate(self._door.offer.tracks)
            if one.rtptime is not None
        ]
        self._say(asked, 200, "OK", {"RTP-Info": ",".join(info)} if info else {})
        self._door.play()

    def _say(
        self, asked: Request, status: int, reason: str, headers: dict[str, str], body: bytes = b""
    ) -> None:
        given = {"CSeq": str(asked.sequence or 0), "Session": SESSION, **headers}
        self.write(build_response(status, reason, given, body))
