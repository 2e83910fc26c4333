"""The HLS output as a whole: its routes, its bounds and its answers when something fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from h5sup.base.errors import InvalidError, NotFoundError, UnavailableError
from h5sup.config.model import HlsConfig
from h5sup.outputs.hls.fmp4 import Fmp4Hls
from h5sup.outputs.hls.holds import IDLE_S, Holds
from h5sup.outputs.hls.keepalive import KeepAlive
from h5sup.outputs.hls.leases import Leases
from h5sup.outputs.hls.responses import failure
from h5sup.outputs.hls.ts import TsHls

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
NUMBER = "{number:[0-9]{1,15}}"
VARIANT = "{variant:h264|hevc}"


class HlsOutput:
    """HLS v1 and v2 and their keep-alive socket. Whoever asks is authorised before."""

    def __init__(
        self, leases: Leases, config: HlsConfig, *, viewers: int, idle_s: float = IDLE_S
    ) -> None:
        self._limit = viewers
        self._holds = Holds(leases, idle_s=idle_s)
        self._ts = TsHls(self._holds, config)
        self._fmp4 = Fmp4Hls(self._holds, config)
        self._keepalive = KeepAlive(leases, self._holds, limit=viewers)
        self._requests = 0
        self._router = web.UrlDispatcher()
        self._router.add_routes(self.routes())

    @property
    def playlists(self) -> int:
        """Return how many playlists are kept going."""
        return len(self._holds)

    @property
    def size_bytes(self) -> int:
        """Return the length of all segments in memory; their bytes are the bus's own."""
        return self._holds.size_bytes

    @property
    def waiting(self) -> int:
        """Return how many requests wait for a segment or part that is to come."""
        return self._holds.waiting

    @property
    def requests(self) -> int:
        """Return how many requests are being answered, those that wait among them."""
        return self._requests

    @property
    def connections(self) -> int:
        """Return how many keep-alive sockets are open."""
        return self._keepalive.connections

    def routes(self) -> list[web.RouteDef]:
        """Return the routes under /hls."""
        ts, fmp4 = self._ts, self._fmp4
        return [
            self._route("/hls/v1/{token}/hls.m3u8", ts.playlist),
            self._route(f"/hls/v1/{{token}}/s{NUMBER}.ts", ts.segment),
            self._route("/hls/v2/{token}/hls.m3u8", fmp4.index),
            self._route(f"/hls/v2/{{token}}/{VARIANT}.m3u8", fmp4.media),
            self._route(f"/hls/v2/{{token}}/{VARIANT}/init{NUMBER}.mp4", fmp4.init),
            self._route(f"/hls/v2/{{token}}/{VARIANT}/s{NUMBER}.m4s", fmp4.segment),
            self._route(f"/hls/v2/{{token}}/{VARIANT}/p{NUMBER}.m4s", fmp4.part),
        ]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer whatever lies under /hls."""
        match = await self._router.resolve(request)
        if match.http_exception is not None:
            raise match.http_exception
        request.match_info.update(match)
        return await match.handler(request)

    async def keep_alive(self, request: web.Request) -> web.StreamResponse:
        """Serve `/api/v1/h5swscmnapi`; raises NotFoundError, UnavailableError."""
        return await self._keepalive.handle(request)

    async def close(self) -> None:
        """End everything: the server stops."""
        await self._keepalive.close()
        self._holds.close()

    def _route(self, path: str, handler: Handler) -> web.RouteDef:
        async def answer(request: web.Request) -> web.StreamResponse:
            return await self._answer(request, handler)

        return web.get(path, answer)

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer by status code: players know nothing of the API's JSON."""
        if self._requests >= self._limit:
            raise failure(web.HTTPServiceUnavailable, "too many requests at once (limits.viewers)")
        self._requests += 1
        try:
            return await handler(request)
        except InvalidError as error:
            raise failure(web.HTTPBadRequest, str(error)) from error
        except NotFoundError as error:
            raise failure(web.HTTPNotFound, str(error)) from error
        except UnavailableError as error:
            raise failure(web.HTTPServiceUnavailable, str(error)) from error
        finally:
            self._requests -= 1
