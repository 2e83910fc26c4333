"""The calls there are, docs/api.md and the README name the same ones."""

from __future__ import annotations

import re
from pathlib import Path

from h5sup.api.table import CALLS

ROOT = Path(__file__).parents[2]


def test_every_call_has_its_chapter_and_no_other_has() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [call.name for call in CALLS]


def test_no_call_is_declared_twice() -> None:
    names = [call.name.lower() for call in CALLS]
    assert len(names) == len(set(names))


def test_readme_names_no_call_that_is_missing() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    sockets = {"h5swsapi", "h5swscmnapi"}
    named = set(re.findall(r"/api/v1/(\w+)", text)) - sockets
    assert named <= {call.name for call in CALLS}
