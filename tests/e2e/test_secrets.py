"""Nothing secret in any line of a run at DEBUG, whatever goes wrong in it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import aiohttp
import pytest

from tests.e2e.client import Client
from tests.e2e.server import Server, free_port, until
from tests.fakes.authority import Authority
from tests.fakes.clips import Clips
from tests.fakes.rtsp_camera import RtspCamera

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

ADMIN = "adm1n-pw /?&=%+"
OLGA = "0lga-pw-in-config"
KEY = "metrics-k3y-of-this-run"
CREDENTIAL = "turn-cr3dential"
CAMERA = "c4m:@/ü%20?#era"
IN_URL = "wr0ng-in-url"
IN_QUERY = ("qu3ry-password", "qu3ry-pwd", "qu3ry-passwd", "qu3ry-pass", "qu3ry-key")
ADDED = "add3d-by-get", "add3d-by-f0rm", "add3d-in-url"
GUESSED = "gu3ssed-by-get", "gu3ssed by f0rm", "gu3ssed-in-an-odd-line", "gu3ssed-in-no-http"
RELOADED = "r3loaded" * 20  # too long: the file is refused
BASIC = "b4sic-auth-of-a-stranger"


def spellings(secret: str) -> Iterator[str]:
    """Yield the ways in which a secret may stand in a line."""
    yield secret
    yield quote(secret, safe="")
    yield quote(secret)
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield repr(secret)[1:-1]
    yield hashlib.md5(secret.encode()).hexdigest()
    yield hashlib.md5(secret.encode()).hexdigest().upper()
    for user in ("admin", "olga", "viewer"):
        yield base64.b64encode(f"{user}:{secret}".encode()).decode()


def find_leaks(text: str, secrets: set[str]) -> list[str]:
    """Return the lines that give a secret away."""
    forms = {form for secret in secrets for form in spellings(secret)}
    return [line for line in text.splitlines() if any(form in line for form in forms)]


def sources(camera: RtspCamera, closed: int) -> list[dict[str, Any]]:
    """Return sources with passwords in every place there is."""
    queries = zip(("password", "pwd", "passwd", "pass", "key"), IN_QUERY, strict=True)
    return [
        {
            "token": "right",
            "type": "rtsp",
            "url": camera.url("h264_mute"),
            "user": "admin",
            "password": CAMERA,
        },
        {
            "token": "wrong",
            "type": "rtsp",
            "url": camera.url("h264_mute", "admin", IN_URL),
            "sub": {"url": camera.url("h264_mute", "admin", IN_URL)},
        },
        *(
            {
                "token": name,
                "type": "rtsp",
                "url": f"http://127.0.0.1:{closed}/live?user=viewer&{name}={secret}",
                "user": "viewer",
                "password": secret,
            }
            for name, secret in queries
        ),
    ]


async def misuse(server: Server) -> None:
    """Say secrets in requests that no server should get."""
    port = int(server.base.rsplit(":", 1)[1])
    for line in (
        f"GET /api/v1/Login?user=admin&password={GUESSED[2]} HTTP/7.3\r\nHost: x\r\n\r\n",
        f"GET /api/v1/Login?user=admin&password={GUESSED[3]}\x01 nonsense\r\n\r\n",
        f"GET / HTTP/1.1\r\nAuthorization: token {GUESSED[3]}\r\nBad\x00Header: x\r\n\r\n",
        f"GET /?session={GUESSED[3]}{'x' * 9000} HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(line.encode())
        async with asyncio.timeout(20):
            await reader.read()
        writer.close()


async def use(server: Server, client: Client) -> set[str]:
    """Call what takes secrets, rightly and wrongly; return the session ids."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    given = [client.session]
    await client.call("Login", user="admin", password=GUESSED[0])
    login = await client.call(
        "Login", user="admin", password=hashlib.md5(ADMIN.encode()).hexdigest()
    )
    given.append(login["strSession"])
    url = "rtsp://127.0.0.1:9/live"
    for token, address, password in (
        ("a1", url, ADDED[0]),
        ("a2", f"rtsp://admin:{ADDED[2]}@127.0.0.1:9/live", ""),
        ("a3", f"gopher://admin:{ADDED[2]}@127.0.0.1:9/live", ADDED[0]),
        ("a4", f"rtsp://admin:{ADDED[2]}@127.0.0.1:99999/live", ADDED[0]),
    ):
        await client.call(
            "AddSrcRTSP", token=token, name=token, url=address, user="admin", password=password
        )
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        for body in (
            {"user": "olga", "password": GUESSED[1]},
            {"user": "olga", "password": OLGA},
        ):
            async with http.post(
                f"{server.base}/api/v1/Login", data=urlencode(body), headers=form
            ) as answer:
                given.append((await answer.json()).get("strSession", ""))
        body = {"token": "a5", "name": "a5", "url": url, "user": "admin", "password": ADDED[1]}
        body["session"] = client.session
        async with http.post(
            f"{server.base}/api/v1/AddSrcRTSP", data=urlencode(body), headers=form
        ) as answer:
            assert (await answer.json())["bStatus"]
        basic = base64.b64encode(f"admin:{BASIC}".encode()).decode()
        for path in ("GetSrc", "NoSuchCall", "GetImage?token=nowhere", "DelSrc?token=nowhere"):
            for headers in (
                {"Authorization": f"Basic {basic}"},
                {"Authorization": f"token {client.session}"},
                {"Cookie": f"h5s_session={client.session}"},
            ):
                async with http.get(f"{server.base}/api/v1/{path}", headers=headers) as answer:
                    await answer.read()
        for path in ("metrics", "hls/v2/right/hls.m3u8", f"none/{client.session}/x"):
            async with http.get(
                f"{server.base}/{path}?session={client.session}",
                headers={"Authorization": f"Bearer {KEY}"},
            ) as answer:
                await answer.read()
        query = f"token=right&session={client.session}"
        async with http.ws_connect(f"{server.base}/api/v1/h5srtcapi?{query}") as socket:
            await socket.send_str('{"type":"open"}')
            await socket.receive(timeout=20)
    return {one for one in given if one}


async def test_no_line_of_a_run_holds_a_secret(clips: Clips, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    issued = await asyncio.to_thread(authority.issue)
    with_users = [
        {"name": "admin", "password": ADMIN, "role": "Administrator"},
        {"name": "olga", "password": OLGA, "role": "Operator"},
    ]
    ice = {"urls": ["turn:127.0.0.1:9"], "username": "u", "credential": CREDENTIAL}
    async with RtspCamera(clips, ["h264_mute"], user="admin", password=CAMERA) as camera:
        server = Server(
            tmp_path,
            sources=sources(camera, free_port()),
            auth={"users": with_users, "metrics_key": KEY},
            http={
                "tls_port": free_port(),
                "tls_cert": str(issued.cert),
                "tls_key": str(issued.key),
            },
            rtc={"port": free_port(), "ice_servers": [ice]},
            options=["--log", "DEBUG"],
        )
        async with server, Client(server, password=ADMIN) as client:
            await client.until_online("right")
            await client.until_state("wrong", "BACKOFF", "password")
            await client.until_state("password", "BACKOFF")
            sessions = await use(server, client)
            async with client.watch("right") as viewer:
                await viewer.until_pictures(5)
            await misuse(server)
            await camera.kick("h264_mute")
            await client.until_state("right", "BACKOFF")
            await client.until_state("a2", "BACKOFF")
            server.config["auth"]["users"][1]["password"] = RELOADED
            server.reload()
            await until(lambda: "config.json is not applied" in server.log, "a refused reload")
            answers = json.dumps(await client.call("GetSrc"))
    said = server.log + (tmp_path / "output").read_text()
    secrets = {ADMIN, OLGA, KEY, CREDENTIAL, CAMERA, IN_URL, BASIC, RELOADED, *sessions}
    secrets |= {*IN_QUERY, *ADDED, *GUESSED}
    assert find_leaks(said, secrets) == []
    assert find_leaks(answers, {CAMERA, IN_URL, *ADDED, *IN_QUERY}) == []
    assert len(sessions) == 3
    for words in ("DEBUG", "h5sup.source.wrong: ", "starting ", "***:***@", "signed in from"):
        assert words in said  # what would have held them is there


def test_a_leak_would_be_found() -> None:
    for line in (f"x {quote_plus(ADMIN)} y", hashlib.md5(OLGA.encode()).hexdigest()):
        assert find_leaks(f"fine\n{line}\nfine", {ADMIN, OLGA}) == [line]
