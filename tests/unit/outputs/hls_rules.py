"""The rules of RFC 8216 that a live playlist and its successors must keep."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

from h5sup.formats.isobmff.fragment import parse_fragment
from h5sup.formats.isobmff.init_segment import parse_init
from h5sup.formats.isobmff.reader import SegmentReader, is_init

ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",]*)')


@dataclass
class Entry:
    """One segment as the playlist shows it."""

    uri: str
    sequence: int
    discontinuity: int
    duration_s: float
    map_uri: str
    date: datetime


@dataclass
class Playlist:
    """A media playlist, read."""

    tags: dict[str, str] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)

    @property
    def target_s(self) -> int:
        return int(self.tags["EXT-X-TARGETDURATION"])

    @property
    def is_independent(self) -> bool:
        return "EXT-X-INDEPENDENT-SEGMENTS" in self.tags


def attributes(line: str) -> dict[str, str]:
    """Return an attribute list (§4.2)."""
    return {name: value.strip('"') for name, value in ATTRIBUTE.findall(line)}


def parse_media(text: str) -> Playlist:
    """Read a media playlist and check the rules it must keep by itself."""
    lines = text.split("\n")
    assert lines[0] == "#EXTM3U"
    assert lines[-1] == ""
    found = Playlist()
    map_uri, date, duration_s = "", None, None
    discontinuity = sequence = 0
    for line in lines[1:-1]:
        tag, _, value = line.removeprefix("#").partition(":")
        if not line.startswith("#"):
            assert duration_s is not None, "EXTINF is missing (§4.3.2.1)"
            assert date is not None
            assert map_uri
            found.entries.append(Entry(line, sequence, discontinuity, duration_s, map_uri, date))
            sequence += 1
            duration_s = date = None
        elif tag == "EXTINF":
            duration_s = float(value.rstrip(","))
        elif tag == "EXT-X-DISCONTINUITY":
            discontinuity += 1
        elif tag == "EXT-X-MAP":
            map_uri = attributes(value)["URI"]
        elif tag == "EXT-X-PROGRAM-DATE-TIME":
            date = datetime.fromisoformat(value)
        else:
            assert tag not in found.tags, "a playlist tag may occur once (§4.3.3)"
            found.tags[tag] = value
            if tag == "EXT-X-MEDIA-SEQUENCE":
                sequence = int(value)
            elif tag == "EXT-X-DISCONTINUITY-SEQUENCE":
                discontinuity = int(value)
    check_one(found)
    return found


def check_one(playlist: Playlist) -> None:
    """Check a playlist against §4.3.3 and §6.2."""
    assert playlist.tags["EXT-X-VERSION"] == "7"
    assert playlist.entries, "a live playlist is held until it names a segment"
    for entry in playlist.entries:
        assert int(entry.duration_s + 0.5) <= playlist.target_s  # §4.3.3.1
        assert entry.duration_s > 0


def check_successor(before: Playlist, after: Playlist) -> None:
    """Check what may change from one reload to the next (§6.2.1, §6.2.2)."""
    assert after.entries[0].sequence >= before.entries[0].sequence
    assert after.entries[-1].sequence >= before.entries[-1].sequence
    assert after.target_s >= before.target_s
    known = {entry.sequence: entry for entry in before.entries}
    for entry in after.entries:
        assert entry.sequence not in known or known[entry.sequence] == entry
    assert after.entries[-1].discontinuity >= before.entries[-1].discontinuity


class MediaCheck:
    """Checks segments fed in order: begin with a key frame, and continue each other."""

    def __init__(self) -> None:
        self.map = b""
        self._ends: dict[str, int] = {}

    def begin(self, init: bytes) -> None:
        """Go on behind a discontinuity."""
        self.map = init
        self._ends = {}

    def feed(self, entry: Entry, body: bytes, *, is_independent: bool = True) -> None:
        """Check one segment."""
        init = parse_init(self.map)
        assert init.video is not None
        fragments = SegmentReader().feed(body)
        assert sum(map(len, fragments)) == len(body), "a segment is whole fragments"
        assert not any(is_init(one) for one in fragments)
        length = 0
        for index, data in enumerate(fragments):
            parsed = parse_fragment(data, init)
            if index == 0 and is_independent:
                assert parsed.video is not None
                assert parsed.video.has_sync_sample
            for run in (parsed.video, parsed.audio):
                if run is not None:
                    kind = run.track.kind
                    assert self._ends.get(kind, run.dts) == run.dts, f"{kind} has a hole"
                    self._ends[kind] = run.dts + run.duration
            length += parsed.video.duration if parsed.video else 0
        assert abs(length / init.video.timescale - entry.duration_s) < 0.001
