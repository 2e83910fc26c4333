"""Query parameters to a call's typed Struct, with complaints that name the parameter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec
from msgspec import Struct, inspect

from h5sup.base.errors import InvalidError

P = TypeVar("P", bound=Struct)

MISSING = re.compile(r"missing required field `(.+?)`")
AT = re.compile(r"at `\$\.(.+?)`$")


def parse_parameters(given: Mapping[str, str], kind: type[P]) -> P:
    """Return the Struct; unknown parameters are ignored. Raises InvalidError."""
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        missing = MISSING.search(str(error))
        if missing:
            raise InvalidError(missing[1], "is missing") from error
        at = AT.search(str(error))
        assert at is not None, "every rule of a call stands at one parameter"
        raise InvalidError(at[1], f"must be {describe(field_of(kind, at[1]))}") from error


def fields_of(kind: type[Struct]) -> tuple[inspect.Field, ...]:
    """Return a Struct's fields as msgspec sees them."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return info.fields


def field_of(kind: type[Struct], name: str) -> inspect.Field:
    """Return the field that the wire calls `name`."""
    return next(field for field in fields_of(kind) if field.encode_name == name)


def describe(field: inspect.Field) -> str:
    """Return in words what a parameter takes."""
    return _words(field.type)


def _words(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata(type=inner):  # carries a description
            return _words(inner)
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType(values=values):
            return f"one of {', '.join(str(value) for value in values)}"
        case inspect.UnionType(types=types):
            return next(_words(one) for one in types if not isinstance(one, inspect.NoneType))
        case inspect.FloatType(ge=low, le=high):
            return f"a number from {low:g} to {high:g}"
        case inspect.IntType(ge=low, le=high):
            return f"a whole number from {low} to {high}"
        case inspect.StrType(max_length=int(longest)):
            return f"a text of at most {longest} letters"
        case other:
            raise TypeError(f"no words for {other}")
