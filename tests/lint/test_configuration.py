"""config.json, its schema and docs/config.md say what the code does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from h5sup.config.loading import load_config, load_profiles, schema
from h5sup.config.model import Config
from h5sup.config.profile import Profile
from tests.lint.config_keys import read_document, read_struct

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "config.md"


def test_shipped_config_loads_and_shows_the_demo() -> None:
    config = load_config(ROOT / "config.json")
    assert [source.token for source in config.sources] == ["demo"]


def test_shipped_config_repeats_nothing_but_defaults() -> None:
    given = json.loads((ROOT / "config.json").read_text(encoding="utf-8"))
    del given["sources"]
    defaults = json.loads(msgspec.json.encode(Config()))
    for path, value in _leaves(given, ""):
        assert _look_up(defaults, path) == value, f"config.json: {path} is not the default"


def test_shipped_profiles_load() -> None:
    assert {"copy", "h264_software"} <= load_profiles(ROOT / "ffmpeg_profiles").keys()


@pytest.mark.parametrize(("struct", "heading"), [(Config, "config.json"), (Profile, "Profiles")])
def test_every_key_is_documented_as_it_is(struct: type[msgspec.Struct], heading: str) -> None:
    wanted = {key.path: key for key in read_struct(struct)}
    found = {key.path: key for key in read_document(DOCUMENT, heading)}
    assert found.keys() == wanted.keys()
    for path, key in wanted.items():
        assert found[path] == key


def test_schema_file_is_what_make_schema_writes() -> None:
    stored = json.loads((ROOT / "config.schema.json").read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps(schema())), "run make schema"


def _leaves(value: Any, path: str) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        return [(path, value)]
    return [
        leaf for key, each in value.items() for leaf in _leaves(each, f"{path}.{key}".lstrip("."))
    ]


def _look_up(value: Any, path: str) -> Any:
    for key in path.split("."):
        value = value[key]
    return value
