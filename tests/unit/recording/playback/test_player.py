"""Playing what was recorded, picture by picture, in virtual time."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from struct import pack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from h5sup.base.clock import from_us, to_us
from h5sup.base.errors import UnavailableError
from h5sup.bus.playback import PlaybackRequest, Position
from h5sup.recording.playback import reel, stored
from h5sup.recording.playback.opener import RecordedPlaybacks
from h5sup.recording.playback.player import Player
from h5sup.recording.playback.stored import READ_BYTES
from tests.fakes.mp4 import PICTURE, build_init
from tests.fakes.recordings import BEGIN_US, PICTURE_US, SECOND_US, Scene, Shelf, Strict
from tests.fakes.virtual_time import run_virtually


class Rig:
    """A playback and who watches it."""

    def __init__(self, player: Player) -> None:
        self.player = player
        self.viewer = Strict()
        self.loop = asyncio.get_running_loop()

    async def play(self, seconds: float) -> None:
        """Take what comes for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self.to_end()
        except TimeoutError:
            pass

    async def to_end(self) -> None:
        while item := await self.player.next():
            self.viewer.take(item)
            if isinstance(item, Position) and item.is_end:
                return


def play(shelf: Shelf, work: Callable[[Rig], Awaitable[None]], **wanted: object) -> Rig:
    """Open a playback of all there is and do something with it."""

    async def run() -> Rig:
        end_us = max(one.end_us for one in shelf.kept)
        asked = {"begin": from_us(BEGIN_US), "end": from_us(end_us)} | wanted
        playbacks = RecordedPlaybacks(shelf, shelf.root, limit=1, wall=lambda: from_us(BEGIN_US))
        try:
            player = await playbacks.open(PlaybackRequest(token="front", **asked))  # type: ignore[arg-type]
            rig = Rig(player)
            await work(rig)
        finally:
            await playbacks.close()
        return rig

    return run_virtually(run())


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def at_of(number: int) -> int:
    return BEGIN_US + number * PICTURE_US


async def start_and_end(rig: Rig) -> None:
    rig.player.start()
    await rig.to_end()


def test_files_that_follow_each_other_play_as_one(shelf: Shelf) -> None:
    scene = Scene()
    for _ in range(3):
        shelf.record(scene, (25, 25))
    began = ended = 0.0

    async def work(rig: Rig) -> None:
        nonlocal began, ended
        began = rig.loop.time()
        await start_and_end(rig)
        ended = rig.loop.time()

    rig = play(shelf, work)
    assert rig.viewer.numbers == list(range(150))
    assert ended - began == pytest.approx(6.0)
    assert set(rig.viewer.sounds) == set(b"n")
    assert rig.viewer.end_s == pytest.approx(6.0)
    assert len(rig.viewer.inits) == 1
    times = [round((to_us(one.at) - BEGIN_US) / SECOND_US, 2) for one in rig.viewer.positions]
    assert times == [0, 1, 2, 3, 4, 5, 6]
    assert [one.is_end for one in rig.viewer.positions] == [False] * 6 + [True]


def test_a_seek_shows_the_asked_picture_on_a_timeline_that_goes_on(shelf: Shelf) -> None:
    shelf.record(Scene(), (25,) * 10)

    async def work(rig: Rig) -> None:
        rig.player.start()
        await rig.play(1.0)
        rig.player.seek(7.5)
        await rig.play(0.5)
        rig.player.move_to(from_us(at_of(30)))
        await rig.to_end()

    rig = play(shelf, work)
    shown = rig.viewer.shown
    cut = shown.index(187)
    assert shown[:cut] == list(range(cut))
    again = shown.index(30, cut)
    assert shown[cut:again] == list(range(187, 187 + again - cut))
    assert shown[again:] == list(range(30, 250))


def test_where_a_jump_lands_is_told_with_its_place_on_the_timeline(shelf: Shelf) -> None:
    shelf.record(Scene(), (25,) * 10)

    async def work(rig: Rig) -> None:
        rig.player.start()
        await rig.play(1.5)
        rig.player.seek(7.5)
        await rig.play(0.01)

    told = play(shelf, work).viewer
    position = told.positions[-1]
    assert to_us(position.at) == at_of(187)
    place = next(one for one in told.pictures if one.start_s == pytest.approx(position.media_s))
    assert place.number == 187


def test_every_position_names_the_picture_at_its_place(shelf: Shelf) -> None:
    shelf.record(Scene(), (25,) * 6, breaks=(2,))
    rig = play(shelf, start_and_end)
    places = {round(one.start_s, 3): one.number for one in rig.viewer.pictures}
    told = [
        (round((to_us(one.at) - BEGIN_US) / SECOND_US, 2), places[round(one.media_s or 0, 3)])
        for one in rig.viewer.positions
        if not one.is_end
    ]
    # the outage of 10 s comes before picture 50, and is told of before it is played over
    assert told[0] == (0.0, 0)
    assert (12.0, 50) in told
    assert all(at == number / 25 + (10 if number >= 50 else 0) for at, number in told)
    end = rig.viewer.positions[-1]
    assert end.is_end
    assert end.media_s == pytest.approx(rig.viewer.end_s)


def test_a_jump_counts_as_shown_at_once(shelf: Shelf) -> None:
    """A snapshot taken then is one of the picture that was asked for."""
    shelf.record(Scene(), (25,) * 10)
    shown: list[int] = []

    async def work(rig: Rig) -> None:
        rig.player.start()
        await rig.play(1.5)
        rig.player.pause()
        rig.player.seek(7.5)
        await rig.play(0.01)
        assert rig.player.shown is not None
        shown.append(rig.player.shown.at_us)

    play(shelf, work)
    assert shown == [at_of(187)]


@given(
    data=st.data(),
    audio=st.booleans(),
    gop=st.sampled_from([5, 25, 60]),
    shown_in=st.sampled_from([(0,), (1, 3, 0, 0)]),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_commanded_the_timeline_has_no_hole(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    audio: bool,
    gop: int,
    shown_in: tuple[int, ...],
) -> None:
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    scene = Scene(audio=audio, shown_in=shown_in)
    shelf.record(scene, (gop,) * 4, breaks=(2,))
    scene.skip(70)
    shelf.record(scene, (gop, 3, gop))
    shelf.record(Scene.after(scene, audio=not audio, shown_in=shown_in), (gop,) * 3)

    async def work(rig: Rig) -> None:
        rig.player.start()
        for _ in range(data.draw(st.integers(1, 8))):
            match data.draw(st.sampled_from(["play", "seek", "speed", "pause", "resume", "move"])):
                case "seek":
                    rig.player.seek(data.draw(st.floats(-5, 40)))
                case "move":
                    rig.player.move_to(from_us(at_of(data.draw(st.integers(-50, 900)))))
                case "speed":
                    rig.player.set_speed(data.draw(st.floats(0.5, 16)))
                case "pause":
                    rig.player.pause()
                case "resume":
                    rig.player.resume()
                case _:
                    pass
            await rig.play(data.draw(st.sampled_from([0.05, 0.4, 2.0])))
        rig.player.resume()
        rig.player.seek(data.draw(st.floats(-5, 40)))
        await rig.to_end()

    rig = play(shelf, work)
    assert rig.viewer.positions[-1].is_end
    assert rig.player.has_sound
    assert abs(rig.viewer.audio_end_s - rig.viewer.end_s) < 0.1


def test_a_gap_is_skipped_and_told(shelf: Shelf) -> None:
    scene = Scene()
    shelf.record(scene, (25, 25), breaks=(1,))
    scene.skip(500)
    shelf.record(scene, (25,))
    rig = play(shelf, start_and_end)
    assert rig.viewer.numbers == [*range(50), *range(550, 575)]
    assert rig.viewer.end_s == pytest.approx(3.0)
    told = [round((to_us(one.at) - BEGIN_US) / SECOND_US, 2) for one in rig.viewer.positions]
    assert {0, 11, 22, 23} <= set(told)
    assert set(rig.viewer.sounds) == set(b"n")


def test_a_range_begins_and_ends_where_it_was_asked_to(shelf: Shelf) -> None:
    shelf.record(Scene(), (25,) * 4)
    rig = play(shelf, start_and_end, begin=from_us(at_of(30)), end=from_us(at_of(60)))
    assert rig.viewer.shown == list(range(30, 60))
    assert rig.viewer.numbers[0] == 25
    assert to_us(rig.viewer.positions[-1].at) == at_of(60)


def test_a_range_that_begins_in_a_gap_begins_with_the_next_picture(shelf: Shelf) -> None:
    scene = Scene()
    scene.skip(100)
    shelf.record(scene, (25,))
    rig = play(shelf, start_and_end)
    assert rig.viewer.numbers == list(range(100, 125))
    assert to_us(rig.viewer.positions[0].at) == at_of(100)


def test_all_files_of_a_recording_play_by_its_name(shelf: Shelf) -> None:
    scene = Scene()
    shelf.record(scene, (25,), recording="party.mp4")
    shelf.record(scene, (25,))
    shelf.record(scene, (25,), recording="party.mp4")

    async def work(rig: Rig) -> None:
        await start_and_end(rig)
        rig.player.seek(2.5)  # from the first file's beginning
        await rig.to_end()

    rig = play(shelf, work, begin=None, end=None, filename="party.mp4")
    assert rig.viewer.shown == [*range(25), *range(50, 75), *range(62, 75)]


def test_what_was_recorded_twice_at_once_is_played_once(shelf: Shelf) -> None:
    always, manual = Scene(), Scene()
    shelf.record(always, (25,) * 2)
    manual.skip(40)
    shelf.record(manual, (25,) * 3)  # 40 to 115
    shelf.record(always, (25,) * 4)  # 50 to 150
    rig = play(shelf, start_and_end)
    assert rig.viewer.shown == list(range(150))


@pytest.mark.parametrize(("speed", "long_s"), [(0.5, 0.08), (2.0, 0.02), (1.5, 0.04 / 1.5)])
def test_a_speed_divides_durations_and_lays_silence(
    shelf: Shelf, speed: float, long_s: float
) -> None:
    shelf.record(Scene(), (25,) * 6)

    async def work(rig: Rig) -> None:
        rig.player.set_speed(speed)
        began = rig.loop.time()
        await start_and_end(rig)
        assert rig.loop.time() - began == pytest.approx(6 / speed, abs=0.01)

    rig = play(shelf, work)
    assert rig.viewer.numbers == list(range(150))
    tick_s = 1.01 / 12_800
    assert all(abs(one.duration_s - long_s) <= tick_s for one in rig.viewer.pictures)
    assert rig.viewer.end_s == pytest.approx(6 / speed, abs=0.001)
    assert set(rig.viewer.sounds) == set(b"s")
    assert rig.viewer.audio_end_s == pytest.approx(rig.viewer.end_s, abs=0.03)


def test_back_at_speed_1_sound_is_where_it_belongs(shelf: Shelf) -> None:
    shelf.record(Scene(), (25,) * 8)

    async def work(rig: Rig) -> None:
        rig.player.start()
        await rig.play(1.0)
        rig.player.set_speed(2.0)
        await rig.play(1.0)
        rig.player.set_speed(1.0)
        await rig.to_end()

    rig = play(shelf, work)
    kinds = re.sub(r"(.)\1+", r"\1", rig.viewer.sounds.decode())
    assert kinds == "nsn"
    assert rig.viewer.audio_end_s == pytest.approx(rig.viewer.end_s, abs=0.03)


def test_from_speed_4_key_pictures_alone_keep_the_pace(shelf: Shelf) -> None:
    shelf.record(Scene(picture_bytes=1000), (25,) * 32)

    async def work(rig: Rig) -> None:
        rig.player.set_speed(16)
        began = rig.loop.time()
        await start_and_end(rig)
        assert rig.loop.time() - began == pytest.approx(2.0, abs=0.05)

    rig = play(shelf, work)
    assert rig.viewer.numbers == list(range(0, 800, 25))
    assert all(one.is_key for one in rig.viewer.pictures)


def test_few_small_pictures_are_all_sent_at_speed_4(shelf: Shelf) -> None:
    shelf.record(Scene(ticks=5 * PICTURE), (5,) * 16)  # 5 a second

    async def work(rig: Rig) -> None:
        rig.player.set_speed(4)
        await start_and_end(rig)

    assert play(shelf, work).viewer.numbers == list(range(80))


def test_large_key_pictures_are_thinned_to_what_networks_carry(shelf: Shelf) -> None:
    shelf.record(Scene(picture_bytes=60_000), (5,) * 64)  # keys of 300 kB each 0.2 s

    async def work(rig: Rig) -> None:
        rig.player.set_speed(16)
        await start_and_end(rig)

    rig = play(shelf, work)
    assert len(rig.viewer.media) * 8 / rig.viewer.end_s < 14_000_000
    assert 2 <= len(rig.viewer.pictures) <= 12
    assert rig.viewer.end_s == pytest.approx(0.8, abs=0.01)


def test_slowing_down_from_16_shows_every_picture_again(shelf: Shelf) -> None:
    shelf.record(Scene(), (25,) * 60)

    async def work(rig: Rig) -> None:
        rig.player.set_speed(16)
        rig.player.start()
        await rig.play(1.0)
        rig.player.set_speed(1)
        await rig.play(3.0)

    numbers = play(shelf, work).viewer.numbers
    keys = [one for one in numbers if one % 25 == 0]
    last_fast = max(a for a, b in itertools.pairwise(numbers) if b - a == 25)
    slow = numbers[numbers.index(last_fast) + 1 :]
    assert len(keys) > 16
    assert slow == list(range(slow[0], slow[-1] + 1))
    assert len(slow) > 60


def test_a_pause_stands_still_and_a_seek_in_it_shows_the_picture(shelf: Shelf) -> None:
    shelf.record(Scene(), (25,) * 10)

    async def work(rig: Rig) -> None:
        rig.player.start()
        await rig.play(1.0)
        rig.player.pause()
        await rig.play(5.0)
        stood = len(rig.viewer.pictures)
        await rig.play(5.0)
        assert len(rig.viewer.pictures) == stood <= 34
        told = len(rig.viewer.positions)
        rig.player.seek(6.0)
        await rig.play(5.0)
        assert rig.viewer.shown[-1] == 150
        assert len(rig.viewer.positions) == told + 1
        assert rig.player.shown is not None
        assert rig.player.shown.at_us == at_of(150)
        rig.player.resume()
        await rig.play(1.0)
        assert 170 < rig.viewer.shown[-1] < 190

    play(shelf, work)


def test_after_the_end_a_seek_leads_back(shelf: Shelf) -> None:
    shelf.record(Scene(), (25,) * 2)

    async def work(rig: Rig) -> None:
        await start_and_end(rig)
        await rig.play(60.0)  # nothing more
        rig.player.seek(1.0)
        await rig.to_end()
        rig.player.seek(99.0)  # beyond the end: at the end
        await rig.to_end()

    rig = play(shelf, work)
    assert rig.viewer.shown[:75] == [*range(50), *range(25, 50)]
    assert [one.is_end for one in rig.viewer.positions].count(True) == 3
    assert rig.viewer.numbers[-1] == 49


def test_a_growing_file_plays_on_into_what_is_recorded_meanwhile(shelf: Shelf) -> None:
    scene = Scene()
    shelf.record(scene, (25,))
    tape = shelf.begin(scene)
    tape.add()

    async def work(rig: Rig) -> None:
        rig.player.start()
        for _ in range(4):
            await rig.play(1.0)
            tape.add()
        await rig.play(1.0)
        tape.finish()
        other = shelf.begin(scene)
        other.add()
        await rig.play(2.0)
        other.finish()
        await rig.to_end()

    rig = play(shelf, work, end=from_us(at_of(10_000)))
    assert rig.viewer.numbers == list(range(175))


def test_a_file_that_has_just_begun_has_nothing_to_play(shelf: Shelf) -> None:
    shelf.begin(Scene())
    with pytest.raises(UnavailableError, match="has just begun"):
        play(shelf, start_and_end, end=from_us(at_of(100)))


def test_a_file_that_retention_deletes_plays_to_its_end_and_the_next_follows(
    shelf: Shelf,
) -> None:
    scene = Scene()
    files = [shelf.record(scene, (25,) * 4) for _ in range(4)]

    async def work(rig: Rig) -> None:
        rig.player.start()
        await rig.play(1.0)
        for file in files[:2]:
            (shelf.root / file.path).unlink()
        shelf.kept = files[1:]  # one that is gone and still in the index
        await rig.to_end()

    numbers = play(shelf, work).viewer.numbers
    assert numbers == [*range(100), *range(200, 400)]


def test_what_is_damaged_is_passed_over(shelf: Shelf) -> None:
    scene = Scene()
    files = [shelf.record(scene, (25,) * 3) for _ in range(4)]
    (shelf.root / files[0].path).write_bytes(b"no recording" * 20)
    path = shelf.root / files[1].path
    data = path.read_bytes()
    at = [found.start() for found in re.finditer(b"moof", data)][30] - 4
    path.write_bytes(data[:at] + b"\xff" * 40 + data[at + 40 :])
    (shelf.root / files[2].path).chmod(0)
    rig = play(shelf, start_and_end)
    assert rig.viewer.numbers[-75:] == list(range(225, 300))
    assert {*range(75, 100), *range(125, 150)} <= set(rig.viewer.numbers)


def test_another_size_needs_another_init_segment_and_goes_on(shelf: Shelf) -> None:
    scene = Scene()
    shelf.record(scene, (25,))
    wide = Scene.after(
        scene, init=build_init().replace(pack(">HH", 640, 360), pack(">HH", 1280, 720))
    )
    shelf.record(wide, (25,))
    rig = play(shelf, start_and_end)
    assert rig.viewer.numbers == list(range(50))
    sizes = [one.video.width for one in rig.viewer.inits if one.video]
    assert sizes == [640, 1280]
    assert {one.codecs for one in rig.viewer.inits} == {"avc1.4D002A, mp4a.40.2"}


@pytest.mark.parametrize("first", [True, False])
def test_a_file_without_sound_among_others_is_silent(shelf: Shelf, first: bool) -> None:
    scene = Scene(audio=first)
    shelf.record(scene, (25,) * 2)
    shelf.record(Scene.after(scene, audio=not first), (25,) * 2)
    rig = play(shelf, start_and_end)
    assert rig.player.mime.endswith(', mp4a.40.2"')
    assert len({one.codecs for one in rig.viewer.inits}) == 1
    kinds = re.sub(r"(.)\1+", r"\1", rig.viewer.sounds.decode())
    assert kinds == ("ns" if first else "sn")
    assert rig.viewer.audio_end_s == pytest.approx(rig.viewer.end_s, abs=0.03)


def test_memory_is_bounded_by_pieces_however_long_a_gop_is(shelf: Shelf) -> None:
    shelf.record(Scene(picture_bytes=20_000), (250,))

    async def work(rig: Rig) -> None:
        rig.player.start()
        await rig.play(2.0)
        assert rig.player.waiting_bytes < 3 * READ_BYTES
        rig.player.seek(9.0)
        await rig.play(0.3)
        assert rig.player.waiting_bytes < 3 * READ_BYTES
        assert 225 in rig.viewer.shown

    play(shelf, work)


def test_a_disk_that_does_not_answer_ends_the_playback(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene()
    for _ in range(2):
        shelf.record(scene, (25,) * 4)
    hung = threading.Event()

    def hang(*_: object) -> None:
        hung.wait(5)
        raise OSError

    async def work(rig: Rig) -> None:
        rig.player.start()
        await rig.play(1.0)
        monkeypatch.setattr(stored, "open_file", hang)
        monkeypatch.setattr(reel, "READ_TIMEOUT_S", 0.05)
        rig.loop.jobs = -99  # type: ignore[attr-defined]  # time goes on though a thread hangs
        try:
            with pytest.raises(UnavailableError, match="does not answer"):
                await rig.to_end()
        finally:
            hung.set()

    play(shelf, work)


def test_what_is_known_of_a_growing_file_is_not_looked_for_again(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    tape = shelf.begin(Scene())
    for _ in range(40):
        tape.add(5)
    known = stored.open_file(shelf.root, tape.file)
    known.close()
    at_that_time = tape.file
    tape.add(5)
    ahead = stored.open_file(shelf.root, tape.file)
    ahead.close()
    reads: list[int] = []
    pread = os.pread

    def count(fd: int, size: int, at: int) -> bytes:
        reads.append(at)
        return pread(fd, size, at)

    monkeypatch.setattr(os, "pread", count)
    found = stored.open_file(shelf.root, at_that_time, ahead.movie)  # one GOP is not synced yet
    found.close()
    assert list(found.movie.gops) == list(known.movie.gops)
    assert len(reads) < 40
