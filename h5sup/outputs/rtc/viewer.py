"""One WebRTC viewer: its connection, its tracks, and what it says of how they arrive."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from h5sup.formats.rtcp import (
    Feedback,
    ReportBlock,
    SenderReport,
    build_description,
    build_sender_report,
    ntp_from_unix,
    round_trip_s,
)
from h5sup.outputs.rtc.clock import TrackClock
from h5sup.outputs.rtc.endpoint import Endpoint
from h5sup.outputs.rtc.fanout import Fanout
from h5sup.outputs.rtc.negotiation import CNAME, Agreement
from h5sup.outputs.rtc.outgoing import Outgoing
from h5sup.outputs.rtc.paths import Path
from h5sup.outputs.rtc.peer import Peer

if TYPE_CHECKING:
    from h5sup.outputs.rtc.dtls import Certificate
    from h5sup.outputs.rtc.keys import Keys

REPLAY_EVERY_S = 0.5  # a browser that can't decode asks again and again
REPORT_EVERY_S = 2.0
# Chromium draws a line through the last 20 reports: a first one that was guessed would put sound
# and picture apart for 40 s. Without any it plays both as they come.
GUESS_AFTER_S = 12.0
OUTAGE_S = 30.0  # of the source; after this a viewer is told why, instead of a still picture

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Arrival:
    """How media arrives, as the browser last reported it (RFC 3550 §6.4.1)."""

    loss: float = 0.0
    """Of the packets since the report before, 0 to 1."""
    lost: int = 0
    jitter_ms: float = 0.0
    round_trip_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Track:
    """One track and who plays it."""

    outgoing: Outgoing
    fanout: Fanout


class Viewer:
    """Owned by RtcOutput. `play()` after signalling; `close()` is called once, by the owner."""

    def __init__(
        self,
        endpoint: Endpoint,
        certificate: Certificate,
        on_gone: Callable[[Viewer, str], None],
    ) -> None:
        self.peer = Peer(endpoint, certificate, self)
        self.arrival = Arrival()
        self.token = ""
        self._on_gone = on_gone
        self._loop = asyncio.get_running_loop()
        self._video: Track | None = None
        self._sound: Track | None = None
        self._clock: TrackClock | None = None
        self._may_rest = False
        self._replayed_at = 0.0
        self._replaying: asyncio.TimerHandle | None = None
        self._reported_at = 0.0
        self._key_request: int | None = None  # the number of the newest that was met
        self._began_at = self._loop.time()

    @property
    def tracks(self) -> list[Track]:
        """Return what is sent to it."""
        return [track for track in (self._video, self._sound) if track is not None]

    @property
    def is_connected(self) -> bool:
        """Return whether media can reach it."""
        return self.peer.keys is not None

    @property
    def end_reason(self) -> str:
        """Return why its source sends nothing, if that is known."""
        return self._video.fanout.end_reason if self._video is not None else ""

    @property
    def packets(self) -> int:
        """Return how many packets were sent."""
        return sum(track.outgoing.packets for track in self.tracks)

    @property
    def resent(self) -> int:
        """Return how many packets were sent again."""
        return sum(track.outgoing.resent for track in self.tracks)

    def play(
        self,
        agreement: Agreement,
        video: Track,
        sound: Track | None,
        clock: TrackClock,
        *,
        may_rest: bool = False,
    ) -> None:
        """Send these tracks as soon as the browser is connected.

        A picture that `may_rest` can stand still for as long as it likes.
        """
        self._video, self._sound, self._clock = video, sound, clock
        self._may_rest = may_rest
        self.peer.accept(agreement.role, agreement.fingerprints)

    def tick(self, now_s: float) -> str:
        """Report if it is time; return why this viewer should be given up, or nothing."""
        ailment = self.peer.ailment(now_s)
        if ailment or self._video is None or not self.is_connected:
            return ailment
        silent_s = now_s - max(self._video.fanout.ring.last_arrival_s, self._began_at)
        if silent_s > OUTAGE_S and not self._may_rest:
            return f"the source has sent nothing for {silent_s:.0f} s"
        if now_s - self._reported_at >= REPORT_EVERY_S:
            self._report(now_s)
        return ""

    async def close(self) -> None:
        """Stop sending and let go of the connection."""
        if self._replaying is not None:
            self._replaying.cancel()
        for track in self.tracks:
            track.fanout.leave(track.outgoing)
        await self.peer.close()

    def on_connected(self, keys: Keys, path: Path) -> None:
        """Begin to send."""
        logger.debug("%s: a viewer at %s, %s", self.token, path.remote[0], keys.name)
        for track in self.tracks:
            track.outgoing.start(keys, path)
        self._replayed_at = self._loop.time()
        self._report(self._replayed_at)  # before the first picture: sound and it belong together
        for track in self.tracks:
            track.fanout.join(track.outgoing)

    def on_path(self, path: Path) -> None:
        """Send another way."""
        for track in self.tracks:
            track.outgoing.move(path)

    def on_feedback(self, feedback: Feedback) -> None:
        """Do what the browser asks for."""
        video = self._video
        if video is None:
            return
        now_s = self._loop.time()
        for nack in feedback.nacks:
            for track in self.tracks:
                if track.outgoing.ssrc == nack.ssrc:
                    track.outgoing.resend(nack.sequences, now_s)
        self._replay_if_asked(video, feedback, now_s)
        for block in feedback.blocks:
            if block.ssrc == video.outgoing.ssrc:
                self._note(block)

    def on_gone(self, reason: str) -> None:
        """Tell the owner, who closes this viewer."""
        self._on_gone(self, reason)

    def _replay_if_asked(self, video: Track, feedback: Feedback, now_s: float) -> None:
        """Play the GOP again to a browser that has lost the picture, but not all the time."""
        ssrc = video.outgoing.ssrc
        wishes = [number for media, number in feedback.key_requests if media == ssrc]
        has_new_wish = any(number != self._key_request for number in wishes)
        if not has_new_wish and ssrc not in feedback.picture_losses:
            return
        self._key_request = wishes[-1] if wishes else self._key_request
        if self._replaying is None:
            wait_s = self._replayed_at + REPLAY_EVERY_S - now_s
            if wait_s > 0:
                self._replaying = self._loop.call_later(wait_s, self._play_again, video)
            else:
                self._play_again(video)

    def _play_again(self, video: Track) -> None:
        self._replaying = None
        self._replayed_at = self._loop.time()
        video.fanout.play_again(video.outgoing)

    def _note(self, block: ReportBlock) -> None:
        assert self._video is not None
        trip_s = round_trip_s(block, ntp_from_unix(time.time()))
        self.arrival = Arrival(
            loss=block.fraction_lost / 256,
            lost=block.cumulative_lost,
            jitter_ms=block.jitter * 1000 / self._video.fanout.ring.clock_hz,
            round_trip_ms=None if trip_s is None else trip_s * 1000,
        )

    def _report(self, now_s: float) -> None:
        """Tell the browser what time it is on each track."""
        assert self._clock is not None
        self._clock.refresh()
        tracks = [track for track in self.tracks if track.fanout.ring.codec is not None]
        rings = [track.fanout.ring for track in tracks]
        if not self._clock.is_certain(rings) and now_s - self._began_at < GUESS_AFTER_S:
            return
        self._reported_at = now_s
        stamps = self._clock.timestamps(rings, now_s)
        ntp = ntp_from_unix(time.time())
        for track, stamp in zip(tracks, stamps, strict=True):
            one = track.outgoing
            report = SenderReport(
                ssrc=one.ssrc,
                ntp=ntp,
                timestamp=stamp,
                packets=one.packets & 0xFFFFFFFF,
                octets=one.octets & 0xFFFFFFFF,
            )
            self.peer.send_rtcp(build_sender_report(report) + build_description(one.ssrc, CNAME))
