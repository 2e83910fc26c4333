"""The recording parts in one place: built, started and stopped in their order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from h5sup.recording.library import Library
from h5sup.recording.playback.opener import RecordedPlaybacks
from h5sup.store.media_index import MediaIndex


class RecordingService:
    """Owned by the Server. `start()` comes first, `close()` last; neither touches a camera."""

    def __init__(self, folders: Folders, *, playbacks: int) -> None:
        """Take where things lie and how many may play at once."""
        self.folders = folders
        self.index = MediaIndex(folders.data)
        self.library = Library(self.index)
        self.playbacks = RecordedPlaybacks(self.index, folders.mediastore, limit=playbacks)

    async def start(self) -> None:
        """Open the index."""
        await self.index.open()

    async def close(self) -> None:
        """End what runs, the index last."""
        await self.playbacks.close()
        await self.index.close()


@dataclass(frozen=True, slots=True)
class Folders:
    """Where things lie, absolute."""

    data: Path
    mediastore: Path
