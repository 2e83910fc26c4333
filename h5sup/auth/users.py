"""The users of config.json with their passwords hashed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from h5sup.auth.passwords import DEFAULT_PASSWORD_DIGEST, Passwords, digest_of
from h5sup.config.model import Role, UserConfig


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may sign in; the hash never shows in a repr."""

    name: str
    role: Role
    password_hash: str = field(repr=False)


class Users:
    """All users by name. `apply()` must have run before the first login."""

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords
        self._configured: dict[str, UserConfig] = {}
        self._users: dict[str, User] = {}

    async def apply(self, configured: Iterable[UserConfig]) -> set[str]:
        """Make config.json's users so; return the names whose sessions must end.

        Those are the names that are gone and those with another password; a new role needs no
        new session.
        """
        await self._passwords.prepare()
        wanted = {config.name: config for config in configured}
        users = {name: await self._build(config) for name, config in wanted.items()}
        before, self._configured, self._users = self._configured, wanted, users
        return {
            name
            for name, config in before.items()
            if name not in wanted or wanted[name].password != config.password
        }

    @property
    def has_default_password(self) -> bool:
        """Return whether 12345 still opens the server."""
        return any(
            digest_of(config.password) == DEFAULT_PASSWORD_DIGEST
            for config in self._configured.values()
        )

    def find(self, name: str) -> User | None:
        """Return the user of that name, or None."""
        return self._users.get(name)

    async def _build(self, config: UserConfig) -> User:
        present = self._configured.get(config.name)
        if present is not None and present.password == config.password:
            hashed = self._users[config.name].password_hash
        else:
            hashed = await self._passwords.hash(digest_of(config.password))
        return User(config.name, config.role, hashed)
