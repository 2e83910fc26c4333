"""HLS playlists (RFC 8216), written from plain values.

Sections of draft-pantos-hls-rfc8216bis, which adds Low-Latency HLS, are marked `bis`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from h5sup.base.clock import iso_ms
from h5sup.base.errors import MediaFormatError

# §7: EXT-X-MAP in a playlist of media segments needs 6; 7 is what fMP4 players expect.
VERSION_FMP4 = 7
VERSION_TS = 3  # EXTINF with decimals
VERSION_LOW_LATENCY = 9  # bis §8: EXT-X-SKIP
MIME = "application/vnd.apple.mpegurl"  # §4
UNQUOTABLE = re.compile(r'["\r\n]')


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One rendition in a multivariant playlist (§4.3.4.2)."""

    uri: str
    bandwidth_bps: int
    codecs: str = ""
    width: int = 0
    height: int = 0
    fps: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One media segment (§4.3.2)."""

    uri: str
    duration_s: float
    map_uri: str = ""
    """Its init segment; empty for MPEG-TS."""
    begins_at: datetime | None = None
    is_discontinuous: bool = False
    """Whether its timeline or encoding breaks with the segment before it."""
    parts: Sequence[str] = ()
    """As write_part() returns them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How far another rendition has come (bis §4.4.5.4)."""

    uri: str
    last_sequence: int
    last_part: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LowLatency:
    """What makes a live playlist one of Low-Latency HLS."""

    part_target_s: float
    """No part is longer."""
    part_hold_back_s: float
    """How far behind the end of the playlist a player should stay."""
    skip_until_s: float
    """A playlist with `skipped` may leave out what is older than this."""
    hint_uri: str
    """The part that comes next: a player may ask for it before it is there."""
    open_segment: Segment | None = None
    """What there is of the segment that is being made: its parts alone are listed."""
    reports: Sequence[Report] = ()
    skipped: int = 0
    """How many segments the receiver knows already; they are not in `segments`."""


def session_query(session: str) -> str:
    """Return what carries a session that came in the query on to the playlist's addresses."""
    return f"?session={quote(session, safe='')}" if session else ""


def write_part(uri: str, duration_s: float, *, is_independent: bool) -> str:
    """Return the line of a part (bis §4.4.4.9); independent: it begins with a key frame.

    Many playlists repeat it, and a segment may have a hundred: it can be kept.
    """
    line = f"#EXT-X-PART:DURATION={duration_s:.5f},URI={_quote(uri)}"
    return f"{line},INDEPENDENT=YES" if is_independent else line


def write_multivariant(variants: Sequence[Variant], *, version: int = VERSION_FMP4) -> str:
    """Return the playlist that lists renditions (§4.3.4)."""
    if not variants:
        raise MediaFormatError("a multivariant playlist needs a variant")
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{version}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for variant in variants:
        lines += [f"#EXT-X-STREAM-INF:{_attributes(variant)}", _check_uri(variant.uri)]
    return "\n".join([*lines, ""])


def write_media_playlist(
    segments: Sequence[Segment],
    *,
    media_sequence: int,
    target_duration_s: int,
    discontinuity_sequence: int = 0,
    version: int = VERSION_FMP4,
    is_independent: bool = True,
    is_ended: bool = False,
    low_latency: LowLatency | None = None,
) -> str:
    """Return the playlist of `segments` (§4.3.3), each starting with a key frame if it says so.

    `media_sequence` numbers the first of them, or the first one skipped;
    `discontinuity_sequence` counts the breaks that have left the playlist. `target_duration_s`
    must not change while the playlist lives (§6.2.1); a longer segment raises it all the same,
    for players reject the playlist otherwise.
    """
    longest_s = max((round_half_up(segment.duration_s) for segment in segments), default=1)
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{version}",
        f"#EXT-X-TARGETDURATION:{max(target_duration_s, longest_s, 1)}",
        *(_control_lines(low_latency) if low_latency else ()),
        f"#EXT-X-MEDIA-SEQUENCE:{media_sequence}",
    ]
    if is_ended:  # §4.3.3.5: nor does what it lists ever change
        lines.append("#EXT-X-PLAYLIST-TYPE:VOD")
    if discontinuity_sequence:
        lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuity_sequence}")
    if is_independent:
        lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    if low_latency and low_latency.skipped:
        lines.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={low_latency.skipped}")
    map_uri = ""
    for segment in segments:
        lines += _segment_lines(segment, map_uri)
        map_uri = segment.map_uri
    if low_latency:
        lines += _edge_lines(low_latency, map_uri)
    if is_ended:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join([*lines, ""])


def round_half_up(seconds: float) -> int:
    """Return the nearest whole number, as §4.3.3.1 compares durations with the target."""
    return int(seconds + 0.5)


def _segment_lines(segment: Segment, map_uri: str) -> list[str]:
    if segment.duration_s < 0:
        raise MediaFormatError(f"a segment can't last {segment.duration_s:g} s")
    lines = _opening_lines(segment, map_uri)
    return [*lines, f"#EXTINF:{segment.duration_s:.5f},", _check_uri(segment.uri)]


def _opening_lines(segment: Segment, map_uri: str) -> list[str]:
    """Return what stands before a segment's address, its parts included."""
    lines = []
    if segment.is_discontinuous:
        lines.append("#EXT-X-DISCONTINUITY")
    if segment.map_uri and (segment.map_uri != map_uri or segment.is_discontinuous):
        lines.append(f"#EXT-X-MAP:URI={_quote(segment.map_uri)}")
    if segment.begins_at is not None:
        lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{iso_ms(segment.begins_at)}")
    lines += segment.parts
    return lines


def _control_lines(wanted: LowLatency) -> list[str]:
    """Return what the server can do (bis §4.4.3.7, §4.4.3.8)."""
    return [
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,"
        f"PART-HOLD-BACK={wanted.part_hold_back_s:.3f},CAN-SKIP-UNTIL={wanted.skip_until_s:.1f}",
        f"#EXT-X-PART-INF:PART-TARGET={wanted.part_target_s:.3f}",
    ]


def _edge_lines(wanted: LowLatency, map_uri: str) -> list[str]:
    """Return what stands behind the last whole segment."""
    lines = _opening_lines(wanted.open_segment, map_uri) if wanted.open_segment else []
    lines.append(f"#EXT-X-PRELOAD-HINT:TYPE=PART,URI={_quote(wanted.hint_uri)}")
    for report in wanted.reports:
        lines.append(
            f"#EXT-X-RENDITION-REPORT:URI={_quote(report.uri)},"
            f"LAST-MSN={report.last_sequence},LAST-PART={report.last_part}"
        )
    return lines


def _attributes(variant: Variant) -> str:
    """Return the attribute list of one variant (§4.2)."""
    parts = [f"BANDWIDTH={variant.bandwidth_bps}"]
    if variant.codecs:
        parts.append(f"CODECS={_quote(variant.codecs)}")
    if variant.width and variant.height:
        parts.append(f"RESOLUTION={variant.width}x{variant.height}")
    if variant.fps:
        parts.append(f"FRAME-RATE={variant.fps:.3f}")
    return ",".join(parts)


def _quote(text: str) -> str:
    """Return a quoted string; it has no escapes (§4.2)."""
    if UNQUOTABLE.search(text):
        raise MediaFormatError(f"{text!r} can't stand in a playlist")
    return f'"{text}"'


def _check_uri(uri: str) -> str:
    """Return `uri` if it can stand on a line of its own (§4.1)."""
    if not uri or uri.startswith("#") or any(sign in uri for sign in "\r\n"):
        raise MediaFormatError(f"{uri!r} can't be a line of a playlist")
    return uri
