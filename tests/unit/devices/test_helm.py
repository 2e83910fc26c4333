"""One camera that is moved, in virtual time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from h5sup.base.errors import UnavailableError
from h5sup.devices.helm import MAX_WAITING, Helm
from h5sup.devices.model import DeviceError, DeviceFailure, Motion, Switch
from tests.fakes.steerable import FakeSteerable, failure
from tests.fakes.virtual_time import run_virtually

LEFT, RIGHT, UP = Motion(pan=-1), Motion(pan=1), Motion(tilt=0.5)
NEARER = Motion(zoom=1)
Play = Callable[[Helm, FakeSteerable], Awaitable[None]]


def play(work: Play, **settings: float) -> FakeSteerable:
    """Run a test in virtual time; the helm is closed at its end."""
    camera = FakeSteerable()

    async def run() -> None:
        helm = Helm("the camera", **settings)
        try:
            await work(helm, camera)
        finally:
            await helm.close()

    run_virtually(run())
    return camera


def test_a_motion_that_nobody_stops_is_stopped_after_ten_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work(helm: Helm, camera: FakeSteerable) -> None:
        assert await helm.move(camera, LEFT)
        await asyncio.sleep(9.9)
        assert camera.moving == {"pan": -1}
        await asyncio.sleep(0.2)
        assert camera.moving == {}
        assert not helm.is_moving

    assert play(work).asked == [LEFT, "stop"]
    assert "the camera is stopped: nobody did within 10 s" in caplog.text


def test_a_motion_that_is_repeated_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def work(helm: Helm, camera: FakeSteerable) -> None:
        for _ in range(5):
            await helm.move(camera, LEFT)
            await asyncio.sleep(4)
        assert camera.moving
        await helm.stop(camera)
        await asyncio.sleep(60)

    assert play(work).asked == [LEFT] * 5 + ["stop"]
    assert not caplog.records


def test_what_a_new_motion_does_not_name_is_stopped_first() -> None:
    async def work(helm: Helm, camera: FakeSteerable) -> None:
        await helm.move(camera, LEFT)
        await helm.move(camera, UP)  # cameras move both together
        await helm.move(camera, NEARER)
        assert camera.moving == {"zoom": 1}

    assert play(work).asked[:4] == [LEFT, UP, "stop", NEARER]


def test_a_camera_that_turns_to_a_place_is_stopped_before() -> None:
    async def work(helm: Helm, camera: FakeSteerable) -> None:
        await helm.move(camera, LEFT)
        assert await helm.go_to(camera, "1")
        await asyncio.sleep(30)
        assert not helm.is_moving
        await helm.go_to(camera, "1")

    assert play(work).asked == [LEFT, "stop", "go to 1", "go to 1"]


def test_of_motions_that_wait_the_newest_is_carried_out() -> None:
    async def work(helm: Helm, camera: FakeSteerable) -> None:
        camera.pause_s = 2
        async with asyncio.TaskGroup() as group:
            tasks = []
            for motion in (LEFT, RIGHT, UP):
                tasks.append(group.create_task(helm.move(camera, motion)))
                await asyncio.sleep(0.1)
            stop = group.create_task(helm.stop(camera))
            await asyncio.sleep(0.1)
            assert [task.done() for task in tasks] == [False, True, True]  # told at once
        assert [task.result() for task in (*tasks, stop)] == [True, False, False, True]

    assert play(work).asked == [LEFT, "stop"]


def test_a_stop_comes_before_all_else_that_waits() -> None:
    async def work(helm: Helm, camera: FakeSteerable) -> None:
        camera.pause_s = 1
        async with asyncio.TaskGroup() as group:
            group.create_task(helm.move(camera, LEFT))
            await asyncio.sleep(0)
            for on in (True, False):
                group.create_task(
                    helm.queue(lambda on=on: camera.switch(Switch.LIGHT, on=on))  # type: ignore[misc]
                )
            await asyncio.sleep(0.1)
            group.create_task(helm.stop(camera))

    assert play(work).asked == [LEFT, "stop", "light on", "light off"]


def test_what_waits_is_bounded() -> None:
    async def work(helm: Helm, camera: FakeSteerable) -> None:
        camera.pause_s = 1
        waiting = [asyncio.create_task(helm.queue(camera.presets)) for _ in range(MAX_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError, match="8 commands wait"):
            await helm.queue(camera.presets)
        assert await helm.stop(camera)  # never refused
        for one in waiting:
            assert len(await one) == 1

    assert len(play(work).asked) == MAX_WAITING + 1


def test_the_watchdog_is_not_held_up_by_what_waits() -> None:
    async def work(helm: Helm, camera: FakeSteerable) -> None:
        await helm.move(camera, LEFT)
        camera.pause_s = 4
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(helm.queue(camera.presets))

    assert play(work).asked == [LEFT, *["presets"] * 3, "stop", *["presets"] * 2]


def test_a_stop_that_fails_is_sent_again() -> None:
    async def work(helm: Helm, camera: FakeSteerable) -> None:
        await helm.move(camera, LEFT)
        camera.errors = [failure(DeviceFailure.NO_ANSWER)]
        assert await helm.stop(camera)
        assert camera.moving == {}

    assert play(work).asked == [LEFT, "stop", "stop"]


def test_a_stop_that_fails_twice_is_told_and_tried_when_time_is_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work(helm: Helm, camera: FakeSteerable) -> None:
        await helm.move(camera, LEFT)
        gone = failure(DeviceFailure.UNREACHABLE, "it is not there")
        camera.errors = [gone, gone]
        with pytest.raises(DeviceError, match="it is not there"):
            await helm.stop(camera)
        assert helm.is_moving
        await asyncio.sleep(11)
        assert camera.moving == {}

    assert play(work).asked == [LEFT, "stop", "stop", "stop"]
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


def test_a_camera_that_can_not_be_stopped_is_named_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work(helm: Helm, camera: FakeSteerable) -> None:
        await helm.move(camera, LEFT)
        gone = failure(DeviceFailure.UNREACHABLE, "it is not there")
        camera.errors = [gone, gone]
        await asyncio.sleep(11)
        assert not helm.is_moving

    assert play(work).asked == [LEFT, "stop", "stop"]
    assert "the camera may still move: it is not there" in caplog.text


def test_a_refused_login_is_not_tried_again_to_stop() -> None:
    async def work(helm: Helm, camera: FakeSteerable) -> None:
        camera.errors = [failure(DeviceFailure.WRONG_PASSWORD)]
        with pytest.raises(DeviceError):
            await helm.stop(camera)

    assert play(work).asked == ["stop"]


@pytest.mark.parametrize("kind", [DeviceFailure.UNSUPPORTED, DeviceFailure.UNREACHABLE])
def test_a_motion_that_never_began_is_not_stopped(kind: DeviceFailure) -> None:
    async def work(helm: Helm, camera: FakeSteerable) -> None:
        camera.errors = [failure(kind)]
        with pytest.raises(DeviceError):
            await helm.move(camera, LEFT)
        assert not helm.is_moving
        await asyncio.sleep(20)

    assert play(work).asked == [LEFT]


def test_a_motion_whose_answer_is_lost_is_stopped() -> None:
    async def work(helm: Helm, camera: FakeSteerable) -> None:
        camera.errors = [failure(DeviceFailure.NO_ANSWER)]
        with pytest.raises(DeviceError):
            await helm.move(camera, LEFT)
        await asyncio.sleep(20)

    assert play(work).asked == [LEFT, "stop"]


def test_a_repeat_that_fails_does_not_lengthen_the_motion() -> None:
    async def work(helm: Helm, camera: FakeSteerable) -> None:
        await helm.move(camera, LEFT)
        await asyncio.sleep(6)
        camera.errors = [failure(DeviceFailure.UNREACHABLE)]
        with pytest.raises(DeviceError):
            await helm.move(camera, LEFT)
        await asyncio.sleep(4.1)
        assert camera.moving == {}

    assert play(work).asked == [LEFT, LEFT, "stop"]


def test_what_moves_is_stopped_by_what_moved_it() -> None:
    async def work(helm: Helm, camera: FakeSteerable) -> None:
        await helm.move(camera, LEFT)
        other = FakeSteerable()
        await helm.stop(other)
        assert other.asked == []
        await helm.stop(other)
        assert other.asked == ["stop"]

    assert play(work).asked == [LEFT, "stop"]


def test_the_end_stops_what_moves_and_tells_who_waits() -> None:
    async def work(helm: Helm, camera: FakeSteerable) -> None:
        camera.pause_s = 1
        move = asyncio.create_task(helm.move(camera, LEFT))
        await asyncio.sleep(0.5)
        again, queued = (
            asyncio.create_task(helm.move(camera, LEFT)),
            asyncio.create_task(helm.queue(camera.presets)),
        )
        await asyncio.sleep(0)
        await helm.close()
        for one in (move, queued):
            with pytest.raises(UnavailableError, match="not steered any more"):
                await one
        assert not await again
        with pytest.raises(UnavailableError):
            await helm.queue(camera.presets)

    assert play(work).asked == [LEFT, "stop"]


def test_the_end_does_not_wait_for_a_camera_that_is_silent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work(helm: Helm, camera: FakeSteerable) -> None:
        await helm.move(camera, LEFT)
        camera.pause_s = 100
        loop = asyncio.get_running_loop()
        before_s = loop.time()
        await helm.close()
        assert loop.time() - before_s == 5

    play(work)
    assert "may still move: no answer within 5 s" in caplog.text


def test_who_has_gone_before_their_turn_moves_nothing() -> None:
    async def work(helm: Helm, camera: FakeSteerable) -> None:
        camera.pause_s = 1
        first = asyncio.create_task(helm.queue(camera.presets))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(helm.move(camera, LEFT))
        await asyncio.sleep(0.1)
        second.cancel()
        await first
        await asyncio.sleep(5)

    assert play(work).asked == ["presets"]
