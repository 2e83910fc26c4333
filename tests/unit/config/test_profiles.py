"""Profiles: named recipes without any raw argument."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from h5sup.base.errors import ConfigError
from h5sup.config.loading import load_profiles
from h5sup.config.profile import Profile, VideoRecipe


def refuse(folder: Path, name: str, raw: Any) -> ConfigError:
    (folder / name).write_text(raw if isinstance(raw, str) else json.dumps(raw))
    with pytest.raises(ConfigError) as caught:
        load_profiles(folder)
    return caught.value


def test_profile_is_called_as_its_file(tmp_path: Path) -> None:
    (tmp_path / "small.json").write_text('{"video": {"encoder": "libx264", "max_height": 360}}')
    (tmp_path / "named.json").write_text('{"name": "named"}')
    (tmp_path / "README").write_text("no profile")
    recipe = VideoRecipe(encoder="libx264", max_height=360)
    assert load_profiles(tmp_path) == {
        "small": Profile(name="small", video=recipe),
        "named": Profile(name="named"),
    }


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"paths\.profiles: there is no folder"):
        load_profiles(tmp_path / "none")


@pytest.mark.parametrize("name", ["main", "sub", "auto"])
def test_reserved_name_is_refused(tmp_path: Path, name: str) -> None:
    error = refuse(tmp_path, f"{name}.json", {})
    assert error.path == f"{name}.json"
    assert "reserved" in error.problem


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        ({"name": "other"}, "x.json:name"),
        ({"video": {"encoder": "h264_nvenc"}}, "x.json:video.encoder"),
        ({"video": {"args": "-vf x"}}, "x.json:video.args"),
        ({"video": {"gop_s": 0}}, "x.json:video.gop_s"),
        ({"video": {"bitrate_kbps": 49}}, "x.json:video.bitrate_kbps"),
        ({"audio": {"bitrate_kbps": "48k"}}, "x.json:audio.bitrate_kbps"),
        ("{", "x.json"),
    ],
)
def test_complaint_names_file_and_path(tmp_path: Path, raw: Any, where: str) -> None:
    assert refuse(tmp_path, "x.json", raw).path == where
