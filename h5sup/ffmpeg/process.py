"""Start processes: the only place of h5sup that does.

Every child runs in a session of its own, without our file descriptors except those handed to it,
is killed by the kernel when we die (`setpriv --pdeathsig`), and carries a mark in its environment
by which the next start finds those that outlived us all the same.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from h5sup.base.errors import Failure, SourceError
from h5sup.ffmpeg.lines import LineSplitter

MARK = "H5SUP_MARK"
PARENT = "H5SUP_PARENT"
# What a child may know of our environment: config.json takes passwords from there.
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "HOME", "TMPDIR", "TZ", "LANG", "LC_ALL", "PYTHONPATH")
DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")
CHUNK_BYTES = 64 * 1024
STOP_GRACE_S = 5.0  # between SIGTERM and SIGKILL
KILL_TIMEOUT_S = (
    10.0  # a process that hangs in the kernel (a dead NFS server) can't even be killed
)
STDERR_TIMEOUT_S = 1.0  # after the end: a grandchild may hold the pipe open
ERROR_LINES = 50
SPAWNS_PER_S = 5.0
SPAWN_BURST = 10
WORKING_JOBS = 2
WAITING_JOBS = 32

Argv = Sequence[str]


class JobError(SourceError):
    """A short job failed; carries what it said."""

    def __init__(
        self,
        sentence: str,
        *,
        exit_code: int | None = None,
        lines: Sequence[str] = (),
        timed_out: bool = False,
    ) -> None:
        super().__init__(Failure.FFMPEG, sentence)
        self.exit_code = exit_code
        self.timed_out = timed_out
        self.lines = tuple(lines)


class TokenBucket:
    """Lets `burst` through at once and then `rate_per_s`, first come first served."""

    def __init__(self, rate_per_s: float, burst: int) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._tokens = float(burst)
        self._filled_at: float | None = None
        self._turn = asyncio.Lock()

    async def take(self) -> None:
        """Take one token, waiting for it if need be."""
        async with self._turn:
            missing = 1.0 - self._fill()
            if missing > 0:
                await asyncio.sleep(missing / self._rate_per_s)
                self._fill()
            self._tokens -= 1.0  # a hair below zero when the timer was early: paid back later

    def _fill(self) -> float:
        now = asyncio.get_running_loop().time()
        if self._filled_at is not None:
            gained = (now - self._filled_at) * self._rate_per_s
            self._tokens = min(float(self._burst), self._tokens + gained)
        self._filled_at = now
        return self._tokens


@dataclass(frozen=True, slots=True, eq=False)
class Child:
    """One running process. Whoever spawned it calls `stop()`, which reaps it, and `close()`."""

    process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self.process.pid

    @property
    def exit_code(self) -> int | None:
        """Return the exit code, negative for a signal, None while it runs."""
        return self.process.returncode

    async def wait(self) -> int:
        """Wait for the end and return the exit code."""
        return await self.process.wait()

    async def read_lines(self, on_line: Callable[[str], None]) -> None:
        """Hand every line of standard error to `on_line`, till its end."""
        assert self.process.stderr is not None
        splitter = LineSplitter()
        while chunk := await self.process.stderr.read(CHUNK_BYTES):
            for line in splitter.feed(chunk):
                on_line(line)
            await asyncio.sleep(0)  # a flood must not keep the loop for itself
        for line in splitter.end():
            on_line(line)

    async def stop(self, grace_s: float | None = None) -> bool:
        """Terminate, then kill, and reap; False when not even that ended it."""
        grace_s = STOP_GRACE_S if grace_s is None else grace_s
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            ended = await self._ends_within(grace_s)
        finally:  # also when cancelled meanwhile: no child is left behind
            with suppress(ProcessLookupError):
                self.process.kill()
        return ended or await self._ends_within(KILL_TIMEOUT_S)

    def close(self) -> None:
        """Let go of the pipes, read to their end or not; kills what `stop()` has not ended."""
        # asyncio closes a pipe at its end only, which is never read after a job's early end, or
        # never comes while a grandchild holds it; and gives no public way to close it.
        self.process._transport.close()  # type: ignore[attr-defined]

    async def _ends_within(self, timeout_s: float) -> bool:
        """Wait for the end; usable in the `finally` of a cancelled task.

        asyncio.timeout() is not: before Python 3.11.4 (Debian 12 has 3.11.2) it leaves its own
        CancelledError as it is there, instead of making it a TimeoutError.
        """
        ending = asyncio.create_task(self.process.wait())
        try:
            done, _ = await asyncio.wait({ending}, timeout=timeout_s)
        finally:
            ending.cancel()
        return bool(done)


class Launcher:
    """Starts children and short jobs within bounds; `mark` tells one installation from another."""

    def __init__(
        self, mark: str, *, spawns_per_s: float = SPAWNS_PER_S, burst: int = SPAWN_BURST
    ) -> None:
        self._mark = mark
        self._bucket = TokenBucket(spawns_per_s, burst)
        self._working = asyncio.Semaphore(WORKING_JOBS)
        self._waiting = asyncio.Semaphore(WAITING_JOBS)
        self._running: list[tuple[str, Child]] = []

    def find_running(self) -> list[tuple[str, int]]:
        """Return what runs and was started with a kind: the kind and its process."""
        self._running = [one for one in self._running if one[1].exit_code is None]
        return [(kind, child.pid) for kind, child in self._running]

    async def spawn(
        self,
        argv: Argv,
        *,
        pass_fds: Sequence[int] = (),
        stdin: int = asyncio.subprocess.DEVNULL,
        stdout: int = asyncio.subprocess.DEVNULL,
        kind: str = "",
    ) -> Child:
        """Start `argv` when it is its turn; standard error is always ours to read.

        `kind` is one word, of few, for what nobody else keeps account of.
        """
        await self._bucket.take()
        # On the loop's own thread: the kernel ties --pdeathsig to the thread that forks.
        process = await asyncio.create_subprocess_exec(
            *DIE_WITH_PARENT,
            *argv,
            stdin=stdin,
            stdout=stdout,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=tuple(pass_fds),
            close_fds=True,
            start_new_session=True,
            env=self._environment(),
        )
        child = Child(process)
        if kind:
            self.find_running()  # forget those that have ended
            self._running.append((kind, child))
        return child

    async def run_job(
        self,
        argv: Argv,
        data: bytes = b"",
        *,
        timeout_s: float,
        max_bytes: int,
        mostly_waits: bool = False,
        kind: str = "trial",
    ) -> bytes:
        """Feed `data` to a short job and return what it wrote; raises JobError.

        Jobs that use the processor run two at a time; those that `mostly_wait` for a camera have
        places of their own, so that dead cameras don't hold up pictures of living ones.
        """
        async with self._waiting if mostly_waits else self._working:
            child = await self.spawn(
                argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, kind=kind
            )
            lines: list[str] = []
            try:
                async with asyncio.timeout(timeout_s):
                    return await _converse(child, data, max_bytes, lines)
            except TimeoutError:
                sentence = f"no result within {timeout_s:g} s"
                raise JobError(sentence, lines=lines, timed_out=True) from None
            finally:
                child.close()  # first: asyncio sees no end while a full pipe is unread
                await child.stop(grace_s=0)

    def sweep_orphans(self) -> int:
        """Kill children of an earlier run of this installation; blocks, so call it in a thread."""
        orphans = [process for process in psutil.process_iter() if self._is_orphan(process)]
        for process in orphans:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(orphans, timeout=KILL_TIMEOUT_S)
        return len(orphans)

    def _is_orphan(self, process: psutil.Process) -> bool:
        """True for a marked process that was given to another parent, as its own has died."""
        try:
            environment = process.environ()
            if environment.get(MARK) != self._mark or process.pid == os.getpid():
                return False
            return str(process.ppid()) != environment.get(PARENT)
        except (psutil.Error, OSError):  # gone meanwhile, or another user's
            return False

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return kept | {MARK: self._mark, PARENT: str(os.getpid())}


async def _converse(child: Child, data: bytes, max_bytes: int, lines: list[str]) -> bytes:
    """Write, read and wait at the same time, as a full pipe on either side would block."""

    def keep(line: str) -> None:
        lines.append(line)
        del lines[:-ERROR_LINES]

    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_write(child, data))
            tasks.create_task(child.read_lines(keep))
            output = tasks.create_task(_read(child, max_bytes))
    except ExceptionGroup as group:  # of one: the first error cancels the other tasks
        raise group.exceptions[0] from None
    exit_code = await child.wait()
    if exit_code != 0:
        raise JobError(f"ended with exit code {exit_code}", exit_code=exit_code, lines=lines)
    return output.result()


async def _write(child: Child, data: bytes) -> None:
    stdin = child.process.stdin
    assert stdin is not None
    with suppress(BrokenPipeError, ConnectionResetError):  # it had enough, or died: see its code
        stdin.write(data)
        await stdin.drain()
    stdin.close()
    with suppress(BrokenPipeError, ConnectionResetError):
        await stdin.wait_closed()


async def _read(child: Child, max_bytes: int) -> bytes:
    stdout = child.process.stdout
    assert stdout is not None
    output = bytearray()
    while chunk := await stdout.read(CHUNK_BYTES):
        output += chunk
        if len(output) > max_bytes:
            raise JobError(f"wrote more than {max_bytes} bytes")
    return bytes(output)
