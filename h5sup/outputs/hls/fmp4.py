"""`/hls/v2/<token>/`: fragmented MP4 cut in memory from what the bus carries."""

from __future__ import annotations

import asyncio

from aiohttp import hdrs, web

from h5sup.base.errors import InvalidError, NotFoundError, UnavailableError
from h5sup.bus.channel import Channel
from h5sup.config.model import HlsConfig
from h5sup.formats.m3u8 import session_query
from h5sup.outputs.hls import directives, responses
from h5sup.outputs.hls.directives import Directives, parse_directives
from h5sup.outputs.hls.holds import Form, Hold, Holds
from h5sup.outputs.hls.muxer import HOLD_S, Muxer
from h5sup.outputs.hls.playlist import (
    LivePlaylist,
    Variant,
    is_hevc,
    write_index,
)
from h5sup.outputs.hls.window import History, Room

TARGETS_WAITED = 3  # RFC 8216bis §6.2.5.2: target durations until the answer is 503
# Chromium's own player, which asks with a range, gives up when it runs dry before it has played
# (156, "Segment queue never had any data"): it starts with as much as RFC 8216 §6.3.3 tells it to
NATIVE_SEGMENTS = 3
HISTORIES = 1024  # of a few numbers each; the oldest is forgotten


class Fmp4Hls:
    """The handlers of v2. A muxer runs only while its playlist is asked for."""

    def __init__(self, holds: Holds, config: HlsConfig) -> None:
        self._holds = holds
        self._config = config
        self._room = Room()
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
        text = write_index(hold.channel, init, known, query)
        return responses.playlist(request, responses.Text(text))

    async def media(self, request: web.Request) -> web.StreamResponse:
        """Answer a media playlist, held until it has what is asked for; raises InvalidError."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        wanted = parse_directives(request.query)
        token, variant = _names(request)
        hold = await self._holds.open(token, Form(variant.value), HOLD_S)
        init = hold.channel.init
        if variant is Variant.HEVC and init is not None and not is_hevc(init):
            raise NotFoundError(f"source {token!r} does not send H.265: play its h264.m3u8")
        muxer = hold.muxer or self._start_muxer(hold, token, variant)
        muxer.drop_stale(asked_at)
        if not await muxer.wait_first(asked_at, asked_at + HOLD_S - loop.time()):
            raise UnavailableError(_why_not(hold.channel))
        if hdrs.RANGE in request.headers:
            await muxer.wait_segments(NATIVE_SEGMENTS, asked_at + HOLD_S - loop.time())
        await _block(muxer, wanted)
        query = session_query(request.query.get("session", ""))
        assert hold.playlist is not None
        text = hold.playlist.text(
            query, is_delta=wanted.is_delta, others=self._others(token, variant)
        )
        return responses.playlist(request, text)

    async def init(self, request: web.Request) -> web.StreamResponse:
        """Send the init segment of a segment that is still there."""
        found = self._muxer(request).window.find_map(_number(request))
        if found is None:
            raise NotFoundError("this init segment is gone")
        data = found.init.data
        return await responses.send_media(request, [data], len(data), responses.MIME_INIT)

    async def segment(self, request: web.Request) -> web.StreamResponse:
        """Send a segment that is still there."""
        found = self._muxer(request).window.find(_number(request))
        if found is None:
            raise NotFoundError("this segment is gone or not there yet")
        return await responses.send_media(
            request, found.pieces(), found.size_bytes, responses.MIME_FRAGMENTS
        )

    async def part(self, request: web.Request) -> web.StreamResponse:
        """Send a part that is still there, or the next one once it is (RFC 8216bis §6.2.6)."""
        muxer, number = self._muxer(request), _number(request)
        window = muxer.window
        if number == window.next_part:
            await muxer.wait_part(number, TARGETS_WAITED * window.target_duration_s)
        found = window.find_part(number)
        if found is None:
            raise NotFoundError("this part is gone or not there yet")
        return await responses.send_media(
            request, found.pieces(), found.size_bytes, responses.MIME_FRAGMENTS
        )

    def _muxer(self, request: web.Request) -> Muxer:
        token, variant = _names(request)
        hold = self._holds.find(token, Form(variant.value))
        if hold is None or hold.muxer is None:
            raise NotFoundError("nobody has asked for this playlist lately: ask for it first")
        return hold.muxer

    def _others(self, token: str, variant: Variant) -> list[LivePlaylist]:
        """Return the source's other playlists that have something to play."""
        holds = [self._holds.peek(token, Form(one.value)) for one in Variant if one is not variant]
        return [
            hold.playlist
            for hold in holds
            if hold and hold.muxer and hold.playlist and not hold.muxer.window.is_empty
        ]

    def _start_muxer(self, hold: Hold, token: str, variant: Variant) -> Muxer:
        history = self._history(token, variant)
        muxer = hold.muxer = Muxer(hold.channel, history, self._room, self._config)
        hold.playlist = LivePlaylist(variant, muxer)
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


def _number(request: web.Request) -> int:
    return int(request.match_info["number"])


async def _block(muxer: Muxer, wanted: Directives) -> None:
    """Wait until the playlist has what a player asked for (RFC 8216bis §6.2.5.2)."""
    window = muxer.window
    if wanted.sequence is None:
        return
    if window.is_far(wanted.sequence, wanted.part, muxer.pace.target_s):
        raise InvalidError(directives.SEQUENCE, "asks for more than what comes next")
    timeout_s = TARGETS_WAITED * window.target_duration_s
    if not await muxer.wait_for(wanted.sequence, wanted.part, timeout_s):
        raise UnavailableError(f"source {muxer.channel.token!r} sends nothing new")


def _why_not(channel: Channel) -> str:
    reason = channel.state.reason or "it is starting"
    return f"source {channel.token!r} has no picture yet: {reason}"
