"""One channel to all its WebSocket viewers.

A fragment becomes one WebSocket frame, once. Each viewer has a timeline of its own that starts
near 0: the channel's, less a constant; viewers that joined together share one. Per timeline the
decode times in the frame are patched where they stand, per viewer there is one write.
"""

from __future__ import annotations

import msgspec

from h5sup.base.clock import iso_ms, utc_now
from h5sup.bus.channel import Channel
from h5sup.bus.fragment import Fragment
from h5sup.bus.timeline import AUDIO_GONE_S
from h5sup.formats.isobmff.boxes import U64
from h5sup.outputs.ws import wire
from h5sup.outputs.ws.replay import replay
from h5sup.outputs.ws.viewer import Flow, Viewer

ORIGIN_GRID_S = 0.1  # viewers that join within this time share a timeline
LIVE_TIME_EVERY_S = 1.0
BEHIND_S = 2.0  # unsent media worth so much is too much ...
BEHIND_LEAST_BYTES = 262_144  # ... but not below what one key frame may take
SETTLING_S = 5.0  # for a new viewer to take the GOP it started with
BEHIND_LIMIT_S = 10.0  # a viewer still behind after this is cut off
DRAINED = 4  # a viewer goes on once a quarter of its limit is left

Origin = tuple[int, int]
"""What a timeline takes off the channel's video and audio times, in ticks of each."""


class Fanout:
    """Plays one generation of a channel to its viewers. Owned by WsOutput.

    Subscribed to the channel while it has viewers; `on_close` dismisses them all.
    """

    def __init__(self, channel: Channel, *, viewer_bytes: int) -> None:
        assert channel.init is not None
        self.channel = channel
        self._init = channel.init
        self.generation = channel.generation
        self._viewer_bytes = viewer_bytes
        self._timelines: dict[Origin, list[Viewer]] = {}
        self._origins: dict[Viewer, Origin] = {}
        self._idle: set[Viewer] = set()
        self._video_end = self._audio_end = 0
        self._replay: tuple[bytes, int] | None = None  # of the GOP as it is now
        self._live_time_at = 0.0
        self.dropped_fragments = 0

    @property
    def viewers(self) -> int:
        """Return how many are connected."""
        return len(self._origins) + len(self._idle)

    def join(self, viewer: Viewer) -> None:
        """Send what a viewer needs to start: type, init segment, the GOP so far."""
        if not self.viewers:
            self._follow()
        start = wire.frame(wire.OPCODE_BINARY, self._init.mime.encode("ascii"))
        start += wire.frame(wire.OPCODE_BINARY, self._init.data)
        gop = self.channel.gop
        if gop:
            start += self._replayed(viewer)
        else:
            self._idle.add(viewer)
        viewer.send(start)

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer; unknown ones are ignored."""
        self._idle.discard(viewer)
        self._leave_timeline(viewer)
        if not self.viewers:
            self.channel.unsubscribe(self)

    def on_close(self, reason: str) -> None:
        """Dismiss everyone: the players come back within seconds."""
        leaving = [*self._origins, *self._idle]
        self._origins.clear()
        self._timelines.clear()
        self._idle.clear()
        for viewer in leaving:
            viewer.dismiss(wire.CLOSE_GOING_AWAY, reason)

    def on_fragment(self, fragment: Fragment) -> None:
        """Write the fragment to everyone who is not behind."""
        self._replay = None
        frame = wire.frame(wire.OPCODE_BINARY, fragment.data)
        shift = len(frame) - len(fragment.data)
        if self._idle and fragment.is_key:
            self._resume_idle(fragment)
        says_time = fragment.arrived - self._live_time_at >= LIVE_TIME_EVERY_S
        says_time = says_time and fragment.video is not None
        if says_time:
            self._live_time_at = fragment.arrived
        limit = self._limit_bytes()
        slow: list[Viewer] = []
        for origin, viewers in self._timelines.items():
            patch(frame, shift, fragment, origin)
            data = self._live_time(fragment, origin) + frame if says_time else frame
            for viewer in viewers:
                viewer.send(data)
                if viewer.unsent_bytes:
                    slow.append(viewer)
        self._note_ends(fragment)
        for viewer in slow:
            self._judge(viewer, limit, fragment.arrived)
        if self._idle:
            self._judge_idle(fragment.arrived)

    def _follow(self) -> None:
        """Begin to follow the channel from where it stands."""
        self.channel.subscribe(self)
        self._video_end = self._audio_end = 0
        for fragment in self.channel.gop:
            self._note_ends(fragment)

    def _note_ends(self, fragment: Fragment) -> None:
        if fragment.video is not None:
            self._video_end = fragment.video.end
        if fragment.audio is not None:
            self._audio_end = fragment.audio.end

    def _replayed(self, viewer: Viewer) -> bytearray:
        """Put the viewer on a timeline and return the squeezed GOP as it stands on it."""
        if self._replay is None:
            self._replay = replay(self.channel.gop, self._init)
        data, duration = self._replay
        begin = self._video_end - duration
        origin = self._origin_before(begin)
        frame = wire.frame(wire.OPCODE_BINARY, data)
        # moof header 8, mfhd 16, traf header 8, tfhd 16, tfdt header and version 12
        U64.pack_into(frame, len(frame) - len(data) + 60, begin - origin[0])
        self._enter_timeline(viewer, origin)
        return frame

    def _origin_before(self, video: int) -> Origin:
        """Return the origin on the grid for a viewer whose video starts at `video`."""
        assert self._init.video is not None
        scale = self._init.video.timescale
        start_s = video / scale
        audio = self._init.audio
        if audio is not None:  # sound comes a little before or after its picture
            known_s = self._audio_end / audio.timescale or start_s - AUDIO_GONE_S
            start_s = min(start_s, known_s)
        steps = int(start_s / ORIGIN_GRID_S)
        return (
            round(steps * ORIGIN_GRID_S * scale),
            round(steps * ORIGIN_GRID_S * audio.timescale) if audio else 0,
        )

    def _enter_timeline(self, viewer: Viewer, origin: Origin) -> None:
        viewer.flow = Flow.PLAYING
        self._origins[viewer] = origin
        self._timelines.setdefault(origin, []).append(viewer)

    def _leave_timeline(self, viewer: Viewer) -> Origin | None:
        origin = self._origins.pop(viewer, None)
        if origin is not None:
            viewers = self._timelines[origin]
            viewers.remove(viewer)
            if not viewers:
                del self._timelines[origin]
        return origin

    def _limit_bytes(self) -> int:
        """Return how much may be unsent: seconds of this channel, within the set bound."""
        worth = int(self.channel.rates.bitrate_kbps * 125 * BEHIND_S)
        return min(self._viewer_bytes, max(worth, BEHIND_LEAST_BYTES))

    def _judge(self, viewer: Viewer, limit: int, now: float) -> None:
        """Take a viewer that can't keep up off its timeline."""
        if viewer.is_gone:
            return
        if now - viewer.joined_at < SETTLING_S:
            limit += self.channel.cache.limit_bytes
        if viewer.unsent_bytes <= limit:
            return
        origin = self._leave_timeline(viewer)
        if origin is None:
            return
        viewer.flow = Flow.BEHIND
        viewer.behind_since = now
        viewer.held = (self._video_end - origin[0], self._audio_end - origin[1])
        self._idle.add(viewer)

    def _judge_idle(self, now: float) -> None:
        for viewer in list(self._idle):
            if viewer.flow is not Flow.BEHIND:
                continue
            self.dropped_fragments += 1
            if now - viewer.behind_since > BEHIND_LIMIT_S:
                self._idle.discard(viewer)
                viewer.cut_off()

    def _resume_idle(self, fragment: Fragment) -> None:
        """Let those start who waited for a key frame, with their times closed up."""
        assert fragment.video is not None
        limit = self._limit_bytes()
        for viewer in list(self._idle):
            if viewer.flow is Flow.WAITING:
                if fragment.audio is not None:
                    self._audio_end = fragment.audio.dts
                origin = self._origin_before(fragment.video.dts)
            elif viewer.unsent_bytes <= limit // DRAINED:
                audio = fragment.audio.dts if fragment.audio is not None else self._audio_end
                origin = (fragment.video.dts - viewer.held[0], audio - viewer.held[1])
            else:
                continue
            self._idle.discard(viewer)
            self._enter_timeline(viewer, origin)

    def _live_time(self, fragment: Fragment, origin: Origin) -> bytearray:
        """Return the event that says which wall time the timeline's end stands for."""
        assert fragment.video is not None
        assert self._init.video is not None
        seconds = (fragment.video.end - origin[0]) / self._init.video.timescale
        live = {"strTime": iso_ms(utc_now()), "nMediaTime": round(seconds, 3)}
        event = {"type": "H5S_EVENT_LIVE_TIME", "liveTime": live}
        return wire.frame(wire.OPCODE_TEXT, msgspec.json.encode(event))


def patch(frame: bytearray, shift: int, fragment: Fragment, origin: Origin) -> None:
    """Write the fragment's decode times less `origin` into `frame`, `shift` bytes further on."""
    if fragment.video is not None:
        U64.pack_into(frame, fragment.video.tfdt_at + shift, fragment.video.dts - origin[0])
    if fragment.audio is not None:
        U64.pack_into(frame, fragment.audio.tfdt_at + shift, fragment.audio.dts - origin[1])
