"""Index and disk brought together, on real files as a crash leaves them."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from struct import pack
from uuid import uuid4

import pytest

from h5sup.events.hub import Hub
from h5sup.formats.isobmff.recorded import MovieWriter
from h5sup.formats.isobmff.stored import read_movie
from h5sup.recording import healing as module
from h5sup.recording.absence import Absence
from h5sup.recording.healing import Healed, Healing, heal
from h5sup.recording.mounts import MountGuard
from h5sup.recording.volume import Volume
from h5sup.store.media_index import FILE_NAME, MediaIndex
from h5sup.store.media_records import Kind, StoredFile
from tests.fakes.mp4 import Camera, box
from tests.fakes.recorded import BEGIN_US, SECOND_US, close, reader_of, write

DAY = "2026-11-25TZ00"


class Rig:
    """A mediastore and its index."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "ms"
        self.index = MediaIndex(folder)
        self.volume = Volume(MountGuard(self.root, folder), Hub(), keep_free_bytes=0)
        self.absence = Absence(self.index)

    async def heal(self) -> Healed:
        return await heal(self.index, self.volume, self.absence)

    def put(
        self,
        data: bytes,
        *,
        token: str = "front",
        kind: Kind = "record",
        at: str = "10-00-00",
        name: str = "",
    ) -> StoredFile:
        """Write a file and return the row that the recorder would have begun for it."""
        name = name or f"{token}-{uuid4()}.{'jpg' if kind == 'snapshot' else 'mp4'}"
        path = self.root / kind / token / DAY / at / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return StoredFile(
            kind=kind,
            token=token,
            path=str(path.relative_to(self.root)),
            filename=name,
            recording=name,
            trigger="always",
            start_us=BEGIN_US,
            end_us=BEGIN_US,
            is_growing=True,
        )

    async def rows(self) -> list[StoredFile]:
        return await self.index.find_after(0, 1000)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    one = Rig(tmp_path)
    await one.index.open()
    await one.volume.check()
    yield one
    await one.index.close()
    await one.volume.close()


def growing(gops: int = 3, **note: str) -> tuple[bytes, MovieWriter]:
    """Return a file that was never closed."""
    camera = Camera()
    note = {"token": "front", "recording": "visit.mp4", "trigger": "always"} | note
    writer = MovieWriter(camera.init, note)
    return write(writer, *(camera.gop(25) for _ in range(gops))), writer


def closed(gops: int = 3, **note: str) -> bytes:
    data, writer = growing(gops, **note)
    return close(data, writer.close())


async def test_a_file_without_a_row_is_found_with_all_that_it_says(rig: Rig) -> None:
    data = closed(3, recording="visit.mp4", trigger="manual")
    file = rig.put(data)
    assert str(await rig.heal()) == "1 found on the disk"
    (row,) = await rig.rows()
    assert row == replace(
        file,
        id=row.id,
        recording="visit.mp4",
        trigger="manual",
        end_us=BEGIN_US + 3 * SECOND_US,
        size_bytes=len(data),
        is_growing=False,
        codecs="avc1.4D002A, mp4a.40.2",
        width=640,
        height=360,
    )
    assert await rig.heal() == Healed()


async def test_a_row_without_a_file_goes(rig: Rig) -> None:
    file = rig.put(closed())
    await rig.heal()
    (rig.root / file.path).unlink()
    assert await rig.heal() == Healed(gone=1)
    assert await rig.rows() == []


@pytest.mark.parametrize("cut_bytes", [0, 1, 700])
async def test_a_file_that_grew_when_the_server_died_is_closed(
    rig: Rig, tmp_path: Path, cut_bytes: int
) -> None:
    data, _ = growing(5)
    file = rig.put(data[: len(data) - cut_bytes])
    await rig.index.add(file)
    await rig.index.close()
    rig.index = MediaIndex(tmp_path)
    await rig.index.open()
    assert str(await rig.heal()) == "1 closed that had been cut off"
    (row,) = await rig.rows()
    on_disk = (rig.root / file.path).read_bytes()
    movie = read_movie(reader_of(on_disk), len(on_disk))
    assert movie.is_finished
    assert len(movie.gops) == 5
    assert (row.is_growing, row.size_bytes, row.end_us) == (False, len(on_disk), movie.end_us)
    assert BEGIN_US + 4 * SECOND_US < row.end_us <= BEGIN_US + 5 * SECOND_US


async def test_closing_that_was_cut_short_is_done_again(rig: Rig) -> None:
    data, writer = growing(2)
    tail = writer.close().tail
    rig.put(data + tail[: len(tail) // 2])
    assert await rig.heal() == Healed(found=1, closed=1)


async def test_what_is_recorded_now_is_left_alone(rig: Rig) -> None:
    data, _ = growing(2)
    file = rig.put(data + b"half a GOP")
    number = await rig.index.add(file)
    rig.index.grow(number, end_us=BEGIN_US + 9, size_bytes=5)
    missing = await rig.index.add(replace(file, path=f"record/front/{DAY}/11-00-00/new.mp4"))
    assert await rig.heal() == Healed()
    assert (rig.root / file.path).read_bytes() == data + b"half a GOP"
    assert {row.id for row in await rig.rows()} == {number, missing}


async def test_a_row_that_a_power_cut_has_left_behind_is_made_right(rig: Rig) -> None:
    file = rig.put(closed(2))
    await rig.heal()
    (rig.root / file.path).write_bytes(closed(4))
    assert await rig.heal() == Healed()
    (row,) = await rig.rows()
    assert row.end_us == BEGIN_US + 4 * SECOND_US


@pytest.mark.parametrize("length", [0, 10, 300])
async def test_a_file_without_any_picture_is_deleted_with_a_word(
    rig: Rig, length: int, caplog: pytest.LogCaptureFixture
) -> None:
    file = rig.put(growing(0)[0][:length])
    await rig.index.add(file)
    await rig.index.finish(1, end_us=BEGIN_US, size_bytes=5)
    assert await rig.heal() == Healed(empty=1)
    assert await rig.rows() == []
    assert not (rig.root / file.path).exists()
    assert caplog.text.count("held no picture and is deleted") == 1


async def test_zeros_that_a_power_cut_has_left_are_no_pictures(rig: Rig) -> None:
    rig.put(growing(0)[0] + bytes(100_000))
    assert await rig.heal() == Healed(empty=1)


async def test_pictures_that_can_not_be_read_are_set_aside(
    rig: Rig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 7)  # heads lie across the pieces that are read
    data, _ = growing(3)
    first = data.index(b"prft")
    broken = data[:first] + b"xxxx" + data[first + 4 :]
    file = rig.put(broken)
    assert str(await rig.heal()) == "1 set aside as .damaged"
    assert (rig.root / (file.path + ".damaged")).read_bytes() == broken
    assert await rig.rows() == []
    assert "it is set aside as" in caplog.text
    assert await rig.heal() == Healed()


async def test_files_of_others_stay_where_they_are(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    files = [rig.put(b"not a movie at all", at=f"10-00-{n:02}") for n in range(12)]
    assert await rig.heal() == Healed(unreadable=12)
    assert all((rig.root / file.path).exists() for file in files)
    assert caplog.text.count("is left alone: this is no recording of h5sup") == module.TOLD
    assert "12 files below" in caplog.text
    assert await rig.rows() == []


async def test_only_paths_that_are_spelt_as_ours_are_looked_at(rig: Rig) -> None:
    data = closed()
    for path in (
        f"record/front/{DAY}/1-00-00/a.mp4",
        f"record/front/{DAY}/10-00-00/a.jpg",
        f"record/front/{DAY}/10-00-00/a.mp4.part",
        "record/front/2026-1-1TZ00/10-00-00/a.mp4",
        "record/front/lost+found/x/a.mp4",
        f"other/front/{DAY}/10-00-00/a.mp4",
        "record/a.mp4",
    ):
        (rig.root / path).parent.mkdir(parents=True, exist_ok=True)
        (rig.root / path).write_bytes(data)
    target = rig.put(data, token="real")
    link = rig.root / "record" / "front" / DAY / "10-00-00" / "link.mp4"
    link.symlink_to(rig.root / target.path)
    (rig.root / "record" / "linked").symlink_to(rig.root / "record" / "real")
    assert await rig.heal() == Healed(found=1)


async def test_snapshots_and_archives_are_found_by_their_paths(rig: Rig) -> None:
    rig.put(b"JPEG", kind="snapshot", at="10-00-07")
    mvhd = box(b"mvhd", bytes(12), pack(">II", 1000, 90_500), bytes(80))
    rig.put(box(b"ftyp") + box(b"moov", mvhd), kind="archive")
    rig.put(b"half an archive", kind="archive", at="11-00-00")
    rig.put(b"", kind="snapshot", at="10-00-08")
    assert await rig.heal() == Healed(found=2, empty=1, unreadable=1)
    rows = {row.kind: row for row in await rig.rows()}
    at_us = rows["snapshot"].start_us
    assert at_us == rows["snapshot"].end_us == rows["archive"].start_us + 7 * SECOND_US
    assert rows["archive"].end_us - rows["archive"].start_us == 90_500_000
    assert at_us % (86_400 * SECOND_US) == (10 * 3600 + 7) * SECOND_US


async def test_a_file_that_may_not_be_read_is_left_alone(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = rig.put(closed())

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", refuse)
        patch.setattr(os, "open", refuse)
        assert await rig.heal() == Healed(unreadable=1)
    assert (rig.root / file.path).exists()
    assert await rig.heal() == Healed(found=1)


async def test_a_file_that_can_not_be_closed_now_is_closed_later(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = rig.put(growing(2)[0])
    number = await rig.index.add(file)
    rig.index.leave(number)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", refuse)
        assert await rig.heal() == Healed(unreadable=1)
    assert [row.is_growing for row in await rig.rows()] == [True]
    assert (rig.root / file.path).read_bytes() == growing(2)[0]
    assert await rig.heal() == Healed(closed=1)
    (row,) = await rig.rows()
    assert (row.id, row.is_growing) == (number, False)


async def test_rows_stay_when_the_disk_is_away(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    file = rig.put(closed())
    await rig.heal()
    (rig.root / file.path).rename(rig.root / "elsewhere")
    monkeypatch.setattr(MountGuard, "find_fault", lambda _: "/mnt/cams is not mounted")
    with pytest.raises(OSError, match="not mounted"):
        await rig.heal()
    assert len(await rig.rows()) == 1


async def test_a_lost_index_is_rebuilt_while_all_goes_on(rig: Rig, tmp_path: Path) -> None:
    for n in range(30):
        rig.put(closed(1), at=f"10-00-{n:02}")
    await rig.heal()
    await rig.index.close()
    before = {replace(row, id=0) for row in await reopened(rig, tmp_path)}
    (tmp_path / FILE_NAME).write_bytes(b"x" * 5000)
    rig.index = MediaIndex(tmp_path)
    await rig.index.open()
    healing = Healing(rig.index, rig.volume, rig.absence)
    healing.start()
    async with asyncio.timeout(10):
        await healing.is_done.wait()
    assert {replace(row, id=0) for row in await rig.rows()} == before
    await healing.close()


async def reopened(rig: Rig, folder: Path) -> list[StoredFile]:
    index = MediaIndex(folder)
    await index.open()
    rows = await index.find_after(0, 1000)
    await index.close()
    return rows


async def test_it_waits_for_the_disk_and_can_be_asked_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with monkeypatch.context() as patch:
        patch.setattr(MountGuard, "find_fault", lambda _: "/mnt/cams is not mounted")
        await rig.volume.check()
        file = rig.put(closed())
        healing = Healing(rig.index, rig.volume, rig.absence)
        healing.start()
        await asyncio.sleep(0.05)
        assert await rig.rows() == []
    await rig.volume.check()
    async with asyncio.timeout(10):
        await healing.is_done.wait()
        (rig.root / file.path).unlink()
        healing.again()
        await healing.is_done.wait()
    assert await rig.rows() == []
    await healing.close()
    assert "recordings after the last end: 1 found on the disk" in caplog.text
    assert "recordings after the last end: 1 gone from the disk" in caplog.text


async def test_an_index_that_fails_is_said_and_no_end(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(module, "list_days", fail)
    healing = Healing(rig.index, rig.volume, rig.absence)
    healing.start()
    async with asyncio.timeout(10):
        await healing.is_done.wait()
    await healing.close()
    assert "the index is not compared with the disk" in caplog.text
