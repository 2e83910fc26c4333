"""The recording parts in one place: built, started and stopped in their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from h5sup.config.model import RecordingConfig
from h5sup.events.hub import Hub
from h5sup.recording.absence import Absence
from h5sup.recording.archive.archives import Archives
from h5sup.recording.healing import Healing
from h5sup.recording.library import Library
from h5sup.recording.mounts import MountGuard
from h5sup.recording.orders import OrderStore
from h5sup.recording.outlook import Forecast
from h5sup.recording.playback.converter import Kit
from h5sup.recording.playback.opener import RecordedPlaybacks, Transcodes
from h5sup.recording.playback.stretches import DeviceRecordings
from h5sup.recording.recordings import Recordings, Sources
from h5sup.recording.retention import Retention
from h5sup.recording.snapshots import Pictures, Snapshots
from h5sup.recording.volume import Volume
from h5sup.store.media_index import MediaIndex


class RecordingService:
    """Owned by the Server. `start()` comes first, `close()` last; neither touches a camera.

    `record()` comes between them, once the sources run. `playbacks` is how many recordings may
    play at once; `kit` and `transcodes` are what they are converted with, and within which bound.
    `find_device` knows what the channel of a recorder has recorded, by its token.
    """

    def __init__(
        self,
        folders: Folders,
        config: RecordingConfig,
        hub: Hub,
        sources: Sources,
        store: OrderStore,
        pictures: Pictures,
        *,
        playbacks: int,
        kit: Kit,
        transcodes: Transcodes,
        find_device: Callable[[str], DeviceRecordings | None] = lambda _: None,
    ) -> None:
        self.folders = folders
        self.index = MediaIndex(folders.data)
        self.library = Library(self.index)
        self.volume = Volume(
            MountGuard(folders.mediastore, folders.data),
            hub,
            keep_free_bytes=config.keep_free_bytes,
        )
        self.absence = Absence(self.index)
        self.healing = Healing(self.index, self.volume, self.absence)

        def limits() -> dict[str, int]:
            return {one.config.token: one.config.record_max_bytes for one in sources.opened()}

        self.retention = Retention(
            self.index, self.volume, config, limits, is_ready=self.healing.is_done.is_set
        )
        self.forecast = Forecast(self.index, self.volume, config, limits)
        self.recordings = Recordings(
            config, sources, self.index, self.volume, hub, store, folders.mediastore
        )
        self.playbacks = RecordedPlaybacks(
            self.index,
            folders.mediastore,
            limit=playbacks,
            kit=kit,
            transcodes=transcodes,
            find_growing=self.recordings.find_growing,
            find_device=find_device,
        )
        self.archives = Archives(
            self.index,
            folders.mediastore,
            kit,
            limit=config.archives,
            # half of what retention keeps free: at its end, recording would stop
            floor_bytes=config.keep_free_bytes // 2,
            refusal=self.volume.refusal,
            require=self.volume.require,
            find_device=find_device,
        )
        self.snapshots = Snapshots(
            pictures, sources, self.playbacks, self.index, self.volume, folders.mediastore
        )
        self.index.on_loss = self.healing.again
        self.volume.on_return = self.healing.again

    async def start(self) -> None:
        """Open the index and look at the disk; what takes long goes on in the background."""
        await self.index.open()
        await self.volume.start()
        await self.archives.start()
        await self.absence.settle()
        self.absence.start()
        self.healing.start()
        self.retention.start()
        self.forecast.start()

    async def record(self) -> None:
        """Record what is to be recorded, and go on with what was begun before a restart."""
        await self.recordings.start()

    async def close(self) -> None:
        """End what runs, the index last."""
        await self.archives.close()
        await self.snapshots.close()
        await self.playbacks.close()
        await self.recordings.close()
        await self.forecast.close()
        await self.retention.close()
        await self.healing.close()
        await self.absence.close()
        await self.volume.close()
        await self.index.close()


@dataclass(frozen=True, slots=True)
class Folders:
    """Where things lie, absolute."""

    data: Path
    mediastore: Path
