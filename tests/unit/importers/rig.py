"""An old configuration as text, and what an importer makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from h5sup.config.loading import parse_config
from h5sup.importers.command import carry_over
from h5sup.importers.draft import Draft, Fate
from h5sup.importers.reading import parse_json, parse_yaml

DATA = Path(__file__).parents[2] / "data" / "importers"


@dataclass(frozen=True, slots=True)
class Outcome:
    """config.json's object, and the report by path."""

    raw: dict[str, Any]
    draft: Draft

    @property
    def sources(self) -> dict[str, dict[str, Any]]:
        """Return the sources by token."""
        return {source["token"]: source for source in self.raw["sources"]}

    def lines(self, where: str, fate: Fate = Fate.LEFT) -> list[str]:
        """Return what the report says of one place in the old file."""
        return [
            line.sentence for line in self.draft.lines if (line.where, line.fate) == (where, fate)
        ]

    def line(self, where: str, fate: Fate = Fate.LEFT) -> str:
        """Return the one thing it says of a place."""
        (sentence,) = self.lines(where, fate)
        return sentence


def outcome_of(kind: str, text: str, **environment: str) -> Outcome:
    """Carry a file over; what comes out must be a configuration."""
    tree = parse_json(text) if kind == "h5ss" else parse_yaml(text)
    raw, draft = carry_over(tree, kind, environment)
    parse_config(raw, draft.environment)
    return Outcome(raw, draft)


def example(kind: str, name: str, **environment: str) -> Outcome:
    """Carry over a file of tests/data/importers."""
    return outcome_of(kind, (DATA / name).read_text("utf-8"), **environment)
