"""The support bundle: what helps is in it, and no secret is, wherever one stood."""

from __future__ import annotations

import hashlib
import json
import stat
import tarfile
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e.client import Client
from tests.e2e.server import Server, until
from tests.fakes.clips import Clips

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

SECRETS = {
    "admin": "admins-Own/pass",
    "vera": "Véra's word",
    "camera": "cam@ra:1 geheim",
    "in_url": "urlsecret77",
    "in_query": "querysecret88",
    "from_environment": "envsecret99",
    "stored": "stored$ecret",
    "turn": "turn-credential",
}


def shown(secret: str) -> list[str]:
    """Return the ways in which a secret could show."""
    escaped = [json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]]
    digest = hashlib.md5(secret.encode()).hexdigest()
    return [secret, quote(secret), quote(secret, safe=""), *escaped, digest]


def build_server(folder: Path) -> Server:
    camera = {"type": "rtsp", "connect": "always", "user": "cam"}
    return Server(
        folder,
        prefix=["env", f"CAMERA_WORD={SECRETS['from_environment']}"],
        auth={
            "users": [
                {"name": "admin", "password": SECRETS["admin"], "role": "Administrator"},
                {"name": "vera", "password": SECRETS["vera"]},
            ]
        },
        rtc={"ice_servers": [{"urls": ["turn:192.0.2.1"], "credential": SECRETS["turn"]}]},
        sources=[
            {"token": "yard", "type": "file", "url": "clip.mp4"},
            {"token": "lost", "type": "file", "url": "lost.mp4"},
            camera | {"token": "a", "url": "rtsp://127.0.0.1:9/x", "password": SECRETS["camera"]},
            camera | {"token": "b", "url": f"rtsp://u:{SECRETS['in_url']}@127.0.0.1:9/x"},
            camera | {"token": "c", "url": f"http://127.0.0.1:9/?pwd={SECRETS['in_query']}"},
            camera | {"token": "d", "url": "rtsp://127.0.0.1:9/x", "password": "${CAMERA_WORD}"},
        ],
    )


async def make_bundle(server: Server) -> tuple[dict[str, str], Path]:
    """Run the command in an empty folder; returns the files and the archive."""
    folder = server.folder / "here"
    folder.mkdir(exist_ok=True)
    process = await server.spawn("--support-bundle", folder=folder)
    assert await process.wait() == 0, server.log
    (path,) = folder.iterdir()
    with tarfile.open(path) as archive:
        members = [(one.name.partition("/")[2], archive.extractfile(one)) for one in archive]
        return {name: file.read().decode() for name, file in members if file}, path


def assert_no_secret(files: dict[str, str]) -> None:
    for where, secret in SECRETS.items():
        for form in shown(secret):
            for name, text in files.items():
                assert form not in text, f"{where} in {name}"


async def test_bundle_of_a_running_server_shows_all_but_secrets(
    clips: Clips, tmp_path: Path
) -> None:
    server = build_server(tmp_path)
    server.add_media(clips["h264_mute"], "clip.mp4")
    server.add_media(clips["h264_mute"], "lost.mp4")
    (tmp_path / "run").mkdir()
    leaks = "".join(f"INFO it said {form}\n" for one in SECRETS.values() for form in shown(one))
    (tmp_path / "run" / "h5sup.log").write_text(f"the first line\n{leaks}the last line\n")
    async with server, Client(server, password=SECRETS["admin"]) as client:
        await client.call(
            "AddSrcRTSP",
            token="e",
            name="E",
            url="rtsp://127.0.0.1:9/y",
            user="u",
            password=SECRETS["stored"],
        )
        await client.until_online("yard", "lost")
        (server.media / "lost.mp4").unlink()  # its ffmpeg complains at the end of the loop
        for token in ("lost", *"abcde"):
            await client.until_state(token, "BACKOFF")
        log = (await client.call("GetSrcLog", token="lost"))["log"]
        files, path = await make_bundle(server)

    assert any("lost.mp4" in line["strLine"] for line in log)
    assert {line["strFeed"] for line in log} == {"main/copy"}
    assert_no_secret(files)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(files["versions.json"])["ffmpeg"].startswith("/")
    assert files["check.txt"] == "config.json is fine: 6 sources\n"
    config = json.loads(files["config.json"])
    assert [one["password"] for one in config["auth"]["users"]] == ["***", "***"]
    assert config["sources"][3]["url"] == "rtsp://u:***@127.0.0.1:9/x"
    assert "***" in files["stored.json"]
    assert "profiles/copy.json" in files
    report = json.loads(files["report.json"])
    states = {one["strToken"]: one["strState"] for one in report["sources"]}
    assert states.keys() == {"yard", "lost", *"abcde"}
    assert states["yard"] == "RUNNING"
    assert any("refused" in one["strReason"] for one in report["sources"])
    assert {"strToken": "lost", "log": log} in report["logs"]
    assert any("h5sup.source.a" in line for line in report["lines"])
    assert report["run"]["nRunTimeSec"] >= 0
    assert files["logs/h5sup.log"].startswith("the first line\n")
    assert files["logs/h5sup.log"].endswith("the last line\n")


async def test_bundle_without_a_server_says_so(tmp_path: Path) -> None:
    files, _ = await make_bundle(build_server(tmp_path))

    assert files["report.json"] == "no server of this configuration runs\n"
    assert files["stored.json"] == "h5sup.json can't be read: No such file or directory\n"
    assert_no_secret(files)


async def test_bundle_shows_what_is_wrong_with_a_broken_configuration(tmp_path: Path) -> None:
    server = build_server(tmp_path)
    server.config["http"]["port"] = "many"
    server.config["paths"]["ffmpeg"] = "no-such-ffmpeg"
    files, _ = await make_bundle(server)
    assert files["check.txt"].startswith("http.port: ")
    assert '"many"' in files["config.json"]
    assert_no_secret(files)


async def test_bundle_leaves_out_a_configuration_that_is_no_json(tmp_path: Path) -> None:
    server = build_server(tmp_path)
    text = server.write_config().read_text() + "}"
    folder = tmp_path / "here"
    folder.mkdir()
    broken = tmp_path / "broken.json"
    broken.write_text(text)
    process = await server.spawn("--support-bundle", "--config", str(broken), folder=folder)
    assert await process.wait() == 0
    (path,) = folder.iterdir()
    with tarfile.open(path) as archive:
        whole = b"".join(file.read() for one in archive if (file := archive.extractfile(one)))
    assert b"line 1, column" in whole
    for secret in SECRETS.values():
        assert secret.encode() not in whole


async def test_bundle_that_can_not_be_written_is_one_line(tmp_path: Path) -> None:
    server = build_server(tmp_path)
    folder = Path("/proc")
    process = await server.spawn("--support-bundle", folder=folder)
    assert await process.wait() == 1
    assert "the bundle can't be written" in server.log
    assert "Traceback" not in server.log


async def test_log_is_json_on_request(tmp_path: Path) -> None:
    server = Server(
        tmp_path,
        sources=[{"token": "a", "type": "rtsp", "url": "rtsp://u:urlsecret77@127.0.0.1:9/x"}],
        options=["--log-format", "json"],
    )
    async with server:
        await until(lambda: '"WARNING"' in server.log, "a camera's failure")
    lines = [json.loads(line) for line in server.log.splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert {line.get("token") for line in lines} == {None, "a"}
    assert "urlsecret77" not in server.log
