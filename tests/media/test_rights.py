"""Every route x everybody: the server as app/ builds it, asked for everything there is.

What a route takes is written here once more, by hand: a new route without a line here fails.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import aiohttp
import pytest
from aiohttp import WSMsgType

from h5sup.api.dispatch import create_api
from h5sup.api.parameters import fields_of
from h5sup.api.subject import CallToken
from h5sup.api.table import CALLS
from h5sup.app import routes
from h5sup.app.server import Server
from h5sup.auth.guard import Access
from h5sup.base.logs import RecentLines, RedactingFormatter
from h5sup.config.loading import load_config, load_profiles
from h5sup.config.model import Role
from h5sup.store.media_index import MediaIndex
from h5sup.store.media_records import StoredFile
from tests.e2e.server import free_port
from tests.fakes.clips import Clips
from tests.fakes.mediastore import put_recording
from tests.fakes.recorded import BEGIN_US

pytestmark = pytest.mark.media

ROOT = Path(__file__).resolve().parents[2]
OFFER = (ROOT / "tests" / "data" / "sdp" / "chromium_offer.sdp").read_bytes()
PASSWORDS = {"admin": "a strong one", "olga": "operate it", "vera": "just look", "fred": "no more"}
USERS = [
    {"name": "admin", "password": PASSWORDS["admin"], "role": "Administrator"},
    {"name": "olga", "password": PASSWORDS["olga"], "role": "Operator"},
    {"name": "vera", "password": PASSWORDS["vera"], "role": "Viewer"},
    {"name": "fred", "password": PASSWORDS["fred"], "role": "Viewer", "sources": ["front"]},
]
NOBODY = ("nobody", "dead")  # no session; one that never was
EVERYBODY = (*NOBODY, "fred", "vera", "olga", "admin")
RANK: dict[Role | None, int] = {None: 0, "Viewer": 0, "Operator": 1, "Administrator": 2}
LIVES_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a route takes, and a query that does no harm to what is asked next."""

    query: str = ""
    role: Role | None = "Viewer"
    """None: nobody needs to be signed in."""
    acts: bool = False
    for_somebody: bool = False
    """Refused to the anonymous though it only reads: it is about who asks."""
    always_strict: bool = False
    """Takes the role also with strict_roles off."""


NO_DEVICE = "name=N&user=u&password=p&ip=a+b&port=80"
# `{t}` is a source's token, `{d}` a device's. What changes something is asked for what can't be
# done.
CALL_RULES: dict[str, Rule] = {
    "Login": Rule(query="user=nobody&password=wrong", role=None, acts=True),
    "Logout": Rule(acts=True),
    "Keepalive": Rule(for_somebody=True),
    "GetSystemInfo": Rule(),
    "GetUserInfo": Rule(for_somebody=True),
    "GetUserList": Rule(role="Administrator", always_strict=True),
    "CreateUser": Rule(
        query="user=admin&password=x&usertype=Viewer",
        role="Administrator",
        acts=True,
        always_strict=True,
    ),
    "DeleteUser": Rule(query="user=admin", role="Administrator", acts=True, always_strict=True),
    "UpdateUser": Rule(
        query="user=nobody&usertype=Viewer", role="Administrator", acts=True, always_strict=True
    ),
    "GetSrc": Rule(query="token={t}"),
    "GetImage": Rule(query="token={t}"),
    "GetLoadingImage": Rule(role=None),
    "AddSrcFile": Rule(query="token={t}&name=N&url=none.mp4", role="Administrator", acts=True),
    "AddSrcRTSP": Rule(query="token={t}&name=N&url=gopher://h", role="Administrator", acts=True),
    "AddSrcONVIF": Rule(
        query="token={t}&name=N&ip=a%20b&port=80&user=u&password=p",
        role="Administrator",
        acts=True,
    ),
    "OnvifSearch": Rule(query="timeout=0", role="Administrator", acts=True),
    "OnvifProbe": Rule(
        query="ip=a%20b&port=80&user=u&password=p", role="Administrator", acts=True
    ),
    "DelSrc": Rule(query="token={t}", role="Administrator", acts=True),
    "GetDevice": Rule(query="token={d}"),
    "GetDeviceSrc": Rule(query="token={d}"),
    "AddDeviceHik": Rule(query=f"token={{t}}&{NO_DEVICE}", role="Administrator", acts=True),
    "AddDeviceDh": Rule(query=f"token={{t}}&{NO_DEVICE}", role="Administrator", acts=True),
    "DelDevice": Rule(query="token={d}", role="Administrator", acts=True),
    "SetDeviceLogin": Rule(query="token={d}&user=a&password=b", role="Administrator", acts=True),
    "SearchDeviceRecordByTime": Rule(query="token={t}&start=2026-11-24&end=2026-11-25"),
    "SearchDeviceRecordCalendar": Rule(query="token={t}&year=2026&month=11"),
    "GetVersion": Rule(),
    "GetCodecInfo": Rule(),
    "GetRunInfo": Rule(),
    "Restart": Rule(role="Administrator", acts=True),  # config.json is broken by then
    "GetSrcWithoutDevice": Rule(query="token={t}"),
    "GetSrcCamera": Rule(query="token={t}"),
    "GetVidStreamStatus": Rule(query="token={t}"),
    "GetPresets": Rule(query="token={t}"),
    "Ptz": Rule(query="token={t}&action=left", role="Operator", acts=True),
    "SetPreset": Rule(query="token={t}&presetname=1&presettoken=1", role="Operator", acts=True),
    "DelPreset": Rule(query="token={t}&presettoken=1", role="Operator", acts=True),
    "GetSrcLog": Rule(query="token={t}", role="Operator"),
    "Record": Rule(query="token={t}&duration=5&filename=..", role="Operator", acts=True),
    "ManualRecordStart": Rule(query="token={t}", role="Operator", acts=True),
    "ManualRecordStop": Rule(query="token={t}", role="Operator", acts=True),
    "PathRecord": Rule(
        query="token={t}&duration=5&filename=..&start1=2026-1-2&start2=1-2-3",
        role="Operator",
        acts=True,
    ),
    "Snapshot": Rule(query="token={t}&filename=..", role="Operator", acts=True),
    "PathSnapshot": Rule(
        query="token={t}&filename=..&start1=2026-1-2&start2=1-2-3", role="Operator", acts=True
    ),
    "PbSnapshot": Rule(query="token={t}&pbsession=none", role="Operator", acts=True),
    "Archive": Rule(
        query="token={t}&duration=5&start1=2001-1-2&start2=1-2-3", role="Operator", acts=True
    ),
    "GetArchiveStatus": Rule(query="token={t}&filename=none"),
    "Search": Rule(query="token={t}&type=record&start=2026-11-24&end=2026-11-25"),
    "SearchByFilename": Rule(query="token={t}&type=record&filename=none"),
    "GetRecordGaps": Rule(query="token={t}&start=2026-11-24&end=2026-11-25"),
    "GetRecordCalendar": Rule(query="token={t}&year=2026&month=11"),
    "GetCloudClientInfo": Rule(),
    "GetServerList": Rule(),
    "cluster/GetClusterStatus": Rule(),
    "GetCloudDevice": Rule(),
    "GetCloudDeviceSrc": Rule(),
    "GetDeviceSummary": Rule(),
    "openapi.json": Rule(),
    "h5swsapi/Status": Rule(),
    "h5srtcapi/Status": Rule(),
}
QUIET_SOCKETS = ("h5swscmnapi", "h5seventapi")  # say nothing, or only what happens
SOCKETS = {"h5swsapi", "h5swscmnapi", "h5srtcapi", "h5srtcapi2", "h5seventapi"}
MOUNTS = {"/metrics", "/hls/", "/whep/", "/mediastore/", "/api/v1/playback/"}
FETCHED = (
    "/hls/v1/{t}/hls.m3u8",
    "/hls/v2/{t}/hls.m3u8",
    "/hls/v2/{t}/h264.m3u8",
    "/mediastore/snapshot/{t}/2026-11-24TZ00/10-00-00/kept.jpg",
    "/api/v1/playback/{t}.m3u8?filename={t}-1",
)
PAGES = ("/", "/healthz", "/js/h5splayer.js")
NEW = {call.name for call in CALLS if call.token is CallToken.NEW}


@dataclass
class House:
    """A running server and who has signed in."""

    base: str
    http: aiohttp.ClientSession
    auth: Mapping[str, Any]
    sockets: set[str]
    mounts: set[str]
    sessions: dict[str, str] = field(default_factory=lambda: {"dead": "0" * 36})

    async def sign_in(self, name: str) -> None:
        query = {"user": name, "password": PASSWORDS[name]}
        async with self.http.get(f"{self.base}/api/v1/Login", params=query) as response:
            self.sessions[name] = (await response.json())["strSession"]

    async def ask(self, who: str, path: str, method: str = "GET", **more: Any) -> tuple[int, str]:
        """Return the status and the body, or the kind of media."""
        async with self.http.request(method, self.url(who, path), **more) as response:
            if response.content_type == "image/jpeg":
                return response.status, response.content_type
            return response.status, await response.text()

    async def listen(self, who: str, path: str) -> tuple[int, str]:
        """Open a WebSocket; return 101 and what is said first, or why there is none."""
        url = self.url(who, path)
        try:
            async with self.http.ws_connect(url) as socket, asyncio.timeout(LIVES_S):
                if any(name in path for name in QUIET_SOCKETS):
                    return 101, ""
                if "h5srtcapi" in path:
                    await socket.send_json({"type": "open"})
                message = await socket.receive()
                is_media = message.type is WSMsgType.BINARY
                return 101, "media" if is_media else str(message.data)
        except aiohttp.WSServerHandshakeError as error:
            return error.status, "refused"

    def url(self, who: str, path: str) -> str:
        separator = "&" if "?" in path else "?"
        session = self.sessions.get(who)
        return f"{self.base}{path}" + (f"{separator}session={session}" if session else "")


def build(config_path: Path) -> Server:
    """Read the files as run.py does before there is an event loop."""
    profiles = load_profiles(ROOT / "ffmpeg_profiles")
    return Server(config_path, load_config(config_path), profiles, RecentLines())


async def keep_media(folder: Path, clip: Path) -> None:
    """Put a recording and a snapshot of each camera where an earlier run would have left them."""
    for token in ("front", "back"):
        await put_recording(clip, "ffmpeg", folder, token)
    index = MediaIndex(folder / "data")
    await index.open()
    for token in ("front", "back"):
        path = f"snapshot/{token}/2026-11-24TZ00/10-00-00/kept.jpg"
        place = folder / "mediastore" / path
        await asyncio.to_thread(place.parent.mkdir, parents=True)
        await asyncio.to_thread(place.write_bytes, b"a picture")
        kept = StoredFile(
            kind="snapshot", token=token, path=path, filename="kept.jpg", recording="kept.jpg",
            trigger="manual", start_us=BEGIN_US, end_us=BEGIN_US, size_bytes=9,
        )  # fmt: skip
        await index.add(kept)
    await index.close()


@asynccontextmanager
async def house(folder: Path, clips: Clips, **auth: Any) -> AsyncIterator[House]:
    """Run h5sup with two cameras, `front` and `back`."""
    clip = clips["h264_aac"]
    sources = [{"token": one, "type": "file", "url": clip.name} for one in ("front", "back")]
    config_path = folder / "config.json"
    config = {
        "http": {"host": "127.0.0.1", "port": 0},
        "auth": {"users": USERS, **auth},
        "paths": {
            "profiles": str(ROOT / "ffmpeg_profiles"),
            "www": str(ROOT / "www"),
            "media_root": str(clip.parent),
        },
        "rtc": {"port": free_port()},
        "sources": sources,
        "devices": [{"token": "nvr", "type": "hik", "host": "127.0.0.1", "port": 1}],
    }
    config_path.write_text(json.dumps(config))
    await keep_media(folder, clip)
    server = await asyncio.to_thread(build, config_path)
    config_path.write_text("{")  # so that Restart refuses whoever may ask for it
    async with AsyncExitStack() as stack:
        with patch.object(routes, "create_api", wraps=create_api) as built:
            await server._start(stack)
        given = built.call_args.kwargs
        http = await stack.enter_async_context(
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        )
        home = House(server._urls[0], http, auth, set(given["sockets"]), set(given["prefixes"]))
        for name in PASSWORDS:
            await home.sign_in(name)
        async with asyncio.timeout(LIVES_S):
            while "h264.m3u8" not in (await home.ask("admin", "/hls/v2/back/hls.m3u8"))[1]:
                await asyncio.sleep(0.05)
            while (await home.ask("admin", "/hls/v2/front/hls.m3u8"))[0] != 200:
                await asyncio.sleep(0.05)
        yield home


def expected(home: House, who: str, rule: Rule) -> str:
    """Return what the rule says: admitted, nobody or role."""
    if rule.role is None:
        return "admitted"
    strict = home.auth.get("strict_roles", True) or rule.always_strict
    if who in NOBODY:
        if not home.auth.get("anonymous_view") or rule.acts or rule.for_somebody:
            return "nobody"
        return "admitted" if RANK[rule.role] == 0 else "role"
    role: Role = {"olga": "Operator", "admin": "Administrator"}.get(who, "Viewer")  # type: ignore[assignment]  # their own names
    return "role" if strict and RANK[role] < RANK[rule.role] else "admitted"


def kind_of(status: int, text: str) -> str:
    """Return which of the three an answer is."""
    if status == 401:
        assert '"bStatus":false' in text
        return "nobody"
    assert status < 500, text
    return "role" if "this takes the role" in text else "admitted"


VARIANTS: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "anonymous_view": {"anonymous_view": True},
    "strict_roles off": {"strict_roles": False},
    "both": {"anonymous_view": True, "strict_roles": False},
}


@pytest.mark.parametrize("auth", VARIANTS.values(), ids=VARIANTS.keys())
async def test_everybody_gets_what_is_theirs(
    tmp_path: Path, clips: Clips, auth: dict[str, Any]
) -> None:
    async with house(tmp_path, clips, **auth) as home:
        await walk_calls(home)
        await walk_outputs(home)
        await walk_pages(home)


async def walk_calls(home: House) -> None:
    assert set(CALL_RULES) == {call.name for call in CALLS}, "a call has no rule here"
    for name, rule in CALL_RULES.items():
        for who in EVERYBODY:
            answer = await home.ask(who, f"/api/v1/{name}?{rule.query.format(t='front', d='nvr')}")
            assert kind_of(*answer) == expected(home, who, rule), (name, who, answer)
            if name == "Logout" and who not in NOBODY:
                await home.sign_in(who)
        if "{t}" in rule.query or "{d}" in rule.query:
            await compare_call(home, name, rule)
    listed = {}
    for who in EVERYBODY:
        status, text = await home.ask(who, "/api/v1/GetSrc")
        listed[who] = [one["strToken"] for one in json.loads(text)["src"]] if status == 200 else []
    assert listed["fred"] == ["front"]
    assert listed["vera"] == listed["olga"] == listed["admin"] == ["front", "back"]
    anonymous = ["front", "back"] if home.auth.get("anonymous_view") else []
    assert listed["nobody"] == listed["dead"] == anonymous


async def compare_call(home: House, name: str, rule: Rule) -> None:
    """Fail unless what is invisible is answered exactly as what does not exist."""
    back, nothing = [
        await home.ask("fred", f"/api/v1/{name}?{rule.query.format(t=token, d=device)}")
        for token, device in (("back", "nvr"), ("nothing", "nothing"))
    ]
    assert back == nothing, name
    if expected(home, "fred", rule) == "admitted":
        words = "there is no source with this token"
        if "{d}" in rule.query:
            words = "there is no device with this token"
        elif name in NEW:
            words = "you may not make it"
        assert words in back[1], name
        seen = await home.ask("vera", f"/api/v1/{name}?{rule.query.format(t='back', d='nvr')}")
        assert words not in seen[1], name


async def walk_outputs(home: House) -> None:
    assert home.sockets == SOCKETS, "a socket has no rule here"
    assert home.mounts == MOUNTS, "an output has no rule here"
    for socket in sorted(SOCKETS):
        for prefix in ("/", "/api/v1/"):
            for who in EVERYBODY:
                answer = await home.listen(who, f"{prefix}{socket}?token=front")
                wanted = "nobody" if answer == (401, "refused") else "admitted"
                assert wanted == expected(home, who, Rule()), (socket, who, answer)
            hidden, missing = [
                await home.listen("fred", f"{prefix}{socket}?token={token}")
                for token in ("back", "nothing")
            ]
            assert hidden == missing, socket
            assert "media" not in hidden[1]
            assert '"offer"' not in hidden[1]
            seen = await home.listen("vera", f"{prefix}{socket}?token=back")
            assert seen[0] == 101
            assert seen != missing or socket in QUIET_SOCKETS
    for path in FETCHED:
        for who in EVERYBODY:
            answer = await home.ask(who, path.format(t="front"))
            assert kind_of(*answer) == expected(home, who, Rule()), (path, who, answer)
            assert answer[0] == (401 if expected(home, who, Rule()) == "nobody" else 200)
        hidden, missing = [
            await home.ask("fred", path.format(t=token)) for token in ("back", "nothing")
        ]
        assert hidden == missing
        assert hidden[0] == 404
        assert (await home.ask("vera", path.format(t="back")))[0] == 200
    await walk_whep(home)
    for who in EVERYBODY:
        status = (await home.ask(who, "/metrics"))[0]
        wanted = expected(home, who, Rule(role="Administrator"))
        if who == "fred":  # all sources are in it
            wanted = "role"
        assert status == {"nobody": 401, "role": 403, "admitted": 200}[wanted], who


async def walk_whep(home: House) -> None:
    offer: dict[str, Any] = {"data": OFFER, "headers": {"Content-Type": "application/sdp"}}
    for who in EVERYBODY:
        status, _ = await home.ask(who, "/whep/front", "POST", **offer)
        assert status == (401 if expected(home, who, Rule()) == "nobody" else 201), who
    hidden, missing = [
        await home.ask("fred", f"/whep/{token}", "POST", **offer) for token in ("back", "nothing")
    ]
    assert hidden == missing
    assert hidden[0] == 404
    async with home.http.post(home.url("vera", "/whep/back"), **offer) as response:
        viewing = response.headers["Location"]
    assert (await home.ask("fred", viewing, "DELETE"))[0] == 404
    assert (await home.ask("vera", viewing, "DELETE"))[0] == 200


async def walk_pages(home: House) -> None:
    for who in EVERYBODY:
        for path in PAGES:
            assert (await home.ask(who, path))[0] == 200
        status, text = await home.ask(who, "/api/v1/NoSuchCall")
        assert kind_of(status, text) == expected(home, who, Rule())


def test_rules_agree_with_the_declarations() -> None:
    for call in CALLS:
        rule = CALL_RULES[call.name]
        assert rule.acts is (call.access is Access.ACT), call.name
        if call.name != "UpdateUser":  # one's own password is everybody's
            assert rule.role == call.role, call.name
        has_token = any(one.encode_name == "token" for one in fields_of(call.parameters))
        names_a_source = has_token and call.token is not CallToken.OTHER
        assert names_a_source == ("{t}" in rule.query or "{d}" in rule.query), call.name
        assert (call.token is CallToken.DEVICE) == ("{d}" in rule.query), call.name
        assert not (names_a_source and call.role is None), "nobody would be asked who they are"


async def test_no_secret_shows_in_the_log_or_an_answer(tmp_path: Path, clips: Clips) -> None:
    """A session in a URL leaks nowhere, however the URL is written."""
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(RedactingFormatter("%(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        async with house(tmp_path, clips) as home:
            session = home.sessions["vera"]
            for path in (
                f"/api/v1/GetSrc&session={session}",
                f"/api/v1/GetSrc?session={session}&type=nonsense",
                f"/api/v1/Nope&session={session}",
                f"/api/v1/Nope{session}",
                f"/hls/v2/front/hls.m3u8?session={session}",
                f"/hls/v2/nothing/hls.m3u8?session={session}",
                f"/index.html?session={session}",
                f"/api/v1/Keepalive?session={session}&x=%ff",
                f"/api/v1/GetUserInfo?session={session}",
            ):
                async with home.http.get(home.base + path) as response:
                    # One says which call there is not, one is for players without cookies.
                    if "Nope" not in path and "/v2/front/" not in path:
                        assert session not in await response.text(), path
                    assert response.headers["Referrer-Policy"] == "no-referrer"
                    assert session not in str(response.headers)
            await home.listen("vera", "/h5swsapi?token=front")
            secrets = [*PASSWORDS.values(), *(home.sessions[name] for name in PASSWORDS)]
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert "signed in" in written.getvalue()
    for secret in secrets:
        assert secret not in written.getvalue()
        assert secret.replace(" ", "+") not in written.getvalue()
