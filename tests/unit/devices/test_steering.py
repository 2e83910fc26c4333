"""The cameras of sources: who is moved, who stops, and where presets are kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from h5sup.base.errors import ConflictError, NotFoundError, UnavailableError
from h5sup.devices.model import DeviceError, DeviceFailure, Motion, Preset, Steerable, Switch
from h5sup.devices.steering import MAX_PRESETS, Steering
from h5sup.store.store import Store
from tests.fakes.steerable import FakeSteerable, failure
from tests.fakes.virtual_time import run_virtually

LEFT = Motion(pan=-1)


@dataclass(frozen=True, eq=False)
class Source:
    steering: Steerable | None


class Sources:
    """Some cameras by token."""

    def __init__(self, **cameras: Steerable | None) -> None:
        self.found = {token: Source(one) for token, one in cameras.items()}

    def get(self, token: str) -> Source:
        if token not in self.found:
            raise NotFoundError("there is no source with this token")
        return self.found[token]


@asynccontextmanager
async def opened(folder: Path, sources: Sources) -> AsyncIterator[Steering]:
    store = Store(folder)
    await store.open()
    steering = Steering(sources, store)
    await steering.start()
    try:
        yield steering
    finally:
        await steering.close()
        await store.close()


async def saved(folder: Path) -> list[dict[str, Any]]:
    store = Store(folder)
    await store.open()
    try:
        return await store.presets()
    finally:
        await store.close()


async def test_a_source_that_does_not_move_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path, Sources(clip=None)) as steering:
        for work in (
            steering.move("clip", LEFT),
            steering.stop("clip"),
            steering.go_to("clip", "1"),
            steering.switch("clip", Switch.LIGHT, on=True),
            steering.set_preset("clip", "1", "Gate"),
            steering.delete_preset("clip", "1"),
        ):
            with pytest.raises(DeviceError, match="'clip' can't be steered: add its camera by"):
                await work
        assert await steering.presets("clip") == ()
        with pytest.raises(NotFoundError):
            await steering.presets("none")


async def test_a_motion_without_speed_is_a_stop(tmp_path: Path) -> None:
    camera = FakeSteerable()
    async with opened(tmp_path, Sources(front=camera)) as steering:
        assert await steering.move("front", Motion(pan=-0.0))
    assert camera.asked == ["stop"]


async def test_a_camera_without_ptz_has_no_presets_and_one_that_fails_says_why(
    tmp_path: Path,
) -> None:
    camera = FakeSteerable()
    async with opened(tmp_path, Sources(front=camera)) as steering:
        camera.errors = [
            failure(DeviceFailure.UNSUPPORTED),
            failure(DeviceFailure.NO_ANSWER, "it is silent"),
        ]
        assert await steering.presets("front") == ()
        with pytest.raises(DeviceError, match="it is silent"):
            await steering.presets("front")


async def test_presets_go_by_the_clients_tokens_and_outlive_a_restart(tmp_path: Path) -> None:
    camera = FakeSteerable()
    sources = Sources(front=camera)
    async with opened(tmp_path, sources) as steering:
        await steering.set_preset("front", "7", "Yard")  # the camera calls it 2
        await steering.set_preset("front", "2", "Roof")  # so this must be another
        assert camera.places == {"1": "Gate", "2": "Yard", "3": "Roof"}
    async with opened(tmp_path, sources) as steering:
        assert await steering.presets("front") == [
            Preset("1", "Gate"),
            Preset("7", "Yard"),
            Preset("2", "Roof"),
        ]
        await steering.go_to("front", "2")
        assert camera.asked[-1] == "go to 3"
        await steering.set_preset("front", "7", "Garden")  # in its stead
        assert camera.places == {"1": "Gate", "2": "Garden", "3": "Roof"}
        await steering.delete_preset("front", "7")
        await steering.delete_preset("front", "1")
        assert camera.places == {"3": "Roof"}
    assert await saved(tmp_path) == [{"token": "front", "presets": {"2": "3"}}]
    async with opened(tmp_path, sources) as steering:
        await steering.delete_preset("front", "2")
    assert await saved(tmp_path) == []


async def test_a_list_is_shared_for_a_moment_and_never_older_than_a_change(tmp_path: Path) -> None:
    camera = FakeSteerable()
    async with opened(tmp_path, Sources(front=camera)) as steering:
        await asyncio.gather(*(steering.presets("front") for _ in range(5)))
        assert camera.asked == ["presets"]
        await steering.set_preset("front", "2", "Yard")
        assert len(await steering.presets("front")) == 2


async def test_a_preset_that_the_camera_has_lost_can_be_deleted(tmp_path: Path) -> None:
    camera = FakeSteerable()
    async with opened(tmp_path, Sources(front=camera)) as steering:
        await steering.set_preset("front", "7", "Yard")
        camera.places.clear()
        await steering.delete_preset("front", "7")
        with pytest.raises(DeviceError, match="No token"):
            await steering.delete_preset("front", "7")
    assert await saved(tmp_path) == []


async def test_a_preset_that_the_camera_will_not_delete_stays(tmp_path: Path) -> None:
    camera = FakeSteerable()
    async with opened(tmp_path, Sources(front=camera)) as steering:
        await steering.set_preset("front", "7", "Yard")
        for kind in (DeviceFailure.NOT_UNDERSTOOD, DeviceFailure.NO_ANSWER):
            camera.errors = [failure(kind, "it is fixed")]
            with pytest.raises(DeviceError, match="it is fixed"):
                await steering.delete_preset("front", "7")
    assert await saved(tmp_path) == [{"token": "front", "presets": {"7": "2"}}]


async def test_presets_are_bounded(tmp_path: Path) -> None:
    store = Store(tmp_path)
    await store.open()
    many = {f"a{number}": f"b{number}" for number in range(MAX_PRESETS)}
    await store.save_presets({"token": "front", "presets": many})
    await store.close()
    async with opened(tmp_path, Sources(front=FakeSteerable())) as steering:
        with pytest.raises(ConflictError, match="300 presets are kept of this camera"):
            await steering.set_preset("front", "new", "One more")
        await steering.set_preset("front", "a7", "In its stead")


async def test_rows_that_make_no_sense_are_left_out(tmp_path: Path) -> None:
    store = Store(tmp_path)
    await store.open()
    for row in ({"token": 7, "presets": {}}, {"token": "front", "presets": ["1"]}):
        await store.save_presets(row)
    await store.close()
    async with opened(tmp_path, Sources(front=FakeSteerable())) as steering:
        assert await steering.presets("front") == [Preset("1", "Gate")]


async def test_a_source_that_is_deleted_or_changed_stops_and_the_rest_moves_on(
    tmp_path: Path,
) -> None:
    cameras = {token: FakeSteerable() for token in ("front", "back", "rec--1", "other")}
    sources = Sources(**cameras)
    async with opened(tmp_path, sources) as steering:
        for token in cameras:
            await steering.set_preset(token, "7", "Yard")
            await steering.move(token, LEFT)
        del sources.found["front"]
        del sources.found["rec--1"]
        sources.found["back"] = Source(cameras["back"])  # its address is another now
        steering.follow()
        async with asyncio.timeout(5):
            while cameras["front"].moving or cameras["back"].moving or cameras["rec--1"].moving:
                await asyncio.sleep(0)
        assert cameras["other"].moving
    assert not cameras["other"].moving
    # a recorder that is away keeps what its channels' presets are called
    assert {row["token"] for row in await saved(tmp_path)} == {"back", "rec--1", "other"}


class FullStore:
    """A store on a disk that is full."""

    async def presets(self) -> list[Mapping[str, Any]]:
        return [{"token": "front", "presets": {"7": "2"}}]

    async def save_presets(self, raw: Mapping[str, Any]) -> None:
        raise UnavailableError("the disk is full")

    async def delete_presets(self, token: str) -> None:
        raise UnavailableError("the disk is full")


def test_names_that_can_not_be_kept_are_told_and_hold_until_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> None:
        camera = FakeSteerable()
        sources = Sources(front=camera)
        steering = Steering(sources, FullStore())
        await steering.start()
        with pytest.raises(UnavailableError, match="disk is full"):
            await steering.set_preset("front", "8", "Yard")
        assert Preset("8", "Yard") in await steering.presets("front")
        sources.found.clear()
        steering.follow()
        await steering.close()
        steering.follow()  # nothing is done after the end
        with pytest.raises(UnavailableError, match="the server stops"):
            await steering.stop("front")

    run_virtually(run())
    assert "the presets of front are kept: the disk is full" in caplog.text


async def test_a_source_that_was_changed_a_moment_ago_is_steered_anew(tmp_path: Path) -> None:
    old, new = FakeSteerable(), FakeSteerable()
    sources = Sources(front=old)
    async with opened(tmp_path, sources) as steering:
        await steering.move("front", LEFT)
        sources.found["front"] = Source(new)  # nobody has been told yet
        await steering.go_to("front", "1")
        steering.follow()
        await steering.settle()
        assert not old.moving
    assert old.asked == [LEFT, "stop"]
    assert new.asked == ["go to 1"]


class Opening(Sources):
    """Sources that are made when they are asked for, which is told of at once."""

    steering: Steering

    def get(self, token: str) -> Source:
        if token not in self.found:
            self.found[token] = Source(FakeSteerable())
            self.steering.follow()
        return super().get(token)


async def test_looking_for_sources_may_change_them(tmp_path: Path) -> None:
    sources = Opening(**{"nvr--1": FakeSteerable(), "nvr--2": FakeSteerable()})
    cameras = [one.steering for one in sources.found.values()]
    async with opened(tmp_path, sources) as steering:
        sources.steering = steering
        for token in list(sources.found):
            await steering.move(token, LEFT)
        sources.found.clear()
        steering.follow()
        await steering.settle()
        assert [getattr(one, "asked", None) for one in cameras] == [[LEFT, "stop"]] * 2
