"""What keeps h5sup from starting: one plain line, exit code 1, nothing left behind."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.test_full_ram import OWN_MOUNTS
from tests.e2e.server import Server, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]


async def refuse(server: Server, *options: str) -> str:
    """Start it, expect it to give up, and return the one line it says to people."""
    async with asyncio.timeout(20):
        process = await server.spawn(*options)
        exit_code = await process.wait()
    assert exit_code == 1, server.log
    assert "Traceback" not in server.log
    assert not server.children()
    assert not server.ram.exists()
    said = [line for line in server.log.splitlines() if line.startswith("h5sup: ")]
    assert len(said) == 1, server.log
    assert server.log.endswith(said[0] + "\n")
    return said[0].removeprefix("h5sup: ")


def script(folder: Path, body: str) -> str:
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = await refuse(Server(tmp_path, http={"port": port}))
    assert said == f"http.port: can't listen on 127.0.0.1 port {port}: Address already in use"


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        ({"ffmpeg": "/nowhere/ffmpeg"}, "paths.ffmpeg: there is no program /nowhere/ffmpeg"),
        ({"ffprobe": "/nowhere/ffprobe"}, "paths.ffprobe: there is no program /nowhere/ffprobe"),
        ({"data": "config.json/data"}, "paths.data: {folder}/config.json/data can't be made: "),
        ({"ram": "config.json"}, "paths.ram: {folder}/config.json/h5sup-"),
        ({"media_root": "config.json"}, "paths.media_root: {folder}/config.json can't be made: "),
        ({"profiles": "nowhere"}, "nowhere"),
    ],
)
async def test_a_path_that_can_not_be_used_is_named(
    paths: Mapping[str, str], words: str, tmp_path: Path
) -> None:
    server = Server(tmp_path, paths=paths)
    assert words.format(folder=tmp_path) in await refuse(server)


@pytest.mark.parametrize("options", [(), ("--check",)])
async def test_a_certificate_that_is_not_there_is_named(
    options: Sequence[str], tmp_path: Path
) -> None:
    said = await refuse(Server(tmp_path, http={"tls_port": free_port()}), *options)
    assert said == (
        f"http.tls_cert: is empty and there is no {tmp_path}/data/tls-cert.pem: "
        "name a certificate, or make one with ./run.py --self-signed"
    )
    named = {"tls_port": free_port(), "tls_cert": "a.pem", "tls_key": "a.key"}
    said = await refuse(Server(tmp_path / "named", http=named), *options)
    assert said == (
        f"http.tls_cert: {tmp_path}/named/a.pem can't be read: No such file or directory"
    )


async def test_an_ffmpeg_that_is_too_old_is_named(tmp_path: Path) -> None:
    old = script(tmp_path, "echo ffmpeg version 4.4.2-0ubuntu0 Copyright")
    said = await refuse(Server(tmp_path, paths={"ffmpeg": old}))
    assert said == f"paths.ffmpeg: {old} is version 4.4, h5sup needs 5.1 or newer"


async def test_a_data_folder_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    mount = f'mount -t tmpfs -o ro none "{tmp_path}/data" && exec "$@"'
    server = Server(tmp_path, prefix=[*OWN_MOUNTS, "sh", "-c", mount, "sh"])
    said = await refuse(server)
    assert said == f"{tmp_path}/data/h5sup.json can't be written: Read-only file system"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"sources": 1}', "\x00" * 4096])
async def test_a_damaged_store_is_named_and_kept(text: str, tmp_path: Path) -> None:
    path = tmp_path / "data" / "h5sup.json"
    path.parent.mkdir()
    path.write_text(text)
    said = await refuse(Server(tmp_path))
    assert str(path) in said
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("config", "exit_code", "words"),
    [({}, 0, "config.json is fine: 0 sources\n"), ({"http": {"port": -1}}, 1, "h5sup: http.port")],
)
async def test_check_judges_and_starts_nothing(
    config: Mapping[str, Any], exit_code: int, words: str, tmp_path: Path
) -> None:
    server = Server(tmp_path)
    server.config |= json.loads(json.dumps(config))
    async with asyncio.timeout(20):
        process = await server.spawn("--check")
        assert await process.wait() == exit_code
    said: Sequence[str] = ((tmp_path / "output").read_text(), server.log)
    assert words in "".join(said)
    assert not (tmp_path / "data").exists()
