"""The event loop's lateness is seen."""

from __future__ import annotations

import asyncio
import time

from h5sup.metrics.loop_lag import LoopLag


async def test_a_blocked_loop_shows_and_a_free_one_does_not() -> None:
    lag = LoopLag(sample_s=0.01)
    assert (lag.longest_s, lag.mean_s, lag.recent_s) == (0.0, 0.0, 0.0)
    lag.start()
    await asyncio.sleep(0.05)
    time.sleep(0.5)  # noqa: ASYNC251 (the fault that is looked for)
    async with asyncio.timeout(10):
        while lag.longest_s < 0.4:
            await asyncio.sleep(0.01)
    assert 0 < lag.mean_s < lag.longest_s
    assert lag.recent_s > 0.04  # a tenth of it: one sample of ten
    await lag.close()


async def test_lateness_is_forgotten() -> None:
    lag = LoopLag(sample_s=0.001)
    lag.start()
    await asyncio.sleep(0.01)
    time.sleep(0.5)  # noqa: ASYNC251 (the fault that is looked for)
    async with asyncio.timeout(20):
        while lag.longest_s < 0.4:
            await asyncio.sleep(0.001)
        while lag.longest_s >= 0.4:
            await asyncio.sleep(0.01)
    await lag.close()
