"""Files of strangers: values as they stand, bounded, and nothing but ConfigError."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from h5sup.base.errors import ConfigError
from h5sup.importers import reading
from h5sup.importers.place import Tree
from h5sup.importers.reading import parse_json, parse_yaml, read_text


@pytest.mark.parametrize(
    "text", ["012345", "1_000", "0x1f", "12e3", "1:30", "off", "2020-01-01", "1.0", ".inf", "="]
)
def test_yaml_value_stays_the_text_it_is(text: str) -> None:
    assert parse_yaml(f"password: {text}") == {"password": text}


def test_yaml_knows_nothing_as_nothing_and_quoted_nothing_as_text() -> None:
    text = "a:\nb: ~\nc: null\nd: ''\ne: 'null'\nf: []\ng: {}"
    wanted: Tree = {"a": None, "b": None, "c": None, "d": "", "e": "null", "f": [], "g": {}}
    assert parse_yaml(text) == wanted


def test_yaml_takes_anchors_and_merges_where_the_own_key_wins() -> None:
    text = "base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\none: {<<: *b, x: 9}\ntwo: {<<: [*b, *m]}"
    tree = parse_yaml(text)
    assert isinstance(tree, dict)
    assert tree["one"] == {"x": "9", "y": "2"}
    assert tree["two"] == {"x": "1", "y": "2", "z": "4"}


def test_quoted_merge_key_is_a_key() -> None:
    assert parse_yaml("'<<': x") == {"<<": "x"}


def test_nothing_at_all_is_no_value() -> None:
    assert parse_yaml("# only a remark\n") is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: !!python/object/apply:os.system [id]", "line 1: tags are not read here"),
        ("a: !secret b", "line 1: tags are not read here"),
        ("x: 1\na: !!binary aGk=", "line 2: tags are not read here"),
        ("a: &a [*a]", "an alias stands for something that holds it"),
        ("a: *bob", "line 1 is no YAML: found undefined alias"),
        ("a: 1\nb: 2\na: 3", "line 3: a key stands twice in the same object"),
        ("[a]: 1", "a key must be a text"),
        ("<<: 1", "'<<' takes objects alone"),
        ("<<: [{a: 1}, 2]", "'<<' takes objects alone"),
        ("a: [1, 2", "line 1 is no YAML"),
        ("a: 1\n--- \nb: 2", "is no YAML: but found another document"),
        ("a: b: c", "line 1 is no YAML"),
        ("\tb: c", "is no YAML"),
        ("a: \x00", "characters that YAML does not allow"),
        ('a: "\\UFFFFFFFF"', "a number or character that can't be"),
        ("[" * 70 + "]" * 70, "nested too deeply"),
        ("[" * 50_000, "nested too deeply"),
        ("{a: " * 50_000, "nested too deeply"),
    ],
)
def test_broken_yaml_is_refused_with_a_sentence(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    ["hunter2: x", "*hunter2", "*hunter2'", "&hunter2 &hunter2 x", "!hunter2! x", "@hunter2"],
)
def test_complaint_about_yaml_does_not_quote_the_file(value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(f"user: admin\npassword: {value}\n")
    assert "hunter2" not in str(caught.value)


def test_billion_laughs_are_refused_before_they_are_told() -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 40)]
    with pytest.raises(ConfigError, match="this holds more than 100000 values"):
        parse_yaml("\n".join(lines))


def test_merges_that_grow_are_refused() -> None:
    keys = ", ".join(f"k{i}: 1" for i in range(1000))
    lines = [f"m0: &m0 {{{keys}}}"]
    lines += [f"m{i}: &m{i} {{<<: *m{i - 1}, x{i}: 1}}" for i in range(1, 500)]
    with pytest.raises(ConfigError, match=r"nested too deeply|more than 100000 values"):
        parse_yaml("\n".join(lines))


def test_json_takes_commas_too_many_and_leaves_comments_out() -> None:
    text = '{"a": [1, 2, ], "aComment": "a, ]", "b": "x, }", "Comment": 1, "cComment": 2,\n}'
    assert parse_json(text) == {"a": [1, 2], "b": "x, }", "Comment": 1, "cComment": 2}


def test_json_takes_tabs_and_line_breaks_in_texts() -> None:
    assert parse_json('{"a": "x\ty\nz", "b": "\\"},"}') == {"a": "x\ty\nz", "b": '"},'}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1 is no JSON"),
        ('{"a": 1\n"b": 2}', "line 2 is no JSON"),
        ('{"a": "hunter2}', "line 1 is no JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("1" * 5000, "thousands of digits"),
        ("{,,}", "is no JSON"),
    ],
)
def test_broken_json_is_refused_with_a_sentence(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        parse_json(text)
    assert "hunter2" not in str(caught.value)


@given(st.text(alphabet="ab:,[]{}&*!<>|-'\"\\#%?@`\n\t 0~=.", max_size=60))
@example("%YAML " + "9" * 5000 + ".1\n---\na")
@example("? {a: b}")
@example("--- |9999999999999999999\n a")
@example("\ufeff\ufeffa: b")
@example("a: \ud800")
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_yaml, parse_json):
        try:
            parse(text)
        except ConfigError as error:
            assert "\n" not in str(error)  # noqa: PT017 (every other error must get through)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
)


@given(JSON_VALUES)
def test_json_that_is_right_is_read_as_it_is(value: Tree) -> None:
    assert parse_json(json.dumps(value)) == value


def test_text_is_read_with_the_mark_of_windows_editors(tmp_path: Path) -> None:
    path = tmp_path / "h5ss.conf"
    path.write_bytes("\ufeff{前}".encode())
    assert read_text(path) == "{前}"


def test_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "none.yml"
    with pytest.raises(ConfigError, match=f"there is no file {missing}"):
        read_text(missing)
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        read_text(tmp_path)
    latin = tmp_path / "latin.yml"
    latin.write_bytes(b"name: caf\xe9")
    with pytest.raises(ConfigError, match=r"latin\.yml is no text in UTF-8"):
        read_text(latin)
    monkeypatch.setattr(reading, "MAX_BYTES", 3)
    with pytest.raises(ConfigError, match="larger than 3 bytes"):
        read_text(latin)
