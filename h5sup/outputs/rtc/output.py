"""The WebRTC output as a whole: its ways of signalling, its bounds, its figures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo

from aiohttp import web

from h5sup.base.clock import ServerZone
from h5sup.base.errors import UnavailableError
from h5sup.bus.playback import PlaybackOpener
from h5sup.config.model import RtcConfig
from h5sup.outputs.rtc.endpoint import Endpoint
from h5sup.outputs.rtc.hall import Hall
from h5sup.outputs.rtc.leases import Leases
from h5sup.outputs.rtc.past import PastOpener
from h5sup.outputs.rtc.signalling import Signalling
from h5sup.outputs.rtc.whep import Whep

OFF = "WebRTC is switched off (rtc.port in config.json)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerFigures:
    """How media arrives at one viewer."""

    token: str
    name: str
    """What tells it from the others."""
    address: str
    is_udp: bool
    packets: int
    resent: int
    replays: int
    dropped: int
    loss: float
    """Of the packets of the last report, 0 to 1."""
    jitter_ms: float
    round_trip_ms: float | None


class RtcOutput:
    """WebRTC viewers of all channels. `open()` before the first request, `close()` at the end."""

    def __init__(
        self,
        leases: Leases,
        config: RtcConfig,
        *,
        viewers: int,
        segments: bool = True,
        playbacks: PlaybackOpener | None = None,
        zone: tzinfo | None = None,
    ) -> None:
        """Take who has channels and who has recordings.

        `zone` is that of times without one: the machine's own if it is not given.
        """
        self._is_on = config.port > 0
        self._endpoint = Endpoint(config.port, connections=2 * viewers, segments=segments)
        zone = zone or ServerZone()
        past = PastOpener(playbacks, zone) if playbacks is not None else None
        self._hall = Hall(leases, config, self._endpoint, viewers, past)
        self._signalling = Signalling(self._hall, config, zone)
        self._whep = Whep(self._hall, config)

    @property
    def connections(self) -> int:
        """Return how many viewers are connected or about to be."""
        return len(self._hall.seats)

    @property
    def figures(self) -> list[ViewerFigures]:
        """Return how media arrives at each viewer."""
        found = []
        for seat in self._hall.seats:
            viewer, path = seat.viewer, seat.viewer.peer.path
            if path is None or not viewer.is_connected:
                continue
            outgoing = [track.outgoing for track in viewer.tracks]
            found.append(
                ViewerFigures(
                    token=seat.token,
                    name=str(seat.number),
                    address=path.remote[0],
                    is_udp=path.is_udp,
                    packets=viewer.packets,
                    resent=viewer.resent,
                    replays=outgoing[0].replays,
                    dropped=sum(one.dropped for one in outgoing),
                    loss=viewer.arrival.loss,
                    jitter_ms=viewer.arrival.jitter_ms,
                    round_trip_ms=viewer.arrival.round_trip_ms,
                )
            )
        return found

    async def open(self) -> None:
        """Listen; raises ConfigError when the port is taken."""
        if self._is_on:
            await self._endpoint.open()

    async def signal(self, request: web.Request) -> web.StreamResponse:
        """Serve `/api/v1/h5srtcapi`."""
        if not self._is_on:
            return await self._signalling.refuse(request, OFF)
        return await self._signalling.handle(request)

    async def whep(self, request: web.Request) -> web.StreamResponse:
        """Answer what lies under `/whep/`."""
        if not self._is_on:
            raise UnavailableError(OFF)
        return await self._whep.handle(request)

    async def close(self) -> None:
        """Let everyone go."""
        await self._hall.close()
        await self._signalling.close()
        await self._endpoint.close()
