"""Sources over RTSPS: played, and only from who shows the certificate that is known."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import imageio_ffmpeg
import pytest

from h5sup.base.errors import SourceError
from h5sup.config.loading import parse_source
from h5sup.devices.trust import AUTHORITIES, Trust
from h5sup.ffmpeg.media import Input
from h5sup.sources.rtsps import judge
from h5sup.store.store import Store
from tests.fakes.authority import Authority, make_self_signed
from tests.fakes.clips import Clips
from tests.fakes.onvif_camera import OnvifCamera
from tests.fakes.rtsp_camera import RtspCamera
from tests.fakes.tls_relay import TlsRelay
from tests.media.conftest import StationMaker

pytestmark = pytest.mark.media

USER, PASSWORD = "admin", "pass word:@/ü"


@pytest.mark.parametrize("kind", ["rtsp", "onvif", "newest ffmpeg"])
async def test_a_camera_of_rtsps_is_played_by_the_certificate_it_is_known_by(
    kind: str, clips: Clips, station: StationMaker, store: Store, tmp_path: Path
) -> None:
    program = imageio_ffmpeg.get_ffmpeg_exe() if kind == "newest ffmpeg" else "ffmpeg"
    first, second = (make_self_signed(tmp_path, name) for name in ("first", "second"))
    async with (
        RtspCamera(clips, ["h264_aac"], user=USER, password=PASSWORD) as rtsp,
        station(trust=Trust(store), ffmpeg=program, linger_s=0.1) as base,
    ):
        relay = TlsRelay(rtsp.port, first.context)
        async with relay, OnvifCamera(rtsp_port=relay.port, rtsp_scheme="rtsps") as camera:
            settings = {"user": USER, "password": PASSWORD, "connect": "ondemand"}
            url = f"rtsps://127.0.0.1:{relay.port}/h264_aac"
            if kind == "onvif":
                url, settings["type"], settings["host"] = "", "onvif", "127.0.0.1"
            source = await base.add("front", url, port=camera.port, **settings)
            lease = base.registry.lease("front")
            await lease.ready(20)
            lease.release()
            (kept,) = await store.certificates()
            assert kept["certificate"] == first.fingerprint
            await base.until(lambda: source.state.state == "STOPPED")

        relay.context, relay.count_bytes = second.context, 0
        async with relay, OnvifCamera(rtsp_port=relay.port, rtsp_scheme="rtsps", port=camera.port):
            lease = base.registry.lease("front")
            await base.until_failed(source, "another certificate than it is known by")
            lease.release()
            assert relay.count_bytes == 0, "no login was sent"
            await base.registry.delete("front")
            assert await store.certificates() == []


async def test_what_the_authorities_vouch_for_is_taken_and_has_to_stay_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority, trust = Authority(tmp_path), Trust()
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.write_root()))
    own, vouched = make_self_signed(tmp_path), authority.issue()
    relay = TlsRelay(1, own.context)
    config = parse_source({"token": "front", "type": "rtsp", "url": "rtsps://127.0.0.1/"})

    async def look(**given: str) -> None:
        async with relay:
            found = Input(kind="rtsp", url=f"rtsps://127.0.0.1:{relay.port}/")
            await judge(found, trust, parse_source(raw | given))

    raw = {"token": config.token, "type": config.type, "url": config.url}
    await look()
    relay.context = vouched.context
    with pytest.raises(SourceError, match="another certificate"):
        await look(fingerprint=own.fingerprint)
    await look()
    assert trust.find("front", f"rtsps 127.0.0.1:{relay.port}") == AUTHORITIES
    await look()
    relay.context = own.context
    with pytest.raises(SourceError, match=r"no authority vouches any more .* \(self"):
        await look()
    await look(fingerprint=own.fingerprint)


async def test_what_has_no_tls_and_what_says_nothing() -> None:
    config = parse_source({"token": "front", "type": "rtsp", "url": "rtsps://127.0.0.1/"})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        silent = Input(kind="rtsp", url=f"rtsps://127.0.0.1:{listener.getsockname()[1]}/")
        with pytest.raises(SourceError, match=r"no TLS with port \d+ of 127.0.0.1 within 0.2 s"):
            await judge(silent, Trust(), config, timeout_s=0.2)
    with pytest.raises(SourceError, match=r"127.0.0.1: connection refused"):
        await judge(silent, Trust(), config)
    async with await asyncio.start_server(_hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        plain = Input(kind="rtsp", url=f"rtsps://127.0.0.1:{port}/")
        with pytest.raises(SourceError, match=r"127.0.0.1: (wrong version number|record layer)"):
            await judge(plain, Trust(), config)
    nowhere = Input(kind="rtsp", url="rtsps://nowhere.invalid/")
    with pytest.raises(SourceError, match="the host is not known"):
        await judge(nowhere, Trust(), config)


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a server that knows no TLS."""
    writer.write(b"RTSP/1.0 400 Bad Request\r\n\r\n")
    await reader.read(1)
    writer.close()
