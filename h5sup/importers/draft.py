"""A config.json in the making, and the report of what became of each entry of the old file."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from h5sup.base.errors import ConfigError
from h5sup.config.loading import VARIABLE, parse_config
from h5sup.config.model import Config
from h5sup.importers.place import Place, printable

TOKEN_LETTERS = 64
NAME_LETTERS = 128
SHOWN_KEYS = 20


class Fate(Enum):
    """What became of an entry; the value is the report's heading."""

    TAKEN = "Taken over"
    CHANGED = "Changed"
    LEFT = "Not carried over"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report; `where` is the path in the old file."""

    fate: Fate
    where: str
    sentence: str


class Environment(dict[str, str]):
    """The environment's variables; one that is missing stands for `1` and is remembered.

    So is one that the old file's own default stood in for.

    A digit is right wherever a variable may stand: in a host, a port, a path or a password.
    """

    def __init__(self, given: Mapping[str, str]) -> None:
        super().__init__(given)
        self.missing: set[str] = set()
        self.defaulted: set[str] = set()

    def __missing__(self, name: str) -> str:
        self.missing.add(name)
        return "1"


class Draft:
    """Collects settings, users and sources, each judged by the rules of config.json at once."""

    def __init__(self, environment: Mapping[str, str], *, has_variables: bool) -> None:
        self.environment = Environment(environment)
        self.lines: list[Line] = []
        self._has_variables = has_variables
        self._settings: dict[str, dict[str, Any]] = {}
        self._users: list[dict[str, str]] = []
        self._sources: list[dict[str, object]] = []
        self._devices: list[dict[str, object]] = []

    def take(self, place: Place, sentence: str) -> None:
        """Report what was taken over as it is."""
        self.lines.append(Line(Fate.TAKEN, str(place), sentence))

    def change(self, place: Place, sentence: str) -> None:
        """Report what is there in another form."""
        self.lines.append(Line(Fate.CHANGED, str(place), sentence))

    def leave(self, place: Place, reason: str) -> None:
        """Report what is not carried over, with all that stands below it."""
        place.settle()
        self.lines.append(Line(Fate.LEFT, str(place), reason))

    def leave_if_set(self, place: Place, reason: str) -> None:
        """Report what is not carried over, if it is switched on."""
        if not place.is_blank and place.flag(default=True):
            self.leave(place, reason)

    def leave_unread(self, root: Place) -> None:
        """Report every key that no importer looked at, one line for each object."""
        for place, keys in root.find_unread():
            shown = ", ".join(printable(key) for key in keys[:SHOWN_KEYS])
            more = f" and {len(keys) - SHOWN_KEYS} more" if len(keys) > SHOWN_KEYS else ""
            sentence = f"config.json has nothing for {shown}{more}"
            self.lines.append(Line(Fate.LEFT, str(place), sentence))

    def set(self, place: Place, key: str, value: object) -> None:
        """Set `section.key` of config.json, or report why it can't be."""
        section, _, name = key.partition(".")
        problem = self._find_problem({section: {name: value}})
        if problem is not None:
            self.leave(place, f"{key} {problem.problem}")
            return
        self._settings.setdefault(section, {})[name] = value
        self.take(place, key)

    def add_user(self, place: Place, *, name: str, password: str, role: str) -> None:
        """Add a user; the first one of a name wins."""
        if any(user["name"] == name for user in self._users):
            self.leave(place, "a user of that name stands further up")
            return
        user = {"name": name, "password": password, "role": role}
        problem = self._find_problem({"auth": {"enabled": False, "users": [user]}})
        if problem is not None:
            self.leave(place, _sentence(problem, "auth.users[0]"))
            return
        self._users.append(user)
        self.take(place, f"user {printable(name)!r}, {role}")

    def add_source(self, place: Place, name: str, fields: Mapping[str, object]) -> bool:
        """Add a source whose token is made of `name`; return whether it can be one."""
        token = self._find_token(name)
        source: dict[str, object] = {"token": token, **fields}
        if token != name and not source.get("name"):
            source["name"] = name[:NAME_LETTERS]
        problem = self._find_problem({"sources": [source]})
        if problem is not None:
            self.leave(place, _sentence(problem, "sources[0]"))
            return False
        self._sources.append(source)
        self.take(place, f"source {token!r}" + (", main and sub" if "sub" in source else ""))
        if token != name:
            self.change(place, f"its token is {token!r}: {_token_reason(name)}")
        if VARIABLE.search(f"{source.get('user', '')}{source.get('password', '')}"):
            self.change(
                place, "its variables must hold user and password as they are, not encoded"
            )
        return True

    def add_device(self, place: Place, name: str, fields: Mapping[str, object]) -> None:
        """Add a recorder whose token is made of `name`."""
        token = self._find_token(name)
        device: dict[str, object] = {"token": token, **fields}
        problem = self._find_problem({"devices": [device]})
        if problem is not None:
            self.leave(place, _sentence(problem, "devices[0]"))
            return
        self._devices.append(device)
        self.take(place, f"device {token!r}, its channels {token}--1 and so on")
        if token != name:
            self.change(place, f"its token is {token!r}: {_token_reason(name)}")

    def has_token(self, token: str) -> bool:
        """Return whether a source or a device of that token is there already."""
        return any(one["token"] == token for one in (*self._sources, *self._devices))

    def finish(self, root: Place) -> dict[str, Any]:
        """Return config.json's object, with somebody in it who may administer."""
        raw: dict[str, Any] = {section: dict(keys) for section, keys in self._settings.items()}
        if self._users:
            self._ensure_administrator(root)
            raw.setdefault("auth", {})["users"] = self._users
        else:
            self.change(
                root,
                "no users came along: sign in as admin with 12345, which only this machine and"
                " private addresses may, and change it",
            )
        raw["sources"] = self._sources
        if self._devices:
            raw["devices"] = self._devices
        return {name: raw[name] for name in Config.__struct_fields__ if name in raw}

    def count(self) -> str:
        """Return how much there is, for people."""
        devices = f"{_plural(len(self._devices), 'device')}, " if self._devices else ""
        sources, users = len(self._sources), len(self._users)
        return f"{_plural(sources, 'source')}, {devices}{_plural(users, 'user')}"

    def _ensure_administrator(self, root: Place) -> None:
        if any(user["role"] == "Administrator" for user in self._users):
            return
        name = "admin"
        while any(user["name"] == name for user in self._users):
            name += "-2"
        password = secrets.token_urlsafe(12)
        self._users.append({"name": name, "password": password, "role": "Administrator"})
        self.change(
            root,
            f"nobody could administer: {name!r} was added, its password stands in the new file",
        )

    def _find_token(self, name: str) -> str:
        """Return a valid token that is still free, as near to the name as can be."""
        base = re.sub(r"[^A-Za-z0-9_.-]+", "_", name)
        base = re.sub(r"-{2,}", "-", base)[:TOKEN_LETTERS]
        if not base.strip("_."):
            base = "source"
        token, number = base, 1
        while self.has_token(token):
            number += 1
            ending = f"_{number}"
            token = base[: TOKEN_LETTERS - len(ending)] + ending
        return token

    def _find_problem(self, raw: dict[str, Any]) -> ConfigError | None:
        if not self._has_variables and VARIABLE.search(str(raw)):
            return ConfigError("", "holds ${...}, which config.json would take for a variable")
        try:
            parse_config(raw, self.environment)
        except ConfigError as error:
            return error
        return None


def _sentence(problem: ConfigError, prefix: str) -> str:
    key = problem.path.removeprefix(prefix).lstrip(".")
    return f"{key} {problem.problem}".strip()


def _token_reason(name: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_.-]+", name) and "--" not in name:
        return (
            "the other one is taken" if len(name) <= TOKEN_LETTERS else "the other one is too long"
        )
    return "a token has letters, digits, '_', '.' and '-' alone, without '--'"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
