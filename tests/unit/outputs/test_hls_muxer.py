"""Segments cut from a channel fed by hand."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from h5sup.config.model import HlsConfig
from h5sup.outputs.hls import muxer as muxer_module
from h5sup.outputs.hls import window as window_module
from h5sup.outputs.hls.muxer import EARLY_AT_KEY_S, EARLY_S, HOLD_S, Muxer
from h5sup.outputs.hls.playlist import LivePlaylist, Variant
from h5sup.outputs.hls.segment import CLOCK_SLACK_S, Dates, Segment
from h5sup.outputs.hls.window import SEQUENCE_EPOCH, STALE_S, History, Room
from tests.fakes.mp4 import build_init
from tests.unit.outputs.hls_fakes import Feeder
from tests.unit.outputs.hls_rules import (
    MediaCheck,
    Playlist,
    check_successor,
    parse_media,
)


def start(
    feeder: Feeder, history: History | None = None, *, segment_s: float = 2.0, segments: int = 4
) -> Muxer:
    config = HlsConfig(segment_s=segment_s, segments=segments)
    muxer = Muxer(feeder.channel, history or History(), Room(), config)
    muxer.start()
    return muxer


def body(segment: Segment) -> bytes:
    return b"".join(segment.pieces())


def text(muxer: Muxer) -> str:
    return LivePlaylist(Variant.H264, muxer).text().plain.decode()


def read(muxer: Muxer) -> Playlist:
    return parse_media(text(muxer))


def durations(muxer: Muxer) -> list[float]:
    return [round(segment.duration_s, 3) for segment in muxer.window.listed]


async def test_segments_are_whole_gops_of_the_set_length_and_keep_the_rules() -> None:
    feeder = Feeder()
    feeder.begin()
    muxer = start(feeder)
    media = MediaCheck()
    media.begin(build_init(audio=False))
    before: Playlist | None = None
    seen: set[int] = set()
    for _ in range(30):
        feeder.seconds(1)
        if muxer.window.is_empty:
            continue
        playlist = read(muxer)
        assert playlist.is_independent
        if before is not None:
            check_successor(before, playlist)
        before = playlist
        for entry in playlist.entries:
            segment = muxer.window.find(entry.sequence)
            assert segment is not None
            if entry.sequence not in seen:
                seen.add(entry.sequence)
                media.feed(entry, body(segment))
    assert durations(muxer) == [2.0, 2.0, 2.0, 2.0]
    assert len(seen) == 14
    assert before is not None
    assert before.target_s == 2


async def test_a_segment_holds_the_very_fragments_of_the_bus() -> None:
    feeder = Feeder()
    feeder.begin()
    muxer = start(feeder)
    published = feeder.seconds(2.5)
    segment = muxer.window.listed[0]
    assert all(a is b for a, b in zip(segment.fragments, published, strict=False))
    assert len(segment.fragments) == 50


async def test_the_first_segment_begins_with_the_cached_gop() -> None:
    feeder = Feeder(gop=100)
    feeder.begin()
    cached = feeder.seconds(3)
    muxer = start(feeder)
    feeder.seconds(1.04)
    assert durations(muxer) == [4.0]
    assert muxer.window.listed[0].fragments[0] is cached[0]


async def test_a_muxer_that_finds_no_gop_waits_for_a_key_frame() -> None:
    feeder = Feeder(gop=50)
    feeder.begin()
    feeder.seconds(1)
    feeder.channel.cache.clear()
    muxer = start(feeder)
    feeder.seconds(3.04)
    assert durations(muxer) == [2.0]
    assert muxer.window.listed[0].opening.is_independent


async def test_a_key_frame_a_little_early_still_ends_the_segment() -> None:
    feeder = Feeder(gop=48)  # 1.92 s
    feeder.begin()
    muxer = start(feeder)
    feeder.seconds(6)
    assert durations(muxer) == [1.92, 1.92, 1.92]


async def test_segments_leave_the_playlist_and_stay_a_while_for_late_requests() -> None:
    feeder = Feeder(gop=50)
    feeder.begin()
    muxer = start(feeder, segments=3)
    feeder.seconds(40.04)
    listed = [segment.sequence for segment in muxer.window.listed]
    assert len(listed) == 3
    assert muxer.window.find(listed[0] - 4) is not None
    assert muxer.window.find(listed[0] - 5) is None


async def test_segments_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_module, "WINDOW_LIMIT_BYTES", 50_000)
    monkeypatch.setattr(muxer_module, "SEGMENT_LIMIT_BYTES", 20_000)
    feeder = Feeder(gop=100_000)  # a GOP without an end
    feeder.picture_bytes = 1000
    feeder.begin()
    muxer = start(feeder)
    feeder.seconds(20)
    sizes = [segment.size_bytes for segment in muxer.window.listed]
    assert all(20_000 <= size < 23_000 for size in sizes)
    assert len(sizes) == 2
    assert muxer.window.size_bytes == sum(sizes)
    assert not read(muxer).is_independent


@pytest.mark.parametrize("gop_s", [6, 10, 30])
async def test_whoever_waits_long_is_given_a_segment_before_the_gop_ends(gop_s: int) -> None:
    feeder = Feeder(gop=25 * gop_s)
    feeder.begin()
    feeder.picture()
    muxer = start(feeder)
    waiting = asyncio.create_task(muxer.wait_first(feeder.now, 5.0))
    await asyncio.sleep(0)
    feeder.seconds(EARLY_S - 0.04)
    assert muxer.window.is_empty is (gop_s > EARLY_S)
    feeder.seconds(0.08)
    assert await waiting
    first = muxer.window.listed[0]
    assert first.opening.is_independent
    assert first.duration_s == pytest.approx(min(gop_s, EARLY_S), abs=0.1)


async def test_the_rest_of_a_gop_that_was_cut_short_is_not_called_independent() -> None:
    feeder = Feeder(gop=250)
    feeder.begin()
    muxer = start(feeder)
    waiting = asyncio.create_task(muxer.wait_first(feeder.now, 5.0))
    await asyncio.sleep(0)
    feeder.seconds(9)
    assert await waiting
    alone = read(muxer)
    feeder.seconds(12)
    both = read(muxer)
    check_successor(alone, both)
    assert not alone.is_independent  # the rest's parts are listed already
    assert not both.is_independent
    assert [one.opening.is_independent for one in muxer.window.listed] == [True, False, True]
    assert alone.target_s == both.target_s == HOLD_S
    media = MediaCheck()
    media.begin(build_init(audio=False))
    for entry, segment in zip(both.entries, muxer.window.listed, strict=True):
        media.feed(entry, body(segment), is_independent=segment.opening.is_independent)
    feeder.seconds(60)
    assert read(muxer).is_independent


async def test_whoever_waits_for_long_segments_is_given_a_shorter_one_first() -> None:
    feeder = Feeder(gop=25)
    feeder.begin()
    muxer = start(feeder, segment_s=20.0)
    waiting = asyncio.create_task(muxer.wait_first(feeder.now, 5.0))
    await asyncio.sleep(0)
    feeder.seconds(EARLY_AT_KEY_S + 1.04)
    assert await waiting
    assert durations(muxer) == [EARLY_AT_KEY_S]
    feeder.seconds(25)
    assert durations(muxer) == [EARLY_AT_KEY_S, 20.0]


async def test_waiting_ends_in_time_when_nothing_comes() -> None:
    feeder = Feeder()
    feeder.begin()
    muxer = start(feeder)
    assert not await muxer.wait_first(feeder.now, 0.02)
    feeder.seconds(10)  # nobody waits any more: nothing is cut short
    assert durations(muxer)[0] == 2.0


async def test_a_new_generation_follows_a_discontinuity_with_its_own_map() -> None:
    feeder = Feeder()
    feeder.begin()
    muxer = start(feeder)
    feeder.seconds(3.04)
    before = read(muxer)
    feeder.channel.end("the camera is gone")
    feeder.begin(audio=True)
    feeder.seconds(4.04)
    after = read(muxer)
    check_successor(before, after)
    assert [entry.discontinuity for entry in after.entries] == [0, 0, 1, 1]
    assert durations(muxer) == [2.0, 1.04, 2.0, 2.0]  # nothing of the old one is lost
    maps = [entry.map_uri for entry in after.entries]
    assert maps[0] == maps[1] != maps[2] == maps[3]
    found = [muxer.window.find_map(int(uri[9:-4])) for uri in (maps[0], maps[2])]
    assert [one.init.data if one else b"" for one in found] == [
        build_init(audio=False),
        build_init(audio=True),
    ]
    assert muxer.window.find_map(0) is None


async def test_a_discontinuity_that_left_the_playlist_is_still_counted() -> None:
    feeder = Feeder(gop=50)
    feeder.begin()
    muxer = start(feeder)
    feeder.seconds(4.04)
    feeder.begin()
    before = None
    for _ in range(20):
        feeder.seconds(1)
        playlist = read(muxer)
        if before is not None:
            check_successor(before, playlist)
            known = {entry.sequence: entry.discontinuity for entry in before.entries}
            for entry in playlist.entries:
                assert known.get(entry.sequence, entry.discontinuity) == entry.discontinuity
        before = playlist
    assert before is not None
    assert before.tags["EXT-X-DISCONTINUITY-SEQUENCE"] == "1"


async def test_a_generation_that_begins_with_the_cached_gop_tells_again_what_parts_told() -> None:
    """As when sound comes late: each generation must begin with a key frame."""
    feeder = Feeder()
    feeder.begin()
    muxer = start(feeder)
    published = feeder.seconds(2.72)
    gop = list(feeder.channel.gop)
    assert len(gop) == 18
    assert feeder.channel.init is not None
    before = read(muxer)
    feeder.channel.begin(feeder.channel.init, "sound has come")
    for fragment in gop:
        feeder.channel.cache.add(fragment)
    published += feeder.seconds(3.32)
    check_successor(before, read(muxer))
    told = [one for segment in muxer.window.listed for one in segment.fragments]
    in_parts = published[:65]  # 3 more lay in a part that was not complete: they are told once
    assert told == in_parts + published[50 : 50 + len(told) - 65]
    assert durations(muxer) == [2.0, 0.6, 2.0, 2.0]
    breaks = [segment.opening.is_discontinuous for segment in muxer.window.listed]
    assert breaks == [False, False, True, False]


async def test_viewers_dismissed_within_a_generation_go_on_without_a_break() -> None:
    feeder = Feeder()
    feeder.begin()
    muxer = start(feeder)
    feeder.seconds(3)
    feeder.channel.dismiss("the source came back with old media")
    feeder.seconds(3.04)
    assert durations(muxer) == [2.0, 2.0, 2.0]
    assert not any(segment.opening.is_discontinuous for segment in muxer.window.listed)


async def test_numbers_begin_with_the_wall_clock_and_grow_over_a_pause() -> None:
    feeder = Feeder()
    feeder.begin()
    history = History()
    muxer = start(feeder, history, segment_s=0.5)
    feeder.seconds(30)
    last = muxer.window.listed[-1].sequence
    assert abs(last - 29 - (datetime.now(UTC).timestamp() - SEQUENCE_EPOCH)) < 3
    muxer.stop()
    assert feeder.channel.viewers == 0
    assert muxer.window.is_empty
    feeder.seconds(5)
    muxer = start(feeder, history, segment_s=0.5)
    feeder.seconds(3)
    assert muxer.window.listed[0].sequence == last + 2  # one more was begun and shown in parts
    assert muxer.window.listed[0].opening.discontinuities == 0


async def test_a_break_during_a_pause_is_counted_though_not_shown() -> None:
    feeder = Feeder()
    feeder.begin()
    history = History()
    muxer = start(feeder, history)
    feeder.seconds(5)
    muxer.stop()
    feeder.begin()
    muxer = start(feeder, history)
    feeder.seconds(5)
    assert "#EXT-X-DISCONTINUITY\n" not in text(muxer)
    assert read(muxer).tags["EXT-X-DISCONTINUITY-SEQUENCE"] == "1"


async def test_old_pictures_are_not_shown_to_someone_who_comes_anew() -> None:
    feeder = Feeder()
    feeder.begin()
    muxer = start(feeder)
    feeder.seconds(5)
    feeder.channel.end("the camera is gone")
    muxer.drop_stale(feeder.now + STALE_S - 3)
    assert muxer.window.listed
    muxer.drop_stale(feeder.now + STALE_S + 1)
    assert not muxer.window.listed
    feeder.now += STALE_S + 1
    feeder.begin()
    feeder.seconds(2.04)
    assert durations(muxer) == [2.0]  # what was open at the end is gone as well
    assert muxer.window.listed[0].opening.discontinuities == 1


async def test_dates_follow_the_pictures_and_grow_by_the_duration() -> None:
    feeder = Feeder()
    feeder.begin()
    muxer = start(feeder)
    feeder.seconds(8.04)
    entries = read(muxer).entries
    steps = [(later.date - earlier.date).total_seconds() for earlier, later in pairwise(entries)]
    assert steps == [2.0, 2.0, 2.0]
    lag_s = (datetime.now(UTC) - entries[0].date).total_seconds()
    assert abs(lag_s) < 2


def test_dates_follow_the_media_over_jitter_and_our_clock_over_a_drift() -> None:
    wall = datetime(2026, 5, 1, tzinfo=UTC)
    dates = Dates(1000, wall, 50.0)
    assert dates.find(7_000, 50.0) == wall
    assert (dates.find(9_000, 52.4) - wall).total_seconds() == 2.0
    late = 52.0 + CLOCK_SLACK_S + 0.1
    assert (dates.find(9_000, late) - wall).total_seconds() == pytest.approx(late - 50)
    assert (dates.find(10_000, late + 0.7) - wall).total_seconds() == pytest.approx(late - 49)
