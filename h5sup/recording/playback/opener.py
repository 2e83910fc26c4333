"""Opens playbacks, of this server's recordings and of devices', and finds them again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Protocol

from h5sup.base.clock import to_us, utc_now
from h5sup.base.errors import InvalidError, MediaFormatError, NotFoundError, UnavailableError
from h5sup.bus.playback import PlaybackRequest
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.formats.isobmff.stored import StoredMovie
from h5sup.recording.playback import stored
from h5sup.recording.playback.converter import Kit
from h5sup.recording.playback.device_reel import DeviceReel, Patience
from h5sup.recording.playback.player import Player
from h5sup.recording.playback.programme import FileIndex, Programme
from h5sup.recording.playback.reel import Reel
from h5sup.recording.playback.retiming import find_silence
from h5sup.recording.playback.stretches import DeviceRecordings
from h5sup.recording.playback.supply import Edge, Piece, Supply
from h5sup.recording.playback.wardrobe import Wardrobe, choose_family, has_sound
from h5sup.store.media_records import StoredFile

THREADS = 4  # that read: a disk does little more at once
MOST = 100  # at once, of a megabyte or so each
MOST_OF_DEVICES = 16  # at once, each an ffmpeg of some 30 MB, and recorders have few places
ORDER_SHOWN = 6  # pictures that tell whether they come in another order than they are shown

logger = logging.getLogger(__name__)


class Transcodes(Protocol):
    """What bounds how many convert pictures at once, live ones among them."""

    def admit(self, job: Player) -> None:
        """Count it in while it runs; raises UnavailableError when too many do."""


class RecordedPlaybacks:
    """The PlaybackOpener of own recordings and of devices'. `close()` ends all playbacks."""

    def __init__(
        self,
        index: FileIndex,
        mediastore: Path,
        *,
        limit: int,
        kit: Kit | None = None,
        transcodes: Transcodes | None = None,
        find_growing: Callable[[str], StoredMovie | None] = lambda _: None,
        find_device: Callable[[str], DeviceRecordings | None] = lambda _: None,
        patience: Patience | None = None,
        wall: Callable[[], datetime] = utc_now,
    ) -> None:
        """Take what there is to play; without a `kit` nothing is converted, and no device played.

        `find_device` knows what the channel of a device has recorded, by the channel's token.
        """
        self._find_device = find_device
        self._patience = patience
        self._device_places: set[object] = set()
        self._kit = kit
        self._find_growing = find_growing
        self._transcodes = transcodes
        self._index = index
        self._root = mediastore
        self._limit = min(limit, MOST)
        self._wall = wall
        self._threads = ThreadPoolExecutor(THREADS, "playback")
        self._players: dict[str, Player] = {}

    @property
    def count(self) -> int:
        """Return how many play."""
        return len(self._players)

    @property
    def converting(self) -> int:
        """Return of how many the pictures are converted."""
        return sum(player.is_running for player in self._players.values())

    async def open(self, request: PlaybackRequest) -> Player:
        """Return a playback that stands at its begin.

        Raises NotFoundError when there is nothing to play, UnavailableError when too many play.
        """
        if len(self._players) >= self._limit:
            raise UnavailableError(f"all {self._limit} places for playbacks are taken")
        device = None if request.from_server else self._find_device(request.token)
        if device is not None and self._kit is not None:
            return await self._open_device(request, device, self._kit)
        programme = self._programme(request)
        wardrobe = await self._furnish(programme, request)
        return await self._open(
            request,
            lambda on_ready: Reel(
                programme, self._root, self._threads, on_ready, self._find_growing
            ),
            wardrobe,
        )

    async def _open_device(
        self, request: PlaybackRequest, device: DeviceRecordings, kit: Kit
    ) -> Player:
        """Open what a device has recorded; only what it sends tells what that is."""
        if request.begin is None or request.end is None:
            raise InvalidError("begintime", "give begintime and endtime: devices have no files")
        if len(self._device_places) >= MOST_OF_DEVICES:
            raise UnavailableError(
                f"all {MOST_OF_DEVICES} places for playbacks from devices are taken"
            )
        place = object()
        self._device_places.add(place)
        reel = DeviceReel(
            device,
            request.begin,
            request.end,
            kit,
            name=request.token,
            looks_at=1 if request.b_frames else ORDER_SHOWN,
            patience=self._patience,
            on_close=lambda: self._device_places.discard(place),
        )
        try:
            wardrobe = _dress_device(request, await reel.open())
            return await self._open(request, reel.handed_to, wardrobe)
        except BaseException:
            await reel.close()
            raise

    async def _open(
        self,
        request: PlaybackRequest,
        make_reel: Callable[[Callable[[], None]], Supply],
        wardrobe: Wardrobe,
    ) -> Player:
        player = Player(
            request,
            make_reel,
            wardrobe,
            kit=self._kit,
            admit=self._admit,
            on_close=self._forget,
            wall=self._wall,
        )
        self._players[player.id] = player
        try:
            await player.open()
        except BaseException:
            await player.close()
            raise
        return player

    def find(self, playback_id: str) -> Player | None:
        """Return a playback that plays."""
        return self._players.get(playback_id)

    async def close(self) -> None:
        """End all playbacks."""
        await asyncio.gather(*(one.close() for one in list(self._players.values())))
        self._threads.shutdown(wait=False)

    def _admit(self, player: Player) -> None:
        if self._transcodes is not None:
            self._transcodes.admit(player)

    def _forget(self, player: Player) -> None:
        self._players.pop(player.id, None)

    def _programme(self, request: PlaybackRequest) -> Programme:
        if request.begin is None or request.end is None:
            return Programme(self._index, request.token, name=request.filename)
        begin_us, end_us = to_us(request.begin), to_us(request.end)
        return Programme(self._index, request.token, begin_us=begin_us, end_us=end_us)

    async def _furnish(self, programme: Programme, request: PlaybackRequest) -> Wardrobe:
        """Look at what there is to play and decide how it is announced."""
        files = await programme.all_files()
        if not files:
            raise NotFoundError(_nothing(request))
        family = choose_family((one.codecs for one in files), takes_h265=request.hevc)
        return Wardrobe(
            family=family,
            sound=None if request.opus and self._kit is None else await self._find_sound(files),
            opus=request.opus,
            b_frames=request.b_frames,
        )

    async def _find_sound(self, files: list[StoredFile]) -> InitSegment | None:
        """Return the init segment of the first file whose sound can be announced."""
        tried: set[str] = set()
        for file in files:
            if not has_sound(file.codecs) or file.codecs in tried:
                continue
            init = await self._read_init(file)
            if init is None:
                continue
            if find_silence(init) is not None:
                return init
            tried.add(file.codecs)
        return None

    async def _read_init(self, file: StoredFile) -> InitSegment | None:
        """Return a file's init segment; None if it can't be had."""
        known = self._find_growing(file.path) if file.is_growing else None
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, stored.read_init, self._root, file, known
            )
        except (OSError, MediaFormatError) as error:
            logger.warning("%s can't be played: %s", file.path, error)
            return None


def _dress_device(request: PlaybackRequest, found: Piece | Edge) -> Wardrobe:
    """Return how what a device sends is announced, given what came first."""
    if not isinstance(found, Piece):
        raise NotFoundError(_nothing(request))
    init = found.source.init
    return Wardrobe(
        family=choose_family([init.codecs], takes_h265=request.hevc),
        sound=init if find_silence(init) is not None else None,
        opus=request.opus,
        b_frames=request.b_frames,
    )


def _nothing(request: PlaybackRequest) -> str:
    if request.begin is None or request.end is None:
        return f"source {request.token!r} has no recording {request.filename!r}"
    begin, end = (one.isoformat(timespec="seconds") for one in (request.begin, request.end))
    return f"nothing of source {request.token!r} was recorded from {begin} to {end}"
