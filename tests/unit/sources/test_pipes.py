"""Pipes with a real other end: one that is slow, one that leaves, one that ends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from h5sup.bus.channel import Channel
from h5sup.bus.ingest import Ingest
from h5sup.formats.isobmff.fragment import parse_fragment
from h5sup.formats.isobmff.reader import SegmentReader, is_init
from h5sup.sources.bus_feeder import BusFeeder
from h5sup.sources.pipes import PIPE_BYTES, PipeReader, PipeWriter, open_pipe
from tests.fakes.mp4 import Camera


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


def drain(fd: int) -> bytes:
    """Return what is in the pipe now."""
    os.set_blocking(fd, False)
    found = bytearray()
    try:
        while chunk := os.read(fd, 1 << 20):
            found += chunk
    except BlockingIOError:
        pass
    return bytes(found)


async def test_reader_hands_on_what_comes_and_closes_at_the_end() -> None:
    read_fd, write_fd = open_pipe()
    taken = bytearray()
    reader = PipeReader(read_fd, taken.extend)
    os.write(write_fd, b"first")
    await until(lambda: taken == b"first")
    os.write(write_fd, b"last")
    os.close(write_fd)
    await until(lambda: reader._fd < 0)
    assert taken == b"firstlast"
    reader.close()


async def test_writer_keeps_what_a_slow_reader_has_not_taken_in_order() -> None:
    read_fd, write_fd = open_pipe()
    writer = PipeWriter(write_fd, 10 * PIPE_BYTES)
    blocks = [bytes([number]) * 300_000 for number in range(12)]
    for block in blocks:
        writer.write(block)
    assert writer.pending_bytes > PIPE_BYTES
    assert writer.has_room(1)
    assert not writer.has_room(10 * PIPE_BYTES)
    taken = bytearray()
    PipeReader(read_fd, taken.extend)
    await until(lambda: not writer.pending_bytes)
    writer.close()
    await until(lambda: len(taken) == 12 * 300_000)
    assert taken == b"".join(blocks)
    writer.close()
    writer.write(b"too late")
    assert writer.pending_bytes == 0


async def test_writer_notices_a_reader_that_is_gone() -> None:
    read_fd, write_fd = open_pipe()
    writer = PipeWriter(write_fd, PIPE_BYTES)
    os.close(read_fd)
    writer.write(b"nobody reads")
    assert writer.is_closed
    assert writer.pending_bytes == 0


async def test_a_job_that_can_not_keep_up_loses_whole_gops() -> None:
    channel, camera = Channel("front", "main", "copy", gop_bytes=8_000_000), Camera()
    ingest = Ingest(channel)

    def play(count: int) -> None:
        for number in range(count):
            big = camera.fragment(key=not number % 10, sounds=[1024] * 2, picture_bytes=60_000)
            ingest.feed(big, asyncio.get_running_loop().time())

    ingest.open()
    ingest.feed(camera.data, 0.0)
    play(12)
    read_fd, write_fd = open_pipe()
    writer = PipeWriter(write_fd, 500_000)
    feeder = BusFeeder(channel, writer)
    play(100)
    assert feeder.dropped_fragments > 50
    taken = drain(read_fd)
    await until(lambda: not writer.pending_bytes)
    play(30)
    await asyncio.sleep(0)
    taken += drain(read_fd)
    channel.end("the source has stopped")
    assert writer.is_closed
    feeder.close()

    assert channel.viewers == 0
    segments = list(SegmentReader().feed(taken + drain(read_fd)))
    os.close(read_fd)
    assert is_init(segments[0])
    runs = [parse_fragment(one, camera.init).video for one in segments[1:]]
    expected = None
    for run in filter(None, runs):
        assert run.dts == expected or run.has_sync_sample
        expected = run.dts + run.duration


async def test_a_job_waits_for_a_key_frame_where_none_is_kept() -> None:
    channel, camera = Channel("front", "main", "copy", gop_bytes=8_000_000), Camera()
    ingest = Ingest(channel)
    ingest.open()
    for data in (camera.data, *camera.gop()):
        ingest.feed(data, 0.0)
    channel.cache.clear()
    read_fd, write_fd = open_pipe()
    feeder = BusFeeder(channel, PipeWriter(write_fd, PIPE_BYTES))
    ingest.feed(camera.fragment(), 0.0)
    for data in camera.gop():
        ingest.feed(data, 0.0)
    feeder.close()
    first = list(SegmentReader().feed(drain(read_fd)))[1]
    os.close(read_fd)
    run = parse_fragment(first, camera.init).video
    assert run is not None
    assert run.has_sync_sample
    assert feeder.dropped_fragments == 1
