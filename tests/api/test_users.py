"""UpdateUser and the calls of dashboards beside it, and what ends when a user changes."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import quote_plus

import aiohttp
import pytest

from tests.api.conftest import Backend, MakeBackend
from tests.api.rtc_rig import rtc_rig, until
from tests.api.test_whep import bearer, post


def md5(password: str) -> str:
    return hashlib.md5(password.encode()).hexdigest()


class Hand:
    """Calls as one user."""

    def __init__(self, backend: Backend, user: str) -> None:
        self.backend = backend
        self.session = backend.sign_in(user)

    async def call(self, query: str) -> dict[str, Any]:
        separator = "&" if "?" in query else "?"
        return await self.backend.call(f"/api/v1/{query}{separator}session={self.session}")

    async def lives(self) -> bool:
        path = f"/api/v1/Keepalive?session={self.session}"
        return (await self.backend.get(path)).status == 200


async def signs_in(backend: Backend, user: str, password: str) -> bool:
    answer = await backend.call(f"/api/v1/Login?user={user}&password={md5(password)}")
    return answer["bStatus"] is True


@pytest.mark.parametrize("encode", [md5, quote_plus], ids=["md5", "in clear"])
async def test_everybody_changes_their_own_password(backend: Backend, encode: Any) -> None:
    vera = Hand(backend, "vera")
    old, new = encode("just look"), encode("look closely")

    answer = await vera.call(f"UpdateUser?user=vera&oldpassword={old}&newpassword={new}")

    assert answer == {"bStatus": True, "strCode": "Update user successfully"}
    assert await signs_in(backend, "vera", "look closely")
    assert not await signs_in(backend, "vera", "just look")


async def test_new_password_ends_the_other_sessions_and_leaves_the_callers(
    backend: Backend,
) -> None:
    caller, stolen, other = Hand(backend, "vera"), Hand(backend, "vera"), Hand(backend, "olga")

    await caller.call(
        f"UpdateUser?user=vera&oldpassword={md5('just look')}&newpassword={md5('new')}"
    )

    assert (await caller.lives(), await stolen.lives(), await other.lives()) == (
        True,
        False,
        True,
    )


async def test_wrong_old_passwords_are_counted_with_the_failed_logins(backend: Backend) -> None:
    vera, stolen = Hand(backend, "vera"), Hand(backend, "vera")
    change = "UpdateUser?user=vera&newpassword=mine&oldpassword="
    for faults in range(1, 6):
        answer = await stolen.call(f"{change}guess{faults}")
        assert (answer["bStatus"], answer["nFaultTimes"]) == (False, faults)

    locked = await vera.call(f"{change}{md5('just look')}")

    assert locked["tLockTimeResidue"] == 30
    assert await vera.lives()


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("UpdateUser?user=vera&newpassword=x", "oldpassword: is missing"),
        (f"UpdateUser?user=vera&oldpassword={md5('just look')}", "newpassword: is missing"),
        ("UpdateUser?oldpassword=x&newpassword=y", "user: is missing"),
        (
            f"UpdateUser?user=vera&oldpassword={md5('just look')}&newpassword=12345",
            "password: must be neither empty nor the default",
        ),
        ("UpdateUser?user=olga&oldpassword=operate+it&newpassword=x", "role Administrator"),
        ("UpdateUser?user=nobody&oldpassword=x&newpassword=x", "role Administrator"),
        ("UpdateUser?user=vera&usertype=Administrator", "role Administrator"),
        ("UpdateUser?user=vera&sources=*", "role Administrator"),
        ("GetUserInfo?user=olga", "role Administrator"),
        ("GetUserInfo?user=nobody", "role Administrator"),
    ],
)
async def test_viewer_is_refused_with_a_sentence(backend: Backend, query: str, words: str) -> None:
    answer = await Hand(backend, "vera").call(query)

    assert answer["bStatus"] is False
    assert words in answer["strCode"]


async def test_administrator_sets_a_forgotten_password_and_ends_its_sessions(
    backend: Backend,
) -> None:
    admin, vera = Hand(backend, "admin"), Hand(backend, "vera")

    answer = await admin.call(f"UpdateUser?user=vera&newpassword={md5('fresh')}")

    assert answer["bStatus"] is True
    assert await signs_in(backend, "vera", "fresh")
    assert (await admin.lives(), await vera.lives()) == (True, False)


async def test_users_are_created_listed_and_deleted(backend: Backend) -> None:
    admin = Hand(backend, "admin")

    created = await admin.call(
        f"CreateUser?user=fred&password={md5('no more')}&usertype=Operator&sources=front,nvr--*"
    )
    listed = await admin.call("GetUserList")
    fred = Hand(backend, "fred")
    own = await fred.call("GetUserInfo")
    asked = await admin.call("GetUserInfo?user=fred")
    deleted = await admin.call("DeleteUser?user=fred")

    assert created == {"bStatus": True, "strCode": "Create user successfully"}
    assert listed["users"][0] == {
        "strUser": "admin",
        "strUserType": "Administrator",
        "sources": ["*"],
        "bFixed": True,
    }
    assert listed["users"][-1] == {
        "strUser": "fred",
        "strUserType": "Operator",
        "sources": ["front", "nvr--*"],
        "bFixed": False,
    }
    assert own == asked
    assert own == {
        "strUser": "fred",
        "strUserType": "Operator",
        "strRole": "Operator",
        "sources": ["front", "nvr--*"],
    }
    assert deleted["bStatus"] is True
    assert not await fred.lives()
    assert not await signs_in(backend, "fred", "no more")
    assert len((await admin.call("GetUserList"))["users"]) == 3


async def test_no_answer_holds_a_password_or_its_hash(backend: Backend) -> None:
    admin = Hand(backend, "admin")
    await admin.call(f"CreateUser?user=fred&password={md5('no more')}")

    for query in ("GetUserList", "GetUserInfo?user=fred", "GetUserInfo?user=admin"):
        text = str(await admin.call(query))
        for secret in (md5("no more"), md5("12345"), "no more", "argon2", "asswd", "assword"):
            assert secret not in text


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("CreateUser?user=vera&password=x", "there is a user 'vera' already"),
        ("CreateUser?user=new&password=12345", "neither empty nor the default"),
        ("CreateUser?user=new&password=x&usertype=King", "usertype: must be one of"),
        ("CreateUser?user=new&password=x&sources=a+b", "sources: must be tokens"),
        ("CreateUser?user=new", "password: is missing"),
        ("DeleteUser?user=vera", "stands in config.json"),
        ("DeleteUser?user=nobody", "there is no user of this name"),
        ("UpdateUser?user=admin&usertype=Viewer", "last Administrator"),
        ("UpdateUser?user=nobody&newpassword=x", "there is no user of this name"),
        ("GetUserInfo?user=nobody", "there is no user of this name"),
    ],
)
async def test_administrator_is_told_what_is_wrong(
    backend: Backend, query: str, words: str
) -> None:
    answer = await Hand(backend, "admin").call(query)

    assert answer["bStatus"] is False
    assert words in answer["strCode"]
    assert [user.name for user in backend.users.all()] == ["admin", "olga", "vera"]


async def test_new_role_and_list_hold_at_once(backend: Backend) -> None:
    admin = Hand(backend, "admin")
    await admin.call("UpdateUser?user=vera&usertype=Administrator")
    vera = Hand(backend, "vera")
    assert (await vera.call("DelSrc?token=back"))["bStatus"] is True

    await admin.call("UpdateUser?user=vera&usertype=Viewer&sources=front")

    assert not await vera.lives()
    vera = Hand(backend, "vera")
    assert [one["strToken"] for one in (await vera.call("GetSrc"))["src"]] == ["front"]
    await admin.call("UpdateUser?user=vera&sources=,")
    assert (await Hand(backend, "vera").call("GetSrc"))["src"] == []


async def test_limited_user_can_not_lift_the_limit_with_loose_roles(
    make_backend: MakeBackend,
) -> None:
    backend = await make_backend(strict_roles=False)
    await Hand(backend, "admin").call("UpdateUser?user=vera&sources=front")
    vera = Hand(backend, "vera")

    for query in (
        "UpdateUser?user=vera&sources=*",
        "CreateUser?user=me&password=x&usertype=Administrator",
        "UpdateUser?user=admin&newpassword=x",
        "DeleteUser?user=olga",
        "GetUserList",
        "AddSrcRTSP?token=other&name=N&url=rtsp://h/a",
    ):
        assert (await vera.call(query))["bStatus"] is False, query
    assert (await vera.call("DelSrc?token=back"))["strCode"] == (
        "there is no source with this token"
    )
    assert sorted(backend.sources.by_token) == ["back", "clip", "front"]


async def test_outputs_are_handed_no_token_that_may_not_be_seen(backend: Backend) -> None:
    await Hand(backend, "admin").call("UpdateUser?user=vera&sources=front")
    session = backend.sign_in("vera")

    for path in (
        f"/hls/v2/back/h264.m3u8?session={session}",
        f"/hls/v2/%62ack/h264.m3u8?session={session}",
        f"//hls//v2//back/h264.m3u8?session={session}",
        f"/hls/v2/front/h264.m3u8?session={session}",
    ):
        await backend.get(path)
    for token in ("back", "%62ack", "front&TOKEN=back", "back&token=front"):
        async with backend.connect(f"/h5swsapi?token={token}&session={session}") as socket:
            await socket.receive()

    hidden = "/hls/v2/*/h264.m3u8"
    assert [path for path, _ in backend.seen[:4]] == [hidden] * 3 + ["/hls/v2/front/h264.m3u8"]
    assert [query["token"] for _, query in backend.seen[4:]] == ["*", "*", "*", "front"]


class TestViewingsEnd:
    """Closing a session ends what it opened, not only what it may ask."""

    async def test_socket_is_cut(self, make_backend: MakeBackend) -> None:
        async with rtc_rig(make_backend) as rig:
            backend, admin = rig.backend, Hand(rig.backend, "admin")
            for query in (
                "UpdateUser?user=vera&newpassword=fresh",
                "UpdateUser?user=vera&sources=front",
            ):
                path = f"/h5srtcapi?token=front&session={backend.sign_in('vera')}"
                async with backend.connect(path) as socket:
                    await socket.send_json({"type": "open"})
                    await socket.receive()
                    assert rig.rtc.connections == 1
                    await admin.call(query)
                    while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                        pass
                    assert socket.closed
                await rig.assert_empty()

    async def test_logout_cuts_its_own_alone(self, make_backend: MakeBackend) -> None:
        async with rtc_rig(make_backend) as rig:
            vera, other = Hand(rig.backend, "vera"), Hand(rig.backend, "vera")
            path = "/h5srtcapi?token=front&session="
            async with (
                rig.backend.connect(path + vera.session) as cut,
                rig.backend.connect(path + other.session) as kept,
            ):
                for socket in (cut, kept):
                    await socket.send_json({"type": "open"})
                    await socket.receive()
                await vera.call("Logout")
                await until(lambda: rig.rtc.connections == 1)
                assert not kept.closed
                assert rig.rtc.connections == 1

    async def test_whep_viewing_is_let_go(self, make_backend: MakeBackend) -> None:
        async with rtc_rig(make_backend) as rig:
            response = await post(rig, Authorization=bearer(rig))
            assert response.status == 201
            assert rig.rtc.connections == 1

            await Hand(rig.backend, "admin").call("UpdateUser?user=vera&newpassword=fresh")

            await rig.assert_empty()
            assert not rig.backend.sessions._watches

    async def test_whep_viewing_whose_session_ends_while_it_begins(
        self, make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with rtc_rig(make_backend) as rig:
            hall, sessions = rig.rtc._whep._hall, rig.backend.sessions
            play = hall.play

            async def close_then_play(*given: Any) -> None:
                sessions.close_user("vera")
                await play(*given)

            monkeypatch.setattr(hall, "play", close_then_play)
            with pytest.raises(aiohttp.ClientError):
                await post(rig, Authorization=bearer(rig))
            await rig.assert_empty()
