"""Who may change users, and what ends when one changes."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from h5sup.auth.guard import Identity
from h5sup.auth.login import Logins
from h5sup.auth.sessions import Sessions
from h5sup.auth.users import User, UserChange, Users
from h5sup.base.errors import AuthError, ForbiddenError, InvalidError
from h5sup.config.model import Role

logger = logging.getLogger(__name__)


class Administration:
    """Users as those who are signed in may see and change them.

    Others than oneself are for Administrators alone, also when `auth.strict_roles` is off: else
    whoever is limited to some sources could lift that limit.
    """

    def __init__(self, users: Users, logins: Logins, sessions: Sessions) -> None:
        self._users = users
        self._logins = logins
        self._sessions = sessions

    def all(self, by: Identity) -> list[User]:
        """Return all users; raises ForbiddenError."""
        _need_administrator(by)
        return self._users.all()

    def find(self, by: Identity, name: str) -> Identity:
        """Return what a user may; an empty name is oneself. Raises ForbiddenError, NotFoundError.

        Raises AuthError when nobody is signed in.
        """
        if by.is_anonymous:
            raise AuthError("there is no session: sign in")
        if name in ("", by.name):
            return by
        _need_administrator(by)
        user = self._users.get(name)
        return Identity(user.name, user.role, sources=user.sources)

    async def create(
        self, by: Identity, name: str, password: str, role: Role, sources: tuple[str, ...]
    ) -> None:
        """Add a user; raises ForbiddenError, ConflictError, InvalidError, UnavailableError."""
        _need_administrator(by)
        await self._users.create(name, password, role, sources)
        logger.info("%r made the user %r, %s of %s", by.name, name, role, ",".join(sources))

    async def update(
        self,
        by: Identity,
        name: str,
        change: UserChange,
        *,
        old_password: str,
        addresses: Sequence[str],
    ) -> None:
        """Change a user and end its sessions but the caller's.

        One's own password takes the old one; raises LoginError when that is wrong, ForbiddenError,
        InvalidError, NotFoundError, ConflictError, UnavailableError.
        """
        is_own = name == by.name
        if not is_own or change.role is not None or change.sources is not None:
            _need_administrator(by)
        if change == UserChange():
            raise InvalidError("newpassword", "is missing")
        if is_own and change.password is not None:
            if not old_password:
                raise InvalidError("oldpassword", "is missing")
            await self._logins.prove(name, old_password, addresses)
        await self._users.update(name, change)
        self._sessions.close_user(name, keep=by.session if is_own else None)
        logger.info("%r changed the user %r", by.name, name)

    async def delete(self, by: Identity, name: str) -> None:
        """Forget a user and end its sessions; raises ForbiddenError, NotFoundError, ConflictError.

        Raises UnavailableError when it can't be stored.
        """
        _need_administrator(by)
        await self._users.delete(name)
        self._sessions.close_user(name)
        logger.info("%r deleted the user %r", by.name, name)


def _need_administrator(by: Identity) -> None:
    if by.role != "Administrator":
        raise ForbiddenError(
            f"this takes the role Administrator, {by.name!r} is {by.role}: "
            "you may change your own password alone"
        )
