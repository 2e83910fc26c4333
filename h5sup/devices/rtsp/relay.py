"""What stands between a recorder and the ffmpegs that read what it plays, one after the other.

ffmpeg can neither pause nor jump nor ask for more speed, and doesn't tell where the recorder
began. So the relay holds the connection to the recorder and speaks RTSP with it (RFC 2326); an
ffmpeg reads from the relay, over loopback, and never sees the login. Media passes as it came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from h5sup.base.errors import Failure, MediaFormatError, SourceError
from h5sup.devices.model import MediaAddress
from h5sup.devices.rtsp.connection import ANSWER_S, RtspConnection
from h5sup.devices.rtsp.door import Door, Offer, OfferedTrack
from h5sup.devices.rtsp.keys import choose_key_finder
from h5sup.devices.rtsp.showing import BELIEVED_US, SECOND_US, Calendar, Showing, match_times
from h5sup.devices.rtsp.tempo import LONGEST_LOOK_S, Passing, Tempo, stretch
from h5sup.formats.presentation import (
    Presentation,
    PresentedTrack,
    join_control,
    parse_presentation,
)
from h5sup.formats.rtp import RTP_HEADER_LENGTH, timestamp_distance
from h5sup.formats.rtsp import (
    Response,
    list_frames,
    parse_interleaved,
    parse_range,
    parse_rtp_info,
    parse_scale,
)

HELD_BYTES = 512 * 1024  # until the ffmpeg asks; beyond it the device is held up
STEERED_BYTES = 16 * 1024 * 1024  # that may come before the answer to PAUSE
ALIVE_S = 25.0  # RFC 2326 §12.37: a session lasts 60 s unless its server says otherwise
LEAST_ALIVE_S = 2.0
JUMP_US = 3 * SECOND_US // 2  # timestamps that go on otherwise after a pause don't go on
RESUMED_S = 2.0  # until there is media again after a pause
SPROP = ("sprop-parameter-sets=", "sprop-sps=")
NO_TCP = "the device gives no media on its own connection"


@dataclass(frozen=True, slots=True)
class _Track:
    """A track that was set up."""

    told: PresentedTrack
    url: str
    channels: tuple[int, int]


class Relay:
    """Owned by who plays. One call at a time: `open()` or `go_to()` for each ffmpeg.

    Every method but close() raises SourceError. After one has raised, open() begins anew.
    """

    def __init__(self, *, answer_s: float = ANSWER_S) -> None:
        self._answer_s = answer_s
        self._connection: RtspConnection | None = None
        self._tracks: list[_Track] = []
        self._url = ""
        self._has_parameters = False  # it knows GET_PARAMETER
        self._alive: asyncio.TimerHandle | None = None
        self._door: Door | None = None
        self._showing: Showing | None = None
        self._calendar = Calendar()
        self._judging: asyncio.TimerHandle | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._is_holding = True
        self._is_dropping = False
        self._is_steering = False
        self._is_full = False
        self._first: asyncio.Future[int] | None = None  # timestamp of the first picture to come
        self._key: int | None = None  # timestamp of its first key picture
        self._rtptime: int | None = None  # that of its Range
        self._has_begun = False  # the answer to PLAY has come
        self._begins_key: Callable[[bytes], bool] = lambda _: True
        self._passing = Passing()  # of the pictures of this showing
        self._spacing = 0.0  # of pictures at scale 1
        self._tempo: Tempo | None = None  # of its hurry, once that was seen
        self.is_paused = False

    @property
    def can_go_to(self) -> bool:
        """Return whether go_to() is worth trying: the device has told how it counts time."""
        is_open = self._connection is not None and self._connection.is_open
        return is_open and self._calendar.is_known

    async def open(self, address: MediaAddress, at_us: int, scale: float = 1.0) -> Showing:
        """Have what is at an address played, which begins at a moment, for an ffmpeg to come."""
        at_us -= at_us % SECOND_US  # addresses of recorders know whole seconds
        await self.close()
        connection = self._connection = RtspConnection(
            address,
            on_media=self._take,
            on_lost=lambda: self._note_lost(connection),
            answer_s=self._answer_s,
        )
        await connection.open()
        self._url = address.url
        public = await connection.ask("OPTIONS", self._url)
        self._has_parameters = "GET_PARAMETER" in (public.find("public") or "").upper()
        described = await self._describe(connection)
        wanted = [described.find("video"), described.find("audio")]
        self._tracks.clear()
        for told in wanted:
            if told is not None:
                self._tracks.append(await self._set_up(connection, told, len(self._tracks)))
        self._keep_alive()
        self._is_dropping = False
        showing = await self._show(at_us, scale)
        answer = await self._play(scale, "npt=0.000-")
        where = parse_range(answer.find("range"))
        self._calendar.learn(at_us, where)
        showing.range_us = self._calendar.find(at_us, where)
        self._begin(showing, answer)
        return showing

    async def go_to(self, at_us: int, scale: float = 1.0) -> Showing:
        """Have a moment played in the same session, for another ffmpeg to come.

        Raises SourceError also where the device does not confirm that it went there.
        """
        assert self._connection is not None
        self._close_door()
        self._is_dropping = True
        if not self.is_paused:
            await self._steered("PAUSE")
        self.is_paused = False
        self._is_dropping = False
        showing = await self._show(at_us, scale)
        answer = await self._play(scale, self._calendar.build_range(at_us))
        showing.range_us = self._calendar.find(at_us, parse_range(answer.find("range")))
        if showing.range_us is None:
            raise SourceError(Failure.NOT_MEDIA, "the device does not say whether it jumped")
        self._begin(showing, answer)
        return showing

    async def pause(self) -> None:
        """Have the device send nothing; what it has sent may still be taken."""
        if not self.is_paused:
            await self._steered("PAUSE")
            self.is_paused = True

    async def resume(self) -> None:
        """Go on after pause(), with the picture that comes next."""
        assert self._showing is not None
        scale = self._showing.scale
        before = self._passing.last
        self._first = asyncio.get_running_loop().create_future()
        self._is_holding = True
        headers = {} if scale == 1.0 else {"Scale": f"{scale:g}"}
        await self._steered("PLAY", headers)
        self.is_paused = False
        try:
            async with asyncio.timeout(RESUMED_S):
                first = await self._first
        except TimeoutError:
            raise SourceError(Failure.STALLED, "nothing comes after a pause") from None
        jump_us = abs(timestamp_distance(first, before)) * SECOND_US // self._clock_hz
        if jump_us > JUMP_US * scale:
            raise SourceError(Failure.NOT_MEDIA, "the device does not go on where it was paused")
        self._flush()

    async def close(self) -> None:
        """Let go of the device and of the ffmpeg."""
        if self._alive is not None:
            self._alive.cancel()
            self._alive = None
        self._close_door()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.tell("TEARDOWN", self._url)
            connection.close()
        self._calendar = Calendar()
        self.is_paused = False

    # the device

    async def _describe(self, connection: RtspConnection) -> Presentation:
        answer = await connection.ask("DESCRIBE", self._url, {"Accept": "application/sdp"})
        if not answer.is_ok:
            raise _lacking("DESCRIBE", answer)
        try:
            described = parse_presentation(answer.body)
        except MediaFormatError as error:
            raise SourceError(Failure.NOT_MEDIA, str(error)) from error
        video = described.find("video")
        if video is None or not video.clock_hz:
            raise SourceError(Failure.NO_VIDEO, "the device describes no pictures")
        self._begins_key = choose_key_finder(video)
        base = answer.find("content-base") or answer.find("content-location") or ""
        if base.lower().startswith("rtsp://"):
            self._url = base
        if described.control.lower().startswith("rtsp://"):
            self._url = described.control
        return described

    async def _set_up(
        self, connection: RtspConnection, told: PresentedTrack, number: int
    ) -> _Track:
        url = join_control(self._url, told.control)
        transport = f"RTP/AVP/TCP;unicast;interleaved={2 * number}-{2 * number + 1}"
        answer = await connection.ask("SETUP", url, {"Transport": transport})
        if not answer.is_ok:
            raise _lacking("SETUP", answer)
        channels = parse_interleaved(answer.find("transport") or "")
        if channels is None or any(channels[0] == one.channels[0] for one in self._tracks):
            raise SourceError(Failure.NOT_MEDIA, NO_TCP)
        return _Track(told, url, channels)

    async def _play(self, scale: float, where: str) -> Response:
        """Have it play; a Scale that it refuses is left out."""
        answer = None
        if scale != 1.0:
            answer = await self._ask("PLAY", {"Range": where, "Scale": f"{scale:g}"})
        if answer is None or not answer.is_ok:
            answer = await self._ask("PLAY", {"Range": where})
        if not answer.is_ok:
            raise _lacking("PLAY", answer)
        return answer

    async def _steered(self, method: str, headers: dict[str, str] | None = None) -> None:
        """Have it do something, though the ffmpeg may take nothing meanwhile."""
        self._is_steering = True
        try:
            self._balance()
            answer = await self._ask(method, headers or {})
        finally:
            self._is_steering = False
            self._balance()
        if not answer.is_ok:
            raise _lacking(method, answer)

    async def _ask(self, method: str, headers: dict[str, str]) -> Response:
        connection = self._connection
        if connection is None:
            raise SourceError(Failure.CLOSED, "the connection to the device is closed")
        return await connection.ask(method, self._url, headers)

    def _keep_alive(self) -> None:
        """Give signs of life from now on."""
        connection = self._connection
        if connection is None or not connection.is_open:
            return
        lasts_s = connection.session_s
        pause_s = ALIVE_S if lasts_s is None else max(LEAST_ALIVE_S, min(ALIVE_S, lasts_s / 2))
        if self._alive is not None:
            connection.tell("GET_PARAMETER" if self._has_parameters else "OPTIONS", self._url)
        self._alive = asyncio.get_running_loop().call_later(pause_s, self._keep_alive)

    def _note_lost(self, connection: RtspConnection) -> None:
        """Tell the ffmpeg that there is no more."""
        if connection is not self._connection:
            return
        if self._first is not None and not self._first.done():
            self._first.set_exception(SourceError(Failure.CLOSED, "the device hung up"))
            self._first.exception()  # perhaps nobody waits
        if self._door is not None and not self._is_holding:
            self._door.hang_up()

    # what it says

    def _begin(self, showing: Showing, answer: Response) -> None:
        """Let the ffmpeg have what comes from now on."""
        showing.scale = parse_scale(answer.find("scale"))
        showing.tempo = Tempo.ORIGINAL if showing.scale == 1.0 else self._tempo
        assert self._door is not None
        offer = self._door.offer
        told = parse_rtp_info(answer.find("rtp-info"))
        times = match_times(told, [one.url for one in self._tracks])
        offer.tracks = [
            OfferedTrack(one.track, one.channels, times.get(number))
            for number, one in enumerate(offer.tracks)
        ]
        self._rtptime = times.get(0)
        self._has_begun = True
        self._note_lead()
        offer.has_begun.set_result(None)
        if showing.tempo is None:
            loop = asyncio.get_running_loop()
            self._judging = loop.call_later(LONGEST_LOOK_S, self._judge, Tempo.ORIGINAL)

    def _note_lead(self) -> None:
        """Note how far its first key picture is from the Range, once both are known."""
        if self._showing is None or self._key is None or not self._has_begun:
            return
        since = self._passing.first if self._rtptime is None else self._rtptime
        lead_us = timestamp_distance(self._key, since) * SECOND_US // self._clock_hz
        if abs(lead_us) <= BELIEVED_US:
            self._showing.lead_us = lead_us

    @property
    def _clock_hz(self) -> int:
        return self._tracks[0].told.clock_hz

    # the ffmpeg

    async def _show(self, at_us: int, scale: float) -> Showing:
        """Open the door for an ffmpeg, at another scale than 1 for pictures alone."""
        self._close_door()
        self._held, self._held_bytes = [], 0
        self._is_holding, self._is_full = True, False
        if self._showing is not None and self._showing.scale == 1.0:
            self._spacing = self._passing.spacing or self._spacing
        self._first, self._passing = asyncio.get_running_loop().create_future(), Passing()
        self._key = self._rtptime = None
        self._has_begun = False
        self._balance()
        shown = self._tracks if scale == 1.0 else self._tracks[:1]
        door = self._door = Door(
            Offer([OfferedTrack(one.told, one.channels) for one in shown]),
            on_play=self._flush,
            on_frames=self._pass_back,
            on_full=self._note_full,
        )
        url = await door.open()
        is_described = any(word in line for line in shown[0].told.lines for word in SPROP)
        tempo = Tempo.ORIGINAL if scale == 1.0 else self._tempo
        self._showing = Showing(url, at_us, scale, is_described, tempo)
        return self._showing

    def _close_door(self) -> None:
        door, self._door = self._door, None
        if door is not None:
            door.close()
            door.offer.has_begun.cancel()
        if self._first is not None:
            self._first.cancel()
        if self._judging is not None:
            self._judging.cancel()

    def _take(self, run: bytes) -> None:
        """Hand on what came; called for each run of frames."""
        if self._is_dropping:
            return
        self._note_times(run)
        if self._is_holding:
            self._held.append(run)
            self._held_bytes += len(run)
            self._judge()
            self._balance()
        else:
            self._send(run)

    def _judge(self, otherwise: Tempo | None = None) -> None:
        """Find out what the device means by its scale, if that is not known."""
        showing = self._showing
        if showing is None or showing.tempo is not None or not self._passing.pictures:
            return
        now = asyncio.get_running_loop().time()
        tempo = self._passing.judge(showing.scale, self._clock_hz, self._spacing, now)
        tempo = tempo or otherwise
        if tempo is None:
            return
        showing.tempo = self._tempo = tempo
        if self._door is not None and self._door.has_played:
            self._flush()

    def _send(self, run: bytes) -> None:
        showing = self._showing
        if showing is not None and showing.stretching > 1:
            channel = self._tracks[0].channels[0]
            run = stretch(run, channel, self._passing.first, showing.stretching)
        if self._door is not None:
            self._door.send(run)

    def _note_times(self, run: bytes) -> None:
        """Note the timestamps of pictures."""
        now = asyncio.get_running_loop().time()
        channel = self._tracks[0].channels[0]
        for found, begin, end in list_frames(run):
            if found == channel and end - begin >= RTP_HEADER_LENGTH:
                told = int.from_bytes(run[begin + 4 : begin + 8])
                self._passing.see(told, now)
                if self._first is not None and not self._first.done():
                    self._first.set_result(told)
                if self._key is None and self._begins_key(run[begin:end]):
                    self._key = told
                    self._note_lead()

    def _flush(self) -> None:
        """Hand on what was held, and from now on what comes."""
        if self._showing is not None and self._showing.tempo is None:
            return
        self._is_holding = False
        held, self._held, self._held_bytes = self._held, [], 0
        for run in held:
            self._send(run)
        is_over = self._connection is not None and not self._connection.is_open
        if is_over and self._door is not None:
            self._door.hang_up()
        self._balance()

    def _pass_back(self, frames: bytes) -> None:
        if self._connection is not None and not self.is_paused:
            self._connection.send_frames(frames)

    def _note_full(self, is_full: bool) -> None:
        self._is_full = is_full
        self._balance()

    def _balance(self) -> None:
        """Hold the device up where nobody takes what it sends, or let it send."""
        if self._connection is None:
            return
        waiting = self._held_bytes + (self._door.waiting_bytes if self._door is not None else 0)
        is_judging = self._showing is not None and self._showing.tempo is None
        most = STEERED_BYTES if self._is_steering or is_judging else HELD_BYTES
        self._connection.hold(holds=waiting > most or (self._is_full and not self._is_steering))


def _lacking(method: str, answer: Response) -> SourceError:
    return SourceError(
        Failure.NOT_MEDIA, f"the device answers {method} with status {answer.status}"
    )
