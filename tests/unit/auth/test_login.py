from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from h5sup.auth.alarm import LoginAlarm
from h5sup.auth.lockout import Lockout
from h5sup.auth.login import Logins
from h5sup.auth.passwords import MAX_WAITING, Passwords
from h5sup.auth.sessions import Sessions
from h5sup.auth.users import UserChange, Users
from h5sup.base.errors import LoginError, UnavailableError
from h5sup.config.model import UserConfig
from h5sup.events.hub import Hub
from h5sup.store.store import Store

HOME = ["192.168.1.5"]


@dataclass
class Rig:
    logins: Logins
    sessions: Sessions
    passwords: Passwords
    users: Users
    lockout: Lockout


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    passwords, store = Passwords(memory_kib=8, passes=1), Store(tmp_path)
    await store.open()
    users = Users(passwords, store)
    await users.apply([UserConfig(name="vera", password="just look", role="Viewer")])
    sessions, lockout = Sessions(600), Lockout()
    logins = Logins(users, passwords, sessions, lockout, LoginAlarm(Hub()), enabled=True)
    yield Rig(logins, sessions, passwords, users, lockout)
    passwords.close()
    await store.close()


async def test_guesses_in_parallel_count_one_by_one(rig: Rig) -> None:
    guesses = [rig.logins.login("vera", f"guess {number}", HOME) for number in range(20)]
    results = await asyncio.gather(*guesses, return_exceptions=True)

    sentences = [str(one) for one in results]
    assert sentences.count("user or password is wrong") == 5
    assert sum("too many failed logins" in one for one in sentences) == 15
    assert len(rig.sessions) == 0


async def test_many_good_logins_at_once_all_succeed(rig: Rig) -> None:
    await asyncio.gather(*(rig.logins.login("vera", "just look", HOME) for _ in range(20)))

    assert len(rig.sessions) == 20


async def test_crowd_of_logins_is_turned_away(rig: Rig) -> None:
    results = await asyncio.gather(
        *(rig.logins.login("vera", "just look", HOME) for _ in range(MAX_WAITING + 3)),
        return_exceptions=True,
    )

    assert sum(isinstance(one, UnavailableError) for one in results) == 3


async def test_log_names_who_failed_and_no_secret(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(LoginError):
            await rig.logins.login("ve\nra", "open sesame", HOME)
        signed_in = await rig.logins.login("vera", "just look", HOME)

    assert "login of 've\\nra' from ['192.168.1.5'] failed" in caplog.text
    for secret in ("open sesame", "just look", signed_in.session_id, "argon2"):
        assert secret not in caplog.text
    assert signed_in.session_id not in repr(signed_in)


async def test_password_that_changes_while_it_is_checked_opens_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = rig.passwords.verify

    async def change_meanwhile(hashed: str | None, digest: str) -> bool:
        is_right = await verify(hashed, digest)
        await rig.users.update("vera", UserChange(password="another one"))
        rig.sessions.close_user("vera")
        return is_right

    monkeypatch.setattr(rig.passwords, "verify", change_meanwhile)
    with pytest.raises(LoginError, match="user or password is wrong"):
        await rig.logins.login("vera", "just look", HOME)

    assert len(rig.sessions) == 0


async def test_proving_an_old_password_counts_faults_as_a_login_does(rig: Rig) -> None:
    for _ in range(5):
        with pytest.raises(LoginError):
            await rig.logins.prove("vera", "a guess", HOME)

    with pytest.raises(LoginError, match="too many failed logins") as refusal:
        await rig.logins.prove("vera", "just look", HOME)
    assert (refusal.value.faults, refusal.value.locked_s) == (5, 30)
