"""What was recorded, to one WebSocket viewer: as fast as it is due and as the viewer takes it.

A viewer that takes nothing holds its playback up, which then reads nothing; that costs no memory,
but a place among the viewers, so it is cut off after a while.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from datetime import tzinfo

import msgspec

from h5sup.base.errors import H5supError, InvalidError, NotFoundError, UnavailableError
from h5sup.bus.playback import (
    Begun,
    Item,
    Playback,
    PlaybackOpener,
    Played,
    Position,
)
from h5sup.outputs.playback_wire import build_session_event, build_time_event, obey, read_request
from h5sup.outputs.ws import wire
from h5sup.outputs.ws.viewer import Viewer

OPEN_WITHIN_S = 8.0  # players give up on a socket without a type after 10 s
UNSENT_BYTES = 262_144  # may wait for the network; a single key frame may be more
LOOK_AGAIN_S = 0.02  # whether the viewer has taken it
STUCK_S = 10.0  # without a byte taken
MOST_SAID = 16  # before the playback is open


class Showing:
    """Owned by the handler of its request: `run()` is a task of its own, `hear()` any time."""

    def __init__(
        self, opener: PlaybackOpener, query: Mapping[str, str], *, owner: str, zone: tzinfo
    ) -> None:
        self._opener = opener
        self._query = query
        self._owner = owner
        self._zone = zone
        self._viewer: Viewer | None = None
        self._playback: Playback | None = None
        self._said: deque[str] = deque(maxlen=MOST_SAID)

    async def run(self, viewer: Viewer) -> None:
        """Play what was asked for until cancelled; why it can't be the socket's end says.

        A page could not read why a socket failed to open.
        """
        self._viewer = viewer
        try:
            playback = await self._open()
        except H5supError as error:
            is_final = isinstance(error, InvalidError | NotFoundError)
            viewer.dismiss(
                wire.CLOSE_POLICY if is_final else wire.CLOSE_TRY_AGAIN_LATER, str(error)
            )
            return
        try:
            self._greet(viewer, playback)
            while not viewer.is_gone and (item := await playback.next()):
                viewer.send(self._frame(item))
                await _drain(viewer)
        except H5supError as error:  # the disk does not answer, say
            viewer.dismiss(wire.CLOSE_TRY_AGAIN_LATER, str(error))
        finally:
            viewer.dismiss(wire.CLOSE_GOING_AWAY, "the playback has ended")
            await playback.close()

    def hear(self, text: str) -> None:
        """Do what the viewer commands; of a command that can't be done it is told why."""
        if self._playback is None:
            self._said.append(text)
            return
        try:
            said = msgspec.json.decode(text)
            if isinstance(said, dict):
                obey(self._playback, said, self._zone)
        except InvalidError as error:
            self._tell({"type": "H5S_EVENT_PB_ERROR", "strCode": str(error)})
        except (msgspec.DecodeError, RecursionError):  # the oldest clients say `keepalive`
            return

    async def _open(self) -> Playback:
        request = replace(read_request(self._query, self._zone), owner=self._owner)
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                return await self._opener.open(request)
        except TimeoutError:
            raise UnavailableError("the recordings did not open in time") from None

    def _greet(self, viewer: Viewer, playback: Playback) -> None:
        """Send what comes before media, then do what was commanded meanwhile."""
        start = wire.frame(wire.OPCODE_BINARY, playback.mime.encode("ascii"))
        start += wire.frame(wire.OPCODE_TEXT, build_session_event(playback).encode())
        viewer.send(start)
        self._playback = playback
        while self._said:
            self.hear(self._said.popleft())

    def _frame(self, item: Item) -> bytearray:
        match item:
            case Begun(init=init):
                return wire.frame(wire.OPCODE_BINARY, init.data)
            case Played(fragment=fragment):
                return wire.frame(wire.OPCODE_BINARY, fragment.data)
            case Position():
                return wire.frame(wire.OPCODE_TEXT, build_time_event(item, self._zone).encode())

    def _tell(self, event: dict[str, str]) -> None:
        if self._viewer is not None and self._viewer.unsent_bytes <= UNSENT_BYTES:
            self._viewer.send(wire.frame(wire.OPCODE_TEXT, msgspec.json.encode(event)))


async def _drain(viewer: Viewer) -> None:
    """Return once little is unsent; a viewer that takes nothing is cut off."""
    loop = asyncio.get_running_loop()
    least, since = viewer.unsent_bytes, loop.time()
    while (unsent := viewer.unsent_bytes) > UNSENT_BYTES and not viewer.is_gone:
        if unsent < least:
            least, since = unsent, loop.time()
        elif loop.time() - since > STUCK_S:
            viewer.cut_off()
        await asyncio.sleep(LOOK_AGAIN_S)
