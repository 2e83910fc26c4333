"""The folders of an installation, and its files of configuration."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from h5sup.base.errors import ConfigError
from h5sup.config.loading import load_config, load_profiles
from h5sup.config.model import Config, PathsConfig
from h5sup.config.profile import Profile

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of our own is made in it, mode 700)


@dataclass(frozen=True, slots=True)
class Places:
    """config.json's folders, absolute."""

    data: Path
    mediastore: Path
    profiles: Path
    www: Path
    media_root: Path
    ram: Path
    mark: str
    """What tells this installation's processes and RAM folder from another's."""


def find_places(paths: PathsConfig, home: Path) -> Places:
    """Return the folders; relative ones start at `home`, where config.json lies."""
    data = (home / paths.data).resolve()
    mark = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    parent = SHARED_MEMORY if SHARED_MEMORY.is_dir() else data
    if paths.ram:
        parent = (home / paths.ram).resolve()
    return Places(
        data=data,
        mediastore=(home / paths.mediastore).resolve(),
        profiles=(home / paths.profiles).resolve(),
        www=(home / paths.www).resolve(),
        media_root=(home / paths.media_root).resolve(),
        ram=parent / f"h5sup-{mark}",  # ours alone: it is emptied at every start
        mark=mark,
    )


def prepare_folders(places: Places) -> None:
    """Make the folders that are ours to make; raises ConfigError."""
    shutil.rmtree(places.ram, ignore_errors=True)
    for path, key, mode in (
        (places.ram, "paths.ram", 0o700),
        (places.data, "paths.data", 0o700),
        (places.media_root, "paths.media_root", 0o755),
    ):
        try:
            path.mkdir(mode=mode, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(key, f"{path} can't be made: {error.strerror}") from error


def load_all(config_path: Path) -> tuple[Config, dict[str, Profile]]:
    """Return config.json and the profiles, checked; raises ConfigError."""
    config = load_config(config_path)
    profiles = load_profiles(find_places(config.paths, config_path.parent).profiles)
    check_profiles(config, profiles)
    return config, profiles


def check_profiles(config: Config, profiles: dict[str, Profile]) -> None:
    """Raise ConfigError for a source whose profile does not exist."""
    for index, source in enumerate(config.sources):
        if source.profile != "auto" and source.profile not in profiles:
            known = ", ".join(["auto", *sorted(profiles)])
            raise ConfigError(
                f"sources[{index}].profile",
                f"there is no profile {source.profile!r}; there are: {known}",
            )
