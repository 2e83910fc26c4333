"""A WebRTC output behind the whole REST side: real sockets, guard and ICE; DTLS is faked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC
from ipaddress import ip_address
from unittest.mock import patch

from h5sup.bus.playback import PlaybackOpener
from h5sup.config.model import IceServerConfig, RtcConfig
from h5sup.formats.sdp.model import SessionDescription
from h5sup.formats.stun import MessageClass, build_binding_request
from h5sup.outputs.rtc.output import RtcOutput
from tests.api.conftest import Backend, MakeBackend
from tests.fakes.rtc_parts import (
    FakeCertificate,
    FakeDtls,
    FakeLeases,
    Feed,
    UdpClient,
    free_port,
    make_channel,
)

ICE_SERVERS = (
    IceServerConfig(urls=("stun:stun.example:3478",)),
    IceServerConfig(
        urls=("turn:turn.example:3478", "turns:turn.example:5349"),
        username="olga",
        credential="secret",
    ),
)


@dataclass
class Rig:
    """What stands behind the server, for tests to look at."""

    backend: Backend
    rtc: RtcOutput
    leases: FakeLeases
    feed: Feed

    async def assert_empty(self) -> None:
        """Nothing is held for anybody."""
        await until(lambda: not self.leases.held and not self.rtc.connections)

    async def connect(self, description: SessionDescription) -> None:
        """Go through ICE and the handshake by what a description of ours says."""
        section = description.media[0]
        candidate = next(one for one in section.candidates if one.transport == "udp")
        client = UdpClient(candidate.port, candidate.address)
        check = build_binding_request(
            bytes(12),
            username=f"{section.ufrag}:them",
            key=section.pwd.encode(),
            priority=1,
            tie_breaker=1,
        )
        try:
            assert (await client.ask(check)).message_class is MessageClass.SUCCESS
            assert await client.receive() == FakeDtls.HELLO
            client.send(FakeDtls.FINISHED)
            await until(lambda: self.rtc.figures)
        finally:
            client.socket.close()


@asynccontextmanager
async def rtc_rig(
    make_backend: MakeBackend,
    *,
    viewers: int = 5,
    port: int | None = None,
    playbacks: PlaybackOpener | None = None,
    **auth: object,
) -> AsyncIterator[Rig]:
    """Serve one camera, `front`, to WebRTC viewers, and recordings; with `port=0` to none."""
    config = RtcConfig(port=free_port() if port is None else port, ice_servers=ICE_SERVERS)
    feed = Feed()
    feed.gop(5)
    leases = FakeLeases(make_channel(feed))
    with (
        patch("h5sup.outputs.rtc.hall._make_certificate", FakeCertificate),
        patch("h5sup.outputs.rtc.endpoint.host_addresses", lambda: [ip_address("127.0.0.1")]),
    ):
        rtc = RtcOutput(leases, config, viewers=viewers, playbacks=playbacks, zone=UTC)
        await rtc.open()
        backend = await make_backend(rtc=rtc, **auth)
        try:
            yield Rig(backend, rtc, leases, feed)
        finally:
            await rtc.close()
    assert not leases.held


async def until(condition: Callable[[], object]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)
