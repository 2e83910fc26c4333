"""HTTPS with a real chain of certificates: who is served what, and what a change of it does."""

from __future__ import annotations

import asyncio
import os
import runpy
import shutil
import signal
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from playwright.async_api import BrowserContext

from tests.e2e.browser import complaints_of, open_browser
from tests.e2e.client import Client
from tests.e2e.screen import watch
from tests.e2e.server import ROOT, Server, free_port, until
from tests.fakes.authority import Authority, Issued
from tests.fakes.clips import Clips

READY = runpy.run_path(str(ROOT / "packaging" / "startup.py"))["READY"]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def make_server(
    folder: Path, issued: Issued, clips: Clips | None = None, **sections: Any
) -> Server:
    http = {"tls_port": free_port(), "tls_cert": str(issued.cert), "tls_key": str(issued.key)}
    sources = [{"token": "front", "type": "file", "url": "clip.mp4"}] if clips else []
    server = Server(folder, sources=sources, http=http, **sections)
    if clips is not None:
        server.add_media(clips["h264_aac"], "clip.mp4")
    return server


def served(server: Server, trust: ssl.SSLContext) -> int:
    """Return the serial number of the certificate that a new connection is shown."""
    port = int(server.tls_base.rsplit(":", 1)[1])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as tcp,
        trust.wrap_socket(tcp, server_hostname="127.0.0.1") as tls,
    ):
        der = tls.getpeercert(binary_form=True)
        assert der is not None
        return x509.load_der_x509_certificate(der).serial_number


async def until_served(server: Server, trust: ssl.SSLContext, serial: int) -> None:
    async with asyncio.timeout(20):
        while await asyncio.to_thread(served, server, trust) != serial:
            await asyncio.sleep(0.1)


async def test_a_chain_is_served_and_verified(tmp_path: Path, authority: Authority) -> None:
    issued = authority.issue()
    async with make_server(tmp_path, issued) as server:
        ready = READY.search((tmp_path / "output").read_text())
        assert ready is not None
        assert ready[1] == server.base  # what install.sh asks for /healthz
        assert await asyncio.to_thread(served, server, authority.client()) == issued.serial
        async with Client(server, trust=authority.client()) as client:
            assert (await client.get("/healthz"))[0] == 200
            assert (await client.call("GetSrc"))["src"] == []
        with pytest.raises(ssl.SSLCertVerificationError):  # who does not know the root
            await asyncio.to_thread(served, server, ssl.create_default_context())
        async with Client(server) as client:  # HTTP goes on beside it
            assert (await client.get("/healthz"))[0] == 200


async def test_old_versions_of_tls_are_refused(tmp_path: Path, authority: Authority) -> None:
    async with make_server(tmp_path, authority.issue()) as server:
        old = authority.client()
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.to_thread(served, server, old)


async def test_the_cookie_stays_with_https(tmp_path: Path, authority: Authority) -> None:
    """Else a browser that signed in over HTTPS could not over HTTP: it keeps the secure one."""
    async with make_server(tmp_path, authority.issue()) as server:
        trust = authority.client()
        plain = ""  # what the last of the two was given
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            for base, name, is_secure in (
                (server.tls_base, "__Host-h5s_session", True),
                (server.base, "h5s_session", False),
            ):
                url = f"{base}/api/v1/Login?user=admin&password=12345"
                async with http.get(url, ssl=trust) as answer:
                    cookie = answer.cookies[name]
                    plain = cookie.value
                    assert bool(cookie["secure"]) is is_secure
                    assert (cookie["httponly"], cookie["samesite"]) == (True, "Strict")
                    assert "Strict-Transport-Security" not in answer.headers
                async with http.get(f"{base}/api/v1/GetSrc", ssl=trust) as answer:
                    assert answer.status == 200
        planted = {"Cookie": f"h5s_session={plain}"}  # by whoever can write to the HTTP side
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
            http.get(f"{server.tls_base}/api/v1/GetSrc", headers=planted, ssl=trust) as answer,
        ):
            assert answer.status == 401


async def test_another_site_makes_no_call_over_https(tmp_path: Path, authority: Authority) -> None:
    async with (
        make_server(tmp_path, authority.issue()) as server,
        aiohttp.ClientSession() as http,
        http.get(
            f"{server.tls_base}/api/v1/Login?user=admin&password=12345",
            headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
            ssl=authority.client(),
        ) as answer,
    ):
        assert "of another site" in (await answer.json())["strCode"]


@pytest.mark.parametrize("how", ["file", "SIGHUP"])
async def test_a_new_certificate_serves_who_comes_and_drops_nobody(
    how: str, tmp_path: Path, authority: Authority, clips: Clips
) -> None:
    old = authority.issue()
    trust = authority.client()
    async with (
        make_server(tmp_path, old, clips) as server,
        Client(server, trust=trust) as client,
    ):
        await client.until_online("front")
        async with client.watch("front") as viewer:
            await viewer.until_pictures(10)
            new = authority.issue()
            if how == "SIGHUP":
                os.kill(server.pid, signal.SIGHUP)
            await until_served(server, trust, new.serial)
            await viewer.until_pictures(viewer.pictures + 50)
            assert viewer.breaks == []
        assert "Traceback" not in server.log


async def test_a_wrong_pair_changes_nothing(tmp_path: Path, authority: Authority) -> None:
    good = authority.issue()
    other = authority.issue("other")
    trust = authority.client()
    async with make_server(tmp_path, good) as server:
        right_key = good.key.read_bytes()
        shutil.copyfile(other.key, good.key)
        await until(lambda: "the certificate stays as it was" in server.log, "a complaint")
        assert "is not the key of the first certificate" in server.log
        assert await asyncio.to_thread(served, server, trust) == good.serial
        good.cert.unlink()
        os.kill(server.pid, signal.SIGHUP)
        await until(lambda: "can't be read" in server.log, "a complaint")
        assert await asyncio.to_thread(served, server, trust) == good.serial
        shutil.copyfile(other.cert, good.cert)  # now the two belong together
        await until_served(server, trust, other.serial)
        assert right_key != good.key.read_bytes()


async def test_self_signed_is_made_by_one_command(tmp_path: Path) -> None:
    server = Server(tmp_path, http={"tls_port": free_port()})
    process = await server.spawn("--self-signed")
    async with asyncio.timeout(20):
        assert await process.wait() == 0, server.log
    said = (tmp_path / "output").read_text()
    assert "127.0.0.1" in said
    trust = ssl.create_default_context(cafile=str(tmp_path / "data" / "tls-cert.pem"))
    async with server, Client(server, trust=trust) as client:
        assert (await client.get("/healthz"))[0] == 200
        cert = x509.load_pem_x509_certificate((tmp_path / "data" / "tls-cert.pem").read_bytes())
        assert await asyncio.to_thread(served, server, trust) == cert.serial_number


@pytest.fixture
async def trusting_browser(tmp_path: Path) -> AsyncIterator[BrowserContext]:
    """Return a Chromium whose user has been asked, and trusts."""
    async with open_browser(tmp_path / "profile", "--ignore-certificate-errors") as context:
        yield context


@pytest.mark.parametrize(
    "page_name", ["ws.html?", "hls.html?ver=v1&", "hls.html?ver=v2&", "rtc.html?"]
)
async def test_a_browser_plays_over_https(
    page_name: str,
    tmp_path: Path,
    authority: Authority,
    clips: Clips,
    trusting_browser: BrowserContext,
) -> None:
    """Signed in: HLS gets the session from the secure cookie alone."""
    server = make_server(tmp_path, authority.issue(), clips, rtc={"port": free_port()})
    async with server:
        page = await trusting_browser.new_page()
        await page.goto(server.tls_base)
        await page.fill("input[name=user]", "admin")
        await page.fill("input[type=password]", "12345")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("video")
        complaints = complaints_of(page)
        await page.goto(f"{server.tls_base}/{page_name}token=front")
        seen = await watch(page, 5)
        assert seen[-1]["time"] - seen[0]["time"] > 2.5
        assert len({one["index"] for one in seen}) > 5
        assert complaints == []
