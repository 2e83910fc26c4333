"""From H5Stream's file to a running server: the command, its file, users and sources."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.client import Client
from tests.e2e.server import RUN, Server
from tests.fakes.clips import Clips
from tests.fakes.rtsp_camera import RtspCamera

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

PASSWORD = "correct horse"
MD5 = hashlib.md5(PASSWORD.encode()).hexdigest()


async def import_config(folder: Path, old: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Run the command on an old file; return the new file and the report."""
    (folder / "h5ss.conf").write_text(json.dumps(old).removesuffix("}") + ",}")
    target = folder / "new.json"
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(RUN), "--import", str(folder / "h5ss.conf"), "--out", str(target),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    report, _ = await child.communicate()
    assert child.returncode == 0
    config: dict[str, Any] = json.loads(target.read_text())
    return config, report.decode()


async def test_cameras_play_and_users_keep_their_passwords(clips: Clips, tmp_path: Path) -> None:
    async with RtspCamera(clips, ["h264_aac"], user="root", password="c@m#1") as camera:
        source = {
            "strName": "Door",
            "strToken": "door",
            "nType": "H5_STREAM",
            "strUrl": camera.url("h264_aac"),
            "strUser": "root",
            "strPasswd": "c@m#1",
            "bEnableAudio": True,
        }
        user = {"strUser": "boss", "strPasswd": MD5, "strUserType": "Administrator"}
        old = {"source": {"src": [source]}, "user": {"users": [user]}}
        config, report = await import_config(tmp_path, old)
        assert "c@m#1" not in report
        assert MD5 not in report
        async with Server(tmp_path / "server", **config) as server:
            async with Client(server, "boss", PASSWORD) as client:
                await client.until_online("door")
                async with client.watch("door") as viewer:
                    await viewer.until_pictures(25)
                    assert viewer.mime.endswith(', mp4a.40.2"')
            async with Client(server, "boss", MD5) as client:
                refused = await client.call("Login", user="boss", password="wrong")
                assert refused["bStatus"] is False
