"""The documents name what there is, and nothing else."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def packages() -> list[str]:
    """Return every package below h5sup/, as a folder path."""
    inits = (ROOT / "h5sup").rglob("__init__.py")
    found = [init.parent.relative_to(ROOT / "h5sup").as_posix() for init in inits]
    return sorted(name for name in found if name != ".")


def test_readme_names_both_commands_on_its_first_screen() -> None:
    first = [line.strip() for line in read("README.md").splitlines()[:30]]
    assert "./install.sh" in first
    assert any(line.startswith("./install.sh --test") for line in first)


@pytest.mark.parametrize("package", packages())
def test_every_package_has_its_paragraph(package: str) -> None:
    assert re.search(rf"^\*\*`{package}/`\*\*", read("docs/ARCHITECTURE.md"), re.MULTILINE)


def test_no_paragraph_is_about_a_package_that_is_gone() -> None:
    named = re.findall(r"^\*\*`([a-z0-9_/]+)/`\*\*", read("docs/ARCHITECTURE.md"), re.MULTILINE)
    assert sorted(named) == packages()


def test_planned_packages_do_not_exist_yet() -> None:
    planned = read("docs/ARCHITECTURE.md").split("\n## Planned\n", 1)[1].split("\n## ", 1)[0]
    for name in re.findall(r"`([a-z0-9_/]+)/`", planned):
        assert name not in packages(), f"{name}: move it from Planned to a paragraph of its own"


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads(read("pyproject.toml"))
    names = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    text = read("CONTRIBUTING.md")
    missing = [name for name in names if f"| `{name}` |" not in text]
    assert not missing


@pytest.mark.parametrize(
    ("group", "lock"),
    [("dependencies", "requirements.txt"), ("dev", "requirements-dev.txt")],
)
def test_every_dependency_is_pinned(group: str, lock: str) -> None:
    project = tomllib.loads(read("pyproject.toml"))
    names = project["project"].get(group) or project["dependency-groups"][group]
    pins = re.findall(r"^([A-Za-z0-9_.-]+)==", read(lock), re.MULTILINE)
    assert set(names) <= set(pins), "run make lock"


def test_development_uses_the_versions_that_run() -> None:
    pin = re.compile(r"^([A-Za-z0-9_.-]+)==([^ ;\n]+)", re.MULTILINE)
    run = dict(pin.findall(read("requirements.txt")))
    develop = dict(pin.findall(read("requirements-dev.txt")))
    assert {name: develop.get(name) for name in run} == run


def test_changelog_begins_with_what_is_unreleased() -> None:
    headings = re.findall(r"^## (.+)$", read("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == "Unreleased"


@pytest.mark.parametrize(
    "word",
    ["source", "token", "profile", "channel", "track", "access unit", "GOP", "init segment",
     "fragment", "part", "segment", "viewer", "session", "device", "recording"],
)  # fmt: skip
def test_glossary_defines_the_words_of_the_code(word: str) -> None:
    assert re.search(rf"^\| {word} \|", read("docs/glossary.md"), re.MULTILINE)


def test_links_between_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\((?!https?://|#)([^)#]+)", document.read_text("utf-8")):
            assert (document.parent / link).exists(), f"{document.name} links to {link}"
