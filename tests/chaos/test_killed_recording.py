"""A manager that is killed while it records: what was written plays, and recording goes on."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.client import Client
from tests.e2e.server import Server, until
from tests.fakes.clips import Clips, decode_frame_indexes

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

FRAMES = 200
GOP = 25
EVER = {"start": "2020-01-01", "end": "2100-01-01"}


async def search(client: Client, call: str, **query: str) -> list[dict[str, Any]]:
    """Return what a search answers, oldest first."""
    answer = await client.call(call, token="demo", type="record", **query)
    found: list[dict[str, Any]] = answer["record"]
    return found


async def only_gap(client: Client) -> dict[str, Any]:
    """Return the one gap there is."""
    gaps: list[dict[str, Any]] = (await client.call("GetRecordGaps", token="demo", **EVER))["gap"]
    (gap,) = gaps
    return gap


async def test_a_killed_manager_loses_at_most_a_gop_and_goes_on(
    clips: Clips, tmp_path: Path
) -> None:
    source = {"token": "demo", "type": "file", "url": "clip.mp4", "record": "always"}
    server = Server(tmp_path, sources=[source], auth={"enabled": False})
    server.add_media(clips["h264_aac"], "clip.mp4")
    await server.start()
    async with Client(server) as client:
        await client.until_online("demo")
        begun = await client.call("ManualRecordStart", token="demo")
        path = tmp_path / begun["strUrl"].removeprefix("/")
        await until(lambda: path.exists() and path.stat().st_size > 200_000, "three GOPs")
        await server.kill()
    shown = await asyncio.to_thread(decode_frame_indexes, path)
    assert len(shown) >= 2 * GOP
    assert all(after == (before + 1) % FRAMES for before, after in pairwise(shown))

    async with server, Client(server) as client:
        await client.until_recording("demo")
        again = await client.call("ManualRecordStart", token="demo")
        assert (again["strFileName"], again["strUrl"]) == (begun["strFileName"], begun["strUrl"])
        await client.call("ManualRecordStop", token="demo")
        parts = await search(client, "SearchByFilename", filename=begun["strFileName"])
        assert len(parts) == 2
        assert all(int(one["strDuration"]) > 0 for one in parts)
        async with asyncio.timeout(10):
            while (gap := await only_gap(client))["bLasting"]:  # to the end of the first GOP
                await asyncio.sleep(0.05)
        assert gap["strCause"] == "restart"
        always = await search(client, "Search", **EVER)
        assert len([one for one in always if one["nType"] == "H5_REC_SCHEDULE"]) == 2
    healed = await asyncio.to_thread(decode_frame_indexes, path)
    assert healed == shown
