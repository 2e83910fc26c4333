"""Clients that leave before they are answered: nothing of it is an error."""

from __future__ import annotations

import asyncio
import logging

import pytest
from aiohttp import ServerDisconnectedError, web
from aiohttp.test_utils import TestClient, TestServer

from h5sup.api.errors import FETCH_STATUS, answered, note_begun


@pytest.mark.parametrize("response", [web.WebSocketResponse, web.StreamResponse])
async def test_a_client_that_leaves_before_the_answer_begins_leaves_no_trace(
    response: type[web.StreamResponse], caplog: pytest.LogCaptureFixture
) -> None:
    async def leave_and_answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        answer = response()
        await answer.prepare(request)
        raise AssertionError("there is nobody to be answered")

    async def handle(request: web.Request) -> web.StreamResponse:
        return await answered(request, FETCH_STATUS, lambda: leave_and_answer(request))

    app = web.Application()
    app.on_response_prepare.append(note_begun)
    app.router.add_get("/", handle)
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    with caplog.at_level(logging.WARNING):
        async with TestClient(TestServer(app)) as client:
            with pytest.raises(ServerDisconnectedError):
                await client.get("/", headers=upgrade)
            await asyncio.sleep(0)
    assert caplog.records == []
