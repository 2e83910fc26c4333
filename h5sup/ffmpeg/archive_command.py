"""Build the command that makes an archive of fragments. Pure: same input, same list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg

from h5sup.ffmpeg.command import AAC_RATE_HZ, QUIET
from h5sup.ffmpeg.tools import Tools

LAST = ("nice", "-n", "19")  # after everything live
PROGRESS = ("-progress", "pipe:1", "-stats_period", "0.5")
EARLY_S = 0.0005  # a picture that is a tick early, by rounding, must not be cut off
MAX_RATE = 30  # pictures a second of a fast archive
THREADS = 2
PICTURES = {
    "c:v": "libx264",
    "preset": "veryfast",
    "crf": 23,
    "pix_fmt": "yuv420p",
    "fps_mode": "passthrough",
    "threads": THREADS,
}
SOUND = {"c:a": "aac", "b:a": "64k", "ar": AAC_RATE_HZ}
SILENCE = f"anullsrc=sample_rate={AAC_RATE_HZ}:channel_layout=mono"
SOUND_FORMAT = {"sample_rates": AAC_RATE_HZ, "channel_layouts": "mono"}  # where several meet


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipe:
    """An init segment and fragments from a pipe; seconds are counted from their beginning."""

    fd: int
    begin_s: float
    """The first picture that is shown."""
    end_s: float
    has_sound: bool
    last_s: float = 0.0
    """How long the last picture lasts where that is not as long as others do: fragments from a
    pipe don't tell ffmpeg."""

    @property
    def cut_s(self) -> float:
        """Return where to cut before the first picture."""
        return max(0.0, self.begin_s - EARLY_S)


def build_copy(tools: Tools, pipe: Pipe, target: Path, *, speed: int) -> list[str]:
    """Return argv of the ffmpeg that makes an MP4 of a pipe with its pictures as they are.

    Those before the beginning can't be left out, as others need them: an edit list has players
    begin after them.
    """
    source = _open(pipe, itsoffset=f"{-pipe.cut_s:.6f}")
    coding: dict[str, Any] = {"c:v": "copy"}
    if speed > 1:
        coding["bsf:v"] = f"setts=pts=PTS/{speed}:dts=DTS/{speed}:duration=DURATION/{speed}"
    elif pipe.last_s:
        coding["bsf:v"] = f"setts=duration={pipe.last_s:.6f}/TB"
    tracks = [source["v:0"]]
    if pipe.has_sound:
        tracks.append(source["a:0"])
        faster = {"filter:a": f"atrim=start=0,atempo={speed}"} | SOUND
        coding |= {"c:a": "copy"} if speed == 1 else faster
    return _compile(tools, tracks, target, coding)


def build_encoding(
    tools: Tools, pipes: Sequence[Pipe], target: Path, *, speed: int, size: tuple[int, int]
) -> list[str]:
    """Return argv of the ffmpeg that makes one H.264 MP4 of pipes whose pictures may differ."""
    has_sound = any(pipe.has_sound for pipe in pipes)
    parts = [_cut(pipe, size if len(pipes) > 1 else None, has_sound=has_sound) for pipe in pipes]
    tracks = parts[0]
    if len(parts) > 1:
        joined = ffmpeg.concat(*(track for part in parts for track in part), v=1, a=int(has_sound))
        tracks = [joined.node[number] for number in range(len(tracks))]
    if speed > 1:
        faster = tracks[0].filter("setpts", f"PTS/{speed}")
        # unlike the filter `fps` this keeps the very first picture
        seldom = f"isnan(prev_selected_t)+gte(t-prev_selected_t,{1 / MAX_RATE:.4f})"
        tracks = [
            faster.filter("select", seldom),
            *(one.filter("atempo", speed) for one in tracks[1:]),
        ]
    return _compile(tools, tracks, target, PICTURES | (SOUND if has_sound else {}))


def _cut(pipe: Pipe, size: tuple[int, int] | None, *, has_sound: bool) -> list[Any]:
    """Return the pictures and perhaps the sound of a pipe, on a timeline that starts at 0."""
    source = _open(pipe)
    end_s = pipe.end_s - EARLY_S
    pictures = source["v:0"].filter("trim", start=f"{pipe.cut_s:.6f}", end=f"{end_s:.6f}")
    pictures = pictures.filter("setpts", f"PTS-{pipe.cut_s:.6f}/TB")
    if size is not None:
        width, height = (length // 2 * 2 for length in size)
        pictures = pictures.filter("scale", width, height, force_original_aspect_ratio="decrease")
        pictures = pictures.filter("pad", width, height, -1, -1).filter("setsar", 1)
        pictures = pictures.filter("format", "yuv420p")
    if not has_sound:
        return [pictures]
    if not pipe.has_sound:
        lasts_s = max(0.04, pipe.end_s - pipe.cut_s)
        return [pictures, ffmpeg.input(SILENCE, format="lavfi", t=f"{lasts_s:.6f}")["a:0"]]
    sound = source["a:0"].filter("atrim", start=f"{pipe.cut_s:.6f}", end=f"{pipe.end_s:.6f}")
    sound = sound.filter("asetpts", f"PTS-{pipe.cut_s:.6f}/TB")
    if size is not None:  # what follows begins where the pictures end, so there must be no less
        sound = sound.filter("aresample", AAC_RATE_HZ, **{"async": 1, "first_pts": 0})
        sound = sound.filter("aformat", **SOUND_FORMAT)
    return [pictures, sound]


def _open(pipe: Pipe, **more: str) -> Any:
    return ffmpeg.input(
        f"pipe:{pipe.fd}",
        format="mov",
        protocol_whitelist="pipe",
        fpsprobesize=0,
        threads=THREADS,
        copyts=None,
        **more,
    )


def _compile(
    tools: Tools, tracks: Sequence[Any], target: Path, coding: dict[str, Any]
) -> list[str]:
    output = ffmpeg.output(*tracks, str(target), format="mp4", **coding)
    argv: list[str] = ffmpeg.compile(
        output, cmd=[*LAST, tools.ffmpeg, *QUIET, *PROGRESS], overwrite_output=True
    )
    return argv
