"""The segments and parts of one playlist: numbered, bounded, dated (RFC 8216 §3, §6.2)."""

from __future__ import annotations

import math
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from h5sup.base.clock import utc_now
from h5sup.bus.channel import Channel
from h5sup.bus.fragment import Fragment
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.outputs.hls.segment import Dates, Draft, MediaMap, Opening, Part, Segment

STALE_S = 30.0  # pictures older than this are not shown as live to someone who comes anew
WINDOW_LIMIT_BYTES = 64_000_000  # of one playlist's segments; the oldest leave first
ROOM_BYTES = 512_000_000  # of all playlists' segments: each then gives up its own oldest
SEQUENCE_EPOCH = 1_700_000_000  # keeps numbers that begin with the wall clock short
PARTS_PER_S = 20  # more than there can be: numbers that begin with the wall clock stay ahead
ADVANCE_SEGMENTS = 2  # §6.2.5.2: who asks for more than what is about to come is mistaken
ADVANCE_S = 3.0


@dataclass(slots=True)
class History:
    """What outlives a window, so that a player that paused finds its way back."""

    next_sequence: int = 0
    next_part: int = 0
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


class Room:
    """The bytes that all playlists together may keep."""

    def __init__(self, limit_bytes: int = ROOM_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0

    @property
    def is_full(self) -> bool:
        """Return whether old segments have to leave."""
        return self.used_bytes > self.limit_bytes


class Window:
    """Finished segments and the one being made.

    The newest are listed, older ones kept a while for late requests. Sequence numbers grow by one;
    a window that begins empty takes the wall clock's seconds, so that a browser's cache can't
    mistake a segment of before a restart for one of after it. Parts are numbered through over all
    segments: the next one's address is known before it is known which segment it will belong to.
    """

    def __init__(self, history: History, room: Room, *, segment_s: float, listed: int) -> None:
        self.size_bytes = 0
        self.version = 0
        """Grows with every change that a playlist shows."""
        self.draft: Draft | None = None
        self._history = history
        self._room = room
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

    @property
    def next_part(self) -> int:
        """Return the number that the next part will have."""
        return self._history.next_part

    @property
    def newest(self) -> tuple[int, int]:
        """Return the newest part as its segment's number and its place in it."""
        if self.draft is not None and self.draft.parts:
            return self.draft.opening.sequence, len(self.draft.parts) - 1
        last = self._segments[-1]
        return last.sequence, len(last.parts) - 1

    def find(self, sequence: int) -> Segment | None:
        """Return a segment that is still kept."""
        return next((one for one in self._segments if one.sequence == sequence), None)

    def find_part(self, number: int) -> Part | None:
        """Return a part that is still kept."""
        for parts in self._part_lists():
            if parts and parts[0].number <= number <= parts[-1].number:
                return parts[number - parts[0].number]
        return None

    def find_map(self, number: int) -> MediaMap | None:
        """Return an init segment that a kept segment needs."""
        openings = [one.opening for one in self._segments]
        if self.draft is not None:
            openings.append(self.draft.opening)
        maps = (one.media_map for one in openings)
        return next((one for one in maps if one.number == number), None)

    def has(self, sequence: int, part: int | None) -> bool:
        """Return whether there is a segment, or a part by its place in one (bis §6.2.5.2)."""
        last = self._segments[-1]
        if part is None or sequence < last.sequence:
            return sequence <= last.sequence
        if sequence == last.sequence:
            if part < len(last.parts):
                return True
            sequence, part = sequence + 1, 0  # who asks for one too many means what follows
        draft = self.draft
        is_open = draft is not None and draft.opening.sequence == sequence
        return is_open and draft is not None and part < len(draft.parts)

    def is_far(self, sequence: int, part: int | None, part_target_s: float) -> bool:
        """Return whether somebody asks for what won't come soon."""
        if sequence > self._segments[-1].sequence + ADVANCE_SEGMENTS:
            return True
        newest = self.newest
        ahead = max(3, math.ceil(ADVANCE_S / part_target_s))
        return part is not None and sequence >= newest[0] and part > newest[1] + ahead

    def begin(self, channel: Channel, init: InitSegment, dates: Dates) -> None:
        """Go on with another init segment; the next segment follows a discontinuity."""
        history = self._history
        if self.is_empty:
            now_s = int(utc_now().timestamp()) - SEQUENCE_EPOCH
            history.next_sequence = max(history.next_sequence, now_s)
            history.next_part = max(history.next_part, now_s * PARTS_PER_S)
        self._breaks = history.follow(channel) or self._breaks
        self._map = MediaMap(history.next_sequence, init)
        self._dates = dates

    def add(self, fragments: Sequence[Fragment], duration_s: float) -> None:
        """Make a part of fragments; the first one of a segment begins with its first picture."""
        part = Part(
            number=self._history.next_part, fragments=tuple(fragments), duration_s=duration_s
        )
        if self.draft is None:
            self.draft = Draft(self._open(part.first_picture))
        self._history.next_part += 1
        self.draft.add(part)
        self.version += 1

    def close(self) -> None:
        """Make the parts a segment."""
        assert self.draft is not None
        segment = self.draft.finish()
        self.draft = None
        self._history.longest_s = max(self._history.longest_s, segment.duration_s)
        self._segments.append(segment)
        self._count(segment.size_bytes)
        self._trim()
        self.version += 1

    def expect_duration(self, duration_s: float) -> None:
        """Announce segments of such a length before there is one."""
        self._history.longest_s = max(self._history.longest_s, duration_s)
        self.version += 1

    def clear(self) -> None:
        """Forget all segments."""
        self.draft = None
        self._segments.clear()
        self._count(-self.size_bytes)
        self.version += 1

    def _open(self, first: Fragment) -> Opening:
        """Return how the next segment begins."""
        media_map, dates, history = self._map, self._dates, self._history
        assert media_map is not None
        assert dates is not None
        assert first.video is not None
        history.discontinuities += self._breaks
        opening = Opening(
            sequence=history.next_sequence,
            media_map=media_map,
            begins_at=dates.find(first.video.dts, first.arrived),
            is_independent=first.is_key,
            discontinuities=history.discontinuities,
            # nothing to be told from where the segment before it is not there any more
            is_discontinuous=self._breaks and not self.is_empty,
        )
        self._breaks = False
        history.next_sequence += 1
        return opening

    def _part_lists(self) -> Iterator[Sequence[Part]]:
        """Yield the parts of each segment, the newest segment first."""
        if self.draft is not None:
            yield self.draft.parts
        for segment in reversed(self._segments):
            yield segment.parts

    def _trim(self) -> None:
        segments = self._segments
        while len(segments) > self._kept or (
            (self.size_bytes > WINDOW_LIMIT_BYTES or self._room.is_full) and len(segments) > 1
        ):
            self._count(-segments.popleft().size_bytes)

    def _count(self, more_bytes: int) -> None:
        self.size_bytes += more_bytes
        self._room.used_bytes += more_bytes
