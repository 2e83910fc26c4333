"""What the v2 playlists say: variants of a source, segments of a muxer."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from urllib.parse import quote

from h5sup.bus.channel import Channel
from h5sup.bus.fragment import Fragment
from h5sup.formats import m3u8
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.formats.isobmff.track import Track
from h5sup.outputs.hls.window import Window

BANDWIDTH_MARGIN = 1.5  # BANDWIDTH is a peak, and what is known is a mean (RFC 8216 §4.3.4.2)
LEAST_BANDWIDTH = 64_000
USUAL_BITS_PER_PIXEL_S = 3  # for a variant nobody has seen yet: about 3 Mbit/s for 720p
H264_ENTRIES = ("avc1", "avc3")
HEVC_ENTRIES = ("hvc1", "hev1")
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


def write_media(variant: Variant, window: Window, query: str) -> str:
    """Return the media playlist of a window that is not empty."""
    listed = window.listed
    first = listed[0]
    text = m3u8.write_media_playlist(
        [
            m3u8.Segment(
                uri=f"{variant.value}/s{one.sequence}.m4s{query}",
                duration_s=one.duration_s,
                map_uri=f"{variant.value}/init{one.media_map.number}.mp4{query}",
                begins_at=one.begins_at,
                is_discontinuous=one.is_discontinuous,
            )
            for one in listed
        ],
        media_sequence=first.sequence,
        target_duration_s=window.target_duration_s,
        discontinuity_sequence=first.discontinuities - first.is_discontinuous,
    )
    if all(one.is_independent for one in listed):
        return text
    return text.replace("#EXT-X-INDEPENDENT-SEGMENTS\n", "")


def session_query(session: str) -> str:
    """Return what carries a session that came in the query on to the playlist's addresses."""
    return f"?session={quote(session, safe='')}" if session else ""


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
