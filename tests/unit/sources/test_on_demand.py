"""Work on demand: it runs while it is held, never twice at once, and ends for good."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from h5sup.sources.on_demand import OnDemand

LINGER_S = 0.01


class Work:
    """What is run; its end takes until `may_end`, as a process and its pipes do."""

    def __init__(self, *, linger_s: float = LINGER_S, always: bool = False) -> None:
        self.began = 0
        self.running = 0
        self.idle = 0
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.duty = OnDemand(
            self._run, name="work", linger_s=linger_s, always=always, on_idle=self._on_idle
        )

    def _on_idle(self) -> None:
        self.idle += 1

    async def _run(self) -> None:
        self.began += 1
        self.running += 1
        assert self.running == 1, "two at once"
        try:
            await asyncio.Event().wait()
        finally:
            await self.may_end.wait()
            self.running -= 1


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def test_it_runs_from_the_first_holder_to_after_the_last() -> None:
    work = Work()
    work.duty.hold()
    work.duty.hold()
    await until(lambda: work.running)
    work.duty.release()
    await asyncio.sleep(3 * LINGER_S)
    assert (work.running, work.duty.holders) == (1, 1)
    work.duty.release()
    assert work.duty.is_running  # it lingers
    await until(lambda: work.idle)
    assert (work.running, work.began, work.idle) == (0, 1, 1)
    await until(lambda: not work.duty.is_running)


async def test_who_comes_back_soon_finds_it_running() -> None:
    work = Work(linger_s=0.05)
    for _ in range(5):
        work.duty.hold()
        await asyncio.sleep(0)
        work.duty.release()
    work.duty.hold()
    await asyncio.sleep(0.1)
    assert (work.running, work.began, work.idle) == (1, 1, 0)
    await work.duty.aclose()


async def test_a_run_that_is_ending_is_waited_for() -> None:
    """They share pipes and rings."""
    work = Work()
    work.duty.hold()
    await until(lambda: work.running)
    work.may_end.clear()
    work.duty.release()
    await until(lambda: not work.duty.is_running)
    work.duty.hold()
    assert work.duty.is_running
    await asyncio.sleep(0.01)
    assert (work.began, work.running) == (1, 1)
    work.may_end.set()
    await until(lambda: work.began == 2)
    assert work.idle == 0
    await work.duty.aclose()


async def test_coming_and_going_while_a_run_is_ending_begins_no_second() -> None:
    """The one in between never began; the one before it is still at its pipes."""
    work = Work(linger_s=0)
    work.duty.hold()
    await until(lambda: work.running)
    work.may_end.clear()
    for _ in range(3):
        work.duty.release()
        await until(lambda: not work.duty.is_running)
        await asyncio.sleep(0.005)
        work.duty.hold()
        await asyncio.sleep(0.005)
    assert (work.began, work.running) == (1, 1)
    work.may_end.set()
    await until(lambda: work.began == 2)
    await work.duty.aclose()
    assert work.running == 0


async def test_closing_waits_for_what_is_ending() -> None:
    work = Work(linger_s=0)
    work.duty.hold()
    await until(lambda: work.running)
    work.may_end.clear()
    work.duty.release()
    await until(lambda: not work.duty.is_running)
    work.duty.hold()
    work.duty.release()
    await until(lambda: not work.duty.is_running)
    closing = asyncio.create_task(work.duty.aclose())
    await asyncio.sleep(0.005)
    assert not closing.done()
    work.may_end.set()
    await closing
    assert (work.running, work.began) == (0, 1)


@pytest.mark.parametrize("before", ["nothing", "held", "lingering", "ending"])
async def test_closing_ends_it_in_every_state(before: str) -> None:
    work = Work(linger_s=0 if before == "ending" else 60)
    if before != "nothing":
        work.duty.hold()
        await until(lambda: work.running)
    if before in ("lingering", "ending"):
        work.duty.release()
    if before == "ending":
        await until(lambda: not work.duty.is_running)
    await work.duty.aclose()
    await work.duty.aclose()
    assert work.running == 0
    assert not work.duty.is_running
    work.duty.hold()
    await until(lambda: work.running)
    await work.duty.aclose()


async def test_what_always_runs_needs_no_holder() -> None:
    work = Work(always=True, linger_s=0)
    work.duty.start()
    work.duty.start()
    work.duty.hold()
    await until(lambda: work.running)
    work.duty.release()
    await asyncio.sleep(0.02)
    assert (work.running, work.began, work.idle) == (1, 1, 0)
    await work.duty.aclose()


async def test_in_whatever_order_never_two_at_once_and_nothing_remains() -> None:
    dice = random.Random(11)
    for _ in range(25):
        work = Work(linger_s=dice.choice([0, 0.001, 0.003]))
        for _ in range(30):
            step = dice.choice(["hold", "release", "wait", "slow", "quick", "close"])
            if step == "hold":
                work.duty.hold()
                assert work.duty.is_running
            elif step == "release" and work.duty.holders:
                work.duty.release()
            elif step == "wait":
                await asyncio.sleep(dice.choice([0, 0.002]))
            elif step == "slow":
                work.may_end.clear()
            elif step == "quick":
                work.may_end.set()
            elif step == "close" and dice.random() < 0.3:
                work.may_end.set()
                await work.duty.aclose()
                assert work.running == 0
                for _ in range(work.duty.holders):
                    work.duty.release()
        work.may_end.set()
        if work.duty.is_running:
            await until(lambda: work.running)  # noqa: B023 (awaited here)
        for _ in range(work.duty.holders):
            work.duty.release()
        await until(lambda: not work.running and not work.duty.is_running)  # noqa: B023 (as above)
        assert len(asyncio.all_tasks()) == 1
