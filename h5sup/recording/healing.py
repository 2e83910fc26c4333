"""Makes the index and the disk agree: after a crash, a power cut, or the loss of the index.

It goes on beside live pictures and recordings, in threads and piece by piece. What grows in this
run is left alone: its row is there before its file is.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from h5sup.base.errors import MediaFormatError, UnavailableError
from h5sup.base.tasks import end_tasks, start_task
from h5sup.formats.isobmff.duration import read_duration_s
from h5sup.formats.isobmff.recorded import Closing
from h5sup.formats.isobmff.stored import Recovery, StoredMovie, recover
from h5sup.recording.absence import Absence
from h5sup.recording.names import EXTENSIONS, KINDS, StoredPath, find_path
from h5sup.recording.volume import Volume
from h5sup.store.media_index import MediaIndex
from h5sup.store.media_records import Kind, StoredFile, Trigger
from h5sup.store.media_schema import SECOND_US

BATCH = 200  # of rows at once
TOLD = 10  # sentences about single files; a count follows
SET_ASIDE = ".damaged"
CHUNK_BYTES = 1 << 20
Fate = Literal["kept", "closed", "empty", "damaged", "gone", "unreadable", "refused"]
TRIGGERS: tuple[Trigger, ...] = get_args(Trigger)

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Healed:
    """What had to be done, in numbers of files."""

    found: int = 0
    """On the disk and not in the index."""
    gone: int = 0
    """In the index and not on the disk."""
    closed: int = 0
    """Cut off while they grew."""
    empty: int = 0
    """Without any picture, and deleted."""
    damaged: int = 0
    """With pictures that can't be read, and renamed."""
    unreadable: int = 0
    """Left where they are, and not in the index."""

    @property
    def did_something(self) -> bool:
        """Return whether anything was amiss."""
        return self != Healed()

    def __str__(self) -> str:
        words = (
            (self.found, "found on the disk"),
            (self.gone, "gone from the disk"),
            (self.closed, "closed that had been cut off"),
            (self.empty, "deleted that held no picture"),
            (self.damaged, f"set aside as {SET_ASIDE}"),
            (self.unreadable, "left alone that can't be read"),
        )
        said = [f"{count} {what}" for count, what in words if count]
        return ", ".join(said) or "nothing to do"


@dataclass(frozen=True, slots=True)
class _Taken:
    """What a file on the disk turned out to be, and what became of it."""

    file: StoredFile | None = None
    fate: Fate = "kept"
    problem: str = ""


class Healing:
    """Heals in the background from `start()` on, as soon as the disk is there.

    `again()` has it done once more, after the index or the disk was lost and has come back.
    """

    def __init__(self, index: MediaIndex, volume: Volume, absence: Absence) -> None:
        self.is_done = asyncio.Event()
        self._index = index
        self._volume = volume
        self._absence = absence
        self._is_checked = False
        self._must_work = asyncio.Event()
        self._working: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._must_work.set()
        self._working = start_task(self._work(), "healing the index")

    def again(self) -> None:
        """Do it once more, soon."""
        self.is_done.clear()
        self._must_work.set()

    async def close(self) -> None:
        """Stop where it is; the next start goes on."""
        await end_tasks(self._working)

    async def _work(self) -> None:
        while True:
            await self._must_work.wait()
            self._must_work.clear()
            await self._volume.wait_there()
            try:
                if self._index.was_cut_off and not self._is_checked:
                    await self._index.check()
                    self._is_checked = True
                healed = await heal(self._index, self._volume, self._absence)
            except (OSError, UnavailableError) as error:
                logger.warning("the index is not compared with the disk: %s", error)
            else:
                if healed.did_something:
                    logger.info("recordings after the last end: %s", healed)
            if not self._must_work.is_set():
                self.is_done.set()


async def heal(index: MediaIndex, volume: Volume, absence: Absence | None = None) -> Healed:
    """Make index and disk agree, once; raises OSError when the disk is away."""
    work = _Work(index, volume, absence)
    await work.close_growing()
    await work.forget_missing()
    await work.take_up_new()
    if work.healed.unreadable > TOLD:
        logger.warning("%d files below %s can't be read", work.healed.unreadable, volume.folder)
    return work.healed


class _Work:
    """One comparison of index and disk."""

    def __init__(self, index: MediaIndex, volume: Volume, absence: Absence | None) -> None:
        self.healed = Healed()
        self._index = index
        self._volume = volume
        self._absence = absence
        self._root = volume.folder

    async def close_growing(self) -> None:
        """Close what was growing when the last run died."""
        for row in await self._index.find_growing():
            if not self._index.is_written(row.id):
                await self._take_up([row.path])

    async def forget_missing(self) -> None:
        """Take out rows whose files are gone."""
        last = 0
        while rows := await self._index.find_after(last, BATCH):
            last = rows[-1].id
            rows = [row for row in rows if not self._index.is_written(row.id)]
            missing = await asyncio.to_thread(self._missing, [row.path for row in rows])
            gone = [row.id for row in rows if row.path in missing]
            if gone:
                await self._index.delete(gone)
                self.healed.gone += len(gone)

    async def take_up_new(self) -> None:
        """List files that have no row, or whose row says another size."""
        for folder in await asyncio.to_thread(list_days, self._root):
            sizes = await asyncio.to_thread(list_files, self._root, folder)
            rows = {row.path: row for row in await self._index.find_below(folder)}
            new = [path for path, size in sizes.items() if _is_news(rows.get(path), size)]
            for begin in range(0, len(new), BATCH):
                await self._take_up(new[begin : begin + BATCH])

    async def _take_up(self, paths: Sequence[str]) -> None:
        """Look into files and have the index say what they are."""
        found: list[StoredFile] = []
        for path in paths:
            row = await self._index.find_path(path)
            if row is not None and self._index.is_written(row.id):
                continue  # it was begun a moment ago
            taken = await asyncio.to_thread(take, self._root, path)
            self._count(path, row, taken)
            if taken.file is not None:
                found.append(taken.file)
                if row is not None and row.is_growing and self._absence is not None:
                    await self._absence.correct(taken.file)
            elif row is not None and taken.fate != "refused":
                await self._index.delete([row.id])
        if found:
            await self._index.add_all(found)

    def _count(self, path: str, row: StoredFile | None, taken: _Taken) -> None:
        """Count what was done, and say it where something is lost."""
        healed, where = self.healed, self._root / path
        healed.found += taken.file is not None and row is None
        match taken.fate:
            case "kept":
                pass
            case "closed":
                healed.closed += 1
            case "gone":
                healed.gone += row is not None
            case "empty":
                healed.empty += 1
                logger.warning("%s held no picture and is deleted", where)
            case "damaged":
                healed.damaged += 1
                logger.error(
                    "%s is damaged and can't be played: it is set aside as %s%s",
                    where,
                    where.name,
                    SET_ASIDE,
                )
            case "unreadable" | "refused":
                healed.unreadable += 1
                if healed.unreadable <= TOLD:
                    logger.warning("%s is left alone: %s", where, taken.problem)

    def _missing(self, paths: Sequence[str]) -> set[str]:
        missing = {path for path in paths if not (self._root / path).exists()}
        if missing:
            self._volume.require()  # else they are not gone, but away with their disk
        return missing


def _is_news(row: StoredFile | None, size_bytes: int) -> bool:
    return row is None or (not row.is_growing and row.size_bytes != size_bytes)


def list_days(root: Path) -> list[str]:
    """Return the folders that hold a day of one source, as the index names them. Blocks."""
    found = []
    for kind in KINDS:
        for token in _folders(root / kind):
            found += [f"{kind}/{token.name}/{day.name}" for day in _folders(token)]
    return sorted(found)


def list_files(root: Path, folder: str) -> dict[str, int]:
    """Return the files of a day whose path is one of ours, with their sizes. Blocks."""
    found = {}
    for time in _folders(root / folder):
        with os.scandir(time) as entries:
            for entry in entries:
                path = f"{folder}/{time.name}/{entry.name}"
                if entry.is_file(follow_symlinks=False) and _is_ours(path):
                    found[path] = entry.stat(follow_symlinks=False).st_size
    return found


def _is_ours(path: str) -> bool:
    """Return whether the path is spelt as we do and ends as its kind does."""
    found = find_path(path)
    return found is not None and str(found) == path and path.endswith(EXTENSIONS[found.kind])


def _folders(parent: Path) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(parent), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield Path(entry.path)


def take(root: Path, path: str) -> _Taken:
    """Look into a file; closes one that was cut off and deletes one without a picture. Blocks."""
    where = find_path(path)
    assert where is not None  # it came from the index or from list_files()
    try:
        if where.kind == "record":
            return _take_recording(root / path, where)
        return _take_other(root / path, where)
    except FileNotFoundError:
        return _Taken(fate="gone")
    except OSError as error:
        return _Taken(fate="refused", problem=error.strerror or "it can't be read")
    except MediaFormatError as error:
        return _Taken(fate="unreadable", problem=str(error))


def _take_recording(path: Path, where: StoredPath) -> _Taken:
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        size_bytes = os.fstat(fd).st_size
        found = recover(lambda offset, size: os.pread(fd, size, offset), size_bytes)
        if found.movie is None:
            return _put_away(path, fd)
        if found.closing is not None:
            _close(fd, found, found.closing)
        size_bytes = os.fstat(fd).st_size
        file = _describe(where, found.movie, size_bytes)
        return _Taken(file, "closed" if found.closing is not None else "kept")
    finally:
        os.close(fd)


def _take_other(path: Path, where: StoredPath) -> _Taken:
    """Look into a snapshot or an archive, of which the path tells when it was taken."""
    with path.open("rb") as file:
        fd = file.fileno()
        size_bytes = os.fstat(fd).st_size
        if not size_bytes:
            path.unlink()
            return _Taken(fate="empty")
        found = _build_file(where, size_bytes)
        if where.kind == "archive":
            length_s = read_duration_s(lambda at, size: os.pread(fd, size, at), size_bytes)
            found = replace(found, end_us=found.start_us + round(length_s * SECOND_US))
    return _Taken(found)


def _put_away(path: Path, fd: int) -> _Taken:
    """Delete what has no whole fragment; else it is damaged, and kept for who can mend it."""
    if _has_fragments(fd):
        path.rename(path.with_name(path.name + SET_ASIDE))
        return _Taken(fate="damaged")
    path.unlink()
    return _Taken(fate="empty")


def _has_fragments(fd: int) -> bool:
    """Return whether there are two heads of fragments: the first one is whole then."""
    offset, end, count = 0, b"", 0
    while count < 2 and (chunk := os.pread(fd, CHUNK_BYTES, offset)):
        count += (end + chunk).count(b"moof")
        offset, end = offset + len(chunk), chunk[-3:]
    return count >= 2


def _close(fd: int, found: Recovery, closing: Closing) -> None:
    """Make it an ordinary MP4, safe at each moment as at its recorder's."""
    os.ftruncate(fd, found.keep_bytes)
    os.lseek(fd, 0, os.SEEK_END)
    tail = memoryview(closing.tail)
    try:
        while tail:
            tail = tail[os.write(fd, tail) :]
        os.fdatasync(fd)
    except OSError:  # a full disk needs the room more than half a tail does
        os.ftruncate(fd, found.keep_bytes)
        raise
    os.pwrite(fd, closing.patch, closing.patch_at)
    os.fdatasync(fd)


def _describe(where: StoredPath, movie: StoredMovie, size_bytes: int) -> StoredFile:
    """Return the row of a recording: what it says itself counts, but for where it lies."""
    note, video = movie.note, movie.init.video
    trigger = note.get("trigger", "")
    file = _build_file(where, size_bytes)
    return replace(
        file,
        recording=note.get("recording") or file.filename,
        trigger=TRIGGERS[TRIGGERS.index(trigger)] if trigger in TRIGGERS else "manual",
        start_us=movie.gops[0].wall_us,
        end_us=movie.end_us,
        codecs=movie.init.codecs,
        width=video.width if video else 0,
        height=video.height if video else 0,
    )


def _build_file(where: StoredPath, size_bytes: int) -> StoredFile:
    """Return what a path alone says of a file."""
    start_us = int(where.moment.timestamp()) * SECOND_US
    kind: Kind = where.kind
    return StoredFile(
        kind=kind,
        token=where.token,
        path=str(where),
        filename=where.filename,
        recording=where.filename,
        trigger="manual",
        start_us=start_us,
        end_us=start_us,
        size_bytes=size_bytes,
    )
