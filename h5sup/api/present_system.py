"""The machine, its streams and its logs in H5Stream's words, as present.py has the sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct, field

from h5sup.api.present import CODECS as CODECS_BY_ENTRY
from h5sup.api.services import Feed, LogLine, Mediastore, SystemFacts
from h5sup.base.clock import iso_ms
from h5sup.bus.sound_rate import measure_sound
from h5sup.ffmpeg.codecs import Codecs
from h5sup.ffmpeg.trials import CODECS
from h5sup.metrics.machine import Load
from h5sup.recording.outlook import Outlook, Share

AUDIO_CODECS = {"mp4a": "AAC", "opus": "OPUS"}
UNITS = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6))
LOG_LINES = 200


class VersionAnswer(Struct, frozen=True):
    """Which programs run here."""

    version: str = field(name="strVersion")
    ffmpeg: str = field(name="strFfmpeg")


class CodecAnswer(Struct, frozen=True, kw_only=True):
    """What passed a trial: the manual's keys with names of codecs, then ffmpeg's names."""

    processor: str = field(name="strCPUModel")
    hw_encoders: str = field(name="strHWEncoders")
    hw_decoders: str = field(name="strHWDecoders")
    sw_encoders: str = field(name="strSWEncoders")
    sw_decoders: str = field(name="strSWDecoders")
    ffmpeg: str = field(name="strFfmpeg")
    encoders: str = field(name="strEncoders")
    decoders: str = field(name="strDecoders")


class ShareAnswer(Struct, frozen=True, kw_only=True):
    """What one source has in mediastore."""

    token: str = field(name="strToken")
    files: int = field(name="nFiles")
    size_bytes: int = field(name="nBytes")
    bytes_per_day: int = field(name="nBytesPerDay")
    days_left: float | None = field(name="fDaysLeft")


class RunAnswer(Struct, frozen=True, kw_only=True):
    """How busy the machine is; the numbers say the same more exactly."""

    uptime: str = field(name="strRunTime")
    cpu: str = field(name="strCPU")
    memory: str = field(name="strMemory")
    network_in: str = field(name="strNetworkIn")
    network_out: str = field(name="strNetworkOut")
    total_space: str = field(name="strTotalSpace")
    free_space: str = field(name="strFreeSpace")
    uptime_s: int = field(name="nRunTimeSec")
    own_cpu_percent: float = field(name="fOwnCPUPercent")
    """Of one core."""
    own_memory_bytes: int = field(name="nOwnMemoryBytes")
    total_bytes: int = field(name="nTotalBytes")
    free_bytes: int = field(name="nFreeBytes")
    record_state: str = field(name="strRecordState")
    """`ok`, `full`, `read_only` or `missing`."""
    record_reason: str = field(name="strRecordReason")
    """Why nothing is recorded, and what to do; empty while all is well."""
    record_total_bytes: int = field(name="nRecordTotalBytes")
    """Of the disk of `paths.mediastore`, as those that follow."""
    record_free_bytes: int = field(name="nRecordFreeBytes")
    record_bytes: int = field(name="nRecordBytes")
    record_files: int = field(name="nRecordFiles")
    record_bytes_per_day: int = field(name="nRecordBytesPerDay")
    """Over the last week."""
    record_days_left: float | None = field(name="fRecordDaysLeft")
    """Until the oldest goes for want of room; null: age makes room before, or nothing grows."""
    record_full_time: str = field(name="strRecordFullTime")
    """The same as a date; empty for null."""
    record: list[ShareAnswer]
    """Each source that has something there."""


class StreamAnswer(Struct, frozen=True, kw_only=True):
    """What one input carries; rates of both tracks are bits a second."""

    video_type: str = field(name="strVideoType", default="")
    width: int = field(name="nVideoWidth", default=0)
    height: int = field(name="nVideoHeight", default=0)
    fps: int = field(name="nVideoFPS", default=0)
    video_bitrate: int = field(name="nVideoBitrate", default=0)
    audio_type: str = field(name="strAudioType", default="")
    sample_rate: int = field(name="nAudioSampleRate", default=0)
    channels: int = field(name="nAudioChannels", default=0)
    audio_bitrate: int = field(name="nAudioBitrate", default=0)


class LogLineAnswer(Struct, frozen=True):
    """One line of an ffmpeg."""

    time: str = field(name="strTime")
    feed: str = field(name="strFeed")
    """Input and profile, such as `main/copy`."""
    text: str = field(name="strLine")


class LogAnswer(Struct, frozen=True):
    """What a source's ffmpegs said last, oldest first."""

    token: str = field(name="strToken")
    lines: list[LogLineAnswer] = field(name="log")


def version(facts: SystemFacts) -> VersionAnswer:
    """Return which programs run here."""
    return VersionAnswer(facts.version, facts.ffmpeg)


def codecs(facts: SystemFacts, found: Codecs) -> CodecAnswer:
    """Return what passed a trial."""
    encoders = [*found.sw_encoders.values(), *found.hw_encoders.values()]
    decoders = [*found.sw_decoders.values(), *found.hw_decoders.values()]
    return CodecAnswer(
        processor=facts.processor,
        hw_encoders=_names(found.hw_encoders),
        hw_decoders=_names(found.hw_decoders),
        sw_encoders=_names(found.sw_encoders),
        sw_decoders=_names(found.sw_decoders),
        ffmpeg=facts.ffmpeg,
        encoders=" ".join(name for names in encoders for name in names),
        decoders=" ".join(dict.fromkeys(name for names in decoders for name in names)),
    )


def run(
    load: Load,
    uptime_s: float,
    store: Mediastore,
    outlook: Outlook,
    may_see: Callable[[str], bool],
) -> RunAnswer:
    """Return how busy the machine is, and how much room there is for recordings."""
    minutes = int(uptime_s) // 60
    return RunAnswer(
        uptime=f"{minutes // 60}H {minutes % 60}MIN",
        cpu=f"{load.cpu_percent:.0f}%",
        memory=f"{load.memory_percent:.0f}%",
        network_in=f"{load.in_kbps:.0f}kbps",
        network_out=f"{load.out_kbps:.0f}kbps",
        total_space=_size(load.disk_total_bytes),
        free_space=_size(load.disk_free_bytes),
        uptime_s=int(uptime_s),
        own_cpu_percent=round(load.own_cpu_percent, 1),
        own_memory_bytes=load.own_memory_bytes,
        total_bytes=load.disk_total_bytes,
        free_bytes=load.disk_free_bytes,
        record_state=store.state.value,
        record_reason=store.refusal(),
        record_total_bytes=store.total_bytes,
        record_free_bytes=store.free_bytes,
        record_bytes=outlook.size_bytes,
        record_files=outlook.files,
        record_bytes_per_day=outlook.bytes_per_day,
        record_days_left=_days(outlook.days_left),
        record_full_time="" if outlook.full_at is None else iso_ms(outlook.full_at),
        record=[_share(one) for one in outlook.shares if may_see(one.token)],
    )


def _share(share: Share) -> ShareAnswer:
    return ShareAnswer(
        token=share.token,
        files=share.files,
        size_bytes=share.size_bytes,
        bytes_per_day=share.bytes_per_day,
        days_left=_days(share.days_left),
    )


def _days(days: float | None) -> float | None:
    return None if days is None else round(days, 1)


def carried(feed: Feed) -> StreamAnswer:
    """Return what an input carries; nothing but zeros while it carries nothing."""
    channel = feed.channel
    if channel.init is None:
        return StreamAnswer()
    video, audio, rates = channel.init.video, channel.init.audio, channel.rates
    sound_rate = measure_sound(channel)
    entry = video.codec[:4] if video else ""
    sound = audio.codec[:4].lower() if audio else ""
    return StreamAnswer(
        video_type=CODECS_BY_ENTRY.get(entry, entry),
        width=video.width if video else 0,
        height=video.height if video else 0,
        fps=round(rates.fps),
        video_bitrate=max(0, round(rates.bitrate_kbps * 1000) - sound_rate),
        audio_type=AUDIO_CODECS.get(sound, sound),
        sample_rate=audio.sample_rate if audio else 0,
        channels=audio.channels if audio else 0,
        audio_bitrate=sound_rate,
    )


def log(token: str, feeds: Iterable[Feed]) -> LogAnswer:
    """Return what a source's ffmpegs said last."""
    found: list[tuple[LogLine, str]] = []
    for feed in feeds:
        name = f"{feed.channel.input_name}/{feed.channel.profile}"
        found += [(line, name) for line in feed.log_lines]
    found.sort(key=lambda one: one[0].at)
    newest = found[-LOG_LINES:]
    return LogAnswer(token, [LogLineAnswer(iso_ms(ln.at), name, ln.text) for ln, name in newest])


def _names(by_codec: Mapping[str, object]) -> str:
    return " ".join(name for codec, name in CODECS.items() if codec in by_codec)


def _size(count_bytes: int) -> str:
    for unit, size_bytes in UNITS:
        if count_bytes >= size_bytes:
            return f"{count_bytes / size_bytes:.1f}{unit}"
    return "0MB"
