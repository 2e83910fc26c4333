from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator

import pytest

from h5sup.auth import passwords as module
from h5sup.auth.passwords import Passwords, digest_of
from h5sup.base.errors import UnavailableError

MD5 = hashlib.md5(b"12345").hexdigest()


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    made = Passwords(memory_kib=8, passes=1)
    yield made
    made.close()


@pytest.mark.parametrize("password", ["12345", MD5, MD5.upper()])
def test_digest_is_the_md5_however_it_was_sent(password: str) -> None:
    assert digest_of(password) == "827ccb0eea8a706c4c34a16891f84e7b"


def test_digest_of_any_text_is_defined() -> None:
    assert digest_of("пароль 密码") == hashlib.md5("пароль 密码".encode()).hexdigest()
    assert digest_of("g" * 32) != "g" * 32


async def test_hash_is_argon2_and_salted(passwords: Passwords) -> None:
    first, second = await passwords.hash(MD5), await passwords.hash(MD5)

    assert first.startswith("$argon2id$")
    assert first != second
    assert MD5 not in first


async def test_verify_knows_right_from_wrong(passwords: Passwords) -> None:
    await passwords.prepare()
    hashed = await passwords.hash(MD5)

    assert await passwords.verify(hashed, MD5)
    assert not await passwords.verify(hashed, digest_of("other"))
    assert not await passwords.verify(None, MD5)
    assert not await passwords.verify("not a hash", MD5)


async def test_unknown_name_costs_a_verification_too(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    await passwords.prepare()
    checked: list[str] = []

    def spy(hashed: str, digest: str) -> bool:
        del digest
        checked.append(hashed)
        return True

    monkeypatch.setattr(passwords, "_matches", spy)

    assert not await passwords.verify(None, MD5)

    assert len(checked) == 1
    assert checked[0].startswith("$argon2id$")


async def test_work_is_done_off_the_loop_by_two_threads_at_most(passwords: Passwords) -> None:
    threads: set[str] = set()

    def spy() -> None:
        threads.add(threading.current_thread().name)

    await asyncio.gather(*(passwords._run(spy) for _ in range(20)))

    assert threads <= {"h5sup-passwords_0", "h5sup-passwords_1"}


async def test_too_many_at_once_are_turned_away(passwords: Passwords) -> None:
    await passwords.prepare()
    results = await asyncio.gather(
        *(passwords.verify(None, MD5) for _ in range(module.MAX_WAITING + 5)),
        return_exceptions=True,
    )

    refused = [one for one in results if isinstance(one, UnavailableError)]
    assert len(refused) == 5
