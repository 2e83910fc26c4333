"""The launcher with real children: marks, bounds, orphans, jobs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from h5sup.ffmpeg.process import JobError, Launcher, TokenBucket

pytestmark = pytest.mark.media

ROOT = Path(__file__).parents[2]
SLEEP = "import time\nprint(1, flush=True)\ntime.sleep(60)"
# A manager that starts a child and tells its process id.
MANAGER = f"""
import asyncio, sys
from h5sup.ffmpeg.process import Launcher
async def main():
    child = await Launcher(sys.argv[1]).spawn(
        [*sys.argv[2:], sys.executable, "-S", "-c", {SLEEP!r}], stdout=asyncio.subprocess.PIPE)
    await child.process.stdout.read(1)
    print(child.pid, flush=True)
    await child.wait()
asyncio.run(main())
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


@pytest.fixture
def launcher(tmp_path: Path) -> Launcher:
    return Launcher(f"test-{tmp_path}")


async def run(launcher: Launcher, code: str, data: bytes = b"", max_bytes: int = 10**7) -> bytes:
    return await launcher.run_job(python(code), data, timeout_s=20, max_bytes=max_bytes)


async def gone(pid: int) -> None:
    async with asyncio.timeout(10):
        while psutil.pid_exists(pid):
            await asyncio.sleep(0.01)


async def test_job_is_fed_and_read_at_the_same_time(launcher: Launcher) -> None:
    code = "import sys, shutil\nshutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)"
    data = os.urandom(2_000_000)
    assert await run(launcher, code, data) == data


async def test_job_may_leave_its_input_unread(launcher: Launcher) -> None:
    assert await run(launcher, "print('enough')", b"x" * 2_000_000) == b"enough\n"


async def test_failed_job_tells_its_last_lines(launcher: Launcher) -> None:
    with pytest.raises(JobError) as caught:
        await run(launcher, "import sys\nsys.exit('[error] no such codec')")
    assert (caught.value.exit_code, caught.value.lines) == (1, ("[error] no such codec",))
    assert not caught.value.timed_out


async def test_endless_job_is_ended(launcher: Launcher) -> None:
    with pytest.raises(JobError, match=r"no result within 0\.3 s") as caught:
        await launcher.run_job(python("while True: pass"), timeout_s=0.3, max_bytes=10)
    assert caught.value.timed_out


async def test_job_that_writes_without_end_is_ended(launcher: Launcher) -> None:
    with pytest.raises(JobError, match="wrote more than 100000 bytes"):
        await run(launcher, "while True: print('x' * 9999)", max_bytes=100_000)


async def test_cancelled_job_leaves_no_child(launcher: Launcher) -> None:
    job = asyncio.create_task(run(launcher, "import time\ntime.sleep(60)"))
    async with asyncio.timeout(10):
        while not psutil.Process().children():
            await asyncio.sleep(0.01)
    (child,) = psutil.Process().children()
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)
    await gone(child.pid)


async def test_two_working_jobs_run_at_a_time_and_waiting_ones_beside_them(
    launcher: Launcher,
) -> None:
    code = python("import time\ntime.sleep(60)")
    working = [
        asyncio.create_task(launcher.run_job(code, timeout_s=60, max_bytes=1)) for _ in range(4)
    ]
    probes = [
        asyncio.create_task(launcher.run_job(code, timeout_s=60, max_bytes=1, mostly_waits=True))
        for _ in range(4)
    ]
    async with asyncio.timeout(10):
        while len(psutil.Process().children()) < 6:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)  # a seventh would be there by now
    assert len(psutil.Process().children()) == 6
    for job in working + probes:
        job.cancel()
    await asyncio.gather(*working, *probes, return_exceptions=True)


async def test_child_knows_no_more_than_it_must(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", "hunter2")
    kept, passed = os.pipe()
    os.set_inheritable(kept, True)
    os.set_inheritable(passed, True)
    code = (
        f"import os\nfor fd in ({kept}, {passed}):\n"
        "  try: os.fstat(fd); print('open')\n  except OSError: print('closed')\n"
        "marks = os.environ['H5SUP_MARK'], os.getsid(0) == os.getpid()\n"
        "print('CAMERA_PASSWORD' in os.environ, *marks)"
    )
    child = await launcher.spawn(python(code), pass_fds=(passed,), stdout=asyncio.subprocess.PIPE)
    assert child.process.stdout is not None
    output = await child.process.stdout.read()
    await child.stop()
    child.close()
    os.close(kept)
    os.close(passed)
    mark = launcher._mark
    assert output.decode() == f"closed\nopen\nFalse {mark} True\n"


async def test_bucket_lets_a_burst_through_and_then_a_steady_few() -> None:
    bucket = TokenBucket(rate_per_s=20, burst=3)
    loop = asyncio.get_running_loop()
    taken = []
    for _ in range(7):
        await bucket.take()
        taken.append(loop.time())
    assert taken[2] - taken[0] < 0.04
    assert taken[6] - taken[2] >= 4 / 20 - 0.01


def start_manager(mark: str, *prefix: str) -> tuple[subprocess.Popen[bytes], psutil.Process]:
    """Return a manager in a process of its own, and its child."""
    manager = subprocess.Popen(
        [sys.executable, "-c", MANAGER, mark, *prefix], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert manager.stdout is not None
    with manager.stdout:
        return manager, psutil.Process(int(manager.stdout.readline()))


async def test_child_dies_with_its_manager(tmp_path: Path) -> None:
    manager, child = await asyncio.to_thread(start_manager, f"test-{tmp_path}")
    assert child.is_running()
    manager.send_signal(signal.SIGKILL)
    manager.wait()
    await gone(child.pid)


async def test_sweep_ends_orphans_of_this_installation_alone(
    launcher: Launcher, tmp_path: Path
) -> None:
    # `setpriv --pdeathsig clear` undoes what else would end them with their manager.
    keep = ("setpriv", "--pdeathsig", "clear", "--")
    ours, orphan = await asyncio.to_thread(start_manager, f"test-{tmp_path}", *keep)
    others, stranger = await asyncio.to_thread(start_manager, f"other-{tmp_path}", *keep)
    living, child = await asyncio.to_thread(start_manager, f"test-{tmp_path}", *keep)
    try:
        for manager in (ours, others):
            manager.kill()
            manager.wait()
        assert await asyncio.to_thread(launcher.sweep_orphans) == 1
        await gone(orphan.pid)
        assert stranger.is_running()
        assert child.is_running()
    finally:
        stranger.kill()
        child.kill()
        living.wait()


async def test_sweep_leaves_our_own_children(launcher: Launcher) -> None:
    child = await launcher.spawn(python(SLEEP))
    try:
        assert await asyncio.to_thread(launcher.sweep_orphans) == 0
        assert child.exit_code is None
    finally:
        await child.stop()
        child.close()
    assert child.exit_code == -signal.SIGTERM
