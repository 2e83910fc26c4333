"""Signing in: from a name and a password to a session."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from h5sup.auth.addresses import is_private
from h5sup.auth.alarm import LoginAlarm
from h5sup.auth.lockout import Lockout
from h5sup.auth.passwords import DEFAULT_PASSWORD_DIGEST, MAX_WAITING, Passwords, digest_of
from h5sup.auth.sessions import Sessions
from h5sup.auth.users import User, Users
from h5sup.base.errors import LoginError, UnavailableError
from h5sup.config.model import Role

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a login gives."""

    session_id: str = field(repr=False)
    timeout_s: int
    role: Role


@dataclass(slots=True)
class Turn:
    """The logins of one name wait for each other, or guesses in parallel would not be counted."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class Logins:
    """Checks names and passwords, counts failures, opens sessions."""

    def __init__(
        self,
        users: Users,
        passwords: Passwords,
        sessions: Sessions,
        lockout: Lockout,
        alarm: LoginAlarm,
        *,
        enabled: bool,
    ) -> None:
        self._users = users
        self._passwords = passwords
        self._sessions = sessions
        self._lockout = lockout
        self._alarm = alarm
        self._enabled = enabled
        self._turns: dict[str, Turn] = {}

    @property
    def has_default_password(self) -> bool:
        """Return whether 12345 still opens the server."""
        return self._enabled and self._users.has_default_password

    async def login(self, name: str, password: str, addresses: Sequence[str]) -> SignedIn:
        """Open a session; `password` is in clear or its MD5. Raises LoginError.

        `addresses` are the peer's and those that proxies say they speak for.
        """
        role: Role = "Administrator"
        if self._enabled:
            async with self._turn(name):
                role = await self._check(name, digest_of(password), addresses)
        session_id = self._sessions.open(name)
        logger.info("%r signed in from %s", name, addresses)
        return SignedIn(session_id, self._sessions.timeout_s, role)

    async def prove(self, name: str, password: str, addresses: Sequence[str]) -> None:
        """Check the password of one who is signed in; a failure counts as one of a login.

        Raises LoginError.
        """
        async with self._turn(name):
            await self._check(name, digest_of(password), addresses)

    async def _check(self, name: str, digest: str, addresses: Sequence[str]) -> Role:
        locked_s = self._lockout.locked_s(name)
        if locked_s:
            raise self._refusal(name, f"too many failed logins: try again in {locked_s} s")
        if digest == DEFAULT_PASSWORD_DIGEST and not is_private(
            addresses
        ):  # said to all alike, whether it is right
            raise self._refusal(
                name,
                "the default password is good from this machine and private networks alone: "
                "sign in from there, or set another in config.json",
            )
        user = self._users.find(name)
        is_right = await self._passwords.verify(user.password_hash if user else None, digest)
        if user is not None and is_right and self._is_current(user):
            self._lockout.note_success(name)
            return user.role
        self._lockout.note_fault(name)
        faults = self._lockout.faults(name)
        logger.warning("login of %r from %s failed, %d in a row", name, addresses, faults)
        self._alarm.note(name, addresses[0], faults)
        raise self._refusal(name, "user or password is wrong")

    def _is_current(self, user: User) -> bool:
        """Return whether the password is still that one: it may have changed meanwhile."""
        now = self._users.find(user.name)
        return now is not None and now.password_hash == user.password_hash

    def _refusal(self, name: str, sentence: str) -> LoginError:
        return LoginError(
            sentence, faults=self._lockout.faults(name), locked_s=self._lockout.locked_s(name)
        )

    @asynccontextmanager
    async def _turn(self, name: str) -> AsyncIterator[None]:
        turn = self._turns.setdefault(name, Turn())
        if turn.users >= MAX_WAITING:
            raise UnavailableError("too many logins at once, try again in a moment")
        turn.users += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[name]
