"""The store on a real folder; a power cut is played by leaving files as it would leave them."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from h5sup.base.errors import ConfigError, UnavailableError
from h5sup.store.store import Store

FRONT = {"token": "front", "type": "rtsp", "url": "rtsp://192.0.2.1/a", "password": "s"}
BACK = {"token": "back", "type": "file", "url": "b.mp4", "sub": {"url": ""}}


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Store]:
    store = Store(folder)
    try:
        await store.open()
        yield store
    finally:
        await store.close()


async def fill(folder: Path, *sources: Mapping[str, object]) -> None:
    async with opened(folder) as store:
        for one in sources:
            await store.save_source(one)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def tokens(folder: Path) -> list[str]:
    async with opened(folder) as store:
        return [one["token"] for one in await store.sources()]


async def test_what_was_saved_is_there_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    await fill(folder, FRONT, BACK)

    async with opened(folder) as store:
        assert await store.sources() == [FRONT, BACK]


async def test_saving_again_replaces_and_deleting_forgets(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.save_source(FRONT)
        await store.save_source(BACK)
        await store.save_source({"token": "front", "url": "rtsp://192.0.2.9/b"})
        await store.delete_source("back")
        await store.delete_source("never there")

        assert await store.sources() == [{"token": "front", "url": "rtsp://192.0.2.9/b"}]


async def test_changing_what_was_returned_changes_nothing_kept(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.save_source(FRONT)
        (await store.sources())[0]["token"] = "other"

        assert (await store.sources())[0]["token"] == "front"


async def test_host_id_never_changes(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        first = await store.host_id()
        await store.save_source(FRONT)
    async with opened(tmp_path) as store:
        assert await store.host_id() == first
    assert len(first) == 32


async def test_file_is_for_our_user_alone(tmp_path: Path) -> None:
    await fill(tmp_path / "data", FRONT, BACK)

    for path in (tmp_path / "data").iterdir():
        assert path.stat().st_mode & 0o077 == 0


async def test_newest_generation_is_synced_before_it_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def spy_fsync(fd: int) -> None:
        steps.append(f"sync {Path(f'/proc/self/fd/{fd}').readlink().name}")
        fsync(fd)

    def spy_replace(path: Path, target: Path) -> Path:
        steps.append(f"{path.name} -> {target.name}")
        return replace(path, target)

    await fill(tmp_path, FRONT)
    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(Path, "replace", spy_replace)
    await fill(tmp_path, BACK)

    assert steps == [
        "sync h5sup.json.tmp",
        "h5sup.json -> h5sup.json.bak",
        "h5sup.json.tmp -> h5sup.json",
        f"sync {tmp_path.name}",
    ]


@pytest.mark.parametrize("damage", [b"", b"{", b'{"sources": {"1": ', b"\0" * 100, b"[]", b"\xff",
                                    b'{"sources": []}', b'{"sources": {"1": 2}}'])  # fmt: skip
async def test_damaged_newest_falls_back_to_the_older_one(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    await fill(tmp_path, FRONT, BACK)
    (tmp_path / "h5sup.json").write_bytes(damage)

    assert await tokens(tmp_path) == ["front"]
    assert "h5sup.json" in caplog.text
    assert (tmp_path / "h5sup.json.damaged").read_bytes() == damage
    caplog.clear()
    await fill(tmp_path, {"token": "third"})
    assert await tokens(tmp_path) == ["front", "third"]
    assert json.loads((tmp_path / "h5sup.json.bak").read_text())  # a good one, never the damaged


@pytest.mark.parametrize("damage", [b"", b"{", b"[]"])
async def test_two_damaged_generations_stop_the_start_and_stay(
    tmp_path: Path, damage: bytes
) -> None:
    newest, older = tmp_path / "h5sup.json", tmp_path / "h5sup.json.bak"
    newest.write_bytes(damage)
    older.write_bytes(b"also damaged")

    with pytest.raises(ConfigError) as caught:
        await tokens(tmp_path)

    assert str(newest) in str(caught.value)
    assert str(older) in str(caught.value)
    assert (newest.read_bytes(), older.read_bytes()) == (damage, b"also damaged")
    assert names_in(tmp_path) == ["h5sup.json", "h5sup.json.bak"]


async def test_damaged_file_without_an_older_one_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "h5sup.json").write_text("{")

    with pytest.raises(ConfigError, match=r"is damaged, and .*h5sup\.json\.bak is missing"):
        await tokens(tmp_path)


async def test_only_a_damaged_older_one_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "h5sup.json.bak").write_text("{")

    with pytest.raises(ConfigError, match=r"is missing and .*h5sup\.json\.bak is damaged"):
        await tokens(tmp_path)


async def test_power_cut_between_the_two_renames_loses_nothing_older(tmp_path: Path) -> None:
    await fill(tmp_path, FRONT, BACK)
    (tmp_path / "h5sup.json").replace(tmp_path / "h5sup.json.bak")
    (tmp_path / "h5sup.json.tmp").write_text("half of the n")

    assert await tokens(tmp_path) == ["front", "back"]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cut=st.integers(0, 10_000))
def test_any_cut_of_the_newest_leaves_a_usable_store(tmp_path: Path, cut: int) -> None:
    for name in names_in(tmp_path):
        (tmp_path / name).unlink()

    async def play() -> list[str]:
        await fill(tmp_path, FRONT, BACK)
        newest = tmp_path / "h5sup.json"
        whole = newest.read_bytes()
        newest.write_bytes(whole[: cut % len(whole)])
        return await tokens(tmp_path)

    assert asyncio.run(play()) == ["front"]


async def test_full_disk_is_told_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    async with opened(tmp_path) as store:
        await store.save_source(FRONT)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(UnavailableError, match="No space left on device"):
                await store.save_source(BACK)
        assert await store.sources() == [FRONT]
        await store.save_source(BACK)
    assert await tokens(tmp_path) == ["front", "back"]


async def test_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")

    with pytest.raises(UnavailableError, match="can't be written"):
        await tokens(tmp_path / "data" / "inner")


async def test_all_work_is_done_on_the_stores_own_thread(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        names = {await store._run(lambda: threading.current_thread().name) for _ in range(5)}

        await asyncio.gather(*(store.save_source({"token": f"t{n}"}) for n in range(20)))
        assert len(await store.sources()) == 20
    assert names == {"h5sup-store_0"}
