"""Files to typed objects, with complaints that name the JSON path."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from h5sup.base.errors import ConfigError
from h5sup.config.checks import check_config, check_device, check_source
from h5sup.config.model import Config, DeviceConfig, SourceConfig
from h5sup.config.profile import Profile

T = TypeVar("T")

RESERVED_PROFILES = frozenset({"main", "sub", "auto"})
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
WHERE = re.compile(r"^(?P<problem>.*?)(?: - at `\$(?P<path>.*?)`)?$", re.DOTALL)


def load_config(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Read and check config.json; raises ConfigError with one sentence."""
    return parse_config(_read_json(path), environment)


def parse_config(raw: Any, environment: Mapping[str, str] = os.environ) -> Config:
    """Check a whole configuration, as JSON gave it; `environment` has the values of `${NAME}`."""
    config = _convert(_expand(raw, "", environment), Config)
    check_config(config)
    return config


def parse_source(raw: dict[str, Any]) -> SourceConfig:
    """Check one source, as the store and the API hand it over."""
    source = _convert(raw, SourceConfig)
    check_source(source, "")
    return source


def parse_device(raw: dict[str, Any]) -> DeviceConfig:
    """Check one recorder, as the store and the API hand it over."""
    device = _convert(raw, DeviceConfig)
    check_device(device, "")
    return device


def load_profiles(folder: Path) -> dict[str, Profile]:
    """Read every profile of `folder`, by name."""
    if not folder.is_dir():
        raise ConfigError("paths.profiles", f"there is no folder {folder}")
    profiles: dict[str, Profile] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            profiles[path.stem] = _load_profile(path)
        except ConfigError as error:
            raise ConfigError(f"{path.name}:{error.path}".rstrip(":"), error.problem) from error
    return profiles


def _load_profile(path: Path) -> Profile:
    if path.stem in RESERVED_PROFILES:
        raise ConfigError("", f"{path.stem!r} is a reserved name, rename the file")
    profile = _convert(_read_json(path), Profile)
    if profile.name not in ("", path.stem):
        raise ConfigError("name", f"must be {path.stem!r}, as the file is called")
    return msgspec.structs.replace(profile, name=path.stem)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of config.json, for editors."""
    generated = msgspec.json.schema(Config)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | generated


def _read_json(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows put a mark in front
    except FileNotFoundError:
        raise ConfigError("", f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("", f"{path} can't be read: {error}") from error
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise ConfigError(
            "", f"{path.name} line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    except ValueError:  # Python reads no whole number of more than 4300 digits
        raise ConfigError("", f"{path.name} holds a number of thousands of digits") from None
    except RecursionError:
        raise ConfigError("", f"{path.name} is nested too deeply") from None


def _constant(name: str) -> float:
    """Refuse NaN and Infinity, which are not JSON and pass every range."""
    raise ConfigError("", f"{name} is no number of JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key given twice: JSON keeps the last one without a word."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ConfigError(key, "the key stands twice in the same object")
        found[key] = value
    return found


def _expand(value: Any, path: str, environment: Mapping[str, str]) -> Any:
    """Replace `${NAME}` in strings by the environment's value."""
    if isinstance(value, str):
        return VARIABLE.sub(lambda match: _variable(match[1], path, environment), value)
    if isinstance(value, list):
        return [_expand(item, f"{path}[{index}]", environment) for index, item in enumerate(value)]
    if isinstance(value, dict):
        return {
            key: _expand(item, f"{path}.{key}".lstrip("."), environment)
            for key, item in value.items()
        }
    return value


def _variable(name: str, path: str, environment: Mapping[str, str]) -> str:
    try:
        return environment[name]
    except KeyError:
        raise ConfigError(path, f"the environment has no variable {name}") from None


def _convert(raw: Any, kind: type[T]) -> T:
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        match = WHERE.match(str(error))
        assert match is not None
        path = (match["path"] or "").lstrip(".")
        problem = match["problem"]
        unknown = re.search(r"unknown field `(.+?)`", problem)
        if unknown:
            path = f"{path}.{unknown[1]}".lstrip(".")
            problem = "unknown key, see docs/config.md for the keys there are"
        raise ConfigError(path, _plain(problem, path)) from error


def _plain(problem: str, path: str) -> str:
    """Turn msgspec's sentence into ours."""
    if "matching regex" in problem and path.endswith("token"):
        return "must be 1 to 64 letters, digits, '_', '.' or '-', without '--'"
    if "matching regex" in problem and ".sources[" in path:
        return "must be a token, or the beginning of tokens followed by '*'"
    if "matching regex" in problem:
        return "must be 1 to 64 letters, digits, '_' or '-'"
    for theirs, ours in (
        ("Expected", "expected"),
        ("`int`", "a whole number"),
        ("`float`", "a number"),
        ("`str`", "a text"),
        ("`bool`", "true or false"),
        ("`array`", "a list"),
        ("`object`", "an object"),
        ("`null`", "null"),
        ("Object missing required field", "missing required key"),
        ("Invalid enum value", "not one of the allowed values:"),
    ):
        problem = problem.replace(theirs, ours)
    return problem
