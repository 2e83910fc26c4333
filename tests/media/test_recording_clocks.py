"""Clocks that jump, hours that come twice or never: names, index, search, what is rebuilt."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from h5sup.base.clock import to_us
from h5sup.events.hub import Hub
from h5sup.recording.healing import Healed, heal
from h5sup.recording.library import Library
from h5sup.recording.mounts import MountGuard
from h5sup.recording.names import find_path
from h5sup.recording.volume import Volume
from h5sup.store.media_index import MediaIndex
from h5sup.store.media_records import StoredFile
from tests.fakes.clips import Clips, decode_frame_indexes
from tests.fakes.stage import TOKEN, Reel, Stage, staged
from tests.unit.recording.test_names import server_in

pytestmark = pytest.mark.media

HOUR_S = 3600.0
LEAD = timedelta(seconds=4)
BACK = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)  # 03:00 becomes 02:00 in Berlin
FORTH = datetime(2027, 3, 28, 1, 0, tzinfo=UTC)  # 02:00 becomes 03:00
NOON = datetime(2026, 11, 25, 11, 30, tzinfo=UTC)  # 12:30 in Berlin


def set_clock(stage: Stage, moment: datetime) -> None:
    stage.set_s += moment.timestamp() - stage.wall_s()


async def rebuilt(stage: Stage, folder: Path) -> list[StoredFile]:
    """Return what an empty index finds on the disk."""
    await asyncio.to_thread(folder.mkdir)
    index = MediaIndex(folder)
    volume = Volume(MountGuard(stage.root, folder), Hub(), keep_free_bytes=0)
    await index.open()
    await heal(index, volume)
    rows = await index.find_after(0, 1000)
    assert await heal(index, volume) == Healed()
    await index.close()
    await volume.close()
    return [replace(row, id=0) for row in sorted(rows, key=lambda one: one.path)]


@pytest.mark.parametrize(
    ("begin", "jump_s", "folders"),
    [
        (BACK, 0.0, ["2026-10-25TZ01/02", "2026-10-25TZ02/02"]),
        (FORTH, 0.0, ["2027-03-28TZ01/01", "2027-03-28TZ02/03"]),
        (NOON, HOUR_S, ["2026-11-25TZ01/12", "2026-11-25TZ01/13"]),
        (NOON, -HOUR_S, ["2026-11-25TZ01/11", "2026-11-25TZ01/12"]),
    ],
    ids=["an hour comes twice", "an hour is left out", "set forward", "set back"],
)
async def test_every_picture_is_found_when_it_was_taken(
    begin: datetime, jump_s: float, folders: list[str], clips: Clips, tmp_path: Path
) -> None:
    reel = Reel(clips["h264_aac"])
    with server_in("Europe/Berlin"):
        async with staged(tmp_path, source={"record": "always"}, segment_s=1) as stage:
            set_clock(stage, begin - LEAD)
            await stage.play(reel, count=100)
            stage.set_s += jump_s
            await stage.play(reel, first=100)
            await stage.recordings.close()
            files = await stage.files()
            library = Library(stage.index)
            found = await rebuilt(stage, tmp_path / "other")
            around = [
                await library.find_files("record", TOKEN, at, at + timedelta(seconds=8))
                for at in (begin - LEAD, begin - LEAD + timedelta(seconds=jump_s))
            ]
    assert sorted({path_of(file)[:17] for file in files}) == folders
    assert found == [replace(file, id=0) for file in sorted(files, key=lambda one: one.path)]
    assert {file.path for some in around for file in some} == {file.path for file in files}
    ordered = sorted(files, key=lambda file: file.id)
    pictures = [
        n for file in ordered for n in decode_frame_indexes(tmp_path / "mediastore" / file.path)
    ]
    assert pictures == list(range(200))
    assert all(
        after.start_us == before.end_us
        for before, after in pairwise(ordered)
        if abs(after.start_us - before.end_us) < HOUR_S * 1e6 / 2
    )
    for file in files:
        where = find_path(file.path)
        assert where is not None
        assert 0 <= file.start_us - to_us(where.moment) < 1_000_000


def path_of(file: StoredFile) -> str:
    """Return day, zone and time of its folder."""
    return "/".join(file.path.split("/")[2:4])
