"""Build the command that makes an archive of fragments. Pure: same input, same list."""

from __future__ import annotations

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
QUALITY = {"preset": "veryfast", "crf": 23, "pix_fmt": "yuv420p"}
SOUND = {"c:a": "aac", "b:a": "64k", "ar": AAC_RATE_HZ}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What of the fragments is shown, in seconds from their beginning."""

    begin_s: float
    end_s: float


def build_archive(
    tools: Tools,
    *,
    feed_fd: int,
    target: Path,
    cut: Cut,
    speed: int,
    encode: bool,
    has_sound: bool,
    last_s: float = 0.0,
) -> list[str]:
    """Return argv of the ffmpeg that makes an MP4 of an init segment and fragments.

    Without `encode` pictures go as they are. Those before the cut can't be left out, as others
    need them: an edit list has players begin after them. `last_s` is how long the last picture
    lasts where that is not as long as others do: fragments from a pipe don't tell ffmpeg.
    """
    begin_s = max(0.0, cut.begin_s - EARLY_S)
    options: dict[str, Any] = {"format": "mov", "protocol_whitelist": "pipe", "fpsprobesize": 0}
    options |= {"threads": THREADS, "copyts": None}
    if not encode:
        options["itsoffset"] = f"{-begin_s:.6f}"
    source = ffmpeg.input(f"pipe:{feed_fd}", **options)
    tracks = [source["v:0"]] + ([source["a:0"]] if has_sound else [])
    coding = _encoded(begin_s, cut.end_s, speed) if encode else _copied(speed, last_s)
    if not has_sound:
        coding = {name: value for name, value in coding.items() if not name.endswith(("a", "ar"))}
    output = ffmpeg.output(*tracks, str(target), format="mp4", **coding)
    argv: list[str] = ffmpeg.compile(
        output, cmd=[*LAST, tools.ffmpeg, *QUIET, *PROGRESS], overwrite_output=True
    )
    return argv


def _copied(speed: int, last_s: float) -> dict[str, Any]:
    if speed == 1:
        lasting = {"bsf:v": f"setts=duration={last_s:.6f}/TB"} if last_s else {}
        return {"c:v": "copy", "c:a": "copy", **lasting}
    faster = f"setts=pts=PTS/{speed}:dts=DTS/{speed}:duration=DURATION/{speed}"
    sound = SOUND | {"filter:a": f"atrim=start=0,atempo={speed}"}
    return {"c:v": "copy", "bsf:v": faster, **sound}


def _encoded(begin_s: float, end_s: float, speed: int) -> dict[str, Any]:
    pictures = f"trim=start={begin_s:.6f}:end={end_s - EARLY_S:.6f}"
    pictures += f",setpts=(PTS-{begin_s:.6f}/TB)/{speed}"
    sound = f"atrim=start={begin_s:.6f}:end={end_s:.6f},asetpts=PTS-{begin_s:.6f}/TB"
    if speed > 1:
        # unlike the filter `fps` this keeps the very first one
        pictures += rf",select=isnan(prev_selected_t)+gte(t-prev_selected_t\,{1 / MAX_RATE:.4f})"
        sound += f",atempo={speed}"
    return {
        "c:v": "libx264",
        "filter:v": pictures,
        "fps_mode": "passthrough",
        "threads": THREADS,
        **QUALITY,
        **SOUND,
        "filter:a": sound,
    }
