"""Keep one process alive: run it, watch its media, restart it with back-off."""

from __future__ import annotations

import asyncio
import errno
import logging
import random
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NoReturn, Protocol

from h5sup.base.clock import utc_now
from h5sup.base.errors import ConfigError, Failure, H5supError, SourceError
from h5sup.base.tasks import end_tasks
from h5sup.ffmpeg.diagnosis import RAM_IS_FULL, diagnose, diagnose_stall
from h5sup.ffmpeg.lines import build_redactor
from h5sup.ffmpeg.process import STDERR_TIMEOUT_S, Child, Launcher

LOG_LINES = 200
LOG_LINES_SHOWN = 20
FIRST_MEDIA_TIMEOUT_S = 20.0
CHECK_S = 0.1  # before the first picture, so that RUNNING is known soon
SLOWEST_CHECK_S = 1.0
PLAYED = "played to its end"
WRONG_PASSWORD_PAUSE_S = 60.0  # cameras lock a name after five to seven wrong tries


class State(Enum):
    """Lifecycle of a supervised process, in supervisord's words."""

    STOPPED = "stopped"
    STARTING = "starting"  # opening or spawned, no picture yet
    RUNNING = "running"
    BACKOFF = "backoff"  # waiting before the next try
    FATAL = "fatal"  # a person must change the configuration


@dataclass(frozen=True, slots=True)
class Launch:
    """What to start."""

    argv: list[str]
    pass_fds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class LogLine:
    """What a process said on standard error, without secrets, and when."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """When the newest media came, in the loop's time; None for never in this run."""

    last_video: float | None = None
    last_audio: float | None = None


class Attempt(Protocol):
    """One run of one process, made by the owner of its pipes."""

    async def open(self) -> Launch:
        """Make ready: probe, open pipes; may raise SourceError, or ConfigError to give up."""

    def started(self) -> None:
        """The child runs: close its ends of the pipes."""

    def progress(self) -> Progress:
        """Return when media came last."""

    async def close(self) -> None:
        """Close all; called once, when the child is gone or open() failed."""


@dataclass(slots=True)
class Backoff:
    """Doubling pause between tries, shortened at random so that cameras don't restart in step."""

    first_s: float = 1.0
    limit_s: float = 60.0
    stable_after_s: float = 30.0  # pictures for this long clear it
    failures: int = 0

    def next_pause(self) -> float:
        """Count one more failure and return how long to wait after it."""
        self.failures += 1
        longest = min(self.limit_s, self.first_s * 2.0 ** min(self.failures - 1, 30))
        return longest * random.uniform(0.7, 1.0)  # noqa: S311 (no secret hangs on it)


class _RenewalError(Exception):
    """The run has lasted long enough: end it and start the next at once."""


class Supervisor:
    """Owner of one process at a time. `run()` is called once, as a task; cancel it to stop."""

    def __init__(
        self,
        name: str,
        make_attempt: Callable[[], Attempt],
        launcher: Launcher,
        *,
        stall_timeout_s: float,
        first_media_timeout_s: float = FIRST_MEDIA_TIMEOUT_S,
        backoff: Backoff | None = None,
        on_state: Callable[[State, Failure | None, str], None] | None = None,
        logger: logging.Logger | None = None,
        secrets: Iterable[str] = (),
        renew_after_s: float | None = None,
        plays_once: bool = False,
    ) -> None:
        """Take what to run and how long to wait; `renew_after_s` starts a healthy run afresh.

        ffmpeg remembers every fragment it reads from a pipe: 0.6 GB a day at 25 pictures a second.
        What `plays_once` is not run again after it has given pictures, however that ended.
        """
        self.name = name
        self.state = State.STOPPED
        self.log_lines: deque[LogLine] = deque(maxlen=LOG_LINES)
        self.restarts: Counter[Failure] = Counter()
        self.pid: int | None = None
        self._make_attempt = make_attempt
        self._launcher = launcher
        self._stall_timeout_s = stall_timeout_s
        self._first_media_timeout_s = first_media_timeout_s
        self._backoff = backoff or Backoff()
        self._on_state = on_state
        self._logger = logger or logging.getLogger(__name__)
        self._redact = build_redactor(secrets)
        self._renew_after_s = renew_after_s
        self._plays_once = plays_once
        self._has_played = self._is_over = False
        self._running_since = 0.0
        self._lines: deque[str] = deque(maxlen=LOG_LINES)  # of this run alone
        self._last_sentence = ""

    async def run(self) -> None:
        """Run until cancelled, or until a ConfigError: FATAL. Nothing else decides on restarts."""
        if self._is_over:
            return
        try:
            while True:
                try:
                    await self._run_once()
                except _RenewalError:
                    self._logger.info("%s: renewing a run of long standing", self.name)
                except ConfigError as error:
                    self._logger.error("%s: %s", self.name, error)  # noqa: TRY400 (no bug of ours)
                    self._enter(State.FATAL, None, self._redact(str(error)))
                    return
                except Exception as error:  # noqa: BLE001 (a bug here must not end the camera)
                    if self._plays_once and self._has_played:
                        self._end_for_good(self._as_failure(error))
                        return
                    await self._fail(self._as_failure(error))
        finally:
            if self.state is not State.FATAL and not self._is_over:
                self._enter(State.STOPPED, None, "")

    async def _run_once(self) -> NoReturn:
        """Run one attempt to its end. Always raises: a live source has no good end."""
        self._enter(State.STARTING, None, "")
        self._lines.clear()
        attempt = self._make_attempt()
        try:
            launch = await attempt.open()
            self._logger.info("%s: starting %s", self.name, self._redact(" ".join(launch.argv)))
            child = await self._launcher.spawn(launch.argv, pass_fds=launch.pass_fds)
            self.pid = child.pid
            reading = asyncio.create_task(child.read_lines(self._keep), name=f"{self.name}-stderr")
            try:
                attempt.started()
                await self._watch(attempt, child, reading)
            finally:
                await self._end(child, reading)
        finally:
            await attempt.close()

    async def _watch(
        self, attempt: Attempt, child: Child, reading: asyncio.Task[None]
    ) -> NoReturn:
        """Wait for the end of the child or of its video, and raise what it was."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        while child.exit_code is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._check_every_s):
                    await child.wait()
                    break
            self._check(attempt.progress(), started, loop.time())
        took_s = loop.time() - started
        await asyncio.wait({reading}, timeout=STDERR_TIMEOUT_S)  # its last words
        had_video = attempt.progress().last_video is not None
        self._has_played |= had_video
        if self._plays_once and had_video and child.exit_code == 0:
            raise SourceError(Failure.CLOSED, PLAYED)
        raise diagnose(self._lines, child.exit_code, had_video=had_video, took_s=took_s)

    @property
    def _check_every_s(self) -> float:
        if self.state is State.STARTING:
            return CHECK_S
        return max(CHECK_S, min(SLOWEST_CHECK_S, self._stall_timeout_s / 10))

    def _check(self, progress: Progress, started: float, now: float) -> None:
        """Note the first picture; raise SourceError when pictures stay away."""
        if progress.last_video is None:
            waited_s, limit_s = now - started, self._first_media_timeout_s
        else:
            waited_s, limit_s = now - progress.last_video, self._stall_timeout_s
            self._note_picture(progress.last_video)
        is_running = self.state is State.RUNNING
        if is_running and self._renew_after_s is not None and now - started >= self._renew_after_s:
            raise _RenewalError
        if waited_s >= limit_s:
            raise diagnose_stall(progress.last_video, progress.last_audio, limit_s)

    def _note_picture(self, last_video: float) -> None:
        self._has_played = True
        if self.state is State.STARTING:
            self._running_since = last_video
            self._enter(State.RUNNING, None, "")
        if last_video - self._running_since >= self._backoff.stable_after_s:
            self._backoff.failures = 0

    async def _end(self, child: Child, reading: asyncio.Task[None]) -> None:
        """Stop and reap the child, then hear its last words."""
        try:
            if not await child.stop():
                self._logger.error("%s: process %d can't be killed", self.name, child.pid)
            await asyncio.wait({reading}, timeout=STDERR_TIMEOUT_S)
        finally:
            self.pid = None
            child.close()
            await end_tasks(reading)

    def _keep(self, line: str) -> None:
        line = self._redact(line)
        self._lines.append(line)
        self.log_lines.append(LogLine(utc_now(), line))

    def _as_failure(self, error: Exception) -> SourceError:
        if isinstance(error, SourceError):
            return error
        if isinstance(error, H5supError):
            return SourceError(Failure.FFMPEG, str(error))
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return SourceError(Failure.DISK_FULL, RAM_IS_FULL)
        if not isinstance(error, OSError):
            trace = self._redact("".join(traceback.format_exception(error)))
            self._logger.error("%s: unexpected error\n%s", self.name, trace)
        return SourceError(Failure.FFMPEG, f"{type(error).__name__}: {error}")

    def _end_for_good(self, error: SourceError) -> None:
        sentence = self._redact(str(error))
        self._logger.info("%s: %s", self.name, sentence)
        self._is_over = True
        self._enter(State.STOPPED, None, sentence)

    async def _fail(self, error: SourceError) -> None:
        """Tell what happened and wait before the next try."""
        sentence = self._redact(str(error))
        self.restarts[error.failure] += 1
        pause_s = self._backoff.next_pause()
        if error.failure is Failure.WRONG_PASSWORD:
            pause_s = max(pause_s, WRONG_PASSWORD_PAUSE_S)
        self._enter(State.BACKOFF, error.failure, sentence)
        self._logger.warning("%s: %s; next try in %.1f s", self.name, sentence, pause_s)
        if sentence != self._last_sentence:  # a dead camera says the same every minute
            for line in list(self._lines)[-LOG_LINES_SHOWN:]:
                self._logger.warning("%s: ffmpeg: %s", self.name, line)
        self._last_sentence = sentence
        await asyncio.sleep(pause_s)

    def _enter(self, state: State, failure: Failure | None, sentence: str) -> None:
        self.state = state
        if self._on_state is not None:
            self._on_state(state, failure, sentence)
