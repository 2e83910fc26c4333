"""The mount guard, on tables of mounts as Linux writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from h5sup.recording import mounts
from h5sup.recording.mounts import MEMORY_NAME, MountGuard, find_unmounted

FSTAB = r"""
# <file system> <mount point> <type>
UUID=1234 /              ext4  defaults 0 1
UUID=5678 /mnt/cams      ext4  nofail   0 2
UUID=9abc /mnt/my\040disk ext4 nofail   0 2
/swapfile none           swap  sw       0 0
UUID=def0 /srv           xfs   defaults 0 2
broken
"""
ROOT_ONLY = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
CAMS = "30 22 8:17 / /mnt/cams rw shared:2 - ext4 /dev/sdb1 rw\n"
BLANK = "31 22 8:33 / /mnt/my\\040disk rw - ext4 /dev/sdc1 rw\n"


@pytest.mark.parametrize(
    ("folder", "mountinfo", "missing"),
    [
        ("/mnt/cams/mediastore", ROOT_ONLY, "/mnt/cams"),
        ("/mnt/cams", ROOT_ONLY, "/mnt/cams"),
        ("/mnt/cams/mediastore", ROOT_ONLY + CAMS, None),
        ("/mnt/my disk/a/b", ROOT_ONLY, "/mnt/my disk"),
        ("/mnt/my disk/a/b", ROOT_ONLY + BLANK, None),
        ("/mnt/camsx/mediastore", ROOT_ONLY, None),
        ("/home/pi/h5sup/mediastore", ROOT_ONLY, None),
        ("/mnt/cams/mediastore", None, None),  # nothing tells what is mounted
    ],
)
def test_a_mount_point_that_fstab_lists_must_be_mounted(
    folder: str, mountinfo: str | None, missing: str | None
) -> None:
    found = find_unmounted(Path(folder), FSTAB, mountinfo)
    assert found == (Path(missing) if missing else None)


class Disks:
    """Device numbers by folder, as stat() would tell them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.own: dict[Path, int] = {}
        monkeypatch.setattr(mounts, "_device", self.device)

    def device(self, path: Path) -> int | None:
        for one in (path, *path.parents):
            if one in self.own:
                return self.own[one]
        return 1 if path.exists() or path == Path("/") else None


@pytest.fixture
def disks(monkeypatch: pytest.MonkeyPatch) -> Disks:
    return Disks(monkeypatch)


@pytest.fixture
def guard(tmp_path: Path) -> MountGuard:
    for name in ("data", "mnt/ms"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "fstab").write_text("")
    (tmp_path / "mountinfo").write_text(ROOT_ONLY)
    return MountGuard(
        tmp_path / "mnt" / "ms", tmp_path / "data", tmp_path / "fstab", tmp_path / "mountinfo"
    )


def test_a_folder_on_the_systems_disk_from_the_first_is_fine(
    guard: MountGuard, disks: Disks
) -> None:
    assert guard.find_fault() == ""
    assert not (guard.data / MEMORY_NAME).exists()


def test_a_disk_that_was_there_and_is_gone_is_missed(guard: MountGuard, disks: Disks) -> None:
    disks.own[guard.folder.parent] = 7
    assert guard.find_fault() == ""
    disks.own.clear()
    assert "lay on a disk of its own" in guard.find_fault()
    again = MountGuard(guard.folder, guard.data, guard.fstab, guard.mounts)
    assert "lay on a disk of its own" in again.find_fault()
    disks.own[guard.folder.parent] = 8  # another disk in its place will do
    assert guard.find_fault() == ""


def test_who_moves_back_to_the_systems_disk_deletes_the_memory(
    guard: MountGuard, disks: Disks
) -> None:
    disks.own[guard.folder.parent] = 7
    guard.find_fault()
    disks.own.clear()
    memory = guard.data / MEMORY_NAME
    assert f"delete {memory.name} in paths.data" in guard.find_fault()
    memory.unlink()
    assert guard.find_fault() == ""


def test_another_folder_in_the_configuration_begins_anew(guard: MountGuard, disks: Disks) -> None:
    disks.own[guard.folder.parent] = 7
    guard.find_fault()
    disks.own.clear()
    other = MountGuard(guard.data / "ms", guard.data, guard.fstab, guard.mounts)
    assert other.find_fault() == ""


def test_data_on_the_same_disk_says_nothing(guard: MountGuard, disks: Disks) -> None:
    disks.own[guard.folder.parent] = 7
    disks.own[guard.data] = 7
    assert guard.find_fault() == ""
    assert not (guard.data / MEMORY_NAME).exists()


def test_a_damaged_memory_or_none_that_can_be_written_is_no_fault(
    guard: MountGuard, disks: Disks
) -> None:
    (guard.data / MEMORY_NAME).write_text("{")
    assert guard.find_fault() == ""
    (guard.data / MEMORY_NAME).unlink()
    (guard.data / "mediastore.tmp").mkdir()
    disks.own[guard.folder.parent] = 7
    assert guard.find_fault() == ""


def test_fstab_is_asked_first(guard: MountGuard, disks: Disks) -> None:
    guard.fstab.write_text(f"UUID=1 {guard.folder.parent} ext4 defaults 0 2\n")
    fault = guard.find_fault()
    assert f"that {guard.fstab} lists and that is not mounted" in fault
    assert str(guard.folder.parent) + "/" not in fault.replace(str(guard.fstab), "")
    guard.mounts.write_text(ROOT_ONLY + f"30 22 8:17 / {guard.folder.parent} rw - ext4 x rw\n")
    assert guard.find_fault() == ""
    guard.fstab.unlink()
    guard.mounts.unlink()
    assert guard.find_fault() == ""


def test_the_machine_that_runs_this_test_has_no_fault(tmp_path: Path) -> None:
    assert MountGuard(tmp_path / "not" / "yet", tmp_path).find_fault() == ""
