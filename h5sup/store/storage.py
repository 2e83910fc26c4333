"""TinyDB's file, written so that a power cut loses at most the change under way."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from tinydb.storages import Storage

from h5sup.base.errors import ConfigError

logger = logging.getLogger(__name__)

Tables = dict[str, dict[str, Any]]


class AtomicStorage(Storage):
    """Keeps the newest generation in `path` and the one before it in `path`.bak.

    A write goes to a temporary file that is synced and then renamed. What is read comes from
    memory and changes only once a write has succeeded. Used from one thread.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._older = path.with_name(path.name + ".bak")
        self._temporary = path.with_name(path.name + ".tmp")
        self._text = _load(path, self._older)

    def read(self) -> Tables | None:
        """Return all tables, or None when there are none yet."""
        tables: Tables | None = json.loads(self._text) if self._text else None
        return tables

    def write(self, data: Tables) -> None:
        """Replace the file; on failure raises OSError and leaves what was there."""
        text = json.dumps(data, ensure_ascii=False, indent=1, sort_keys=True)
        _write_synced(self._temporary, text)
        if self._path.exists():
            self._path.replace(self._older)
        self._temporary.replace(self._path)
        self._text = text
        _sync_folder(self._path.parent)


def _load(path: Path, older: Path) -> str:
    """Return the newest readable generation; raises ConfigError when all there are is broken."""
    newest_text, newest_problem = _read(path)
    if newest_text:
        return newest_text
    older_text, older_problem = _read(older)
    if older_text:
        logger.warning(
            "%s %s; what stood there before the last change is used", path, newest_problem
        )
        if path.exists():  # or the next write would put it in the good one's place
            path.replace(path.with_name(path.name + ".damaged"))
        return older_text
    if path.exists():
        raise ConfigError(
            "",
            f"{path} {newest_problem}, and {older} {older_problem}: mend one of them, "
            "or move both away to start without what was added by API",
        )
    if older.exists():
        raise ConfigError("", f"{path} is missing and {older} {older_problem}: mend it or move it")
    return ""


def _read(path: Path) -> tuple[str, str]:
    """Return the file's text and nothing, or an empty text and what is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return "", "is missing"
    except (OSError, UnicodeDecodeError) as error:
        return "", f"can't be read ({error})"
    try:
        tables = json.loads(text)
    except (ValueError, RecursionError):
        return "", "is damaged"
    if not _are_tables(tables):
        return "", "holds something else"
    return text, ""


def _are_tables(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(table, dict)
        and all(key.isdigit() and isinstance(row, dict) for key, row in table.items())
        for table in value.values()
    )


def _write_synced(path: Path, text: str) -> None:
    # cameras' passwords are in it: nobody else on the machine shall read it
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
