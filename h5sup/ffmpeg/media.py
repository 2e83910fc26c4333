"""What is read, what was found in it: inputs and their tracks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, urlsplit, urlunsplit

from h5sup.config.model import Transport

InputKind = Literal["file", "rtsp", "rtmp", "http"]

EIGHT_BIT_420 = frozenset({"yuv420p", "yuvj420p"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """Where media comes from; for a file `url` is its absolute, resolved path."""

    kind: InputKind
    url: str = field(repr=False)  # it may carry a password
    transport: Transport = "auto"
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    is_relayed: bool = False
    """It comes by way of our own relay, which knows better how long to wait."""
    is_described: bool = False
    """Its first packets need not be looked at long to know what its tracks are."""

    @property
    def address(self) -> str:
        """Return the URL with `user` and `password` in it, percent-encoded."""
        if self.kind == "file" or not self.user:
            return self.url
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        userinfo = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return urlunsplit(parts._replace(netloc=f"{userinfo}@{host}"))

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return what must not appear in a log: user names and passwords, as given and encoded."""
        userinfo = "" if self.kind == "file" else urlsplit(self.url).netloc.rpartition("@")[0]
        user, _, password = userinfo.partition(":")
        given = (self.user, self.password, user, password)
        return tuple({form for value in given if value for form in (value, quote(value, safe=""))})


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoTrack:
    """The video of an input; `codec` and `pix_fmt` are ffprobe's names."""

    codec: str
    width: int
    height: int
    fps: float = 0.0  # 0: the input does not say
    pix_fmt: str = ""
    has_b_frames: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioTrack:
    """The audio of an input; `codec` is ffprobe's name."""

    codec: str
    sample_rate: int
    channels: int
    has_config: bool = True  # AAC in TS has its configuration in each frame (ADTS), none apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracks:
    """What the probe found."""

    video: VideoTrack
    audio: AudioTrack | None = None
    is_annex_b: bool = True  # H.264/H.265 with start codes (RTSP, TS); false: avcC/hvcC (MP4, FLV)

    @property
    def browser_playable(self) -> bool:
        """True for what every browser plays: H.264, 8-bit, 4:2:0."""
        return self.video.codec == "h264" and self.video.pix_fmt in EIGHT_BIT_420
