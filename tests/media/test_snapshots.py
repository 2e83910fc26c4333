"""Snapshots of real media: the very picture that is asked for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from h5sup.base.clock import from_us
from h5sup.bus.channel import Channel
from h5sup.bus.playback import PlaybackRequest, Played, Position
from h5sup.ffmpeg.process import Launcher
from h5sup.ffmpeg.tools import Tools
from h5sup.formats.isobmff.fragment import parse_fragment
from h5sup.formats.isobmff.gop_table import StoredGop
from h5sup.formats.isobmff.reader import SegmentReader
from h5sup.formats.isobmff.stored import StoredMovie, read_movie
from h5sup.outputs.picture.pictures import Pictures
from h5sup.recording.playback.opener import RecordedPlaybacks
from h5sup.recording.playback.stored import Opened
from h5sup.recording.still import read_still
from h5sup.store.media_index import MediaIndex
from tests.fakes.clips import Clips, decode_frame_indexes
from tests.fakes.mediastore import Mediastore
from tests.fakes.recorded import BEGIN_US, reader_of

PICTURE_US = 40_000

pytestmark = pytest.mark.media


class NoChannels:
    """Nothing is live here."""

    def find_channel(self, token: str) -> Channel:
        raise AssertionError(token)


@dataclass(frozen=True)
class Spot:
    """Where a playback stands."""

    at_us: int
    source: Opened
    gop: StoredGop


def delay_of(data: bytes, gop: StoredGop, movie: StoredMovie) -> int:
    """Return by how many pictures the key picture is shown later than it is decoded."""
    _, key = movie.init, SegmentReader().feed(data[gop.offset : gop.offset + gop.size])[0]
    run = parse_fragment(key, movie.init).video
    assert run is not None
    return run.samples[0].cts_offset // run.samples[0].duration


def picture_maker(ffmpeg: str) -> Pictures:
    launcher = Launcher("test-snapshots", spawns_per_s=100, burst=100)
    return Pictures(NoChannels(), launcher, Tools(ffmpeg, "ffprobe", (5, 1)))


@pytest.mark.parametrize("clip", ["h264_aac", "h264_bframes", "hevc_aac"])
async def test_a_playbacks_snapshot_is_the_picture_on_the_screen(
    clip: str, clips: Clips, tmp_path: Path, ffmpeg: str
) -> None:
    store, root = Mediastore(tmp_path, ffmpeg), tmp_path / "mediastore"
    file = await asyncio.to_thread(store.record, clips[clip], from_us(BEGIN_US), token="cam")
    data = await asyncio.to_thread((root / file.path).read_bytes)
    movie = read_movie(reader_of(data), len(data))
    pictures = picture_maker(ffmpeg)
    gop = movie.gops[2]
    first = round((gop.wall_us - movie.gops[0].wall_us) / PICTURE_US)
    delay = delay_of(data, gop, movie)
    assert (delay > 0) is (clip == "h264_bframes")
    for behind in (0, 11, 24):
        spot = Spot(gop.wall_us + behind * PICTURE_US, Opened(file, movie, fd=-1), gop)
        still = await asyncio.to_thread(read_still, root, spot)
        jpeg = await pictures.draw("cam", still.media, still.number)
        assert jpeg is not None
        shown = await asyncio.to_thread(decode_frame_indexes, jpeg, ffmpeg)
        assert shown == [first + max(0, behind - delay)]
    await pictures.close()


async def test_where_a_viewer_stands_is_what_is_kept(
    clips: Clips, tmp_path: Path, ffmpeg: str
) -> None:
    store, root = Mediastore(tmp_path, ffmpeg), tmp_path / "mediastore"
    file = await asyncio.to_thread(store.record, clips["h264_aac"], from_us(BEGIN_US), token="cam")
    await store.close()
    index = MediaIndex(tmp_path / "data")
    await index.open()
    playbacks = RecordedPlaybacks(index, root, limit=1)
    pictures = picture_maker(ffmpeg)
    player = await playbacks.open(PlaybackRequest(token="cam", filename=file.filename))
    try:
        assert playbacks.find(player.id) is player
        player.start()
        player.pause()
        for picture in (79, 3, 150):
            player.seek((picture + 0.5) / 25)
            async with asyncio.timeout(10):
                item = await player.next()
                while not isinstance(item, Position):
                    item = await player.next()
                assert isinstance(await player.next(), Played)
                while (
                    spot := player.shown
                ) is None or spot.at_us != BEGIN_US + picture * PICTURE_US:
                    await asyncio.sleep(0.005)  # it comes a little before it is seen
            still = await asyncio.to_thread(read_still, root, spot)
            jpeg = await pictures.draw("cam", still.media, still.number)
            assert jpeg is not None
            assert await asyncio.to_thread(decode_frame_indexes, jpeg, ffmpeg) == [picture]
    finally:
        await playbacks.close()
        await pictures.close()
        await index.close()
