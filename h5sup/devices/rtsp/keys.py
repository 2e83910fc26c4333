"""Where decoding can begin in what a recorder sends: who reads it leaves out all before. Pure."""

from __future__ import annotations

from collections.abc import Callable

from h5sup.base.errors import MediaFormatError
from h5sup.formats import h264, h265
from h5sup.formats.presentation import PresentedTrack
from h5sup.formats.rtp import payload_bounds

FINDERS = {" H264/": h264.begins_key, " H265/": h265.begins_key}


def choose_key_finder(track: PresentedTrack) -> Callable[[bytes], bool]:
    """Return what tells whether a key picture begins in an RTP packet of a track."""
    for name, begins_key in FINDERS.items():
        if any(name in line.upper() for line in track.lines):
            return lambda packet: _find(packet, begins_key)
    return lambda _: True  # each picture stands alone, or nobody knows


def _find(packet: bytes, begins_key: Callable[[bytes], bool]) -> bool:
    try:
        begin, end = payload_bounds(packet)
        return begins_key(packet[begin:end])
    except MediaFormatError:
        return False
