"""What a playback reads, in order: piece by piece, one piece ahead, over files and gaps.

One read at a time and one piece that waits: so much memory a playback takes, however slow its
viewer is. Reads are done by threads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from h5sup.base.errors import MediaFormatError, UnavailableError
from h5sup.formats.isobmff.gop_table import StoredGop
from h5sup.formats.isobmff.stored import StoredMovie
from h5sup.recording.playback import stored
from h5sup.recording.playback.programme import JOIN_US, Programme, choose
from h5sup.recording.playback.stored import Opened
from h5sup.recording.playback.supply import Edge, Piece, Stride
from h5sup.store.media_records import StoredFile

READ_TIMEOUT_S = 10.0  # a disk that does not answer ends the playback
CLOSE_TIMEOUT_S = 5.0
T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Place:
    """Where the next piece lies."""

    number: int
    """Of its GOP in the file."""
    offset: int = 0
    """In the GOP."""
    land_us: int | None = None


class Reel:
    """Owned by one player. `take()` from the loop alone; `on_ready` is called when it is worth it.

    `close()` must follow.
    """

    def __init__(
        self,
        programme: Programme,
        root: Path,
        threads: Executor,
        on_ready: Callable[[], None],
        find_growing: Callable[[str], StoredMovie | None] = lambda _: None,
    ) -> None:
        """Take what to read; `find_growing` knows what files that are being recorded hold."""
        self.programme = programme
        self.stride: Stride = lambda *_: 0
        self._root = root
        self._threads = threads
        self._on_ready = on_ready
        self._find_growing = find_growing
        self._source: Opened | None = None
        self._place: _Place | None = None
        self._played: set[int] = set()
        self._sought_us: int | None = programme.begin_us
        """Where to go before the next piece is read."""
        self._last_sought_us = programme.begin_us
        self._reading: asyncio.Task[Piece | Edge] | None = None
        self._is_stale = False

    @property
    def waiting_bytes(self) -> int:
        """Return how much was read ahead."""
        reading = self._reading
        if reading is None or not reading.done() or reading.exception() is not None:
            return 0
        found = reading.result()
        return 0 if isinstance(found, Edge) else sum(len(one.data) for one in found.fragments)

    def seek(self, at_us: int) -> None:
        """Have the next piece be that with the picture of a moment, or the next after it."""
        self._sought_us = self._last_sought_us = at_us
        self._is_stale = self._reading is not None

    def take(self) -> Piece | Edge | None:
        """Return the next piece, and have the one after it read; None while it is being read.

        Raises UnavailableError when the disk does not answer.
        """
        reading = self._reading
        if reading is None:
            self._read()
            return None
        if not reading.done():
            return None
        self._reading = None
        if self._is_stale:
            self._is_stale = False
            reading.exception()  # it is of no interest any more
            self._sought_us = self._last_sought_us  # it may have begun late enough to go there
            self._read()
            return None
        found = reading.result()
        if isinstance(found, Edge):
            return found
        if found.is_first and found.land_us is None:
            wants_key = self.stride(found.source, found.gop) > 0
            if wants_key != found.is_key_alone:  # the speed has changed meanwhile
                self._place = _Place(found.number)
                self._read()
                return None
        self._read()
        return found

    async def open(self) -> Piece | Edge:
        """Return the first piece once it is read, which take() gives once more."""
        if self._reading is None:
            self._read()
        assert self._reading is not None
        return await asyncio.shield(self._reading)

    def steer(self, speed: float, *, is_paused: bool) -> None:
        """Do nothing: a disk is read as fast as it is played."""

    async def close(self) -> None:
        """Close what is open, once no thread reads it any more."""
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=CLOSE_TIMEOUT_S)
        if self._reading is not None and not self._reading.done():
            self._reading.add_done_callback(lambda _: self._close_source())
            return
        if self._reading is not None:
            self._reading.exception()
        self._close_source()

    def _read(self) -> None:
        self._reading = asyncio.create_task(self._next(), name="playback read")
        self._reading.add_done_callback(lambda _: self._on_ready())

    async def _next(self) -> Piece | Edge:
        """Return the next piece; what can't be read is passed over, with a log line."""
        while True:
            if self._sought_us is not None:
                sought_us, self._sought_us = self._sought_us, None
                await self._land(sought_us)
            source, place = self._source, self._place
            if source is None or place is None:
                return Edge.END
            if place.number >= len(source.movie.gops):
                if edge := await self._go_on(source):
                    return edge
                continue
            gop = source.movie.gops[place.number]
            if gop.wall_us >= self.programme.end_us:
                return Edge.END
            try:
                return await self._read_at(source, gop, place)
            except MediaFormatError as error:
                logger.warning("%s: a GOP is passed over: %s", source.file.path, error)
                self._place = _Place(place.number + 1, land_us=place.land_us)
            except OSError as error:
                logger.warning("%s can't be read on: %s", source.file.path, error)
                self._source = replace(source, file=replace(source.file, is_growing=False))
                self._place = _Place(len(source.movie.gops))

    async def _read_at(self, source: Opened, gop: StoredGop, place: _Place) -> Piece:
        piece = partial(
            Piece, source=source, number=place.number, gop=gop, is_first=place.offset == 0
        )
        stride = 0
        if place.offset == 0 and place.land_us is None:
            stride = self.stride(source, gop)
        if stride:
            key = await self._in_thread(lambda: stored.read_key(source, gop))
            end, ticks = stored.follow(source, place.number, stride)
            self._place = _Place(end)
            return piece(fragments=[key], duration=ticks)
        fragments, offset = await self._in_thread(
            lambda: stored.read_piece(source, gop, place.offset)
        )
        is_last = offset >= gop.size
        self._place = _Place(place.number + 1) if is_last else replace(place, offset=offset)
        return piece(fragments=fragments, land_us=place.land_us)

    async def _land(self, at_us: int) -> None:
        """Stand at the picture of a moment or the next one, or else at the last there is."""
        self._played.clear()
        if await self._go_to(at_us, lands=True):
            return
        file = await self.programme.last(at_us + 1)
        opened = await self._open(file) if file is not None else None
        if opened is None:
            return
        if not opened.movie.gops:
            self._place = _Place(0)  # its first GOP is still being recorded
            return
        self._place = _Place(len(opened.movie.gops) - 1, land_us=at_us)
        self._played.add(opened.file.id)

    async def _go_on(self, source: Opened) -> Edge | None:
        """Find what comes after a file's last known GOP; return why there is nothing."""
        known = len(source.movie.gops)
        if source.file.is_growing:
            source = self._source = await self._refreshed(source)
            if len(source.movie.gops) > known:
                return None
            if source.file.is_growing:
                return Edge.NOT_YET
        self._played.add(source.file.id)
        return None if await self._go_to(source.end_us, lands=False) else Edge.END

    async def _refreshed(self, source: Opened) -> Opened:
        """Return a growing file as it is now: perhaps it grows no more."""
        files = await self.programme.files(source.end_us - 1)
        file = next((one for one in files if one.id == source.file.id), None)
        if file is None:  # it was deleted, or ends here
            file = replace(source.file, is_growing=False)
        try:
            return await self._in_thread(lambda: stored.refresh(source, file))
        except (OSError, MediaFormatError) as error:
            logger.warning("%s can't be read on: %s", source.file.path, error)
            return replace(source, file=replace(file, is_growing=False))

    async def _go_to(self, at_us: int, *, lands: bool) -> bool:
        """Stand at a moment, or at the first picture after it; False when there is none.

        One that `lands` is exact; else a file is begun at its beginning if that is close.
        """
        while True:
            file = choose(await self.programme.files(at_us), at_us, self._played)
            if file is None:
                return False
            opened = await self._open(file)
            number = None if opened is None else opened.find(at_us)
            if opened is None or number is None:
                self._played.add(file.id)
                continue
            gop = opened.movie.gops[number]
            is_close = not lands and number == 0 and at_us - gop.wall_us <= JOIN_US
            is_inside = gop.wall_us < at_us and not is_close
            self._place = _Place(number, land_us=at_us if is_inside else None)
            return True

    async def _open(self, file: StoredFile) -> Opened | None:
        """Open a file in place of the present one; None, with a log line, if that can't be."""
        present = self._source
        try:
            if present is None or present.file.id != file.id:
                known = self._find_growing(file.path) if file.is_growing else None
                opened = await self._in_thread(lambda: stored.open_file(self._root, file, known))
                self._close_source()
            elif file.is_growing or present.file.is_growing:
                opened = await self._in_thread(lambda: stored.refresh(present, file))
            else:
                opened = present
        except FileNotFoundError:
            return None  # retention was here
        except (OSError, MediaFormatError) as error:
            logger.warning("%s can't be played: %s", file.path, error)
            return None
        self._source = opened
        return opened

    def _close_source(self) -> None:
        if self._source is not None:
            self._threads.submit(self._source.close)
            self._source = None

    async def _in_thread(self, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        job = loop.run_in_executor(self._threads, work)
        done, _ = await asyncio.wait({job}, timeout=READ_TIMEOUT_S)
        if not done:
            raise UnavailableError("the disk with the recordings does not answer")
        return job.result()
