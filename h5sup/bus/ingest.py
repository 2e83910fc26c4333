"""The way into a channel: bytes of one ffmpeg after another become one run of fragments."""

from __future__ import annotations

from h5sup.bus.channel import Channel
from h5sup.bus.fragment import Fragment
from h5sup.bus.timeline import Timeline
from h5sup.formats.isobmff.init_segment import InitSegment, parse_init, without_audio
from h5sup.formats.isobmff.reader import SegmentReader, is_init

AUDIO_WAIT_S = 0.7  # announced sound that has not come by then is not promised to viewers
RESUME_S = 3.0  # a source back within this time goes on where it was
BACKLOG_S = 2.0  # a burst of so much old media would stay with old players as latency
CLOCK_DRIFT = 0.001  # how far a camera's clock may run off ours, per second
UNFILLABLE_AUDIO_GAP_S = 2.0


class Ingest:
    """Feeds one channel. Owned by the source; one at a time per channel.

    `open()` before the first byte of each process, `feed()` with what it writes, `close()` when
    it is gone. The channel's generation goes on over a gap of up to RESUME_S if the init segment
    is the same.
    """

    def __init__(self, channel: Channel) -> None:
        self.last_video: float | None = None
        self.last_audio: float | None = None
        self._channel = channel
        self._timeline = Timeline()
        self._reader = SegmentReader()
        self._init: InitSegment | None = None  # as ffmpeg wrote it
        self._closed_at: float | None = None
        self._announce_at: float | None = None  # wait for sound until then
        self._offset: float | None = None  # arrival minus media time of the promptest fragment
        self._offset_at = 0.0

    def open(self) -> None:
        """Make ready for a new process."""
        self._reader = SegmentReader()
        self.last_video = self.last_audio = None

    def close(self, now: float) -> None:
        """Note that the process is gone; the channel waits a little for the next."""
        self._closed_at = now

    def expire(self, reason: str) -> None:
        """End the channel's generation: the source did not come back in time."""
        self._init = None
        self._announce_at = None
        self._channel.end(reason)

    def feed(self, chunk: bytes, now: float) -> None:
        """Take what ffmpeg wrote; raises MediaFormatError when it is damaged."""
        for segment in self._reader.feed(chunk):
            if is_init(segment):
                self._begin(parse_init(segment), now)
            elif self._init is not None:
                for fragment in self._timeline.place(segment, now):
                    self._publish(fragment)

    def _begin(self, init: InitSegment, now: float) -> None:
        before, self._init = self._init, init
        in_time = self._closed_at is not None and now - self._closed_at <= RESUME_S
        goes_on = in_time and before is not None and before.data == init.data
        goes_on = goes_on and self._channel.init is not None
        self._timeline.begin(init, keep_clock=goes_on)
        self._offset = None
        if not goes_on:
            self._channel.end("the source starts anew")
            self._announce_at = now + (AUDIO_WAIT_S if init.audio and init.video else 0.0)

    def _publish(self, fragment: Fragment) -> None:
        if fragment.video is not None:
            self.last_video = fragment.arrived
        if fragment.audio is not None:
            self.last_audio = fragment.arrived
        self._announce(fragment)
        if self._channel.init is not None:
            self._dismiss_late(fragment)
        self._channel.publish(fragment)

    def _announce(self, fragment: Fragment) -> None:
        """Tell the channel what there is to play, with sound only where sound has come."""
        assert self._init is not None
        announced = self._channel.init
        if announced is None:
            may_wait = self._announce_at is not None and fragment.arrived < self._announce_at
            if self._timeline.has_audio or not may_wait:
                self._start("the source starts anew")
        elif self._timeline.has_audio and announced.audio is None and self._init.audio:
            self._start("sound has come")
        elif (
            announced.audio
            and not self._timeline.can_fill
            and self._timeline.audio_gap_s > UNFILLABLE_AUDIO_GAP_S
        ):
            self._timeline.has_audio = False
            self._start("the sound has stopped")

    def _start(self, reason: str) -> None:
        """Begin a generation with what has been seen, and with the GOP where it fits."""
        assert self._init is not None
        has_audio = self._timeline.has_audio
        gop = self._channel.gop
        self._channel.begin(self._init if has_audio else without_audio(self._init), reason)
        if has_audio or all(fragment.audio is None for fragment in gop):
            for fragment in gop:
                self._channel.cache.add(fragment)

    def _dismiss_late(self, fragment: Fragment) -> None:
        """Have viewers start afresh when a stall ends in a burst of old media."""
        assert self._init is not None
        if fragment.video is None or self._init.video is None:
            return
        media_s = fragment.video.end / self._init.video.timescale + self._timeline.lost_s
        offset = fragment.arrived - media_s
        if self._offset is None or offset < self._offset:
            self._offset = offset
        else:
            self._offset += (fragment.arrived - self._offset_at) * CLOCK_DRIFT
        self._offset_at = fragment.arrived
        if offset - self._offset > BACKLOG_S:
            self._offset = offset  # said once; a burst brings it down again by itself
            self._channel.dismiss("the source came back with old media")
