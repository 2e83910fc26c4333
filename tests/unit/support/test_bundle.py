"""The archive, made in a folder of its own."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from h5sup.base.clock import utc_now
from h5sup.support.bundle import LOG_TAIL_BYTES, Install, write_bundle


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Return an installation with one source added by API and no server."""
    for name in ("data", "profiles", "ram", "run", "here"):
        (tmp_path / name).mkdir()
    config = {
        "auth": {"users": [{"name": "admin", "password": "hunter22", "role": "Administrator"}]}
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    stored = {"sources": {"1": {"token": "e", "url": "rtsp://h/x", "password": "stored-word"}}}
    (tmp_path / "data" / "h5sup.json").write_text(json.dumps(stored))
    (tmp_path / "profiles" / "copy.json").write_text("{}")
    return Install(
        config=tmp_path / "config.json",
        data=tmp_path / "data",
        profiles=tmp_path / "profiles",
        ram=tmp_path / "ram",
        ffmpeg="ffmpeg version 5.1.9",
    )


def bundle(install: Install) -> dict[str, str]:
    path = write_bundle(install, install.config.parent / "here")
    with tarfile.open(path) as archive:
        found = {one.name.partition("/")[2]: archive.extractfile(one) for one in archive}
        texts = {name: file.read().decode() for name, file in found.items() if file}
    path.unlink()
    return texts


def test_secrets_of_one_file_are_hidden_in_all(install: Install) -> None:
    (install.logs / "h5sup.log").write_text("hunter22 and stored-word were said\n")
    files = bundle(install)
    assert files["logs/h5sup.log"] == "*** and *** were said\n"
    assert json.loads(files["stored.json"])["sources"]["1"]["password"] == "***"
    assert json.loads(files["versions.json"])["ffmpeg"] == "ffmpeg version 5.1.9"


def test_only_the_end_of_a_long_log_is_taken(install: Install) -> None:
    (install.logs / "h5sup.log").write_text("x" * 3 * LOG_TAIL_BYTES + "the end")
    log = bundle(install)["logs/h5sup.log"]
    assert len(log) == LOG_TAIL_BYTES
    assert log.endswith("the end")


def test_broken_files_are_told_and_left_out(install: Install) -> None:
    install.config.write_text('{"auth": {"users": [{"password": "hunter22"')
    (install.data / "h5sup.json").write_bytes(b"\xff\xfe\x00")
    files = bundle(install)
    assert "left out" in files["config.json"]
    assert "left out" in files["stored.json"]
    assert "line 1, column" in files["check.txt"]
    assert "hunter22" not in "".join(files.values())


def test_a_bundle_is_never_written_over_another(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = utc_now()
    monkeypatch.setattr("h5sup.support.bundle.utc_now", lambda: moment)
    write_bundle(install, install.logs)
    with pytest.raises(FileExistsError):
        write_bundle(install, install.logs)
