"""Users changed over the API, through restarts and edits of config.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.client import Client
from tests.e2e.server import Server, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def configured(vera: str, **more: Any) -> dict[str, Any]:
    admin = {"name": "admin", "password": "a strong one", "role": "Administrator"}
    return {"users": [admin, {"name": "vera", "password": vera, **more}]}


async def signs_in(server: Server, user: str, password: str) -> bool:
    probe = Client(server)
    try:
        return (await probe.call("Login", user=user, password=password))["bStatus"] is True
    finally:
        await probe._http.close()


async def test_change_by_api_outlives_restarts_until_the_entry_is_edited(tmp_path: Path) -> None:
    server = Server(tmp_path, auth=configured("just look"))
    async with server:
        async with Client(server, password="a strong one") as admin:
            await admin.call("CreateUser", user="olga", password="operate it", usertype="Operator")
            await admin.call("UpdateUser", user="vera", newpassword="look closely")
        await server.stop()
        await server.start()

        assert await signs_in(server, "olga", "operate it")
        assert await signs_in(server, "vera", "look closely")
        assert not await signs_in(server, "vera", "just look")

        async with (
            Client(server, "vera", "look closely") as vera,
            Client(server, "olga", "operate it") as olga,
        ):
            server.reload()  # nothing was edited
            await until(lambda: "config.json is applied" in server.log, "the reload")
            assert (await vera.get("/api/v1/Keepalive"))[0] == 200
            server.config["auth"] = configured("edited", sources=["front"])
            server.reload()
            await until(lambda: server.log.count("config.json is applied") == 2, "the reload")

            assert (await vera.get("/api/v1/Keepalive"))[0] == 401
            assert (await olga.get("/api/v1/Keepalive"))[0] == 200
        assert await signs_in(server, "vera", "edited")
        assert not await signs_in(server, "vera", "look closely")

        stored = (server.folder / "data" / "h5sup.json").read_text()
        assert [row["name"] for row in json.loads(stored)["users"].values()] == ["olga"]
        for password in ("a strong one", "operate it", "look closely", "edited"):
            assert password not in stored + server.log
