"""The command that makes an archive."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from h5sup.ffmpeg.archive_command import Pipe, build_copy, build_encoding
from h5sup.ffmpeg.tools import Tools

TOOLS = Tools("ffmpeg", "ffprobe", (5, 1))
TARGET = Path("/media/.a.mp4.part")
PIPE = Pipe(fd=7, begin_s=0.52, end_s=3.0, has_sound=True)


def value(argv: list[str], option: str) -> str:
    return argv[argv.index(option) + 1]


def copied(pipe: Pipe = PIPE, speed: int = 1) -> list[str]:
    return build_copy(TOOLS, pipe, TARGET, speed=speed)


def encoded(*pipes: Pipe, speed: int = 1) -> list[str]:
    return build_encoding(TOOLS, pipes or [PIPE], TARGET, speed=speed, size=(1921, 1080))


def test_it_runs_after_everything_live_and_tells_how_far_it_is() -> None:
    for argv in (copied(), encoded()):
        assert argv[:4] == ["nice", "-n", "19", "ffmpeg"]
        assert value(argv, "-progress") == "pipe:1"


def test_it_reads_pipes_alone_and_writes_over_what_was_put_there() -> None:
    for argv in (copied(), encoded()):
        assert value(argv, "-i") == "pipe:7"
        assert value(argv, "-protocol_whitelist") == "pipe"
        assert argv[-2:] == ["/media/.a.mp4.part", "-y"]


def test_a_copy_begins_at_its_picture_by_an_edit_list() -> None:
    argv = copied()
    assert value(argv, "-itsoffset") == "-0.519500"
    assert (value(argv, "-c:v"), value(argv, "-c:a")) == ("copy", "copy")
    assert "-bsf:v" not in argv


def test_a_faster_copy_has_its_times_divided_and_its_sound_made_anew() -> None:
    argv = copied(speed=2)
    assert value(argv, "-bsf:v").startswith("setts=pts=PTS/2:")
    assert (value(argv, "-c:v"), value(argv, "-c:a")) == ("copy", "aac")


def test_a_last_picture_of_its_own_length_is_told() -> None:
    argv = copied(replace(PIPE, has_sound=False, last_s=0.25))
    assert value(argv, "-bsf:v") == "setts=duration=0.250000/TB"


def test_without_sound_nothing_is_said_of_it() -> None:
    mute = replace(PIPE, has_sound=False)
    for argv in (copied(mute), copied(mute, speed=2), encoded(mute), encoded(mute, speed=2)):
        assert argv.count("-map") == 1
        assert not [word for word in argv if word.endswith((":a", "-ar"))]


def test_what_is_encoded_is_cut_by_filters() -> None:
    argv = encoded(speed=4)
    assert "-itsoffset" not in argv
    graph = value(argv, "-filter_complex")
    assert "trim=end=2.999500:start=0.519500" in graph
    assert "atempo=4" in graph
    assert "scale" not in graph


def test_pictures_of_several_kinds_are_joined_in_one_size() -> None:
    graph = value(encoded(PIPE, replace(PIPE, fd=8, has_sound=False)), "-filter_complex")
    assert graph.count("scale=1920:1080") == 2
    assert "concat=a=1:n=2:v=1" in graph
