"""The disk that recordings go to: whether it may be written, and how much room it has.

Nothing is written when the disk is away, read-only or full; all of it passes by itself, and live
pictures need none of it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path

from h5sup.base.tasks import end_tasks, start_task
from h5sup.events.event import DiskLow
from h5sup.events.hub import Hub
from h5sup.recording.mounts import MountGuard

CHECK_S = 3.0
FIRST_LOOK_S = 2.0
ANSWER_S = 20.0  # a disk that sleeps takes ten to wake up
FOLDER_MODE = 0o750
MEGABYTE = 1_000_000
# What is left for closing the files that are being written, however fast others fill the disk.
LAST_BYTES = 16 * MEGABYTE
STEP_BYTES = MEGABYTE  # so much more than what shall stay free has to be there to go on
PROBE_NAME = ".h5sup-probe"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)

logger = logging.getLogger(__name__)


class State(Enum):
    """What the disk is like."""

    OK = "ok"
    FULL = "full"
    READ_ONLY = "read_only"
    """Nothing can be written, for whatever reason."""
    MISSING = "missing"
    """It is not mounted."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of the disk at one moment."""

    state: State
    sentence: str = ""
    """What is wrong and what to do, without a path: viewers see it. Empty when all is well."""
    free_bytes: int = 0
    total_bytes: int = 0


class Volume:
    """Looks at the disk from `start()` to `close()`. Owned by the RecordingService.

    Used from the loop; only `require()` is for threads.
    """

    def __init__(self, guard: MountGuard, hub: Hub, *, keep_free_bytes: int) -> None:
        self.folder = guard.folder
        self.keep_free_bytes = keep_free_bytes
        self.reserve_bytes = 0
        """What the files that grow will still need, as retention sees it."""
        self.is_exhausted = False
        """Retention has nothing left to delete."""
        self.on_return: Callable[[], None] = _ignore
        """Called when it can be written again after it could not: files may have been cut off."""
        self._guard = guard
        self._hub = hub
        self._look = Look(State.MISSING, "the disk was not looked at yet")
        self._was_seen = False
        self._failure: OSError | None = None
        self._has_looked = asyncio.Event()
        self._is_there = asyncio.Event()
        self._must_look = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="h5sup-volume")
        self._asked: asyncio.Future[Look] | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def state(self) -> State:
        """What the disk was like when it was last looked at."""
        return self._look.state

    @property
    def free_bytes(self) -> int:
        """How much is free for h5sup."""
        return self._look.free_bytes

    @property
    def total_bytes(self) -> int:
        """How large the disk is."""
        return self._look.total_bytes

    @property
    def wanted_bytes(self) -> int:
        """How much retention has to keep free, so that what is being written always fits."""
        return self.keep_free_bytes + max(self.reserve_bytes, 2 * self._step_bytes)

    @property
    def _step_bytes(self) -> int:
        return max(STEP_BYTES, self.keep_free_bytes // 20)

    def refusal(self) -> str:
        """Return why nothing may be written now, as one sentence; empty when it may."""
        return self._look.sentence

    def note_failure(self, error: OSError) -> None:
        """Learn that writing failed: nothing is written until it has been tried again."""
        self._must_look.set()
        if error.errno == errno.ENOENT:  # retention was faster, or somebody deletes by hand
            return
        self._failure = error
        self._see(_blame(error, self._look))

    def require(self) -> None:
        """Raise OSError when the disk is away; for the thread that is about to make a file."""
        if fault := self._guard.find_fault():
            raise OSError(errno.ENODEV, fault)

    async def wait_there(self) -> None:
        """Return once the disk is there and takes changes; it may be full."""
        await self._is_there.wait()

    async def start(self) -> None:
        """Look once, but for no longer than a start may take, and go on looking."""
        self._watching = start_task(self._watch(), "mediastore")
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK_S):
                await self._has_looked.wait()

    async def close(self) -> None:
        """Look no more."""
        await end_tasks(self._watching)
        self._thread.shutdown(wait=False)  # a disk that hangs would hold up the end

    async def check(self) -> None:
        """Look now."""
        failure = self._failure
        seen = await self._ask(must_probe=failure is not None)
        if self._failure is not failure:
            return  # what was learnt meanwhile is newer
        if seen.state is State.OK and self._is_full(seen):
            seen = _full(seen, self.keep_free_bytes)
        if seen.state is State.OK:
            self._failure = None
        self._see(seen)

    async def _ask(self, *, must_probe: bool) -> Look:
        """Have the disk looked at; one that hangs is asked once, and holds up nobody else."""
        if self._asked is None:
            work = partial(look, self._guard, must_probe=must_probe)
            self._asked = asyncio.get_running_loop().run_in_executor(self._thread, work)
        asked = self._asked  # whoever else waits for it may take it out meanwhile
        done, _ = await asyncio.wait({asked}, timeout=ANSWER_S)
        if not done:
            return Look(
                State.READ_ONLY,
                "the disk of paths.mediastore does not answer: nothing is recorded until it does; "
                "look at the disk, its cable, or the network it is reached by",
                *(self.free_bytes, self.total_bytes),
            )
        if self._asked is asked:
            self._asked = None
        return asked.result()

    async def _watch(self) -> None:
        await self.check()
        self._has_looked.set()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_S):
                    await self._must_look.wait()
            self._must_look.clear()
            await self.check()
            if self._failure is not None:  # or a failing disk would be tried without a pause
                await asyncio.sleep(CHECK_S)

    def _is_full(self, seen: Look) -> bool:
        """Return whether there is too little room; a little more is needed to go on after that."""
        if self.state is State.FULL:
            return seen.free_bytes < self.keep_free_bytes + self._step_bytes
        if self.is_exhausted and seen.free_bytes < self.keep_free_bytes:
            return True
        return seen.free_bytes < min(self.keep_free_bytes // 2, LAST_BYTES)

    def _see(self, seen: Look) -> None:
        before = self._look.state if self._was_seen else None
        self._look, self._was_seen = seen, True
        if seen.state in (State.OK, State.FULL):
            self._is_there.set()
        else:
            self._is_there.clear()
        if seen.state is State.OK:
            if before not in (None, State.OK):
                logger.info("%s can be written again", self.folder)
                self.on_return()
            return
        if seen.state is not before:
            logger.error("%s: %s", self.folder, seen.sentence)
            if seen.state is State.FULL:
                self._hub.tell(DiskLow("mediastore", seen.free_bytes, seen.total_bytes))


def _ignore() -> None:
    pass


def look(guard: MountGuard, *, must_probe: bool) -> Look:
    """Return what the disk is like; makes the folder when that is allowed. Blocks."""
    folder = guard.folder
    try:
        if fault := guard.find_fault():
            return Look(State.MISSING, fault)
        folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        found = os.statvfs(folder)
    except OSError as error:
        return _blame(error, Look(State.MISSING))
    free_bytes, total_bytes = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    seen = Look(State.OK, "", free_bytes, total_bytes)
    if found.f_flag & os.ST_RDONLY:
        return _blame(OSError(errno.EROFS, os.strerror(errno.EROFS)), seen)
    if not os.access(folder, os.W_OK | os.X_OK):
        return _blame(OSError(errno.EACCES, os.strerror(errno.EACCES)), seen)
    if must_probe:
        try:
            _probe(folder / PROBE_NAME)
        except OSError as error:
            return _blame(error, seen)
    return seen


def _probe(path: Path) -> None:
    """Write a little, down to the disk, and take it away again."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, bytes(4096))
        os.fsync(fd)
    finally:
        os.close(fd)
        path.unlink(missing_ok=True)


def _full(seen: Look, keep_free_bytes: int) -> Look:
    """Return that there is no room, and whether any was to be had."""
    free, total = (f"{size / MEGABYTE:.0f} MB" for size in (seen.free_bytes, seen.total_bytes))
    kept = f"{keep_free_bytes / MEGABYTE:.0f} MB"
    if keep_free_bytes >= seen.total_bytes:
        sentence = (
            f"the disk of paths.mediastore has {total} in all, and recording.keep_free_bytes "
            f"wants {kept} of it free: nothing is recorded until config.json asks for less"
        )
    else:
        sentence = (
            f"the disk of paths.mediastore is full ({free} of {total} are free, {kept} shall be): "
            "nothing is recorded until there is room; delete what else lies there"
        )
    return Look(State.FULL, sentence, seen.free_bytes, seen.total_bytes)


def _blame(error: OSError, seen: Look) -> Look:
    """Return what a failure makes of what was seen."""
    if error.errno == errno.ENODEV and error.strerror:  # the mount guard's own sentence
        return Look(State.MISSING, error.strerror)
    if error.errno in NO_ROOM:  # whatever it says to be free
        return Look(
            State.FULL,
            "the disk of paths.mediastore has no room left: nothing is recorded until there is; "
            "delete what else lies there",
            0,
            seen.total_bytes,
        )
    state = State.MISSING if error.errno == errno.ENOENT else State.READ_ONLY
    if error.errno == errno.EROFS:
        sentence = (
            "the disk of paths.mediastore is read-only: nothing is recorded until it can be "
            "written; mount it anew, and look into the system's log for why"
        )
    elif error.errno in READ_ONLY:
        sentence = (
            "h5sup may not write to paths.mediastore: nothing is recorded until its user is given "
            "the right to"
        )
    else:
        sentence = (
            f"the disk of paths.mediastore can't be written ({error.strerror}): nothing is "
            "recorded until it can; look at the disk and its cable"
        )
    return Look(state, sentence, seen.free_bytes, seen.total_bytes)
