"""Recording and retention side by side on a disk that is too small for all of it."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from h5sup.config.model import RecordingConfig
from h5sup.events.hub import Hub
from h5sup.recording.mounts import MountGuard
from h5sup.recording.retention import Retention
from h5sup.recording.volume import State, Volume
from tests.fakes.clips import Clips, Recipe, decode_frame_indexes
from tests.fakes.stage import Reel, staged

pytestmark = pytest.mark.media

TOTAL_BYTES = 4_000_000
KEEP_FREE_BYTES = 300_000


class SmallDisk:
    """What statvfs() says of a folder that may hold so much."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.least = TOTAL_BYTES

    def statvfs(self, _: Path) -> SimpleNamespace:
        used = sum(path.stat().st_size for path in self.root.rglob("*.mp4"))
        free = TOTAL_BYTES - used
        self.least = min(self.least, free)
        return SimpleNamespace(f_bavail=free, f_blocks=TOTAL_BYTES, f_frsize=1, f_flag=0)


async def test_the_oldest_make_room_and_what_is_left_has_no_hole(
    clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reel = Reel(clips.make(Recipe(audio="aac", duration_s=32), "record"))
    async with staged(tmp_path, source={"record": "always"}, segment_s=1) as stage:
        disk = SmallDisk(stage.root)
        monkeypatch.setattr(os, "statvfs", disk.statvfs)
        volume = Volume(MountGuard(stage.root, tmp_path), Hub(), keep_free_bytes=KEEP_FREE_BYTES)
        config = RecordingConfig(segment_s=1, keep_free_bytes=KEEP_FREE_BYTES)
        retention = Retention(
            stage.index, volume, config, dict, wall_s=stage.wall_s, clock_s=lambda: stage.now_s
        )
        await volume.check()
        for first in range(0, 800, 50):
            await stage.play(reel, first=first, count=50)
            await retention.run()
            assert volume.state is State.OK
            assert volume.refusal() == ""
        await stage.recordings.close()
        files = await stage.closed_files()
        assert disk.least >= KEEP_FREE_BYTES
        assert 0 < retention.deleted_files == 32 - len(files)
        assert retention.deleted_bytes > 1_000_000
        assert {str(path.relative_to(stage.root)) for path in stage.root.rglob("*.mp4")} == {
            file.path for file in files
        }
        seen: list[int] = []
        for path in stage.paths(files):
            seen += decode_frame_indexes(path)
        await volume.close()
    assert seen[-1] == 799
    assert all(after == before + 1 for before, after in pairwise(seen))
    assert len(seen) == 25 * len(files)
