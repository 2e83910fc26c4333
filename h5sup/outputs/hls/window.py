"""The segments of one playlist: numbered, bounded, and dated (RFC 8216 §3, §6.2)."""

from __future__ import annotations

import math
import weakref
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from h5sup.base.clock import utc_now
from h5sup.bus.channel import Channel
from h5sup.bus.fragment import Fragment
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.outputs.hls.segment import Dates, MediaMap, Segment

STALE_S = 30.0  # pictures older than this are not shown as live to someone who comes anew
WINDOW_LIMIT_BYTES = 64_000_000  # of one playlist's segments; the oldest leave first
SEQUENCE_EPOCH = 1_700_000_000  # keeps numbers that begin with the wall clock short


@dataclass(slots=True)
class History:
    """What outlives a window, so that a player that paused finds its way back."""

    next_sequence: int = 0
    discontinuities: int = 0
    longest_s: float = 0.0
    channel: weakref.ref[Channel] | None = None  # it must not keep a dead one's caches
    generation: int = 0

    def follow(self, channel: Channel) -> bool:
        """Note whose present generation is cut; return whether that breaks the timeline."""
        before = self.channel and self.channel()
        goes_on = before is channel and self.generation == channel.generation
        is_first = self.channel is None
        self.channel, self.generation = weakref.ref(channel), channel.generation
        return not goes_on and not is_first


class Window:
    """Finished segments: the newest are listed, older ones kept a while for late requests.

    Sequence numbers grow by one; a window that begins empty takes the wall clock's seconds, so
    that a browser's cache can't mistake a segment of before a restart for one of after it.
    """

    def __init__(self, history: History, *, segment_s: float, listed: int) -> None:
        self.size_bytes = 0
        self._history = history
        self._least_target_s = math.ceil(segment_s)
        self._listed = listed
        # §6.2.2: what left the playlist stays for as long as the playlist and itself last
        self._kept = 2 * listed + 1
        self._segments: deque[Segment] = deque()
        self._map: MediaMap | None = None
        self._dates: Dates | None = None
        self._breaks = False

    @property
    def is_empty(self) -> bool:
        """Return whether there is no segment."""
        return not self._segments

    @property
    def listed(self) -> list[Segment]:
        """Return the segments that belong into the playlist."""
        return list(self._segments)[-self._listed :]

    @property
    def target_duration_s(self) -> int:
        """Return EXT-X-TARGETDURATION: no segment rounds to more, and it never shrinks."""
        return max(self._least_target_s, math.floor(self._history.longest_s + 0.5))

    def find(self, sequence: int) -> Segment | None:
        """Return a segment that is still kept."""
        return next((one for one in self._segments if one.sequence == sequence), None)

    def find_map(self, number: int) -> MediaMap | None:
        """Return an init segment that a kept segment needs."""
        maps = (one.media_map for one in self._segments)
        return next((one for one in maps if one.number == number), None)

    def begin(self, channel: Channel, init: InitSegment, dates: Dates) -> None:
        """Go on with another init segment; the next segment follows a discontinuity."""
        history = self._history
        if self.is_empty:
            history.next_sequence = max(
                history.next_sequence, int(utc_now().timestamp()) - SEQUENCE_EPOCH
            )
        self._breaks = history.follow(channel) or self._breaks
        self._map = MediaMap(history.next_sequence, init)
        self._dates = dates

    def append(self, fragments: Sequence[Fragment], end: int) -> None:
        """Make a segment of fragments; `end` is the decode time of the video that follows."""
        media_map, dates, first = self._map, self._dates, fragments[0].video
        assert media_map is not None
        assert dates is not None
        assert first is not None
        history = self._history
        history.discontinuities += self._breaks
        segment = Segment(
            sequence=history.next_sequence,
            media_map=media_map,
            fragments=tuple(fragments),
            duration_s=dates.seconds(end - first.dts),
            begins_at=dates.find(first.dts, fragments[0].arrived),
            is_independent=fragments[0].is_key,
            discontinuities=history.discontinuities,
            # nothing to be told from where the segment before it is not there any more
            is_discontinuous=self._breaks and not self.is_empty,
        )
        self._breaks = False
        history.next_sequence += 1
        history.longest_s = max(history.longest_s, segment.duration_s)
        self._segments.append(segment)
        self.size_bytes += segment.size_bytes
        self._trim()

    def expect_duration(self, duration_s: float) -> None:
        """Announce segments of such a length before there is one."""
        self._history.longest_s = max(self._history.longest_s, duration_s)

    def drop_stale(self, now: float) -> None:
        """Forget everything if the newest picture is too old to be taken for a live one."""
        if self._segments and now - self._segments[-1].fragments[-1].arrived > STALE_S:
            self.clear()

    def clear(self) -> None:
        """Forget all segments."""
        self._segments.clear()
        self.size_bytes = 0

    def _trim(self) -> None:
        segments = self._segments
        while len(segments) > self._kept or (
            self.size_bytes > WINDOW_LIMIT_BYTES and len(segments) > 1
        ):
            self.size_bytes -= segments.popleft().size_bytes
