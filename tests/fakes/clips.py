"""Short lavfi clips whose pictures carry their frame number, made on demand and kept.

The number stands in the top row in 14 square blocks of a 16th of the width: white, black (to
recognise the row), then the frame's 12-bit index, most significant bit first, white for 1.
A player's screen and a decoded picture therefore both tell which frame they show.

A clip with `flash` is dark but for a white flash in the middle of each second, and silent but for
a beep that begins with it: a player's picture and sound tell how far they are apart.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

INDEX_BITS = 12
BLOCKS_PER_ROW = 16
SAMPLE_RATE = {"aac": 48000, "pcm_alaw": 8000}
WHITE = 128
FLASH_AT_S = 0.48  # of each second; not at the seam of a clip that is looped
FLASH_S = 0.12
AAC_FRAME_SAMPLES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a clip contains; two equal recipes give the same file."""

    video: str = "h264"  # h264, hevc or mjpeg
    audio: str = ""  # aac, pcm_alaw or none
    fps: int = 25
    ntsc: bool = False  # a thousandth slower: 29.97 pictures a second
    gop_s: float = 1.0
    duration_s: int = 8
    b_frames: int = 0
    width: int = 384
    height: int = 216
    bitrate_kbps: int = 0  # 0: constant quality; else constant rate on a noisy picture
    flash: bool = False
    suffix: str = ".mp4"

    @property
    def frames(self) -> int:
        """How many pictures the clip holds."""
        return self.fps * self.duration_s

    def argv(self, ffmpeg: str, path: Path) -> list[str]:
        """Return the command that makes the clip."""
        rate = f"{self.fps}000/1001" if self.ntsc else self.fps
        size = f"size={self.width}x{self.height}:rate={rate}:duration={self.duration_s}"
        return [
            ffmpeg, "-hide_banner", "-nostdin", "-loglevel", "error", "-y",
            "-f", "lavfi", "-i", f"testsrc2={size}", *self._audio_input(),
            "-vf", f"{self._noise()}{self._flash()}{self._index_row()},format={self._pixels()}",
            *self._video(), *self._audio(), "-t", str(self.duration_s), str(path),
        ]  # fmt: skip

    def _pixels(self) -> str:
        return "yuvj420p" if self.video == "mjpeg" else "yuv420p"

    def _noise(self) -> str:
        return "noise=alls=12:allf=t," if self.bitrate_kbps else ""

    def _flash(self) -> str:
        """Cover the picture with black, in the flash with white."""
        if not self.flash:
            return ""
        within = f"between(mod(t\\,1)\\,{FLASH_AT_S - 0.01:g}\\,{FLASH_AT_S + FLASH_S - 0.01:g})"
        return f"drawbox=c=black:t=fill,drawbox=c=white:t=fill:enable='{within}',"

    def _index_row(self) -> str:
        """Draw a black row and on it the white blocks of each frame."""
        side = self.width // BLOCKS_PER_ROW
        boxes = [f"drawbox=w={side * (INDEX_BITS + 2)}:h={side}:c=black:t=fill"]
        boxes.append(f"drawbox=w={side}:h={side}:c=white:t=fill")
        for position in range(INDEX_BITS):
            unit = 1 << (INDEX_BITS - 1 - position)
            when = f"gte(mod(n\\,{2 * unit})\\,{unit})"
            x = side * (position + 2)
            boxes.append(f"drawbox=x={x}:w={side}:h={side}:c=white:t=fill:enable='{when}'")
        return ",".join(boxes)

    def _video(self) -> list[str]:
        gop = str(max(1, round(self.gop_s * self.fps)))
        rate = f"{self.bitrate_kbps}k"
        budget = ["-b:v", rate, "-maxrate", rate, "-bufsize", rate] if self.bitrate_kbps else []
        match self.video:
            case "h264":
                # One slice per picture, as cameras send it.
                tuning = "scenecut=0:sliced-threads=0:slices=1"
                encoder = ["-c:v", "libx264", "-profile:v", "main", "-x264-params", tuning]
            case "hevc":
                tuning = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes=0:log-level=none"
                encoder = ["-c:v", "libx265", "-tag:v", "hvc1", "-x265-params", tuning]
            case _:
                # RFC 2435 has no room for Huffman tables: receivers use the standard ones.
                return ["-c:v", "mjpeg", "-huffman", "default", "-q:v", "6"]
        frames = ["-g", gop, "-keyint_min", gop, "-bf", str(self.b_frames)]
        return [*encoder, "-preset", "ultrafast", *frames, *budget]

    def _audio_input(self) -> list[str]:
        if not self.audio:
            return []
        rate_hz = SAMPLE_RATE[self.audio]
        tone = f"sine=frequency=440:sample_rate={rate_hz}:duration={self.duration_s}"
        return ["-f", "lavfi", "-i", self._beeps(rate_hz) if self.flash else tone]

    def _beeps(self, rate_hz: int) -> str:
        # The camera takes an AAC clip frame by frame, and the encoder's first frame is nothing.
        begins_s = FLASH_AT_S - (AAC_FRAME_SAMPLES / rate_hz if self.audio == "aac" else 0.0)
        within = f"between(mod(t\\,1)\\,{begins_s:.6f}\\,{begins_s + FLASH_S:.6f})"
        return f"aevalsrc=0.5*sin(2*PI*1000*t)*{within}:s={rate_hz}:d={self.duration_s}"

    def _audio(self) -> list[str]:
        if not self.audio:
            return ["-an"]
        encoder = ["-c:a", self.audio, "-ac", "1"]
        if self.flash and self.audio == "aac":  # sound as long as the pictures, frame by frame
            frames = self.duration_s * SAMPLE_RATE["aac"] // AAC_FRAME_SAMPLES
            encoder += ["-frames:a", str(frames), "-use_editlist", "0"]
        return encoder


CLIPS = {
    "h264_aac": Recipe(audio="aac"),
    "h264_pcma": Recipe(audio="pcm_alaw", suffix=".mov"),
    "h264_mute": Recipe(),
    "h264_bframes": Recipe(audio="aac", b_frames=2, gop_s=2),
    "h264_gop4": Recipe(audio="aac", gop_s=4),
    "h264_gop10": Recipe(audio="aac", gop_s=10, duration_s=20),
    "h264_fps5": Recipe(audio="aac", fps=5),
    "h264_fps15": Recipe(audio="aac", fps=15),
    "h264_fps30": Recipe(audio="aac", fps=30),
    "h264_fps60": Recipe(audio="aac", fps=60),
    "h264_2m": Recipe(audio="aac", width=1280, height=720, bitrate_kbps=2000),
    "h264_2m_ts": Recipe(width=1280, height=720, bitrate_kbps=2000, suffix=".ts"),
    "h264_2m_mute": Recipe(width=1280, height=720, bitrate_kbps=2000),
    "h264_1080": Recipe(width=1920, height=1080, bitrate_kbps=4000),
    "h264_ts": Recipe(audio="aac", suffix=".ts"),
    "h264_short": Recipe(audio="aac", duration_s=1),
    "h264_ts_short": Recipe(audio="aac", duration_s=1, suffix=".ts"),
    "h264_flv": Recipe(audio="aac", suffix=".flv"),
    "hevc_aac": Recipe(video="hevc", audio="aac"),
    "hevc_pcma": Recipe(video="hevc", audio="pcm_alaw", suffix=".mov"),
    "mjpeg": Recipe(video="mjpeg", suffix=".mov"),
    # Many GOPs, for cuts.
    "h264_cuts": Recipe(audio="aac", gop_s=0.2, b_frames=2),
    "h264_cuts_2997": Recipe(audio="aac", fps=30, ntsc=True, gop_s=0.2, width=256, height=144),
    "hevc_cuts": Recipe(video="hevc", audio="aac", gop_s=0.2, width=256, height=144),
    "flash_aac": Recipe(audio="aac", flash=True),
    "flash_pcma": Recipe(audio="pcm_alaw", flash=True, suffix=".mov"),
    "flash_hevc": Recipe(video="hevc", audio="aac", flash=True),
}


class Clips:
    """The clips by name, each made when first asked for and kept in `folder` for later runs."""

    def __init__(self, folder: Path, ffmpeg: str) -> None:
        self._folder = folder
        self._ffmpeg = ffmpeg

    def __getitem__(self, name: str) -> Path:
        """Return the file of the clip called `name`."""
        return self.make(CLIPS[name], name)

    def make(self, recipe: Recipe, name: str = "clip") -> Path:
        """Return the file made by `recipe`; its name changes with the recipe."""
        recipe_id = hashlib.sha256("\n".join(recipe.argv("", Path())).encode()).hexdigest()[:12]
        path = self._folder / f"{name}-{recipe_id}{recipe.suffix}"
        if not path.exists():
            # Several test runs may share the folder: nobody sees a file half written.
            unfinished = path.with_stem(f"{path.stem}.{os.getpid()}")
            try:
                subprocess.run(recipe.argv(self._ffmpeg, unfinished), check=True, timeout=100)
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)
        return path


def read_frame_index(luma: bytes, line_bytes: int, width: int = 0) -> int:
    """Return the number a picture shows; `luma` is its 8-bit grey plane, at least the row.

    A picture is as wide as a line is long unless `width` says otherwise.
    """
    side = (width or line_bytes) // BLOCKS_PER_ROW
    middle = (side // 2) * line_bytes + side // 2
    blocks = [luma[middle + side * block] >= WHITE for block in range(INDEX_BITS + 2)]
    if blocks[:2] != [True, False]:
        raise ValueError("the picture carries no frame number")
    return sum(bit << (INDEX_BITS - 1 - place) for place, bit in enumerate(blocks[2:]))


def decode_frame_indexes(media: Path | bytes, ffmpeg: str = "ffmpeg") -> list[int]:
    """Decode `media` (a file, or what a player was sent) and return the numbers it shows.

    Blocks until ffmpeg is done: from a coroutine call it through `asyncio.to_thread`.
    """
    size = f"{BLOCKS_PER_ROW * 8}:{72}"
    source = ["-i", str(media)] if isinstance(media, Path) else ["-i", "pipe:0"]
    argv = [ffmpeg, "-hide_banner", "-loglevel", "error", *source, "-map", "0:v:0"]
    argv += ["-vf", f"scale={size}:flags=area,format=gray", "-fps_mode", "passthrough"]
    argv += ["-f", "rawvideo", "pipe:1"]
    stdin = None if isinstance(media, Path) else media
    done = subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, check=True, timeout=60)
    picture_bytes = BLOCKS_PER_ROW * 8 * 72
    pictures = range(0, len(done.stdout) - picture_bytes + 1, picture_bytes)
    return [read_frame_index(done.stdout[at:], BLOCKS_PER_ROW * 8) for at in pictures]
