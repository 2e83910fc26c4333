"""Ask ffprobe what an input consists of, before its command is built."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from typing import Any

import msgspec

from h5sup.base.errors import Failure, SourceError
from h5sup.ffmpeg.command import build_probe
from h5sup.ffmpeg.diagnosis import diagnose
from h5sup.ffmpeg.media import AudioTrack, Input, Tracks, VideoTrack
from h5sup.ffmpeg.process import JobError, Launcher
from h5sup.ffmpeg.tools import Tools

MAX_ANSWER_BYTES = 1_000_000
# MPEG-TS may get another track at any time, so ffprobe would look at it for five seconds.
QUICK_LOOK_S = 1.5
# Containers that hold H.264 and H.265 with lengths in front of the NAL units (avcC, hvcC).
LENGTH_PREFIXED = frozenset({"mov", "mp4", "matroska", "webm", "flv", "live_flv"})


async def probe(
    tools: Tools, launcher: Launcher, source: Input, timeout_s: float = 15.0
) -> Tracks:
    """Return the tracks of `source`; raises SourceError with a plain sentence."""
    if source.kind == "http":
        answer = await _ask(build_probe(tools, source, look_s=QUICK_LOOK_S), launcher, timeout_s)
        if is_whole(answer):
            return parse_answer(answer)
    return parse_answer(await _ask(build_probe(tools, source), launcher, timeout_s))


async def _ask(argv: list[str], launcher: Launcher, timeout_s: float) -> bytes:
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        return await launcher.run_job(
            argv,
            timeout_s=timeout_s,
            max_bytes=MAX_ANSWER_BYTES,
            mostly_waits=True,
            kind="probe",
        )
    except JobError as error:
        if error.timed_out:
            raise SourceError(Failure.NO_ANSWER, f"no answer within {timeout_s:g} s") from error
        took_s = loop.time() - started
        raise diagnose(error.lines, error.exit_code, took_s=took_s) from error


def is_whole(answer: bytes) -> bool:
    """Return whether every track is known in full; a quick look may end before a key frame."""
    try:
        return all(_is_known(track) for track in msgspec.json.decode(answer)["streams"])
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        return False


def _is_known(track: dict[str, Any]) -> bool:
    if track.get("codec_type") == "video":
        return bool(track.get("width")) and "pix_fmt" in track
    return track.get("codec_type") != "audio" or track.get("sample_rate", "0") != "0"


def parse_answer(answer: bytes) -> Tracks:
    """Return the tracks out of ffprobe's JSON; raises SourceError when there is no video."""
    try:
        found = msgspec.json.decode(answer)
        formats = set(found["format"]["format_name"].split(","))
        tracks: list[dict[str, Any]] = found["streams"]
        video = [track for track in tracks if _is_moving_video(track)]
        audio = [track for track in tracks if _is_audio(track)]
        if not video:
            raise SourceError(Failure.NO_VIDEO, "there is no video in it")
        return Tracks(
            video=_video_track(video[0]),
            audio=_audio_track(audio[0]) if audio else None,
            is_annex_b=_is_annex_b(video[0], formats),
        )
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise SourceError(Failure.NOT_MEDIA, "ffprobe's answer can't be read") from error


def _is_moving_video(track: dict[str, Any]) -> bool:
    """A cover picture of a file counts as video for ffprobe, not for us."""
    if track.get("codec_type") != "video":
        return False
    return not track.get("disposition", {}).get("attached_pic")


def _is_audio(track: dict[str, Any]) -> bool:
    return track.get("codec_type") == "audio" and bool(track.get("sample_rate"))


def _is_annex_b(track: dict[str, Any], formats: set[str]) -> bool:
    """Tell how NAL units are set apart; ffprobe says it for H.264, else the container tells."""
    if "is_avc" in track:
        return bool(track["is_avc"] == "false")
    return not formats & LENGTH_PREFIXED


def _video_track(track: dict[str, Any]) -> VideoTrack:
    return VideoTrack(
        codec=track.get("codec_name", "unknown"),
        width=int(track.get("width", 0)),
        height=int(track.get("height", 0)),
        fps=_rate(track.get("avg_frame_rate", "")) or _rate(track.get("r_frame_rate", "")),
        pix_fmt=track.get("pix_fmt", ""),
        has_b_frames=bool(track.get("has_b_frames", 0)),
    )


def _audio_track(track: dict[str, Any]) -> AudioTrack:
    return AudioTrack(
        codec=track.get("codec_name", "unknown"),
        sample_rate=int(track["sample_rate"]),
        channels=int(track.get("channels", 1)),
        has_config=bool(track.get("extradata_size")),
    )


def _rate(text: str) -> float:
    """Return frames a second; 0 for what ffprobe writes when it does not know (`0/0`)."""
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        return 0.0
