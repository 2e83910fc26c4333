"""All users: those of config.json and those the API added or changed.

config.json seeds. What the API changes of an entry is stored with a hash of that entry, and wins
until the entry itself is edited or taken out.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from h5sup.auth.passwords import DEFAULT_PASSWORD_DIGEST, Passwords, digest_of
from h5sup.base.errors import ConflictError, InvalidError, NotFoundError
from h5sup.config.model import SEE_ALL, Role, UserConfig

MAX_USERS = 1000

logger = logging.getLogger(__name__)


class UserStore(Protocol):
    """Where the users that the API added or changed are kept."""

    async def users(self) -> list[dict[str, Any]]:
        """Return them as they were saved."""

    async def save_user(self, raw: dict[str, Any]) -> None:
        """Keep one, in place of one with the same name."""

    async def delete_user(self, name: str) -> None:
        """Forget one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who may sign in; the hash never shows in a repr."""

    name: str
    role: Role
    sources: tuple[str, ...] = SEE_ALL
    """Patterns, see sight.py."""
    password_hash: str = field(repr=False)
    is_fixed: bool = field(default=False, repr=False)
    """It stands in config.json, so it can't be deleted here."""
    has_default_password: bool = field(default=False, repr=False)


class StoredUser(Struct, frozen=True, kw_only=True):
    """A user as the store keeps it."""

    name: str
    role: Role
    sources: tuple[str, ...]
    password_hash: str
    """Empty: the password is the one of the entry in config.json."""
    entry_hash: str
    """Argon2 of the entry in config.json that it changes; empty: there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChange:
    """What becomes of a user; None leaves it."""

    password: str | None = field(default=None, repr=False)
    """In clear or its MD5."""
    role: Role | None = None
    sources: tuple[str, ...] | None = None


class Users:
    """All users by name. `apply()` must have run before the first login.

    Used from the event loop alone; changes wait for each other.
    """

    def __init__(self, passwords: Passwords, store: UserStore) -> None:
        self._passwords = passwords
        self._store = store
        self._configured: dict[str, UserConfig] = {}
        self._seeds: dict[str, User] = {}
        self._stored: dict[str, StoredUser] = {}
        self._users: dict[str, User] = {}
        self._changing = asyncio.Lock()

    async def apply(self, configured: Iterable[UserConfig]) -> set[str]:
        """Make config.json's users so; return the names whose sessions must end.

        Those are the names that are gone and those with another password or list of sources; a
        new role needs no new session.
        """
        async with self._changing:
            await self._passwords.prepare()
            wanted = {config.name: config for config in configured}
            seeds = {name: await self._build_seed(config) for name, config in wanted.items()}
            kept = await self._keep(wanted)
            before = self._users
            self._configured, self._seeds, self._stored = wanted, seeds, kept
            self._users = _merge(seeds, kept)
            return {name for name, user in before.items() if _must_leave(user, self.find(name))}

    @property
    def has_default_password(self) -> bool:
        """Return whether 12345 still opens the server."""
        return any(user.has_default_password for user in self._users.values())

    def all(self) -> list[User]:
        """Return all users, those of config.json first."""
        return list(self._users.values())

    def find(self, name: str) -> User | None:
        """Return the user of that name, or None."""
        return self._users.get(name)

    def get(self, name: str) -> User:
        """Return the user of that name; raises NotFoundError."""
        user = self.find(name)
        if user is None:
            raise NotFoundError("there is no user of this name")
        return user

    async def create(
        self, name: str, password: str, role: Role, sources: tuple[str, ...] = SEE_ALL
    ) -> None:
        """Add and keep a user; raises ConflictError, InvalidError, UnavailableError."""
        _check_rights(role, sources)
        async with self._changing:
            if name in self._users:
                raise ConflictError(f"there is a user {name!r} already")
            if len(self._users) >= MAX_USERS:
                raise ConflictError(f"there are {MAX_USERS} users already, which is the most")
            hashed = await self._hash(password)
            await self._save(
                StoredUser(
                    name=name, role=role, sources=sources, password_hash=hashed, entry_hash=""
                )
            )

    async def update(self, name: str, change: UserChange) -> None:
        """Change and keep a user; raises NotFoundError, InvalidError, ConflictError."""
        async with self._changing:
            user = self.get(name)
            role = change.role or user.role
            sources = user.sources if change.sources is None else change.sources
            if change.role == "Administrator" and change.sources is None:
                sources = SEE_ALL
            _check_rights(role, sources)
            if role != "Administrator":
                self._check_not_last(user)
            stored = self._stored.get(name)
            if change.password is not None:
                hashed = await self._hash(change.password)
            else:
                hashed = stored.password_hash if stored else ""
            await self._save(
                StoredUser(
                    name=name,
                    role=role,
                    sources=sources,
                    password_hash=hashed,
                    entry_hash=stored.entry_hash if stored else await self._hash_entry(name),
                )
            )

    async def delete(self, name: str) -> None:
        """Forget a user that the API added; raises NotFoundError, ConflictError."""
        async with self._changing:
            user = self.get(name)
            if user.is_fixed:
                raise ConflictError(
                    f"user {name!r} stands in config.json: take it out there and restart"
                )
            self._check_not_last(user)
            await self._store.delete_user(name)
            del self._stored[name]
            del self._users[name]

    def _check_not_last(self, user: User) -> None:
        if user.role == "Administrator" and all(
            other.role != "Administrator" or other is user for other in self._users.values()
        ):
            raise ConflictError(f"{user.name!r} is the last Administrator: make another one first")

    async def _save(self, stored: StoredUser) -> None:
        await self._store.save_user(msgspec.to_builtins(stored))
        self._stored[stored.name] = stored
        self._users[stored.name] = _build(stored, self._seeds.get(stored.name))

    async def _hash(self, password: str) -> str:
        digest = digest_of(password)
        if digest in (DEFAULT_PASSWORD_DIGEST, digest_of("")):
            raise InvalidError("password", "must be neither empty nor the default password")
        return await self._passwords.hash(digest)

    async def _hash_entry(self, name: str) -> str:
        return await self._passwords.hash(_digest_of_entry(self._configured[name]))

    async def _keep(self, wanted: Mapping[str, UserConfig]) -> dict[str, StoredUser]:
        """Return what was stored and still counts; the rest is forgotten."""
        kept = {}
        for raw in await self._store.users():
            try:
                stored = msgspec.convert(raw, StoredUser)
            except msgspec.ValidationError as error:
                logger.warning("stored user %r is left out: %s", raw.get("name"), error)
                continue
            if await self._counts(stored, wanted.get(stored.name)):
                kept[stored.name] = stored
                continue
            logger.warning(
                "what the API changed of user %r is forgotten: config.json says otherwise now",
                stored.name,
            )
            await self._store.delete_user(stored.name)
        return kept

    async def _counts(self, stored: StoredUser, config: UserConfig | None) -> bool:
        if config is None or not stored.entry_hash:
            return config is None and not stored.entry_hash
        if stored == self._stored.get(stored.name) and config == self._configured[stored.name]:
            return True  # neither has changed since it was compared
        return await self._passwords.matches(stored.entry_hash, _digest_of_entry(config))

    async def _build_seed(self, config: UserConfig) -> User:
        present = self._configured.get(config.name)
        digest = digest_of(config.password)
        if present is not None and present.password == config.password:
            hashed = self._seeds[config.name].password_hash
        else:
            hashed = await self._passwords.hash(digest)
        return User(
            name=config.name,
            role=config.role,
            sources=config.sources,
            password_hash=hashed,
            is_fixed=True,
            has_default_password=digest == DEFAULT_PASSWORD_DIGEST,
        )


def _merge(seeds: Mapping[str, User], stored: Mapping[str, StoredUser]) -> dict[str, User]:
    """Return all users; somebody must be left who may administer."""
    users = dict(seeds) | {one.name: _build(one, seeds.get(one.name)) for one in stored.values()}
    if all(user.role != "Administrator" for user in users.values()):
        users |= {name: user for name, user in seeds.items() if user.role == "Administrator"}
    return users


def _build(stored: StoredUser, seed: User | None) -> User:
    is_seeds = seed is not None and not stored.password_hash
    return User(
        name=stored.name,
        role=stored.role,
        sources=stored.sources,
        password_hash=seed.password_hash if seed and is_seeds else stored.password_hash,
        is_fixed=seed is not None,
        has_default_password=bool(seed and is_seeds and seed.has_default_password),
    )


def _must_leave(before: User, after: User | None) -> bool:
    return (
        after is None
        or after.password_hash != before.password_hash
        or after.sources != before.sources
    )


def _check_rights(role: Role, sources: tuple[str, ...]) -> None:
    if role == "Administrator" and "*" not in sources:
        raise InvalidError("sources", "an Administrator sees every source: leave it out")


def _digest_of_entry(config: UserConfig) -> str:
    """Return what an edit of the entry changes; argon2 of it is as slow to guess as a password."""
    # These keys alone: a new key that an upgrade brings is no edit.
    entry = (config.name, config.password, config.role, config.sources)
    return hashlib.sha256(msgspec.json.encode(entry)).hexdigest()
