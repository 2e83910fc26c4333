"""`./run.py --reindex`: the index built anew from the files alone, while no server runs."""

from __future__ import annotations

from h5sup.base.errors import UnavailableError
from h5sup.events.hub import Hub
from h5sup.recording.absence import Absence
from h5sup.recording.healing import heal
from h5sup.recording.mounts import MountGuard
from h5sup.recording.service import Folders
from h5sup.recording.volume import State, Volume
from h5sup.store.media_index import MediaIndex


async def reindex(folders: Folders) -> str:
    """Forget all files, find them again and return one line; raises UnavailableError."""
    index = MediaIndex(folders.data)
    volume = Volume(MountGuard(folders.mediastore, folders.data), Hub(), keep_free_bytes=0)
    await index.open()
    try:
        await volume.check()
        if index.is_in_memory or volume.state not in (State.OK, State.FULL):
            raise UnavailableError(volume.refusal() or f"{folders.data} can't be written")
        return await _reindex(index, volume)
    except OSError as error:
        raise UnavailableError(f"the index is not whole: {error.strerror}") from error
    finally:
        await volume.close()
        await index.close()


async def _reindex(index: MediaIndex, volume: Volume) -> str:
    absence = Absence(index)
    await absence.settle()
    healed = await heal(index, volume, absence)  # what was cut off tells when its gap began
    await index.clear_files()
    found = await heal(index, volume)
    healed.found, healed.gone, healed.unreadable = 0, 0, found.unreadable
    totals = await index.find_totals()
    files = sum(total.files for total in totals)
    size_bytes = sum(total.size_bytes for total in totals)
    tokens = len({total.token for total in totals})
    rest = f"; {healed}" if healed.did_something else ""
    return f"the index has {files} files of {tokens} sources, {size_bytes / 1e9:.1f} GB{rest}"
