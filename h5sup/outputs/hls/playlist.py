"""What the v2 playlists say: variants of a source, segments and parts of a muxer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum

from h5sup.bus.channel import Channel
from h5sup.bus.fragment import Fragment
from h5sup.formats import m3u8
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.formats.isobmff.track import Track
from h5sup.outputs.hls.muxer import Muxer
from h5sup.outputs.hls.responses import Text
from h5sup.outputs.hls.segment import Draft, Opening, Part, Segment

BANDWIDTH_MARGIN = 1.5  # BANDWIDTH is a peak, and what is known is a mean (RFC 8216 §4.3.4.2)
LEAST_BANDWIDTH = 64_000
USUAL_BITS_PER_PIXEL_S = 3  # for a variant nobody has seen yet: about 3 Mbit/s for 720p
H264_ENTRIES = ("avc1", "avc3")
HEVC_ENTRIES = ("hvc1", "hev1")
PART_TARGETS_HELD_BACK = 3  # RFC 8216bis §4.4.3.8: so many a player should stay behind the edge
TARGETS_WITH_PARTS = 3  # §6.2.2: parts further back are of no use to anyone
TARGETS_UNSKIPPED = 6  # §4.4.3.8: the least that a delta update must show
LINES = 2048  # of parts, kept to be written again
TEXTS = 64  # of one state: with sessions in the query each has its own
# H.264 levels by macroblocks per picture (ITU-T H.264 table A-1), for what will be encoded
LEVELS = ((3600, 0x1F), (8192, 0x28), (8704, 0x2A), (36864, 0x33))


class Variant(Enum):
    """One rendition of a source; the value stands in its addresses."""

    HEVC = "hevc"
    H264 = "h264"


def is_hevc(init: InitSegment) -> bool:
    """Return whether the video is H.265."""
    return init.video is not None and init.video.codec.startswith(HEVC_ENTRIES)


def write_index(
    channel: Channel, init: InitSegment, known: dict[Variant, Channel], query: str
) -> str:
    """Return the multivariant playlist of what `channel` carries as it came in.

    `known` are the channels that run for a variant; one that does not is described as it will be.
    """
    if init.video is not None and init.video.codec.startswith(H264_ENTRIES):
        return m3u8.write_multivariant([_describe(Variant.H264, channel, init, query)])
    copied = _describe(Variant.HEVC, channel, init, query)
    derived = known.get(Variant.H264)
    if derived is not None and derived.init is not None:
        h264 = _describe(Variant.H264, derived, derived.init, query)
    else:
        h264 = _foresee(copied, init, query)
    return m3u8.write_multivariant([copied, h264] if is_hevc(init) else [h264])


Others = Sequence["LivePlaylist"]


class LivePlaylist:
    """The media playlist of one muxer.

    Each text is made once per state of the window and shared by all who wait for that state.
    """

    def __init__(self, variant: Variant, muxer: Muxer) -> None:
        self._variant = variant
        self._window = muxer.window
        self._pace = muxer.pace
        self._version = -1
        self._texts: dict[tuple[str, bool], Text] = {}
        self._lines: dict[tuple[int, str], str] = {}

    def text(self, query: str = "", *, is_delta: bool = False, others: Others = ()) -> Text:
        """Return the playlist of a window that is not empty.

        A delta update leaves out what whoever plays at the live edge knows (RFC 8216bis §6.2.5.1).
        """
        if self._version != self._window.version or len(self._texts) >= TEXTS:
            self._version = self._window.version
            self._texts.clear()
        found = self._texts.get((query, is_delta))
        if found is None:
            reports = [other.report(query) for other in others]
            found = self._texts[query, is_delta] = Text(self._write(query, is_delta, reports))
        return found

    def report(self, query: str) -> m3u8.Report:
        """Return how far this playlist has come, for another one of the same source."""
        sequence, part = self._window.newest
        return m3u8.Report(
            uri=f"{self._variant.value}.m3u8{query}", last_sequence=sequence, last_part=part
        )

    def _write(self, query: str, is_delta: bool, reports: Sequence[m3u8.Report]) -> str:
        window, target_s = self._window, self._window.target_duration_s
        listed, draft = window.listed, window.draft
        behind_s = _distances(listed, draft)
        bare = sum(one >= TARGETS_WITH_PARTS * target_s for one in behind_s)
        skipped = sum(one >= TARGETS_UNSKIPPED * target_s for one in behind_s) * is_delta
        recent = [one.parts for one in listed[bare:]] + ([draft.parts] if draft else [])
        first = listed[0].opening
        openings = [one.opening for one in listed] + ([draft.opening] if draft else [])
        return m3u8.write_media_playlist(
            [
                self._segment(one, query, with_parts=at >= bare)
                for at, one in enumerate(listed)
                if at >= skipped
            ],
            media_sequence=first.sequence,
            target_duration_s=target_s,
            discontinuity_sequence=first.discontinuities - first.is_discontinuous,
            version=m3u8.VERSION_LOW_LATENCY,
            is_independent=all(one.is_independent for one in openings),
            low_latency=self._low_latency(query, recent, reports, skipped),
        )

    def _low_latency(
        self,
        query: str,
        recent: Sequence[Sequence[Part]],
        reports: Sequence[m3u8.Report],
        skipped: int,
    ) -> m3u8.LowLatency:
        draft, target_s = self._window.draft, self._window.target_duration_s
        # a camera that falters may have one part longer than it should be
        longest_s = max([part.duration_s for parts in recent for part in parts])
        part_target_s = math.ceil(max(longest_s, self._pace.target_s) * 1000) / 1000
        opened = self._opened(draft.opening, draft.parts, query) if draft else None
        return m3u8.LowLatency(
            part_target_s=part_target_s,
            part_hold_back_s=PART_TARGETS_HELD_BACK * part_target_s,
            skip_until_s=TARGETS_UNSKIPPED * target_s,
            hint_uri=self._part_uri(self._window.next_part, query),
            open_segment=opened,
            reports=reports,
            skipped=skipped,
        )

    def _segment(self, segment: Segment, query: str, *, with_parts: bool) -> m3u8.Segment:
        return replace(
            self._opened(segment.opening, segment.parts if with_parts else (), query),
            uri=f"{self._variant.value}/s{segment.sequence}.m4s{query}",
            duration_s=segment.duration_s,
        )

    def _opened(self, opening: Opening, parts: Sequence[Part], query: str) -> m3u8.Segment:
        """Return a segment as far as it is known before it ends."""
        return m3u8.Segment(
            uri="",
            duration_s=0.0,
            map_uri=f"{self._variant.value}/init{opening.media_map.number}.mp4{query}",
            begins_at=opening.begins_at,
            is_discontinuous=opening.is_discontinuous,
            parts=[self._part(part, query) for part in parts],
        )

    def _part(self, part: Part, query: str) -> str:
        """Return a part's line, which some hundred playlists repeat."""
        known = self._lines.get((part.number, query))
        if known is None:
            if len(self._lines) >= LINES:
                self._lines.clear()
            known = self._lines[part.number, query] = m3u8.write_part(
                self._part_uri(part.number, query),
                part.duration_s,
                is_independent=part.is_independent,
            )
        return known

    def _part_uri(self, number: int, query: str) -> str:
        return f"{self._variant.value}/p{number}.m4s{query}"


def _distances(listed: Sequence[Segment], draft: Draft | None) -> list[float]:
    """Return how far each segment's end is from the end of the playlist."""
    found = []
    behind_s = draft.duration_s if draft else 0.0
    for segment in reversed(listed):
        found.append(behind_s)
        behind_s += segment.duration_s
    return found[::-1]


def _describe(variant: Variant, channel: Channel, init: InitSegment, query: str) -> m3u8.Variant:
    video = init.video
    return m3u8.Variant(
        uri=f"{variant.value}.m3u8{query}",
        bandwidth_bps=_bandwidth(channel, video),
        codecs=init.codecs.replace(" ", ""),
        width=video.width if video else 0,
        height=video.height if video else 0,
        fps=_frame_rate(channel.gop, video) or channel.rates.fps,
    )


def _foresee(copied: m3u8.Variant, init: InitSegment, query: str) -> m3u8.Variant:
    """Return what H.264 will be like that is only encoded when somebody asks for it."""
    macroblocks = -(-copied.width // 16) * -(-copied.height // 16)
    level = next((level for limit, level in LEVELS if macroblocks <= limit), LEVELS[-1][1])
    codecs = [f"avc1.6400{level:02X}", *([init.audio.codec] if init.audio else [])]
    return m3u8.Variant(
        uri=f"{Variant.H264.value}.m3u8{query}",
        # not above the copied one: players that take both would have this one made for nothing
        bandwidth_bps=min(copied.bandwidth_bps, _usual_bandwidth(init.video)),
        codecs=",".join(codecs),
        width=copied.width,
        height=copied.height,
        fps=copied.fps,
    )


def _bandwidth(channel: Channel, video: Track | None) -> int:
    kbps = channel.rates.bitrate_kbps
    if not kbps:  # it has just started
        return _usual_bandwidth(video)
    return max(LEAST_BANDWIDTH, round(kbps * 1000 * BANDWIDTH_MARGIN))


def _usual_bandwidth(video: Track | None) -> int:
    pixels = video.width * video.height if video else 0
    return max(LEAST_BANDWIDTH, pixels * USUAL_BITS_PER_PIXEL_S)


def _frame_rate(gop: Sequence[Fragment], video: Track | None) -> float:
    """Return the pictures per second of the cached GOP, 0 when there is none."""
    runs = [fragment.video for fragment in gop if fragment.video is not None]
    ticks = sum(run.duration for run in runs)
    if not ticks or video is None:
        return 0.0
    return sum(run.samples for run in runs) * video.timescale / ticks
