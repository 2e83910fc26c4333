"""The rules of RFC 8216 that a live playlist and its successors must keep.

Sections marked `bis` are those of draft-pantos-hls-rfc8216bis: Low-Latency HLS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

from h5sup.formats.isobmff.fragment import parse_fragment
from h5sup.formats.isobmff.init_segment import parse_init
from h5sup.formats.isobmff.reader import SegmentReader, is_init

ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",]*)')
LEAST_FILL = 0.85  # bis §4.4.4.9
ROUNDING_S = 0.0001  # of durations as they are written


@dataclass
class PartEntry:
    """One part as the playlist shows it."""

    uri: str
    duration_s: float
    is_independent: bool


@dataclass
class Entry:
    """One segment as the playlist shows it; without an address it is not complete."""

    uri: str
    sequence: int
    discontinuity: int
    duration_s: float
    map_uri: str
    date: datetime
    parts: list[PartEntry] = field(default_factory=list)


@dataclass
class Playlist:
    """A media playlist, read."""

    tags: dict[str, str] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    open: Entry | None = None
    """The segment that is being made."""
    reports: dict[str, tuple[int, int]] = field(default_factory=dict)
    skipped: int = 0

    @property
    def target_s(self) -> int:
        return int(self.tags["EXT-X-TARGETDURATION"])

    @property
    def is_independent(self) -> bool:
        return "EXT-X-INDEPENDENT-SEGMENTS" in self.tags

    @property
    def control(self) -> dict[str, str]:
        return attributes(self.tags["EXT-X-SERVER-CONTROL"])

    @property
    def part_target_s(self) -> float:
        return float(attributes(self.tags["EXT-X-PART-INF"])["PART-TARGET"])

    @property
    def hint(self) -> str:
        found = attributes(self.tags["EXT-X-PRELOAD-HINT"])
        assert found["TYPE"] == "PART"
        return found["URI"]

    @property
    def all(self) -> list[Entry]:
        """Return the segments and the one being made."""
        return [*self.entries, self.open] if self.open else self.entries

    @property
    def newest(self) -> tuple[int, int]:
        """Return the newest part: its segment's number and its place."""
        last = self.all[-1]
        return last.sequence, len(last.parts) - 1

    @property
    def duration_s(self) -> float:
        return sum(self.length_of(entry) for entry in self.all)

    def length_of(self, entry: Entry) -> float:
        if entry.uri:
            return entry.duration_s
        return sum(part.duration_s for part in entry.parts)


def attributes(line: str) -> dict[str, str]:
    """Return an attribute list (§4.2)."""
    return {name: value.strip('"') for name, value in ATTRIBUTE.findall(line)}


class Reader:
    """Reads one playlist line by line."""

    def __init__(self, before: Playlist | None) -> None:
        self.found = Playlist()
        self._before = before
        self._map_uri = ""
        self._date: datetime | None = None
        self._duration_s: float | None = None
        self._parts: list[PartEntry] = []
        self._sequence = 0
        self._discontinuity = 0

    def read(self, text: str) -> Playlist:
        lines = text.split("\n")
        assert lines[0] == "#EXTM3U"
        assert lines[-1] == ""
        for line in lines[1:-1]:
            if line.startswith("#"):
                tag, _, value = line[1:].partition(":")
                self._tag(tag, value)
            else:
                assert self._duration_s is not None, "EXTINF is missing (§4.3.2.1)"
                self.found.entries.append(self._entry(line, self._duration_s))
                self._duration_s = None
        if self._parts:
            self.found.open = self._entry("", 0.0)
        return self.found

    def _entry(self, uri: str, duration_s: float) -> Entry:
        assert self._date is not None
        assert self._map_uri
        entry = Entry(
            uri, self._sequence, self._discontinuity, duration_s, self._map_uri, self._date
        )
        entry.parts, self._parts = self._parts, []
        self._sequence += 1
        self._date = None
        return entry

    def _tag(self, tag: str, value: str) -> None:
        if tag == "EXTINF":
            self._duration_s = float(value.rstrip(","))
        elif tag == "EXT-X-DISCONTINUITY":
            self._discontinuity += 1
        elif tag == "EXT-X-MAP":
            self._map_uri = attributes(value)["URI"]
        elif tag == "EXT-X-PROGRAM-DATE-TIME":
            self._date = datetime.fromisoformat(value)
        elif tag == "EXT-X-PART":
            found = attributes(value)
            is_independent = found.get("INDEPENDENT") == "YES"
            self._parts.append(PartEntry(found["URI"], float(found["DURATION"]), is_independent))
        elif tag == "EXT-X-SKIP":
            self._skip(int(attributes(value)["SKIPPED-SEGMENTS"]))
        elif tag == "EXT-X-RENDITION-REPORT":
            found = attributes(value)
            self.found.reports[found["URI"]] = int(found["LAST-MSN"]), int(found["LAST-PART"])
        else:
            self._playlist_tag(tag, value)

    def _playlist_tag(self, tag: str, value: str) -> None:
        assert tag not in self.found.tags, "a playlist tag may occur once (§4.3.3)"
        self.found.tags[tag] = value
        if tag == "EXT-X-MEDIA-SEQUENCE":
            self._sequence = int(value)
        elif tag == "EXT-X-DISCONTINUITY-SEQUENCE":
            self._discontinuity = int(value)

    def _skip(self, count: int) -> None:
        """Take what was left out from the playlist before (bis §6.3.7)."""
        assert self._before is not None, "nothing was asked to be skipped"
        assert count > 0
        self.found.skipped = count
        known = {entry.sequence: entry for entry in self._before.entries}
        for _ in range(count):
            assert self._sequence in known, "a segment was skipped that was never told"
            entry = known[self._sequence]
            self.found.entries.append(entry)
            self._map_uri, self._discontinuity = entry.map_uri, entry.discontinuity
            self._sequence += 1


def parse_media(text: str, before: Playlist | None = None) -> Playlist:
    """Read a media playlist and check the rules it must keep by itself.

    `before` is what its reader knows when it asked for a delta update.
    """
    found = Reader(before).read(text)
    check_one(found)
    return found


def check_one(playlist: Playlist) -> None:
    """Check a playlist against §4.3.3, §6.2 and, for its parts, bis §4.4."""
    assert playlist.tags["EXT-X-VERSION"] == "9"  # bis §8: EXT-X-SKIP
    assert playlist.entries, "a live playlist is held until it names a segment"
    for entry in playlist.entries:
        assert int(entry.duration_s + 0.5) <= playlist.target_s, "too long (§4.3.3.1)"
        assert entry.duration_s > 0
    check_control(playlist)
    check_parts(playlist)


def check_control(playlist: Playlist) -> None:
    """Check what the server says it can (bis §4.4.3.7, §4.4.3.8)."""
    control, part_target_s = playlist.control, playlist.part_target_s
    assert control["CAN-BLOCK-RELOAD"] == "YES"
    hold_back_s = float(control["PART-HOLD-BACK"])
    assert hold_back_s >= 3 * part_target_s - ROUNDING_S, "held back too little"
    assert float(control["CAN-SKIP-UNTIL"]) >= 6 * playlist.target_s, "skips too much"
    if playlist.skipped:
        kept = sum(playlist.length_of(entry) for entry in playlist.all[playlist.skipped :])
        assert kept >= float(control["CAN-SKIP-UNTIL"]) - 0.001, "skipped too much (bis §6.2.5.1)"


def check_parts(playlist: Playlist) -> None:
    """Check the parts and where they stand (bis §4.4.4.9, §6.2.2)."""
    target_s, behind_s = playlist.part_target_s, 0.0
    for entry in reversed(playlist.all):
        lengths = [part.duration_s for part in entry.parts]
        assert all(0 < length <= target_s + ROUNDING_S for length in lengths), "a part is too long"
        assert all(length >= LEAST_FILL * target_s - ROUNDING_S for length in lengths[:-1]), (
            f"a part is too short: {lengths} of {target_s}"
        )
        if entry.uri and abs(behind_s - 3 * playlist.target_s) > 0.001:
            assert bool(lengths) == (behind_s < 3 * playlist.target_s), "parts for three targets"
        if entry.uri and lengths:
            assert abs(sum(lengths) - entry.duration_s) < 0.001, "a segment is its parts"
        if lengths and playlist.is_independent:
            assert entry.parts[0].is_independent
        behind_s += playlist.length_of(entry)
    uris = [part.uri for entry in playlist.all for part in entry.parts]
    assert len(uris) == len(set(uris)), "an address means one part"
    assert playlist.hint not in uris, "a hint is of what is to come (bis §4.4.5.3)"


def check_successor(before: Playlist, after: Playlist) -> None:
    """Check what may change from one reload to the next (§6.2.1, §6.2.2)."""
    assert after.entries[0].sequence >= before.entries[0].sequence
    assert after.newest >= before.newest
    assert after.target_s >= before.target_s
    known = {entry.sequence: entry for entry in before.all}
    for entry in after.all:
        if entry.sequence in known:
            check_same(known[entry.sequence], entry)
    assert after.all[-1].discontinuity >= before.all[-1].discontinuity
    check_hint(before, after)
    for uri, newest in before.reports.items():
        assert after.reports.get(uri, newest) >= newest


def check_same(before: Entry, after: Entry) -> None:
    """Check that what was told of a segment stays true."""
    assert (before.discontinuity, before.map_uri, before.date) == (
        after.discontinuity,
        after.map_uri,
        after.date,
    )
    if before.uri:
        assert (before.uri, before.duration_s) == (after.uri, after.duration_s)
        assert after.uri
        assert after.parts in (before.parts, []), "parts changed"
    elif after.parts:
        assert after.parts[: len(before.parts)] == before.parts, "a part changed"


def check_hint(before: Playlist, after: Playlist) -> None:
    """Check that the part that was hinted at is the one that came next."""
    known = {part.uri for entry in before.all for part in entry.parts}
    oldest = before.newest[0]
    new = [
        part.uri
        for entry in after.all
        if entry.sequence >= oldest
        for part in entry.parts
        if part.uri not in known
    ]
    is_next = after.newest[0] <= oldest + 1  # further on, its part may have been removed
    if new and is_next:
        assert before.hint == new[0], "another part came than was hinted at"


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
        length_s = self._feed(body, is_independent)
        assert abs(length_s - entry.duration_s) < 0.001

    def feed_part(self, part: PartEntry, body: bytes) -> None:
        """Check one part: it says whether a player can start with it, and holds video."""
        init = parse_init(self.map)
        runs = [parse_fragment(one, init).video for one in SegmentReader().feed(body)]
        first = next(run for run in runs if run is not None)
        assert part.is_independent == first.has_sync_sample, "INDEPENDENT (bis §4.4.4.9)"
        length_s = self._feed(body, is_independent=False)
        assert length_s > 0
        assert abs(length_s - part.duration_s) < 0.001

    def _feed(self, body: bytes, is_independent: bool) -> float:
        init = parse_init(self.map)
        assert init.video is not None
        fragments = SegmentReader().feed(body)
        assert sum(map(len, fragments)) == len(body), "a segment is whole fragments"
        assert not any(is_init(one) for one in fragments)
        length = 0
        for data in fragments:
            parsed = parse_fragment(data, init)
            if parsed.video is not None and is_independent:
                assert parsed.video.has_sync_sample, "a segment begins with a key frame"
                is_independent = False
            for run in (parsed.video, parsed.audio):
                if run is not None:
                    kind = run.track.kind
                    assert self._ends.get(kind, run.dts) == run.dts, f"{kind} has a hole"
                    self._ends[kind] = run.dts + run.duration
            length += parsed.video.duration if parsed.video else 0
        return length / init.video.timescale
