"""An app with everything of the REST side real, and the rest of h5sup faked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientResponse, ClientWebSocketResponse, DummyCookieJar, web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from h5sup.api.dispatch import Handler, Mount, create_api
from h5sup.api.events import EventSockets
from h5sup.api.services import Library, Services, SystemFacts
from h5sup.api.subject import InPath
from h5sup.auth.administration import Administration
from h5sup.auth.alarm import LoginAlarm
from h5sup.auth.guard import Access, Guard
from h5sup.auth.lockout import Lockout
from h5sup.auth.login import Logins
from h5sup.auth.passwords import Passwords
from h5sup.auth.sessions import Sessions
from h5sup.auth.users import Users
from h5sup.base.errors import UnavailableError
from h5sup.config.model import AuthConfig, UserConfig
from h5sup.devices.registry import Devices
from h5sup.devices.steering import Steering
from h5sup.events.hub import Hub
from h5sup.outputs.rtc.output import RtcOutput
from h5sup.outputs.rtc.whep import METHODS
from h5sup.store.store import Store
from h5sup.web.site import Site
from tests.api.fakes import (
    LOADING,
    FakeArchives,
    FakeCodecs,
    FakeConnections,
    FakeForecast,
    FakeLibrary,
    FakeMachine,
    FakeMediastore,
    FakeOnvif,
    FakePictures,
    FakeRecordings,
    FakeRestarter,
    FakeRtcViewers,
    FakeSnapshots,
    FakeSources,
    source,
)
from tests.fakes.nvr import QUICK, Nvr

USERS = (
    UserConfig(name="admin", password="12345", role="Administrator"),
    UserConfig(name="olga", password="operate it", role="Operator"),
    UserConfig(name="vera", password="just look", role="Viewer"),
)
TRUSTED = "https://dashboard.example"
MAX_LISTENERS = 3


class Clock:
    """Monotonic time as the test wants it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Backend:
    """The parts behind the client, for tests to look at and to change."""

    client: TestClient[web.Request, web.Application]
    sources: FakeSources
    pictures: FakePictures
    sessions: Sessions
    users: Users
    clock: Clock
    rtc_viewers: FakeRtcViewers
    codecs: FakeCodecs
    archives: FakeArchives
    restarter: FakeRestarter
    recordings: FakeRecordings
    hub: Hub
    onvif: FakeOnvif
    devices: Devices
    nvr: Nvr
    """What answers for all devices of type hik."""
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Path and query of what the outputs were handed."""

    async def get(self, path: str, **headers: str) -> ClientResponse:
        """GET a path exactly as written, without the client's cookies."""
        return await self.request("GET", path, data=None, **headers)

    async def request(
        self, method: str, path: str, *, data: bytes | None = None, **headers: str
    ) -> ClientResponse:
        """Send a request whose path is not mended by the client."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.session.request(
            method, self._url(path), headers=named, data=data, allow_redirects=False
        )

    async def call(self, path: str, **headers: str) -> dict[str, Any]:
        """GET a call and return its JSON."""
        response = await self.get(path, **headers)
        body: dict[str, Any] = await response.json()
        return body

    @asynccontextmanager
    async def connect(self, path: str, **headers: str) -> AsyncIterator[ClientWebSocketResponse]:
        """Open a WebSocket at a path exactly as written."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.session.ws_connect(self._url(path), headers=named) as socket:
            yield socket

    def sign_in(self, user: str = "admin") -> str:
        """Return a session id without the cost of a login."""
        return self.sessions.open(user)

    def _url(self, path: str) -> URL:
        base = self.client.make_url("/")
        return URL(f"http://{base.host}:{base.port}{path}", encoded=True)


MakeBackend = Callable[..., Awaitable[Backend]]


@pytest.fixture
async def make_backend(tmp_path: Path) -> AsyncIterator[MakeBackend]:
    """Return what builds a server with a given `auth` section, WebRTC and library if given."""
    opened: list[
        tuple[TestClient[web.Request, web.Application], Passwords, Store, Steering, Devices]
    ] = []

    async def make(
        *, rtc: RtcOutput | None = None, library: Library | None = None, **auth: object
    ) -> Backend:
        config = msgspec.structs.replace(AuthConfig(users=USERS), **auth)
        clock, passwords = Clock(), Passwords(memory_kib=8, passes=1)
        store = Store(tmp_path / "data")
        await store.open()
        users = Users(passwords, store)
        await users.apply(config.users)
        sessions = Sessions(config.session_timeout_s, clock=clock)
        guard = Guard(config, users, sessions, (TRUSTED,))
        lockout, hub = Lockout(clock=clock), Hub()
        logins = Logins(
            users,
            passwords,
            sessions,
            lockout,
            LoginAlarm(hub, clock=clock),
            enabled=config.enabled,
        )
        sources = FakeSources(
            source("front", from_file=True),
            source("back"),
            source("clip", type="file", url="a.mp4"),
        )
        pictures, rtc_viewers = FakePictures(), FakeRtcViewers()
        codecs, archives, restarter = FakeCodecs(), FakeArchives(), FakeRestarter()
        snapshots = FakeSnapshots()
        recordings = FakeRecordings()
        onvif = FakeOnvif()
        steering = Steering(sources, store)
        nvr = Nvr()
        devices = Devices({"hik": nvr.make, "dahua": nvr.make}, store, hub, pace=QUICK)
        await devices.start(())
        services = Services(
            guard=guard,
            logins=logins,
            administration=Administration(users, logins, sessions),
            sessions=sessions,
            sources=sources,
            onvif=onvif,
            steering=steering,
            devices=devices,
            pictures=pictures,
            recordings=recordings,
            ws_viewers=FakeConnections(),
            rtc_viewers=rtc_viewers,
            machine=FakeMachine(),
            codecs=codecs,
            library=library or FakeLibrary(),
            mediastore=FakeMediastore(),
            forecast=FakeForecast(),
            archives=archives,
            snapshots=snapshots,
            restarter=restarter,
            system=SystemFacts(
                version="0.1.0",
                host_id="h" * 32,
                ffmpeg="ffmpeg version 5.1.9",
                processor="A processor",
            ),
            loading_image=LOADING,
        )
        seen: list[tuple[str, dict[str, str]]] = []

        async def output(request: web.Request) -> web.StreamResponse:
            seen.append((request.path, dict(request.query)))
            return web.Response(text="media", headers={"Cache-Control": "no-cache"})

        async def socket(request: web.Request) -> web.StreamResponse:
            seen.append((request.path, dict(request.query)))
            answer = web.WebSocketResponse()
            await answer.prepare(request)
            await answer.send_str(f"hello {request.query.get('token')}")
            if request.query.get("token") == "breaks":
                raise UnavailableError("it broke while it was being watched")
            await answer.close()
            return answer

        site = Site(_www(tmp_path))
        await site.load()
        app = web.Application()
        sockets: dict[str, Handler] = {"h5swsapi": socket, "h5swscmnapi": socket}
        prefixes = {"/hls/": Mount(output, InPath(2))}
        sockets["h5seventapi"] = EventSockets(hub, limit=MAX_LISTENERS).handle
        if rtc is not None:
            sockets["h5srtcapi"] = rtc.signal
            prefixes["/whep/"] = Mount(rtc.whep, InPath(1), methods=METHODS, access=Access.SOCKET)
        create_api(
            app,
            services,
            pages=site.handle,
            sockets=sockets,
            prefixes=prefixes,
            trusted_origins=(TRUSTED,),
        )
        client = TestClient(TestServer(app), cookie_jar=DummyCookieJar())
        await client.start_server()
        opened.append((client, passwords, store, steering, devices))
        return Backend(
            client,
            sources,
            pictures,
            sessions,
            users,
            clock,
            rtc_viewers,
            codecs,
            archives,
            restarter,
            recordings,
            hub,
            onvif,
            devices,
            nvr,
            seen,
        )

    yield make
    for client, passwords, store, steering, devices in opened:
        await client.close()
        await steering.close()
        await devices.aclose()
        passwords.close()
        await store.close()


@pytest.fixture
async def backend(make_backend: MakeBackend) -> Backend:
    """Return a server with authentication on, as it is by default."""
    return await make_backend()


def _www(folder: Path) -> Path:
    www = folder / "www"
    (www / "js").mkdir(parents=True)
    (www / "index.html").write_text("<!doctype html><title>h5sup</title>")
    (www / "js" / "h5splayer.js").write_text('"use strict";')
    (folder / "secret.html").write_text("not for anyone")
    return www
