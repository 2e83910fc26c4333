"""Which disk a folder lies on, and whether it is the one that it should be.

When a disk is not mounted its mount point is a plain folder of the system's own disk, and whoever
writes there fills that.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FSTAB = Path("/etc/fstab")
MOUNTS = Path("/proc/self/mountinfo")
MEMORY_NAME = "mediastore.json"
ROOT = Path("/")
ESCAPE = re.compile(r"\\([0-7]{3})")  # how both files write a blank


@dataclass(slots=True)
class MountGuard:
    """Remembers, in `data`, that `folder` lay on a disk of its own. Blocks; used from a thread."""

    folder: Path
    data: Path
    fstab: Path = FSTAB
    mounts: Path = MOUNTS

    def find_fault(self) -> str:
        """Return why nothing may be written now, without a path; empty when all is well."""
        missing = find_unmounted(
            self.folder, _read(self.fstab), _read(self.mounts) if self.mounts.exists() else None
        )
        if missing:
            return (
                f"paths.mediastore lies on a disk that {self.fstab} lists and that is not "
                "mounted: nothing is recorded until it is (mount -a)"
            )
        has_own = self._device() not in (_device(ROOT), _device(self.data))
        remembered = self._remembers()
        if has_own and not remembered:
            self._remember()
        if remembered and not has_own:
            return (
                "paths.mediastore lay on a disk of its own and now lies on the system's: nothing "
                "is recorded until its disk is mounted; if it shall lie here from now on, delete "
                f"{MEMORY_NAME} in paths.data"
            )
        return ""

    def _device(self) -> int | None:
        """Return the disk that the folder lies on, or would if it were made."""
        for path in (self.folder, *self.folder.parents):
            if (device := _device(path)) is not None:
                return device
        return None

    def _remembers(self) -> bool:
        try:
            memory = json.loads((self.data / MEMORY_NAME).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return bool(memory == self._memory())

    def _remember(self) -> None:
        path = self.data / MEMORY_NAME
        temporary = path.with_suffix(".tmp")
        with suppress(OSError):  # data can't be written: the next look tries again
            temporary.write_text(json.dumps(self._memory()) + "\n", encoding="utf-8")
            temporary.replace(path)

    def _memory(self) -> dict[str, str]:
        """Return what is kept; another folder in config.json begins anew."""
        return {"on_a_disk_of_its_own": str(self.folder)}


def find_unmounted(folder: Path, fstab: str, mountinfo: str | None) -> Path | None:
    """Return a mount point at or above the folder that fstab lists and that is not mounted.

    `mountinfo` is None where there is none to be read: then nothing is known to be missing.
    """
    if mountinfo is None:
        return None
    mounted = {_unescape(fields[4]) for line in mountinfo.splitlines() if (fields := line.split())}
    for line in fstab.splitlines():
        fields = line.split()
        if len(fields) < 3 or fields[0].startswith("#"):
            continue
        point = Path(_unescape(fields[1]))
        if not point.is_absolute() or point == ROOT or str(point) in mounted:
            continue
        if (folder == point or point in folder.parents) and str(point.resolve()) not in mounted:
            return point
    return None


def _unescape(text: str) -> str:
    return ESCAPE.sub(lambda found: chr(int(found[1], 8)), text)


def _device(path: Path) -> int | None:
    try:
        return path.stat().st_dev
    except OSError:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
