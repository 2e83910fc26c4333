"""`/hls/v2/<token>/`: fragmented MP4 cut in memory from what the bus carries."""

from __future__ import annotations

import asyncio

from aiohttp import web

from h5sup.base.errors import NotFoundError, UnavailableError
from h5sup.bus.channel import Channel
from h5sup.config.model import HlsConfig
from h5sup.outputs.hls import responses
from h5sup.outputs.hls.holds import Form, Hold, Holds
from h5sup.outputs.hls.muxer import HOLD_S, Muxer
from h5sup.outputs.hls.playlist import (
    Variant,
    is_hevc,
    session_query,
    write_index,
    write_media,
)
from h5sup.outputs.hls.window import History, Window

HISTORIES = 1024  # of a few numbers each; the oldest is forgotten


class Fmp4Hls:
    """The handlers of v2. A muxer runs only while its playlist is asked for."""

    def __init__(self, holds: Holds, config: HlsConfig) -> None:
        self._holds = holds
        self._config = config
        self._histories: dict[tuple[str, Variant], History] = {}

    async def index(self, request: web.Request) -> web.StreamResponse:
        """Answer the multivariant playlist once it is known what the source sends."""
        token = request.match_info["token"]
        hold = await self._holds.open(token, Form.INDEX, HOLD_S)
        init = hold.channel.init
        if init is None:
            raise UnavailableError(_why_not(hold.channel))
        known: dict[Variant, Channel] = {}
        derived = self._holds.find(token, Form.H264)
        if derived is not None:
            known[Variant.H264] = derived.channel
        query = session_query(request.query.get("session", ""))
        return responses.playlist(request, write_index(hold.channel, init, known, query))

    async def media(self, request: web.Request) -> web.StreamResponse:
        """Answer a media playlist, held until there is something to play."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        token, variant = _names(request)
        hold = await self._holds.open(token, Form(variant.value), HOLD_S)
        init = hold.channel.init
        if variant is Variant.HEVC and init is not None and not is_hevc(init):
            raise NotFoundError(f"source {token!r} does not send H.265: play its h264.m3u8")
        muxer = hold.muxer or self._start_muxer(hold, token, variant)
        muxer.drop_stale(asked_at)
        if not await muxer.wait_first(asked_at, asked_at + HOLD_S - loop.time()):
            raise UnavailableError(_why_not(hold.channel))
        query = session_query(request.query.get("session", ""))
        return responses.playlist(request, write_media(variant, muxer.window, query))

    async def init(self, request: web.Request) -> web.StreamResponse:
        """Send the init segment of a segment that is still there."""
        found = self._window(request).find_map(int(request.match_info["number"]))
        if found is None:
            raise NotFoundError("this init segment is gone")
        data = found.init.data
        return await responses.send_media(request, [data], len(data), responses.MIME_INIT)

    async def segment(self, request: web.Request) -> web.StreamResponse:
        """Send a segment that is still there."""
        found = self._window(request).find(int(request.match_info["number"]))
        if found is None:
            raise NotFoundError("this segment is gone or not there yet")
        return await responses.send_media(
            request, found.pieces(), found.size_bytes, responses.MIME_FRAGMENTS
        )

    def _window(self, request: web.Request) -> Window:
        token, variant = _names(request)
        hold = self._holds.find(token, Form(variant.value))
        if hold is None or hold.muxer is None:
            raise NotFoundError("nobody has asked for this playlist lately: ask for it first")
        return hold.muxer.window

    def _start_muxer(self, hold: Hold, token: str, variant: Variant) -> Muxer:
        muxer = hold.muxer = Muxer(
            hold.channel,
            self._history(token, variant),
            segment_s=self._config.segment_s,
            segments=self._config.segments,
        )
        muxer.start()
        return muxer

    def _history(self, token: str, variant: Variant) -> History:
        """Return what is remembered of earlier muxers."""
        history = self._histories.pop((token, variant), None) or History()
        self._histories[token, variant] = history
        if len(self._histories) > HISTORIES:
            del self._histories[next(iter(self._histories))]
        return history


def _names(request: web.Request) -> tuple[str, Variant]:
    return request.match_info["token"], Variant(request.match_info["variant"])


def _why_not(channel: Channel) -> str:
    reason = channel.state.reason or "it is starting"
    return f"source {channel.token!r} has no picture yet: {reason}"
