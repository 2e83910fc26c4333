"""`./run.py --support-bundle`: one archive that shows how this installation is and fares.

Each text passes twice: configurations are masked key by key, and then every secret found in any of
them is replaced wherever it stands in any file.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import platform
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from h5sup import __version__
from h5sup.base.clock import utc_now
from h5sup.base.errors import ConfigError
from h5sup.config.loading import load_config
from h5sup.ffmpeg.lines import build_redactor
from h5sup.support.masking import find_secrets, mask
from h5sup.support.report import fetch_report

PACKAGES = ("aiohttp", "aiortc", "argon2-cffi", "msgspec", "psutil", "pylibsrtp", "tinydb")
LOGS = ("h5sup.log", "supervisord.log")
LOG_TAIL_BYTES = 200_000
NO_SERVER = "no server of this configuration runs\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Install:
    """Where everything of one installation lies."""

    config: Path
    data: Path
    profiles: Path
    ram: Path
    ffmpeg: str
    """What ffmpeg says of its version, or why it can't be asked."""

    @property
    def logs(self) -> Path:
        """Return where supervisord writes the logs."""
        return self.config.parent / "run"


def write_bundle(install: Install, folder: Path) -> Path:
    """Write the archive into `folder`, for its owner alone, and return its path; blocks."""
    stamp = utc_now().strftime("%Y%m%dT%H%M%SZ")
    path = folder / f"h5sup-support-{stamp}.tar.gz"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    hide = build_redactor(_secrets_of(install))
    with (
        os.fdopen(descriptor, "wb") as file,
        tarfile.open(fileobj=file, mode="w:gz") as archive,
    ):
        for name, text in collect(install):
            _add(archive, f"{path.name.removesuffix('.tar.gz')}/{name}", text, hide)
    return path


def collect(install: Install) -> Iterator[tuple[str, str]]:
    """Yield the files with their text; what can't be had says why."""
    yield "versions.json", _json(_versions(install))
    yield "check.txt", _judge(install.config)
    yield "config.json", _masked(install.config)
    yield "stored.json", _masked(install.data / "h5sup.json")
    yield "codecs.json", _masked(install.data / "codecs.json")
    for path in sorted(install.profiles.glob("*.json")):
        yield f"profiles/{path.name}", _masked(path)
    report = fetch_report(install.ram)
    yield "report.json", NO_SERVER if report is None else _pretty(report)
    for name in LOGS:
        yield f"logs/{name}", _tail(install.logs / name)


def _versions(install: Install) -> dict[str, Any]:
    return {
        "h5sup": __version__,
        "ffmpeg": install.ffmpeg,
        "python": sys.version,
        "system": platform.platform(),
        "machine": platform.machine(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def _judge(config: Path) -> str:
    try:
        found = load_config(config)
    except ConfigError as error:
        return f"{error}\n"
    return f"config.json is fine: {len(found.sources)} sources\n"


def _masked(path: Path) -> str:
    """Return a JSON file with its secrets masked; one that is no JSON is left out."""
    try:
        return _json(mask(json.loads(path.read_text(encoding="utf-8-sig"))))
    except OSError as error:
        return f"{path.name} can't be read: {error.strerror}\n"
    except ValueError:
        return f"{path.name} is no JSON: it is left out, as nobody knows what is secret in it\n"


def _pretty(report: bytes) -> str:
    try:
        return _json(json.loads(report))
    except ValueError:
        return "the server's report was cut off\n"


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            size_bytes = file.seek(0, os.SEEK_END)
            file.seek(max(0, size_bytes - LOG_TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError as error:
        return f"{path.name} can't be read: {error.strerror}\n"


def _secrets_of(install: Install) -> set[str]:
    """Return all secrets of both configurations, those from the environment among them."""
    found: set[str] = set()
    for path in (install.config, install.data / "h5sup.json"):
        try:
            found.update(find_secrets(json.loads(path.read_text(encoding="utf-8-sig"))))
        except (OSError, ValueError):
            continue
    with suppress(ConfigError):  # then what stands in the file is all there is
        found.update(find_secrets(msgspec.to_builtins(load_config(install.config))))
    return found


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def _add(archive: tarfile.TarFile, name: str, text: str, hide: Callable[[str], str]) -> None:
    data = hide(text).encode("utf-8", "replace")
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    entry.mtime = int(utc_now().timestamp())
    entry.mode = 0o600
    archive.addfile(entry, io.BytesIO(data))
