"""Files of other products to plain values, whatever is in them; only ConfigError comes out.

YAML is read without its guesses: every value stays the text that stands in the file, so that a
password `012345` is no octal number and `off` no boolean. Tags are refused, an alias counts as
much as what it stands for, and `<<` merges as in YAML 1.1.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from h5sup.base.errors import ConfigError
from h5sup.importers.place import Tree

MAX_BYTES = 1_000_000
MAX_VALUES = 100_000  # with aliases followed: a "billion laughs" file is far beyond
MAX_DEPTH = 64
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))
QUOTED_NAME = re.compile(r""" (['"])(?!<)..+?\1""")
STRING_OR_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])', re.DOTALL)


def read_text(path: Path) -> str:
    """Return the text of a file of bounded size."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError("", f"there is no file {path}") from None
    except OSError as error:
        raise ConfigError("", f"{path} can't be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise ConfigError("", f"{path.name} is larger than {MAX_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError("", f"{path.name} is no text in UTF-8") from None


def parse_json(text: str) -> Tree:
    """Parse JSON as people edit it: a comma too many is no matter, `<key>Comment` is left out."""
    strict = STRING_OR_TRAILING_COMMA.sub(lambda match: match[1] or "", text)
    try:
        tree: Tree = json.loads(strict, object_pairs_hook=_without_comments, strict=False)
    except json.JSONDecodeError as error:
        line = error.lineno
        raise ConfigError("", f"line {line} is no JSON: {error.msg}") from None
    except ValueError:  # Python reads no whole number of more than 4300 digits
        raise ConfigError("", "a number has thousands of digits") from None
    except RecursionError:
        raise ConfigError("", "the file is nested too deeply") from None
    return tree


def parse_yaml(text: str) -> Tree:
    """Parse YAML to texts, lists and objects."""
    try:
        node = yaml.compose(text, Loader=yaml.BaseLoader)
        return None if node is None else _Builder().build(node)
    except yaml.MarkedYAMLError as error:
        # Not the whole message: it quotes the file, and `*hunter2` may be meant as a password.
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1} " if mark else ""
        problem = QUOTED_NAME.sub("", error.problem or "")
        raise ConfigError("", f"{where}is no YAML: {problem}") from None
    except yaml.YAMLError:
        raise ConfigError("", "the file holds characters that YAML does not allow") from None
    except (ValueError, OverflowError):  # of escapes such as "\UFFFFFFFF"
        raise ConfigError("", "the file holds a number or character that can't be") from None
    except RecursionError:
        raise ConfigError("", "the file is nested too deeply") from None


def _without_comments(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return {
        key: value
        for key, value in found.items()
        if not (key.endswith("Comment") and key.removesuffix("Comment") in found)
    }


class _Builder:
    """Nodes to values. Shared ones stay shared, but count as often as they occur."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}
        self._values: dict[int, Tree] = {}

    def build(self, root: yaml.Node) -> Tree:
        """Return the value of a document's root."""
        self._measure(root, 0)
        return self._value(root)

    def _measure(self, node: yaml.Node, depth: int) -> int:
        """Return how many values a node holds; refuse what is too much, or holds itself."""
        known = self._sizes.get(id(node))
        if known == 0:
            raise _refusal(node, "an alias stands for something that holds it")
        if known is not None:
            return known
        if depth > MAX_DEPTH:
            raise _refusal(node, "this is nested too deeply")
        if node.tag not in PLAIN_TAGS:
            raise _refusal(node, "tags are not read here")
        self._sizes[id(node)] = 0
        size = 1 + sum(self._measure(child, depth + 1) for child in _children(node))
        if size > MAX_VALUES:
            raise _refusal(node, f"this holds more than {MAX_VALUES} values")
        self._sizes[id(node)] = size
        return size

    def _value(self, node: yaml.Node) -> Tree:
        if id(node) not in self._values:
            self._values[id(node)] = self._build(node)
        return self._values[id(node)]

    def _build(self, node: yaml.Node) -> Tree:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(child) for child in node.value]
        assert isinstance(node, yaml.ScalarNode)
        text: str = node.value
        return None if node.style is None and text in NULLS else text

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Tree]:
        merged: dict[str, Tree] = {}
        own: dict[str, Tree] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _refusal(key, "a key must be a text")
            if key.value == "<<" and key.style is None:
                merged = self._merge(value) | merged
            elif key.value in own:
                raise _refusal(key, "a key stands twice in the same object")
            else:
                own[key.value] = self._value(value)
        return merged | own

    def _merge(self, node: yaml.Node) -> dict[str, Tree]:
        """Return the keys of one object or of several, where the first one wins."""
        merged: dict[str, Tree] = {}
        for part in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            value = self._value(part)
            if not isinstance(value, dict):
                raise _refusal(part, "'<<' takes objects alone")
            merged = value | merged
        return merged


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _refusal(node: yaml.Node, problem: str) -> ConfigError:
    return ConfigError("", f"line {node.start_mark.line + 1}: {problem}")
