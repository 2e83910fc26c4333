"""Tasks that run as long as their owner."""

from __future__ import annotations

import asyncio

import pytest

from h5sup.base.tasks import end_tasks, start_task


async def test_a_crash_is_logged_while_the_task_is_still_kept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail() -> None:
        raise ZeroDivisionError("a bug")

    task = start_task(fail(), "retention")
    await asyncio.wait([task])
    await asyncio.sleep(0)  # the loop calls back in its next turn
    assert "retention has crashed" in caplog.text
    assert "a bug" in caplog.text


async def test_ending_waits_for_what_a_task_still_has_to_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done = list[str]()

    async def linger() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            done.append("cleared up")

    task = start_task(linger(), "a task")
    await asyncio.sleep(0)
    await end_tasks(task, None)
    assert task.cancelled()
    assert done == ["cleared up"]
    assert not caplog.text
