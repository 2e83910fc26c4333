"""Passwords as argon2 hashes of the MD5 that clients send.

H5Stream's clients send the MD5 of the password, so that MD5 is what a thief would need: it is
treated as the password itself and only its argon2 hash is kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from h5sup.base.errors import UnavailableError

T = TypeVar("T")

MD5_HEX = re.compile(r"[0-9A-Fa-f]{32}")
# OWASP's least: 19 MiB and 2 passes, about 50 ms on a PC and 200 ms on a Pi. Two threads at most
# keep a burst of logins from taking the memory of a small machine.
MEMORY_KIB = 19_456
PASSES = 2
THREADS = 2
MAX_WAITING = 32


def digest_of(password: str) -> str:
    """Return the MD5 in lower-case hex of a password in clear; one that is an MD5 stays so."""
    if MD5_HEX.fullmatch(password):
        return password.lower()
    return hashlib.md5(password.encode(), usedforsecurity=False).hexdigest()


DEFAULT_PASSWORD_DIGEST = digest_of("12345")


class Passwords:
    """Hashes and verifies on its own two threads, never on the event loop."""

    def __init__(self, *, memory_kib: int = MEMORY_KIB, passes: int = PASSES) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="h5sup-passwords")
        self._waiting = 0
        self._decoy = ""

    async def hash(self, digest: str) -> str:
        """Return the argon2 hash of a digest."""
        return await self._run(lambda: self._hasher.hash(digest))

    async def matches(self, hashed: str, digest: str) -> bool:
        """Return whether the digest is the one hashed; for our own use, however many wait."""
        return await self._run(lambda: self._matches(hashed, digest))

    async def verify(self, hashed: str | None, digest: str) -> bool:
        """Return whether the digest is the one hashed; None costs the same time and is false.

        Raises UnavailableError when too many wait already.
        """
        if self._waiting >= MAX_WAITING:
            raise UnavailableError("too many logins at once, try again in a moment")
        against = self._decoy if hashed is None else hashed
        return await self.matches(against, digest) and hashed is not None

    async def prepare(self) -> None:
        """Make the hash that unknown names are checked against; must precede verify()."""
        if not self._decoy:
            self._decoy = await self.hash(secrets.token_hex())

    def close(self) -> None:
        """End the threads once what they do is done."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _matches(self, hashed: str, digest: str) -> bool:
        try:
            return self._hasher.verify(hashed, digest)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1
