"""Sessions: who signed in, known by a secret random id."""

from __future__ import annotations

import hashlib
import secrets
import time
import uuid
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MAX_SESSIONS = 2000
MAX_PER_USER = 500  # so that one account can't push everyone else out


@dataclass(slots=True)
class Session:
    """One sign-in; its secret id is not in here, so that no repr can show it."""

    key: bytes
    user: str
    expires_at: float


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """Something a session opened that outlives the request."""

    key: bytes
    end: Callable[[], None]


class Sessions:
    """All live sessions; each lasts `timeout_s` from its last use.

    Bounded: the one idle longest gives way. Kept under the hash of the id, so that neither a
    lookup's time nor a memory dump gives an id away.
    """

    def __init__(
        self,
        timeout_s: int,
        *,
        limit: int = MAX_SESSIONS,
        limit_per_user: int = MAX_PER_USER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timeout_s = timeout_s
        self._limit = limit
        self._limit_per_user = limit_per_user
        self._clock = clock
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()  # idle longest first
        self._per_user: Counter[str] = Counter()
        self._watches: dict[str, set[Watch]] = {}  # by user

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, user: str) -> str:
        """Start a session and return its secret id."""
        self._drop_expired()
        if self._per_user[user] >= self._limit_per_user:
            self._drop(next(one for one in self._sessions.values() if one.user == user))
        elif len(self._sessions) >= self._limit:
            self._drop(next(iter(self._sessions.values())))
        # 128 random bits in the shape of the manual's ids
        session_id = str(uuid.UUID(bytes=secrets.token_bytes(16)))
        key = _key(session_id)
        self._sessions[key] = Session(key, user, self._clock() + self.timeout_s)
        self._per_user[user] += 1
        return session_id

    def find(self, session_id: str) -> Session | None:
        """Return the live session and extend it, or None."""
        session = self._sessions.get(_key(session_id))
        if session is None:
            return None
        now = self._clock()
        if now >= session.expires_at:
            self._drop(session)
            return None
        session.expires_at = now + self.timeout_s
        self._sessions.move_to_end(session.key)
        return session

    def close(self, session: Session) -> None:
        """End a session and what it opened; twice is harmless."""
        if session.key in self._sessions:
            self._drop(session)
        self._end_watched(session.user, lambda watch: watch.key == session.key)

    def close_user(self, user: str, *, keep: Session | None = None) -> None:
        """End every session of a user and what they opened, but for the one to keep."""
        kept = keep.key if keep else b""
        for session in [one for one in self._sessions.values() if one.user == user]:
            if session.key != kept:
                self._drop(session)
        self._end_watched(user, lambda watch: watch.key != kept)

    def watch(self, session: Session, end: Callable[[], None]) -> Callable[[], None]:
        """Call `end` when the session is closed; return what calls that off.

        A session that only expires ends nothing: who watches live asks for nothing else. What it
        opened still ends with its user.
        """
        watch, user = Watch(session.key, end), session.user
        self._watches.setdefault(user, set()).add(watch)
        return lambda: self._forget(user, watch)

    def _end_watched(self, user: str, is_meant: Callable[[Watch], bool]) -> None:
        for watch in [one for one in self._watches.get(user, ()) if is_meant(one)]:
            self._forget(user, watch)
            watch.end()

    def _forget(self, user: str, watch: Watch) -> None:
        watches = self._watches.get(user, set())
        watches.discard(watch)
        if not watches:
            self._watches.pop(user, None)

    def _drop(self, session: Session) -> None:
        del self._sessions[session.key]
        self._per_user[session.user] -= 1
        if not self._per_user[session.user]:
            del self._per_user[session.user]

    def _drop_expired(self) -> None:
        now = self._clock()
        while self._sessions:
            oldest = next(iter(self._sessions.values()))
            if now < oldest.expires_at:
                return
            self._drop(oldest)


def _key(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode(errors="replace")).digest()
