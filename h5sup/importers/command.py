"""`./run.py --import`: an old file in, a checked config.json and a report out."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from h5sup.base.errors import ConfigError
from h5sup.base.logs import redact
from h5sup.config.loading import load_config
from h5sup.importers import frigate, go2rtc, h5ss, mediamtx
from h5sup.importers.draft import Draft, Environment, Fate
from h5sup.importers.place import Marks, Place, Tree, unchanged
from h5sup.importers.reading import parse_json, parse_yaml, read_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Importer:
    """How one product's file is recognised and carried over."""

    product: str
    recognises: Callable[[Place], bool]
    carry_over: Callable[[Place, Draft], None]
    translate: Callable[[str, Environment], str] | None = None
    """Turns the product's variables into `${NAME}`; None where it has none."""


# In the order in which they are tried: Frigate's file has a go2rtc in it.
IMPORTERS = {
    "h5ss": Importer(product="H5Stream", recognises=h5ss.is_h5ss, carry_over=h5ss.import_h5ss),
    "frigate": Importer(
        product="Frigate",
        recognises=frigate.is_frigate,
        carry_over=frigate.import_frigate,
        translate=frigate.translate,
    ),
    "go2rtc": Importer(
        product="go2rtc",
        recognises=go2rtc.is_go2rtc,
        carry_over=go2rtc.import_go2rtc,
        translate=go2rtc.translate,
    ),
    "mediamtx": Importer(
        product="MediaMTX", recognises=mediamtx.is_mediamtx, carry_over=mediamtx.import_mediamtx
    ),
}


def import_file(
    path: Path,
    target: Path,
    *,
    kind: str | None = None,
    force: bool = False,
    environment: Mapping[str, str] = os.environ,
) -> str:
    """Write `target` from another product's file; return the report.

    Raises ConfigError with one sentence for a file that can't be read and for a target that is
    there already, unless forced.
    """
    if kind is not None and kind not in IMPORTERS:
        raise ConfigError("--as", f"must be one of {', '.join(IMPORTERS)}")
    if target.exists() and not force:
        raise ConfigError("", f"{target} is there already: name another --out, or add --force")
    tree, kind = _read(path, kind)
    raw, draft = carry_over(tree, kind, environment)
    write_config(raw, target, force=force, environment=draft.environment)
    heading = f"{target} from {path.name}, {IMPORTERS[kind].product}: {draft.count()}"
    return "\n".join([heading, *_report(draft), *_advice(draft, target)]) + "\n"


def carry_over(
    tree: Tree, kind: str, environment: Mapping[str, str]
) -> tuple[dict[str, Any], Draft]:
    """Return config.json's object and how it came about."""
    importer = IMPORTERS[kind]
    draft = Draft(environment, has_variables=importer.translate is not None)
    root = Place(tree, marks=Marks(translate=_translator(importer, draft)))
    importer.carry_over(root, draft)
    draft.leave_unread(root)
    return draft.finish(root), draft


def write_config(
    raw: dict[str, Any], target: Path, *, force: bool, environment: Mapping[str, str]
) -> None:
    """Write config.json, for its owner's eyes alone, once the real loader takes it."""
    text = json.dumps(raw, indent=2, ensure_ascii=False) + "\n"
    try:
        handle, name = tempfile.mkstemp(prefix=".import-", suffix=".json", dir=target.parent)
    except OSError as error:
        raise ConfigError("", f"{target.parent} can't be written: {error.strerror}") from error
    draft_path = Path(name)  # mkstemp made it with mode 600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        load_config(draft_path, environment)
        if force:
            draft_path.replace(target)
        else:
            target.hardlink_to(draft_path)  # fails where a file is, also one that just came
    except FileExistsError:
        raise ConfigError("", f"{target} is there already") from None
    except OSError as error:
        raise ConfigError("", f"{target} can't be written: {error.strerror}") from error
    finally:
        draft_path.unlink(missing_ok=True)


def _read(path: Path, kind: str | None) -> tuple[Tree, str]:
    text = read_text(path)
    try:
        is_json = kind == "h5ss" or (kind is None and text.lstrip().startswith("{"))
        tree = parse_json(text) if is_json else parse_yaml(text)
    except ConfigError as error:
        raise ConfigError(path.name, error.problem) from error
    if not isinstance(tree, dict):
        raise ConfigError(path.name, "holds no object of settings")
    return tree, kind or _recognise(tree, path)


def _recognise(tree: Tree, path: Path) -> str:
    for kind, importer in IMPORTERS.items():
        if importer.recognises(Place(tree)):
            return kind
    kinds = ", ".join(IMPORTERS)
    raise ConfigError(path.name, f"is of no kind that is known: say which with --as, of {kinds}")


def _translator(importer: Importer, draft: Draft) -> Callable[[str], str]:
    translate = importer.translate
    if translate is None:
        return unchanged
    return lambda text: translate(text, draft.environment)


def _report(draft: Draft) -> list[str]:
    report: list[str] = []
    for fate in Fate:
        lines = [line for line in draft.lines if line.fate is fate]
        if lines:
            report += ["", fate.value]
        report += [redact(f"  {line.where}: {line.sentence}") for line in lines]
    return report


def _advice(draft: Draft, target: Path) -> list[str]:
    advice = [""]
    if draft.environment.defaulted:
        names = ", ".join(sorted(draft.environment.defaulted))
        advice.append(f"The old file's defaults stand for these variables, unset here: {names}")
    if draft.environment.missing:
        names = ", ".join(sorted(draft.environment.missing))
        advice.append(f"Set these variables in the environment of h5sup first: {names}")
    if not (target.parent / "ffmpeg_profiles").is_dir():
        advice.append("Put the file beside ffmpeg_profiles: relative paths start where it lies.")
    advice.append(f"Look it over, then try it: ./run.py --config {target} --check")
    return advice
