"""Signing in, staying in and being locked out."""

from __future__ import annotations

import hashlib
import re

import pytest

from tests.api.conftest import TRUSTED, Backend, MakeBackend

MD5 = hashlib.md5(b"just look").hexdigest()


@pytest.mark.parametrize("password", ["just%20look", "just+look", MD5, MD5.upper()])
async def test_password_in_clear_or_as_md5_opens_a_session(
    backend: Backend, password: str
) -> None:
    answer = await backend.call(f"/api/v1/Login?user=vera&password={password}")

    session = answer.pop("strSession")
    assert answer == {"bStatus": True, "nTimeout": 600, "strRole": "Viewer"}
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", session)
    assert "src" in await backend.call(f"/api/v1/GetSrc?session={session}")


async def test_login_sets_the_reading_cookie(backend: Backend) -> None:
    response = await backend.get("/api/v1/Login?user=vera&password=just+look")
    session = (await response.json())["strSession"]

    cookie = response.headers["Set-Cookie"]
    assert cookie.startswith(f"h5s_session={session};")
    assert {part.strip() for part in cookie.split(";")[1:]} == {
        "HttpOnly",
        "SameSite=Strict",
        "Path=/",
    }


@pytest.mark.parametrize(
    "query",
    ["user=vera&password=wrong", "user=nobody&password=just+look", "user=VERA&password=just+look"],
)
async def test_failed_login_says_the_same_whatever_was_wrong(backend: Backend, query: str) -> None:
    response = await backend.get(f"/api/v1/Login?{query}")

    assert response.status == 200
    assert "Set-Cookie" not in response.headers
    assert await response.json() == {
        "bStatus": False,
        "strCode": "user or password is wrong",
        "nFaultTimes": 1,
    }


@pytest.mark.parametrize("user", ["vera", "nobody"])
async def test_five_failures_lock_the_name_for_a_growing_time(backend: Backend, user: str) -> None:
    wrong, right = f"user={user}&password=wrong", f"user={user}&password=just+look"
    for _ in range(4):
        await backend.call(f"/api/v1/Login?{wrong}")
    fifth = await backend.call(f"/api/v1/Login?{wrong}")
    locked = await backend.call(f"/api/v1/Login?{right}")
    backend.clock.now += 30
    sixth = await backend.call(f"/api/v1/Login?{wrong}")

    assert (fifth["nFaultTimes"], fifth["tLockTimeResidue"]) == (5, 30)
    assert locked == {
        "bStatus": False,
        "strCode": "too many failed logins: try again in 30 s",
        "nFaultTimes": 5,
        "tLockTimeResidue": 30,
    }
    assert (sixth["nFaultTimes"], sixth["tLockTimeResidue"]) == (6, 60)


async def test_lock_of_one_name_leaves_others_alone_and_passes(backend: Backend) -> None:
    for _ in range(5):
        await backend.call("/api/v1/Login?user=vera&password=wrong")

    other = await backend.call("/api/v1/Login?user=olga&password=operate+it")
    backend.clock.now += 30
    later = await backend.call("/api/v1/Login?user=vera&password=just+look")

    assert other["bStatus"] is later["bStatus"] is True
    again = await backend.call("/api/v1/Login?user=vera&password=wrong")
    assert again["nFaultTimes"] == 1


@pytest.mark.parametrize(
    ("headers", "opens"),
    [
        ({}, True),
        ({"X_Forwarded_For": "192.168.1.7"}, True),
        ({"X_Forwarded_For": "203.0.113.5"}, False),
        ({"X_Forwarded_For": "192.168.1.7, 203.0.113.5"}, False),
        ({"X_Forwarded_For": "203.0.113.5, 192.168.1.7"}, False),
        ({"Forwarded": 'for="[2001:db8::1]:4711";proto=https'}, False),
        ({"Forwarded": "for=10.0.0.1, for=unknown"}, False),
    ],
)
async def test_default_password_opens_from_private_addresses_alone(
    backend: Backend, headers: dict[str, str], opens: bool
) -> None:
    answer = await backend.call("/api/v1/Login?user=admin&password=12345", **headers)
    nobody = await backend.call("/api/v1/Login?user=nobody&password=12345", **headers)

    assert answer["bStatus"] is opens
    if not opens:
        assert answer == nobody  # it does not tell which name has it
        assert "private networks" in answer["strCode"]


@pytest.mark.parametrize("password", ["12345", "wrong"])
async def test_login_from_another_site_is_refused(backend: Backend, password: str) -> None:
    response = await backend.get(
        f"/api/v1/Login?user=admin&password={password}", Sec_Fetch_Site="cross-site"
    )

    assert "Set-Cookie" not in response.headers
    assert (await response.json())["bStatus"] is False


@pytest.mark.parametrize("session", ["", "dead", "undefined", "0" * 500])
@pytest.mark.parametrize(
    "call", ["GetSrc", "Keepalive", "Logout", "DelSrc?token=back", "Nonsense"]
)
async def test_no_session_or_a_dead_one_is_401(backend: Backend, call: str, session: str) -> None:
    separator = "&" if "?" in call else "?"
    response = await backend.get(f"/api/v1/{call}{separator}session={session}")

    body = await response.json()
    assert (response.status, body["bStatus"]) == (401, False)
    assert "sign in" in body["strCode"]


async def test_session_ends_when_unused_and_lives_while_used(backend: Backend) -> None:
    session = backend.sign_in()
    for _ in range(4):
        backend.clock.now += 599
        assert (await backend.get(f"/api/v1/Keepalive?session={session}")).status == 200
    backend.clock.now += 600

    assert (await backend.get(f"/api/v1/Keepalive?session={session}")).status == 401


async def test_logout_ends_this_session_alone(backend: Backend) -> None:
    first, second = backend.sign_in(), backend.sign_in()

    response = await backend.get(f"/api/v1/Logout?session={first}")

    assert (await response.json())["bStatus"] is True
    assert 'h5s_session=""' in response.headers["Set-Cookie"]
    assert (await backend.get(f"/api/v1/GetSrc?session={first}")).status == 401
    assert (await backend.get(f"/api/v1/GetSrc?session={second}")).status == 200


async def test_user_who_is_gone_has_no_session_any_more(backend: Backend) -> None:
    session = backend.sign_in("vera")
    await backend.users.apply([])

    assert (await backend.get(f"/api/v1/GetSrc?session={session}")).status == 401


@pytest.mark.parametrize(
    ("user", "call", "allowed"),
    [
        ("vera", "GetSrc", True),
        ("vera", "GetImage?token=front", True),
        ("vera", "h5swsapi/Status", True),
        ("vera", "DelSrc?token=back", False),
        ("vera", "AddSrcFile?token=new&name=N&url=demo.mp4", False),
        ("vera", "AddSrcRTSP?token=new&name=N&url=rtsp://h/a", False),
        ("olga", "GetSrc", True),
        ("olga", "DelSrc?token=back", False),
        ("admin", "DelSrc?token=back", True),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
async def test_role_decides(
    make_backend: MakeBackend, user: str, call: str, allowed: bool, strict: bool
) -> None:
    backend = await make_backend(strict_roles=strict)
    separator = "&" if "?" in call else "?"

    response = await backend.get(f"/api/v1/{call}{separator}session={backend.sign_in(user)}")

    assert response.status == 200
    if response.content_type != "application/json":
        return
    answer = await response.json()
    assert answer.get("bStatus", True) is (allowed or not strict)
    if not allowed and strict:
        assert "this takes the role Administrator" in answer["strCode"]


ACTS = [
    "/api/v1/DelSrc?token=back",
    "/api/v1/AddSrcFile?token=new&name=N&url=demo.mp4",
    "/api/v1/Logout",
]
READS = ["/api/v1/GetSrc", "/api/v1/GetImage?token=front", "/hls/v2/front/hls.m3u8"]


@pytest.mark.parametrize("path", READS)
async def test_cookie_reads(backend: Backend, path: str) -> None:
    response = await backend.get(path, Cookie=f"h5s_session={backend.sign_in('vera')}")

    assert response.status == 200
    assert (await backend.get(path)).status == 401


@pytest.mark.parametrize("path", ACTS)
async def test_cookie_never_acts(backend: Backend, path: str) -> None:
    cookie = f"h5s_session={backend.sign_in()}"
    origin = str(backend.client.make_url("/")).rstrip("/")

    for headers in ({}, {"Sec_Fetch_Site": "same-origin"}, {"Origin": origin}):
        assert (await backend.get(path, Cookie=cookie, **headers)).status == 401
    assert sorted(backend.sources.by_token) == ["back", "clip", "front"]


@pytest.mark.parametrize("path", ACTS)
async def test_act_marked_cross_site_is_refused(backend: Backend, path: str) -> None:
    session = backend.sign_in()
    separator = "&" if "?" in path else "?"

    answer = await backend.call(
        f"{path}{separator}session={session}",
        Sec_Fetch_Site="cross-site",
        Origin="https://evil.example",
    )

    assert answer["bStatus"] is False
    assert "another site" in answer["strCode"]
    assert sorted(backend.sources.by_token) == ["back", "clip", "front"]


async def test_act_from_a_listed_origin_is_done(backend: Backend) -> None:
    answer = await backend.call(
        f"/api/v1/DelSrc?token=back&session={backend.sign_in()}",
        Sec_Fetch_Site="cross-site",
        Origin=TRUSTED,
    )

    assert answer["bStatus"] is True


async def test_socket_takes_the_cookie_from_our_own_pages_alone(backend: Backend) -> None:
    cookie = f"h5s_session={backend.sign_in('vera')}"
    own = str(backend.client.make_url("/")).rstrip("/")
    path = "/api/v1/h5swsapi?token=front"

    async with backend.connect(path, Cookie=cookie, Origin=own) as socket:
        assert await socket.receive_str() == "hello front"
    for headers in (
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": TRUSTED},
    ):
        assert (await backend.get(path, Cookie=cookie, **headers)).status == 401


async def test_dead_session_is_not_saved_by_a_live_cookie(backend: Backend) -> None:
    cookie = f"h5s_session={backend.sign_in()}"

    assert (await backend.get("/api/v1/GetSrc?session=dead", Cookie=cookie)).status == 401
    assert (await backend.get("/api/v1/GetSrc?session=", Cookie=cookie)).status == 200


class TestAnonymousView:
    """auth.anonymous_view: whoever comes may look, and nothing else."""

    @pytest.mark.parametrize("path", [*READS, "/api/v1/GetSrc?session=dead"])
    async def test_reads(self, make_backend: MakeBackend, path: str) -> None:
        backend = await make_backend(anonymous_view=True)

        assert (await backend.get(path)).status == 200

    async def test_sockets_open(self, make_backend: MakeBackend) -> None:
        backend = await make_backend(anonymous_view=True)

        async with backend.connect("/h5swsapi?token=front") as socket:
            assert await socket.receive_str() == "hello front"

    @pytest.mark.parametrize("strict", [True, False])
    @pytest.mark.parametrize(
        "path", [*ACTS, "/api/v1/Keepalive", "/api/v1/Keepalive?session=dead"]
    )
    async def test_does_nothing(self, make_backend: MakeBackend, path: str, strict: bool) -> None:
        backend = await make_backend(anonymous_view=True, strict_roles=strict)

        assert (await backend.get(path)).status == 401


@pytest.mark.parametrize("open_to_all", [{"enabled": False}, {"anonymous_view": True}])
async def test_where_all_may_watch_pages_of_other_sites_still_may_not(
    make_backend: MakeBackend, open_to_all: dict[str, bool]
) -> None:
    """Browsers keep the answers of plain requests from them, but not what a WebSocket brings."""
    backend = await make_backend(**open_to_all)
    own = str(backend.client.make_url("/")).rstrip("/")
    path = "/api/v1/h5swsapi?token=front"

    for headers in ({}, {"Origin": own}, {"Origin": TRUSTED}):
        async with backend.connect(path, **headers) as socket:
            assert await socket.receive_str() == "hello front"
    for origin in ("https://evil.example", "null", own.replace("http:", "http:x.")):
        response = await backend.get(path, Origin=origin)
        assert response.status == 403
        assert "http.cors_origins" in (await response.json())["strCode"]
    given = f"{path}&session={backend.sign_in('vera')}"
    async with backend.connect(given, Origin="https://evil.example") as socket:
        assert await socket.receive_str() == "hello front"


class TestAuthOff:
    """auth.enabled=false: everybody is Administrator, but no strange web page is."""

    @pytest.mark.parametrize("path", [*READS, *ACTS, "/api/v1/Keepalive"])
    async def test_everybody_may_do_all(self, make_backend: MakeBackend, path: str) -> None:
        backend = await make_backend(enabled=False)

        response = await backend.get(path, User_Agent="curl/8")

        assert response.status == 200
        assert b'"bStatus":false' not in await response.read()

    async def test_any_login_opens_a_session(self, make_backend: MakeBackend) -> None:
        backend = await make_backend(enabled=False)

        answer = await backend.call("/api/v1/Login?user=me&password=anything")

        deleted = await backend.call(
            f"/api/v1/DelSrc?token=back&session={answer['strSession']}", User_Agent="Mozilla/5.0"
        )
        assert deleted["bStatus"] is True

    @pytest.mark.parametrize(
        ("headers", "done"),
        [
            ({}, False),  # an <img> of another site over plain HTTP, without a Referer
            ({"Referer": "http://evil.example/"}, False),
            ({"Origin": "http://evil.example"}, False),
            ({"Origin": "null"}, False),
            ({"Sec_Fetch_Site": "cross-site"}, False),
            ({"Sec_Fetch_Site": "same-origin"}, True),
            ({"Sec_Fetch_Site": "none"}, True),
            ({"Authorization": "token anything"}, True),
            ({"Origin": TRUSTED, "Sec_Fetch_Site": "cross-site"}, True),
        ],
    )
    async def test_browser_must_show_that_it_is_no_other_site(
        self, make_backend: MakeBackend, headers: dict[str, str], done: bool
    ) -> None:
        backend = await make_backend(enabled=False)

        answer = await backend.call(
            "/api/v1/DelSrc?token=back", User_Agent="Mozilla/5.0 (X11)", **headers
        )

        assert answer["bStatus"] is done
        assert ("back" in backend.sources.by_token) is not done

    @pytest.mark.parametrize("name", ["Origin", "Referer"])
    async def test_own_page_is_known_by_its_origin(
        self, make_backend: MakeBackend, name: str
    ) -> None:
        backend = await make_backend(enabled=False)
        own = str(backend.client.make_url("/"))
        value = own.rstrip("/") if name == "Origin" else f"{own}index.html"

        answer = await backend.call(
            "/api/v1/DelSrc?token=back", User_Agent="Mozilla/5.0", **{name: value}
        )

        assert answer["bStatus"] is True
