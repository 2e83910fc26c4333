"""One archive being made: an ffmpeg that is fed from the files and tells how far it is."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from h5sup.base.errors import H5supError, UnavailableError
from h5sup.ffmpeg.archive_command import build_copy, build_encoding
from h5sup.ffmpeg.process import CHUNK_BYTES, ERROR_LINES, Child, Launcher
from h5sup.ffmpeg.tools import Tools
from h5sup.formats.isobmff.recorded import video_track
from h5sup.recording.archive.feed import NO_ROOM, ROOM_WAIT_S, Feed, Measure
from h5sup.recording.archive.plan import Plan, Way

T = TypeVar("T")

# Without a word of ffmpeg, which tells its progress twice a second while it is fed.
STALL_S = ROOM_WAIT_S + 30.0
TAIL_BYTES = 200  # of what was read of the progress: more than one figure
DONE_AT = re.compile(rb"out_time_us=(\d+)\s")
FOLDER_MODE = 0o750
DELETED = "its file was deleted while it was made"


@dataclass(frozen=True, slots=True)
class Studio:
    """What all jobs need."""

    root: Path
    """Where mediastore lies."""
    tools: Tools
    launcher: Launcher
    threads: Executor
    """For files."""
    require: Callable[[], None]
    """Raises OSError when the disk of the recordings is away."""
    floor_bytes: int
    """What stays free on the disk: below that, what is recorded would have no room."""


class Job:
    """Makes one archive. `run()` is called once; cancelling it leaves nothing behind."""

    def __init__(self, studio: Studio, plan: Plan, path: str) -> None:
        self.percent = 1
        self.size_bytes = 0
        """Of the finished file, once it has its name."""
        self._studio = studio
        self._plan = plan
        self._target = studio.root / path
        self._part = part_of(self._target)
        keys_speed = plan.speed if plan.way is Way.KEYS else 0
        self._feeds = [
            Feed(studio.root, part, keys_speed=keys_speed, floor_bytes=studio.floor_bytes)
            for part in plan.parts
        ]
        self._lines: list[str] = []

    async def run(self) -> None:
        """Make it; raises UnavailableError with what went wrong."""
        try:
            await self._in_thread(self._prepare)
            await self._make()
            await self._in_thread(self._finish)
        except OSError as error:
            raise UnavailableError(explain_os(error)) from error
        except H5supError as error:
            raise UnavailableError(str(error)) from error
        finally:
            await self._in_thread(self._clean)

    def _prepare(self) -> None:
        self._studio.require()  # or its folders would be made on the disk below
        self._target.parent.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        self._part.touch(0o640)

    async def _make(self) -> None:
        measures = [await self._in_thread(feed.measure) for feed in self._feeds]
        pipes = [os.pipe() for _ in measures]
        argv = self._build(measures, [reading for reading, _ in pipes])
        pouring = [writing for _, writing in pipes]
        try:
            child = await self._studio.launcher.spawn(
                argv,
                pass_fds=[reading for reading, _ in pipes],
                stdout=asyncio.subprocess.PIPE,
                kind="archive",
            )
        except BaseException:
            for fd in pouring:
                os.close(fd)
            raise
        finally:
            for reading, _ in pipes:
                os.close(reading)
        total_s = sum(measure.duration_s for measure in measures)
        await self._attend(child, pouring, total_s / self._feed_speed)

    @property
    def _feed_speed(self) -> int:
        """How much faster than its feed the archive is; key pictures come fast already."""
        return 1 if self._plan.way is Way.KEYS else self._plan.speed

    def _build(self, measures: Sequence[Measure], fds: Sequence[int]) -> list[str]:
        tools, speed = self._studio.tools, self._feed_speed
        pipes = [measure.to_pipe(fd) for measure, fd in zip(measures, fds, strict=True)]
        if self._plan.way is not Way.ENCODE:
            return build_copy(tools, pipes[0], self._part, speed=speed)
        video = video_track(self._plan.parts[0].init)
        size = (video.width, video.height)
        return build_encoding(tools, pipes, self._part, speed=speed, size=size)

    async def _attend(self, child: Child, fds: Sequence[int], total_s: float) -> None:
        """Feed ffmpeg and listen to it, up to its end."""
        pouring = [
            asyncio.ensure_future(self._in_thread(partial(feed.pour, fd)))
            for feed, fd in zip(self._feeds, fds, strict=True)
        ]
        listening = asyncio.create_task(child.read_lines(self._keep))
        try:
            await self._follow(child, total_s)
            exit_code = await child.wait()
            await listening
        finally:
            for feed in self._feeds:
                feed.stop()
            listening.cancel()
            await child.stop(grace_s=0)
            child.close()
            await asyncio.gather(listening, return_exceptions=True)
            # with ffmpeg its ends of the pipes are gone, so that this ends at once
            ended = await asyncio.gather(*pouring, return_exceptions=True)
        for problem in ended:
            if isinstance(problem, BaseException):
                raise problem
        if exit_code != 0:
            raise UnavailableError(explain(self._lines, exit_code, self._part))

    async def _follow(self, child: Child, total_s: float) -> None:
        """Read how far ffmpeg is until it says no more; raises UnavailableError."""
        stdout = child.process.stdout
        assert stdout is not None
        text = b""
        while True:
            try:
                async with asyncio.timeout(STALL_S):
                    chunk = await stdout.read(CHUNK_BYTES)
            except TimeoutError:
                raise UnavailableError(f"ffmpeg made nothing for {STALL_S:g} s") from None
            if not chunk:
                return
            text += chunk
            told = DONE_AT.findall(text)
            if told:
                share = int(told[-1]) / 1_000_000 / total_s
                self.percent = max(self.percent, min(99, int(share * 100)))
            text = text[-TAIL_BYTES:]
            if not await self._in_thread(self._part.exists):
                raise UnavailableError(DELETED)

    def _clean(self) -> None:
        """Leave nothing of what was not finished."""
        self._part.unlink(missing_ok=True)
        clear_folders(self._target)

    def _finish(self) -> None:
        """Put the file where it belongs, whole or not at all."""
        fd = os.open(self._part, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
            size_bytes = os.fstat(fd).st_size
        finally:
            os.close(fd)
        self._part.rename(self._target)
        self.size_bytes = size_bytes
        folder = os.open(self._target.parent, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _keep(self, line: str) -> None:
        self._lines.append(line)
        del self._lines[:-ERROR_LINES]

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await in_thread(self._studio.threads, work)


async def in_thread(threads: Executor, work: Callable[[], T]) -> T:
    """Return what `work` returns; who is cancelled waits for its end all the same."""
    doing = asyncio.get_running_loop().run_in_executor(threads, work)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.gather(doing, return_exceptions=True)
        raise


def clear_folders(target: Path) -> None:
    """Delete the folders of an archive that is not there, if they are empty; blocks."""
    with suppress(OSError):  # it holds something
        for folder in target.parents[:2]:
            folder.rmdir()


def part_of(target: Path) -> Path:
    """Return where an archive lies until it is whole; no look-up finds such a name."""
    return target.with_name(f".{target.name}.part")


def find_parts(root: Path) -> set[Path]:
    """Return all archives below mediastore that are not whole; blocks."""
    return set((root / "archive").glob("*/*/*/.*.part"))


def delete_parts(parts: Iterable[Path]) -> None:
    """Delete what earlier runs left, as far as the disk allows; blocks."""
    for part in parts:
        with suppress(OSError):
            part.unlink()


def explain(lines: Sequence[str], exit_code: int, part: Path) -> str:
    """Return what ffmpeg said first, as the reason stands before its consequences; no folders."""
    if any("No space left on device" in line for line in lines):
        return NO_ROOM
    said = lines[0].replace(str(part), "the archive") if lines else f"exit code {exit_code}"
    return f"ffmpeg could not make it: {said}"


def explain_os(error: OSError) -> str:
    """Return what the disk said, without our folders."""
    if isinstance(error, FileNotFoundError):
        return DELETED
    return f"the disk of the recordings refuses: {error.strerror or error}"
