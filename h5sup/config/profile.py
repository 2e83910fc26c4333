"""An ffmpeg profile: a named recipe from ffmpeg_profiles/, typed: no raw argument gets through."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from h5sup.config.model import PROFILE_PATTERN, Section

Encoder = Literal["copy", "libx264"]
Preset = Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium"]


class VideoRecipe(Section, frozen=True, kw_only=True):
    """What happens to the video track; all but `encoder` is ignored for `copy`."""

    encoder: Encoder = "copy"
    preset: Preset = "ultrafast"
    bitrate_kbps: Annotated[int, Meta(ge=50, le=50_000)] = 2000
    gop_s: Annotated[float, Meta(ge=0.2, le=10)] = 2.0
    max_height: Annotated[int, Meta(ge=64, le=4320)] = 1080
    threads: Annotated[int, Meta(ge=0, le=64)] = 1


class AudioRecipe(Section, frozen=True, kw_only=True):
    """What happens to the audio track: AAC is copied, all else becomes AAC."""

    bitrate_kbps: Annotated[int, Meta(ge=8, le=512)] = 48


class Profile(Section, frozen=True, kw_only=True):
    """One file of ffmpeg_profiles/; its name is the file's name without `.json`."""

    name: Annotated[str, Meta(pattern=PROFILE_PATTERN)] = ""
    description: str = ""
    video: VideoRecipe = VideoRecipe()
    audio: AudioRecipe = AudioRecipe()
