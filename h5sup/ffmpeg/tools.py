"""Find ffmpeg and ffprobe, and learn which version they are."""

from __future__ import annotations

import asyncio
import re
import shutil
from dataclasses import dataclass

from h5sup.base.errors import ConfigError
from h5sup.ffmpeg.process import DIE_WITH_PARENT, JobError, Launcher

OLDEST = (5, 1)
JUDGES_RTSPS = (7, 0)  # none before does; of those since, it is asked
RELEASE = re.compile(r"^ff\w+ version n?(\d+)\.(\d+)")
LIBAVFORMAT = re.compile(r"^\s*libavformat\s+(\d+)\.", re.MULTILINE)
LIBAVFORMAT_OF_5 = 59  # one more with every major release since
VERSION_TIMEOUT_S = 20.0  # the first start from a slow SD card


@dataclass(frozen=True, slots=True)
class Tools:
    """Where the programs are; `version` is ffmpeg's, as (major, minor)."""

    ffmpeg: str
    ffprobe: str
    version: tuple[int, int]
    version_line: str = ""
    """What ffmpeg says of itself first: it differs between two builds of one version."""
    judges_rtsps: bool = False
    """ffmpeg looks at the certificate of RTSP over TLS, unless it is told not to."""


async def find_tools(ffmpeg: str, ffprobe: str) -> Tools:
    """Return the tools; raises ConfigError when one is missing, unusable or too old."""
    setpriv = DIE_WITH_PARENT[0]
    paths = [
        await _find(ffmpeg, "paths.ffmpeg", "install it with: apt install ffmpeg"),
        await _find(ffprobe, "paths.ffprobe", "install it with: apt install ffmpeg"),
    ]
    await _find(setpriv, "", "install it with: apt install util-linux")
    launcher = Launcher("tools")
    version, line = await _version(launcher, paths[0], "paths.ffmpeg")
    await _version(launcher, paths[1], "paths.ffprobe")
    judges_rtsps = version >= JUDGES_RTSPS and await _knows_rtsps(launcher, paths[0])
    return Tools(paths[0], paths[1], version, line, judges_rtsps)


def parse_version(text: str) -> tuple[int, int] | None:
    """Return the version out of the answer to `-version`, or None when it says nothing known."""
    if release := RELEASE.match(text):
        return int(release[1]), int(release[2])
    if library := LIBAVFORMAT.search(text):  # a build from git carries no release number
        return int(library[1]) - LIBAVFORMAT_OF_5 + 5, 1
    return None


async def _find(name: str, path: str, advice: str) -> str:
    found = await asyncio.to_thread(shutil.which, name)
    if found is None:
        raise ConfigError(path, f"there is no program {name}, {advice}")
    return found


async def _knows_rtsps(launcher: Launcher, program: str) -> bool:
    """Return whether RTSP has the option `tls_verify`, which ffmpeg refuses where it has not."""
    try:
        answer = await launcher.run_job(
            [program, "-hide_banner", "-h", "demuxer=rtsp"],
            timeout_s=VERSION_TIMEOUT_S,
            max_bytes=100_000,
        )
    except (JobError, OSError):
        return False
    return b"tls_verify" in answer


async def _version(launcher: Launcher, program: str, path: str) -> tuple[tuple[int, int], str]:
    try:
        answer = await launcher.run_job(
            [program, "-version"], timeout_s=VERSION_TIMEOUT_S, max_bytes=100_000
        )
    except (JobError, OSError) as error:
        raise ConfigError(path, f"{program} can't be run: {error}") from error
    text = answer.decode(errors="replace")
    version = parse_version(text)
    if version is None:
        raise ConfigError(path, f"{program} does not tell its version, is it ffmpeg?")
    if version < OLDEST:
        found = ".".join(map(str, version))
        raise ConfigError(path, f"{program} is version {found}, h5sup needs 5.1 or newer")
    return version, text.partition("\n")[0].partition(" Copyright")[0].strip()
