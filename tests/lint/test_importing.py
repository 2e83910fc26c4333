"""docs/importing.md tells of each importer what it carries over, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from h5sup.cli import main
from h5sup.importers.command import IMPORTERS, carry_over
from h5sup.importers.reading import parse_json, parse_yaml

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "tests" / "data" / "importers"
DOCUMENT = (ROOT / "docs" / "importing.md").read_text("utf-8")
FILES = {
    "h5ss": ("h5ss.conf", "H5Stream: h5ss.conf"),
    "go2rtc": ("go2rtc.yaml", "go2rtc: go2rtc.yaml"),
    "mediamtx": ("mediamtx.yml", "MediaMTX: mediamtx.yml"),
    "frigate": ("frigate.yml", "Frigate: config.yml"),
}
NAMED = re.compile(r"^((?:go2rtc\.)?(?:streams|paths|cameras))\.[^.\[]+(?:\(.*\)\$)?")
UNKNOWN = "config.json has nothing for"


def documented(kind: str) -> set[str]:
    """Return the keys in the first column of a kind's table."""
    section = DOCUMENT.split(f"\n## {FILES[kind][1]}\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    return {key for row in rows for key in re.findall(r"`([^`]+)`", row)}


def reported(kind: str) -> set[str]:
    """Return which keys the report on the example names, without names and numbers."""
    text = (EXAMPLES / FILES[kind][0]).read_text("utf-8")
    tree = parse_json(text) if kind == "h5ss" else parse_yaml(text)
    _, draft = carry_over(tree, kind, {})
    lines = [line for line in draft.lines if not line.sentence.startswith(UNKNOWN)]
    keys = {re.sub(r"\[\d+\]", "[]", line.where) for line in lines}
    return {NAMED.sub(r"\1.*", key) for key in keys} - {"the file"}


def test_every_importer_has_its_chapter() -> None:
    assert FILES.keys() == IMPORTERS.keys()
    for kind, (_, heading) in FILES.items():
        assert heading.startswith(IMPORTERS[kind].product)


@pytest.mark.parametrize("kind", FILES)
def test_every_key_of_a_report_is_documented(kind: str) -> None:
    assert reported(kind) - documented(kind) == set()


@pytest.mark.parametrize("kind", FILES)
def test_every_documented_key_is_read_by_its_importer(kind: str) -> None:
    modules = {kind, "go2rtc"} if kind == "frigate" else {kind}
    code = "".join((ROOT / f"h5sup/importers/{name}.py").read_text("utf-8") for name in modules)
    words = {word for key in documented(kind) for word in re.findall(r"\w+", key)}
    generated = {f"{verb}{what}" for verb in ("read", "publish") for what in ("User", "Pass")}
    hooks = {word for word in words if word.startswith("runOn")}
    assert not [word for word in words - generated - hooks if f'"{word}"' not in code]


def test_every_option_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"], ROOT)
    group = capsys.readouterr().out.split("another product's", 1)[1]
    options = set(re.findall(r"--[a-z]+", group))
    assert options == set(re.findall(r"`?(--(?:import|as|out|force))", DOCUMENT))
