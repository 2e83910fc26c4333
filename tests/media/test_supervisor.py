"""The supervisor against real children: those that exit, hang, flood or refuse to go."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from h5sup.base.errors import ConfigError, Failure, SourceError, UnavailableError
from h5sup.ffmpeg.process import Launcher
from h5sup.ffmpeg.supervisor import Attempt, Backoff, Launch, Progress, State, Supervisor

pytestmark = pytest.mark.media

WRITES_FOR_EVER = "import sys, time\nwhile True: sys.stdout.write('x'); sys.stdout.flush()"
# A picture's worth of output every 20 ms.
TICKS = """
import os, time
while True:
    os.write(1, b"v")
    time.sleep(0.02)
"""
IGNORES_SIGTERM = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{TICKS}"
# Can't end on SIGTERM before its pipe has taken a megabyte.
FILLS_PIPE_WHILE_STOPPING = """
import os, signal, sys, time
def stop(*_):
    for _ in range(64):
        os.write(1, b"v" * 16384)
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
os.write(1, b"v")
while True:
    time.sleep(1)
"""


@dataclass
class Run:
    """One attempt around a python script: `v` on its pipe is video, `a` is audio."""

    script: str
    reads: bool = True
    open_error: Exception | None = None
    opens: asyncio.Event = field(default_factory=asyncio.Event)
    calls: list[str] = field(default_factory=list)
    last_video: float | None = None
    last_audio: float | None = None
    received: int = 0
    _fds: list[int] = field(default_factory=list)

    async def open(self) -> Launch:
        self.calls.append("open")
        if self.open_error is not None:
            raise self.open_error
        self._fds = list(os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK))
        os.set_blocking(self._fds[1], True)
        if self.reads:
            asyncio.get_running_loop().add_reader(self._fds[0], self._read)
        self.opens.set()
        code = f"import os\nos.dup2({self._fds[1]}, 1)\n{self.script}"
        return Launch([sys.executable, "-S", "-c", code], (self._fds[1],))

    def _read(self) -> None:
        data = os.read(self._fds[0], 65536)
        self.received += len(data)
        now = asyncio.get_running_loop().time()
        if b"v" in data:
            self.last_video = now
        if b"a" in data:
            self.last_audio = now
        if not data:
            asyncio.get_running_loop().remove_reader(self._fds[0])

    def started(self) -> None:
        self.calls.append("started")
        os.close(self._fds.pop())

    def progress(self) -> Progress:
        return Progress(self.last_video, self.last_audio)

    async def close(self) -> None:
        self.calls.append("close")
        if self._fds:
            asyncio.get_running_loop().remove_reader(self._fds[0])
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()


@dataclass
class Bench:
    """A running supervisor and all that happened to it."""

    supervisor: Supervisor
    task: asyncio.Task[None]
    runs: list[Run]
    states: list[tuple[State, Failure | None, str]]

    async def until(self, condition: Callable[[], object], timeout_s: float = 15.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():
                assert not self.task.done(), self.task
                await asyncio.sleep(0.01)

    async def until_state(self, state: State) -> tuple[State, Failure | None, str]:
        await self.until(lambda: any(entry[0] is state for entry in self.states))
        return next(entry for entry in self.states if entry[0] is state)

    @property
    def pids(self) -> list[int]:
        return [child.pid for child in psutil.Process().children(recursive=True)]

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


@pytest.fixture
def launcher(tmp_path: Path) -> Launcher:
    return Launcher(f"test-{tmp_path}", spawns_per_s=1000, burst=1000)


@asynccontextmanager
async def supervise(
    launcher: Launcher, make: Callable[[], Run], **settings: Any
) -> AsyncIterator[Bench]:
    """Supervise what `make` makes, in a hurry; on leaving, no child may be left."""
    runs: list[Run] = []
    states: list[tuple[State, Failure | None, str]] = []

    def attempt() -> Attempt:
        runs.append(make())
        return runs[-1]

    hurry: dict[str, Any] = {"stall_timeout_s": 5.0, "backoff": Backoff(0.02, 0.05)}
    on_state = lambda *entry: states.append(entry)  # noqa: E731
    supervisor = Supervisor("front", attempt, launcher, on_state=on_state, **hurry | settings)
    bench = Bench(supervisor, asyncio.create_task(supervisor.run()), runs, states)
    try:
        yield bench
    finally:
        await bench.stop()
        assert bench.pids == []
        assert all(run.calls[-1] == "close" for run in runs)
        assert supervisor.state in (State.STOPPED, State.FATAL)


@pytest.mark.parametrize(
    ("script", "failure", "sentence"),
    [
        ("raise SystemExit(3)", Failure.FFMPEG, "ffmpeg ended with exit code 3"),
        ("pass", Failure.CLOSED, "the camera closed the connection"),
        ("os.kill(os.getpid(), 9)", Failure.FFMPEG, "ffmpeg was killed by signal 9"),
        ("raise SystemExit('[error] x: Connection refused')", Failure.REFUSED, "check the port"),
    ],
)
async def test_child_that_ends_is_named_and_run_again(
    launcher: Launcher, script: str, failure: Failure, sentence: str
) -> None:
    async with supervise(launcher, lambda: Run(script)) as bench:
        await bench.until(lambda: len(bench.runs) == 3)
        _, found, words = await bench.until_state(State.BACKOFF)
    assert found is failure
    assert sentence in words
    assert bench.supervisor.restarts[failure] >= 2
    assert bench.runs[0].calls == ["open", "started", "close"]


async def test_states_are_told_in_order(launcher: Launcher) -> None:
    script = "import time\nos.write(1, b'v')\ntime.sleep(0.5)"
    async with supervise(launcher, lambda: Run(script)) as bench:
        await bench.until(lambda: len(bench.runs) == 2)
    kinds = [state for state, _, _ in bench.states]
    assert kinds[:4] == [State.STARTING, State.RUNNING, State.BACKOFF, State.STARTING]
    assert kinds[-1] is State.STOPPED


async def test_child_without_media_is_given_up(launcher: Launcher) -> None:
    script = "import time\ntime.sleep(60)"
    async with supervise(launcher, lambda: Run(script), first_media_timeout_s=0.3) as bench:
        _, failure, sentence = await bench.until_state(State.BACKOFF)
    assert failure is Failure.NO_ANSWER
    assert sentence == "no media came within 0.3 s"


async def test_child_with_sound_alone_is_given_up(launcher: Launcher) -> None:
    script = TICKS.replace('b"v"', 'b"a"')
    async with supervise(launcher, lambda: Run(script), first_media_timeout_s=0.5) as bench:
        _, failure, _ = await bench.until_state(State.BACKOFF)
    assert failure is Failure.NO_VIDEO


@pytest.mark.parametrize(
    ("later", "failure"), [("pass", Failure.STALLED), ("os.write(1, b'a')", Failure.VIDEO_STOPPED)]
)
async def test_stall_is_told_from_video_that_stops_while_sound_goes_on(
    launcher: Launcher, later: str, failure: Failure
) -> None:
    script = f"import time\nos.write(1, b'v')\nwhile True:\n  time.sleep(0.02)\n  {later}"
    async with supervise(launcher, lambda: Run(script), stall_timeout_s=0.5) as bench:
        _, found, _ = await bench.until_state(State.BACKOFF)
    assert found is failure
    assert (State.RUNNING, None, "") in bench.states


async def test_child_that_ignores_sigterm_is_killed(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("h5sup.ffmpeg.process.STOP_GRACE_S", 0.3)
    async with supervise(launcher, lambda: Run(IGNORES_SIGTERM)) as bench:
        await bench.until_state(State.RUNNING)
        (pid,) = bench.pids
        await bench.stop()
        assert not psutil.pid_exists(pid)


async def test_pipe_is_drained_while_the_child_stops(launcher: Launcher) -> None:
    async with supervise(launcher, lambda: Run(FILLS_PIPE_WHILE_STOPPING)) as bench:
        await bench.until_state(State.RUNNING)
        loop = asyncio.get_running_loop()
        started = loop.time()
        await bench.stop()
        assert loop.time() - started < 3
    assert bench.runs[0].received > 1_000_000


async def test_child_whose_pipe_nobody_reads_is_killed(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("h5sup.ffmpeg.process.STOP_GRACE_S", 0.3)
    script = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{WRITES_FOR_EVER}"
    make = lambda: Run(script, reads=False)  # noqa: E731
    async with supervise(launcher, make, first_media_timeout_s=0.5) as bench:
        await bench.until(lambda: len(bench.runs) == 2)


async def test_garbage_and_long_lines_on_standard_error_are_harmless(launcher: Launcher) -> None:
    script = (
        "os.write(2, bytes(range(256)) * 4000 + b'\\n')\n"
        "os.write(2, b'[error] last words')\nraise SystemExit(1)"
    )
    async with supervise(launcher, lambda: Run(script)) as bench:
        await bench.until_state(State.BACKOFF)
        lines = [line.text for line in bench.supervisor.log_lines]
    assert "[error] last words" in lines
    assert all(len(line) <= 1000 for line in lines)


async def test_flood_on_standard_error_is_bounded_and_starves_nobody(launcher: Launcher) -> None:
    script = (
        "import threading\n"
        "threading.Thread(target=lambda: [os.write(2, b'[error] bad picture\\n' * 3000) "
        f"for _ in iter(int, 1)], daemon=True).start()\n{TICKS}"
    )
    async with supervise(launcher, lambda: Run(script), stall_timeout_s=2.0) as bench:
        await bench.until_state(State.RUNNING)
        memory = psutil.Process().memory_info().rss
        loop = asyncio.get_running_loop()
        longest, before = 0.0, loop.time()
        ends = before + 1.5
        while before < ends:
            await asyncio.sleep(0.01)
            longest, before = max(longest, loop.time() - before), loop.time()
        assert longest < 0.5
        assert bench.supervisor.state is State.RUNNING
        assert len(bench.supervisor.log_lines) == 200
        assert psutil.Process().memory_info().rss - memory < 20_000_000


async def test_lines_are_logged_on_failure_only_and_redacted(
    launcher: Launcher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    script = (
        "import time\n"
        "os.write(2, b'[error] rtsp://ann:hunter2@cam/ hunter%402 hunter@2 said\\n')\n"
        "os.write(1, b'v')\ntime.sleep(0.4)\nraise SystemExit(1)"
    )
    secrets = ["ann", "hunter@2", "hunter%402", "hunter2"]
    async with supervise(
        launcher, lambda: Run(script), secrets=secrets, backoff=Backoff(first_s=60)
    ) as bench:
        await bench.until_state(State.RUNNING)
        await bench.until(lambda: bench.supervisor.log_lines)
        assert "said" not in "".join(
            record.message for record in caplog.records if record.levelno >= logging.WARNING
        )
        await bench.until(
            lambda: "ffmpeg: [error] rtsp://***:***@cam/ *** *** said" in caplog.text
        )
    everything = caplog.text + repr(bench.supervisor.log_lines) + repr(bench.states)
    assert "hunter" not in everything
    assert "front: ffmpeg ended with exit code 1; next try in" in caplog.text


async def test_failed_open_is_closed_and_tried_again(launcher: Launcher) -> None:
    error = SourceError(Failure.UNKNOWN_HOST, "the host name is not known")
    async with supervise(launcher, lambda: Run("", open_error=error)) as bench:
        await bench.until(lambda: len(bench.runs) == 3)
        _, failure, sentence = await bench.until_state(State.BACKOFF)
    assert (failure, sentence) == (Failure.UNKNOWN_HOST, "the host name is not known")
    assert bench.runs[0].calls == ["open", "close"]


@pytest.mark.parametrize(
    ("error", "failure", "sentence"),
    [
        (UnavailableError("no picture yet"), Failure.FFMPEG, "no picture yet"),
        (OSError(errno.ENOSPC, "No space left"), Failure.DISK_FULL, "the RAM folder is full"),
    ],
)
async def test_what_an_attempt_can_not_have_is_said_plainly(
    launcher: Launcher,
    error: Exception,
    failure: Failure,
    sentence: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with supervise(launcher, lambda: Run("", open_error=error)) as bench:
        assert (await bench.until_state(State.BACKOFF))[1:] == (failure, sentence)
    assert "unexpected error" not in caplog.text


async def test_bug_in_an_attempt_is_logged_with_a_traceback_and_counts_as_failure(
    launcher: Launcher, caplog: pytest.LogCaptureFixture
) -> None:
    error = ZeroDivisionError("rtsp://u:hunter2@cam")
    async with supervise(launcher, lambda: Run("", open_error=error)) as bench:
        await bench.until(lambda: len(bench.runs) == 3)
    assert "Traceback" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert "hunter2" not in caplog.text
    assert bench.supervisor.restarts[Failure.FFMPEG] >= 2


async def test_missing_program_is_a_failure_like_any_other(launcher: Launcher) -> None:
    class Missing(Run):
        async def open(self) -> Launch:
            return Launch(["/nowhere/ffmpeg", *(await super().open()).argv], ())

    async with supervise(launcher, lambda: Missing("")) as bench:
        await bench.until(lambda: len(bench.runs) == 2)
        _, failure, _ = await bench.until_state(State.BACKOFF)
    assert failure in (Failure.NOT_FOUND, Failure.FFMPEG)


async def test_wrong_configuration_ends_in_fatal(launcher: Launcher) -> None:
    error = ConfigError("sources[0].profile", "there is no profile 'x'")
    async with supervise(launcher, lambda: Run("", open_error=error)) as bench:
        await asyncio.wait_for(bench.task, 5)
        assert bench.supervisor.state is State.FATAL
    assert bench.states[-1] == (State.FATAL, None, str(error))
    assert bench.runs[0].calls == ["open", "close"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [("", "played to its end"), ("raise SystemExit(3)", "ffmpeg ended with exit code 3")],
)
async def test_what_plays_once_is_not_run_again_once_it_has_given_pictures(
    launcher: Launcher, script: str, reason: str
) -> None:
    scripts = iter(["", f"os.write(1, b'v')\n{script}"])  # the first gives none
    async with supervise(launcher, lambda: Run(next(scripts)), plays_once=True) as bench:
        await asyncio.wait_for(bench.task, 5)
        await bench.supervisor.run()
        assert len(bench.runs) == 2
    assert bench.states[-1] == (State.STOPPED, None, reason)


async def test_wrong_password_is_not_tried_in_a_hurry(
    launcher: Launcher, caplog: pytest.LogCaptureFixture
) -> None:
    error = SourceError(Failure.WRONG_PASSWORD, "the camera refused user name or password")
    async with supervise(launcher, lambda: Run("", open_error=error)) as bench:
        await bench.until(lambda: "next try in 60.0 s" in caplog.text)
    assert len(bench.runs) == 1


def test_pause_doubles_to_a_minute_and_the_first_is_short() -> None:
    backoff = Backoff()
    pauses = [backoff.next_pause() for _ in range(2000)]
    limits = [min(60.0, 2.0 ** min(number, 9)) for number in range(2000)]
    assert all(0.7 * limit <= pause <= limit for pause, limit in zip(pauses, limits, strict=True))


async def test_only_lasting_health_clears_the_backoff(launcher: Launcher) -> None:
    script = "import time\nos.write(1, b'v')\ntime.sleep(0.3)\nos.write(1, b'v')\ntime.sleep(0.3)"
    brief = Backoff(first_s=0.01, limit_s=0.01)
    async with supervise(launcher, lambda: Run(script), backoff=brief) as bench:
        await bench.until(lambda: len(bench.runs) == 3)
        assert brief.failures == 2
    steady = Backoff(first_s=0.01, limit_s=0.01, stable_after_s=0.15)
    async with supervise(launcher, lambda: Run(script), backoff=steady) as bench:
        await bench.until(lambda: len(bench.runs) == 3)
        assert steady.failures == 1


async def test_healthy_run_is_renewed_without_counting_as_failure(launcher: Launcher) -> None:
    async with supervise(launcher, lambda: Run(TICKS), renew_after_s=0.5) as bench:
        await bench.until(lambda: len(bench.runs) == 3)
    assert State.BACKOFF not in {state for state, _, _ in bench.states}
    assert not bench.supervisor.restarts


async def _at_open(bench: Bench) -> None:
    await bench.until(lambda: bench.runs)


async def _at_spawn(bench: Bench) -> None:
    await bench.until(lambda: bench.runs)
    await bench.runs[0].opens.wait()


async def _at_start(bench: Bench) -> None:
    await bench.until(lambda: bench.runs and "started" in bench.runs[0].calls)


async def _at_running(bench: Bench) -> None:
    await bench.until_state(State.RUNNING)


async def _at_once(bench: Bench) -> None:
    pass


@pytest.mark.parametrize("stage", [_at_once, _at_open, _at_spawn, _at_start, _at_running])
async def test_cancel_at_any_stage_leaves_no_child(
    launcher: Launcher, stage: Callable[[Bench], Coroutine[Any, Any, None]]
) -> None:
    async with supervise(launcher, lambda: Run(TICKS)) as bench:
        await stage(bench)


@pytest.mark.parametrize("ticks", range(12))
async def test_cancel_a_few_turns_of_the_loop_later_leaves_no_child(
    launcher: Launcher, ticks: int
) -> None:
    async with supervise(launcher, lambda: Run(TICKS)) as bench:
        for _ in range(ticks):
            await asyncio.sleep(0)
        del bench


async def test_cancel_while_it_waits_for_the_next_try(launcher: Launcher) -> None:
    async with supervise(launcher, lambda: Run("pass"), backoff=Backoff(first_s=60)) as bench:
        await bench.until_state(State.BACKOFF)
    assert len(bench.runs) == 1


async def test_second_cancel_while_stopping_kills_at_once(launcher: Launcher) -> None:
    async with supervise(launcher, lambda: Run(IGNORES_SIGTERM)) as bench:
        await bench.until_state(State.RUNNING)
        (pid,) = bench.pids
        loop = asyncio.get_running_loop()
        started = loop.time()
        bench.task.cancel()
        await asyncio.sleep(0.05)
        assert not bench.task.done()
        await bench.stop()
        while psutil.pid_exists(pid):
            await asyncio.sleep(0.01)
        assert loop.time() - started < 3


async def test_storm_of_dead_cameras_keeps_descriptors_and_memory_flat(tmp_path: Path) -> None:
    launcher = Launcher(f"storm-{tmp_path}", spawns_per_s=60, burst=20)
    runs: list[Run] = []

    def make() -> Run:
        del runs[:-100]
        runs.append(Run("os.write(2, b'[error] Connection refused\\n' * 100); os._exit(1)"))
        return runs[-1]

    supervisors = [
        Supervisor(
            f"dead{number}",
            make,
            launcher,
            stall_timeout_s=5,
            backoff=Backoff(first_s=0.01, limit_s=0.01),
        )
        for number in range(20)
    ]
    tasks = [asyncio.create_task(supervisor.run()) for supervisor in supervisors]
    try:
        async with asyncio.timeout(60):
            await _until_restarts(supervisors, 60)
            me = psutil.Process()
            memory = me.memory_info().rss
            await _until_restarts(supervisors, 200)
            grown = me.memory_info().rss - memory
            threads = me.num_threads()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert grown < 8_000_000
    assert threads < 60
    assert min(sum(supervisor.restarts.values()) for supervisor in supervisors) >= 3


async def _until_restarts(supervisors: list[Supervisor], count: int) -> None:
    while sum(sum(one.restarts.values()) for one in supervisors) < count:
        await asyncio.sleep(0.05)
