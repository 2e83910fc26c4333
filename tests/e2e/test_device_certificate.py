"""Devices over HTTPS and the whole server: their certificates are kept over a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.client import Client
from tests.e2e.server import Server
from tests.fakes.authority import make_self_signed
from tests.fakes.hik_recorder import FakeHik, Slot
from tests.fakes.onvif_camera import JPEG, OnvifCamera

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


async def test_a_changed_certificate_is_refused_after_a_restart(tmp_path: Path) -> None:
    first, second = (make_self_signed(tmp_path, name) for name in ("first", "second"))
    hik = FakeHik(ip=[Slot(1, "Gate")], tls=first.context)
    camera = OnvifCamera(tls=first.context, has_events=False)
    where: dict[str, Any] = {"ip": "127.0.0.1", "https": "true"}
    where |= {"user": camera.user, "password": camera.password}
    async with hik, camera, Server(tmp_path) as server, Client(server) as client:
        where["port"] = str(camera.port)
        assert len((await client.call("OnvifProbe", **where))["profile"]) == 3
        await client.call("AddSrcONVIF", token="door", name="Door", **where)
        await client.call(
            "AddDeviceHik", token="nvr", name="Shop", ip="127.0.0.1", port="8000",
            httpport=str(hik.port), user=hik.user, password=hik.password,
        )  # fmt: skip
        assert (await client.call("GetDevice"))["dev"][0]["bOnline"] is True
        assert (await client.get("/api/v1/GetImage", token="door"))[1] == JPEG

    hik.tls = camera.tls = second.context
    hik.logins = 0
    camera.asked.clear()
    async with hik, camera, Server(tmp_path) as server, Client(server) as client:
        assert "another certificate" in (await client.call("OnvifProbe", **where))["strReason"]
        assert (await client.get("/api/v1/GetImage", token="door"))[1] != JPEG
        (device,) = (await client.call("GetDevice"))["dev"]
        assert "another certificate than it is known by" in device["strReason"]
        assert (hik.logins, camera.asked) == (0, [])
        await client.call("DelSrc", token="door")
        await client.call("AddSrcONVIF", token="door", name="Door", **where)
        assert (await client.get("/api/v1/GetImage", token="door"))[1] == JPEG
