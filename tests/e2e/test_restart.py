"""Restart: the same process afresh, with viewers told and nothing left behind."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import psutil
import pytest

from tests.e2e.client import Client
from tests.e2e.server import Server, until
from tests.fakes.clips import Clips

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

SOURCE = {"token": "yard", "type": "file", "url": "clip.mp4"}


async def test_restart_keeps_the_process_and_tells_its_viewers(
    clips: Clips, tmp_path: Path
) -> None:
    server = Server(tmp_path, sources=[SOURCE])
    server.add_media(clips["h264_mute"], "clip.mp4")
    async with server:
        server.write_config()  # with the port of the first start
        async with Client(server) as client, aiohttp.ClientSession() as http:
            await client.until_online("yard")
            before = (server.pid, psutil.Process(server.pid).cmdline())
            old = server.ffmpegs()
            address = f"{server.base}/api/v1/h5swsapi?token=yard&session={client.session}"
            async with http.ws_connect(address) as socket:
                await socket.receive_bytes()
                assert (await client.call("Restart"))["bStatus"] is True
                async for _ in socket:
                    pass
                assert socket.close_code == aiohttp.WSCloseCode.GOING_AWAY
            await until(lambda: len(server.ready_lines()) == 2, "the second ready line")
            assert f"(pid {server.pid})" in server.ready_lines()[1]
            assert (server.pid, psutil.Process(server.pid).cmdline()) == before
            assert not set(old) & set(server.ffmpegs())
            assert (await client.get("/api/v1/Keepalive"))[0] == 401  # sessions have ended
            client.session = ""
            await client.sign_in()
            await client.until_online("yard")
            run = await client.call("GetRunInfo")
            assert run["nRunTimeSec"] < 60
            assert run["nOwnMemoryBytes"] > 20_000_000


async def test_restart_is_refused_while_config_json_has_a_mistake(tmp_path: Path) -> None:
    async with Server(tmp_path) as server, Client(server) as client:
        (tmp_path / "config.json").write_text(json.dumps({"http": {"port": "many"}}))
        answer = await client.call("Restart")
        assert answer["bStatus"] is False
        assert answer["strCode"].startswith("http.port: ")
        assert (await client.call("Keepalive"))["bStatus"] is True
        assert len(server.ready_lines()) == 1
