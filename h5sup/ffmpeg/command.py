"""Build argument lists for ffmpeg. Pure, but for `write_loop_list`: same input, same list.

Made by ffmpeg-python's `compile()`. What to mind there: it sorts an output's options, which is
harmless; it puts global arguments last, so ours travel in `cmd`; it merges identical nodes, so no
two outputs may be the same; and `run_async()` can't pass file descriptors, so it isn't used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import ffmpeg

from h5sup.base.errors import Failure, SourceError
from h5sup.config.profile import Profile, VideoRecipe
from h5sup.ffmpeg.media import Input, Tracks
from h5sup.ffmpeg.tools import Tools

QUIET = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+error")
IO_TIMEOUT_US = 5_000_000
DESCRIBED_US = 100_000  # that is looked at of what is known already

# What may be opened, by kind: a playlist, a redirect or an SDP must not lead anywhere else.
PROTOCOLS = {
    "file": "file",
    "rtsp": "rtsp,rtsps,rtp,tcp,udp,tls",
    "rtsp http": "rtsp,rtp,http,tcp",
    "rtsp https": "rtsp,rtp,https,http,tls,tcp",
    "rtmp": "rtmp,rtmps,tcp,tls",
    "http": "http,https,tcp,tls,crypto",
}
# No hls, concat, sdp, image2 or dash among them: those open further files.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,flv,live_flv,avi,asf,ogg,ivf,nut,"
    "h264,hevc,m4v,mjpeg,mpjpeg,mpegvideo"
)
FORMATS = {
    "file": CONTAINERS,
    "concat": f"concat,{CONTAINERS}",
    "rtmp": "flv,live_flv",
    "http": f"{CONTAINERS},hls,applehttp,aac,mp3",
}

# Given always: ffmpeg's fifo copies the tag of the input, which mp4 then refuses.
MP4_TAGS = {
    "h264": "avc1",
    "hevc": "hvc1",
    "mjpeg": "mp4v",
    "mpeg4": "mp4v",
    "mpeg1video": "mp4v",
    "mpeg2video": "mp4v",
    "av1": "av01",
    "vp9": "vp09",
}
# AAC from TS carries ADTS headers; the filter does nothing to AAC that comes without.
ADTS_TO_MP4 = "aac_adtstoasc"
RTP_CODECS = frozenset({"h264", "hevc"})
RTP_PAYLOAD_TYPE = 96
SOUND_PAYLOAD_TYPE = 97
# Sound that browsers take over WebRTC as cameras send it, by ffprobe's names.
RTP_SOUND: dict[str, Literal["pcma", "pcmu"]] = {"pcm_alaw": "pcma", "pcm_mulaw": "pcmu"}
RTP_SOUND_RATE_HZ = 8000  # RFC 3551 §4.5.14: what the static payload types mean
RTP_PACKET_BYTES = 1200

# A fragment per picture: cut at key frames, and else as soon as 30 ms are reached.
FMP4_FLAGS = "frag_keyframe+empty_moov+default_base_moof"
# AAC with ADTS headers shows its configuration with the first frame: the moov must wait for it.
WAIT_FOR_CONFIG = "+delay_moov"
FMP4 = {"movflags": FMP4_FLAGS, "frag_duration": "30000", "use_editlist": "0"}
HLS_FLAGS = "delete_segments+independent_segments+temp_file+program_date_time+omit_endlist"
# A pipe nobody reads loses packets; it never stops the other legs. There must be room for all that
# ffmpeg looks at before it begins, 5 s of 60 pictures and 50 pieces of sound a second, which then
# come at once: it resumes with any packet of sound, as if that were a key frame (seen in 5.1).
FIFO = {"drop_pkts_on_overflow": "1", "restart_with_keyframe": "1", "queue_size": "1000"}
RETRY = {"attempt_recovery": "1", "recover_any_error": "1", "recovery_wait_time": "1"}
# Without sound for this long (us) the video goes on alone.
MAX_INTERLEAVE_US = 300_000
AAC_RATE_HZ = 48_000
PLAYBACK_SOUND_KBPS = 96  # of what a recorder plays, for two channels
OPUS_RATE_HZ = 48_000
OPUS_KBPS = 32  # per channel: speech and noises, not music
OPUS_FRAGMENT_US = 20_000  # a packet
# Of pictures that a jump only decodes, a millisecond each, every fourth is encoded, and the key
# picture always: one before it may be due after it, where a jump has parted B-frames from theirs.
LASTING = "isnan(prev_selected_t)+key+gte(t-prev_selected_t\\,0.004)"
LOOP_LINES = 1000

Options = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Legs:
    """Where one ffmpeg's media goes: a pipe always, loopback RTP and HLS files if wanted."""

    fmp4_fd: int
    rtp_port: int | None = None  # even; RTCP goes to the next one
    sound_port: int | None = None  # for sound as the camera sends it, see find_rtp_sound
    hls_folder: Path | None = None
    hls_segment_s: float = 2.0
    hls_segments: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leg:
    """One output: its muxer with options, and what its tracks pass through."""

    url: str
    muxer: str
    muxer_options: Mapping[str, str] = field(default_factory=dict)
    has_video: bool = True
    has_audio: bool = True
    codec_options: Mapping[str, str] = field(default_factory=dict)


def build_ingest(
    tools: Tools,
    source: Input,
    tracks: Tracks,
    profile: Profile,
    legs: Legs,
    *,
    audio: bool,
    playlist: Path | None = None,
    speed: float | None = None,
) -> list[str]:
    """Return argv of the ffmpeg that reads `source`; `playlist` loops a file, see write_loop_list.

    With a `speed` it is a recording, which is read no faster than it is due.

    Raises SourceError for video that can't be taken as it is.
    """
    return _build(
        tools, _open_input(tools, source, playlist, speed), tracks, profile, legs, audio=audio
    )


def build_derived(
    tools: Tools, tracks: Tracks, profile: Profile, legs: Legs, *, feed_fd: int, audio: bool
) -> list[str]:
    """Return argv of an ffmpeg that reads an init segment and fragments from `feed_fd`."""
    feed = _open_feed(f"pipe:{feed_fd}")
    fed = replace(tracks, is_annex_b=False)  # whatever the camera sent, fragments hold avcC
    return _build(tools, feed, fed, profile, legs, audio=audio)


def build_sound(tools: Tools, *, feed_fd: int, rtp_port: int, channels: int) -> list[str]:
    """Return argv of an ffmpeg that makes Opus of the sound in fragments from `feed_fd`.

    Its packets are numbered from 0, so that a lost first one shows.
    """
    feed = _open_feed(f"pipe:{feed_fd}")
    sound = ffmpeg.output(
        feed["a:0"],
        f"rtp://127.0.0.1:{rtp_port}?pkt_size={RTP_PACKET_BYTES}",
        format="rtp",
        payload_type=SOUND_PAYLOAD_TYPE,
        seq=0,
        **_opus_options(channels),
    )
    return _compile(tools, sound)


def build_conversion(
    tools: Tools, video: VideoRecipe | None, *, sound_fd: int | None, channels: int = 1
) -> list[str]:
    """Return argv of an ffmpeg that converts a playback's fragments from its standard input.

    H.264 goes to standard output, Opus to `sound_fd`, both as fragments. Each key picture that
    goes in comes out as one; pictures that last a moment only mostly do not.
    """
    feed = _open_feed("pipe:0")
    outputs = []
    if video is not None:
        recipe = _x264_options(video) | {
            "force_key_frames": "source",
            "enc_time_base": -1,  # else times are rounded to the pictures of a steady rate
        }
        recipe["vf"] = f"select='{LASTING}',{recipe['vf']}"
        outputs.append(ffmpeg.output(feed["V:0"], "pipe:1", format="mp4", **FMP4, **recipe))
    if sound_fd is not None:
        fragments = FMP4 | {"frag_duration": str(OPUS_FRAGMENT_US)}
        outputs.append(
            ffmpeg.output(
                feed["a:0"],
                f"pipe:{sound_fd}",
                format="mp4",
                **fragments,
                **_opus_options(channels),
            )
        )
    return _compile(tools, ffmpeg.merge_outputs(*outputs))


def build_playback(tools: Tools, source: Input) -> list[str]:
    """Return argv of the ffmpeg that reads what a recorder plays, fragments on standard output.

    Nothing is known of its tracks: pictures stay as they are, sound is made AAC, whatever it is.
    """
    feed = _open_input(tools, source, None)
    options = FMP4 | {"c:v": "copy", "c:a": "aac", "b:a": f"{PLAYBACK_SOUND_KBPS}k"}
    options |= {"ar": str(AAC_RATE_HZ), "ac": "2", "max_interleave_delta": str(MAX_INTERLEAVE_US)}
    return _compile(
        tools, ffmpeg.output(feed["V:0"], feed["a:0?"], "pipe:1", format="mp4", **options)
    )


def find_rtp_sound(tracks: Tracks) -> Literal["pcma", "pcmu"] | None:
    """Return what the sound is for WebRTC and RTSP when it is passed on as it comes."""
    audio = tracks.audio
    if audio is None or audio.sample_rate != RTP_SOUND_RATE_HZ or audio.channels != 1:
        return None
    return RTP_SOUND.get(audio.codec)


def build_picture(tools: Tools, number: int = 0) -> list[str]:
    """Return argv that turns an init segment and a GOP's beginning on stdin into a JPEG.

    `number` tells which of its pictures, as they are shown: 0 is the key picture.
    """
    chosen = f"select=eq(n\\,{number})," if number else ""
    threads = 0 if number else 1  # of a long GOP many pictures are decoded for one
    picture = ffmpeg.output(
        _open_feed("pipe:0", threads)["V:0"],
        "pipe:1",
        format="mjpeg",
        **{"frames:v": 1, "c:v": "mjpeg", "q:v": 3, "threads": 1},
        vf=f"{chosen}scale=out_range=pc,format=yuvj420p",
    )
    return _compile(tools, picture)


def build_probe(tools: Tools, source: Input, *, look_s: float | None = None) -> list[str]:
    """Return argv of the ffprobe that tells what `source` consists of, as JSON.

    `look_s` is how much media it looks at, where ffprobe must not decide that.
    """
    options = _input_options(tools, source) | {"hide_banner": None, "loglevel": "level+error"}
    if look_s is not None:
        options["analyzeduration"] = int(look_s * 1_000_000)
    shown = "stream=codec_type,codec_name,width,height,pix_fmt,avg_frame_rate,r_frame_rate"
    options |= {
        "of": "json",
        "show_entries": f"{shown},has_b_frames,sample_rate,channels,is_avc,extradata_size"
        ":stream_disposition=attached_pic:format=format_name",
    }
    arguments = [word for key, value in options.items() for word in _words(key, value)]
    return [tools.ffprobe, *arguments, "-i", source.address]


def _words(key: str, value: object) -> list[str]:
    return [f"-{key}"] if value is None else [f"-{key}", str(value)]


def write_loop_list(path: Path, file: Path) -> None:
    """Write a list for the concat demuxer that plays `file` a million times, and so its like.

    `-stream_loop` can't do it: at the first loop it stops every output with a bitstream filter.
    """
    inner = path.with_suffix(".inner.ffconcat")
    quoted = str(file).replace("'", r"'\''")
    _write_once(inner, "ffconcat version 1.0\n" + f"file '{quoted}'\n" * LOOP_LINES)
    nested = f"file '{inner.name}'\noption safe 0\n"
    _write_once(path, "ffconcat version 1.0\n" + nested * LOOP_LINES)


def _write_once(path: Path, text: str) -> None:
    """Write what is not there yet: a restart must not need room in a folder that is full."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def _open_input(
    tools: Tools, source: Input, playlist: Path | None, speed: float | None = None
) -> Any:
    options = _input_options(tools, source) | {"threads": 1}
    if source.kind == "file" or speed is not None:
        options["re"] = None  # at its own speed
    if speed not in (None, 1.0):
        options["itsscale"] = 1 / speed
    if playlist is None:
        return ffmpeg.input(source.address, **options)
    options |= {"format": "concat", "safe": 0, "format_whitelist": FORMATS["concat"]}
    return ffmpeg.input(str(playlist), **options)


def _input_options(tools: Tools, source: Input) -> Options:
    """Return what an input may open and how long it may hang."""
    options: Options = {"protocol_whitelist": PROTOCOLS[source.kind]}
    if source.kind in FORMATS:
        options["format_whitelist"] = FORMATS[source.kind]
    if source.kind == "rtsp":
        options |= _rtsp_options(tools, source)
    elif source.kind != "file":
        options["rw_timeout"] = IO_TIMEOUT_US
    if source.kind != "file":
        options["fpsprobesize"] = 0  # finding out the frame rate would cost a second
    return options


def _rtsp_options(tools: Tools, source: Input) -> Options:
    transport = "tcp" if source.transport == "auto" else source.transport
    protocols = PROTOCOLS.get(f"rtsp {transport}", PROTOCOLS["rtsp"])
    options: Options = {"rtsp_transport": transport, "protocol_whitelist": protocols}
    if not source.is_relayed:
        options["timeout"] = IO_TIMEOUT_US
    if tools.judges_rtsps and source.url.startswith("rtsps:"):
        options["tls_verify"] = 0  # sources/rtsps.py has done so
    if source.is_described:
        options["analyzeduration"] = DESCRIBED_US
    return options


def _open_feed(url: str, threads: int = 1) -> Any:
    return ffmpeg.input(
        url,
        format="mov",
        threads=threads,
        fpsprobesize=0,
        protocol_whitelist="pipe",
    )


def _build(
    tools: Tools, source: Any, tracks: Tracks, profile: Profile, legs: Legs, *, audio: bool
) -> list[str]:
    has_audio = audio and tracks.audio is not None
    if profile.video.encoder == "copy":
        outputs = [
            _plain_output(source, leg, has_audio=has_audio)
            for leg in _copy_legs(tracks, profile, legs, has_audio=has_audio)
        ]
    else:
        outputs = [_encoded_output(source, tracks, profile, legs, has_audio=has_audio)]
    return _compile(tools, ffmpeg.merge_outputs(*outputs))


def _compile(tools: Tools, output: Any) -> list[str]:
    argv: list[str] = ffmpeg.compile(output, cmd=[tools.ffmpeg, *QUIET])
    return argv


def _copy_legs(tracks: Tracks, profile: Profile, legs: Legs, *, has_audio: bool) -> list[_Leg]:
    codec = tracks.video.codec
    if codec not in MP4_TAGS:
        raise SourceError(Failure.NOT_MEDIA, f"video of the kind {codec!r} can't be taken")
    audio = _audio_options(tracks, profile) if has_audio else {}
    copy = {"c:v": "copy", **audio}
    mp4 = {"tag:v": MP4_TAGS[codec]} | ({"tag:a": "mp4a"} if has_audio else {})
    if audio.get("c:a") == "copy":
        mp4["bsf:a"] = ADTS_TO_MP4
    found = [_fmp4_leg(legs, copy | mp4, waits=_lacks_config(tracks, audio))]
    if legs.hls_folder is not None and tracks.browser_playable:
        found.append(_hls_leg(legs, legs.hls_folder, copy))
    if legs.rtp_port is not None and codec in RTP_CODECS:
        parameter_sets = "dump_extra=freq=keyframe"
        if not tracks.is_annex_b:
            parameter_sets = f"{codec}_mp4toannexb"
        found.append(_rtp_leg(legs.rtp_port, {"c:v": "copy", "bsf:v": parameter_sets}))
    if legs.sound_port is not None and has_audio:
        found.append(_sound_leg(legs.sound_port))
    return found


def _lacks_config(tracks: Tracks, audio: Mapping[str, str]) -> bool:
    """Return whether copied sound tells its configuration only as it comes."""
    return audio.get("c:a") == "copy" and tracks.audio is not None and not tracks.audio.has_config


def _fmp4_leg(legs: Legs, codec_options: Mapping[str, str], *, waits: bool = False) -> _Leg:
    fmp4 = FMP4 | ({"movflags": FMP4_FLAGS + WAIT_FOR_CONFIG} if waits else {})
    options = FIFO | {"fifo_format": "mp4", "format_opts": _join(fmp4)}
    return _Leg(
        url=f"pipe:{legs.fmp4_fd}",
        muxer="fifo",
        muxer_options=options,
        codec_options=codec_options,
    )


def _hls_leg(legs: Legs, folder: Path, codec_options: Mapping[str, str]) -> _Leg:
    """Write HLS behind a fifo that tries again: a full folder must not end the other legs.

    ffmpeg's hls muxer shrugs off a full disk, but ends the process when it can't create a file.
    """
    segments = {
        "hls_time": f"{legs.hls_segment_s:g}",
        "hls_list_size": str(legs.hls_segments),
        "hls_delete_threshold": "3",
        "hls_flags": HLS_FLAGS,
        # Numbers go on after a restart: a segment's URL never means two things.
        "hls_start_number_source": "epoch",
        "hls_segment_filename": f"{folder}/s%d.ts",
    }
    return _Leg(
        url=f"{folder}/index.m3u8",
        muxer="fifo",
        muxer_options=FIFO | RETRY | {"fifo_format": "hls", "format_opts": _join(segments)},
        codec_options=codec_options,
    )


def _rtp_leg(port: int, codec_options: Mapping[str, str]) -> _Leg:
    return _Leg(
        url=f"rtp://127.0.0.1:{port}?pkt_size={RTP_PACKET_BYTES}",
        muxer="rtp",
        muxer_options={"payload_type": str(RTP_PAYLOAD_TYPE)},
        has_audio=False,
        codec_options=codec_options,
    )


def _sound_leg(port: int) -> _Leg:
    return _Leg(
        url=f"rtp://127.0.0.1:{port}?pkt_size={RTP_PACKET_BYTES}",
        muxer="rtp",
        muxer_options={"payload_type": str(SOUND_PAYLOAD_TYPE)},
        has_video=False,
        codec_options={"c:a": "copy"},
    )


def _audio_options(tracks: Tracks, profile: Profile) -> dict[str, str]:
    assert tracks.audio is not None
    if tracks.audio.codec == "aac":
        return {"c:a": "copy"}
    return {
        "c:a": "aac",
        "b:a": f"{profile.audio.bitrate_kbps}k",
        "ar": str(AAC_RATE_HZ),
        "ac": str(min(2, tracks.audio.channels)),
    }


def _plain_output(source: Any, leg: _Leg, *, has_audio: bool) -> Any:
    tracks = [source["V:0"]] if leg.has_video else []
    if has_audio and leg.has_audio:
        tracks.append(source["a:0?"])
    options = {"format": leg.muxer, **leg.codec_options, **leg.muxer_options}
    if len(tracks) > 1:
        options["max_interleave_delta"] = str(MAX_INTERLEAVE_US)
    return ffmpeg.output(*tracks, leg.url, **options)


def _encoded_output(
    source: Any, tracks: Tracks, profile: Profile, legs: Legs, *, has_audio: bool
) -> Any:
    """Encode once and hand the result to every leg (`tee`): an encoder per leg costs too much."""
    copies_audio = has_audio and _audio_options(tracks, profile)["c:a"] == "copy"
    filters = {"bsf:a": ADTS_TO_MP4} if copies_audio else {}
    waits = has_audio and _lacks_config(tracks, _audio_options(tracks, profile))
    found = [_fmp4_leg(legs, filters, waits=waits)]
    if legs.hls_folder is not None:
        found.append(_hls_leg(legs, legs.hls_folder, {}))
    if legs.rtp_port is not None:
        found.append(_rtp_leg(legs.rtp_port, {"bsf:v": "dump_extra=freq=keyframe"}))
    maps = [source["V:0"]] + ([source["a:0?"]] if has_audio else [])
    options = {"format": "tee", "max_interleave_delta": str(MAX_INTERLEAVE_US)}
    options |= _x264_options(profile.video)
    if has_audio:
        options |= _audio_options(tracks, profile) | {"tag:a": "mp4a"}
    return ffmpeg.output(*maps, "|".join(_tee_leg(leg) for leg in found), **options)


def _opus_options(channels: int) -> Options:
    options = {"c:a": "libopus", "b:a": f"{OPUS_KBPS * channels}k", "ar": OPUS_RATE_HZ}
    return options | {"ac": channels, "application": "lowdelay"}


def _x264_options(video: VideoRecipe) -> Options:
    rate = f"{video.bitrate_kbps}k"
    every = f"if(isnan(prev_forced_t),1,gte(t,prev_forced_t+{video.gop_s:g}))"
    height = f"trunc(min(ih\\,{video.max_height})/2)*2"
    return {
        "c:v": "libx264",
        "preset": video.preset,
        "tune": "zerolatency",
        "profile:v": "main" if video.preset != "ultrafast" else "baseline",
        "bf": "0",
        "b:v": rate,
        "maxrate": rate,
        "bufsize": rate,
        # Sliced threads would send a picture in pieces that receivers take for several.
        "x264-params": "sliced-threads=0:scenecut=0",
        "threads": str(video.threads),
        "g": "9999",
        "force_key_frames": f"expr:{every}",
        "forced-idr": "1",
        "flags:v": "+global_header",
        "flags:a": "+global_header",
        "fps_mode": "passthrough",
        "vf": f"scale=w=-2:h={height}:out_range=tv,format=yuv420p",
    }


def _tee_leg(leg: _Leg) -> str:
    """Return one slave of the tee muxer; its options are unescaped twice."""
    options = {"f": leg.muxer, **leg.muxer_options}
    if not leg.has_audio:
        options["select"] = "v"
    for kind in "va":
        if bitstream_filter := leg.codec_options.get(f"bsf:{kind}"):
            options[f"bsfs/{kind}"] = bitstream_filter
    inner = ":".join(f"{key}={_escape(value, ':]')}" for key, value in options.items())
    return _escape(f"[{inner}]{leg.url}", "|")


def _join(options: Mapping[str, str]) -> str:
    """Return a dictionary as ffmpeg reads it inside an option."""
    return ":".join(f"{key}={_escape(value, ':')}" for key, value in options.items())


def _escape(value: str, special: str) -> str:
    """Put a backslash before what ffmpeg's av_get_token() would take for more than a letter."""
    return "".join("\\" + letter if letter in f"\\'{special}" else letter for letter in value)
