"""What a reel reads, and when it is told to go elsewhere."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from h5sup.recording.playback.programme import Programme
from h5sup.recording.playback.reel import Reel
from h5sup.recording.playback.supply import Edge, Piece
from tests.fakes.recordings import BEGIN_US, PICTURE_US, Scene, Shelf


async def next_piece(reel: Reel, ready: asyncio.Event) -> Piece:
    """Return the next piece, however often a reading comes to nothing."""
    async with asyncio.timeout(5):
        while True:
            ready.clear()
            found = reel.take()
            assert not isinstance(found, Edge)
            if found is not None:
                return found
            await ready.wait()


@pytest.mark.parametrize("turns", range(4))
async def test_a_seek_is_not_lost_however_far_the_reading_before_it_is(
    turns: int, tmp_path: Path
) -> None:
    """A reading that begins after the seek goes there, but is taken for one from before."""
    shelf = Shelf(tmp_path)
    shelf.record(Scene(), (25,) * 10)
    ready, threads = asyncio.Event(), ThreadPoolExecutor(1)
    reel = Reel(Programme(shelf, "front", begin_us=BEGIN_US), tmp_path, threads, ready.set)
    try:
        assert (await next_piece(reel, ready)).number == 0  # the next one is being read now
        for _ in range(turns):
            await asyncio.sleep(0)
        reel.seek(BEGIN_US + 180 * PICTURE_US)
        piece = await next_piece(reel, ready)
        assert (piece.number, piece.land_us) == (7, BEGIN_US + 180 * PICTURE_US)
        assert (await next_piece(reel, ready)).number == 8
    finally:
        await reel.close()
        await asyncio.to_thread(threads.shutdown)
