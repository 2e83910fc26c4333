"""Stored media over HTTP as a whole: files, and the threads that read them."""

from __future__ import annotations

from pathlib import Path

from h5sup.outputs.stored.disk import Disk
from h5sup.outputs.stored.files import Finder, StoredFiles


class StoredOutput:
    """What serves mediastore. Whoever asks is authorised before."""

    def __init__(self, finder: Finder, root: Path, *, viewers: int) -> None:
        self._disk = Disk(root)
        self.files = StoredFiles(finder, self._disk, viewers=viewers)

    async def close(self) -> None:
        """Finish what is being read."""
        await self._disk.close()
