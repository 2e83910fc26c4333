"""Versions of ffmpeg, as Debian, static builds and git snapshots tell them."""

from __future__ import annotations

from pathlib import Path

import pytest

from h5sup.base.errors import ConfigError
from h5sup.ffmpeg.tools import find_tools, parse_version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2026", (5, 1)),
        ("ffmpeg version 7.1.1-1+b1 Copyright (c)", (7, 1)),
        ("ffmpeg version n9.0.2-17-g2a571b6068-20260930 Copyright (c)", (9, 0)),
        ("ffprobe version 6.0 Copyright (c)", (6, 0)),
        ("ffmpeg version N-109542-g\nlibavutil 57. 1\nlibavformat    59. 27.100 / 59.", (5, 1)),
        ("ffmpeg version git-2026\n  libavformat    63.  1.102 / 63.  1.102", (9, 1)),
        ("bash 5.2", None),
    ],
)
def test_version_is_read(text: str, version: tuple[int, int] | None) -> None:
    assert parse_version(text) == version


def script(folder: Path, name: str, body: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


async def test_installed_programs_are_found() -> None:
    tools = await find_tools("ffmpeg", "ffprobe")
    assert Path(tools.ffmpeg).is_absolute()
    assert tools.version >= (5, 1)


async def test_missing_program_is_named_with_advice() -> None:
    with pytest.raises(ConfigError, match=r"paths\.ffmpeg: there is no program .*apt install"):
        await find_tools("/nowhere/ffmpeg", "ffprobe")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("echo ffmpeg version 4.4.2 Copyright", "is version 4.4, h5sup needs 5.1 or newer"),
        ("echo hello", "does not tell its version"),
        ("exit 3", "can't be run: ended with exit code 3"),
    ],
)
async def test_unusable_program_is_named(tmp_path: Path, body: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        await find_tools(script(tmp_path, "ffmpeg", body), "ffprobe")
    assert caught.value.path == "paths.ffmpeg"
