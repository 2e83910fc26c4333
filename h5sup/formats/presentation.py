"""What an RTSP server describes (RFC 2326 §C, RFC 8866): its tracks, and the same said to others.

Beside `formats/sdp`, which holds offers and answers of WebRTC.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from h5sup.base.errors import MediaFormatError

MAX_LINES = 2000
MAX_TRACKS = 16
RTPMAP = re.compile(r"rtpmap:(\d{1,3}) [^/\s]+/(\d{1,7})", re.ASCII)
CONTROL = re.compile(r"[!-~]{1,2048}", re.ASCII)
PRINTED = re.compile(r"[ -~]*", re.ASCII)
KINDS = ("video", "audio")
# What says how media is coded; all else (addresses, ports, directions) is its server's own matter.
KEPT = ("a=rtpmap:", "a=fmtp:", "b=")
STATIC_CLOCKS = {0: 8_000, 8: 8_000, 26: 90_000}  # RFC 3551 §6
TCP = "RTP/AVP"


@dataclass(frozen=True, slots=True)
class PresentedTrack:
    """One track."""

    kind: str
    payload_type: int
    clock_hz: int
    control: str
    lines: tuple[str, ...]
    """How it is coded."""


@dataclass(frozen=True, slots=True)
class Presentation:
    """What there is."""

    control: str
    """Empty where it is not told."""
    range: str
    tracks: tuple[PresentedTrack, ...]
    """Pictures and sound alone."""

    def find(self, kind: str) -> PresentedTrack | None:
        """Return the first track of a kind."""
        return next((one for one in self.tracks if one.kind == kind), None)


def parse_presentation(data: bytes) -> Presentation:
    """Return what is described; raises MediaFormatError."""
    lines = data.decode("utf-8", "replace").replace("\r", "").split("\n")
    if len(lines) > MAX_LINES or not lines[0].startswith("v="):
        raise MediaFormatError("what is described is no SDP")
    starts = [number for number, line in enumerate(lines) if line.startswith("m=")]
    if len(starts) > MAX_TRACKS:
        raise MediaFormatError(f"more than {MAX_TRACKS} tracks are described")
    sections = [lines[begin:end] for begin, end in pairwise([*starts, len(lines)])]
    head = lines[: starts[0]] if starts else lines
    return Presentation(
        control=_find(head, "a=control:"),
        range=_find(head, "a=range:"),
        tracks=tuple(one for one in map(_parse_track, sections) if one is not None),
    )


def _find(lines: Sequence[str], name: str) -> str:
    return next((line[len(name) :].strip() for line in lines if line.startswith(name)), "")


def _parse_track(lines: Sequence[str]) -> PresentedTrack | None:
    """Return a track of pictures or sound; None for all else."""
    words = lines[0][2:].split()
    if len(words) < 4 or words[0] not in KINDS or not words[3].isdecimal():
        return None
    payload_type = int(words[3]) if words[3].isascii() and len(words[3]) < 4 else 128
    control = _find(lines, "a=control:")
    if payload_type > 127 or (control and not CONTROL.fullmatch(control)):
        return None
    clock_hz = STATIC_CLOCKS.get(payload_type, 0)
    for line in lines:
        found = RTPMAP.match(line, 2)
        if found is not None and int(found[1]) == payload_type:
            clock_hz = int(found[2])
    kept = tuple(line for line in lines[1:] if line.startswith(KEPT) and PRINTED.fullmatch(line))
    return PresentedTrack(words[0], payload_type, clock_hz, control, kept)


def build_presentation(tracks: Sequence[PresentedTrack]) -> bytes:
    """Return a description of tracks, whose addresses are `track0`, `track1`, ..."""
    lines = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=-", "c=IN IP4 0.0.0.0", "t=0 0"]
    for number, track in enumerate(tracks):
        lines.append(f"m={track.kind} 0 {TCP} {track.payload_type}")
        lines += [*track.lines, f"a=control:track{number}"]
    return "\r\n".join([*lines, ""]).encode()


def join_control(base: str, control: str) -> str:
    """Return a track's address (RFC 2326 §C.1.1).

    A relative one goes behind all of the base, its query too: so live555 and ffmpeg do, and
    devices know it from them.
    """
    if not control or control == "*":
        return base
    if control.lower().startswith(("rtsp://", "rtsps://")):
        return control
    return base + control if base.endswith("/") else f"{base}/{control}"
