from __future__ import annotations

import asyncio
import logging

import pytest

from h5sup.auth.alarm import LoginAlarm
from h5sup.auth.lockout import Lockout
from h5sup.auth.login import Logins
from h5sup.auth.passwords import MAX_WAITING, Passwords
from h5sup.auth.sessions import Sessions
from h5sup.auth.users import Users
from h5sup.base.errors import LoginError, UnavailableError
from h5sup.config.model import UserConfig
from h5sup.events.hub import Hub

HOME = ["192.168.1.5"]


async def build() -> tuple[Logins, Sessions, Passwords]:
    passwords = Passwords(memory_kib=8, passes=1)
    users = Users(passwords)
    await users.apply([UserConfig(name="vera", password="just look", role="Viewer")])
    sessions = Sessions(600)
    logins = Logins(users, passwords, sessions, Lockout(), LoginAlarm(Hub()), enabled=True)
    return logins, sessions, passwords


async def test_guesses_in_parallel_count_one_by_one() -> None:
    logins, sessions, passwords = await build()

    guesses = [logins.login("vera", f"guess {number}", HOME) for number in range(20)]
    results = await asyncio.gather(*guesses, return_exceptions=True)

    sentences = [str(one) for one in results]
    assert sentences.count("user or password is wrong") == 5
    assert sum("too many failed logins" in one for one in sentences) == 15
    assert len(sessions) == 0
    passwords.close()


async def test_many_good_logins_at_once_all_succeed() -> None:
    logins, sessions, passwords = await build()

    await asyncio.gather(*(logins.login("vera", "just look", HOME) for _ in range(20)))

    assert len(sessions) == 20
    passwords.close()


async def test_crowd_of_logins_is_turned_away() -> None:
    logins, _, passwords = await build()

    results = await asyncio.gather(
        *(logins.login("vera", "just look", HOME) for _ in range(MAX_WAITING + 3)),
        return_exceptions=True,
    )

    assert sum(isinstance(one, UnavailableError) for one in results) == 3
    passwords.close()


async def test_log_names_who_failed_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    logins, _, passwords = await build()

    with caplog.at_level(logging.DEBUG):
        with pytest.raises(LoginError):
            await logins.login("ve\nra", "open sesame", HOME)
        signed_in = await logins.login("vera", "just look", HOME)

    assert "login of 've\\nra' from ['192.168.1.5'] failed" in caplog.text
    for secret in ("open sesame", "just look", signed_in.session_id, "argon2"):
        assert secret not in caplog.text
    assert signed_in.session_id not in repr(signed_in)
    passwords.close()
