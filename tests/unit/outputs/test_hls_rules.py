"""The rule checker itself: what breaks a rule must not pass."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from h5sup.config.model import HlsConfig
from h5sup.outputs.hls.muxer import Muxer
from h5sup.outputs.hls.playlist import LivePlaylist, Variant
from h5sup.outputs.hls.window import History, Room
from tests.fakes.mp4 import Camera, build_init
from tests.unit.outputs.hls_fakes import Feeder
from tests.unit.outputs.hls_rules import (
    Entry,
    MediaCheck,
    PartEntry,
    check_successor,
    parse_media,
)


async def written(seconds: float = 23.6, *, segments: int = 12) -> list[str]:
    """Return a playlist, the one a second later, and what of that a delta update tells."""
    feeder = Feeder()
    feeder.begin()
    config = HlsConfig(segments=segments)
    muxer = Muxer(feeder.channel, History(), Room(), config)
    muxer.start()
    feeder.seconds(seconds)
    live = LivePlaylist(Variant.H264, muxer)
    before = live.text().plain.decode()
    feeder.seconds(0.2)
    texts = [live.text(), live.text(is_delta=True)]
    return [before, *(text.plain.decode() for text in texts)]


def change(text: str, pattern: str, replacement: str) -> str:
    changed, count = re.subn(pattern, replacement, text, count=1)
    assert count == 1, pattern
    return changed


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        ("VERSION:9", "VERSION:7"),
        ("TARGETDURATION:2", "TARGETDURATION:1"),
        ("CAN-BLOCK-RELOAD=YES", "CAN-BLOCK-RELOAD=NO"),
        (r"PART-HOLD-BACK=0\.\d+", "PART-HOLD-BACK=0.500"),
        (r"CAN-SKIP-UNTIL=12\.0", "CAN-SKIP-UNTIL=11.0"),
        (r"PART-TARGET=0\.217", "PART-TARGET=0.199"),
        (r"PART-TARGET=0\.217", "PART-TARGET=0.240"),
        ("PRELOAD-HINT:TYPE=PART", "PRELOAD-HINT:TYPE=MAP"),
        (r"#EXT-X-PRELOAD-HINT:.*\n", ""),
        (r"(#EXT-X-PART:.*\n)(#EXTINF.*\n.*\n(?:#EXT-X-PROGRAM.*\n)?#EXT-X-PART)", r"\2"),
        (r"(#EXT-X-PART:.*URI=)\"h264/p\d+", r'\1"h264/p1'),
        (r"(#EXT-X-PART:.*),INDEPENDENT=YES", r"\1"),
        (r"(?s)(.*)EXTINF:2.00000", r"\1EXTINF:1.90000"),
        ("EXTINF:2.00000", "EXTINF:0.00000"),
        (r"#EXTINF:2.00000,\n", ""),
        (r"#EXT-X-PROGRAM-DATE-TIME:.*\n", ""),
        (r"#EXT-X-MAP:.*\n", ""),
        (r"#EXTM3U\n", ""),
        (r"(#EXT-X-MEDIA-SEQUENCE:.*\n)", r"\1\1"),
    ],
)
async def test_a_playlist_that_breaks_a_rule_does_not_pass(pattern: str, replacement: str) -> None:
    (text, _, _) = await written(segments=4)
    parse_media(text)
    with pytest.raises((AssertionError, KeyError)):
        parse_media(repeat_uri(change(text, pattern, replacement)))


def repeat_uri(text: str) -> str:
    """Give the second part the address of the first where the first was made `p1`."""
    if '"h264/p1.m4s"' not in text:
        return text
    parts = re.findall(r'"h264/p\d+\.m4s"', text)
    return text.replace(parts[1], parts[0])


async def test_old_segments_with_parts_and_new_ones_without_do_not_pass() -> None:
    (text, _, _) = await written()
    playlist = parse_media(text)
    bare = [entry for entry in playlist.entries if not entry.parts]
    assert bare
    part = '#EXT-X-PART:DURATION=2.00000,URI="h264/p3.m4s",INDEPENDENT=YES\n#EXTINF'
    with pytest.raises(AssertionError):
        parse_media(change(text, "#EXTINF", part))
    newest = playlist.entries[-1].uri
    without = re.sub(r"(?:#EXT-X-PART:.*\n)+(#EXTINF.*\n" + newest + ")", r"\1", text)
    with pytest.raises(AssertionError, match="three targets"):
        parse_media(without)


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"(?s)DURATION=0.20000(?=.*EXTINF.*EXTINF)", "DURATION=0.19000"),
        (r"(EXT-X-PROGRAM-DATE-TIME:)2", r"\g<1>3"),
        ("EXT-X-MEDIA-SEQUENCE:9", "EXT-X-MEDIA-SEQUENCE:8"),
        (r"#EXT-X-MAP", "#EXT-X-DISCONTINUITY\n#EXT-X-MAP"),
        (r"(EXT-X-MAP:URI=\"h264/init)", r"\g<1>7"),
    ],
)
async def test_a_successor_that_tells_another_story_does_not_pass(
    pattern: str, replacement: str
) -> None:
    (before, after, _) = await written(segments=4)
    check_successor(parse_media(before), parse_media(after))
    with pytest.raises(AssertionError):
        check_successor(parse_media(before), parse_media(change(after, pattern, replacement)))


async def test_another_part_than_was_hinted_at_does_not_pass() -> None:
    (before, after, _) = await written()
    known, said = parse_media(before), parse_media(after)
    assert said.open is not None
    said.open.parts[-1].uri = "h264/p77.m4s"
    with pytest.raises(AssertionError, match="hinted"):
        check_successor(known, said)


async def test_going_back_does_not_pass() -> None:
    (before, after, _) = await written()
    with pytest.raises(AssertionError):
        check_successor(parse_media(after), parse_media(before))


async def test_an_update_may_leave_out_only_what_is_old_and_known() -> None:
    (before, after, delta) = await written()
    known = parse_media(before)
    assert parse_media(delta, known).all == parse_media(after).all
    with pytest.raises(AssertionError, match="nothing was asked"):
        parse_media(delta)
    known.entries = known.entries[8:]
    with pytest.raises(AssertionError, match="never told"):
        parse_media(delta, known)
    lines = delta.splitlines(keepends=True)
    first = next(at for at, line in enumerate(lines) if line.startswith("#EXT-X-PROGRAM"))
    more = "".join(lines[:first] + lines[first + 3 :])
    skipped = parse_media(before).entries
    assert len(skipped) == 11
    too_much = re.sub(r"SKIPPED-SEGMENTS=(\d+)", lambda found: f"{found[0][:-1]}8", more)
    with pytest.raises(AssertionError):
        parse_media(too_much, parse_media(before))


def test_media_that_overlaps_or_is_called_what_it_is_not_does_not_pass() -> None:
    media = MediaCheck()
    media.begin(build_init(audio=False))
    camera = Camera(audio=False)
    first = b"".join(camera.gop())
    camera.video_dts -= 512
    second = b"".join(camera.gop())
    entry = Entry("s1.m4s", 1, 0, 1.0, "init1.mp4", datetime.now(UTC))
    media.feed(entry, first)
    with pytest.raises(AssertionError, match="hole"):
        media.feed(entry, second)
    with pytest.raises(AssertionError, match="INDEPENDENT"):
        media.feed_part(PartEntry("p1.m4s", 1.0, is_independent=False), second)
    with pytest.raises(AssertionError):
        MediaCheck.feed(fresh(), entry, first + b"\0")
    with pytest.raises(AssertionError):
        fresh().feed_part(PartEntry("p1.m4s", 0.9, is_independent=True), first)


def fresh() -> MediaCheck:
    media = MediaCheck()
    media.begin(build_init(audio=False))
    return media
