"""Configuration keys as docs/config.md has to show them, read from the msgspec structs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import inspect

TABLE_ROW = re.compile(r"^\| `(?P<key>[^`]+)` \|(?P<cells>.*)\|$", re.MULTILINE)
PATTERNS = {
    "--": "a token",
    "24:00": "a time of day",
    "^[A-Za-z0-9_-]{1,64}$": "1 to 64 letters, digits, `_` or `-`",
}


class Key(NamedTuple):
    """One row: the key's full path and three cells."""

    path: str
    kind: str
    default: str
    bounds: str


def read_struct(struct: type[msgspec.Struct]) -> list[Key]:
    """Return every key below `struct`; an object's own row is left out, its keys stand for it."""
    return list(_walk(inspect.type_info(struct), ""))


def read_document(path: Path, heading: str) -> list[Key]:
    """Return the rows of the tables below the heading `# heading` of a document."""
    text = path.read_text(encoding="utf-8").split(f"# {heading}\n", 1)[1].split("\n# ", 1)[0]
    rows = []
    for match in TABLE_ROW.finditer(text):
        cells = [cell.strip() for cell in match["cells"].split("|")]
        rows.append(Key(match["key"], *cells[:3]))
    return rows


def _walk(info: inspect.Type, prefix: str) -> Iterator[Key]:
    assert isinstance(info, inspect.StructType)
    for field in info.fields:
        path = prefix + field.encode_name
        if isinstance(field.type, inspect.StructType):
            yield from _walk(field.type, f"{path}.")
            continue
        yield Key(path, _kind(field.type), _default(field), _bounds(field.type))
        if isinstance(field.type, inspect.VarTupleType) and isinstance(
            field.type.item_type, inspect.StructType
        ):
            yield from _walk(field.type.item_type, f"{path}[].")


def _kind(info: inspect.Type) -> str:
    match info:
        case inspect.StrType() | inspect.LiteralType():
            return "text"
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "whole number"
        case inspect.FloatType():
            return "number"
        case inspect.VarTupleType(item_type=inspect.StructType()):
            return "list of objects"
        case inspect.VarTupleType():
            return "list of texts"
        case _:
            raise AssertionError(f"docs/config.md has no words for {info}")


def _default(field: inspect.Field) -> str:
    if field.required:
        return "required"
    return f"`{json.dumps(msgspec.to_builtins(field.default), ensure_ascii=False)}`"


def _bounds(info: inspect.Type) -> str:
    match info:
        case inspect.LiteralType(values=values):
            return ", ".join(f"`{value}`" for value in values)
        case inspect.IntType() | inspect.FloatType():
            return _range(info.ge, info.le, "")
        case inspect.StrType(pattern=str(pattern)):
            return next(words for part, words in PATTERNS.items() if part in pattern)
        case inspect.StrType():
            return _range(info.min_length, info.max_length, " letters")
        case _:
            return ""


def _range(least: float | None, most: float | None, unit: str) -> str:
    if least is not None and most is not None:
        return f"{_plain(least)} to {_plain(most)}{unit}"
    if most is not None:
        return f"up to {_plain(most)}{unit}"
    return f"{_plain(least)} and more{unit}" if least is not None else ""


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)
