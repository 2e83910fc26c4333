"""One value of an old configuration, with where it stands and whether anybody looked at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

Tree: TypeAlias = "str | int | float | bool | list[Tree] | dict[str, Tree] | None"
Steps: TypeAlias = tuple[str | int, ...]

ON = frozenset({"true", "yes", "on", "y", "1"})
OFF = frozenset({"false", "no", "off", "n", "0"})
SHOWN_LETTERS = 200


def unchanged(text: str) -> str:
    """Return `text`: how values are read where the old product knows no variables."""
    return text


@dataclass(slots=True)
class Marks:
    """What has been looked at in one file, shared by all of its places."""

    read: set[Steps] = field(default_factory=set)
    settled: set[Steps] = field(default_factory=set)
    translate: Callable[[str], str] = unchanged


@dataclass(frozen=True, slots=True)
class Place:
    """A value and its path. Looking at a value marks it, so that the rest can be reported."""

    value: Tree = field(repr=False)  # it may be a password
    path: Steps = ()
    marks: Marks = field(default_factory=Marks, repr=False, compare=False)

    def __str__(self) -> str:
        """Return the path as a person writes it, such as `source.src[2].strUrl`."""
        text = ""
        for step in self.path:
            text += f"[{step}]" if isinstance(step, int) else f".{step}"
        return printable(text.lstrip(".")) or "the file"

    def get(self, key: str) -> Place:
        """Return the value of a key; one that is missing is blank."""
        value = self.value.get(key) if isinstance(self.value, dict) else None
        return self._step(key, value)

    def entries(self) -> list[tuple[str, Place]]:
        """Return each key with its value; nothing for what is no object."""
        found = self.value.items() if isinstance(self.value, dict) else ()
        return [(key, self._step(key, value)) for key, value in found]

    def items(self) -> list[Place]:
        """Return the values of a list; a value that stands alone counts as a list of one."""
        if isinstance(self.value, list):
            return [self._step(index, value) for index, value in enumerate(self.value)]
        return [] if self.is_blank else [self]

    def settle(self) -> None:
        """Say that all below this place has been dealt with."""
        self.marks.settled.add(self.path)

    @property
    def is_blank(self) -> bool:
        """Return whether nothing is set here."""
        return self.value in (None, "", [], {})

    @property
    def text(self) -> str:
        """Return the value as text, without blanks around it; nothing for lists and objects."""
        if self.value is None or isinstance(self.value, list | dict):
            return ""
        return self.marks.translate(str(self.value).strip())

    @property
    def number(self) -> int | None:
        """Return the value as a whole number, or None."""
        text = self.text
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None

    def flag(self, *, default: bool = False) -> bool:
        """Return the value as true or false, in any spelling of YAML and JSON."""
        text = self.text.lower()
        return text in ON if text in ON | OFF else default

    def find_unread(self) -> Iterator[tuple[Place, list[str]]]:
        """Return the keys of each object that nobody looked at and that hold something."""
        if self.path in self.marks.settled:
            return
        steps = self._below()
        unread = [
            str(key)
            for key, place in steps
            if place.path not in self.marks.read and not place._is_off
        ]
        if unread:
            yield self, unread
        for _, place in steps:
            if place.path in self.marks.read:
                yield from place.find_unread()

    @property
    def _is_off(self) -> bool:
        return self.is_blank or (
            not isinstance(self.value, list | dict) and str(self.value).lower() in OFF
        )

    def _below(self) -> list[tuple[str | int, Place]]:
        if isinstance(self.value, dict):
            return [(key, self._at(key, value)) for key, value in self.value.items()]
        if isinstance(self.value, list):
            return [(index, self._at(index, value)) for index, value in enumerate(self.value)]
        return []

    def _step(self, key: str | int, value: Tree) -> Place:
        place = self._at(key, value)
        self.marks.read.add(place.path)
        return place

    def _at(self, key: str | int, value: Tree) -> Place:
        return Place(value, (*self.path, key), self.marks)


def printable(text: str) -> str:
    """Return `text` fit for a terminal: no control characters, no endless lines."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return shown if len(shown) <= SHOWN_LETTERS else shown[:SHOWN_LETTERS] + "..."
