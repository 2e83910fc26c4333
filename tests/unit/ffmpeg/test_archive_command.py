"""The command that makes an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from h5sup.ffmpeg.archive_command import Cut, build_archive
from h5sup.ffmpeg.tools import Tools


def build(**changed: Any) -> list[str]:
    settings: dict[str, Any] = {
        "feed_fd": 7,
        "target": Path("/media/.a.mp4.part"),
        "cut": Cut(begin_s=0.52, end_s=3.0),
        "speed": 1,
        "encode": False,
        "has_sound": True,
    }
    return build_archive(Tools("ffmpeg", "ffprobe", (5, 1)), **(settings | changed))


def value(argv: list[str], option: str) -> str:
    return argv[argv.index(option) + 1]


def test_it_runs_after_everything_live_and_tells_how_far_it_is() -> None:
    argv = build()
    assert argv[:4] == ["nice", "-n", "19", "ffmpeg"]
    assert value(argv, "-progress") == "pipe:1"


def test_it_reads_the_pipe_alone_and_writes_over_what_was_put_there() -> None:
    argv = build()
    assert value(argv, "-i") == "pipe:7"
    assert value(argv, "-protocol_whitelist") == "pipe"
    assert argv[-2:] == ["/media/.a.mp4.part", "-y"]


def test_a_copy_begins_at_its_picture_by_an_edit_list() -> None:
    argv = build()
    assert value(argv, "-itsoffset") == "-0.519500"
    assert (value(argv, "-c:v"), value(argv, "-c:a")) == ("copy", "copy")


def test_without_sound_nothing_is_said_of_it() -> None:
    for argv in (build(has_sound=False), build(has_sound=False, encode=True, speed=2)):
        assert argv.count("-map") == 1
        assert not [word for word in argv if word.endswith((":a", "-ar"))]


def test_what_is_encoded_is_cut_by_filters() -> None:
    argv = build(encode=True, speed=4)
    assert "-itsoffset" not in argv
    assert value(argv, "-filter:v").startswith("trim=start=0.519500:end=2.999500,setpts=")
    assert value(argv, "-filter:a").endswith(",atempo=4")
