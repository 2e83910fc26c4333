from __future__ import annotations

import pytest

from h5sup.auth.guard import Identity
from h5sup.auth.sight import MAX_PATTERNS, may_see, parse_patterns
from h5sup.base.errors import InvalidError


@pytest.mark.parametrize(
    ("patterns", "token", "seen"),
    [
        (["*"], "front", True),
        (["*"], "", True),
        (["front"], "front", True),
        (["front"], "frontier", False),
        (["front"], "Front", False),
        (["front"], "fron", False),
        (["front"], "", False),
        (["nvr--*"], "nvr--12", True),
        (["nvr--*"], "nvr--", True),
        (["nvr--*"], "nvr", False),
        (["nvr--*"], "nvr-2", False),
        (["back", "nvr--*"], "back", True),
        ([], "front", False),
        (["front"], "*", False),
    ],
)
def test_a_pattern_is_a_token_or_its_beginning(
    patterns: list[str], token: str, seen: bool
) -> None:
    assert may_see(patterns, token) is seen


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ("*", ("*",)),
        ("front", ("front",)),
        (" front , nvr--* ,", ("front", "nvr--*")),
        ("front,*", ("*",)),
        (",", ()),
    ],
)
def test_list_with_commas_becomes_patterns(text: str, patterns: tuple[str, ...]) -> None:
    assert parse_patterns(text) == patterns


@pytest.mark.parametrize(
    "text", ["a b", "*front", "fr*nt", "front**", "fr\nont", "../x", "a" * 129, "caméra"]
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="tokens with commas"):
        parse_patterns(f"front,{text},back")


def test_lists_are_bounded() -> None:
    assert len(parse_patterns(",".join(f"c{n}" for n in range(MAX_PATTERNS)))) == MAX_PATTERNS
    with pytest.raises(InvalidError, match=str(MAX_PATTERNS)):
        parse_patterns(",".join(f"c{n}" for n in range(MAX_PATTERNS + 1)))


def test_who_sees_all_is_told_from_who_sees_some() -> None:
    assert Identity("a", "Viewer").sees_all
    assert not Identity("a", "Viewer", sources=("front",)).sees_all
    assert not Identity("a", "Viewer", sources=("nvr--*",)).sees_all
