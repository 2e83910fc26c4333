"""`/api/v1/h5srtcapi`: how H5Stream's players set up WebRTC. The server offers.

Text messages of JSON. `remoteice` of the browser is not needed: we are reached, we reach out to
nobody.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import replace
from datetime import tzinfo
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from h5sup.auth.visit import VISIT
from h5sup.base.errors import H5supError, InvalidError, NotFoundError
from h5sup.base.pace import Pace
from h5sup.config.model import RtcConfig
from h5sup.outputs.playback_wire import build_error_event, read_request, wants_playback
from h5sup.outputs.rtc.hall import Hall, Seat
from h5sup.outputs.rtc.negotiation import CodecError, build_offer, read_answer
from h5sup.outputs.rtc.past import Past

HEARTBEAT_S = 20.0  # proxies drop a silent WebSocket after about 60 s
FAREWELL_S = 2.0
MAX_MESSAGE_BYTES = 65_536
MAX_MESSAGES_PER_S = 100  # candidates come in a burst
REASON_BYTES = 123  # RFC 6455 §5.5


class Signalling:
    """All sockets of this kind."""

    def __init__(self, hall: Hall, config: RtcConfig, zone: tzinfo) -> None:
        self._hall = hall
        self._zone = zone
        self._ice_servers = [
            {"urls": list(one.urls)}
            | ({"username": one.username, "credential": one.credential} if one.username else {})
            for one in config.ice_servers
        ]
        self._sockets: set[web.WebSocketResponse] = set()

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one viewer until it leaves."""
        socket = await _open(request)
        self._sockets.add(socket)
        try:
            await self._serve(socket, request)
        finally:
            self._sockets.discard(socket)
        return socket

    async def refuse(self, request: web.Request, reason: str) -> web.WebSocketResponse:
        """Tell one viewer why there is nothing; pages don't see the answer to an upgrade."""
        socket = await _open(request)
        await _refuse(socket, reason)
        return socket

    async def close(self) -> None:
        """Say goodbye to all: the server stops."""
        goodbyes = [_dismiss(socket, "the server stops") for socket in list(self._sockets)]
        await asyncio.gather(*goodbyes)

    async def _serve(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        is_playback = wants_playback(request.query)
        try:
            seat, past = await self._take_seat(request)
        except H5supError as error:
            await _refuse(socket, str(error), _code_of(error, is_playback=is_playback))
            return
        tasks = [asyncio.create_task(_dismiss_when_gone(socket, seat))]
        if past is not None:
            tasks.append(asyncio.create_task(_tell(socket, past), name="telling of a playback"))
        try:
            await self._talk(socket, request, seat, past)
        except H5supError as error:
            await _refuse(socket, str(error), _code_of(error, is_playback=is_playback))
        finally:
            for task in tasks:
                task.cancel()
            self._hall.let_go(seat.viewer, "its page has gone")
            with suppress(asyncio.CancelledError):
                await asyncio.wait(tasks)

    async def _take_seat(self, request: web.Request) -> tuple[Seat, Past | None]:
        query, sound = request.query, wants_sound(request)
        if wants_playback(query):
            owner = request[VISIT].identity.name
            wanted = replace(read_request(query, self._zone), owner=owner)
            return await self._hall.take_playback_seat(wanted, sound=sound)
        token = query.get("token", "")
        return await self._hall.take_seat(token, profile_of(request), sound=sound), None

    async def _talk(
        self,
        socket: web.WebSocketResponse,
        request: web.Request,
        seat: Seat,
        past: Past | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        pace = Pace(MAX_MESSAGES_PER_S)
        has_offered = has_answer = False
        async for message in socket:
            if pace.is_too_fast(loop.time()):
                raise InvalidError("socket", "too many messages")
            said = _read(message.data) if message.type is WSMsgType.TEXT else {}
            kind = said.get("type")
            if kind == "open" and not has_offered:
                has_offered = True
                await self._offer(socket, request, seat)
            elif kind == "answer" and has_offered and not has_answer:
                has_answer = True
                answer = read_answer(str(said.get("sdp", "")), seat.choices)
                await self._hall.play(seat, answer)
            elif past is not None:
                await _obey(socket, past, said)

    async def _offer(
        self, socket: web.WebSocketResponse, request: web.Request, seat: Seat
    ) -> None:
        if self._ice_servers:
            await socket.send_json(
                {
                    "type": "iceserver",
                    "iceServers": self._ice_servers,
                    "iceTransportPolicy": "all",
                }
            )
        transport = await self._hall.transport_for(seat, local_address(request))
        await socket.send_json({"type": "offer", "sdp": build_offer(seat.choices, transport)})


async def _open(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(
        timeout=FAREWELL_S,
        heartbeat=HEARTBEAT_S,
        max_msg_size=MAX_MESSAGE_BYTES,
        compress=False,
    )
    await socket.prepare(request)
    return socket


def profile_of(request: web.Request) -> str:
    """Return which input or profile a viewer asks for."""
    return request.query.get("profile") or "main"


def wants_sound(request: web.Request) -> bool:
    """Return whether a viewer wants sound; `audio=false` is ours, for tiles that are silent."""
    return request.query.get("audio", "").lower() != "false"


def local_address(request: web.Request) -> str:
    """Return the address of ours that a request came to."""
    name = request.get_extra_info("sockname") or ("",)
    return str(name[0])


def _read(text: str) -> dict[str, Any]:
    """Return what a message says; what is no JSON object says nothing."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _code_of(error: H5supError, *, is_playback: bool) -> int:
    """Return whether it is of use to try again; what was not recorded will not be."""
    if is_playback and isinstance(error, InvalidError | NotFoundError | CodecError):
        return WSCloseCode.POLICY_VIOLATION
    return WSCloseCode.TRY_AGAIN_LATER


async def _refuse(
    socket: web.WebSocketResponse, reason: str, code: int = WSCloseCode.TRY_AGAIN_LATER
) -> None:
    """Say why in a message, for old players show no reason of a close."""
    if not socket.closed:
        with suppress(ConnectionError):
            await socket.send_json({"type": "error", "reason": reason})
    await _dismiss(socket, reason, code)


async def _obey(socket: web.WebSocketResponse, past: Past, said: dict[str, Any]) -> None:
    """Do what a player commands; what can't be done is said, and the playback goes on."""
    try:
        past.obey(said)
    except InvalidError as error:
        await socket.send_str(build_error_event(error))


async def _tell(socket: web.WebSocketResponse, past: Past) -> None:
    """Tell a page of its playback as long as it takes it."""
    with suppress(ConnectionError):
        while True:
            await socket.send_str(await past.events.get())


async def _dismiss_when_gone(socket: web.WebSocketResponse, seat: Seat) -> None:
    """Close the socket when the media has ended, so that the player comes back."""
    await _dismiss(socket, await asyncio.shield(seat.gone))


async def _dismiss(
    socket: web.WebSocketResponse, reason: str, code: int = WSCloseCode.GOING_AWAY
) -> None:
    # What a stranger's JSON says may hold halves of characters, and cutting makes more.
    message = reason.encode(errors="replace")[:REASON_BYTES].decode(errors="ignore").encode()
    with suppress(ConnectionError):
        await socket.close(code=code, message=message)
