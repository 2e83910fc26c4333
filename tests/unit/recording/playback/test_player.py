"""Playing what was recorded, picture by picture, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from h5sup.base.clock import from_us, to_us
from h5sup.bus.playback import PlaybackRequest
from h5sup.recording.playback.opener import RecordedPlaybacks
from h5sup.recording.playback.player import Player
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
            if self.viewer.positions and self.viewer.positions[-1].is_end:
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
