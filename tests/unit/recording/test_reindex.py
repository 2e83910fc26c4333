"""`./run.py --reindex`, on files as they lie and beside a server that runs."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from h5sup.app.places import Places, find_places
from h5sup.cli import main
from h5sup.config.model import PathsConfig
from h5sup.formats.isobmff.recorded import MovieWriter
from h5sup.recording.mounts import MountGuard
from h5sup.store.media_index import FILE_NAME
from h5sup.support.report import SOCKET_NAME
from tests.fakes.mp4 import Camera
from tests.fakes.recorded import close, write


@pytest.fixture
def ram() -> Iterator[str]:
    """Return a folder with a short name: a socket's has at most 107 letters."""
    with TemporaryDirectory() as folder:
        yield folder


@pytest.fixture
def places(tmp_path: Path, ram: str) -> Places:
    paths = {"ram": ram, "media_root": "clips"}
    source = {"token": "front", "type": "file", "url": "x.mp4"}
    (tmp_path / "config.json").write_text(json.dumps({"paths": paths, "sources": [source]}))
    (tmp_path / "data").mkdir()
    (tmp_path / "ffmpeg_profiles").mkdir()
    return find_places(PathsConfig(**paths), tmp_path)


def put(places: Places, token: str, *, is_closed: bool = True, at: str = "10-00-00") -> Path:
    camera = Camera()
    note = {"token": token, "recording": "x.mp4", "trigger": "always"}
    writer = MovieWriter(camera.init, note)
    data = write(writer, camera.gop(25), camera.gop(25))
    path = places.mediastore / "record" / token / "2026-11-25TZ00" / at / "x.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(close(data, writer.close()) if is_closed else data)
    return path


def run(places: Places, *arguments: str) -> int:
    config = places.data.parent / "config.json"
    return main(["--reindex", "--config", str(config), *arguments], places.data.parent)


def test_the_index_is_built_from_the_files(
    places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    put(places, "front")
    put(places, "front", at="10-00-01", is_closed=False)
    put(places, "back")
    (places.data / FILE_NAME).write_bytes(b"no database" * 1000)
    assert run(places) == 0
    assert capsys.readouterr().out == (
        "the index has 3 files of 2 sources, 0.0 GB; 1 closed that had been cut off\n"
    )
    put(places, "back", at="10-00-02").with_suffix(".mp4").write_bytes(b"something else")
    put(places, "gate").unlink()
    assert run(places) == 0
    assert capsys.readouterr().out == (
        "the index has 3 files of 2 sources, 0.0 GB; 1 left alone that can't be read\n"
    )


@pytest.fixture
def running(places: Places) -> Iterator[None]:
    """Have a server answer at its socket."""
    places.ram.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(places.ram / SOCKET_NAME))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"{}")

        thread = threading.Thread(target=answer)
        thread.start()
        yield
        thread.join(10)


@pytest.mark.usefixtures("running")
def test_a_server_that_runs_is_left_alone(
    places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    put(places, "front")
    assert run(places) == 1
    assert capsys.readouterr().err == (
        "h5sup: h5sup runs and keeps its index right by itself: stop it first\n"
    )
    assert not (places.data / FILE_NAME).exists()


def test_a_disk_that_is_away_is_said(
    places: Places, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MountGuard, "find_fault", lambda _: "/mnt/cams is not mounted")
    assert run(places) == 1
    assert capsys.readouterr().err == "h5sup: /mnt/cams is not mounted\n"


def test_a_folder_that_takes_no_index_is_said(
    places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    (places.data / FILE_NAME).mkdir()
    assert run(places) == 1
    assert capsys.readouterr().err == f"h5sup: {places.data} can't be written\n"


def test_a_disk_that_goes_away_meanwhile_is_said(
    places: Places, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> list[str]:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("h5sup.recording.healing.list_days", fail)
    assert run(places) == 1
    assert capsys.readouterr().err == "h5sup: the index is not whole: Input/output error\n"
