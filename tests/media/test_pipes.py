"""Pipes between h5sup and ffmpeg: read at once while watched, gathered while not."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from unittest.mock import MagicMock

import pytest

from h5sup.bus.channel import Channel
from h5sup.sources import idle, pipes
from h5sup.sources.attempts import FeedAttempt
from h5sup.sources.pipes import PipeReader, open_pipe

LONG_S = 3600.0
SOON_S = 2.0

Pipe = tuple[int, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    ends = open_pipe()
    yield ends
    for fd in ends:
        with suppress(OSError):
            os.close(fd)


async def wait_for(chunks: list[bytes], wanted: bytes) -> None:
    async with asyncio.timeout(SOON_S):
        while b"".join(chunks) != wanted:
            await asyncio.sleep(0.005)


async def test_what_is_watched_is_read_as_it_comes(pipe: Pipe) -> None:
    chunks: list[bytes] = []
    reader = PipeReader(pipe[0], chunks.append)
    reader.set_watched(True)
    for text in (b"one", b"two"):
        os.write(pipe[1], text)
        await wait_for(chunks, text)
        chunks.clear()
    reader.close()


async def test_what_nobody_watches_gathers_until_somebody_does(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipes, "IDLE_S", LONG_S)
    chunks: list[bytes] = []
    reader = PipeReader(pipe[0], chunks.append)
    reader.set_watched(False)
    whole = bytes(300_000)
    os.write(pipe[1], whole)
    await asyncio.sleep(0.05)
    assert chunks == []
    reader.set_watched(True)
    assert b"".join(chunks) == whole  # at once: whoever joins starts with the newest GOP
    reader.close()


async def test_what_nobody_watches_is_read_now_and_then(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipes, "IDLE_S", 0.02)
    chunks: list[bytes] = []
    reader = PipeReader(pipe[0], chunks.append)
    reader.set_watched(False)
    os.write(pipe[1], b"a")
    await wait_for(chunks, b"a")
    os.write(pipe[1], b"b")
    await wait_for(chunks, b"ab")
    reader.close()


@pytest.mark.parametrize("is_watched", [True, False])
async def test_the_end_of_the_writer_closes_the_reader(
    pipe: Pipe, is_watched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipes, "IDLE_S", 0.02)
    chunks: list[bytes] = []
    reader = PipeReader(pipe[0], chunks.append)
    reader.set_watched(is_watched)
    os.write(pipe[1], b"last")
    os.close(pipe[1])
    async with asyncio.timeout(SOON_S):
        while is_open(pipe[0]):
            await asyncio.sleep(0.005)
    assert chunks == [b"last"]
    reader.set_watched(True)  # harmless afterwards
    reader.close()


async def test_a_small_pipe_is_never_left_to_fill(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipes, "IDLE_S", LONG_S)
    fcntl.fcntl(pipe[0], fcntl.F_SETPIPE_SZ, 65_536)
    chunks: list[bytes] = []
    reader = PipeReader(pipe[0], chunks.append)
    reader.set_watched(False)
    os.write(pipe[1], b"quick")
    await wait_for(chunks, b"quick")
    reader.close()


async def test_a_reader_may_be_closed_by_what_it_hands_on(pipe: Pipe) -> None:
    """Damaged media ends the reading, also in the middle of a batch."""
    chunks: list[bytes] = []

    def take(chunk: bytes) -> None:
        chunks.append(chunk)
        reader.close()

    reader = PipeReader(pipe[0], take)
    os.write(pipe[1], bytes(400_000))
    reader.set_watched(False)
    assert len(chunks) == 1
    assert not is_open(pipe[0])


def test_all_sources_wake_in_the_same_moment() -> None:
    assert {idle.next_tick(now, 0.25) for now in (10.0, 10.1, 10.2499)} == {10.25}
    assert idle.next_tick(10.25, 0.25) == 10.5


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


async def test_what_a_process_wrote_last_is_taken_when_it_is_gone(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipes, "IDLE_S", LONG_S)
    chunks: list[bytes] = []
    feed = MagicMock(channel=Channel("front", "main", "copy", gop_bytes=1))
    attempt = FeedAttempt(feed, MagicMock())
    attempt._reader = PipeReader(pipe[0], chunks.append)
    attempt._reader.set_watched(False)
    os.write(pipe[1], b"the thief's face")
    await attempt.close()
    assert chunks == [b"the thief's face"]
