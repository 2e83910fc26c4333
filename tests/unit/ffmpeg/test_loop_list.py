"""The list that loops a file."""

from __future__ import annotations

from pathlib import Path

from h5sup.ffmpeg.command import write_loop_list


def test_what_is_there_already_is_not_written_again(tmp_path: Path) -> None:
    playlist = tmp_path / "copy.ffconcat"
    write_loop_list(playlist, Path("/clips/it's.mp4"))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(before) == 2

    write_loop_list(playlist, Path("/clips/it's.mp4"))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before

    write_loop_list(playlist, Path("/clips/other.mp4"))
    inner = (tmp_path / "copy.inner.ffconcat").read_text()
    assert set(inner.splitlines()) == {"ffconcat version 1.0", "file '/clips/other.mp4'"}
