"""What must never get into the repository."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LARGEST_BYTES = 300_000

# Written in pieces, so that this file does not hold what it looks for.
PLACES = [
    "registry." + "npmjs", "registry." + "yarnpkg", "files.python" + "hosted", "pypi." + "org",
    "deb." + "debian.org", "/opt/" + "pypi", "/work/" + "main", "/work/" + "shared", "/root" + "/",
]  # fmt: skip
CREDENTIALS = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b")
MARKUP_SINKS = re.compile(r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write)\b")
INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\son[a-z]+=|\sstyle=", re.IGNORECASE)


def tracked_files() -> list[Path]:
    """Return what git keeps and what is about to be added."""
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def texts() -> Iterator[tuple[str, str]]:
    """Return the name and text of each tracked text file."""
    for path in tracked_files():
        data = path.read_bytes()
        if b"\0" not in data:
            yield path.relative_to(ROOT).as_posix(), data.decode("utf-8")


def test_no_file_is_large() -> None:
    assert not [path for path in tracked_files() if path.stat().st_size > LARGEST_BYTES]


def test_no_file_names_a_registry_or_a_place_of_one_machine() -> None:
    found = [(name, place) for name, text in texts() for place in PLACES if place in text]
    assert not found


def test_no_file_holds_a_private_key() -> None:
    assert not [name for name, text in texts() if CREDENTIALS.search(text)]


def test_text_files_end_with_a_newline_and_use_it_alone() -> None:
    written = [(name, text) for name, text in texts() if not name.startswith("tests/data/")]
    assert not [name for name, text in written if text and (text[-1] != "\n" or "\r" in text)]


def test_init_modules_hold_a_docstring_and_nothing_else() -> None:
    for path in (ROOT / "h5sup").rglob("__init__.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), path
        assert not [node for node in tree.body[1:] if not _is_version(node)], path


def test_no_name_says_only_that_it_is_a_stream() -> None:
    for path in (ROOT / "h5sup").rglob("*.py"):
        names = _names(ast.parse(path.read_text(encoding="utf-8")))
        bad = [name for name in names if name.lower() in ("stream", "streams")]
        assert not bad, f"{path.relative_to(ROOT)}: say source, channel or track instead of {bad}"


def test_pages_put_no_data_into_markup() -> None:
    scripts = [path for path in tracked_files() if path.is_relative_to(ROOT / "www" / "js")]
    assert scripts
    assert not [path for path in scripts if MARKUP_SINKS.search(path.read_text("utf-8"))]


def test_pages_have_no_inline_script_or_style() -> None:
    pages = list((ROOT / "www").glob("*.html"))
    assert pages
    assert not [path for path in pages if INLINE.search(path.read_text("utf-8"))]


def test_commands_can_be_executed() -> None:
    for name in ("install.sh", "run.py", ".ci/run", ".githooks/pre-commit"):
        assert (ROOT / name).stat().st_mode & 0o111, name


def _is_version(node: ast.stmt) -> bool:
    match node:
        case ast.Assign(targets=[ast.Name(id="__version__")]):
            return True
        case _:
            return False


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name
            case ast.arg():
                yield node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr
            case _:
                pass
