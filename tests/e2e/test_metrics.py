"""/metrics and /healthz of a whole server: who may read, and whether the figures are true."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.client import Client
from tests.e2e.server import Server, has_new_ffmpeg, until
from tests.fakes.clips import Clips

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

KEY = "scrape-key-of-this-test"
FEED = 'input="main",profile="copy",token="front"'
USERS = [
    {"name": "admin", "password": "12345", "role": "Administrator"},
    {"name": "olga", "password": "operate it", "role": "Operator"},
]


async def scrape(server: Server, **headers: str) -> tuple[int, dict[str, float]]:
    """Return the status and each sample by its name and labels."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{server.base}/metrics", headers=headers) as answer,
    ):
        lines = (await answer.text()).splitlines()
    found = [re.fullmatch(r"([a-z]\S*?)(\{.*\})? (\S+)", line) for line in lines]
    return answer.status, {
        one[1] + ",".join(sorted(re.findall(r'\w+="[^"]*"', one[2] or ""))): float(one[3])
        for one in found
        if one is not None
    }


def make_server(clips: Clips, folder: Path, **auth: object) -> Server:
    server = Server(
        folder,
        sources=[{"token": "front", "type": "file", "url": "clip.mp4"}],
        auth={"users": USERS, "metrics_key": KEY} | auth,
    )
    server.add_media(clips["h264_aac"], "clip.mp4")
    return server


async def test_figures_are_for_administrators_and_whoever_has_the_key(
    clips: Clips, tmp_path: Path
) -> None:
    async with make_server(clips, tmp_path, anonymous_view=True) as server:
        for user, password, status in (("admin", "12345", 200), ("olga", "operate it", 403)):
            async with Client(server, user, password) as client:
                authorization = f"token {client.session}"
                assert (await scrape(server, Authorization=authorization))[0] == status
        assert (await scrape(server, Authorization=f"Bearer {KEY}"))[0] == 200
        assert (await scrape(server, Authorization=f"Bearer {KEY}x"))[0] != 200
        assert (await scrape(server))[0] == 403  # anonymous_view is for pictures
        async with Client(server) as client:  # the key opens nothing else
            client.session = KEY
            assert (await client.get("/api/v1/DelSrc", token="front"))[0] == 401
        assert KEY not in server.log


async def test_no_key_is_no_way_in(clips: Clips, tmp_path: Path) -> None:
    async with make_server(clips, tmp_path, metrics_key="") as server:
        for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer x"}):
            assert (await scrape(server, **headers))[0] == 401


async def test_restarts_costs_and_bounds_are_told(clips: Clips, tmp_path: Path) -> None:
    async with make_server(clips, tmp_path) as server, Client(server) as client:
        await client.until_online("front")
        (old,) = server.ffmpegs()
        os.kill(old, signal.SIGKILL)
        await until(lambda: has_new_ffmpeg(server, old), "a new ffmpeg")
        await client.until_online("front")
        found: dict[str, float] = {}
        async with client.watch("front") as viewer, asyncio.timeout(60):
            await viewer.until_pictures(10)
            while f"h5sup_ffmpeg_pss_bytes{FEED}" not in found:
                _, found = await scrape(server, Authorization=f"Bearer {KEY}")
                await asyncio.sleep(0.2)
        restarts = {name: value for name, value in found.items() if "restarts_total" in name}
        assert sum(restarts.values()) == 1, restarts
        assert all('token="front"' in name and "cause=" in name for name in restarts)
        assert found[f"h5sup_ffmpeg_cpu_seconds_total{FEED}"] > 0
        assert found[f"h5sup_ffmpeg_pss_bytes{FEED}"] > 1_000_000
        assert found["h5sup_process_pss_bytes"] > 1_000_000
        assert found["h5sup_process_cpu_seconds_total"] > 0
        assert found["h5sup_process_open_fds"] > 5
        assert abs(found["h5sup_process_start_time_seconds"] - time.time()) < 300
        assert found["h5sup_connections"] >= 2
        assert found["h5sup_connections_limit"] <= 3000
        assert found['h5sup_event_loop_lag_secondsfigure="longest"'] >= 0
        ring = found['h5sup_source_ring_bytestoken="front"']
        assert 0 < ring <= found["h5sup_source_ring_limit_bytes"] == 8_000_000
        assert found["h5sup_ws_dropped_fragments_total"] == 0


async def test_health_is_public_and_says_when_the_server_is_overloaded(
    clips: Clips, tmp_path: Path
) -> None:
    async with make_server(clips, tmp_path) as server, aiohttp.ClientSession() as http:
        health = f"{server.base}/healthz"
        async with http.get(health) as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")
        os.kill(server.pid, signal.SIGSTOP)  # all it does is late
        try:
            await asyncio.sleep(12)
        finally:
            os.kill(server.pid, signal.SIGCONT)
        async with asyncio.timeout(10):
            while True:
                async with http.get(health) as answer:
                    if answer.status == 503:
                        assert "overloaded" in await answer.text()
                        break
                await asyncio.sleep(0.05)
        async with asyncio.timeout(20):
            while True:
                async with http.get(health) as answer:
                    if answer.status == 200:
                        break
                await asyncio.sleep(0.2)
