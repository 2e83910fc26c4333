"""Low-Latency HLS: parts cut from a channel fed by hand, and the rules they keep."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from h5sup.bus.fragment import Fragment
from h5sup.config.model import HlsConfig
from h5sup.outputs.hls.muxer import Muxer
from h5sup.outputs.hls.pace import LEAST_FILL, Pace
from h5sup.outputs.hls.playlist import LivePlaylist, Variant
from h5sup.outputs.hls.segment import Part
from h5sup.outputs.hls.window import History, Room
from tests.unit.outputs.hls_fakes import Feeder
from tests.unit.outputs.hls_rules import (
    LEAST_FILL as RULE_LEAST_FILL,
)
from tests.unit.outputs.hls_rules import (
    Entry,
    MediaCheck,
    PartEntry,
    Playlist,
    check_successor,
    parse_media,
)


class Player:
    """Reads a muxer's playlist after every picture and takes each part and segment once."""

    def __init__(self, muxer: Muxer) -> None:
        self.muxer = muxer
        self.playlist: Playlist | None = None
        self.parts: list[Part] = []
        self._live = LivePlaylist(Variant.H264, muxer)
        self._seen: set[str] = set()
        self._by_parts, self._whole = MediaCheck(), MediaCheck()

    def read(self) -> None:
        """Load the playlist and what is new in it, and check all of it."""
        if self.muxer.window.is_empty:
            return
        before = self.playlist
        text = self._live.text(is_delta=before is not None).plain.decode()
        self.playlist = after = parse_media(text, before)
        if before is not None:
            check_successor(before, after)
        for entry in after.all:
            for part in entry.parts:
                if part.uri not in self._seen:
                    self._take_part(entry, part)
            if entry.uri and entry.uri not in self._seen:
                self._take_segment(entry)

    def _take_part(self, entry: Entry, part: PartEntry) -> None:
        self._seen.add(part.uri)
        found = self.muxer.window.find_part(int(part.uri[6:-4]))
        assert found is not None
        self.parts.append(found)
        self._begin(self._by_parts, entry)
        self._by_parts.feed_part(part, b"".join(found.pieces()))

    def _take_segment(self, entry: Entry) -> None:
        self._seen.add(entry.uri)
        segment = self.muxer.window.find(entry.sequence)
        assert segment is not None
        self._begin(self._whole, entry)
        body = b"".join(segment.pieces())
        self._whole.feed(entry, body, is_independent=segment.opening.is_independent)

    def _begin(self, check: MediaCheck, entry: Entry) -> None:
        found = self.muxer.window.find_map(int(entry.map_uri[9:-4]))
        assert found is not None
        if found.init.data is not check.map:
            check.begin(found.init.data)


def start(feeder: Feeder, **settings: float) -> Muxer:
    config = HlsConfig(**settings)  # type: ignore[arg-type]  # segments is the one whole number
    muxer = Muxer(feeder.channel, History(), Room(), config)
    muxer.start()
    return muxer


def play(feeder: Feeder, player: Player, seconds: float) -> None:
    for _ in range(round(seconds * feeder.fps / (2 if feeder.fps >= 40 else 1))):
        feeder.picture()
        player.read()


@pytest.mark.parametrize("audio", [False, True])
@pytest.mark.parametrize(
    ("fps", "part_s"),
    [(5, 0.2), (8, 0.2), (12.5, 0.2), (15, 0.2), (24, 0.2), (25, 0.2), (30, 0.2), (50, 0.2),
     (60, 0.2), (25, 0.1), (30, 0.33), (25, 2.0)],
)  # fmt: skip
async def test_parts_keep_the_rules_at_every_rate(fps: float, part_s: float, audio: bool) -> None:
    feeder = Feeder(gop=max(2, round(fps)), fps=fps, audio=audio)
    feeder.begin()
    feeder.seconds(1)
    muxer = start(feeder, part_s=part_s)
    player = Player(muxer)
    play(feeder, player, 20)
    assert player.playlist is not None
    assert 0.6 * part_s <= player.playlist.part_target_s <= max(1.1 * part_s, 1.1 / fps)
    assert len(player.parts) > 18 / max(1.1 * part_s, 1 / fps)
    assert all(part.duration_s <= player.playlist.part_target_s for part in player.parts)


@pytest.mark.parametrize("fps", [5, 25])
async def test_a_part_is_there_with_its_last_picture(fps: float) -> None:
    feeder = Feeder(gop=round(fps), fps=fps, audio=True)
    feeder.begin()
    muxer = start(feeder)
    feeder.seconds(3)
    before = muxer.window.next_part
    feeder.seconds(1)
    assert muxer.window.next_part == before + 5


async def test_sound_goes_along_with_pictures_and_none_is_lost() -> None:
    feeder = Feeder(gop=10, fps=5, audio=True)
    feeder.begin()
    muxer = start(feeder)
    player = Player(muxer)
    published: list[Fragment] = []
    feeder.channel.subscribe(Recorder(published))
    play(feeder, player, 20)
    told = [one for part in player.parts for one in part.fragments]
    begun = published.index(told[0])  # sound from before the first key frame is not told
    assert told[0].is_key
    assert told == published[begun:]  # the last picture completed its part
    assert all(any(one.video for one in part.fragments) for part in player.parts)


class Recorder:
    def __init__(self, into: list[Fragment]) -> None:
        self._into = into

    def on_fragment(self, fragment: Fragment) -> None:
        self._into.append(fragment)

    def on_close(self, reason: str) -> None:
        del reason


async def test_a_gop_of_ten_seconds_has_parts_of_the_usual_length() -> None:
    feeder = Feeder(gop=250, audio=True)
    feeder.begin()
    muxer = start(feeder)
    player = Player(muxer)
    play(feeder, player, 45)
    assert player.playlist is not None
    assert player.playlist.target_s == 10
    assert [len(entry.parts) for entry in player.playlist.entries][-1] == 50
    assert player.playlist.duration_s > 40
    firsts = [part for part in player.parts if part.is_independent]
    assert len(firsts) >= 4


async def test_a_playlist_of_many_segments_is_told_in_part() -> None:
    feeder = Feeder()
    feeder.begin()
    muxer = start(feeder, segments=15)
    player = Player(muxer)
    play(feeder, player, 40)
    assert player.playlist is not None
    assert len(player.playlist.entries) == 15
    assert player.playlist.skipped == 15 - 6
    whole = LivePlaylist(Variant.H264, muxer).text().plain.decode()
    assert "EXT-X-SKIP" not in whole
    assert parse_media(whole).all == player.playlist.all


async def test_a_short_playlist_leaves_nothing_out() -> None:
    feeder = Feeder()
    feeder.begin()
    muxer = start(feeder)
    feeder.seconds(20)
    assert b"EXT-X-SKIP" not in LivePlaylist(Variant.H264, muxer).text(is_delta=True).plain


async def test_parts_go_on_over_a_new_generation() -> None:
    feeder = Feeder(gop=50)
    feeder.begin()
    muxer = start(feeder)
    player = Player(muxer)
    play(feeder, player, 5)
    feeder.channel.end("the camera is gone")
    feeder.begin()
    play(feeder, player, 0.4)
    assert player.playlist is not None
    *_, before, begun = player.playlist.all
    assert (before.discontinuity, begun.discontinuity) == (0, 1)
    assert begun.uri == ""
    assert begun.map_uri != before.map_uri
    play(feeder, player, 5)


async def test_a_camera_that_changes_its_rate_gets_parts_that_fit_from_the_next_segment_on() -> (
    None
):
    feeder = Feeder(gop=25)
    feeder.begin()
    muxer = start(feeder)
    feeder.seconds(6)
    assert muxer.pace.target_s == pytest.approx(0.216, abs=0.001)
    feeder.fps = 12.5
    feeder.seconds(12)
    player = Player(muxer)
    play(feeder, player, 6)
    lengths = {round(part.duration_s, 2) for part in player.parts if part.duration_s > 0.1}
    assert lengths == {0.16}


async def test_a_camera_that_falters_does_not_lengthen_the_parts_that_follow() -> None:
    feeder = Feeder(gop=25)
    feeder.begin()
    muxer = start(feeder)
    feeder.seconds(4.4)
    feeder.picture(duration_s=0.7)
    live = LivePlaylist(Variant.H264, muxer)
    assert b"PART-TARGET=0.700\n" in live.text().plain
    feeder.seconds(20)
    assert b"PART-TARGET=0.217\n" in live.text().plain
    assert muxer.pace.target_s == pytest.approx(0.216, abs=0.001)


async def test_a_muxer_without_a_gop_fits_its_parts_to_the_first_pictures() -> None:
    feeder = Feeder(gop=50)
    feeder.begin()
    feeder.seconds(1)
    feeder.channel.cache.clear()
    muxer = start(feeder)
    player = Player(muxer)
    play(feeder, player, 8)
    assert {round(part.duration_s, 2) for part in player.parts} == {0.2}


@pytest.mark.parametrize("jitter", [0.004, 0.006])
def test_jitter_is_within_the_room_that_the_target_leaves(jitter: float) -> None:
    pace = Pace(0.2)
    pace.learn([0.04] * 25)
    pace.fit()
    lengths, length = [], 0.0
    for number in range(500):
        duration = 0.04 + (jitter if number % 2 else -jitter)
        if pace.overflows(length + duration):
            lengths.append(length)
            length = 0.0
        length += duration
        if pace.is_full(length):
            lengths.append(length)
            length = 0.0
    assert all(LEAST_FILL * pace.target_s <= one <= pace.target_s for one in lengths)
    assert LEAST_FILL == RULE_LEAST_FILL


async def test_one_text_is_made_for_all_who_wait_for_a_state() -> None:
    feeder = Feeder()
    feeder.begin()
    muxer = start(feeder)
    feeder.seconds(3)
    live = LivePlaylist(Variant.H264, muxer)
    text = live.text()
    assert live.text() is text
    assert text.zipped is text.zipped
    assert live.text("?session=1") is not text
    feeder.picture()
    assert live.text() is text
    feeder.seconds(0.2)
    assert live.text() is not text


async def test_texts_are_bounded_however_many_sessions_stand_in_queries() -> None:
    feeder = Feeder()
    feeder.begin()
    muxer = start(feeder)
    feeder.seconds(3)
    live = LivePlaylist(Variant.H264, muxer)
    for number in range(1000):
        assert f"session={number}" in live.text(f"?session={number}").plain.decode()
    assert len(live._texts) <= 64
    assert len(live._lines) <= 2048


async def test_all_playlists_together_have_a_bounded_room() -> None:
    room = Room(limit_bytes=120_000)
    feeders = [Feeder(gop=25, token=f"cam{number}") for number in range(4)]
    muxers = []
    for feeder in feeders:
        feeder.begin()
        muxers.append(Muxer(feeder.channel, History(), room, HlsConfig()))
        muxers[-1].start()
    for _ in range(40):
        for feeder in feeders:
            feeder.picture_bytes = 500
            feeder.seconds(1)
        assert room.used_bytes == sum(muxer.window.size_bytes for muxer in muxers)
        assert room.used_bytes <= 120_000 + 4 * 35_000
    assert all(not muxer.window.is_empty for muxer in muxers)
    for muxer in muxers:
        muxer.stop()
    assert room.used_bytes == 0


async def test_whoever_waits_is_woken_by_the_part_and_by_the_end() -> None:
    feeder = Feeder()
    feeder.begin()
    muxer = start(feeder)
    feeder.seconds(3)
    sequence, part = muxer.window.newest
    waiting = [asyncio.create_task(muxer.wait_for(sequence, part + 1, 5.0)) for _ in range(100)]
    later = asyncio.create_task(muxer.wait_for(sequence + 1, None, 5.0))
    await asyncio.sleep(0)
    assert muxer.waiting == 101
    feeder.seconds(0.2)
    assert all(await asyncio.gather(*waiting))
    assert muxer.waiting == 1
    muxer.stop()
    assert not await later
    assert not await muxer.wait_part(muxer.window.next_part, 5.0)


async def test_numbers_of_parts_grow_by_one_and_never_come_again() -> None:
    feeder = Feeder()
    feeder.begin()
    history = History()
    muxer = Muxer(feeder.channel, history, Room(), HlsConfig())
    muxer.start()
    player = Player(muxer)
    play(feeder, player, 8)
    numbers = [part.number for part in player.parts]
    assert all(after == before + 1 for before, after in pairwise(numbers))
    muxer.stop()
    again = Muxer(feeder.channel, history, Room(), HlsConfig())
    again.start()
    feeder.seconds(4)
    assert again.window.listed[0].parts[0].number > numbers[-1]
